"""Judge: receipts to source states."""

from dataclasses import dataclass

import apache_beam as beam

from models.agenda import Agenda
from models.bundle import Bundle
from models.job import Job
from models.judging import Judged, judge_sources
from transforms.notes import Notes
from transforms.trying import tried
from transforms.workspace import workspace


@dataclass
class Judge(beam.PTransform):
    """Adds up all tallies and writes the states; gives one :class:`Judged`, whose work lies in the store.

    Attributes:
        notes: of the run.
        agenda: as a singleton: the splits tallied must be those planned.
    """

    job: Job
    notes: Notes
    agenda: beam.pvalue.AsSingleton

    def expand(self, bundles: beam.PCollection) -> beam.PCollection:
        return (
            bundles
            | "Gather" >> beam.CombineGlobally(beam.combiners.ToListCombineFn())
            | "Judge" >> beam.Map(self._judge, self.agenda)
        )

    def _judge(self, bundles: list[Bundle], agenda: Agenda) -> Judged:
        with self.notes.step():
            return tried("judge", "sources", lambda: self._judged(bundles, agenda))

    def _judged(self, bundles: list[Bundle], agenda: Agenda) -> Judged:
        space = workspace(self.job)
        judged = judge_sources(agenda, bundles, self.job, space.store, space.scratch)
        self.notes.write("judge", judged.summary())
        return judged
