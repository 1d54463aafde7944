"""Garbage collection: the only thing that deletes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from models.catalogue import Catalogue
from models.store import not_in_use
from pipeline.corpus import Corpus
from pipeline.waiting import all_waiting

DAY = 86_400.0


@dataclass(frozen=True)
class Collected:
    """What was (or would be) deleted: releases, and how many store objects of how many bytes."""

    releases: tuple[int, ...]
    objects: int
    bytes: int


def collect(corpus: Corpus, keep: int, grace_days: float, *, is_trial: bool) -> Collected:
    """Delete releases but the current and the last ``keep``, and store objects that neither they nor a finished run names.

    Objects younger than the grace time stay, by the clock of the file system that holds them: a run that was killed finds them
    when it is started again.

    Raises:
        UsageError: if there is no corpus, or a run is under way.
    """
    corpus.check_exists()
    with not_in_use(corpus.root / "store"):
        return _collect(corpus, keep, grace_days, is_trial)


def _collect(corpus: Corpus, keep: int, grace_days: float, is_trial: bool) -> Collected:
    current = corpus.number
    # A number beyond the current one was staged by a run that died before it moved the pointer.
    numbers = [number for number in corpus.numbers() if number <= current]
    kept = {*numbers[-max(1, keep) :], current} & set(numbers)
    dropped = tuple(number for number in numbers if number not in kept)
    named: set[str] = set()
    for number in kept:
        named |= _named(corpus, corpus.manifest(number)["catalogue"])
    for run, outcome, _ in all_waiting(corpus):
        named.add(f"runs/{run}/outcome.json")
        named |= _named(corpus, outcome.catalogue)
    roots = {corpus.restricted(corpus.manifest(number)) for number in numbers} - {corpus.root}
    count = size = 0
    for root in (corpus.root, *sorted(root for root in roots if (root / "store").is_dir())):
        # What says that a release was made goes before what was made: half done, nothing says so of parts that are gone.
        for path in sorted(_stale(root / "store", named, grace_days), key=lambda path: "receipts" not in path.parts):
            count, size = count + 1, size + path.stat().st_size
            if not is_trial:
                path.unlink()
        for number in dropped:
            folder = root / "releases" / str(number)
            if folder.exists() and not is_trial:
                shutil.rmtree(folder)
    return Collected(dropped, count, size)


def _named(corpus: Corpus, catalogue: Mapping[str, str]) -> set[str]:
    """Return every store object that a catalogue names."""
    store = corpus.root / "store"
    named = set(catalogue.values())
    for row in Catalogue.read(store / catalogue["splits"], store / catalogue["tallies"]).rows():
        named |= {part.object for part in row.release.files}
        named |= {layer.name for layer in row.layers}
        named.add(f"receipts/{row.release.digest[:2]}/{row.release.digest}.json")
    return named


def _stale(store: Path, named: set[str], grace_days: float) -> Iterator[Path]:
    before = _now(store) - grace_days * DAY
    for path in sorted(store.rglob("*")):
        name = path.relative_to(store)
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # a scratch file of a run that is under way
        # A release is staged under tmp by links to objects of any age; when it was, only the change time says.
        age = status.st_ctime if name.parts[0] == "tmp" else status.st_mtime
        if path.is_file() and str(name) not in named and age < before and not path.name.startswith("."):
            yield path


def _now(store: Path) -> float:
    """Return the time by the clock of the store's file system."""
    with tempfile.NamedTemporaryFile(dir=store) as file:
        return Path(file.name).stat().st_mtime
