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
from backports import zstd

from models.addressed import keep
from models.agenda import Agenda, Portion, together
from models.audits import NOTHING as NO_VERDICTS
from models.audits import Evidences, evidences, present_strata, read_marks, read_verdicts, shards_of
from models.bundle import NOTHING, Bundle, Receipts, read_bundle
from models.errors import DeadLetterLimitError, UsageError
from models.job import Job
from models.layer import Merged
from models.policy import Decider
from models.shard import Split
from models.source_states import write_states
from models.sources import SourceStates, StatesByName
from models.standing import Standing, stand, stood
from models.store import Store
from models.summing import Sums
from models.tag_pass import LayerRef, read_merged
from models.tally import COUNTS


@dataclass(frozen=True)
class StateFile:
    """Where the states are, and what they rest on.

    Attributes:
        name: in the store.
        sources: name of the full table of sources in the store.
        splits: how many splits were tallied.
        agenda: name of the agenda that has them.
    """

    name: str
    sources: str
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
    """

    bundle: str
    due: str


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
    return tuple(Work(bundle, due) for bundle, due in orjson.loads(path.read_bytes()))


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
    all_of = _AllOf(agenda, {each.number: each.name for each in bundles}, job, store)
    with Sums(dict.fromkeys(COUNTS, "sum"), folder) as sums:
        check_dead(all_of.tallied(sums), job)
        all_of.check_yield()
        states, named, counts = write_states(sums, _evidences(all_of, job, store), job, store, folder)
    file = StateFile(named[0], named[1], agenda.splits, agenda.name)
    work, splits, size = [], 0, 0
    for number, portion in enumerate(all_of.portions):
        due = all_of.due(portion, number, states)
        work.append([all_of.bundles.get(number, ""), _keep_due(due, store, folder) if due else ""])
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
    return evidences(verdicts, strata_now, read_marks(store, job.marks), store)


def _keep_due(due: Sequence[tuple[int, str]], store: Store, folder: Path) -> str:
    data = zstd.compress(orjson.dumps(due), 1)
    return keep(store, folder, "agendas/due", ".json.zst", lambda path: path.write_bytes(data))


class _AllOf:
    """The segments of an agenda, one after another, as they stand after tagging."""

    def __init__(self, agenda: Agenda, bundles: Mapping[int, str], job: Job, store: Store) -> None:
        self.agenda, self.bundles, self.job, self.store = agenda, bundles, job, store
        self.portions = agenda.portions(store)
        self.catalogue = agenda.catalogue(store)
        self._new_splits = self._new_records = 0
        self._new_errors: Counter[str] = Counter()

    def receipts(self, number: int) -> Receipts:
        return read_bundle(self.store, self.bundles[number]) if number in self.bundles else NOTHING

    def stand(self, portion: Portion, number: int, counts: tuple[str, ...]) -> Standing:
        return stand(portion, self.receipts(number), self.catalogue, self.job, self.store, counts)

    def tallied(self, sums: Sums) -> "Iterator[Entries]":
        """Give the entries of every split, and add up the tallies of all but twins on the way."""
        for number, portion in enumerate(self.portions):
            standing = self.stand(portion, number, COUNTS)
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
