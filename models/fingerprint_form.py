"""The form of text that fingerprints are taken of: its letters and digits, in UTF-8.

It is made from the safe view, which has already folded case, width and traditional characters. White space, punctuation, quotes,
dashes, symbols and accents go; compatible letters that the view keeps are written out (``ﬁ`` fi). So two editions that differ
in layout and type alone have one form. Bytes and not code points are the unit: a Chinese character has three and says about as
much as three Latin letters.

Whatever is folded takes no more bytes than before, so folding is done in place: the written bytes stand where the character stood
and the rest are blanks, which go last. The way back is therefore exact: byte ``j`` of the form is the ``j``-th byte that is no blank.
"""

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.view import SEPARATOR, Ints, View

VERSION = 1
"""Raise when the form of some text changes: fingerprints of before then mean nothing."""

TABLE = Path(__file__).with_name("form_table.npz")
_BLANK = 0x20
_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"
_DROPPED = bytes(code for code in range(0x80) if code not in _LETTERS)
_KEPT = np.array([code not in _DROPPED for code in range(256)])
_UNCHANGED = 0

Octets = npt.NDArray[np.uint8]


def looked_at(lead: int) -> bool:
    """Tell whether characters whose UTF-8 starts with this byte are looked at; those of Han never change."""
    return 0xC2 <= lead <= 0xE3 or 0xEA <= lead <= 0xF4


def form_of(data: bytes) -> bytes:
    """Return the form of a part of a view's data; separators stay."""
    return _blanked(data).tobytes().translate(None, _DROPPED)


def offsets_in_view(data: bytes) -> Ints:
    """Return for each byte of ``form_of(data)`` the offset in ``data`` that it stands at, or that its character starts near."""
    return np.flatnonzero(_KEPT[_blanked(data)])


class RowForm:
    """The form of one record, with the way back to the original.

    Attributes:
        data: its form.
        characters: how many code points the form has.
    """

    def __init__(self, view: View, row: int) -> None:
        self._view, self._row = view, row
        self._start = int(view.bounds[row])
        plain = view.data[self._start : int(view.bounds[row + 1]) - 1]
        self._at = offsets_in_view(plain)
        self.data = form_of(plain)
        self._leads = np.concatenate(([0], np.cumsum((np.frombuffer(self.data, np.uint8) & 0xC0) != 0x80)))
        self.characters = int(self._leads[-1])

    def whole(self, start: int, end: int) -> tuple[int, int]:
        """Return the bytes of those characters of the form that lie wholly in ``start`` to ``end``."""
        while start < end and self.data[start] & 0xC0 == 0x80:
            start += 1
        while end < len(self.data) and end > start and self.data[end] & 0xC0 == 0x80:
            end -= 1
        return start, end

    def count(self, start: int, end: int) -> int:
        """Return how many characters of the form start in a byte span."""
        return int(self._leads[end] - self._leads[start])

    def spans(self, pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return the original half-open span, in code points, of each byte span of whole characters, none of them empty."""
        hits = [(self._lead(int(self._at[start])), self._start + int(self._at[end - 1]) + 1) for start, end in pieces]
        return self._view.spans(self._row, hits)

    def _lead(self, at: int) -> int:
        """Return the byte of the view's data that starts the character at ``at``: of ``ﬁ`` the second letter is inside of it."""
        at += self._start
        while self._view.data[at] & 0xC0 == 0x80:
            at -= 1
        return at


def _blanked(data: bytes) -> Octets:
    """Return a copy in which what the form leaves out is blank, and what it folds is written in its place."""
    octets = np.frombuffer(data, np.uint8)
    if data.isascii():
        return octets
    table = _table()
    # Unsigned differences wrap round, so that one comparison tests both ends of a range; 0xFF, the separator, is in none.
    leads = np.flatnonzero(((octets - 0xC2) < 0x22) | ((octets - 0xEA) < 0x0B))
    if not len(leads):
        return octets
    # Four bytes from each lead on, the first lowest; UTF-8 (RFC 3629) has six bits in each continuation byte.
    padded = data + bytes(3)
    words = np.ndarray((len(data),), "V4", padded, strides=(1,))[leads].view("<u4")
    length = 2 + (words & 0xFF >= 0xE0).view(np.uint8) + (words & 0xFF >= 0xF0).view(np.uint8)
    second, third, fourth = (words >> 8) & 0x3F, (words >> 16) & 0x3F, (words >> 24) & 0x3F
    two = (words & 0x1F) << 6 | second
    three = (words & 0x0F) << 12 | second << 6 | third
    four = (words & 0x07) << 18 | second << 12 | third << 6 | fourth
    written = table.take(np.where(length == 2, two, np.where(length == 3, three, four)))
    changed = np.flatnonzero(written != _UNCHANGED)
    leads, length, written = leads[changed], length[changed], written[changed]
    octets = octets.copy()
    for n in range(4):
        here = slice(None) if n < 2 else np.flatnonzero(length > n)
        octets[leads[here] + n] = (written[here] >> (8 * n)) & 0xFF
    return octets


@functools.cache
def _table() -> npt.NDArray[np.uint32]:
    """Return the table, shape (0x110000,): the bytes to write, the first lowest, or 0 for a character that stays."""
    with np.load(TABLE, allow_pickle=False) as archive:
        table = np.zeros(0x110000, np.uint32)
        table[archive["code_points"]] = np.ascontiguousarray(archive["written"]).view("<u4").ravel()
    table.flags.writeable = False
    return table


assert SEPARATOR not in _DROPPED
