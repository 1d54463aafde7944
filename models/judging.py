"""Judging: from the tallies of all splits to the states of sources, and to what must be released again."""

import bisect
import functools
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from backports import zstd

from models.addressed import keep
from models.agenda import Agenda, Portion, together
from models.audits import NOTHING as NO_VERDICTS
from models.audits import Evidences, evidences, present_strata, read_marks, read_verdicts, shards_of
from models.bundle import Bundle, Receipts, read_bundle
from models.drawing import strata_digest
from models.errors import DeadLetterLimitError, UsageError
from models.job import Job
from models.layer import Merged
from models.policy import Decider
from models.removals import WAS
from models.shard import Split
from models.sketch_files import gather, mark_of, read_rows, rows_of
from models.source_states import add_before, counted_of, write_states
from models.sources import SourceStates, StatesByName
from models.standing import Standing, stand, stood
from models.store import Store
from models.summing import Sums
from models.tag_pass import LayerRef, read_merged
from models.tally import ALL_RECORDS, COUNTS
from models.whole_sources import FIGURES, Records, Recount, is_open, totals


@dataclass(frozen=True)
class StateFile:
    """Where the states are, and what they rest on.

    Attributes:
        name: in the store.
        sources: name of the full table of sources in the store.
        moves: name of the table of those that moved, see :data:`models.source_states.MOVES`.
        splits: how many splits were tallied.
        agenda: name of the agenda that has them.
    """

    name: str
    sources: str
    moves: str
    splits: int
    agenda: str


@dataclass(frozen=True)
class ReleaseTask:
    """Splits of one segment for one worker to release, with what is known of each and the digest that its release must have.

    Attributes:
        segment: number in the agenda.
    """

    states: StateFile
    segment: int
    splits: tuple[tuple[Split, tuple[LayerRef, ...], str], ...]


@dataclass(frozen=True)
class Work:
    """What judging found of a segment of the agenda: names in the store, empty where there is nothing.

    Attributes:
        bundle: receipts of what was tagged.
        due: digests of the releases that are not up to date, by number of split.
        sketch: of the segment as it stands now, see :mod:`models.sketch_files`.
    """

    bundle: str
    due: str
    sketch: str


@dataclass(frozen=True)
class Judged:
    """The result of judging: states, and where it stands what must be released.

    Attributes:
        name: of the list of :class:`Work` in the store, one a segment of the agenda.
        counts: sources by state.
        splits, size: how many splits are to be released, and bytes of their shards.
    """

    states: StateFile
    name: str
    counts: Mapping[str, int]
    splits: int
    size: int

    def summary(self) -> dict[str, Any]:
        """Return what people want to know: how many sources are in each state, and what will be written."""
        return {"states": dict(self.counts), "splits_to_release": self.splits, "bytes_to_release": self.size}

    def work(self, store: Store) -> tuple[Work, ...]:
        return _work(store.local(self.name))


@functools.lru_cache(maxsize=2)
def _work(path: Path) -> tuple[Work, ...]:
    return tuple(Work(*each) for each in orjson.loads(path.read_bytes()))


def due_of(work: Work, store: Store) -> dict[int, str]:
    """Return the digests of the releases that a segment lacks, by number of split."""
    if not work.due:
        return {}
    return dict(orjson.loads(zstd.decompress(store.read(work.due))))


def judge_sources(agenda: Agenda, bundles: Iterable[Bundle], job: Job, store: Store, folder: Path) -> Judged:
    """Add up all tallies, write the states, and find what must be released.

    Raises:
        ConservationError: if the splits tagged are not those that were to be tagged: an empty tally must never look clean.
        DeadLetterLimitError: if too many entries are dead.
        UsageError: if new shards yield no record at all.
    """
    all_of = _AllOf(agenda, {each.number: each for each in bundles}, job, store)
    sketches: list[str] = []
    with Sums(dict.fromkeys((*counted_of(job.policy.sources), *WAS), "sum"), folder) as sums:
        check_dead(all_of.tallied(sums), job)
        all_of.check_yield()
        add_before(sums, job, store)
        evidences_now = _evidences(all_of, job, store)
        if job.policy.sources.sketched:
            sketches = [all_of.sketch(portion, number, folder) for number, portion in enumerate(all_of.portions)]
            _count_whole(all_of, sketches, evidences_now, sums, folder)
        states, named, counts = write_states(sums, evidences_now, job, store, folder)
    file = StateFile(*named, agenda.splits, agenda.name)
    work, splits, size = [], 0, 0
    for number, portion in enumerate(all_of.portions):
        due = all_of.due(portion, number, states)
        due_name = _keep_due(due, store, folder) if due else ""
        work.append([all_of.receipts_of(number), due_name, sketches[number] if sketches else ""])
        splits += len(due)
        size += all_of.sizes(portion, number, due) if due else 0
    text = orjson.dumps(work)
    name = keep(store, folder, "agendas/work", ".json", lambda path: path.write_bytes(text))
    return Judged(file, name, counts, splits, size)


def _evidences(all_of: "_AllOf", job: Job, store: Store) -> Evidences:
    """Return what people's verdicts say of sources, found again in the layers of the shards that they name."""
    if not (job.verdicts or job.marks):
        return NO_VERDICTS
    verdicts = read_verdicts(store, job.verdicts)
    twins = dict(all_of.agenda.facts(store)["twins"])
    splits = all_of.known_of(shards_of(verdicts, twins))
    strata_now = present_strata(verdicts, twins, splits, Decider(job.policy))
    by_now = strata_digest(job.wanted, job.policy.counting_digest)
    return evidences(verdicts, strata_now, read_marks(store, job.marks), store, by_now)


def _count_whole(all_of: "_AllOf", sketches: Sequence[str], evidences_now: Evidences, sums: Sums, folder: Path) -> None:
    """Add up the distinct records of whole sources, and count those anew whose state a sample leaves open.

    Args:
        sketches: of each segment of the agenda.
    """
    job, k = all_of.job, all_of.job.policy.sources.sketched
    tables = [read_rows(name, k, all_of.store) for name in sketches]
    open_ = [pa.array([], pa.string())]
    for sketch in totals(tables, k):
        figures = sketch.figures()
        is_unsettled = is_open(figures, evidences_now, job)
        open_.append(sketch.sources.filter(pa.array(is_unsettled)))
        sums.add(figures.select(["source", *FIGURES]).filter(pa.array(~is_unsettled)))
    if not len(sources := pa.concat_arrays(open_)):
        return
    decider = Decider(job.policy)
    with Recount(sources, folder) as recount:
        for number, (portion, table) in enumerate(zip(all_of.portions, tables, strict=True)):
            rows = table.filter(pc.is_in(table["source"], value_set=sources))
            is_cut = pc.greater(pc.list_value_length(rows["hashes"]), k)
            recount.add(Records.of_rows(rows.filter(pc.invert(is_cut)), sources))
            # The others the sketch has whole: nothing needs to be read for them.
            splits = frozenset(rows["split"].filter(is_cut).to_pylist())
            for known in all_of.known_in(portion, number, splits):
                recount.add(Records.of_split(known, sources, decider))
        sums.add(recount.figures())


def _keep_due(due: Sequence[tuple[int, str]], store: Store, folder: Path) -> str:
    data = zstd.compress(orjson.dumps(due), 1)
    return keep(store, folder, "agendas/due", ".json.zst", lambda path: path.write_bytes(data))


class _AllOf:
    """The segments of an agenda, one after another, as they stand after tagging."""

    def __init__(self, agenda: Agenda, bundles: Mapping[int, Bundle], job: Job, store: Store) -> None:
        self.agenda, self.bundles, self.job, self.store = agenda, bundles, job, store
        self.portions = agenda.portions(store)
        self.catalogue = agenda.catalogue(store)
        self._new_splits = self._new_records = 0
        self._new_errors: Counter[str] = Counter()

    def receipts(self, number: int) -> Receipts:
        return read_bundle(self.store, self.receipts_of(number))

    def receipts_of(self, number: int) -> str:
        """Return the name of the receipts of a segment in the store; empty if nothing was tagged in it."""
        return self.bundles[number].name if number in self.bundles else ""

    def stand(self, portion: Portion, number: int, counts: tuple[str, ...]) -> Standing:
        return stand(portion, self.receipts(number), self.catalogue, self.job, self.store, counts)

    def tallied(self, sums: Sums) -> "Iterator[Entries]":
        """Give the entries of every split, and add up the tallies of all but twins on the way."""
        for number, portion in enumerate(self.portions):
            # Over whole sources distinct records are not added up: the same text may stand in many splits.
            counts = ALL_RECORDS if self.job.policy.sources.sketched else COUNTS
            standing = self.stand(portion, number, counts)
            tallies = standing.tallies
            if any(standing.twins):
                own = ~np.array(standing.twins)[tallies["row"].to_numpy()]
                tallies = tallies.filter(pa.array(own))
            sums.add(tallies)
            if portion.kept is None:
                self._note_yield(portion, number)
            for at, (entries, dead, errors, lost) in enumerate(
                zip(standing.entries, standing.dead, standing.errors, standing.lost, strict=True)
            ):
                yield Entries(functools.partial(standing.name, at), entries, dead, errors, lost)

    def known_of(self, paths: Collection[str]) -> Iterator[tuple[str, Merged]]:
        """Give what is known of all splits of some shards, with the path of the shard; other segments are not read."""
        ordered = sorted(paths)
        for number, portion in enumerate(self.portions):
            if portion.kept is not None:
                first, last = portion.kept.first, portion.kept.last
                if bisect.bisect_left(ordered, first) == bisect.bisect_right(ordered, last):
                    continue
            receipts = self.receipts(number)
            for each in stood(portion, receipts, self.catalogue, self.job, self.store):
                if (path := each.place[0]) in paths:
                    yield path, read_merged(each.layers(receipts), each.split, self.job, self.store)

    def known_in(self, portion: Portion, number: int, splits: Collection[int]) -> Iterator[Merged]:
        """Give what is known of some splits of a segment, given by :func:`models.sketch_files.mark_of`."""
        if not splits:
            return
        receipts = self.receipts(number)
        for each in stood(portion, receipts, self.catalogue, self.job, self.store):
            if mark_of(each.digest) in splits:
                yield read_merged(each.layers(receipts), each.split, self.job, self.store)

    def sketch(self, portion: Portion, number: int, folder: Path) -> str:
        """Return the name of the sketch of a segment: what the catalogue has of its splits, with what was tagged in the place of that."""
        made = self.bundles[number].sketch if number in self.bundles else ""
        if portion.kept is not None and not portion.todo:
            return portion.kept.sketch
        receipts = self.receipts(number)
        if len(receipts.rows) == portion.splits:
            return made
        k = self.job.policy.sources.sketched
        old: dict[str, set[int]] = {}
        for each in stood(portion, receipts, self.catalogue, self.job, self.store):
            if each.receipt is None and each.row is not None:
                old.setdefault(self._sketches[each.row[0].path.name], set()).add(mark_of(each.digest))
        kept = [rows_of(read_rows(name, k, self.store), splits) for name, splits in sorted(old.items())]
        return gather([read_rows(made, k, self.store), *kept], k, self.store, folder)

    @functools.cached_property
    def _sketches(self) -> dict[str, str]:
        """Names of the sketches that the catalogue has, by file name of the segment."""
        return {Path(ref.name).name: ref.sketch for ref in self.catalogue.segments}

    def _note_yield(self, portion: Portion, number: int) -> None:
        receipts = self.receipts(number)
        for each in stood(portion, receipts, self.catalogue, self.job, self.store):
            if each.planned is not None and each.planned.new and each.receipt is not None:
                columns = receipts.columns
                self._new_splits += 1
                self._new_records += columns["entries"][each.receipt] - columns["dead"][each.receipt]
                self._new_errors.update(orjson.loads(columns["errors"][each.receipt]))

    def check_yield(self) -> None:
        if self._new_splits and not self._new_records and not self.job.allow_empty:
            dead = f": all entries are dead letters ({_by_class(self._new_errors)})" if self._new_errors else ""
            advice = _ENCODING if _may_be_encoded(self._new_errors) else "check the paths and the text column"
            raise UsageError(
                f"the {self.agenda.new} new shards have no record at all{dead}; {advice}, or say allow_empty"
            )

    def due(self, portion: Portion, number: int, states: SourceStates | StatesByName) -> list[tuple[int, str]]:
        """Return number and digest of each release that is not up to date."""
        standing = self.stand(portion, number, ())
        wanted = standing.release_digests(states, self.job)
        return [(at, digest) for at, digest in enumerate(wanted) if standing.released[at] != digest]

    def sizes(self, portion: Portion, number: int, due: Sequence[tuple[int, str]]) -> int:
        splits = stood(portion, self.receipts(number), self.catalogue, self.job, self.store)
        return sum(splits[at].split.size for at, _ in due)


def release_tasks(judged: Judged, agenda: Agenda, job: Job, store: Store) -> Iterator[ReleaseTask]:
    """Give the releases that are not up to date, small splits several a task."""
    catalogue, portions = agenda.catalogue(store), agenda.portions(store)
    for number, work in enumerate(judged.work(store)):
        due = due_of(work, store)
        if due:
            receipts = read_bundle(store, work.bundle)
            items = (
                (each.split, each.layers(receipts), due[at])
                for at, each in enumerate(stood(portions[number], receipts, catalogue, job, store))
                if at in due
            )
            yield from (ReleaseTask(judged.states, number, tuple(some)) for some in together(items, job.split_size))


_ENCODING = "if the shards are not UTF-8, set encoding (gb18030, utf-16), or convert them (iconv -f GB18030 -t UTF-8)"


def _by_class(errors: Mapping[str, int]) -> str:
    return ", ".join(
        f"{count} {error}" for error, count in sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    )


def _may_be_encoded(errors: Mapping[str, int]) -> bool:
    """Tell whether entries without any record among them look like another encoding.

    One that is not UTF-8 is enough: of UTF-16, only its first bytes may not be, and each line of it is no JSON.
    """
    return errors.get("bad_encoding", 0) > 0 or set(errors) == {"bad_json"}


@dataclass(frozen=True)
class Entries:
    """How many entries a split has, the dead among them, and how many more records are lost with those.

    Attributes:
        name: gives the name of the split.
        errors: the dead by class, JSON.
    """

    name: Callable[[], str]
    entries: int
    dead: int
    errors: str
    lost: int


def check_dead(splits: Iterable[Entries], job: Job) -> None:
    """Compare the dead letters of the whole corpus with what the job allows.

    Raises:
        DeadLetterLimitError: naming classes, splits and the likely remedy.
    """
    entries = dead = lost = 0
    errors: Counter[str] = Counter()
    worst: list[tuple[int, int, Entries]] = []
    for number, split in enumerate(splits):
        entries, dead, lost = entries + split.entries, dead + split.dead, lost + split.lost
        if split.dead or split.lost:
            errors.update(orjson.loads(split.errors))
            # Of equally bad ones the first.
            heapq.heappush(worst, (split.dead + split.lost, -number, split))
            if len(worst) > 3:
                heapq.heappop(worst)
    entries, dead = entries + lost, dead + lost
    allowed = max(job.max_dead_least, entries * job.max_dead_share_ppm // 1_000_000)
    if dead <= allowed:
        return
    said = _by_class(errors)
    advice = "look at the shards, map other columns, or raise max_dead"
    if errors.get("bad_encoding", 0) * 2 > dead:
        advice = _ENCODING
    raise DeadLetterLimitError(
        f"{dead} of {entries} entries are dead letters, {allowed} are allowed: {said}"
        + (f" ({lost} more records lost with them)" if lost else "")
        + "; most in "
        + ", ".join(
            f"{split.name()} ({count})" for count, _, split in sorted(worst, key=lambda each: each[:2], reverse=True)
        )
        + f". Nothing was published; {advice}"
    )
