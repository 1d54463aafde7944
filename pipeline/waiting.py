"""Finished runs that wait to be published."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from models.errors import UsageError
from models.outcome import Outcome
from pipeline.corpus import Corpus

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")


class Waiting(NamedTuple):
    """A finished run: its name, its outcome, and when that was finished."""

    run: str
    outcome: Outcome
    started: str


def check_name(name: str) -> str:
    """Return a run's name, which is a folder's.

    Raises:
        UsageError: if it cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"run name {name!r}: up to 200 letters, digits and . _ + -, the first a letter or a digit, and no others"
        )
    return name


def waiting(corpus: Corpus, name: str | None = None) -> Waiting:
    """Return a finished run: the named one, or the last that was made from the current release.

    Raises:
        UsageError: if there is none.
    """
    if name is None:
        for each in all_waiting(corpus):
            return each
        raise UsageError(
            f"{corpus.root}: no finished run waits to be published from release {corpus.number or 'nothing'}; "
            "make one with: winnow run … --no-publish"
        )
    path = corpus.root / "store" / "runs" / check_name(name) / "outcome.json"
    if not path.is_file():
        raise UsageError(f"{corpus.root}: no finished run {name} here; make one with: winnow run … --no-publish")
    return _read(path)


def all_waiting(corpus: Corpus) -> Iterator[Waiting]:
    """Give every finished run that was made from the current release, the last first."""
    paths = (corpus.root / "store" / "runs").glob("*/outcome.json")
    for path in sorted(paths, key=lambda path: path.stat().st_mtime, reverse=True):
        each = _read(path)
        if each.outcome.base == corpus.number:
            yield each


def published_as(corpus: Corpus, outcome: Outcome) -> int:
    """Return the number of the release that holds an outcome, 0 if none does.

    That is the release after the one that the run started from, or that one itself where there was nothing to do. What comes
    later holds it too, but with more.
    """
    for number in (outcome.base + 1, outcome.base):
        if number <= corpus.number and (corpus.release(number) / "manifest.json").is_file():
            manifest = corpus.manifest(number)
            if manifest["catalogue"] == outcome.catalogue and manifest["job"] == outcome.job:
                return number
    return 0


def _read(path: Path) -> Waiting:
    outcome = Outcome.from_dict(json.loads(path.read_text("utf-8")))
    started = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return Waiting(path.parent.name, outcome, started)
