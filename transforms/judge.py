"""Judge: receipts to source states."""

from dataclasses import dataclass

import apache_beam as beam

from models.agenda import Agenda
from models.job import Job
from models.judging import Judged, judge_sources
from models.tag_pass import Tagged
from transforms.base import Base, read_base
from transforms.notes import Notes
from transforms.workspace import workspace


@dataclass
class Judge(beam.PTransform):
    """Adds up all tallies and writes the states; gives one :class:`Judged`.

    Attributes:
        notes: of the run.
        agenda: as a singleton: the splits tallied must be those planned.
    """

    job: Job
    base: Base
    notes: Notes
    agenda: beam.pvalue.AsSingleton

    def expand(self, receipts: beam.PCollection) -> beam.PCollection:
        return (
            receipts
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Judge" >> beam.Map(self._judge, self.agenda)
        )

    def _judge(self, receipts: list[Tagged], agenda: Agenda) -> Judged:
        with self.notes.keeping_errors():
            space = workspace(self.job)
            catalogue = read_base(self.job, self.base)
            judged = judge_sources(agenda, receipts, catalogue, self.job, space.store, space.scratch)
            self.notes.write("judge", judged.summary(space.store))
            return judged
