"""Indexes of fingerprints: which works have a fingerprint, read from memory-mapped files that processes share.

An index is an artefact of kind ``fingerprint``: a folder with ``index.json`` (its settings), ``works.parquet`` (see
:data:`WORKS`), and arrays in the format of numpy (NEP 1), little-endian:

``fingerprints.npy``, ``owners.npy``
    uint64 and uint32, sorted by both: fingerprint and number of a work that has it, which is its row in ``works.parquet``.
``common.npy``, ``common_owners.npy``
    the same of fingerprints set aside because more works have them than ``most_works``. They name no work, but join runs on both sides.
``gate.npy``
    uint8, a bitmap of ``2**n`` bits: bit ``b`` is set if the first ``n`` bits of some fingerprint, common ones too, are ``b``.

No text is stored. An index is a function of its works and settings: it does not matter when and in which order they came.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models.artefact import Artefact, read_artefact, remedy
from models.errors import UsageError
from models.fingerprints import GRAM, GUARANTEE, VERSION, WINDOW, Hashes
from models.view import Ints

KIND = "fingerprint"
FORMAT = 2
CLAIMS = ("reserved", "licensed", "public_domain", "takedown")
"""What is claimed of a work: its use is reserved, licensed to us, free to all, or complained about."""

WORKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("holder", pa.string(), nullable=False),
        pa.field("licence", pa.string(), nullable=False),
        pa.field("claim", pa.string(), nullable=False),
        pa.field("characters", pa.int64(), nullable=False),
        pa.field("form_bytes", pa.int64(), nullable=False),
        pa.field("fingerprints", pa.int64(), nullable=False),
        pa.field("common", pa.int64(), nullable=False),
    ]
)
"""One row a work, sorted by id; code points of its text, bytes of its form, its distinct fingerprints, and how many of them are set aside."""

SETTINGS, TABLE = "index.json", "works.parquet"
ARRAYS = {
    "fingerprints.npy": "<u8",
    "owners.npy": "<u4",
    "common.npy": "<u8",
    "common_owners.npy": "<u4",
    "gate.npy": "|u1",
}
FILES = (SETTINGS, TABLE, *ARRAYS)

_BITS_EACH = 16  # of the gate, for a fingerprint: at most 6 % of what is not there gets past it
_LEAST_BITS, _MOST_BITS = 16, 34

Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Index:
    """An index that was read. Arrays are maps of files: a process has what it touches, and all share it.

    Attributes:
        folder: where it lies.
        most_works: fingerprints of more works are set aside.
        hashes, owners: uint64 and uint32, shape (n,).
        common, common_owners: uint64 and uint32, shape (m,).
        gate: uint8, shape (2**n / 8,).
        works: see :data:`WORKS`.
    """

    folder: Path
    most_works: int
    hashes: Hashes
    owners: Numbers
    common: Hashes
    common_owners: Numbers
    gate: npt.NDArray[np.uint8]
    works: pa.Table

    @cached_property
    def common_distinct(self) -> Hashes:
        """The fingerprints that are set aside, each once."""
        return np.unique(self.common)

    @cached_property
    def ids(self) -> list[str]:
        ids: list[str] = self.works["id"].to_pylist()
        return ids

    @cached_property
    def claims(self) -> list[str]:
        claims: list[str] = self.works["claim"].to_pylist()
        return claims

    @property
    def titles(self) -> dict[str, str]:
        """Titles of the works by their ids."""
        return dict(zip(self.ids, self.works["title"].to_pylist(), strict=True))

    @property
    def short(self) -> dict[str, int]:
        """Works that are found by chance only, by their ids: bytes of their form, less than :data:`models.fingerprints.GUARANTEE`."""
        sizes = zip(self.ids, self.works["form_bytes"].to_pylist(), strict=True)
        return {name: size for name, size in sizes if size < GUARANTEE}

    def look_up(self, hashes: Hashes) -> tuple[Ints, Ints, Ints]:
        """Find fingerprints.

        Returns:
            places in ``hashes`` and numbers of works, one pair for each work that has it, ascending; and the places of common ones.
        """
        bits = hashes >> np.uint64(64 - _bits(self.gate))
        passed = np.flatnonzero(self.gate[bits >> np.uint64(3)] >> (bits & np.uint64(7)).astype(np.uint8) & 1)
        if not len(passed):
            return passed, passed, passed
        # Sorted, what is looked for lies near what was just found, and pages and cache lines are used again.
        passed = passed[np.argsort(hashes[passed])]
        common = np.sort(passed[_places(self.common_distinct, hashes[passed]) >= 0])
        first = _places(self.hashes, hashes[passed])
        passed, first = passed[first >= 0], first[first >= 0]
        if not len(passed):
            return passed, passed, common
        count = np.searchsorted(self.hashes, hashes[passed], side="right") - first
        places = np.repeat(passed, count)
        within = np.arange(len(places)) - np.repeat(np.cumsum(count) - count, count)
        owners = self.owners[np.repeat(first, count) + within].astype(np.int64)
        order = np.lexsort((owners, places))
        return places[order], owners[order], common


def _places(known: Hashes, wanted: Hashes) -> Ints:
    """Return where each wanted one first stands among the sorted known ones, -1 if it does not."""
    if not len(known):
        return np.full(len(wanted), -1)
    places = np.searchsorted(known, wanted)
    places[known.take(places, mode="clip") != wanted] = -1
    return places


def open_index(place: str | Path) -> Index:
    """Open an index after comparing its files with their checksums.

    Raises:
        UsageError: if it is missing, broken, or made by another version of the form or of winnowing.
    """
    return read_index(read_artefact(place, KIND))


def read_index(artefact: Artefact) -> Index:
    """Open the index in a verified folder; UsageError as in ``open_index``."""
    folder = artefact.folder
    if missing := sorted(set(FILES) - set(artefact.files)):
        raise UsageError(f"{folder}: has no {', '.join(missing)}; build it anew: winnow index build")
    try:
        said = json.loads((folder / SETTINGS).read_text("utf-8"))
        form = {**said, "most_works": 0}
    except (ValueError, TypeError, RecursionError) as error:
        raise _damaged(folder, SETTINGS, str(error)) from None
    if artefact.format != FORMAT or form != {**settings(0)}:
        raise UsageError(
            f"{folder}: its fingerprints are of another kind than this version takes ({said}); build it anew: winnow index build"
        )
    hashes, owners, common, common_owners, gate = (_array(folder, name, kind) for name, kind in ARRAYS.items())
    try:
        table = pq.read_table(folder / TABLE)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(folder, TABLE, str(error)) from None
    if not table.schema.equals(WORKS):
        raise UsageError(f"{folder / TABLE}: has other columns than an index; build it anew: winnow index build")
    if (len(hashes), len(common)) != (len(owners), len(common_owners)):
        raise _damaged(folder, "owners.npy", "fingerprints and their owners are not as many")
    return Index(folder, said["most_works"], hashes, owners, common, common_owners, gate, table)


def _array(folder: Path, name: str, kind: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(np.load(folder / name, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, OSError) as error:
        raise _damaged(folder, name, str(error)) from None
    if array.dtype != np.dtype(kind) or array.ndim != 1:
        raise _damaged(folder, name, f"holds {array.dtype}, expected {kind}")
    return array


def _damaged(folder: Path, name: str, why: str) -> UsageError:
    return UsageError(f"{folder / name}: cannot be read: {' '.join(why.split())}; {remedy(folder, KIND)}")


def summary(index: Index) -> dict[str, int]:
    """Return what an index holds, in numbers; ``common`` ones are set aside, and ``bytes`` are those of its files."""
    claims = {f"works_{claim}": index.claims.count(claim) for claim in CLAIMS}
    return {
        "works": len(index.works),
        **claims,
        "works_short": len(index.short),
        "fingerprints": len(index.hashes),
        "common": len(index.common_distinct),
        "set_aside_above_works": index.most_works,
        "guaranteed_bytes": GUARANTEE,
        "bytes": sum((index.folder / name).stat().st_size for name in FILES),
    }


def settings(most_works: int) -> dict[str, object]:
    """Return what ``index.json`` says."""
    return {"gram": GRAM, "window": WINDOW, "version": list(VERSION), "most_works": most_works}


def gate_of(hashes: Hashes, common: Hashes) -> npt.NDArray[np.uint8]:
    """Return the gate of sorted fingerprints."""
    count = len(hashes) + len(common)
    bits = min(max((_BITS_EACH * count).bit_length(), _LEAST_BITS), _MOST_BITS)
    gate = np.zeros(1 << (bits - 3), np.uint8)
    for each in (hashes, common):
        for start in range(0, len(each), 1 << 20):
            places = each[start : start + (1 << 20)] >> np.uint64(64 - bits)
            np.bitwise_or.at(gate, places >> np.uint64(3), np.uint8(1) << (places & np.uint64(7)).astype(np.uint8))
    return gate


def _bits(gate: npt.NDArray[np.uint8]) -> int:
    return (len(gate) * 8).bit_length() - 1
