"""Matching forms of text that know where every character came from.

The *safe* view folds what a reader would not tell apart (compatibility forms, case, traditional and simplified Han) one code
point to one, and leaves out what draws nothing. Because no code point becomes two, the way back is exact: the original offset of
a view offset is that offset plus the number of code points left out before it.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.safe_table import REMOVED, case_keeping_table, safe_table

SEPARATOR = 0xFF
"""The byte after every record in a view's data. It never occurs in UTF-8, so no literal can match across records."""

# Records folded in one go: their code points stay in the second-level cache.
_PIECE_BYTES = 1 << 17

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class View:
    """A matching form of ``n`` records.

    Attributes:
        name: ``safe``.
        data: UTF-8 of all records, each followed by :data:`SEPARATOR`.
        bounds: shape (n + 1,), byte offsets; record ``i`` is ``data[bounds[i] : bounds[i + 1] - 1]``.
        removed: for each record that lost code points, their offsets in the original, ascending.
    """

    name: str
    data: bytes
    bounds: Ints
    removed: dict[int, Ints]

    def rows(self, positions: npt.ArrayLike) -> Ints:
        """Return the record that each byte position of ``data`` lies in."""
        return np.searchsorted(self.bounds, np.asarray(positions), side="right") - 1

    def text(self, row: int) -> str:
        """Return the view of one record."""
        return self.data[self.bounds[row] : self.bounds[row + 1] - 1].decode()

    def offsets(self, row: int, positions: Sequence[int]) -> list[int]:
        """Return the original code point offset of the view character that starts at each byte position of ``data``.

        Args:
            positions: absolute byte positions in ``data``, ascending, each the first byte of a character of record ``row``
                or the record's end.
        """
        at, count = int(self.bounds[row]), 0
        counts = []
        for position in positions:
            count += len(self.data[at:position].decode())
            at = position
            counts.append(count)
        removed = self.removed.get(row)
        if removed is None:
            return counts
        # removed[k] code points in, k were left out before it: in view offsets it stands at removed[k] - k.
        before = np.searchsorted(removed - np.arange(len(removed)), counts, side="right")
        return [int(offset) for offset in np.asarray(counts) + before]

    def spans(self, row: int, hits: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the original half-open span, in code points, of each half-open and non-empty byte span of ``data``.

        A span ends behind the original of its last character: code points left out after it do not belong to it.
        """
        last = [_last_character(self.data, end) for _, end in hits]
        points = sorted({start for start, _ in hits} | set(last))
        original = dict(zip(points, self.offsets(row, points), strict=True))
        return [(original[start], original[at] + 1) for (start, _), at in zip(hits, last, strict=True)]


def _last_character(data: bytes, end: int) -> int:
    """Return the byte position at which the character that ends at ``end`` starts."""
    at = end - 1
    while data[at] & 0xC0 == 0x80:
        at -= 1
    return at


def safe_view(texts: pa.Array) -> View:
    """Return the safe view of a string array without nulls."""
    return _fold(texts, "safe", safe_table())


def fold_term(term: str) -> str:
    """Return a term as the safe view would show it, for comparison with the view."""
    codes = safe_table()[np.frombuffer(term.encode("utf-32-le"), np.uint32)]
    return str(codes[codes != REMOVED].tobytes(), "utf-32-le")


def fold_keeping_case(text: str) -> tuple[str, Ints]:
    """Return one text with compatibility forms folded and invisible code points left out, but case and Han as they are.

    Returns:
        the folded text, and the offset in ``text`` of each of its code points.
    """
    if text.isascii():
        return text, np.arange(len(text))
    codes = case_keeping_table()[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
    kept = np.flatnonzero(codes != REMOVED)
    return codes[kept].tobytes().decode("utf-32-le"), kept


def octets(texts: pa.Array) -> Iterator[bytes]:
    """Give the UTF-8 of each string of an array without nulls, without decoding it."""
    if not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    _, offsets, data = texts.buffers()
    ends = (
        np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].tolist() if len(texts) else [0]
    )
    whole = memoryview(data) if data is not None else memoryview(b"")
    return (bytes(whole[start:end]) for start, end in itertools.pairwise(ends))


def _fold(texts: pa.Array, name: str, table: npt.NDArray[np.uint32]) -> View:
    rows: list[bytes] = []
    removed: dict[int, Ints] = {}
    waiting: dict[int, str] = {}
    size = 0
    for row, text in enumerate(octets(texts)):
        if text.isascii():
            # Nothing in ASCII is left out, and its folding is lower case.
            rows.append(text.lower())
            continue
        rows.append(b"")
        waiting[row] = text.decode()
        size += len(text)
        if size > _PIECE_BYTES:
            _fold_some(waiting, table, rows, removed)
            waiting, size = {}, 0
    if waiting:
        _fold_some(waiting, table, rows, removed)
    bounds = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(row) + 1 for row in rows], out=bounds[1:])
    rows.append(b"")
    return View(name, bytes([SEPARATOR]).join(rows), bounds, removed)


def _fold_some(
    texts: dict[int, str], table: npt.NDArray[np.uint32], rows: list[bytes], removed: dict[int, Ints]
) -> None:
    """Fold the texts of some rows in one go."""
    codes = table.take(np.frombuffer("".join(texts.values()).encode("utf-32-le"), np.uint32))
    ends = np.cumsum([len(text) for text in texts.values()])
    gone = np.flatnonzero(codes == REMOVED)
    if len(gone):
        codes = np.delete(codes, gone)
        owners = np.searchsorted(ends, gone, side="right")
        starts = np.concatenate(([0], ends[:-1]))
        numbers = list(texts)
        for owner in np.unique(owners).tolist():
            removed[numbers[owner]] = gone[owners == owner] - starts[owner]
        ends = ends - np.searchsorted(gone, ends, side="left")
    folded = codes.tobytes().decode("utf-32-le")
    start = 0
    for row, end in zip(texts, ends.tolist(), strict=True):
        rows[row] = folded[start:end].encode()
        start = end
