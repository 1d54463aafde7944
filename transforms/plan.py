"""Plan: input patterns to the run's agenda."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import apache_beam as beam

from models.agenda import Agenda, Pack, settle
from models.errors import UsageError
from models.job import Job
from models.planning import plan_shard
from models.shard import Shard
from transforms.base import Base, read_base
from transforms.listing import Found, list_shards
from transforms.notes import Notes
from transforms.pool import WATCH, Pooled
from transforms.trying import tried, tried_each
from transforms.workspace import Heard, workspace

_SHARDS_A_TASK = 64
_SMALL = 8 << 20
_STANDS = "agenda"
"""Note that keeps the address of the run's agenda."""


@dataclass(frozen=True)
class PlanTask:
    """Some shards by path, with what the catalogue has of each, and whether they are not worth a process."""

    shards: tuple[tuple[Found, Shard | None], ...]
    is_small: bool


def plan_task(task: PlanTask, shared: tuple[Job, str], beat: Callable[[str, int], None]) -> Pack:
    """Hash and cut some shards."""
    job, root = shared
    opener = Heard(workspace(job).opener, beat)
    shards = [
        plan_shard(opener, root, found.path, job.reading, job.split_size, known, found.generation)
        for found, known in task.shards
    ]
    return Pack.of(shards)


def named_shards(patterns: Iterable[str], job: Job, root: str) -> list[Found]:
    """List the shards that the patterns name.

    Raises:
        UsageError: if there are none, unless the job allows it.
    """
    matched = {pattern: list_shards(pattern, root, (job.root, job.restricted)) for pattern in patterns}
    if (void := [pattern for pattern, found in matched.items() if not found]) and not job.allow_empty:
        raise UsageError(f"nothing matches {', '.join(void)}; check the paths, or say allow_empty")
    return sorted({path for found in matched.values() for path in found})


def plan_tasks(paths: list[Found], job: Job, root: str, base: Base) -> Iterable[PlanTask]:
    """Give the hashing and cutting of some shards, several a task, each with what the catalogue has of it."""
    catalogue = read_base(job, base)
    # A large corpus goes 64 shards a task; a small one is spread over the workers.
    size = max(1, min(_SHARDS_A_TASK, len(paths) // 16))
    for start in range(0, len(paths), size):
        some = paths[start : start + size]
        known = tuple((found, catalogue.shard(found.path)) for found in some)
        yield PlanTask(known, _are_small(root, known))


def _are_small(root: str, shards: tuple[tuple[Found, Shard | None], ...]) -> bool:
    """Tell whether shards are only hashed, and that sooner than a worker process starts.

    What is new is parsed, and a damaged footer of a Parquet file can end the process that does it.
    """
    if "://" in root:
        return False
    try:
        sizes = [((Path(root) / found.path).stat().st_size, known) for found, known in shards]
    except OSError:
        return False  # said where the shard is read
    return all(known is not None and size == known.size for size, known in sizes) and sum(n for n, _ in sizes) < _SMALL


@dataclass
class Plan(beam.PTransform):
    """Lists, hashes and cuts shards, and joins them with the catalogue; gives one :class:`Agenda`, whose shards lie in the store.

    Attributes:
        root: input root; shards are known by their path below it.
        base: the release that the run starts from.
        exact: whether shards that are not named leave the corpus.
        notes: of the run.
    """

    job: Job
    root: str
    base: Base
    exact: bool
    notes: Notes
    workers: int
    stall_timeout: float

    def expand(self, patterns: beam.PCollection) -> beam.PCollection:
        work = Pooled(
            "plan", plan_task, (self.job, self.root), self.notes, self.workers, self.stall_timeout, _name, _is_small
        )
        return (
            patterns
            | "List" >> beam.FlatMap(self._list)
            | "Spread" >> beam.Reshuffle()
            | "HashAndCut" >> beam.ParDo(work)
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Settle" >> beam.Map(self._settle)
        )

    def _list(self, patterns: tuple[str, ...]) -> Iterator[PlanTask]:
        with self.notes.step():
            if self.notes.read(_STANDS) is not None:
                return
            paths = tried("plan", "listing", lambda: named_shards(patterns, self.job, self.root))
            tasks = tried_each("plan", "catalogue", lambda: plan_tasks(paths, self.job, self.root, self.base))
            for task in tasks:
                WATCH.planned["plan"] += 1
                yield task

    def _settle(self, packs: list[Pack]) -> Agenda:
        with self.notes.step():
            return tried("plan", "agenda", lambda: self._agenda(packs))

    def _agenda(self, packs: list[Pack]) -> Agenda:
        """Return the run's agenda: the first that was settled stands, whatever arrived before an engine planned again."""
        space = workspace(self.job)
        stands = self.notes.read(_STANDS)
        if stands is None:
            made = settle(packs, read_base(self.job, self.base), self.job, self.exact, space.store, space.scratch)
            stands = self.notes.first(_STANDS, asdict(made))
        agenda = Agenda(**stands)
        self.notes.write("plan", agenda.facts(space.store))
        return agenda


def _is_small(task: PlanTask) -> bool:
    return task.is_small


def _name(task: PlanTask) -> str:
    return task.shards[0][0].path
