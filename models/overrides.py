"""Overrides in a run: what people decided about sources, in place of what the figures say, as it is in force on the run's date.

Where sources are named by rules, a decision on what sources lie in, such as a domain, reaches those below it as far as it is worse than their own state: it
condemns, and never clears (:func:`models.source_keys.state_under`).
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from models.addressed import keep_json
from models.decisions import Override, override_basis
from models.source_keys import PUBLISHER, parents_of
from models.sources import CLEAN, STATES
from models.store import Store

SETS = "decisions/sets"
"""Folder of the store with the overrides that runs took to be in force."""

_FEW = 64
"""Up to so many overrides, sources that can lie in what they are on are found by looking for each; beyond, each source says what it lies in."""

Codes = npt.NDArray[np.uint8]
_NONE = -1


@dataclass(frozen=True)
class InForce:
    """Overrides made ready for looking up.

    Attributes:
        entries: id of the entry of the ledger and state, by source.
        reaches: whether they reach what lies in a source.
    """

    entries: Mapping[str, tuple[str, str]]
    reaches: bool = False

    def over(self, sources: pa.Array | pa.ChunkedArray, codes: Codes) -> Codes:
        """Return the codes of sources' states, those of overrides in place of judged ones.

        Args:
            sources: strings, shape (n,).
            codes: shape (n,), index in :data:`models.sources.STATES`.
        """
        if not self.entries:
            return codes
        at = self._at(sources)
        own = np.where(at == _NONE, codes, self._codes[at]).astype(np.uint8)
        above = self._above(sources)
        return np.where(above == _NONE, own, np.maximum(own, self._codes[above])).astype(np.uint8)

    def basis(self, sources: pa.ChunkedArray, states: pa.ChunkedArray, basis: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return what each source's state rests on: the basis that it has, ``override D0001``, or ``override D0001 of KEY`` of what it lies in.

        Args:
            states: as :meth:`over` left them, by name.
        """
        if not self.entries:
            return basis
        codes = pc.fill_null(pc.index_in(states, value_set=pa.array(STATES)), 0).to_numpy()
        at, above = self._at(sources), self._above(sources)
        own = pa.array([override_basis(entry) for entry, _ in self.entries.values()], pa.string())
        other = pa.array([override_basis(entry, key) for key, (entry, _) in self.entries.items()], pa.string())
        told = basis
        # What lies above counts where it was at least as bad as the source's own.
        by_other = (
            (above != _NONE) & (codes == self._codes[above]) & ((at == _NONE) | (self._codes[at] < self._codes[above]))
        )
        for places, words, holds in ((at, own, at != _NONE), (above, other, by_other)):
            told = pc.if_else(pa.array(holds), words.take(pa.array(np.maximum(places, 0))), told)
        return told

    @functools.cached_property
    def _codes(self) -> Codes:
        return np.array([STATES.index(state) for _, state in self.entries.values()], np.uint8)

    def _at(self, sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        found = pc.index_in(sources, value_set=pa.array(list(self.entries), pa.string()))
        at: npt.NDArray[np.int64] = pc.fill_null(found, _NONE).to_numpy().astype(np.int64)
        return at

    def _above(self, sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        """Return the place in the entries of the worst decision on what each source lies in, the nearest of equally bad ones."""
        worst = np.full(len(sources), _NONE, np.int64)
        places = {key: at for at, (key, (_, state)) in enumerate(self.entries.items()) if state != CLEAN}
        if not self.reaches or not places:
            return worst
        rows = np.arange(len(sources))
        if len(places) <= _FEW:
            may = np.zeros(len(sources), np.bool_)
            for key in places:
                may |= pc.match_substring(sources, key.removeprefix(PUBLISHER)).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(may)
        for row, name in zip(rows.tolist(), sources.take(pa.array(rows)).to_pylist(), strict=True):
            found = [places[key] for key in parents_of(name) if key in places]
            if found:
                worst[row] = max(found, key=lambda at: self._codes[at])
        return worst


NOTHING = InForce({})


def keep_in_force(overrides: Mapping[str, Override], store: Store, folder: Path) -> str:
    """Write what is in force and return its name in the store; empty if nothing is."""
    if not overrides:
        return ""
    facts = {source: [each.entry, each.state] for source, each in overrides.items()}
    return keep_json(store, folder, SETS, facts)


def read_in_force(store: Store, name: str, reaches: bool) -> InForce:
    """Read what :func:`keep_in_force` wrote; the empty name is nothing.

    Args:
        reaches: whether sources are named by rules, so that their names say what they lie in.
    """
    return InForce(_read(store.local(name)), reaches) if name else NOTHING


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> dict[str, tuple[str, str]]:
    return {source: (entry, state) for source, (entry, state) in orjson.loads(path.read_bytes()).items()}
