"""Garbage collection: the only thing that deletes."""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus import Corpus

DAY = 86_400.0


@dataclass(frozen=True)
class Collected:
    """What was (or would be) deleted: releases, and how many store objects of how many bytes."""

    releases: tuple[int, ...]
    objects: int
    bytes: int


def collect(corpus: Corpus, keep: int, grace_days: float, *, is_trial: bool) -> Collected:
    """Delete releases but the current and the last ``keep``, and store objects that no kept release names.

    Objects younger than the grace time stay, by the clock of the file system that holds them: another run may be about to name
    them.
    """
    current = corpus.number
    numbers = [number for number in corpus.numbers() if number <= current]
    kept = set(numbers[-max(1, keep) :]) | {current}
    dropped = tuple(number for number in numbers if number not in kept)
    named: set[str] = set()
    restricted: set[Path] = set()
    for number in kept & set(numbers):
        catalogue = corpus.manifest(number)["catalogue"]
        named |= set(catalogue.values())
        for row in corpus.catalogue(number).rows():
            named |= {part.object for part in row.release.files}
            named |= {layer.name for layer in row.layers}
            named.add(f"receipts/{row.release.digest[:2]}/{row.release.digest}.json")
        link = corpus.release(number) / "quarantine"
        if link.is_symlink():
            restricted.add(link.resolve().parents[2])
    count = size = 0
    for root in (corpus.root, *sorted(restricted)):
        for path in _stale(root / "store", named, grace_days):
            count, size = count + 1, size + path.stat().st_size
            if not is_trial:
                path.unlink()
        for number in dropped:
            folder = root / "releases" / str(number)
            if folder.exists() and not is_trial:
                shutil.rmtree(folder)
    return Collected(dropped, count, size)


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
        if path.is_file() and str(name) not in named and age < before:
            yield path


def _now(store: Path) -> float:
    """Return the time by the clock of the store's file system."""
    with tempfile.NamedTemporaryFile(dir=store) as file:
        return Path(file.name).stat().st_mtime
