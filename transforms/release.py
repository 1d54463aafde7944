"""Release: splits and source states to output parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam

from models.agenda import Agenda
from models.job import Job
from models.judging import Judged, ReleaseTask, release_tasks
from models.release_pass import Released
from models.release_split import release_split
from models.sources import SourceStates
from transforms.pool import WATCH, Pooled
from transforms.tag import shared_stream
from transforms.workspace import Heard, workspace

Receipt = tuple[int, tuple[str, Released]]
"""Number of a segment of the agenda, and of one of its splits the digest and what became of it."""


def release_task(task: ReleaseTask, job: Job, beat: Callable[[str, int], None]) -> list[Receipt]:
    """Release the splits of a task; each comes back with the number of its segment and the digest of its split."""
    space = workspace(job)
    states = SourceStates.read(Path(space.store.local(task.states.name)))
    opener = Heard(space.opener, beat)
    done = []
    with shared_stream([split for split, _, _ in task.splits], opener) as stream:
        for split, layers, digest in task.splits:
            beat(split.name, split.cut.stop - split.cut.start if split.shard.format == "jsonl" else split.shard.size)
            released = release_split(
                split, layers, job, states, opener, space.stores(), space.folders(), digest, stream
            )
            done.append((task.segment, (split.digest(job.reading), released)))
    return done


@dataclass
class Release(beam.PTransform):
    """Writes what is not up to date; gives a :data:`Receipt` a split.

    Attributes:
        agenda: as a singleton.
    """

    job: Job
    agenda: beam.pvalue.AsSingleton
    workers: int
    stall_timeout: float

    def expand(self, judged: beam.PCollection) -> beam.PCollection:
        work = Pooled("release", release_task, self.job, self.workers, self.stall_timeout, _name)
        return (
            judged
            | "Tasks" >> beam.FlatMap(self._tasks, self.agenda)
            | "Spread" >> beam.Reshuffle()
            | "ReadAndWrite" >> beam.ParDo(work)
            | "Receipts" >> beam.FlatMap(lambda receipts: receipts)
        )

    def _tasks(self, judged: Judged, agenda: Agenda) -> Iterator[ReleaseTask]:
        for task in release_tasks(judged, agenda, self.job, workspace(self.job).store):
            WATCH.planned["release"] += 1
            yield task


def _name(task: ReleaseTask) -> str:
    return task.splits[0][0].name
