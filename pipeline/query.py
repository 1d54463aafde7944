"""Query: whether a work, person, source, page or record is used in a release, answered without reading any text."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.artefact import files_of
from models.catalogue import Row
from models.errors import UsageError
from models.layer import Layer, Merged, merge
from models.matched_works import told_of
from models.parsing import source_of_path
from models.store import Store
from models.taggers.fingerprint import Fingerprint
from models.url_marks import SIZE
from models.withdrawals import REASON, InForce, Target
from pipeline.corpus import Corpus, Release
from pipeline.withdrawals import Standing, in_words, standings


@dataclass(frozen=True)
class Use:
    """The entries of one shard's split that a target means.

    Attributes:
        positions: where they were read, ascending.
        doors: how many left by which.
        withdrawn: ids of the withdrawals that hold them back.
    """

    shard: str
    positions: tuple[int, ...]
    doors: Mapping[str, int]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What is known of a target.

    Attributes:
        release: that was asked.
        uses: where it occurs.
        withdrawals: decisions that hold it back, or will from the next run on.
        purged: records of the release of which nothing but the hash of their text is known.
        unknown: why it cannot be told that it is not there, in words; empty if it can.
    """

    release: int
    uses: tuple[Use, ...]
    withdrawals: tuple[Standing, ...]
    purged: int = 0
    unknown: str = ""

    @property
    def is_used(self) -> bool | None:
        """Whether the release has it; None if nothing looked for it."""
        if self.doors.get("clean"):
            return True
        return None if self.unknown else False

    @property
    def doors(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for use in self.uses:
            counts.update(use.doors)
        return dict(sorted(counts.items()))

    def facts(self) -> dict[str, Any]:
        return {
            "release": self.release,
            "used": self.is_used,
            "unknown": self.unknown,
            "doors": self.doors,
            "purged": self.purged,
            "uses": [
                {"shard": u.shard, "positions": u.positions, "doors": u.doors, "withdrawn": u.withdrawn}
                for u in self.uses
            ],
            "withdrawals": [each.facts() for each in self.withdrawals],
        }


def query(corpus: Corpus, target: Target, indexes: Sequence[Path] = ()) -> Answer:
    """Find what a target means in the current release.

    Args:
        indexes: of works, that the runs use, see :func:`_why_unknown`.

    Raises:
        UsageError: if the release was not made with one of the indexes.
    """
    release = corpus.release()
    asked = InForce({"": target})
    uses = []
    purged = 0
    has_urls = False
    for row in corpus.catalogue(release.number).rows():
        purged += sum(count for _, _, count in row.release.purged)
        known = merged_of(row, corpus.store)
        has_urls = has_urls or _has_urls(known)
        if rows := withdrawn_in(row, known, asked):
            uses.append(_use(row, known, sorted(rows), corpus.store))
    named = {name for use in uses for name in use.withdrawn}
    meant = [
        each
        for each in standings(corpus)
        if each.withdrawal.id in named
        or (each.withdrawal.in_force and set(each.withdrawal.target.marks) & set(target.marks))
    ]
    unknown = "" if uses else _why_unknown(target, release, has_urls, meant, indexes)
    return Answer(release.number, tuple(uses), tuple(meant), purged, unknown)


def _has_urls(known: Merged) -> bool:
    """Tell whether some record of a split has a URL: the mark of none is zeros."""
    none = pa.scalar(bytes(SIZE), known.records.schema.field("url").type)
    return bool(pc.any(pc.not_equal(known.records["url"], none)).as_py())


def _why_unknown(
    target: Target, release: Release, has_urls: bool, meant: Sequence[Standing], indexes: Sequence[Path]
) -> str:
    """Return why something that was found nowhere may be there all the same, or nothing.

    A run is refused that would not find a person or work that is withdrawn: what a withdrawal in force names was looked for. Of a work that none names
    the release does not say whether its indexes have it; the index does.
    """
    job = release.manifest["job"]
    if indexes and target.kind != "work":
        raise UsageError("--index says which works there are; it goes with --work alone")
    digests = {digest for files in job["artefacts"].values() for digest in files.values()}
    for folder in indexes:
        if set(files_of(folder).values()) - digests:
            raise UsageError(f"--index {folder}: release {release.number} was not made with it as it is now; run first")
    if target.kind == "url" and not has_urls:
        return "no record has a URL"
    if target.kind not in ("subject", "work") or any(
        each.effect and not each.effect["lifted"] and set(each.withdrawal.target.marks) & set(target.marks)
        for each in meant
    ):
        return ""
    if target.kind == "subject":
        kinds = {f"personal.{entity}" for entity in job["entities"]}
        return "" if kinds & set(target.shown.split(", ")) else f"its runs do not look for {target.shown}"
    if told_of([target.shown], [Fingerprint((str(folder),)) for folder in indexes]):
        return ""
    if indexes:
        return "no index that was named has this work; look for a misspelling"
    return "the release does not say whether its lists and indexes have this work: name the index (--index), or register the work"


def merged_of(row: Row, store: Store) -> Merged:
    """Return what is known of a split of the catalogue."""
    return merge([Layer.read(store.read(layer.name)) for layer in row.layers], row.taggers, row.split.cut.checksum)


def withdrawn_in(row: Row, known: Merged, in_force: InForce) -> dict[int, tuple[str, ...]]:
    """Return the entries of a split of the catalogue that are withdrawn; see :meth:`models.withdrawals.InForce.rows`."""
    shard = row.split.shard
    return in_force.rows(known, shard, source_in_path=row.kind == "path", path_source=source_of_path(shard.path))


def fates(row: Row, store: Store, positions: list[int]) -> list[dict[str, Any]]:
    """Return the audit's rows for entries of a split, given their positions."""
    audit = next(part for part in row.release.files if part.place == "audit")
    with store.fetched(audit.object) as path:
        wanted = [name for name in pq.read_schema(path).names if name in ("position", "door", "reasons", "sha256")]
        table = pq.read_table(path, columns=wanted)
    at = np.searchsorted(table["position"].to_numpy(), positions, side="right") - 1
    found: list[dict[str, Any]] = table.take(at).to_pylist()
    return found


def _use(row: Row, known: Merged, rows: list[int], store: Store) -> Use:
    positions = known.records["position"].to_numpy()[rows].tolist()
    doors: Counter[str] = Counter()
    names: set[str] = set()
    for fate in fates(row, store, positions):
        doors[fate["door"]] += 1
        for reason in fate["reasons"] or ():
            if reason["policy_rule"].startswith(REASON):
                names.add(reason["policy_rule"].removeprefix(REASON))
    return Use(row.split.shard.path, tuple(positions), dict(sorted(doors.items())), tuple(sorted(names)))


def said(answer: Answer) -> Iterator[str]:
    """Say an answer in lines of plain text."""
    doors = answer.doors
    kept = doors.get("clean", 0)
    counts = ", ".join(f"{count:,} {door}" for door, count in doors.items())
    purged = f"{answer.purged:,} records are purged, of which only the hash is known (--record sha256:HEX)"
    if answer.unknown:
        yield f"cannot be told of release {answer.release}: found nowhere, but {answer.unknown}" + (
            f"; and {purged}" if answer.purged else ""
        )
    elif kept:
        yield f"used in release {answer.release}: {counts}"
    elif not answer.uses and not answer.withdrawals:
        yield f"not used: never seen in release {answer.release}" + (
            f", as far as can be told: {purged}" if answer.purged else ""
        )
    else:
        yield f"not used in release {answer.release}" + (f": {counts}" if counts else ": no record")
    for each in answer.withdrawals:
        row = each.effect
        if row is None or row["lifted"]:
            yield f"  withdrawn by {in_words(each.facts())}: in force from the next run on"
        else:
            lifting = ", lifted from the next run on" if each.state == "lifting" else ""
            yield f"  withdrawn by {in_words(row)}: gone since release {row['release']}{lifting}"
    for use in answer.uses:
        places = ", ".join(map(str, use.positions[:20])) + (", …" if len(use.positions) > 20 else "")
        yield f"  {use.shard}: {', '.join(f'{count:,} {door}' for door, count in use.doors.items())} at {places}"
