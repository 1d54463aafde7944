"""Explain: why a record is where it is."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.catalogue import Row
from models.decisions import by_override
from models.layer import Layer, id_hash
from models.removals import REASONS
from models.sources import CLEAN
from models.tagging import IDENTIFIERS
from models.withdrawals import REASON
from pipeline.corpus import Corpus, Release, why_purged
from pipeline.releases import gone
from pipeline.removals import move_in_words
from pipeline.withdrawals import effects_of
from pipeline.withdrawals import in_words as told_of


@dataclass(frozen=True)
class Explanation:
    """One entry's fate in a release.

    Attributes:
        shard, position: where it was read.
        audit: its row in the audit; for a kept one the run of entries that it is in; None if that part of the audit was purged.
        source: its source's row in the table of sources, or None.
        file: the clean or quarantine file that holds it, relative to the release, or empty.
        purged: why and when that file was deleted, or else the audit, or empty.
    """

    shard: str
    position: int
    audit: dict[str, Any] | None
    source: dict[str, Any] | None
    file: str
    purged: str


def explain(corpus: Corpus, name: str, number: int | None = None) -> Iterator[Explanation]:
    """Find the entries with an id, or ``<shard>#<position>``, and say what became of them.

    Layers keep 8 bytes of a hash of each id, so nothing but the audit is opened for an answer; two ids with equal hashes, one pair
    in some 10^19, would both be answered.
    """
    release = corpus.release(number)
    store = corpus.store
    shard, mark, position = name.rpartition("#")
    wanted = int(position) if mark and position.isdecimal() else None
    now = _layers_now(corpus) if release.number != corpus.number and release.purged else {}
    for row in corpus.catalogue(release.number).rows():
        try:
            records = Layer.read(store.read(row.layers[0].name)).records
        except FileNotFoundError:
            audit = next(part for part in row.release.files if part.place == "audit")
            stone = release.purged.get(f"audit/{audit.name}")
            if stone is None:
                raise gone(f"{store.root}/{row.layers[0].name}", f"a layer of release {release.number}") from None
            if row.digest not in now:  # nor is it in the corpus any more
                if wanted is not None and row.split.shard.path == shard:
                    yield Explanation(shard, wanted, None, None, "", why_purged(stone))
                continue
            records = Layer.read(store.read(now[row.digest])).records
        at = set(_rows_of_id(records, name))
        if wanted is not None and row.split.shard.path == shard:
            at |= set(np.flatnonzero(records["position"].to_numpy() == wanted).tolist())
        for entry in sorted(at):
            yield _explain(row, records, entry, release)


def _layers_now(corpus: Corpus) -> dict[str, str]:
    """Return a layer of each split of the current release: those of earlier ones may be purged."""
    return {row.digest: row.layers[0].name for row in corpus.catalogue().rows()}


def _rows_of_id(records: pa.Table, name: str) -> list[int]:
    equal = pc.equal(records["id"], pa.scalar(id_hash(name), pa.binary(8)))
    return np.flatnonzero(pc.fill_null(equal, False).to_numpy()).tolist()


def _explain(row: Row, records: pa.Table, entry: int, release: Release) -> Explanation:
    position = records["position"][entry].as_py()
    parts = {part.place: part for part in row.release.files}
    stone = release.purged.get(f"audit/{parts['audit'].name}")
    if stone is not None:
        return Explanation(row.split.shard.path, position, None, None, "", why_purged(stone))
    with release.fetched(f"audit/{parts['audit'].name}") as path:
        table = pq.read_table(path)
    covers = pc.and_(pc.less_equal(table["position"], position), pc.greater_equal(table["through"], position))
    audit = table.filter(covers).to_pylist()[0]
    name = records["source"][entry].as_py()
    with release.fetched("sources.parquet") as path:
        sources = pq.read_table(path, filters=[("source", "==", name)]).to_pylist() if name else []
    place = parts.get(audit["door"])
    file = f"{place.place}/{place.name}" if place else ""
    stone = release.purged.get(file)
    return Explanation(
        row.split.shard.path,
        position,
        audit,
        sources[0] if sources else None,
        file,
        why_purged(stone) if stone else "",
    )


def in_words(found: Explanation, manifest: dict[str, Any], titles: Mapping[str, str] | None = None) -> Iterator[str]:
    """Say an explanation in lines of plain text, with the titles of works by their ids where they are known."""
    audit, policy = found.audit, manifest["job"]["policy"]
    if audit is None:
        yield f"{found.shard} at {found.position}: in release {manifest['release']} its part of the audit was purged by {found.purged}"
        return
    door = {"dropped": "dropped", "dead": "a dead letter", "clean": "clean", "quarantine": "in quarantine"}[
        audit["door"]
    ]
    told = f" ({audit['action']})" if audit["action"] == "redact" else ""
    yield f"{found.shard} at {found.position}: {door}{told} in release {manifest['release']}"
    if found.file:
        yield f"  file: {found.file}" + (f", purged by {found.purged}" if found.purged else "")
    if audit["action"] == "keep" and not audit["reasons"]:
        yield f"  kept: no rule of {policy['name']}@{policy['version']} applies, and {_of_source(found.source)}"
    if audit.get("sha256"):
        yield f"  purged: nothing is kept of it but the SHA-256 of its text, {audit['sha256']}"
    if audit["error"]:
        yield f"  error: {audit['error']}: {audit['detail'] or ''}"
    for reason in audit["reasons"] or []:
        yield "  " + _reason(reason, manifest, titles or {})
    for span in audit["redactions"] or []:
        yield f"  characters {span['start']} to {span['end']} became {span['placeholder']}"
    source = found.source
    if source is not None:
        basis = source["basis"] or policy["basis"]
        yield (
            f"  source {source['source']}: {source['state']}, {source['unlawful']} of {source['distinct']} records unlawful "
            f"(limit {policy['limit']}, strictly over; reading: {policy['reading']}, basis: {basis})"
        )
        yield from _decided_otherwise(source, basis, manifest)
    yield f"  policy {policy['name']}@{policy['version']} {policy['digest'][:12]}"


def _of_source(source: dict[str, Any] | None) -> str:
    """Say what a record that no rule touches was kept by: a policy may keep those of a source that is not clean, too."""
    state = source["state"] if source is not None else None
    if state is None:
        return "nothing is known against its source"
    return "its source is clean" if state == CLEAN else f"the policy keeps such records of a source that is {state}"


def _decided_otherwise(source: dict[str, Any], basis: str, manifest: dict[str, Any]) -> Iterator[str]:
    """Say who or what decided about a source in place of its figures."""
    if basis in REASONS:
        yield f"  on hold until it is acknowledged: {move_in_words(source)}"
    if said_by := by_override(basis):
        entry, above = said_by
        by = next((each for each in manifest.get("overridden", ()) if each["entry"] == entry), None)
        if by is not None:
            on = f" about {above}, in which it lies" if above else ""
            yield f"  decided by {by['reviewer']}{on}: {by['state']} until {by['until']}"


def _reason(reason: dict[str, Any], manifest: dict[str, Any], titles: Mapping[str, str]) -> str:
    if reason["policy_rule"].startswith(REASON):
        row = effects_of(manifest)[reason["policy_rule"].removeprefix(REASON)]
        return f"withdrawn by {told_of(row)}, in force since release {row['release']}"
    if reason["tagger"] is None:
        return f"{reason['action']} by {reason['policy_rule']}"
    digest = manifest["job"]["taggers"].get(reason["tagger"], "")
    where = f"characters {reason['start']} to {reason['end']}"
    field = f" of the {reason['view']}" if reason["view"] in IDENTIFIERS else ""
    by = f"{reason['action']} by rule {reason['policy_rule']}: {reason['category']}"
    told = f"{reason['rule']}, score {reason['score']:.2f}"
    if reason["category"].startswith("copyright."):
        told = _work_in_words(reason, titles.get(reason["rule"], ""))
    return f"{by} ({told}) at {where}{field}, tagger {reason['tagger']} {digest[:12]}"


def _work_in_words(reason: dict[str, Any], title: str) -> str:
    work = f"{reason['rule']}, {title}" if title else reason["rule"]
    length = f"{reason['end'] - reason['start']:,} characters"
    if reason["category"] == "copyright.run":
        return f"{work}: shares {length} more"
    return f"{work}: shares {length} at the most, containment {100 * reason['score']:.0f} %"
