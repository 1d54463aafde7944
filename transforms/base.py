"""The release that a run starts from."""

from dataclasses import dataclass

from models.catalogue import Catalogue
from models.job import Job
from transforms.workspace import workspace


@dataclass(frozen=True)
class Base:
    """A release: its number, 0 for none, and the name of its catalogue's index in the store."""

    number: int = 0
    index: str = ""


def read_base(job: Job, base: Base) -> Catalogue:
    """Return the catalogue of the release that a run starts from."""
    return Catalogue.open(workspace(job).store, base.index)
