"""Fingerprints of text: winnowing, after Schleimer, Wilkerson and Aiken (2003), "Winnowing: local algorithms for document
fingerprinting", doi:10.1145/872757.872770.

Every :data:`GRAM` bytes of the form in a row are a gram. Of every :data:`WINDOW` grams in a row, the one with the least key is
taken, all of them if several have it. A key depends on nothing but the gram, so the choice depends on nothing but the window: two
texts that share :data:`GUARANTEE` bytes of form share a window, and with it a fingerprint. Grams that follow one another in the
choice overlap or touch, so consecutive fingerprints that are shared cover all that lies between them; and :data:`WINDOW` grams round
each byte that differs hold a chosen one, so a run of shared fingerprints never reaches across a difference.

The key is a cheap hash in 16 bits of the gram's first eight bytes, which is enough to choose by. What is kept is a hash of the whole
gram in 64 bits, computed for the chosen ones alone, some 6 % of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models import fingerprint_form
from models.fingerprint_form import form_of
from models.view import SEPARATOR, Ints, View

GRAM = 32
WINDOW = 32
GUARANTEE = GRAM + WINDOW - 1
"""Bytes of form: a shared run of so many is always found. 63 Latin letters, 32 Greek or Cyrillic ones, 21 Han."""
VERSION = (fingerprint_form.VERSION, 1)
"""Of the form and of the choice and hashes here; fingerprints of different versions mean nothing to each other."""

# Bytes of text worked on in one go: few enough to stay in the cache, enough for the calls into numpy not to matter.
_PIECE_BYTES = 1 << 18
_AT_ONCE = 1 << 16  # grams hashed in one go
_NEVER = np.uint16(0xFFFF)
# Odd, so that multiplying loses nothing: of the golden ratio, as in Fibonacci hashing (Knuth, TAOCP 3, 6.4).
_STEPS = (np.uint16(0x9E37), np.uint16(0x79B9), np.uint16(0x7F4B))

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Fingerprints:
    """The fingerprints of some records of a view, in text order.

    Attributes:
        rows: int64, shape (n,): the record that each is of.
        starts: int64, shape (n,): where its gram starts, in bytes of the record's form.
        hashes: uint64, shape (n,).
    """

    rows: Ints
    starts: Ints
    hashes: Hashes


def fingerprints(view: View) -> Iterator[Fingerprints]:
    """Give the fingerprints of all records, some records at a time."""
    bounds = view.bounds
    first, count = 0, len(bounds) - 1
    while first < count:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + _PIECE_BYTES, side="right")) - 1)
        form = form_of(view.data[bounds[first] : bounds[last]])
        yield _of_piece(form, first)
        first = last


def _of_piece(form: bytes, first: int) -> Fingerprints:
    """Return the fingerprints of records in their form, each followed by the separator; the first has number ``first``."""
    octets = np.frombuffer(form, np.uint8)
    grams = len(octets) - GRAM  # the last byte is a separator, so that no gram starts later
    if grams <= 0:
        none = np.zeros(0, np.int64)
        return Fingerprints(none, none, np.zeros(0, np.uint64))
    ends = np.flatnonzero(octets == SEPARATOR)
    # Between the last gram of a record and the first of the next lie GRAM starts that are no grams, and a window is no longer: no
    # window holds grams of two records, so what is found in one does not depend on the other.
    barred = (ends[:, None] - np.arange(GRAM)).ravel()
    barred = barred[(barred >= 0) & (barred < grams)]
    keys = _keys(octets, grams)
    keys[barred] = _NEVER
    chosen = keys == _closing(keys)
    chosen[barred] = False
    starts = np.flatnonzero(chosen)
    rows = np.repeat(np.arange(len(ends)), np.diff(np.searchsorted(starts, ends), prepend=0))
    begins = np.concatenate(([0], ends[:-1] + 1))
    hashes = _hashes(form, starts)
    if len(starts) > 2:
        # Of a text that repeats itself at once, such as a line of equal letters, the first and the last are enough.
        same = (hashes[1:] == hashes[:-1]) & (rows[1:] == rows[:-1])
        needed = np.ones(len(starts), bool)
        needed[1:-1] = ~(same[1:] & same[:-1])
        rows, starts, hashes = rows[needed], starts[needed], hashes[needed]
    return Fingerprints(rows + first, starts - begins[rows], hashes)


def _keys(octets: npt.NDArray[np.uint8], grams: int) -> npt.NDArray[np.uint16]:
    """Return the key of each gram: a polynomial of its first eight bytes, by doubling."""
    keys = octets[: grams + 7].astype(np.uint16)
    for width, step in zip((1, 2, 4), _STEPS, strict=True):
        mixed = keys[:-width] * step
        mixed += keys[width:]
        keys = mixed
    return keys


def _closing(keys: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
    """Return for each gram the greatest of the least keys of the windows that it lies in; grams with just this key are chosen.

    Windows at the ends of the text are cut short. This is the closing of mathematical morphology, by doubling of its width.
    """
    edge = np.full(WINDOW - 1, _NEVER)
    least = np.concatenate((edge, keys, edge))
    width = 1
    while width < WINDOW:
        least = np.minimum(least[:-width], least[width:])
        width *= 2
    width = 1
    while width < WINDOW:
        least = np.maximum(least[:-width], least[width:])
        width *= 2
    return least


def _hashes(form: bytes, starts: Ints) -> Hashes:
    """Return the 64-bit hash of the gram at each start: word by word multiplied and folded, as SplitMix64 ends."""
    grams = np.ndarray((len(form) - GRAM + 1,), f"V{GRAM}", form, strides=(1,))
    hashes = np.full(len(starts), 0x9E3779B97F4A7C15, np.uint64)
    for begin in range(0, len(starts), _AT_ONCE):
        part = hashes[begin : begin + _AT_ONCE]
        words = grams[starts[begin : begin + _AT_ONCE]].view("<u8").reshape(-1, GRAM // 8)
        for word in np.ascontiguousarray(words.T):
            part ^= word
            part *= np.uint64(0xBF58476D1CE4E5B9)
            part ^= part >> np.uint64(31)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(32)
    return hashes
