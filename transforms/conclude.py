"""Conclude: all receipts to the outcome that publishing starts from."""

from collections.abc import Iterable
from dataclasses import dataclass

import apache_beam as beam

from models.agenda import Agenda
from models.job import Job
from models.judging import Judged
from models.outcome import Concluded, Outcome, conclude, conclude_segment
from models.release_pass import Released
from transforms.base import Base
from transforms.notes import Notes
from transforms.trying import tried
from transforms.workspace import workspace


@dataclass
class Conclude(beam.PTransform):
    """Writes the new catalogue and the outcome as ``runs/<run>/outcome.json``.

    Segments in which something was released are written apart, by as many workers as the engine has; what is gathered is small.

    Attributes:
        agenda, judged: as singletons.
        notes: of the run.
    """

    job: Job
    base: Base
    notes: Notes
    agenda: beam.pvalue.AsSingleton
    judged: beam.pvalue.AsSingleton

    def expand(self, released: beam.PCollection) -> beam.PCollection:
        return (
            released
            | "BySegment" >> beam.GroupByKey()
            | "Segments" >> beam.Map(self._segment, self.agenda, self.judged)
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Conclude" >> beam.Map(self._conclude, self.agenda, self.judged)
        )

    def _segment(
        self, receipts: tuple[int, Iterable[tuple[str, Released]]], agenda: Agenda, judged: Judged
    ) -> Concluded:
        with self.notes.step():
            space, number, released = workspace(self.job), receipts[0], dict(receipts[1])
            return tried(
                "conclude",
                f"segment {number}",
                lambda: conclude_segment(agenda, judged, number, released, self.job, space.store, space.scratch),
            )

    def _conclude(self, concluded: list[Concluded], agenda: Agenda, judged: Judged) -> Outcome:
        with self.notes.step():
            return tried("conclude", "catalogue", lambda: self._outcome(concluded, agenda, judged))

    def _outcome(self, concluded: list[Concluded], agenda: Agenda, judged: Judged) -> Outcome:
        space = workspace(self.job)
        outcome = conclude(agenda, judged, concluded, self.base.number, self.job, space.store, space.scratch)
        self.notes.write("outcome", outcome.to_dict())
        return outcome
