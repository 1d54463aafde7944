"""Status: where a run stands, by what it has put into the store; on any engine, from any machine."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.errors import UsageError
from models.store import Entry, Store
from pipeline.corpus import Corpus
from pipeline.waiting import check_name, published_as, waiting
from transforms.notes import Notes

ENDED = ("failed", "outrun", "finished", "published", "trial")
"""States after which nothing more comes of a run."""

_AFTER = {"tag": "judge.json", "release": "outcome.json"}
"""Stages that make a file a split, and the note that says that one is done."""


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
        state: ``planning``, ``tagging``, ``judging``, ``releasing``, ``failed``, ``outrun``, ``finished`` or ``published``, or ``trial`` if
            nothing was submitted. Only the launcher says ``failed``, for an engine may try again; a run that was killed stays what it
            was, and falls silent.
        errors: classes and messages of what failed, in the end or so far.
        release: number of the release that it was published as, or 0.
        silent: seconds since it last put something into the store, by the clock of this machine.
        again: name of the run that goes on in place of one that was outrun.
        notices: of the release that it was published as: what its people must be told.
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
    again: str = ""
    notices: tuple[str, ...] = ()


def status(corpus: Corpus, run: str | None = None, seen: dict[str, float] | None = None) -> Status:
    """Return the status of a run, of the last one that was submitted by default; nothing is written.

    Args:
        seen: what was found made before, and when it was; it is not looked for again, and what is found is added.

    Raises:
        UsageError: if there is none.
    """
    store, seen = corpus.store, {} if seen is None else seen
    entry, begun = _started(corpus, run)
    name = entry.name.split("/")[1]
    notes = Notes(corpus.root, name)
    plan, judged, outcome, ended = (notes.read(each) for each in ("plan", "judge", "outcome", "ended"))
    own = {each.name.split("/")[2]: each.modified for each in store.list(f"runs/{name}")}
    newest = [entry.modified, *own.values()]
    stages = []
    for stage, over in _AFTER.items():
        todo = notes.todo(stage)
        if todo is not None:
            progress, last = _progress(stage, todo, store, seen, entry.modified, own.get(over))
            stages.append(progress)
            newest.append(last)
    release = published_as(corpus, waiting(corpus, name).outcome) if outcome else 0
    errors = tuple(f"{each.error}: {each.message}" for each in notes.errors()) if not outcome else ()
    state = _stage(begun["until"], plan, judged, stages)
    if begun.get("trial") and list(own) == ["started.json"]:
        state = "trial"
    elif release:
        state = "published"
    elif ended and (ended["state"] == "outrun" or (ended["state"] == "failed" and not outcome)):
        state = ended["state"]
    elif outcome:
        state = "finished"
    again = ended["again"] if ended else ""
    if state == "failed" and not errors:
        errors = (ended["error"],)
    silent = max(0.0, time.time() - max(newest))
    told = tuple(corpus.manifest(release).get("notices", ())) if release else ()
    made = (name, begun["engine"], begun["started"], plan, tuple(stages), state, errors, release)
    return Status(*made, silent, again, told)


def begun(corpus: Corpus) -> list[str]:
    """Return the names of all runs that were begun, the last first."""
    found = [entry for entry in corpus.store.list("runs") if entry.name.endswith("/started.json")]
    return [entry.name.split("/")[1] for entry in sorted(found, key=lambda entry: entry.modified, reverse=True)]


def _started(corpus: Corpus, run: str | None) -> tuple[Entry, dict[str, Any]]:
    below = "runs" if run is None else f"runs/{check_name(run)}"
    found = [entry for entry in corpus.store.list(below) if entry.name.endswith("/started.json")]
    for entry in sorted(found, key=lambda entry: entry.modified, reverse=True):
        facts = Notes(corpus.root, entry.name.split("/")[1]).read("started")
        if facts is not None and (run is not None or not facts.get("trial")):
            return entry, facts
    raise UsageError(f"{corpus.root}: no run{f' {run}' if run else ''} was started here; start one with: winnow run …")


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


def _progress(
    stage: str, todo: dict[str, int], store: Store, seen: dict[str, float], started: float, over: float | None
) -> tuple[Progress, float]:
    """Return how far a stage is, and when it last did something.

    Args:
        over: when it was done with, or None: then nothing is listed.
    """
    size = sum(todo.values())
    if over is not None:
        return Progress(stage, len(todo), len(todo), size, size, over - started), over
    for folder in sorted({name.rpartition("/")[0] for name in todo if name not in seen}):
        seen.update({entry.name: entry.modified for entry in store.list(folder) if entry.name in todo})
    done = todo.keys() & seen.keys()
    last = max((seen[name] for name in done), default=started)
    return Progress(stage, len(done), len(todo), sum(todo[name] for name in done), size, max(0.0, last - started)), last


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
        yield f"  error: {error}" if found.state == "failed" else f"  error so far: {error}"
    if found.again:
        yield f"  another run published first; it went on as {found.again}"
    for notice in found.notices:
        yield f"  notice: {notice}"
    if found.state not in ENDED:
        yield f"  last sign of it {found.silent:,.0f} s ago, at {datetime.now(UTC):%H:%M:%S} UTC"
