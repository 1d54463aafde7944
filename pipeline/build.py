"""The whole graph."""

from dataclasses import dataclass, replace

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from models.job import Job
from pipeline.engines import LOCAL, Engine
from transforms.base import Base
from transforms.conclude import Conclude
from transforms.judge import Judge
from transforms.notes import Notes
from transforms.plan import Plan
from transforms.release import Release
from transforms.tag import TagSplits

STAGES = ("plan", "tag", "judge", "release")
"""What a run may stop after."""


@dataclass(frozen=True)
class Run:
    """One execution of a job.

    Attributes:
        patterns: globs, folders and files of shards.
        input_root: shards are known by their path below it.
        base: the release to start from.
        name: of this execution.
        exact: whether shards that are not named leave the corpus.
        until: the last stage.
        workers: processes that the work is spread over; 0 to do it in the process that the engine gives.
        stall_timeout: seconds.
        engine: that executes the graph.
    """

    job: Job
    patterns: tuple[str, ...]
    input_root: str
    base: Base
    name: str
    exact: bool = False
    until: str = "release"
    workers: int = 1
    stall_timeout: float = 600.0
    engine: Engine = LOCAL

    def in_place(self) -> "Run":
        """Return the run for an engine that has workers of its own."""
        return replace(self, workers=0)


def build(pipeline: beam.Pipeline, run: Run) -> dict[str, beam.PCollection]:
    """Put the graph of a run into a pipeline, and return what each stage gives."""
    job, base = run.job, run.base
    # In the launcher's own process there is nobody to try again what a guard ends.
    stall_timeout = 0.0 if run.engine.is_ours and not run.workers else run.stall_timeout
    notes, means = Notes(job.root, run.name), (run.workers, stall_timeout)
    inputs = pipeline | "Inputs" >> beam.Create([run.patterns])
    agenda = inputs | "Plan" >> Plan(job, run.input_root, base, run.exact, notes, *means)
    if run.until == "plan":
        return {"plan": agenda}
    tagged = agenda | "Tag" >> TagSplits(job, notes, *means)
    if run.until == "tag":
        return {"plan": agenda, "tag": tagged}
    judged = tagged | "Judge" >> Judge(job, notes, AsSingleton(agenda))
    if run.until == "judge":
        return {"plan": agenda, "tag": tagged, "judge": judged}
    released = judged | "Release" >> Release(job, notes, AsSingleton(agenda), *means)
    concluded = released | "Conclude" >> Conclude(job, base, notes, AsSingleton(agenda), AsSingleton(judged))
    return {"plan": agenda, "tag": tagged, "judge": judged, "release": concluded}
