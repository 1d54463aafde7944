"""Conclude: all receipts to the outcome that publishing starts from."""

from dataclasses import dataclass

import apache_beam as beam

from models.agenda import Agenda
from models.job import Job
from models.judging import Judged
from models.outcome import Outcome, conclude
from models.release_pass import Released
from models.tag_pass import Tagged
from transforms.base import Base, read_base
from transforms.notes import Notes
from transforms.workspace import workspace


@dataclass
class Conclude(beam.PTransform):
    """Writes the new catalogue and the outcome as ``runs/<run>/outcome.json``.

    Attributes:
        agenda, judged: as singletons.
        tagged: as a list.
        notes: of the run.
    """

    job: Job
    base: Base
    notes: Notes
    agenda: beam.pvalue.AsSingleton
    tagged: beam.pvalue.AsList
    judged: beam.pvalue.AsSingleton

    def expand(self, released: beam.PCollection) -> beam.PCollection:
        return (
            released
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Conclude" >> beam.Map(self._conclude, self.agenda, self.tagged, self.judged)
        )

    def _conclude(
        self, released: list[tuple[str, Released]], agenda: Agenda, tagged: list[Tagged], judged: Judged
    ) -> Outcome:
        with self.notes.keeping_errors():
            space = workspace(self.job)
            catalogue = read_base(self.job, self.base)
            outcome = conclude(
                agenda, tagged, judged, released, catalogue, self.base.number, self.job, space.store, space.scratch
            )
            self.notes.write("outcome", outcome.to_dict())
            return outcome
