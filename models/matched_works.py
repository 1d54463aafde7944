"""Registered works that records match: those with most records, and what their indexes say of them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

NAMED = 100
"""Works that are named, those with most records first."""
_HELD = 100_000
"""Works that are held while they are added up; beyond, those with fewest records go, and figures become lower bounds."""


class MatchedWorks:
    """Works on their way through the splits, bounded."""

    def __init__(self) -> None:
        self.exact = True
        self._most_elsewhere = 0
        self._known: dict[str, list[int]] = {}

    def add(self, works: Mapping[str, Sequence[int]]) -> None:
        """Add records and longest run of the works of a split, see :func:`models.release_pass.works_of`."""
        for work, (records, longest) in works.items():
            if not work:  # stands for those that the receipt does not name
                self.exact = False
                self._most_elsewhere = max(self._most_elsewhere, len(works) - 1 + records)
                continue
            known = self._known.setdefault(work, [0, 0])
            known[0] += records
            known[1] = max(known[1], longest)
        if len(self._known) > 2 * _HELD:
            self.exact = False
            self._most_elsewhere = max(self._most_elsewhere, len(self._known))
            self._known = dict(self._ordered()[:_HELD])

    @property
    def found(self) -> int:
        """How many works there are; where figures are lower bounds, at least so many."""
        return max(len(self._known), self._most_elsewhere)

    def most(self) -> list[list[Any]]:
        """Return id, records and longest run of at most :data:`NAMED` works."""
        return [[work, *figures] for work, figures in self._ordered()[:NAMED]]

    def _ordered(self) -> list[tuple[str, list[int]]]:
        return sorted(self._known.items(), key=lambda item: (-item[1][0], item[0]))


@runtime_checkable
class Registering(Protocol):
    """What a tagger that finds works has besides the contract: without it, no work that it finds can be withdrawn."""

    def registered(self, ids: Collection[str]) -> dict[str, dict[str, str]]:
        """Return ``title``, ``holder``, ``licence`` and ``claim`` of those of the works that it would find, by id; empty words where it has none."""
        ...


def told_of(ids: Iterable[str], taggers: Iterable[Any]) -> dict[str, dict[str, str]]:
    """Return what the lists and indexes of taggers say of works, see :meth:`Registering.registered`; nothing of those that none has."""
    wanted = frozenset(ids)
    found: dict[str, dict[str, str]] = {}
    for tagger in taggers:
        if (missing := wanted - found.keys()) and isinstance(tagger, Registering):
            found |= tagger.registered(missing)
    return dict(sorted(found.items()))
