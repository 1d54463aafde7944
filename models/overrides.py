"""Overrides in a run: what people decided about sources, in place of what the figures say, as it is in force on the run's date."""

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
from models.decisions import Override
from models.sources import STATES
from models.store import Store

SETS = "decisions/sets"
"""Folder of the store with the overrides that runs took to be in force."""


@dataclass(frozen=True)
class InForce:
    """Overrides made ready for looking up.

    Attributes:
        entries: id of the entry of the ledger and state, by source.
    """

    entries: Mapping[str, tuple[str, str]]

    def over(self, sources: pa.Array | pa.ChunkedArray, codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Return the codes of sources' states, those of overrides in place of judged ones.

        Args:
            sources: strings, shape (n,).
            codes: shape (n,), index in :data:`models.sources.STATES`.
        """
        if not self.entries:
            return codes
        decided = np.array([STATES.index(state) for _, state in self.entries.values()], np.uint8)
        at = self._at(sources)
        return np.where(at >= 0, decided[at], codes).astype(np.uint8)

    def basis(self, sources: pa.ChunkedArray, basis: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return what each source's state rests on: the basis that it has, or ``override D0001``."""
        said = pa.array([f"override {entry}" for entry, _ in self.entries.values()], pa.string())
        at = self._at(sources)
        return pc.if_else(pa.array(at >= 0), said.take(pa.array(np.maximum(at, 0))), basis)

    def _at(self, sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
        found = pc.index_in(sources, value_set=pa.array(list(self.entries), pa.string()))
        at: npt.NDArray[np.int64] = pc.fill_null(found, -1).to_numpy().astype(np.int64)
        return at


NOTHING = InForce({})


def keep_in_force(overrides: Mapping[str, Override], store: Store, folder: Path) -> str:
    """Write what is in force and return its name in the store; empty if nothing is."""
    if not overrides:
        return ""
    facts = {source: [each.entry, each.state] for source, each in overrides.items()}
    return keep_json(store, folder, SETS, facts)


def read_in_force(store: Store, name: str) -> InForce:
    """Read what :func:`keep_in_force` wrote; the empty name is nothing."""
    return _read(store.local(name)) if name else NOTHING


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> InForce:
    facts = orjson.loads(path.read_bytes())
    return InForce({source: (entry, state) for source, (entry, state) in facts.items()})
