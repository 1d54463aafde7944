"""Languages: in which language a record is written, told by script and by function words.

Language is a fact of the record, not a finding: no policy acts on it. Scripts that one language uses almost alone (Han with or
without Kana, Hangul, Thai …) tell it outright. Where many languages share a script (Latin, Cyrillic, Arabic, Devanagari), the
function words of :file:`function_words.txt` are counted, each divided among the languages that have it. All of it is integers
over whole batches: the same on every machine, and cheap beside a tagger.

Codes are those of BCP 47 (RFC 5646): ``zh``, ``en``; ``und-Latn`` where only the script is sure; ``zxx`` where there are no
letters; ``und`` for scripts that are not known here.
"""

import functools
import importlib.resources
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.view import octets

PIECE = 256
"""Bytes that are looked at from the start of a record, and as many from its middle: more does not pay."""

NO_LETTERS, UNKNOWN = "zxx", "und"

_SCRIPTS: tuple[tuple[str, str, int, tuple[tuple[int, int], ...]], ...] = (
    # ISO 15924 code; language, if one uses it almost alone; how many letters of an alphabet one of its characters is worth; ranges.
    ("Latn", "", 1, ((0x41, 0x5B), (0x61, 0x7B), (0xC0, 0xD7), (0xD8, 0xF7), (0xF8, 0x250), (0x1E00, 0x1F00))),
    ("Hani", "zh", 3, ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x32400))),
    ("Kana", "ja", 3, ((0x3041, 0x3097), (0x30A1, 0x30FB), (0x31F0, 0x3200), (0xFF66, 0xFF9E))),
    ("Hang", "ko", 3, ((0xAC00, 0xD7A4), (0x1100, 0x1200), (0x3131, 0x318F))),
    ("Cyrl", "", 1, ((0x400, 0x530),)),
    ("Arab", "", 1, ((0x620, 0x660), (0x66E, 0x6D4), (0x750, 0x780), (0xFB50, 0xFE00), (0xFE70, 0xFEFD))),
    ("Deva", "", 1, ((0x900, 0x964), (0x971, 0x980))),
    ("Grek", "el", 1, ((0x370, 0x400), (0x1F00, 0x2000))),
    ("Hebr", "he", 1, ((0x591, 0x5F5),)),
    ("Thai", "th", 1, ((0xE01, 0xE4F),)),
    ("Beng", "bn", 1, ((0x980, 0xA00),)),
    ("Guru", "pa", 1, ((0xA00, 0xA80),)),
    ("Gujr", "gu", 1, ((0xA80, 0xB00),)),
    ("Taml", "ta", 1, ((0xB80, 0xC00),)),
    ("Telu", "te", 1, ((0xC00, 0xC80),)),
    ("Knda", "kn", 1, ((0xC80, 0xD00),)),
    ("Mlym", "ml", 1, ((0xD00, 0xD80),)),
    ("Sinh", "si", 1, ((0xD80, 0xE00),)),
    ("Laoo", "lo", 1, ((0xE81, 0xF00),)),
    ("Tibt", "bo", 1, ((0xF00, 0x1000),)),
    ("Mymr", "my", 1, ((0x1000, 0x10A0),)),
    ("Geor", "ka", 1, ((0x10A0, 0x1100), (0x1C90, 0x1CC0))),
    ("Armn", "hy", 1, ((0x531, 0x590),)),
    ("Ethi", "am", 2, ((0x1200, 0x13A0),)),
    ("Khmr", "km", 1, ((0x1780, 0x1800),)),
    ("Mong", "mn", 1, ((0x1820, 0x18AB),)),
)
_CODES = ("Zyyy", *(code for code, _, _, _ in _SCRIPTS))
_HAN, _KANA = _CODES.index("Hani"), _CODES.index("Kana")
_KANA_SHARE = 10
"""Han with at least one Kana in so many characters is Japanese; Chinese text quotes a の now and then."""

_WHOLE = 12
"""What a function word of one language counts for; one that two share counts half for each."""
_RARE = 40
"""One function word in so many words is needed."""
_LONGEST = 12
"""Code points of the longest word that is looked up."""
_FACTOR = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2**64."""

Codes = npt.NDArray[np.uint32]
Ints = npt.NDArray[np.int64]


def languages(texts: pa.Array) -> list[str]:
    """Return the language of each string of an array without nulls."""
    pieces = [_sample(text) for text in octets(texts)]
    if not pieces:
        return []
    lengths = np.array([len(piece) + 1 for piece in pieces], np.int64)
    # A line feed after each: no word goes on in the next record, and every record has a code point.
    codes = np.frombuffer("".join(piece + "\n" for piece in pieces).encode("utf-32-le"), np.uint32)
    rows = np.repeat(np.arange(len(pieces)), lengths)
    scripts = _script_table()[codes]
    counts = np.bincount(rows * len(_CODES) + scripts, minlength=len(pieces) * len(_CODES))
    counts = counts.reshape(len(pieces), len(_CODES))
    main = _main_script(counts)
    found = [_alone(script) for script in main.tolist()]
    shared = [row for row, name in enumerate(found) if not name]
    if shared:
        words = _words()
        scores = _scores(codes, rows, scripts, main, words)
        best = scores.argmax(axis=1)
        most = scores.max(axis=1)
        ties = (scores == most[:, None]).sum(axis=1)
        for row in shared:
            sure = most[row] >= _WHOLE and ties[row] == 1
            found[row] = words.languages[best[row]] if sure else f"{UNKNOWN}-{_CODES[main[row]]}"
    return found


def _sample(text: bytes) -> str:
    """Return the pieces of a text that are looked at, in lower case; a character cut in two is left out."""
    if len(text) > 3 * PIECE:
        middle = len(text) // 2
        text = text[:PIECE] + b"\n" + text[middle : middle + PIECE]
    # Lower case of bytes is much faster, and the same for ASCII.
    return text.lower().decode("ascii") if text.isascii() else text.decode("utf-8", "ignore").lower()


@functools.cache
def _script_table() -> npt.NDArray[np.uint8]:
    """Return the number of each code point's script, 0 for what is no letter."""
    table = np.zeros(0x110000, np.uint8)
    for number, (_, _, _, ranges) in enumerate(_SCRIPTS, 1):
        for start, stop in ranges:
            table[start:stop] = number
    return table


@functools.cache
def _weights() -> Ints:
    return np.array([0, *(weight for _, _, weight, _ in _SCRIPTS)], np.int64)


def _main_script(counts: Ints) -> Ints:
    """Return the script of each row of counts by script, 0 where there are no letters."""
    main: Ints = (counts * _weights()).argmax(axis=1)
    han, kana = counts[:, _HAN], counts[:, _KANA]
    east = (main == _HAN) | (main == _KANA)
    main[east] = np.where(kana * _KANA_SHARE >= han + kana, _KANA, _HAN)[east]
    main[counts[:, 1:].sum(axis=1) == 0] = 0
    return main


def _alone(script: int) -> str:
    """Return the language of a script that one language has almost alone, or nothing."""
    return _SCRIPTS[script - 1][1] if script else NO_LETTERS


@dataclass(frozen=True)
class _Words:
    """Function words of all languages.

    Attributes:
        languages: codes.
        hashes: uint64, shape (w,), ascending: of each word.
        weights: int32, shape (w, languages): what a word counts for each.
    """

    languages: tuple[str, ...]
    hashes: npt.NDArray[np.uint64]
    weights: npt.NDArray[np.int32]


@functools.cache
def _words() -> _Words:
    text = importlib.resources.files("models").joinpath("function_words.txt").read_text("utf-8")
    lines = [line.split() for line in text.splitlines() if not line.startswith("#")]
    words = sorted({word for _, *words in lines for word in words})
    place = {word: number for number, word in enumerate(words)}
    has = np.zeros((len(words), len(lines)), np.int64)
    for column, (_, *own) in enumerate(lines):
        has[[place[word] for word in own], column] = 1
    codes = np.frombuffer("\n".join([*words, ""]).encode("utf-32-le"), np.uint32)
    starts, ends = _bounds(codes != ord("\n"))
    hashes = _hashes(codes, starts, ends)
    order = np.argsort(hashes)
    shares = np.maximum(1, _WHOLE // has.sum(axis=1))
    return _Words(tuple(code for code, *_ in lines), hashes[order], (has * shares[:, None])[order].astype(np.int32))


def _bounds(inside: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
    """Return where runs start and end; the last element lies outside of any."""
    edges = np.flatnonzero(np.diff(inside, prepend=False))
    return edges[::2], edges[1::2]


def _hashes(codes: Codes, starts: Ints, ends: Ints) -> npt.NDArray[np.uint64]:
    """Return a polynomial hash modulo 2**64 of each run of code points, by differences of one running sum."""
    powers, inverse = _powers(len(codes) + 1)
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(codes * powers[: len(codes)], out=sums[1:])
    hashes: npt.NDArray[np.uint64] = (sums[ends] - sums[starts]) * inverse[starts]
    return hashes


_POWERS: dict[None, tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]] = {}


def _powers(count: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return at least so many powers of the factor and of its inverse."""
    known = _POWERS.get(None)
    if known is None or len(known[0]) < count:
        size = 1 << (count - 1).bit_length()
        steps = np.full((2, size), [[_FACTOR], [pow(_FACTOR, -1, 1 << 64)]], np.uint64)
        steps[:, 0] = 1
        powers, inverse = np.cumprod(steps, axis=1, dtype=np.uint64)
        # Both at once, and what is returned is what was made here: other threads may be at it, too.
        _POWERS[None] = known = powers, inverse
    return known


def _scores(codes: Codes, rows: Ints, scripts: npt.NDArray[np.uint8], main: Ints, words: _Words) -> Ints:
    """Return what each record has of the function words of each language, shape (n, languages); 0 if they are too few to tell.

    In running text about two words of five are such; among names and headings a word of another language may stand alone.
    """
    starts, ends = _bounds(scripts > 0)
    short = ends - starts <= _LONGEST
    starts, ends = starts[short], ends[short]
    hashes = _hashes(codes, starts, ends)
    at = np.minimum(np.searchsorted(words.hashes, hashes), len(words.hashes) - 1)
    hit = np.flatnonzero(words.hashes[at] == hashes)
    scores = np.zeros((len(main), len(words.languages)), np.int64)
    of = rows[starts[hit]]
    first = np.flatnonzero(np.diff(of, prepend=-1))
    scores[of[first]] = np.add.reduceat(words.weights[at[hit]], first, axis=0) if len(first) else 0
    number = np.bincount(rows[starts], minlength=len(main))
    scores[scores * _RARE < _WHOLE * number[:, None]] = 0
    return scores
