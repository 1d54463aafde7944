"""Languages: in which language a record is written, told by script and by function words.

Language is a fact of the record, not a finding: no policy acts on it. Scripts that one language uses almost alone (Han with or
without Kana, Hangul, Thai …) tell it outright. Where many languages share a script (Latin, Cyrillic, Arabic, Devanagari), the
function words of :file:`function_words.txt` are counted, each divided among the languages that have it. All of it is integers
over whole batches: the same on every machine, and cheap beside a tagger.

Codes are those of BCP 47 (RFC 5646): ``zh``, ``en``; ``und-Latn`` where only the script is sure; ``zxx`` where there are no
letters; ``und`` for scripts that are not known here.
"""

import functools

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.function_words import NO_LETTER, OTHER, WHOLE, function_words

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
_LATIN, _HAN, _KANA = _CODES.index("Latn"), _CODES.index("Hani"), _CODES.index("Kana")
_DOTTED_I = "\u0130".encode()
"""The one character that has two in lower case."""
_KANA_SHARE = 10
"""Han with at least one Kana in so many characters is Japanese; Chinese text quotes a の now and then."""

_RARE = 40
"""One function word in so many words is needed."""
_LONGEST = 12
"""Code points of the longest run of letters that counts as a word."""

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]


def languages(texts: pa.Array) -> list[str]:
    """Return the language of each string of an array without nulls."""
    if not len(texts):
        return []
    letters, bounds, wide = _letters(*_samples(texts))
    starts, ends = _runs(letters)
    first = np.searchsorted(starts, bounds)
    main = _main_script(_counts(ends - starts, first, wide, bounds))
    found = [_alone(script) for script in main.tolist()]
    shared = [row for row, name in enumerate(found) if not name]
    if shared:
        short = np.flatnonzero(ends - starts <= _LONGEST)
        first = np.searchsorted(short, first)
        words = function_words()
        scores = words.scores(letters, starts.take(short), ends.take(short), first)
        best, most = scores.argmax(axis=1), scores.max(axis=1).astype(np.int64)
        ties = (scores == most[:, None]).sum(axis=1)
        # In running text about two words of five are such; among names and headings a word of another language may stand alone.
        sure = (most >= WHOLE) & (most * _RARE >= WHOLE * np.diff(first)) & (ties == 1)
        for row in shared:
            found[row] = words.languages[best[row]] if sure[row] else f"{UNKNOWN}-{_CODES[main[row]]}"
    return found


def _samples(texts: pa.Array) -> tuple[bytes, Ints]:
    """Return what is looked at of each record, one after the other, and where each starts and the last ends.

    That is a short text, or the start of a long one and as much from its middle; a character that would be cut in two is left out. A
    line feed follows each piece: no word goes on in the next, and every record has a character.
    """
    if not pa.types.is_string(texts.type):
        texts = texts.cast(pa.string())
    _, offsets, data = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    whole = memoryview(data if data is not None else b"")
    starts, sizes = bounds[:-1], np.diff(bounds)
    is_long = sizes > 3 * PIECE
    # Start and end of the one piece, or of both, of each record.
    cuts = np.stack((starts, bounds[1:], starts, starts), axis=1)
    long, middles = starts[is_long], (starts + sizes // 2)[is_long]
    cuts[is_long, 1:] = _whole(np.frombuffer(whole, np.uint8), long + PIECE, middles, middles + PIECE)
    wanted = np.flatnonzero(np.stack((np.ones_like(is_long), is_long), axis=1))
    begin, end = cuts.reshape(-1, 2).take(wanted, axis=0).T
    pieces = [whole[a:b] for a, b in zip(begin.tolist(), end.tolist(), strict=True)]
    sample, lengths = b"\n".join([*pieces, b""]), end - begin + 1
    if _DOTTED_I[:1] in sample and _DOTTED_I in sample:
        lower = [bytes(piece).replace(_DOTTED_I, _DOTTED_I.decode().lower().encode()) for piece in pieces]
        sample, lengths = b"\n".join([*lower, b""]), np.array([len(piece) + 1 for piece in lower])
    return sample, np.append(0, np.cumsum(lengths)[np.cumsum(1 + is_long) - 1])


def _whole(octets: Bytes, *places: Ints) -> Ints:
    """Return an end, a start and an end in UTF-8, moved inwards to where a character begins, shape (n, 3)."""
    moved = np.stack(places, axis=1)
    for _ in range(3):  # a character has three more bytes at most
        moved += np.where(octets.take(moved) & 0xC0 == 0x80, (-1, 1, -1), 0)
    return moved


def _letters(sample: bytes, bounds: Ints) -> tuple[bytes, Ints, tuple[Ints, Ints] | None]:
    """Return samples as letters (see :mod:`models.function_words`), where each starts and the last ends, and which are not in ASCII.

    Returns:
        a byte for each code point; bounds in these; and, unless all is ASCII, places and scripts of all other code points.
    """
    numbers, scripts = _tables()
    if sample.isascii():
        return sample.translate(numbers[:256].tobytes()), bounds, None
    codes = np.frombuffer(sample.decode().encode("utf-32-le"), np.uint32)
    starts = np.flatnonzero(np.frombuffer(sample, np.uint8) & 0xC0 != 0x80)
    at = np.flatnonzero(codes >= 0x80)
    wide = at, scripts.take(codes.take(at)).astype(np.int64)
    return numbers.take(codes).tobytes(), np.searchsorted(starts, bounds), wide


def _runs(letters: bytes) -> tuple[Ints, Ints]:
    """Return where runs of letters start and end; the last element is none."""
    inside = np.zeros(len(letters) + 1, bool)
    np.not_equal(np.frombuffer(letters, np.uint8), NO_LETTER, out=inside[1:])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    return edges[::2], edges[1::2]


def _counts(lengths: Ints, first: Ints, wide: tuple[Ints, Ints] | None, bounds: Ints) -> Ints:
    """Return how many letters of each script each record has, shape (n, scripts).

    Args:
        lengths: of runs of letters; those of record ``i`` are ``first[i]`` to ``first[i + 1]``.
        wide, bounds: as :func:`_letters` returns them.
    """
    rows = len(bounds) - 1
    sums = np.append(0, np.cumsum(lengths))
    letters = np.diff(sums.take(first))
    counts = np.zeros((rows, len(_CODES)), np.int64)
    if wide is not None:
        at, scripts = wide
        of = np.repeat(np.arange(rows), np.diff(np.searchsorted(at, bounds)))
        counts += np.bincount(of * len(_CODES) + scripts, minlength=counts.size).reshape(counts.shape)
    # All letters of ASCII are Latin.
    counts[:, _LATIN] += letters - counts[:, 1:].sum(axis=1)
    return counts


@functools.cache
def _tables() -> tuple[Bytes, Bytes]:
    """Return for each code point its number as a letter of function words, and its script, 0 for what is no letter."""
    scripts = np.zeros(0x110000, np.uint8)
    for number, (_, _, _, ranges) in enumerate(_SCRIPTS, 1):
        for start, stop in ranges:
            scripts[start:stop] = number
    numbers = np.where(scripts > 0, OTHER, NO_LETTER).astype(np.uint8)
    for letter, number in function_words().numbers.items():
        numbers[ord(letter)] = number
    text = np.arange(0x110000, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    lower_case = text.replace(_DOTTED_I.decode(), "\0").lower()
    lower = np.frombuffer(lower_case.encode("utf-32-le", "surrogatepass"), np.uint32)
    return numbers[lower], scripts[lower]


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
