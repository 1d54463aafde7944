"""Judging: from the tallies of all splits to the states of sources, and to what must be released again."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.agenda import Agenda, reusable
from models.catalogue import Catalogue
from models.digest import digest_of, digest_of_file
from models.errors import ConservationError, DeadLetterLimitError, UsageError
from models.job import Job
from models.layer import Known
from models.release_pass import release_digest
from models.shard import Split
from models.sources import STATES, SourceStates, judge
from models.store import Store, scratch_file
from models.tag_pass import LayerRef, Tagged
from models.tally import Tally, total


@dataclass(frozen=True)
class StateFile:
    """Where the states are, and what they rest on.

    Attributes:
        name: in the store.
        sources: name of the full table of sources in the store.
        splits: how many splits were tallied.
        splits_digest: digest of their digests.
    """

    name: str
    sources: str
    splits: int
    splits_digest: str


@dataclass(frozen=True)
class ReleaseTask:
    """Splits for one worker to release, with what is known of each and the digest that its release must have."""

    states: StateFile
    splits: tuple[tuple[Split, tuple[LayerRef, ...], str], ...]


@dataclass(frozen=True)
class Judged:
    """The result of judging: states, and the releases that are not up to date."""

    states: StateFile
    tasks: tuple[ReleaseTask, ...]

    def summary(self, store: Store) -> dict[str, Any]:
        """Return what people want to know: how many sources are in each state, and what will be written."""
        counts = pq.read_table(store.local(self.states.sources))["state"].value_counts().to_pylist()
        splits = [split for task in self.tasks for split, _, _ in task.splits]
        return {
            "states": {row["values"]: row["counts"] for row in counts},
            "splits_to_release": len(splits),
            "bytes_to_release": sum(split.size for split in splits),
        }


def judge_sources(
    agenda: Agenda, tagged: Sequence[Tagged], catalogue: Catalogue, job: Job, store: Store, folder: Path
) -> Judged:
    """Add up all tallies, write the states, and find what must be released.

    Raises:
        ConservationError: if the splits tagged are not those that were to be tagged: an empty tally must never look clean.
        DeadLetterLimitError: if too many entries are dead.
        UsageError: if new shards yield no record at all.
    """
    fresh = {receipt.split: receipt for receipt in tagged}
    _check_complete(agenda, fresh, catalogue, job)
    check_dead(_entries(agenda, fresh, catalogue, job), job)
    _check_yield(agenda, fresh, job)
    tallies = list(_tallies(agenda, fresh, catalogue, job))
    summed = total(tallies)
    sources = job.policy.sources
    codes = judge(summed, sources.limit, sources.min_records)
    states = SourceStates.of(summed, codes)
    names = [split.digest(job.reading) for split in agenda.splits()]
    table = summed.table.append_column("state", pa.array([STATES[code] for code in codes], pa.string()))
    file = StateFile(
        _create(store, folder, "arrow", states.write),
        _create(store, folder, "parquet", lambda path: pq.write_table(table, path, compression="zstd")),
        len(names),
        digest_of(sorted(names)),
    )
    return Judged(file, tuple(_release_tasks(agenda, fresh, catalogue, job, states, file)))


def _check_complete(agenda: Agenda, fresh: Mapping[str, Tagged], catalogue: Catalogue, job: Job) -> None:
    wanted = {
        split.digest(job.reading): split.name for split in agenda.splits() if reusable(split, catalogue, job) is None
    }
    if wanted.keys() != fresh.keys():
        missing = [name for digest, name in wanted.items() if digest not in fresh]
        raise ConservationError(
            f"the splits tallied are not the splits planned: {len(missing)} missing "
            f"({', '.join(sorted(missing)[:3])}), {len(fresh.keys() - wanted.keys())} unknown; run again"
        )
    for digest, receipt in fresh.items():
        # Dead letters belong to no source, but for records on which a tagger raised.
        dead = receipt.dead - receipt.errors.get("tagger_error", 0)
        counted = pc.sum(receipt.tally["records"]).as_py() or 0
        if counted + dead != receipt.entries:
            raise ConservationError(
                f"{wanted[digest]}: its tally counts {counted} records and {dead} dead letters of {receipt.entries} entries; "
                "run again"
            )


@dataclass(frozen=True)
class Entries:
    """How many entries a split has, the dead among them by class, and how many more records are lost with those."""

    name: str
    entries: int
    dead: int
    errors: Mapping[str, int]
    lost: int


def _entries(agenda: Agenda, fresh: Mapping[str, Tagged], catalogue: Catalogue, job: Job) -> Iterator[Entries]:
    for split in agenda.splits():
        digest = split.digest(job.reading)
        receipt = fresh.get(digest)
        if receipt is not None:
            yield Entries(split.name, receipt.entries, receipt.dead, receipt.errors, receipt.lost)
        elif (row := catalogue.find(digest)) is not None:
            yield Entries(split.name, row.entries, row.release.counts["dead"], row.release.errors, row.lost)


def check_dead(splits: Iterable[Entries], job: Job) -> None:
    """Compare the dead letters of the whole corpus with what the job allows.

    Raises:
        DeadLetterLimitError: naming classes, splits and the likely remedy.
    """
    splits = list(splits)
    lost = sum(split.lost for split in splits)
    entries, dead = lost + sum(split.entries for split in splits), lost + sum(split.dead for split in splits)
    allowed = max(job.max_dead_least, entries * job.max_dead_share_ppm // 1_000_000)
    if dead <= allowed:
        return
    errors: dict[str, int] = {}
    for split in splits:
        for error, count in split.errors.items():
            errors[error] = errors.get(error, 0) + count
    worst = sorted(splits, key=lambda split: -split.dead - split.lost)[:3]
    said = ", ".join(f"{count} {error}" for error, count in sorted(errors.items(), key=lambda item: -item[1]))
    advice = "look at the shards, map other columns, or raise max_dead"
    if errors.get("bad_encoding", 0) * 2 > dead:
        advice = "if the shards are not UTF-8, set encoding (gb18030, utf-16)"
    raise DeadLetterLimitError(
        f"{dead} of {entries} entries are dead letters, {allowed} are allowed: {said}"
        + (f" ({lost} more records lost with them)" if lost else "")
        + "; most in "
        + ", ".join(f"{split.name} ({split.dead + split.lost})" for split in worst)
        + f". Nothing was published; {advice}"
    )


def _check_yield(agenda: Agenda, fresh: Mapping[str, Tagged], job: Job) -> None:
    new = [split.digest(job.reading) for shard in agenda.shards if shard.path in agenda.new for split in shard.splits()]
    there = [fresh[digest] for digest in new if digest in fresh]
    if there and not job.allow_empty and not sum(receipt.entries - receipt.dead for receipt in there):
        raise UsageError(
            f"the {len(agenda.new)} new shards have no record at all; check the paths and the text column, "
            "or say allow_empty"
        )


def _tallies(agenda: Agenda, fresh: Mapping[str, Tagged], catalogue: Catalogue, job: Job) -> Iterator[Tally]:
    for shard in agenda.shards:
        if shard.twin:
            continue
        for split in shard.splits():
            digest = split.digest(job.reading)
            yield Tally(fresh[digest].tally if digest in fresh else catalogue.tally_of(digest))


def _release_tasks(
    agenda: Agenda,
    fresh: Mapping[str, Tagged],
    catalogue: Catalogue,
    job: Job,
    states: SourceStates,
    file: StateFile,
) -> Iterator[ReleaseTask]:
    waiting: list[tuple[Split, tuple[LayerRef, ...], str]] = []
    size = 0
    for shard in agenda.shards:
        todo = []
        for split in shard.splits():
            digest = split.digest(job.reading)
            row, receipt = catalogue.find(digest), fresh.get(digest)
            known: Known
            if receipt is not None:
                known, layers = receipt.known, receipt.layers
            else:
                assert row is not None
                known, layers = row.known, row.layers
            wanted = release_digest(digest, known, job, states)
            if row is None or row.release.digest != wanted:
                todo.append((split, layers, wanted))
        if shard.container and todo:
            yield ReleaseTask(file, tuple(todo))
            continue
        for item in todo:
            waiting.append(item)
            size += shard.size // max(1, len(shard.cuts))
            if size >= job.split_size:
                yield ReleaseTask(file, tuple(waiting))
                waiting, size = [], 0
    if waiting:
        yield ReleaseTask(file, tuple(waiting))


def _create(store: Store, folder: Path, suffix: str, write: Callable[[Path], None]) -> str:
    """Write a file and name it by its content."""
    with scratch_file(folder) as path:
        write(path)
        name = f"states/{digest_of_file(path)}.{suffix}"
        store.create_once(name, path)
    return name
