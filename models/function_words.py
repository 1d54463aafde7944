"""Function words: how many of each language's articles, pronouns and the like stand in a text, over whole batches.

Texts are given as *letters*, a byte for each code point: a number for each letter that some word of :file:`function_words.txt` has, in
either case, :data:`OTHER` for all other letters, :data:`NO_LETTER` for the rest. So every word that counts is one integer of 64 bits,
and equal integers are equal words.
"""

import functools
import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NO_LETTER, OTHER = 0, 255

WHOLE = 12
"""What a function word of one language counts for; one that two share counts half for each."""

_KEY = 8
"""Bytes of a key; the longest word has fewer letters."""
_LANES = 4
"""Counts of so many languages are added up in one integer: a text has fewer than 2**16 / ``WHOLE`` words, so none runs over."""
_SLOT_BITS = 13
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_NOBODY = np.uint64(0xFFFFFFFFFFFFFFFF)
"""No word's key: its letters would all be :data:`OTHER`."""

Letters = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int16]


@dataclass(frozen=True)
class FunctionWords:
    """The words of all languages.

    Attributes:
        languages: codes, in the order of the file.
        numbers: of each letter that a word has, in lower case, from 1 on.
        keys, rows: shape (slots,), a hash table: a word's key and its row in ``weights`` stand where its hash belongs, or in the next
            slots if that is full; :data:`_NOBODY` stands in empty ones.
        weights: uint64, shape (words, languages / 4): what a word counts for, 16 bits a language.
    """

    languages: tuple[str, ...]
    numbers: dict[str, int]
    keys: Keys
    rows: Rows
    weights: Keys

    def scores(self, letters: bytes, starts: Ints, ends: Ints, first: Ints) -> npt.NDArray[np.uint16]:
        """Return what each text has of the words of each language, shape (texts, languages).

        Args:
            letters: of all texts.
            starts, ends: shape (words,), half-open spans of runs of letters.
            first: shape (texts + 1,); the words of text ``i`` are ``first[i]`` to ``first[i + 1]``; none is of more than 5,000.
        """
        found = self._found(_keys(letters, starts, ends))
        hits = np.flatnonzero(found >= 0)
        bounds = np.searchsorted(hits, first)
        some = bounds[1:] > bounds[:-1]
        sums = np.zeros((len(first) - 1, self.weights.shape[1]), "<u8")
        sums[some] = np.add.reduceat(self.weights.take(found.take(hits), axis=0), bounds[:-1][some], axis=0)
        return sums.view("<u2")[:, : len(self.languages)]

    def _found(self, keys: Keys) -> Rows:
        """Return the row of each key, -1 for those of no word."""
        slots = _slots(keys)
        known = self.keys.take(slots)
        found = np.where(known == keys, self.rows.take(slots), np.int16(-1))
        going_on = np.flatnonzero((known != keys) & (known != _NOBODY))
        while len(going_on):
            slots[going_on] = (slots[going_on] + 1) % len(self.keys)
            known = self.keys.take(slots[going_on])
            here = known == keys[going_on]
            found[going_on[here]] = self.rows.take(slots[going_on[here]])
            going_on = going_on[~here & (known != _NOBODY)]
        return found


@functools.cache
def function_words() -> FunctionWords:
    """Return the words that the package ships."""
    text = importlib.resources.files("models").joinpath("function_words.txt").read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return _function_words({code: words for code, *words in lines})


def _function_words(by_language: dict[str, list[str]]) -> FunctionWords:
    words = sorted({word for own in by_language.values() for word in own})
    numbers = {letter: number for number, letter in enumerate(sorted({*"".join(words)}), 1)}
    assert len(numbers) < OTHER, "more letters than numbers for them"
    assert max(map(len, words)) < _KEY, "a word does not fit its key"
    has = np.zeros((len(words), -(-len(by_language) // _LANES) * _LANES), "<u2")
    place = {word: row for row, word in enumerate(words)}
    for column, own in enumerate(by_language.values()):
        has[[place[word] for word in own], column] = 1
    weights = has * np.maximum(1, WHOLE // has.sum(axis=1, keepdims=True)).astype("<u2")
    keys, rows = _table([bytes(numbers[letter] for letter in word) for word in words])
    return FunctionWords(tuple(by_language), numbers, keys, rows, weights.view("<u8"))


def _table(words: Sequence[bytes]) -> tuple[Keys, Rows]:
    """Return the hash table of words in letters."""
    own = np.frombuffer(b"".join(word.ljust(_KEY, b"\0") for word in words), "<u8")
    keys, rows = np.full(1 << _SLOT_BITS, _NOBODY, "<u8"), np.zeros(1 << _SLOT_BITS, np.int16)
    for row, slot in enumerate(_slots(own).tolist()):
        while keys[slot] != _NOBODY:
            slot = (slot + 1) % len(keys)
        keys[slot], rows[slot] = own[row], row
    return keys, rows


def _keys(letters: bytes, starts: Ints, ends: Ints) -> Keys:
    """Return words as integers, the first letter lowest; those too long to be a function word have one that is no word's."""
    words = np.ndarray((len(letters),), f"V{_KEY}", letters + bytes(_KEY), strides=(1,)).take(starts).view("<u8")
    keys: Keys = words & _masks().take(np.minimum(ends - starts, _KEY))
    return keys


@functools.cache
def _masks() -> Keys:
    """Return which bits of eight letters belong to a word of each length; none where a word is too long."""
    return np.array([*((1 << 8 * length) - 1 for length in range(_KEY)), 0], "<u8")


def _slots(keys: Keys) -> Ints:
    slots: Ints = (keys * _FACTOR >> np.uint64(64 - _SLOT_BITS)).view(np.int64)
    return slots
