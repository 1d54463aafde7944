"""Windows: records cut into overlapping pieces of fixed length, and their text split into tokens, a batch at a time.

A classifier that averages over its input loses one bad sentence in a long document, so a record is looked at by windows, each by
itself. Windows are runs of code points of a view; they depend on the record alone, never on the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.view import SEPARATOR, View

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

# Bytes tokenised in one go: what is worked on stays in the second-level cache.
_PIECE_BYTES = 1 << 17

# Every control character is a space, every digit a nought: what a number is says nothing of a text's kind.
_CLEAN = bytes(
    0x20 if byte < 0x20 or byte in (0x7F, SEPARATOR) else 0x30 if chr(byte).isdecimal() and byte < 0x80 else byte
    for byte in range(256)
)
_BEFORE_TOKEN = np.zeros(256, np.uint8)
# Signs of ASCII stand alone, so that no text can hold fastText's own words (``</s>``, ``__label__``).
_BEFORE_TOKEN[[byte for byte in range(0x21, 0x7F) if not chr(byte).isalnum()]] = 1
# Lead bytes of U+3000 to U+9FFF: kana, Han and their punctuation, three bytes each.
_BEFORE_TOKEN[0xE3:0xEA] = 3

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
        first: shape (n + 1,); windows of record ``i`` are ``first[i]`` to ``first[i + 1]``.
    """

    rows: Ints
    starts: Ints
    ends: Ints
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
    starts = at[rows] + nth * stride
    ends = np.minimum(starts + size, at[rows] + lengths[rows])
    return Windows(rows, points[starts], points[ends], first)


def token_texts(view: View, starts: Ints, ends: Ints) -> Iterator[list[bytes]]:
    """Give the tokens of each span of a view, parted by spaces, as UTF-8 ended by a line feed, in pieces of some spans.

    fastText takes the line feed for a token of its own, in training and in prediction alike; there is no other in the text.
    Han characters, kana and signs of ASCII are tokens of their own, other runs between white space are words, digits are noughts.

    Args:
        view: a view.
        starts, ends: half-open byte spans of its data, none of them empty, in order.
    """
    at = 0
    while at < len(starts):
        end = max(at + 1, int(np.searchsorted(starts, int(starts[at]) + _PIECE_BYTES)))
        yield _tokenised(view.data, starts[at:end], ends[at:end])
        at = end


def _tokenised(data: bytes, starts: Ints, ends: Ints) -> list[bytes]:
    low, high = int(starts[0]), int(ends.max())
    spaced, shift = spaced_tokens(data[low:high])
    cuts = np.stack((starts - low, ends - low))
    begin, finish = (cuts + shift[cuts]).tolist()
    return [spaced[a:b] + b"\n" for a, b in zip(begin, finish, strict=True)]


def spaced_tokens(data: bytes) -> tuple[bytes, npt.NDArray[np.int32]]:
    """Return UTF-8 with spaces put between tokens, and how many were put before each byte and before the end."""
    clean = np.frombuffer(data.translate(_CLEAN), np.uint8)
    width = _BEFORE_TOKEN[clean]
    # A space before every token of its own, and behind it: one byte on for signs, three for wide characters.
    put = np.zeros(len(clean) + 3, bool)
    put[: len(clean)] = width != 0
    put[1 : len(clean) + 1] |= width == 1
    put[3 : len(clean) + 3] |= width == 3
    shift = np.zeros(len(clean) + 1, np.int32)
    np.cumsum(put[: len(clean)], out=shift[:-1], dtype=np.int32)
    shift[-1] = shift[-2] if len(clean) else 0
    out = np.full(len(clean) + int(shift[-1]), 0x20, np.uint8)
    out[np.arange(len(clean), dtype=np.int32) + shift[:-1]] = clean
    # A byte's own space stands before it; a window that begins there may as well begin with the space.
    return out.tobytes(), shift


@dataclass(frozen=True)
class Letters:
    """Where a view has letters of which script, told by lead bytes of UTF-8.

    Exact enough to say which model can read a text, not which language it is in.

    Attributes:
        before: by the names in :data:`SCRIPTS`, shape (bytes + 1,): letters of the script before each byte of the view's data.
    """

    before: dict[str, npt.NDArray[np.int32]]

    @classmethod
    def of(cls, view: View) -> "Letters":
        """Count the letters of a view."""
        data = np.frombuffer(view.data, np.uint8)
        script = np.frombuffer(view.data.translate(_SCRIPT.tobytes()), np.uint8)
        wide = np.flatnonzero(data == 0xE3)
        if len(wide):
            script = script.copy()
            script[wide] = _AFTER_E3[data[wide + 1]]
        before = {}
        for name, number in SCRIPTS.items():
            before[name] = np.zeros(len(data) + 1, np.int32)
            np.cumsum(script == number, out=before[name][1:], dtype=np.int32)
        return cls(before)

    def counts(self, starts: Ints, ends: Ints) -> dict[str, Ints]:
        """Return the letters of each script in half-open byte spans of the view's data, each of shape (spans,)."""
        return {name: (before[ends] - before[starts]).astype(np.int64) for name, before in self.before.items()}


@dataclass(frozen=True)
class WindowedView:
    """A view with what models ask of it, made once for all of them."""

    view: View
    _cut: dict[tuple[int, int], Windows] = field(default_factory=dict, repr=False)

    @cached_property
    def letters(self) -> Letters:
        """Its letters by script."""
        return Letters.of(self.view)

    def windows(self, size: int, stride: int) -> Windows:
        """Its windows, see :func:`windows_of`."""
        if (size, stride) not in self._cut:
            self._cut[size, stride] = windows_of(self.view, size, stride)
        return self._cut[size, stride]
