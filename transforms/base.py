"""The release that a run starts from, read once per process."""

import functools
from dataclasses import dataclass
from pathlib import Path

from models.catalogue import Catalogue
from models.job import Job
from transforms.workspace import workspace


@dataclass(frozen=True)
class Base:
    """A release: its number, 0 for none, and the names of its catalogue in the store."""

    number: int = 0
    splits: str = ""
    tallies: str = ""


def read_base(job: Job, base: Base) -> Catalogue:
    """Return the catalogue of the release that a run starts from."""
    if not base.number:
        return Catalogue.empty()
    store = workspace(job).store
    return _read(store.local(base.splits), store.local(base.tallies))


@functools.lru_cache(maxsize=1)
def _read(splits: Path, tallies: Path) -> Catalogue:
    return Catalogue.read(splits, tallies)
