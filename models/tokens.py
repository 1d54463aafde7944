"""Tokens: what classifiers read in place of text, where they lie, and hashes by which fastText knows them.

Han characters, kana and signs of ASCII are tokens of their own, other runs between white space are words, digits are noughts. Training
gets them as text (:func:`token_texts`), scoring as hashes (:class:`Tokens`): both by the same rules, which
``tests/models/test_tokens.py`` compares.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.view import SEPARATOR, View

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

# What is worked on in one go stays in the second-level cache.
_PIECE_BYTES = 1 << 17
_PIECE_TOKENS = 1 << 16
# Bytes that are hashed for all tokens alike; of Chinese most tokens have no more.
_EARLY = 3
# Longer tokens are hashed in the windows that they lie in: few are so long, and one may be as long as its record.
_LONG = 32

# Every control character is a space, every digit a nought: what a number is says nothing of a text's kind.
_CLEAN = bytes(
    0x20 if byte < 0x20 or byte in (0x7F, SEPARATOR) else 0x30 if chr(byte).isdecimal() and byte < 0x80 else byte
    for byte in range(256)
)
_SPACE, _SIGN, _WIDE, _WORD = 0, 1, 3, 4
_KIND = np.full(256, _WORD, np.uint8)
_KIND[0x20] = _SPACE
# Signs of ASCII stand alone, so that no text can hold fastText's own words (``</s>``, ``__label__``).
_KIND[[byte for byte in range(0x21, 0x7F) if not chr(byte).isalnum()]] = _SIGN
# Lead bytes of U+3000 to U+9FFF: kana, Han and their punctuation, three bytes each.
_KIND[0xE3:0xEA] = _WIDE
_KIND_TABLE = _KIND.tobytes()

END = b"</s>"
"""The token by which fastText knows the end of a text; what it makes of a line feed."""

_OFFSET, _PRIME = 2166136261, 16777619
# The low half of a product depends on the low halves of its factors alone: with a prime that differs above bit 32 only, the low half of
# the hash is fastText's, and the high half tells apart what that one confuses.
_WIDE_PRIME = np.uint64(0x9E3779B9 << 32 | _PRIME)


@dataclass(frozen=True)
class Tokens:
    """The ``t`` tokens of a view's data, in order.

    Attributes:
        clean: uint8, shape (bytes,): the data with digits as noughts and every control character as a space.
        starts, ends: shape (t,), half-open byte spans of each.
        hashes: shape (t + 1,), of each as :func:`hash_tokens` gives them, 0 for those of more than 32 bytes; the last is :data:`END`'s.
    """

    clean: Bytes
    starts: Ints
    ends: Ints
    hashes: Hashes

    @classmethod
    def of(cls, view: View) -> "Tokens":
        """Find and hash the tokens of a view."""
        data = view.data.translate(_CLEAN)
        clean = np.frombuffer(data, np.uint8)
        starts, ends = _spans(data)
        hashes = np.zeros(len(starts) + 1, np.uint64)
        for at in range(0, len(starts), _PIECE_TOKENS):
            begin, end = starts[at : at + _PIECE_TOKENS], ends[at : at + _PIECE_TOKENS]
            hashes[at : at + len(begin)] = hash_tokens(clean, begin, end, _LONG)
        hashes[-1] = _END_HASH
        return cls(clean, starts, ends, hashes)

    def within(self, starts: Ints, ends: Ints) -> tuple[Hashes, Ints]:
        """Return the hashes of the tokens of byte spans of the data, one span after the other, each ended by :data:`END`.

        A token that a span cuts is cut.

        Args:
            starts, ends: shape (s,), spans none of which is empty.

        Returns:
            The hashes, and for each span the place of its first, shape (s + 1,).
        """
        low = np.searchsorted(self.ends, starts, side="right")
        high = np.searchsorted(self.starts, ends)
        first = np.zeros(len(starts) + 1, np.int64)
        np.cumsum(high - low + 1, out=first[1:])
        at = np.arange(first[-1]) + np.repeat(low - first[:-1], high - low + 1)
        at[first[1:] - 1] = len(self.starts)
        hashes = self.hashes.take(at)
        some = np.flatnonzero(high > low)
        cut = np.concatenate(
            (
                first[some][self.starts[low[some]] < starts[some]],
                first[some + 1][self.ends[high[some] - 1] > ends[some]] - 2,
                np.flatnonzero(hashes == 0),
            )
        )
        if len(cut):
            span = np.searchsorted(first, cut, side="right") - 1
            begin, end = np.maximum(self.starts[at[cut]], starts[span]), np.minimum(self.ends[at[cut]], ends[span])
            hashes[cut] = hash_tokens(self.clean, begin, end)
        return hashes, first


def _spans(data: bytes) -> tuple[Ints, Ints]:
    """Return where the tokens of clean UTF-8 start and end."""
    kind = np.frombuffer(data.translate(_KIND_TABLE), np.uint8)
    inside = np.zeros(len(kind) + 2, bool)  # whether each byte is no space, with a space before and behind all
    np.not_equal(kind, _SPACE, out=inside[1:-1])
    put = _cuts(kind)
    starts = inside[1:-1] & (put[:-1] | ~inside[:-2])
    ends = inside[:-1] & (put | ~inside[1:])
    return np.flatnonzero(starts), np.flatnonzero(ends)


def _cuts(kind: Bytes) -> Flags:
    """Return whether a token ends or begins before each byte, and behind all, by the kinds of bytes."""
    count = len(kind)
    sign, wide = kind == _SIGN, kind == _WIDE
    put = np.zeros(count + 3, bool)
    put[:count] = sign | wide
    # Behind a token of its own: one byte on for signs, three for wide characters.
    put[1 : count + 1] |= sign
    put[3:] |= wide
    return put[: count + 1]


def hash_tokens(clean: Bytes, starts: Ints, ends: Ints, most: int | None = None) -> Hashes:
    """Return a hash of each span of bytes: its low 32 bits are fastText's (FNV-1a over signed bytes, ``Dictionary::hash``).

    Args:
        clean: uint8, shape (bytes,).
        starts, ends: shape (t,), half-open spans.
        most: longer ones have 0.
    """
    lengths, signed = ends - starts, clean.view(np.int8)
    sums = np.full(len(starts), _OFFSET, np.uint64)
    for done in range(_EARLY):
        # Behind the end of a token, and of the data, any byte will do: it is not used.
        more = _stirred(sums, signed.take(starts + done, mode="clip"))
        sums = np.where(lengths > done, more, sums)
    if most is not None:
        sums[lengths > most] = 0
        lengths[lengths > most] = 0
    rest = np.flatnonzero(lengths > _EARLY)
    # By length, so that those which have a next byte lie together. Few-valued small integers are sorted in linear time.
    lengths = lengths.take(rest)
    longest = int(lengths.max(initial=0))
    rest = rest.take(np.argsort(lengths.astype(np.uint8) if longest < 256 else lengths, kind="stable"))
    shorter = np.cumsum(np.bincount(lengths, minlength=longest + 1))
    places, late = starts.take(rest), sums.take(rest)
    for done in range(_EARLY, longest):
        skipped = int(shorter[done])
        late[skipped:] = _stirred(late[skipped:], signed.take(places[skipped:] + done))
    sums[rest] = late
    return sums


def _stirred(sums: Hashes, octets: npt.NDArray[np.int8]) -> Hashes:
    stirred: Hashes = (sums ^ octets.astype(np.int64).view(np.uint64)) * _WIDE_PRIME
    return stirred


def hash_words(words: list[bytes]) -> Hashes:
    """Return the hash of each word, see :func:`hash_tokens`."""
    lengths = np.array([len(word) for word in words], np.int64)
    ends = np.cumsum(lengths)
    return hash_tokens(np.frombuffer(b"".join(words), np.uint8), ends - lengths, ends)


_END_HASH = hash_words([END])[0]


def token_texts(view: View, starts: Ints, ends: Ints) -> Iterator[list[bytes]]:
    """Give the tokens of each span of a view, parted by spaces, as UTF-8 ended by a line feed, in pieces of some spans.

    fastText takes the line feed for a token of its own, :data:`END`; there is no other in the text.

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
    put = _cuts(_KIND[clean])[:-1]
    shift = np.zeros(len(clean) + 1, np.int32)
    np.cumsum(put, out=shift[:-1], dtype=np.int32)
    shift[-1] = shift[-2] if len(clean) else 0
    out = np.full(len(clean) + int(shift[-1]), 0x20, np.uint8)
    out[np.arange(len(clean), dtype=np.int32) + shift[:-1]] = clean
    # A byte's own space stands before it; a window that begins there may as well begin with the space.
    return out.tobytes(), shift
