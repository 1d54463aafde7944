"""Keyword libraries: how many different terms the lists of a job have, for each risk (TC260-003, 8.1)."""

from typing import Any, Protocol, runtime_checkable

from models.job import Job


@runtime_checkable
class Listing(Protocol):
    """What a tagger that goes by lists of terms may have besides the contract."""

    def terms(self) -> dict[str, frozenset[str]]:
        """Return the terms of each category as they are compared: those that differ only in what is folded are one."""
        ...

    def libraries(self) -> list[tuple[str, str]]:
        """Return name and digest of each list."""
        ...


def keywords(job: Job) -> dict[str, Any]:
    """Return how many different terms there are, and of each category, and which lists they come from; empty without lists.

    A term of two categories counts for both, and once in all.
    """
    taggers = [tagger for tagger in job.taggers if isinstance(tagger, Listing)]
    if not taggers:
        return {}
    terms: dict[str, set[str]] = {}
    for tagger in taggers:
        for category, some in tagger.terms().items():
            terms.setdefault(category, set()).update(some)
    return {
        "distinct": len(set().union(*terms.values())),
        "by_category": {category: len(terms[category]) for category in sorted(terms)},
        "lists": sorted([name, digest] for tagger in taggers for name, digest in tagger.libraries()),
    }
