"""Distinct records over whole sources, however they are cut: sketches of all segments brought together, and counted anew where they leave
a state open.

Everything comes from the content hashes of layers, never from text, and is the same whatever the cuts, the order and the number of
workers. Memory holds the sources of one range of names at a time, and of their records some times :data:`MOST`.
"""

import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.audits import Evidences
from models.errors import ConservationError
from models.intervals import Flags, is_above, is_within, wilson
from models.job import Job
from models.layer import Merged
from models.policy import Decider, Sources
from models.sketches import ESTIMATED, RECOUNTED, Sketch, hashes_of, total
from models.source_rule import Evidence, judge
from models.source_states import calibration_of
from models.summing import OnDisk
from models.tally import DISTINCT, STRATA, is_counted, strata

MOST = 1 << 22
"""Records that are brought together at a time; more or fewer change ranges, never figures."""

EVERY = 1 << 16
"""Of so many records of sketches the source of one is noted, to find ranges."""

SURE = Fraction(4)
"""Quantile of Wilson's interval round the share of a sample. A sample within it of the limit is not relied upon: all is counted anew. One that
is outside has the wrong side of the limit once in 30,000 times if the truth is at the interval's very end, hardly ever else."""

FIGURES = (*DISTINCT, "counted")
"""What is known of the distinct records of a source."""


class _Run:
    """Rows of one object, see :data:`models.sketch_files.ROWS`, as arrays."""

    def __init__(self, table: pa.Table) -> None:
        table = table.combine_chunks()
        self.sources, *lists = (table[name].chunk(0) for name in ("source", "hashes", "strata", "characters"))
        self._offsets = lists[0].offsets.to_numpy().astype(np.int64)
        self._values = [each.values.to_numpy() for each in lists]

    def __len__(self) -> int:
        return len(self.sources)

    def find(self, source: str) -> int:
        """Return the number of rows before a source."""
        return bisect.bisect_left(range(len(self)), source, key=lambda row: self.sources[row].as_py())

    def sample(self, first: int) -> tuple[list[str], int]:
        """Return the source of one record of every :data:`EVERY`, from a number on, and the number at which the next run goes on."""
        start, stop = self._offsets[[0, -1]].tolist()
        at = np.arange(start + first, stop, EVERY)
        rows = np.searchsorted(self._offsets, at, side="right") - 1
        return self.sources.take(pa.array(rows)).to_pylist(), first + len(at) * EVERY - (stop - start)

    def part(self, k: int, start: int, stop: int) -> Sketch:
        """Return rows as a sketch, in which a source may stand more than once: to be added up with others."""
        at = self._offsets[start : stop + 1]
        return Sketch(
            k, self.sources.slice(start, stop - start), np.diff(at), *(each[at[0] : at[-1]] for each in self._values)
        )


def totals(tables: Iterable[pa.Table], k: int) -> Iterator[Sketch]:
    """Give the sketches of all sources, range by range in the order of their names.

    Args:
        tables: see :data:`models.sketch_files.ROWS`, mapped into memory.
    """
    runs = [_Run(table) for table in tables if len(table)]
    starts = [0] * len(runs)
    for bound in [*_bounds(runs), None]:
        ends = [len(run) if bound is None else run.find(bound) for run in runs]
        waiting: list[Sketch] = []
        size, allowed = 0, 2 * MOST
        for run, start, end in zip(runs, starts, ends, strict=True):
            for piece in _pieces(run, k, start, end):
                waiting.append(piece)
                size += len(piece.hashes)
                if size > allowed:
                    waiting = [total(k, waiting)]
                    size = len(waiting[0].hashes)
                    allowed = 2 * max(MOST, size)
        starts = ends
        if waiting:
            yield total(k, waiting)


def _pieces(run: _Run, k: int, start: int, end: int) -> Iterator[Sketch]:
    """Give rows in portions of which none has more than :data:`MOST` records."""
    step = max(1, MOST // (k + 1))
    return (run.part(k, at, min(at + step, end)) for at in range(start, end, step))


def _bounds(runs: Sequence[_Run]) -> list[str]:
    samples: list[str] = []
    first = 0
    for run in runs:
        found, first = run.sample(first)
        samples += found
    step = max(1, MOST // EVERY)
    return sorted(set(sorted(samples)[step::step]))


def is_open(figures: pa.Table, evidences: Evidences, job: Job) -> Flags:
    """Tell the sources whose state a sample does not settle; shape (sources,).

    By the literal reading those for which the limit lies in the interval round the sample's share, decided in integers. By verdicts all
    that have some: the weights of their strata decide with them. By a calibrated classifier those of which the ends of that interval
    give two states.

    Args:
        figures: see :meth:`models.sketches.Sketch.figures`.
    """
    policy = job.policy.sources
    open_ = np.zeros(len(figures), np.bool_)
    at = np.flatnonzero(figures["counted"].to_numpy() == ESTIMATED)
    if not len(at):
        return open_
    some = figures.take(pa.array(at))
    part, whole = some["sampled_unlawful"].to_numpy(), some["sampled"].to_numpy()
    if policy.reading == "literal":
        sure = is_above(part, whole, policy.limit, SURE) | is_within(part, whole, policy.limit, SURE)
    else:
        sure = ~(pc.is_in(some["source"], value_set=evidences.now.sources).to_numpy(zero_copy_only=False))
        sure &= _is_triage_sure(some, part, whole, policy, job.epoch)
    open_[at] = ~sure
    return open_


def _is_triage_sure(
    some: pa.Table, part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64], policy: Sources, epoch: str
) -> Flags:
    calibrated = tuple(each for each in policy.calibration if each.epoch in ("", epoch))
    calibration = calibration_of(some["source"], calibrated)
    if calibration is None:
        return np.ones(len(some), np.bool_)
    distinct = some["distinct"].to_numpy()
    cluster = np.full(len(some), float(policy.records_per_cluster))
    interval = wilson(part, whole, float(SURE))
    ends = (np.floor(interval.low * distinct), np.minimum(np.ceil(interval.high * distinct), distinct))
    low, high = (
        judge(Evidence(distinct, flagged.astype(np.int64), cluster=cluster, calibration=calibration), policy).state
        for flagged in ends
    )
    return np.asarray(low == high)


@dataclass(frozen=True)
class Records:
    """Records of some sources, equal texts among them.

    Attributes:
        codes: shape (n,): numbers of the sources.
        hashes, strata, characters: see :class:`models.sketches.Sketch`.
    """

    codes: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    strata: npt.NDArray[np.uint8]
    characters: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of_split(cls, known: Merged, sources: pa.Array, decider: Decider) -> "Records":
        """Return the records of a split that are of some sources, numbered as these are."""
        records = known.records
        found = pc.index_in(records["source"].cast(pa.string()), value_set=sources)
        mask = pc.and_(is_counted(records), pc.is_valid(found))
        at = mask.to_numpy()
        return cls(
            found.filter(mask).to_numpy().astype(np.int64),
            hashes_of(records["content"].filter(mask)),
            strata(known, decider)[at],
            records["characters"].to_numpy()[at],
        )

    @classmethod
    def of_rows(cls, rows: pa.Table, sources: pa.Array) -> "Records":
        """Return what rows of :data:`models.sketch_files.ROWS` have, all of these sources."""
        counts = pc.list_value_length(rows["hashes"]).to_numpy()
        codes = pc.index_in(rows["source"], value_set=sources).to_numpy().astype(np.int64)
        values = (pc.list_flatten(rows[name]).to_numpy() for name in ("hashes", "strata", "characters"))
        return cls(np.repeat(codes, counts), *values)

    @classmethod
    def together(cls, parts: Sequence["Records"]) -> "Records":
        """Return the distinct records of some, by hash and source; what parts say differently counts as the worst of it."""
        codes, hashes, which, length = (
            np.concatenate([getattr(each, name) for each in parts]) for name in cls.__dataclass_fields__
        )
        by = np.lexsort((codes, hashes))
        codes, hashes, which, length = codes[by], hashes[by], which[by], length[by]
        first = np.ones(len(codes), np.bool_)
        first[1:] = (codes[1:] != codes[:-1]) | (hashes[1:] != hashes[:-1])
        at = np.flatnonzero(first)
        if not len(at):
            return cls(codes, hashes, which, length)
        return cls(codes[at], hashes[at], np.minimum.reduceat(which, at), np.maximum.reduceat(length, at))


class Recount(OnDisk):
    """Counts the distinct records of some sources, in sorted runs on the disk of this machine.

    Args:
        sources: distinct strings, shape (n,).
        folder: see :class:`models.summing.OnDisk`.
    """

    def __init__(self, sources: pa.Array, folder: Path) -> None:
        super().__init__(folder, "recount-")
        self.sources = sources
        self._waiting: list[Records] = []
        self._size = 0
        self._runs: list[pa.Table] = []

    def add(self, records: Records) -> None:
        """Add records; any may be added again."""
        self._waiting.append(records)
        self._size += len(records)
        if self._size > MOST:
            self._spill()

    def figures(self) -> pa.Table:
        """Return ``source`` and :data:`FIGURES` of every source.

        Raises:
            ConservationError: if one has no record.
        """
        self._spill()
        sums = np.zeros((len(self.sources), len(DISTINCT)), np.int64)
        for records in self._ranges():
            length = records.characters.astype(np.int64)
            high, low = (records.strata == code for code, _ in enumerate(STRATA[:2]))
            ones = np.ones(len(records), np.int64)
            for at, counted in enumerate((ones, high, low, length, high * length, low * length)):
                np.add.at(sums[:, at], records.codes, counted)
        if len(wrong := np.flatnonzero(sums[:, 0] == 0)):
            raise ConservationError(
                f"source {self.sources[int(wrong[0])].as_py()}: no layer has its records; run again"
            )
        columns = {name: sums[:, at] for at, name in enumerate(DISTINCT)}
        return pa.table({"source": self.sources, **columns, "counted": np.full(len(sums), RECOUNTED)})

    def _ranges(self) -> Iterator[Records]:
        """Give the distinct records by ranges of hashes, so that any number of one source passes through."""
        parts = -(-sum(len(run) for run in self._runs) // MOST)
        hashes = [run["hashes"].to_numpy() for run in self._runs]
        starts = [0] * len(self._runs)
        for part in range(1, parts + 1):
            bound = (part << 64) // parts
            ends = [
                len(each) if bound >> 64 else int(np.searchsorted(each, np.uint64(bound), side="left"))
                for each in hashes
            ]
            pieces = [
                Records(*(run[name].to_numpy()[start:end] for name in Records.__dataclass_fields__))
                for run, start, end in zip(self._runs, starts, ends, strict=True)
            ]
            starts = ends
            yield Records.together(pieces)

    def _spill(self) -> None:
        if not self._size:
            return
        records = Records.together(self._waiting)
        self._waiting, self._size = [], 0
        table = pa.table({name: getattr(records, name) for name in Records.__dataclass_fields__})
        path = Path(self._folder.name) / f"{len(self._runs)}.arrow"
        with pa.OSFile(str(path), "wb") as file, ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        self._runs.append(ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks())
