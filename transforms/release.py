"""Release: splits and source states to output parts."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from models.agenda import Agenda
from models.job import Job
from models.judging import Judged, ReleaseTask, release_tasks
from models.release_pass import Released
from models.release_split import receipt_name, release_split
from models.sources import SourceStates
from transforms.metrics import Count, Measured
from transforms.notes import Notes
from transforms.pool import WATCH, Pooled
from transforms.tag import shared_stream
from transforms.trying import tried, tried_each
from transforms.workspace import Heard, workspace

Receipt = tuple[int, tuple[str, Released]]
"""Number of a segment of the agenda, and of one of its splits the digest and what became of it."""


def release_task(task: ReleaseTask, job: Job, beat: Callable[[str, int], None]) -> list[Measured[Receipt]]:
    """Release the splits of a task; each comes back with the number of its segment and the digest of its split."""
    space = workspace(job)
    states = SourceStates.read(Path(space.store.local(task.states.name)))
    opener = Heard(space.opener, beat)
    done = []
    with shared_stream([split for split, _, _ in task.splits], opener) as stream:
        for split, layers, digest in task.splits:
            clock = time.monotonic()
            beat(split.name, split.size)
            released = release_split(
                split, layers, job, states, opener, space.stores(), space.folders(), digest, stream
            )
            receipt = task.segment, (split.digest(job.reading), released)
            done.append(Measured(split.name, time.monotonic() - clock, split.size, receipt))
    return done


@dataclass
class Release(beam.PTransform):
    """Writes what is not up to date; gives a :data:`Receipt` a split.

    Attributes:
        agenda: as a singleton.
    """

    job: Job
    notes: Notes
    agenda: beam.pvalue.AsSingleton
    workers: int
    stall_timeout: float

    def expand(self, judged: beam.PCollection) -> beam.PCollection:
        work = Pooled("release", release_task, self.job, self.notes, self.workers, self.stall_timeout, _name)
        return (
            judged
            | "Tasks" >> beam.FlatMap(self._tasks, self.agenda)
            | "Spread" >> beam.Reshuffle()
            | "ReadAndWrite" >> beam.ParDo(work)
            | "Count" >> beam.ParDo(Count("release", self.notes, _counts))
        )

    def _tasks(self, judged: Judged, agenda: Agenda) -> Iterator[ReleaseTask]:
        todo: dict[str, int] = {}
        with self.notes.step():
            store = workspace(self.job).store
            for task in tried_each("release", "agenda", lambda: release_tasks(judged, agenda, self.job, store)):
                WATCH.planned["release"] += 1
                todo |= {receipt_name(digest): split.size for split, _, digest in task.splits}
                yield task
            tried("release", "release.todo", lambda: self.notes.write_todo("release", todo))


def _counts(receipt: Receipt) -> Mapping[str, int]:
    _, (_, released) = receipt
    return released.counts


def _name(task: ReleaseTask) -> str:
    return task.splits[0][0].name
