"""Tag: splits to receipts, by way of layers in the store."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from models.agenda import Agenda, TagTask, tag_tasks
from models.bundle import Bundle, bundle
from models.documents import Documents
from models.files import Opener
from models.findings import Findings
from models.job import Job
from models.records import ShardStream, open_stream
from models.shard import Split
from models.tag_pass import Tagged, layers_for, tag_split
from models.taggers import Tagger
from models.tagging import ensure_loaded, tag
from transforms.metrics import Count, Measured
from transforms.notes import Notes
from transforms.pool import WATCH, Pooled
from transforms.trying import tried, tried_each
from transforms.workspace import Heard, workspace

Receipt = tuple[int, Tagged]
"""Number of a segment of the agenda, and what is known of one of its splits."""


def tag_task(task: TagTask, job: Job, beat: Callable[[str, int], None]) -> list[Measured[Receipt]]:
    """Tag the splits of a task; each receipt comes with the number of its segment."""
    space = workspace(job)
    opener = Heard(space.opener, beat)
    with shared_stream([split for split, _ in task.splits], opener) as stream:
        done = []
        for split, layers in task.splits:
            clock = time.monotonic()
            tagged = tag_split(split, layers, job, opener, space.store, space.scratch, beat, stream)
            done.append(Measured(split.name, time.monotonic() - clock, split.size, (task.segment, tagged)))
    return done


@contextlib.contextmanager
def shared_stream(splits: list[Split], opener: Opener) -> Iterator[ShardStream | None]:
    """Open a compressed shard once for all its splits; others are opened split by split."""
    shard = splits[0].shard
    if not shard.container or len(splits) == 1:
        yield None
        return
    with open_stream(opener, shard) as stream:
        yield stream


@dataclass
class TagSplits(beam.PTransform):
    """Tags what the agenda lacks; gives a :class:`Bundle` of receipts for every segment in which something was tagged."""

    job: Job
    notes: Notes
    workers: int
    stall_timeout: float

    def expand(self, agenda: beam.PCollection) -> beam.PCollection:
        work = Pooled("tag", tag_task, self.job, self.notes, self.workers, self.stall_timeout, _name)
        return (
            agenda
            | "Tasks" >> beam.FlatMap(self._tasks)
            | "Spread" >> beam.Reshuffle()
            | "ReadAndTag" >> beam.ParDo(work)
            | "Count" >> beam.ParDo(Count("tag", self.notes, _counts))
            | "BySegment" >> beam.GroupByKey()
            | "Bundle" >> beam.Map(self._bundle)
        )

    def _tasks(self, agenda: Agenda) -> Iterator[TagTask]:
        todo: dict[str, int] = {}
        with self.notes.step():
            store = workspace(self.job).store
            for task in tried_each("tag", "agenda", lambda: tag_tasks(agenda, self.job, store)):
                WATCH.planned["tag"] += 1
                for split, layers in task.splits:
                    _, layer = layers_for(split.digest(self.job.reading), layers, self.job)
                    if layer is not None:
                        todo[layer.name] = split.size
                yield task
            tried("tag", "tag.todo", lambda: self.notes.write_todo("tag", todo))

    def _bundle(self, receipts: tuple[int, Iterable[Tagged]]) -> Bundle:
        with self.notes.step():
            space, (number, some) = workspace(self.job), receipts
            of_segment = list(some)
            k = self.job.policy.sources.sketched
            return tried("tag", "bundle", lambda: bundle(number, of_segment, space.store, space.scratch, k))


def _counts(received: Receipt) -> dict[str, int]:
    _, receipt = received
    return {
        "records": receipt.entries - receipt.dead,
        "dead": receipt.dead,
        **{f"dead_{error}": count for error, count in receipt.errors.items()},
        **{f"findings_{tagger}": count for tagger, count in receipt.findings.items()},
    }


def _name(task: TagTask) -> str:
    return task.splits[0][0].name


@dataclass
class Tag(beam.PTransform):
    """Tags texts in a pipeline of your own: tables or record batches to pairs of each and :class:`models.findings.Findings`.

    ``row`` of a finding is the row of its batch. Artefacts are loaded once a process.

    Attributes:
        taggers: any that keep the contract of :mod:`models.taggers`.
        text, id, source, url: columns, or paths such as ``meta.url``; some taggers look at more than the text.

    Raises:
        UsageError: see :meth:`models.documents.Documents.from_table`.
    """

    taggers: tuple[Tagger, ...]
    text: str = "text"
    id: str | None = None
    source: str | None = None
    url: str | None = None

    def expand(self, batches: beam.PCollection) -> beam.PCollection:
        # Found once, where the graph is made: a worker whose list is another must not tag under this one's name.
        digests = {tagger.name: tagger.digest for tagger in self.taggers}
        return batches | "Tag" >> beam.Map(self._tag, digests)

    def _tag(self, batch: Any, digests: dict[str, str]) -> tuple[Any, Findings]:  # tables and batches, as they come
        for tagger in self.taggers:
            ensure_loaded(tagger, digests[tagger.name])
        documents = Documents.from_table(batch, text=self.text, id=self.id, source=self.source, url=self.url)
        return batch, tag(documents, self.taggers)
