"""States of sources as they are named, kept and looked up; :mod:`models.source_rule` decides them."""

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.errors import ToolError

CLEAN, INSUFFICIENT, WATCH, HOLD, BLACKLISTED = "clean", "insufficient", "watch", "hold", "blacklisted"
STATES = (CLEAN, INSUFFICIENT, WATCH, HOLD, BLACKLISTED)
"""By code, each worse than the one before. ``watch`` and ``hold`` are one state of the rule, told apart by the estimate."""


def is_over(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64], limit: Fraction) -> npt.NDArray[np.bool_]:
    """Return where ``part / whole > limit``, strictly and exactly; nothing of nothing is not over. Arrays of one shape."""
    # A count of 0 is compared too, so the limit's own terms have to fit.
    most = max(int(part.max(initial=1)) * limit.denominator, int(whole.max(initial=1)) * limit.numerator)
    if most >= 1 << 63:
        # Python's integers: a limit with many decimals times a count passes 64 bits.
        part, whole = part.astype(object), whole.astype(object)
    return np.asarray(part * limit.denominator > whole * limit.numerator, np.bool_)


def source_keys(sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Return the 8-byte key of each source: the first bytes of the SHA-256 of its UTF-8, big endian."""
    sha = hashlib.sha256
    keys = b"".join([sha(name).digest()[:8] for name in sources.cast(pa.binary()).to_pylist()])
    return np.frombuffer(keys, ">u8").astype(np.uint64)


@dataclass(frozen=True)
class SourceStates:
    """States as a sorted table that is looked up by key; it leaves out the state that sources have of which nothing is known.

    That is nearly every source: most are clean by the literal reading, and by the interval reading most have no verdict.

    Attributes:
        keys: shape (n,), ascending.
        codes: shape (n,), index in :data:`STATES`.
        otherwise: code of all sources that are not in the table, judged or not.
    """

    keys: npt.NDArray[np.uint64]
    codes: npt.NDArray[np.uint8]
    otherwise: int = 0

    @classmethod
    def of(
        cls, sources: pa.Array | pa.ChunkedArray, codes: npt.NDArray[np.uint8], otherwise: int = 0
    ) -> "SourceStates":
        """Return the states of judged sources; see :meth:`of_keys`."""
        return cls.of_keys(source_keys(sources), codes, otherwise)

    @classmethod
    def of_keys(cls, keys: npt.NDArray[np.uint64], codes: npt.NDArray[np.uint8], otherwise: int = 0) -> "SourceStates":
        """Return the states of all judged sources, given by their keys.

        Raises:
            ToolError: if a source that would be in the table shares its key with another: that one would have its state too.
        """
        order = np.argsort(keys)
        keys, codes = keys[order], codes[order]
        same = np.flatnonzero(keys[1:] == keys[:-1])
        kept = codes != otherwise
        if len(same) and (kept[same] | kept[same + 1]).any():
            raise ToolError(
                f"two sources share an 8-byte key and one of them is not {STATES[otherwise]}; rename one of them"
            )
        return cls(keys[kept], codes[kept], otherwise)

    def lookup(self, sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint8]:
        """Return the code of each source."""
        if not len(self.keys) or not len(sources):
            return np.full(len(sources), self.otherwise, np.uint8)
        keys = source_keys(sources)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        codes: npt.NDArray[np.uint8] = np.where(self.keys[at] == keys, self.codes[at], self.otherwise).astype(np.uint8)
        return codes

    def write(self, path: Path) -> None:
        """Write an Arrow IPC file, uncompressed, to be memory-mapped."""
        table = pa.table({"key": self.keys, "code": self.codes})
        table = table.replace_schema_metadata({"otherwise": STATES[self.otherwise]})
        with pa.OSFile(str(path), "wb") as file, ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, path: Path) -> "SourceStates":
        """Map a state file into memory."""
        table = ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        otherwise = STATES.index(table.schema.metadata[b"otherwise"].decode())
        return cls(table["key"].to_numpy(), table["code"].to_numpy(), otherwise)


@dataclass(frozen=True)
class StatesByName:
    """The same states by the names of their sources, for a process that has these: no name needs to be hashed.

    Attributes:
        names: shape (n,), strings.
        codes: shape (n,), index in :data:`STATES`.
        otherwise: code of all other sources.
    """

    names: pa.Array
    codes: npt.NDArray[np.uint8]
    otherwise: int = 0

    def lookup(self, sources: pa.Array) -> npt.NDArray[np.uint8]:
        """Return the code of each source."""
        at = pc.fill_null(pc.index_in(sources, value_set=self.names), -1).to_numpy()
        codes: npt.NDArray[np.uint8] = np.append(self.codes, np.uint8(self.otherwise))[at]
        return codes
