"""Submitting: a run begins in its output, and its graph is built and handed to its engine."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam

from models.errors import ToolError, WinnowError
from pipeline.build import Run, build
from transforms.notes import Notes


def submit(run: Run, more: Mapping[str, Any] | None = None, *, is_trial: bool = False) -> Any:
    """Begin a run and hand its graph to its engine; return what Beam does, without waiting where the engine is another process.

    A submission that fails ends the run: a job that the engine has all the same does nothing more. Its name stays used, for such a job would
    take another run of that name for itself.

    Args:
        more: options besides those of the run.
        is_trial: whether nothing is submitted.

    Raises:
        ToolError: if the engine does not take it.
    """
    engine, notes = run.engine.with_options(more or {}), Notes(run.job.root, run.name)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    notes.begin(now, engine.name, run.until, outlives=engine.outlives, is_trial=is_trial)
    try:
        pipeline = beam.Pipeline(runner=engine.runner, options=engine.pipeline_options(run.workers))
        build(pipeline, run if engine.is_ours else run.in_place())
        notes.log("started", {"engine": engine.name, "until": run.until})
        return pipeline.run()
    except BaseException as error:
        if engine.name == "local":
            raise
        notes.end("failed", type(error).__name__)
        if isinstance(error, WinnowError) or not isinstance(error, Exception):
            raise
        said = in_words(error)
        raise ToolError(
            f"runner {engine.name}: the job was not submitted: {said}; mend it, and submit it anew"
        ) from error


def in_words(error: Exception) -> str:
    """Say what an engine said, without the stack that it wraps it in."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith((" ", "\t"))]
    return " … ".join(dict.fromkeys([*lines[:1], *lines[-1:]]))[:1000] or type(error).__name__
