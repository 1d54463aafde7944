"""Verdicts of people in a run: brought to the strata that detectors put their records into now, and counted by source.

A verdict is on a record and survives every change of detectors. Its stratum does not: it is looked up anew in the layers of the shard that
the verdict names, whenever sources are judged. Records were drawn by a salted hash of their content, below a bound of the stratum that
they were of then. As long as strata go by the same detectors, the verdicts of a stratum are those of all its records below that bound, a uniform
sample of it. Once they go by others, the records of a stratum come from several, of which each was drawn below another bound, and of some that moved
nobody may have drawn one. So only verdicts below the least bound of all strata that the source had count then: below it every record of the
source was drawn, so they are a uniform sample of the source, and of every part of it, however it is divided.
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep, keep_json
from models.layer import Merged
from models.policy import Decider
from models.reviews import VERDICTS
from models.source_rule import Counts
from models.store import Store
from models.tally import STRATA, is_counted, strata

SETS = "decisions/verdicts"
"""Folder of the store with the verdicts that runs went by; the ledger of sources names them, so they stay."""

MARKS = "decisions/marks"
"""Folder of the store with what runs took to be on the blacklist before."""

AUDITED, CONFIRMED = (tuple(f"{what}_{stratum}" for stratum in STRATA) for what in ("audited", "confirmed"))
"""Columns of tables: verdicts that count by stratum, and those of them that found a risk."""

NOWHERE = 255
"""In place of a stratum: the record is not in the corpus any more."""


def keep_verdicts(verdicts: pa.Table, store: Store, folder: Path) -> str:
    """Write final verdicts, see :data:`models.reviews.VERDICTS`, and return their name in the store; empty if there are none."""
    if not len(verdicts):
        return ""
    table = verdicts.select(VERDICTS.names).cast(VERDICTS).combine_chunks()
    return keep(store, folder, SETS, ".parquet", lambda path: pq.write_table(table, path, compression="zstd"))


def read_verdicts(store: Store, name: str) -> pa.Table:
    """Read what :func:`keep_verdicts` wrote; the empty name has none."""
    return _read(store.local(name)) if name else VERDICTS.empty_table()


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> pa.Table:
    return pq.read_table(path, schema=VERDICTS).combine_chunks()


@dataclass(frozen=True)
class Mark:
    """What the ledger says of a source that verdicts put on the blacklist once.

    Attributes:
        entry: number of the entry by which it is on the list, 0 if it left.
        verdicts: name of the set of verdicts that counted when it got there: only others can clear it, and once it left, only others count.
    """

    entry: int
    verdicts: str


def keep_marks(marks: Mapping[str, Mark], store: Store, folder: Path) -> str:
    """Write marks by source and return their name in the store; empty if there are none."""
    if not marks:
        return ""
    facts = {source: [each.entry, each.verdicts] for source, each in marks.items()}
    return keep_json(store, folder, MARKS, facts)


def read_marks(store: Store, name: str) -> dict[str, Mark]:
    """Read what :func:`keep_marks` wrote; the empty name has none."""
    if not name:
        return {}
    return {source: Mark(entry, verdicts) for source, (entry, verdicts) in orjson.loads(store.read(name)).items()}


def present_strata(
    verdicts: pa.Table, twins: Mapping[str, str], splits: Iterable[tuple[str, Merged]], decider: Decider
) -> npt.NDArray[np.uint8]:
    """Return the stratum of each verdict's record now, index in :data:`models.tally.STRATA`, or :data:`NOWHERE`; shape (verdicts,).

    A record that stands in several splits of its shard is of the worst stratum that it has there.

    Args:
        twins: of shards that have the content of another, which is tallied in their place, the path of that one.
        splits: path of the shard and what is known, of all splits of the shards of :func:`shards_of`.
    """
    found = np.full(len(verdicts), NOWHERE, np.uint8)
    wanted: dict[str, dict[tuple[str, bytes], int]] = {}
    columns = (verdicts[name].to_pylist() for name in ("shard", "source", "content"))
    for at, (shard, source, content) in enumerate(zip(*columns, strict=True)):
        wanted.setdefault(twins.get(shard, shard), {})[source, content] = at
    for path, known in splits:
        here = wanted.get(path, {})
        records = known.records
        contents = pa.array(sorted({content for _, content in here}), pa.binary(16))
        rows = pc.and_(is_counted(records), pc.is_in(records["content"], value_set=contents))
        some = records.select(["source", "content"]).filter(rows)
        pairs = zip(some["source"].cast(pa.string()).to_pylist(), some["content"].to_pylist(), strict=True)
        for pair, stratum in zip(pairs, strata(known, decider)[rows.to_numpy()].tolist(), strict=True):
            if pair in here:
                found[here[pair]] = min(found[here[pair]], stratum)
    return found


def shards_of(verdicts: pa.Table, twins: Mapping[str, str]) -> frozenset[str]:
    """Return the paths of the shards in which the records of verdicts are looked up."""
    return frozenset(twins.get(path, path) for path in verdicts["shard"].unique().to_pylist())


@dataclass(frozen=True)
class Audited:
    """Verdicts that count, by source and stratum.

    Attributes:
        sources: shape (n,), strings.
        audited, unlawful: shape (n, strata): verdicts, and those of them that found a risk.
    """

    sources: pa.Array
    audited: Counts
    unlawful: Counts

    def of(self, sources: pa.ChunkedArray) -> tuple[Counts, Counts] | None:
        """Return audited and unlawful verdicts of some sources, shape (sources, strata); None if there are none at all."""
        at = pc.fill_null(pc.index_in(sources, value_set=self.sources), -1).to_numpy()
        if not (at >= 0).any():
            return None
        none = np.zeros((1, len(STRATA)), np.int64)
        # The row after the last stands for all others.
        return np.concatenate([self.audited, none])[at], np.concatenate([self.unlawful, none])[at]


def audited_of(
    verdicts: pa.Table, strata_now: npt.NDArray[np.uint8], left_out: npt.NDArray[np.bool_], by_now: str
) -> Audited:
    """Count verdicts by source and present stratum.

    Args:
        strata_now: of each, see :func:`present_strata`.
        left_out: shape (verdicts,): those that do not count.
        by_now: digest of what strata go by now, see :func:`models.drawing.strata_digest`.
    """
    encoded = verdicts["source"].combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names, source = encoded.dictionary, encoded.indices.to_numpy()
    draw, bound = verdicts["draw"].to_numpy(), verdicts["bound"].to_numpy()
    shape = len(names), len(STRATA)
    there = (strata_now != NOWHERE) & ~left_out
    cell = source[there], strata_now[there]
    least = np.full(shape, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least, cell, bound[there])
    # Of one sample a source, so all verdicts of a source are of the same strata.
    bounds = np.where(_are_of(verdicts, by_now)[there], least[cell], verdicts["least"].to_numpy()[there])
    counts = draw[there] < bounds
    audited, unlawful = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    np.add.at(audited, cell, counts)
    np.add.at(unlawful, cell, counts & verdicts["unlawful"].to_numpy(zero_copy_only=False)[there])
    return Audited(names, audited, unlawful)


def _are_of(verdicts: pa.Table, by: str) -> npt.NDArray[np.bool_]:
    """Return which verdicts are on a sample whose strata went by a digest; shape (verdicts,)."""
    return np.asarray(pc.equal(verdicts["by"], by).to_numpy() & (by != ""))


def not_since(verdicts: pa.Table, sets: Mapping[str, str], store: Store, by_now: str) -> npt.NDArray[np.bool_]:
    """Return which verdicts are none that came since the set that is named for their source; shape (verdicts,).

    Those of the set itself; and where the strata of the one or the other are not those of now, all that was drawn below the greatest bound of the set:
    leaving out more of one old stratum than of another would leave no uniform sample. Draws by another salt cannot be compared, so none counts then.

    Args:
        sets: names of sets by source; of other sources none is.
        by_now: digest of what strata go by now.
    """
    found = np.zeros(len(verdicts), np.bool_)
    is_same = _are_of(verdicts, by_now)
    for name in sorted({each for each in sets.values() if each}):
        sources = pa.array(sorted(source for source, each in sets.items() if each == name), pa.string())
        old = read_verdicts(store, name)
        old = old.filter(pc.is_in(old["source"], value_set=sources))
        known = set(zip(old["source"].to_pylist(), old["content"].to_pylist(), strict=True))
        floors = _floors(old, by_now)
        at = np.flatnonzero(pc.is_in(verdicts["source"], value_set=sources).to_numpy())
        some = verdicts.take(pa.array(at)).select(["source", "content", "draw", "series"])
        for place, (source, content, draw, series) in zip(
            at.tolist(), zip(*(column.to_pylist() for column in some.columns), strict=True), strict=True
        ):
            of_series, floor, was_same = floors.get(source, (series, 0, True))
            mixed = not (was_same and is_same[place])
            found[place] |= (source, content) in known or (mixed and (series != of_series or draw < floor))
    return found


def _floors(old: pa.Table, by_now: str) -> dict[str, tuple[int, int, bool]]:
    """Return of each source of a set the series of its draws, its greatest bound, and whether its strata are those of now."""
    found: dict[str, tuple[int, int, bool]] = {}
    same = _are_of(old, by_now).tolist()
    columns = (old[name].to_pylist() for name in ("source", "series", "bound"))
    for source, series, bound, is_same in zip(*columns, same, strict=True):
        found[source] = series, max(bound, found.get(source, (0, 0))[1]), is_same
    return found


@dataclass(frozen=True)
class Evidences:
    """What people's verdicts say of sources now.

    Attributes:
        now: all verdicts that count.
        since: of marked sources, those that came since they were marked.
        marks: of all sources that have one, by name.
    """

    now: Audited
    since: Audited
    marks: Mapping[str, Mark]


def evidences(
    verdicts: pa.Table, strata_now: npt.NDArray[np.uint8], marks: Mapping[str, Mark], store: Store, by_now: str
) -> Evidences:
    """Return what verdicts say of sources, given what they were marked by before.

    Args:
        by_now: digest of what strata go by now, see :func:`models.drawing.strata_digest`.
    """
    left = {source: mark.verdicts for source, mark in marks.items() if not mark.entry}
    marked = {source: mark.verdicts for source, mark in marks.items() if mark.entry}
    is_marked = pc.is_in(verdicts["source"], value_set=pa.array(sorted(marked), pa.string())).to_numpy()
    now = audited_of(verdicts, strata_now, not_since(verdicts, left, store, by_now), by_now)
    since = audited_of(verdicts, strata_now, not_since(verdicts, marked, store, by_now) | ~is_marked, by_now)
    return Evidences(now, since, marks)


NOTHING = Evidences(*(audited_of(VERDICTS.empty_table(), np.zeros(0, np.uint8), np.zeros(0, np.bool_), ""),) * 2, {})
