"""Status: where a run stands, by what it has put into the store; on any engine, from any machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.errors import UsageError
from models.store import Entry, Store
from pipeline.corpus import Corpus
from pipeline.waiting import check_name, published_as, waiting
from transforms.notes import Notes

MADE = {"tag": "layers", "release": "receipts"}
"""Where a stage puts what it has done, a file a split."""


@dataclass(frozen=True)
class Progress:
    """How far a stage is.

    Attributes:
        done, of: splits.
        bytes_done, bytes_of: of shards.
        seconds: from the run's start to the last split that it did, 0 where it did none.
    """

    stage: str
    done: int
    of: int
    bytes_done: int
    bytes_of: int
    seconds: float


@dataclass(frozen=True)
class Status:
    """Where a run stands.

    Attributes:
        engine: that it was launched on.
        started: ISO 8601, by the launcher's clock.
        plan: what planning found, or None.
        stages: that are under way or done.
        state: ``planning``, ``tagging``, ``judging``, ``releasing``, ``failed``, ``finished`` or ``published``; a run that was killed stays
            what it was, and falls silent.
        errors: messages of what failed.
        release: number of the release that it was published as, or 0.
        notices: of the release that it was published as: what its people must be told.
        silent: seconds since it last put something into the store, by the store's clock.
    """

    run: str
    engine: str
    started: str
    plan: dict[str, Any] | None
    stages: tuple[Progress, ...]
    state: str
    errors: tuple[str, ...]
    release: int
    silent: float
    notices: tuple[str, ...] = ()


def status(corpus: Corpus, run: str | None = None) -> Status:
    """Return the status of a run, of the last one that was started by default.

    Raises:
        UsageError: if there is none.
    """
    store = corpus.store
    started = _started(corpus, run)
    name = started.name.split("/")[1]
    notes = Notes(corpus.root, name)
    begun = notes.read("started")
    plan, judged, outcome = notes.read("plan"), notes.read("judge"), notes.read("outcome")
    newest = [entry.modified for entry in store.list(f"runs/{name}")]
    stages = []
    for stage, folder in MADE.items():
        todo = notes.todo(stage)
        if todo is not None:
            progress, last = _progress(stage, todo, store, folder, started.modified)
            stages.append(progress)
            newest.append(last)
    release = published_as(corpus, waiting(corpus, name).outcome) if outcome else 0
    errors = tuple(str(error) for error in notes.errors()) if not outcome else ()
    state = _stage(begun["until"], plan, judged, stages)
    state = "published" if release else "finished" if outcome else "failed" if errors else state
    silent = max(0.0, store.now() - max(newest))
    told = tuple(corpus.manifest(release).get("notices", ())) if release else ()
    return Status(name, begun["engine"], begun["started"], plan, tuple(stages), state, errors, release, silent, told)


def _started(corpus: Corpus, run: str | None) -> Entry:
    below = "runs" if run is None else f"runs/{check_name(run)}"
    found = [entry for entry in corpus.store.list(below) if entry.name.endswith("/started.json")]
    if not found:
        raise UsageError(
            f"{corpus.root}: no run{f' {run}' if run else ''} was started here; start one with: winnow run …"
        )
    return max(found, key=lambda entry: entry.modified)


def _stage(until: str, plan: Any, judged: Any, stages: list[Progress]) -> str:
    if judged is not None:
        return "finished" if until == "judge" else "releasing"
    if plan is None:
        return "planning"
    if until == "plan":
        return "finished"
    if not stages or stages[0].done < stages[0].of:
        return "tagging"
    return "finished" if until == "tag" else "judging"


def _progress(stage: str, todo: dict[str, int], store: Store, folder: str, started: float) -> tuple[Progress, float]:
    done = bytes_done = 0
    last = started
    for entry in store.list(folder) if todo else ():
        size = todo.get(entry.name)
        if size is not None:
            done, bytes_done, last = done + 1, bytes_done + size, max(last, entry.modified)
    return Progress(stage, done, len(todo), bytes_done, sum(todo.values()), last - started), last


def in_words(found: Status) -> Iterator[str]:
    """Say a status in lines of plain text."""
    yield f"run {found.run} on {found.engine}, started {found.started}: {found.state}" + (
        f" as release {found.release}" if found.release else ""
    )
    if found.plan:
        plan = found.plan
        yield f"  plan: {plan['shards']:,} shards, {plan['new']:,} new, {plan['splits']:,} splits, {plan['splits_to_tag']:,} to tag"
    for stage in found.stages:
        share = f", {stage.bytes_done / 1e6:,.1f} of {stage.bytes_of / 1e6:,.1f} MB" if stage.bytes_of else ""
        left = ""
        if 0 < stage.bytes_done < stage.bytes_of and stage.seconds:
            rest = stage.seconds * (stage.bytes_of / stage.bytes_done - 1)
            left = f", {stage.bytes_done / stage.seconds / 1e6:.1f} MB/s, about {rest:,.0f} s left"
        yield f"  {stage.stage}: {stage.done:,} of {stage.of:,} splits{share}{left}"
    for error in found.errors:
        yield f"  error: {error}"
    for notice in found.notices:
        yield f"  notice: {notice}"
    if found.state not in ("published", "finished"):
        yield f"  last sign of it {found.silent:,.0f} s ago, at {datetime.now(UTC):%H:%M:%S} UTC"
