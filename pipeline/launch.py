"""Launching a run: on this machine in memory, on all cores and without a port, or on another engine."""

import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import grpc
from apache_beam.runners.runner import PipelineState

from models.errors import OutrunError, ToolError, UsageError, WinnowError
from models.outcome import Outcome
from pipeline.build import STAGES, Run
from pipeline.config import Settings, absolute, input_root, make_job
from pipeline.corpus import Corpus, check_same
from pipeline.engines import Engine, make_engine, not_asked, preflight
from pipeline.publish import Published, publish
from pipeline.source_decisions import with_decisions
from pipeline.submitting import in_words, submit
from pipeline.waiting import check_name
from pipeline.withdrawals import with_withdrawals
from transforms.logs import LOGGER, keep_silent
from transforms.metrics import totals
from transforms.notes import Noted, Notes, name_is_used
from transforms.pool import end_pool
from transforms.workspace import open_store

_RACES = 5


@dataclass(frozen=True)
class Result:
    """What a launch came to: the stages' results, the outcome if it was concluded, and the release if it was published."""

    stages: dict[str, Any]
    outcome: Outcome | None
    published: Published | None
    seconds: float


def prepare(
    settings: Settings, *, sample_ppm: int = 1_000_000, limit: int = 0, until: str = "release", name: str | None = None
) -> Run:
    """Return the run that settings ask for, with everything checked that can be known before.

    Args:
        name: of this execution, used once; default is time and chance.

    Raises:
        UsageError: naming what is wrong.
    """
    file = settings.file
    engine = make_engine(file.runner, file.beam)
    job = make_job(settings, sample_ppm, limit)
    corpus = Corpus(job.root)
    open_store(job.root).prepare()
    open_store(f"{job.root}/store", 0o700).prepare()
    if job.restricted != job.root:
        open_store(job.restricted, 0o700).prepare()
        open_store(f"{job.restricted}/store", 0o700).prepare()
        corpus.claim(job.restricted)
    if name and next(corpus.store.list(f"runs/{check_name(name)}"), None) is not None:
        raise name_is_used(job.root, name)
    check_same(corpus, job)
    folder = settings.folder
    patterns = tuple(absolute(pattern, folder) for pattern in file.inputs)
    root_of_input = input_root(settings)
    for fault in preflight(engine, {"output": job.root, "restricted": job.restricted, "inputs": root_of_input}):
        raise UsageError(f"runner {engine.name}: {fault}")
    base = corpus.base()
    return Run(
        job=with_decisions(with_withdrawals(job, corpus), corpus),
        patterns=patterns,
        input_root=root_of_input,
        base=base,
        name=name or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}",
        exact=file.exact,
        until=until,
        workers=file.workers or os.cpu_count() or 1,
        stall_timeout=file.stall_timeout,
        engine=engine,
    )


def launch(run: Run, *, to_publish: bool, say: Callable[[str], None] = print) -> Result:
    """Run the graph and publish its outcome.

    A run that loses the race for the pointer plans again from the winner's catalogue, under its name with ``-again`` behind it.

    Raises:
        WinnowError: with place and remedy.
    """
    if unasked := not_asked(run.engine):
        say(f"runner {run.engine.name}: {unasked}")
    with Corpus(run.job.root).store.in_use():
        return _launch(run, to_publish, say)


def leave(run: Run) -> None:
    """Submit a run and leave it to its engine.

    The submission itself holds the lease of a run, so that it waits for a gc that is under way; from then on gc goes by the note that the run
    began (:func:`pipeline.gc.collect`), and publishing looks whether all is there that the run made or reused.

    Raises:
        UsageError: if the engine's job ends with its launcher.
    """
    if not run.engine.can_be_left:
        raise UsageError(
            "--detach: this engine, or its workers, end with their launcher; it is for dataflow, or with job_endpoint and workers of their own"
        )
    with Corpus(run.job.root).store.in_use():
        submit(run)


def _launch(run: Run, to_publish: bool, say: Callable[[str], None]) -> Result:
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    corpus = Corpus(run.job.root)
    for race in range(_RACES):
        stages, notes = _execute(run), Notes(run.job.root, run.name)
        if run.until != "release":
            notes.end("done")
            return Result(stages, None, None, time.monotonic() - clock)
        outcome = _outcome(run)
        if not to_publish:
            notes.end("done")
            return Result(stages, outcome, None, time.monotonic() - clock)
        try:
            published = publish(corpus, outcome, started)
        except OutrunError as error:
            if race == _RACES - 1:
                raise
            say(f"{error}; planning again from there, as run {run.name}-again")
            notes.end("outrun", type(error).__name__, f"{run.name}-again")
            check_same(corpus, run.job)
            base = corpus.base()
            job = with_decisions(with_withdrawals(run.job, corpus), corpus)
            run = replace(run, base=base, job=job, name=f"{run.name}-again")
            continue
        facts = {"release": published.number, "new": published.is_new, **outcome.counts}
        notes.log("published", facts)
        notes.end("done")
        return Result(stages, outcome, published, time.monotonic() - clock)
    raise AssertionError("not reached")


def _outcome(run: Run) -> Outcome:
    return Outcome.from_dict(Notes(run.job.root, run.name).read("outcome"))


def _execute(run: Run) -> dict[str, Any]:
    """Run the graph, and return what its stages noted for people, by stage."""
    keep_silent()
    # Beam logs what it raises, with a traceback; it comes back as an exception anyway.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    engine, notes = run.engine, Notes(run.job.root, run.name)
    try:
        result = submit(run)
        state = result.wait_until_finish() or result.state
        if state != PipelineState.DONE:
            raise ToolError(f"runner {engine.name}: the job ended as {state}; see the log of its job manager")
        _log_metrics(result, notes)
    except BaseException as error:
        end_pool()
        noted = list(notes.errors())
        known = _known(error) or next((each.as_ours for each in noted if each.as_ours), None)
        name = type(known or error).__name__
        notes.log("failed", {"error": name})
        if _is_over(engine, error) and notes.read("started") is not None:
            notes.end("failed", name)
        if known is error:
            raise
        if known is not None:
            raise known from None
        if engine.is_ours or not isinstance(error, Exception):
            raise
        raise ToolError(_failed(engine, error, noted)) from error
    return {stage: facts for stage in STAGES if (facts := notes.read(stage)) is not None}


def _log_metrics(result: Any, notes: Notes) -> None:
    """Write what the engine's metrics came to as a line of the structured log; a run does not fail by what is for watching."""
    if not LOGGER.isEnabledFor(logging.INFO):
        return
    try:
        facts: Mapping[str, Any] = totals(result)
    except Exception as error:  # noqa: BLE001 - whatever the engine's client raises; said in place of the figures
        facts = {"error": type(error).__name__}
    notes.log("metrics", facts)


def _is_over(engine: Engine, error: BaseException) -> bool:
    """Tell whether a job that the launcher gives up has ended: one on a cluster goes on without it."""
    return not engine.outlives or (isinstance(error, Exception) and not isinstance(error, grpc.RpcError))


def _failed(engine: Engine, error: Exception, noted: list[Noted]) -> str:
    said = in_words(error)
    steps = "".join(f"; a step noted {each.error}, {each.message}" for each in noted[:3])
    return (
        f"runner {engine.name}: {said}{steps}; nothing of this run was published, what is done is not done anew. If it says no more, look "
        "at the logs of its workers"
    )


def _known(error: BaseException) -> WinnowError | None:
    """Return the error of ours inside one of Beam's: the innermost, for Beam raises it again with a remark."""
    found: WinnowError | None = None
    seen: BaseException | None = error
    while seen is not None:
        found = seen if isinstance(seen, WinnowError) else found
        seen = seen.__cause__ or seen.__context__
    return found
