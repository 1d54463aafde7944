"""Windows: records cut into overlapping pieces of fixed length, a batch at a time.

A classifier that averages over its input loses one bad sentence in a long document, so a record is looked at by windows, each by
itself. Windows are runs of code points of a view; they depend on the record alone, never on the batch.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.tokens import Tokens
from models.view import View

Ints = npt.NDArray[np.int64]

LATIN, HAN, OTHER = 1, 2, 3
SCRIPTS = {"Latn": LATIN, "Hani": HAN, "Zzzz": OTHER}
"""What letters are counted by: codes of ISO 15924, ``Zzzz`` for every other script."""
_SCRIPT = np.zeros(256, np.uint8)
_SCRIPT[[byte for byte in range(0x80) if chr(byte).isalpha()]] = LATIN
_SCRIPT[0xC3:0xCE] = LATIN  # to U+036F; accents that stand apart count with it
_SCRIPT[0xCE:0xE2] = OTHER  # Greek to Georgian, Thai, Khmer …
_SCRIPT[0xE4:0xEA] = HAN
_SCRIPT[0xEA:0xEE] = OTHER  # Hangul and others
# After the lead byte E3: kana from U+3040, Han from U+3400, between them punctuation and enclosed forms.
_AFTER_E3 = np.zeros(256, np.uint8)
_AFTER_E3[0x81:0x84] = OTHER
_AFTER_E3[0x90:0xC0] = HAN


@dataclass(frozen=True)
class Windows:
    """The ``w`` windows of the ``n`` records of a view, in record order.

    Attributes:
        rows: shape (w,), the record of each.
        starts, ends: shape (w,), its half-open byte span in the view's data.
        opens, closes: shape (w,), the same span in code points of the record's view.
        first: shape (n + 1,); windows of record ``i`` are ``first[i]`` to ``first[i + 1]``.
    """

    rows: Ints
    starts: Ints
    ends: Ints
    opens: Ints
    closes: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.rows)


def windows_of(view: View, size: int, stride: int) -> Windows:
    """Cut every record into windows of ``size`` code points, one every ``stride``; the last ends where the record ends.

    A record of up to ``size`` code points is one window, an empty one none. Every run of up to ``size - stride`` code points
    lies whole in some window.
    """
    data = np.frombuffer(view.data, np.uint8)
    points = np.flatnonzero((data & 0xC0) != 0x80)  # first bytes of characters, separators among them
    at = np.searchsorted(points, view.bounds)
    lengths = np.diff(at) - 1
    counts = np.where(lengths > 0, 1 + np.maximum(0, -(-(lengths - size) // stride)), 0)
    first = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=first[1:])
    rows = np.repeat(np.arange(len(counts)), counts)
    nth = np.arange(len(rows)) - first[rows]
    opens = nth * stride
    closes = np.minimum(opens + size, lengths[rows])
    return Windows(rows, points[at[rows] + opens], points[at[rows] + closes], opens, closes, first)


@dataclass(frozen=True)
class Marks:
    """Which of ``n`` places are marked, as bits: counting those before a place costs one look, and marking a byte a bit.

    Attributes:
        bits: shape (n // 64 + 1,); place ``i`` is bit ``i % 64`` of ``bits[i // 64]``.
        sums: shape of ``bits``, places marked before each.
    """

    bits: npt.NDArray[np.uint64]
    sums: Ints

    @classmethod
    def of(cls, flags: npt.NDArray[np.bool_]) -> "Marks":
        """Mark the places whose flag is set."""
        room = np.zeros((len(flags) // 64 + 1) * 8, np.uint8)
        packed = np.packbits(flags, bitorder="little")
        room[: len(packed)] = packed
        bits = room.view("<u8")
        counts = np.bitwise_count(bits).astype(np.int64)
        return cls(bits, np.cumsum(counts) - counts)

    def before(self, places: Ints) -> Ints:
        """Return how many places are marked before each of some places, which may be the end."""
        below = (np.uint64(1) << (places & 63).astype(np.uint64)) - np.uint64(1)
        inside: Ints = np.bitwise_count(self.bits[places >> 6] & below) + self.sums[places >> 6]
        return inside


@dataclass(frozen=True)
class Letters:
    """Where a view has letters of which script, told by lead bytes of UTF-8.

    Exact enough to say which model can read a text, not which language it is in.

    Attributes:
        marked: by the names in :data:`SCRIPTS`, the first bytes of letters of the script among the bytes of the view's data.
    """

    marked: dict[str, Marks]

    @classmethod
    def of(cls, view: View) -> "Letters":
        """Count the letters of a view."""
        data = np.frombuffer(view.data, np.uint8)
        script = np.frombuffer(view.data.translate(_SCRIPT.tobytes()), np.uint8)
        wide = np.flatnonzero(data == 0xE3)
        if len(wide):
            script = script.copy()
            script[wide] = _AFTER_E3[data[wide + 1]]
        return cls({name: Marks.of(script == number) for name, number in SCRIPTS.items()})

    def counts(self, starts: Ints, ends: Ints) -> dict[str, Ints]:
        """Return the letters of each script in half-open byte spans of the view's data, each of shape (spans,)."""
        return {name: marks.before(ends) - marks.before(starts) for name, marks in self.marked.items()}


@dataclass(frozen=True)
class WindowedView:
    """A view with what models ask of it, made once for all of them."""

    view: View
    _cut: dict[tuple[int, int], Windows] = field(default_factory=dict, repr=False)

    @cached_property
    def letters(self) -> Letters:
        """Its letters by script."""
        return Letters.of(self.view)

    @cached_property
    def tokens(self) -> Tokens:
        """Its tokens."""
        return Tokens.of(self.view)

    def windows(self, size: int, stride: int) -> Windows:
        """Its windows, see :func:`windows_of`."""
        if (size, stride) not in self._cut:
            self._cut[size, stride] = windows_of(self.view, size, stride)
        return self._cut[size, stride]
