"""Launching a run on this machine: the in-memory runner, all cores, no port."""

import json
import logging
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from models.errors import StoreConflictError, UsageError, WinnowError
from models.outcome import Outcome
from models.store import LocalStore, in_use
from pipeline.build import STAGES, Run, build
from pipeline.config import Settings, input_root, make_job
from pipeline.corpus import Corpus, check_same
from pipeline.publish import Published, publish
from transforms.pool import end_pool

_RACES = 5

# The in-memory runner is named in full: "DirectRunner" is whatever is installed, and its mode multi_threading loses records.
MODES = ("in_memory", "multi_processing")


@dataclass(frozen=True)
class Result:
    """What a launch came to: the stages' results, the outcome if it was concluded, and the release if it was published."""

    stages: dict[str, Any]
    outcome: Outcome | None
    published: Published | None
    seconds: float


def prepare(settings: Settings, *, sample_ppm: int = 1_000_000, limit: int = 0, until: str = "release") -> Run:
    """Return the run that settings ask for, with everything checked that can be known before.

    Raises:
        UsageError: naming what is wrong.
    """
    file = settings.file
    workers = file.workers or os.cpu_count() or 1
    job = make_job(settings, sample_ppm, limit)
    root = Path(job.root)
    corpus = Corpus(root)
    LocalStore(root).prepare()
    LocalStore(root / "store", 0o700).prepare()
    if job.restricted != job.root:
        LocalStore(Path(job.restricted), 0o700).prepare()
        LocalStore(Path(job.restricted) / "store", 0o700).prepare()
        corpus.claim(Path(job.restricted))
    check_same(corpus, job)
    folder = settings.folder
    patterns = tuple(str(path) for path in _absolute(file.inputs, folder))
    return Run(
        job=job,
        patterns=patterns,
        input_root=input_root(settings),
        base=corpus.base(),
        name=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}",
        exact=file.exact,
        until=until,
        workers=workers,
        stall_timeout=file.stall_timeout,
    )


def _absolute(patterns: tuple[str, ...], folder: Path) -> list[str]:
    return [pattern if "://" in pattern else os.path.normpath(folder / pattern) for pattern in patterns]


def launch(run: Run, *, to_publish: bool, mode: str = "in_memory", say: Callable[[str], None] = print) -> Result:
    """Run the graph here and publish its outcome.

    A run that loses the race for the pointer plans again from the winner's catalogue.

    Raises:
        WinnowError: with place and remedy.
    """
    with in_use(Path(run.job.root) / "store"):
        return _launch(run, to_publish, mode, say)


def _launch(run: Run, to_publish: bool, mode: str, say: Callable[[str], None]) -> Result:
    started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
    corpus = Corpus(Path(run.job.root))
    for race in range(_RACES):
        stages = _execute(run, mode)
        if run.until != "release":
            return Result(stages, None, None, time.monotonic() - clock)
        outcome = _outcome(run)
        if not to_publish:
            return Result(stages, outcome, None, time.monotonic() - clock)
        try:
            published = publish(corpus, outcome, started)
        except StoreConflictError as error:
            if race == _RACES - 1:
                raise
            say(f"{error}; planning again from there")
            check_same(corpus, run.job)
            run = replace(run, base=corpus.base(), name=f"{run.name}-again")
            continue
        return Result(stages, outcome, published, time.monotonic() - clock)
    raise AssertionError("not reached")


def _outcome(run: Run) -> Outcome:
    store = LocalStore(Path(run.job.root) / "store")
    return Outcome.from_json(store.read(f"runs/{run.name}/outcome.json"))


def _notes(run: Run) -> dict[str, Any]:
    """Return what the stages noted for people, by stage."""
    store = LocalStore(Path(run.job.root) / "store")
    names = (f"runs/{run.name}/{stage}.json" for stage in STAGES)
    return {Path(name).stem: json.loads(store.read(name)) for name in names if store.exists(name)}


def _execute(run: Run, mode: str) -> dict[str, Any]:
    if mode not in MODES:
        raise UsageError(f"mode {mode!r}: it loses records or is unknown; use one of {', '.join(MODES)}")
    # Beam logs what it raises, with a traceback; it comes back as an exception anyway.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    options = PipelineOptions(
        ["--direct_running_mode", mode, "--direct_num_workers", "1" if mode == "in_memory" else str(run.workers)]
    )
    run = run if mode == "in_memory" else replace(run, workers=0)
    try:
        pipeline = beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner", options=options)
        build(pipeline, run)
        pipeline.run().wait_until_finish()
    except BaseException as error:
        end_pool()
        known = _known(error)
        if known is None or known is error:
            raise
        raise known from None
    return _notes(run)


def _known(error: BaseException) -> WinnowError | None:
    """Return the error of ours inside one of Beam's: the innermost, for Beam raises it again with a remark."""
    found: WinnowError | None = None
    seen: BaseException | None = error
    while seen is not None:
        found = seen if isinstance(seen, WinnowError) else found
        seen = seen.__cause__ or seen.__context__
    return found
