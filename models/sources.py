"""Source states: the literal reading of the five per cent rule.

"Literal" takes the rule on what the detectors found, with no allowance for their errors: a source is over the limit when
``unlawful / distinct > limit``, strictly, compared in integers (TC260-003, 5.1 a: more than 5 %).
"""

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
from models.tally import Tally

CLEAN, HOLD, BLACKLISTED = "clean", "hold", "blacklisted"
STATES = (CLEAN, HOLD, BLACKLISTED)
"""In the order of their codes in state files."""


def judge(tally: Tally, limit: Fraction, min_records: int) -> npt.NDArray[np.uint8]:
    """Return the code of each source's state, in the order of the tally.

    Strictly over the limit: ``blacklisted`` from ``min_records`` distinct records on, ``hold`` below; otherwise ``clean``.
    """
    unlawful, distinct = tally.table["unlawful"].to_numpy(), tally.table["distinct"].to_numpy()
    codes = np.where(is_over(unlawful, distinct, limit), np.where(distinct >= min_records, 2, 1), 0)
    return codes.astype(np.uint8)


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
    """The states that are not ``clean``, as a sorted table that is looked up by key.

    Attributes:
        keys: shape (n,), ascending.
        codes: shape (n,), index in :data:`STATES`.
    """

    keys: npt.NDArray[np.uint64]
    codes: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, tally: Tally, codes: npt.NDArray[np.uint8]) -> "SourceStates":
        """Return the states of judged sources; see :meth:`of_keys`."""
        return cls.of_keys(source_keys(tally.table["source"]), codes)

    @classmethod
    def of_keys(cls, keys: npt.NDArray[np.uint64], codes: npt.NDArray[np.uint8]) -> "SourceStates":
        """Return the states of all judged sources, given by their keys.

        Raises:
            ToolError: if the key of a source that is not clean is also another's: that one would be held with it.
        """
        order = np.argsort(keys)
        keys, codes = keys[order], codes[order]
        same = np.flatnonzero(keys[1:] == keys[:-1])
        if len(same) and (codes[same] | codes[same + 1]).any():
            raise ToolError("two sources share an 8-byte key and one of them is not clean; rename one of them")
        kept = codes > 0
        return cls(keys[kept], codes[kept])

    def lookup(self, sources: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint8]:
        """Return the code of each source."""
        if not len(self.keys) or not len(sources):
            return np.zeros(len(sources), np.uint8)
        keys = source_keys(sources)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        codes: npt.NDArray[np.uint8] = np.where(self.keys[at] == keys, self.codes[at], 0).astype(np.uint8)
        return codes

    def write(self, path: Path) -> None:
        """Write an Arrow IPC file, uncompressed, to be memory-mapped."""
        table = pa.table({"key": self.keys, "code": self.codes})
        with pa.OSFile(str(path), "wb") as file, ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, path: Path) -> "SourceStates":
        """Map a state file into memory."""
        table = ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        return cls(table["key"].to_numpy(), table["code"].to_numpy())


@dataclass(frozen=True)
class StatesByName:
    """The same states by the names of their sources, for a process that has these: no name needs to be hashed.

    Attributes:
        names: shape (n,), strings.
        codes: shape (n,), index in :data:`STATES`.
    """

    names: pa.Array
    codes: npt.NDArray[np.uint8]

    def lookup(self, sources: pa.Array) -> npt.NDArray[np.uint8]:
        """Return the code of each source."""
        at = pc.fill_null(pc.index_in(sources, value_set=self.names), -1).to_numpy()
        codes: npt.NDArray[np.uint8] = np.append(self.codes, np.uint8(0))[at]
        return codes
