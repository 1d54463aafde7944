"""The outcome of a run before it is published: a new catalogue, and the tables that come from it."""

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.agenda import Agenda, Portion
from models.breakdowns import keep_total, write_breakdown
from models.bundle import read_bundle
from models.catalogue import (
    KINDS,
    TOTALS,
    Catalogue,
    Segment,
    SegmentRef,
    about,
    as_json,
    kind_of,
    released_facts,
    split_facts,
    tagged_facts,
    write_index,
    write_segment,
)
from models.coverage import coverage
from models.errors import ConservationError
from models.holding_out import artefacts_of
from models.job import Job
from models.judging import Entries, Judged, Work, check_dead, due_of
from models.keywords import keywords
from models.matched_works import MatchedWorks, told_of
from models.policy import Sources
from models.registered import keep_registry
from models.release_pass import Released
from models.release_split import breakdown_of
from models.removals import WAS
from models.rollups import keep_rollups
from models.sketches import COUNTED, SPLIT
from models.source_reading import SourceReading
from models.source_rule import uses
from models.source_states import BASES, BY_VERDICTS, judged_schema
from models.sources import STATES
from models.standing import Stood, stood, tallies_of
from models.store import Store
from models.summing import GroupWriter, How, Sums
from models.tally import COUNTS, DISTINCT
from models.verdicts import DOORS

_SUMMED = ("read", "removed", "removed_of", *WAS, *DISTINCT, "estimate_ppm", *BY_VERDICTS)

SOURCES = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "kind", "state")),
        *((name, pa.bool_()) for name in ("collect_allowed", "train_allowed")),
        *((name, pa.string()) for name in ("basis", "counted")),
        *((name, pa.int64()) for name in (*_SUMMED, *DOORS)),
    ]
)
"""Columns of the table of sources: null where a source has no tally of its own or no state, and where its reading has no such figure."""

_TAGGED = ("known", "kinds", "entries", "lost", "characters", "withdrawn", "languages")
"""Columns that a row of the catalogue takes from a receipt."""

_DOORS = pa.schema([("row", pa.int64()), ("source", pa.string()), *((name, pa.int64()) for name in DOORS)])


@dataclass(frozen=True)
class Outcome:
    """What a run came to; kept as JSON in the store.

    Attributes:
        base: number of the release that the run started from, 0 for none.
        index: of the new catalogue, name in the store.
        sources: table of sources, name in the store.
        breakdown: see :mod:`models.breakdown`, name in the store.
        registry: see :mod:`models.registered`, name in the store.
        rollups: see :mod:`models.rollups`, name in the store.
        moves: sources of which suddenly more or less is removed, see :data:`models.source_states.MOVES`, name in the store. It hangs on the last
            release, and is no part of the catalogue.
        counts: of the corpus.
        work: what this run had to do: splits tagged and released, splits of the corpus, new shards. It follows from the agenda, so that a
            job that an engine starts again says the same.
        twins: shards with the same content as another.
        gone: shards withdrawn.
        job: see :meth:`models.job.Job.described`.
        restricted: root of quarantine and dead letters, empty where it is the output: that may be moved.
        as_of: the date that comparisons used.
    """

    base: int
    index: str
    sources: str
    breakdown: str
    registry: str
    rollups: str
    moves: str
    counts: Mapping[str, int]
    work: Mapping[str, int]
    twins: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]
    job: Mapping[str, Any]
    restricted: str
    as_of: str

    @property
    def catalogue(self) -> dict[str, str]:
        """Names in the store of what a release's manifest calls its catalogue."""
        return {
            "index": self.index,
            "sources": self.sources,
            "breakdown": self.breakdown,
            "registry": self.registry,
            "rollups": self.rollups,
        }

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Outcome":
        twins = tuple((path, twin) for path, twin in facts["twins"])
        return cls(**{**facts, "twins": twins, "gone": tuple(facts["gone"])})


@dataclass(frozen=True)
class Concluded:
    """A segment of the new catalogue.

    Attributes:
        number: of the segment in the agenda.
        tagged, released: splits of which the catalogue lacked findings, and that were released.
    """

    number: int
    ref: SegmentRef
    tagged: int
    released: int


def conclude_segment(
    agenda: Agenda,
    judged: Judged,
    number: int,
    released: Mapping[str, Released],
    job: Job,
    store: Store,
    folder: Path,
) -> Concluded:
    """Write one segment of the new catalogue.

    Args:
        number: of the segment in the agenda.
        released: receipts of its releases by digest of the split.

    Raises:
        ConservationError: if a release is missing, or counts do not add up, naming the split.
    """
    portion, work = agenda.portions(store)[number], judged.work(store)[number]
    return _Concluding(portion, work, released, agenda.catalogue(store), job, store).conclude(number, folder)


class _Concluding:
    """One segment on its way into the catalogue."""

    def __init__(
        self,
        portion: Portion,
        work: Work,
        released: Mapping[str, Released],
        catalogue: Catalogue,
        job: Job,
        store: Store,
    ) -> None:
        self.portion, self.released, self.catalogue, self.job, self.store = portion, released, catalogue, job, store
        self.receipts = read_bundle(store, work.bundle)
        self.due, self.sketch = due_of(work, store), work.sketch

    def conclude(self, number: int, folder: Path) -> Concluded:
        self._check_released()
        found = stood(self.portion, self.receipts, self.catalogue, self.job, self.store)
        counts = tallies_of(found, self.receipts, COUNTS)
        rows, doors = [], [_DOORS.empty_table()]
        old: dict[str, tuple[Segment, list[tuple[int, int]]]] = {}
        numbers, lengths = [], []
        for at, each in enumerate(found):
            release = self.released.get(each.digest)
            if release is not None:
                doors.append(release.doors)
                numbers.append(at)
                lengths.append(len(release.doors))
            elif each.row is not None:
                segment, row = each.row
                old.setdefault(segment.path.name, (segment, []))[1].append((row, at))
            else:
                raise ConservationError(f"{each.split.name}: no release; run again")
            rows.append(self._row(each, release))
            _check_row(rows[-1])
        fresh = pa.concat_tables([table.select(["source", *DOORS]) for table in doors])
        fresh = fresh.add_column(0, "row", pa.array(np.repeat(numbers, lengths).astype(np.int64))).cast(_DOORS)
        kept = [moved_doors(segment, moved) for segment, moved in old.values()]
        ref = write_segment(rows, counts, pa.concat_tables([fresh, *kept]), self._about(found), self.store, folder)
        ref = replace(ref, breakdown=self._breakdown(found, folder), sketch=self.sketch)
        return Concluded(number, ref, sum(self.receipts.columns["fresh"]), len(self.released))

    def _breakdown(self, found: Sequence[Stood], folder: Path) -> str:
        fresh = {
            at: functools.partial(breakdown_of, self.released[each.digest].digest, self.store)
            for at, each in enumerate(found)
            if each.digest in self.released
        }
        kept = {at: each.row for at, each in enumerate(found) if at not in fresh and each.row is not None}
        write = functools.partial(write_breakdown, fresh, kept, self.catalogue)
        return keep(self.store, folder, "breakdowns", ".parquet", write)

    def _about(self, found: Sequence[Stood]) -> SegmentRef:
        if self.portion.kept is not None:
            return self.portion.kept
        by_shard = itertools.groupby((each.split for each in found), lambda split: split.shard)
        shards = [replace(shard, cuts=tuple(split.cut for split in splits)) for shard, splits in by_shard]
        return about(shards, self.portion.closed)

    def _check_released(self) -> None:
        done = {receipt.digest for receipt in self.released.values()}
        due = set(self.due.values())
        if due != done:
            raise ConservationError(f"{len(due - done)} releases are missing of {len(due)}; run again")

    def _row(self, each: Stood, release: Released | None) -> dict[str, Any]:
        """Return the row of a split: the catalogue's, with what is new in its place."""
        row: dict[str, Any] = {}
        if each.row is not None:
            segment, number = each.row
            row = segment.facts(number)
        new = []
        if each.planned is not None:
            split = each.planned.split
            kind = kind_of(split.shard.columns, self.job.reading.source_from)
            new.append(split_facts(split, each.planned.digest, kind))
        if each.receipt is not None:
            columns = self.receipts.columns
            layers = orjson.loads(columns["layers"][each.receipt])
            row |= {name: columns[name][each.receipt] for name in _TAGGED}
            counting = self.job.policy.tallying_digest
            new.append(tagged_facts(layers, self.job.wanted, counting, self.job.withdrawn))
        if release is not None:
            new.append(released_facts(release))
        if new:
            body = orjson.loads(row["body"]) if "body" in row else {}
            for facts, said in new:
                row |= facts
                body |= said
            row["body"] = as_json(body)
        return row


def moved_doors(segment: Segment, rows: list[tuple[int, int]]) -> pa.Table:
    """Return the doors of some rows of a segment, each under its new number; see :func:`models.standing.moved_tallies`."""
    to = np.full(len(segment), -1, np.int64)
    to[[row for row, _ in rows]] = [number for _, number in rows]
    table = segment.tallies("row", "source", *DOORS)
    moved = to[table["row"].to_numpy()]
    some = sum(table[name].to_numpy() for name in DOORS) > 0
    table = table.set_column(0, "row", pa.array(moved, pa.int64())).filter(pa.array((moved >= 0) & some))
    return table.set_column(1, "source", table["source"].cast(pa.string()))


def conclude(
    agenda: Agenda,
    judged: Judged,
    concluded: Iterable[Concluded],
    base: int,
    job: Job,
    store: Store,
    folder: Path,
) -> Outcome:
    """Write the new catalogue's index and the table of sources.

    Args:
        concluded: the segments that something was released of; others are written here, if anything about them changed.

    Raises:
        ConservationError: if a release is missing, or counts do not add up, naming split or source.
        DeadLetterLimitError: if the second reading made too many dead letters.
    """
    there = {each.number: each for each in concluded}
    refs: list[SegmentRef] = []
    tagged = released = 0
    for number, (portion, work) in enumerate(zip(agenda.portions(store), judged.work(store), strict=True)):
        if number not in there and portion.kept is not None and not (work.bundle or work.due):
            refs.append(portion.kept)
            continue
        done = there.get(number) or conclude_segment(agenda, judged, number, {}, job, store, folder)
        refs.append(done.ref)
        tagged, released = tagged + done.tagged, released + done.released
    index = write_index(refs, store, folder)
    catalogue = Catalogue.open(store, index)
    works = MatchedWorks()
    check_dead(_entries(catalogue, works), job)
    facts = agenda.facts(store)
    counts = {name: sum(ref.counts[name] for ref in refs) for name in TOTALS}
    sources = keep(
        store,
        folder,
        "catalogues",
        ".sources.parquet",
        _Sources(catalogue, judged, job.policy.sources, store, folder).write,
    )
    return Outcome(
        base,
        index,
        sources,
        keep_total(catalogue, counts, store, folder),
        keep_registry(sources, job, store, folder),
        keep_rollups(sources, job.reading.keys is not None, job.policy.sources.in_metadata, store, folder),
        judged.states.moves,
        counts,
        {"tagged": tagged, "released": released, "splits": sum(ref.splits for ref in refs), "new_shards": agenda.new},
        tuple((path, twin) for path, twin in facts["twins"]),
        tuple(facts["gone"]),
        job.described(version("winnow-corpus"))
        | {
            "coverage": coverage(job),
            "artefacts": artefacts_of(job.taggers),
            "keywords": keywords(job),
            "entities": sorted({each for tagger in job.taggers for each in getattr(tagger, "entities", ())}),
            "works": told_of((work for work, *_ in works.most()), job.taggers),
        },
        "" if job.restricted == job.root else job.restricted,
        job.as_of,
    )


def _entries(catalogue: Catalogue, works: MatchedWorks) -> Iterator[Entries]:
    """Give the entries of every split, and add up the works that its records match on the way."""
    for ref in catalogue.segments:
        columns = catalogue.read(ref).columns("path", "index", "of", "entries", "dead", "errors", "lost", "works")
        for matched in columns.pop("works"):
            if matched != "{}":
                works.add(orjson.loads(matched))
        for path, index, of, *counts in zip(*columns.values(), strict=True):
            yield Entries(functools.partial("{}-{:05}-of-{:05}".format, path, index + 1, of), *counts)


def _check_row(row: Mapping[str, Any]) -> None:
    out = row["clean"] + row["quarantined"] + row["dropped"] + row["dead"]
    if not row["read"] == out == row["entries"]:
        raise ConservationError(
            f"{row['path']}-{row['index'] + 1:05}-of-{row['of']:05}: {row['entries']} entries tagged, {row['read']} read again, "
            f"{out} went out"
        )


@dataclass(frozen=True)
class _Sources:
    """The table of sources on its way to a file: one row a source, sorted, written as a stream."""

    catalogue: Catalogue
    judged: Judged
    policy: Sources
    store: Store
    folder: Path

    def write(self, path: Path) -> None:
        judged = judged_schema(self.policy)
        names = dict.fromkeys("removed_of" if name == "records" else name for name in judged.names if name != "source")
        how: dict[str, How] = {"read": "sum", "least": "min", "most": "max", **dict.fromkeys((*names, *DOORS), "sum")}
        with Sums(how, self.folder) as sums:
            for ref in self.catalogue.segments:
                sums.add(self._read(ref))
            with pq.ParquetFile(self.store.local(self.judged.states.sources)) as file:
                for batch in file.iter_batches():
                    table = pa.Table.from_batches([batch])
                    # Twins are read, and tallied once.
                    sums.add(table.rename_columns(["removed_of" if n == "records" else n for n in table.column_names]))
            writer = GroupWriter(path, SOURCES)
            for chunk in sums.chunks():
                writer.write(_finished(chunk, self.policy))
            writer.close()

    def _read(self, ref: SegmentRef) -> pa.Table:
        segment = self.catalogue.read(ref)
        table = segment.tallies("row", "source", "records", *DOORS)
        kinds = np.array([KINDS.index(kind) for kind in segment.columns("kind")["kind"]], np.int64)
        kind = pa.array(kinds[table["row"].to_numpy()])
        table = table.append_column("least", kind).append_column("most", kind)
        table = table.rename_columns({"records": "read"})
        return table.filter(pc.not_equal(table["source"].cast(pa.string()), ""))


def _finished(sums: pa.Table, policy: SourceReading) -> pa.Table:
    """Return sums as rows of the table.

    Raises:
        ConservationError: if the doors of a source do not add up to its records.
    """
    read = pc.fill_null(sums["read"], 0).to_numpy()
    out = sum(pc.fill_null(sums[name], 0).to_numpy() for name in DOORS)
    if len(wrong := np.flatnonzero(read != out)):
        at = int(wrong[0])
        raise ConservationError(f"source {sums['source'][at].as_py()}: {read[at]} records read, {out[at]} went out")
    names = pa.array([*KINDS, "mixed"])
    mixed = pc.if_else(pc.equal(sums["least"], sums["most"]), sums["least"], len(KINDS))
    state, basis = (sums[name].combine_chunks() for name in ("state", "basis"))
    counted = (
        sums["counted"].combine_chunks()
        if "counted" in sums.column_names
        else pc.if_else(pc.is_valid(state), SPLIT, pa.scalar(None, pa.int64()))
    )
    of_state = (pa.array(STATES), *(pa.array(uses(policy, gate)) for gate in ("collect", "train")))
    figures = [*_SUMMED, *DOORS]
    return pa.Table.from_arrays(
        [
            sums["source"],
            names.take(mixed.combine_chunks()),
            *(values.take(state) for values in of_state),
            pa.array(BASES).take(basis),
            pa.array(COUNTED).take(counted),
            *(sums[name] if name in sums.column_names else pa.nulls(len(sums), pa.int64()) for name in figures),
        ],
        schema=SOURCES,
    )
