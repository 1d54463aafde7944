"""Submitting: a run begins in its output, and its graph is built and handed to its engine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam

from pipeline.build import Run, build
from transforms.notes import Notes


def submit(run: Run, more: Mapping[str, Any] | None = None, *, is_trial: bool = False) -> Any:
    """Begin a run and hand its graph to its engine; return what Beam does, without waiting where the engine is another process.

    A submission that fails takes back that the run began: its name can be used again, and a job that the engine has all the same
    does nothing.

    Args:
        more: options besides those of the run.
        is_trial: whether nothing is submitted.
    """
    engine, notes = run.engine.with_options(more or {}), Notes(run.job.root, run.name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    notes.begin(now, engine.name, run.until, outlives=engine.outlives, is_trial=is_trial)
    try:
        pipeline = beam.Pipeline(runner=engine.runner, options=engine.pipeline_options(run.workers))
        build(pipeline, run if engine.is_ours else run.in_place())
        notes.log("started", {"engine": engine.name, "until": run.until})
        return pipeline.run()
    except BaseException:
        if engine.name != "local":
            notes.withdraw()
        raise
