"""Whether a detector was held out: nothing of it may have filtered what it is to test."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.artefact import files_of
from models.taggers import Tagger


def artefacts_of(taggers: Sequence[Tagger]) -> dict[str, dict[str, str]]:
    """Return what every tagger goes by: SHA-256 of the files of its lists, models and indexes, by tagger and ``<artefact>/<file>``."""
    found: dict[str, dict[str, str]] = {}
    for tagger in taggers:
        places = [place for field in tagger.paths for place in _each(getattr(tagger, field))]
        found[tagger.name] = {
            f"{place.rstrip('/').rpartition('/')[2]}/{name}": digest
            for place in places
            for name, digest in sorted(files_of(place).items())
        }
    return found


def _each(value: Any) -> Sequence[str]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def in_common(
    taggers: Mapping[str, str],
    artefacts: Mapping[str, Mapping[str, str]],
    others: Mapping[str, str],
    other_artefacts: Mapping[str, Mapping[str, str]],
) -> list[str]:
    """Return in words what two sets of taggers have in common: a tagger as a whole, or a file that both go by.

    Args:
        taggers, others: digests by name.
        artefacts, other_artefacts: of :func:`artefacts_of`.
    """
    same = sorted(name for name, digest in taggers.items() if digest in set(others.values()))
    known = {digest for files in other_artefacts.values() for digest in files.values()}
    shared = sorted(
        f"{file} of tagger {name}"
        for name, files in artefacts.items()
        if name not in same
        for file, digest in files.items()
        if digest in known
    )
    return [*(f"tagger {name} ({taggers[name][:12]})" for name in same), *shared]
