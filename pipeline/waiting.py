"""Finished runs that wait to be published."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from models.errors import UsageError
from models.job import without_words
from models.outcome import Outcome
from models.store import Entry
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
    wanted = f"runs/{check_name(name)}/outcome.json"
    for entry in corpus.store.list(f"runs/{name}"):
        if entry.name == wanted:
            return _read(corpus, entry)
    raise UsageError(f"{corpus.root}: no finished run {name} here; make one with: winnow run … --no-publish")


def all_waiting(corpus: Corpus) -> Iterator[Waiting]:
    """Give every finished run that was made from the current release, the last first."""
    ended = [entry for entry in corpus.store.list("runs") if entry.name.endswith("/outcome.json")]
    current = corpus.number
    for entry in sorted(ended, key=lambda entry: entry.modified, reverse=True):
        each = _read(corpus, entry)
        if each.outcome.base == current:
            yield each


def published_as(corpus: Corpus, outcome: Outcome) -> int:
    """Return the number of the release that holds an outcome, 0 if none does.

    That is the release after the one that the run started from, or that one itself where there was nothing to do. What comes
    later holds it too, but with more.
    """
    numbers = set(corpus.numbers())
    for number in (outcome.base + 1, outcome.base):
        if number and number <= corpus.number and number in numbers:
            manifest = corpus.manifest(number)
            is_same = without_words(manifest["job"]) == without_words(outcome.job)
            if manifest["catalogue"] == outcome.catalogue and is_same:
                return number
    return 0


def _read(corpus: Corpus, entry: Entry) -> Waiting:
    outcome = Outcome.from_dict(json.loads(corpus.store.read(entry.name)))
    started = datetime.fromtimestamp(entry.modified, UTC).isoformat(timespec="seconds")
    return Waiting(entry.name.split("/")[1], outcome, started)
