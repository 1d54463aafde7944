"""Drawing a sample of the current release, entering it, and packing its texts for people."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.drawing import check_salt, task_id
from models.errors import UsageError
from models.policy import Decider, Policy, load_policy
from models.review_entering import Draw, check_series, enter_sample
from models.reviews import DRAWN, HUMAN, LABEL, Reviews, Sample, read_reviews
from models.strict import near_miss
from pipeline.corpus import Corpus, Release
from pipeline.review_draw import Drawer, documents_of
from pipeline.review_package import Packaged, Place, Texts, begun, finish

HUMAN_SIZE = 4000
"""Records of the test by people of the whole corpus (TC260-003, 9.2 a)."""
SOURCE_SIZE = 400
"""Records of each source: the least number of verdicts by which the interval reading judges, see :class:`models.source_reading.SourceReading`."""
MOST = 200_000
"""Records that may be drawn at once: more would be neither judged nor held in memory."""


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn.

    Attributes:
        purpose: :data:`models.reviews.HUMAN` or :data:`models.reviews.SOURCES`.
        size: records, of each source where it is for sources; 0 for the usual number.
        sources: keys of sources; none for all.
        policy: name or path of the one by which records are unlawful; empty for that of the release, if it ships.
        blind: whether people do not see the source either.
    """

    purpose: str
    salt: str
    new_series: str
    day: str
    size: int = 0
    sources: tuple[str, ...] = ()
    policy: str = ""
    blind: bool = False


@dataclass(frozen=True)
class Drawn:
    """What was drawn, and the package of what nobody was asked before; None if that is nothing."""

    sample: Sample
    reviews: Reviews
    package: Packaged | None


def draw_of(release: Release, wanted: Wanted, population: int) -> Draw:
    """Return how was drawn, for the ledger."""
    manifest = release.manifest
    return Draw(wanted.purpose, wanted.salt, wanted.new_series, wanted.day, release.number, population, manifest["run"])


def sample(corpus: Corpus, wanted: Wanted, place: Place) -> Drawn:
    """Draw a sample of the current release, enter it, and pack what nobody was asked before.

    The same command again draws the same, enters nothing and writes the same package.

    Raises:
        UsageError: if the release, the salt, a source or the size does not allow it.
        ShardChangedError: if a shard is not what the release was made of; nothing is entered then.
    """
    release = corpus.release()
    key = check_salt(wanted.salt)
    check_series(read_reviews(corpus.store), wanted.salt, wanted.new_series)
    drawer = Drawer(corpus, release, key)
    if wanted.purpose == HUMAN:
        size = wanted.size or HUMAN_SIZE
        if size > MOST:
            raise UsageError(f"--size {size}: at most {MOST:,} can be drawn at once")
        rows, population = drawer.records(size)
        said: dict[str, Any] = {"size": size, "sources": []}
    else:
        size = wanted.size or SOURCE_SIZE
        _check_sources(release, wanted.sources, size)
        decider = Decider(policy_of(release.manifest, wanted.policy))
        rows, population = drawer.sources(size, decider, wanted.sources)
        taggers = dict(release.manifest["job"]["taggers"])
        said = {"size": size, "sources": sorted(set(wanted.sources)), "taggers": taggers}
        said |= {"counting": release.manifest["job"]["policy"]["counting"]}
    if not len(rows):
        raise UsageError(f"release {release.number}: there is no record to draw; nothing was entered")
    tasks = {
        content: task_id(key, wanted.purpose, content)
        for content in rows["content"].combine_chunks().unique().to_pylist()
    }
    with begun(place) as texts:
        _read(drawer, rows, tasks, texts)
        table = _entered(rows, tasks, texts)
        draw = draw_of(release, wanted, population)
        found, reviews = enter_sample(corpus.store, corpus.store.scratch, draw, table, said)
        package = _pack(found, wanted, place, texts, release.manifest) if found.asked else None
    return Drawn(found, reviews, package)


def _check_sources(release: Release, wanted: Collection[str], size: int) -> None:
    """Make sure that the sources are there, and not too many."""
    with release.fetched("sources.parquet") as path:
        table = pq.read_table(path, columns=["source", "read"])
    table = table.filter(pc.greater(table["read"], 0))
    there = set(table["source"].to_pylist()) if wanted else set()
    for each in wanted:
        if each not in there:
            raise UsageError(
                f"--source {each}: no such source in release {release.number}{near_miss(each, there) if len(there) < 1000 else ''}"
            )
    some = table.filter(pc.is_in(table["source"], value_set=pa.array(sorted(wanted), pa.string()))) if wanted else table
    count = int(np.minimum(some["read"].to_numpy(), size).sum())
    if count > MOST:
        raise UsageError(
            f"up to {count:,} records of {len(some):,} sources would be drawn, at most {MOST:,} can be; name the sources that are to be judged "
            "(--source KEY), or fewer records of each (--size)"
        )


def policy_of(manifest: Mapping[str, Any], given: str) -> Policy:
    """Return the policy by which a release counted records as unlawful, so that strata are those of its tallies.

    Args:
        given: name or path; empty for the one that ships under the release's name.

    Raises:
        UsageError: if it counts otherwise, or does not ship and is not given.
    """
    said = manifest["job"]["policy"]
    name = given or said["name"]
    try:
        policy = load_policy(name)
    except UsageError:
        if given:
            raise
        raise UsageError(
            f"the policy of release {manifest['release']}, {said['name']}@{said['version']}, does not ship; name its file: --policy FILE"
        ) from None
    if policy.counting_digest != said["counting"]:
        raise UsageError(
            f"policy {policy.name}@{policy.version} counts other records as unlawful than that of release {manifest['release']}, "
            f"{said['name']}@{said['version']}; name that one's file: --policy FILE"
        )
    return policy


def _read(drawer: Drawer, rows: pa.Table, tasks: Mapping[bytes, str], texts: Texts) -> None:
    """Read the text of every task, of whichever of its records comes first."""
    first = np.unique(np.array([each.hex() for each in rows["content"].to_pylist()]), return_index=True)[1]
    some = rows.take(pa.array(np.sort(first)))
    content_at = {
        (shard, position): content
        for shard, position, content in zip(
            *(some[name].to_pylist() for name in ("shard", "position", "content")), strict=True
        )
    }
    for shard, positions, documents in documents_of(drawer.catalogue, some):
        for position, text in zip(positions, documents.text.to_pylist(), strict=True):
            texts.add(tasks[content_at[shard, position]], text)


def _entered(rows: pa.Table, tasks: Mapping[bytes, str], texts: Texts) -> pa.Table:
    """Return what was drawn as it is entered."""
    named = [tasks[content] for content in rows["content"].to_pylist()]
    is_human = "stratum" not in rows.schema.names
    columns = {name: rows[name] for name in DRAWN.names if name in rows.schema.names}
    columns["task"] = pa.array(named, pa.string())
    columns["shown"] = pa.array([texts.shown[task] for task in named], pa.binary(16))
    if is_human:
        columns["stratum"] = pa.array([""] * len(rows), pa.string())
    else:
        columns["record"] = pa.array([bytes(8)] * len(rows), pa.binary(8))
    table = pa.table({name: columns[name] for name in DRAWN.names}).cast(DRAWN)
    order = ("source", "draw", "content", "shard", "position")
    return table.sort_by([(name, "ascending") for name in order]).combine_chunks()


def _pack(found: Sample, wanted: Wanted, place: Place, texts: Texts, manifest: Mapping[str, Any]) -> Packaged:
    sources: dict[str, set[str]] = {}
    for task, source in zip(found.table["task"].to_pylist(), found.table["source"].to_pylist(), strict=True):
        if task in found.asked:
            sources.setdefault(task, set()).add(source)
    said = {
        "sample": found.entry,
        "purpose": found.purpose,
        "role": LABEL,
        "release": found.facts["release"],
        "series": found.facts["series"],
        "blind": wanted.blind,
    }
    tasks = [{"task": task, "source": "; ".join(sorted(names))} for task, names in sources.items()]
    extra = () if wanted.blind else ("source",)
    return finish(place, texts, tasks, said, manifest["job"]["policy"]["taxonomy"], extra)
