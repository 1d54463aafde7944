"""Where in a batch personal data may stand: native scans over the safe view that name small windows and what to look for there.

Two scans. Hyperscan finds anchors of what has a shape of its own: ``@``, dotted quads, double colons, hexadecimal pairs, account
and wallet prefixes. NumPy finds groups of digits, that is digits with at most a few separators between two of them, and plain
expressions on a group's bytes then tell which kinds of number it can be. A gate may announce too much, never too little.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from models.identity_numbers import MOBILE_PREFIXES, is_luhn
from models.taggers.personal_phone import ABROAD, MAX_DIGITS, MIN_DIGITS, Plan, is_international
from models.taggers.scanner import Scanner
from models.view import View

_START = rb"(?:^|[^0-9a-z])"
_ANCHORS: tuple[tuple[str, bytes], ...] = (
    # Local part before, domain after; a Han character after the sign is a handle, not a domain.
    ("email", rb"[!#$%&'*+\-/=?^_`{|}~0-9a-z\x80-\xbf]@[0-9a-z_\xc2-\xdf\xe1]"),
    ("ip", rb"\d\.\d{1,3}\.\d{1,3}\.\d"),
    ("ip", rb"(?:^|[^0-9a-z_:])(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){0,6})?::"),
    ("ip", rb"[0-9a-f]:(?:[0-9a-f]{1,4}:){5}[0-9a-f]"),
    ("mac", rb"[0-9a-f](?:[:-][0-9a-f]{2}){5}"),
    ("mac", rb"[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}"),
    ("iban", _START + rb"[a-z]{2}\d\d(?:[ -]?[a-z0-9]{4}){2}"),
    ("crypto", _START + rb"(?:bc1|[13])[a-z0-9]{25}"),
)
"""Kind and anchor. The last byte of a match always belongs to the value."""

_REACH = 64
"""Bytes from an anchor to the end of its window, before the window is extended to the end of a token."""
_TOKEN = 256
"""Bytes within which a window is extended to white space or a character of three bytes."""
_MERGED = 1024
"""Bytes up to which overlapping windows become one: no expression ever runs over more than this."""
_LONG_GROUP = 48
"""Bytes of a digit group that is one candidate; longer ones are tables or lists and are searched for candidates."""
_MANY_RUNS = 8
"""Runs of digits beyond which a group is searched likewise; no country writes a number in so many."""
_BREAKS = bytes(32 if byte <= 32 or byte >= 0xE2 else byte for byte in range(256))

_SEPARATORS = np.zeros(256, bool)
_SEPARATORS[list(b" -.()/+x[]~" + bytes([0xC2, 0xB7, 0xE2, 0x80, 0x81, 0x88, *range(0x90, 0x96), 0xBC]))] = True
_MAX_GAP = 6
_NO_EXTENSION = frozenset(b"abcdefghijklmnopqrstuvwxyz") - frozenset(b"aeix")
"""Letters that begin none of libphonenumber's words for an extension."""

_NOISE = re.compile(
    # Dates with or without hours, and plain decimals, also two with a dash between them.
    rb"(?:(?:1[89]|20)\d\d[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12]\d|3[01])(?:[ -]{1,3}[0-2]?\d)?"
    rb"|(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|[12]\d|3[01])\1(?:(?:1[89]|20)\d\d(?:[ -]{1,3}[0-2]?\d)?|\d\d)"
    rb"|0\.\d+|\d{1,8}\.\d{1,2}(?: ?[-~] ?\d{1,8}\.\d{1,2})?)"
)
_YEARS = re.compile(rb"\(?(?:1[89]|20)\d\d ?[-/~] ?(?:1[89]|20)\d\d")
_QUAD = re.compile(rb"(?<![0-9.])\d{1,3}(?:\.\d{1,3}){3}(?![0-9.])")
_LISTED = re.compile(rb"\+[\d ().-]{7,28}|\(\d{2,4}\) ?\d[\d -]{5,12}|[\d().-]{7,28}")
_RESIDENT = re.compile(rb"(?<![0-9a-z])\d{6}[ -]?\d{8}[ -]?\d{3}[0-9x](?![0-9a-z])")
_MOBILE = re.compile(
    rb"(?<![0-9a-z+])(?:(?:\+|00)?86\)?[ -]?)?(1[3-9]\d(?:[ .-]|\xc2\xb7)?\d{4}(?:[ .-]|\xc2\xb7)?\d{4})(?![0-9a-z])"
)
_SSN = re.compile(rb"(?<![0-9a-z_])(?:\d{9}|\d{5}-\d{4}|\d{3}-\d{6}|\d{3}[- .]\d\d[- .]\d{4})(?![0-9a-z_])")
_CARD = re.compile(
    rb"(?<![0-9a-z])(?=(\d{4}(?:[ .-]|\xc2\xb7)?\d{2,6}(?:(?:[ .-]|\xc2\xb7)?\d{3,13}){1,3})(?![0-9a-z]))"
)
_RUN = re.compile(rb"\d+")


class Window(NamedTuple):
    """A stretch of one record to look at.

    Attributes:
        kind: what may be there, as in ``personal.<kind>``.
        start, end: half-open byte span in the view's data, on character borders, within one record.
        anchors: half-open byte spans of which a value must touch one: what touches none may be cut by the window's edge.
        regions: for telephone numbers, the regions whose plans fit.
    """

    kind: str
    start: int
    end: int
    anchors: tuple[tuple[int, int], ...]
    regions: tuple[str, ...] = ()


class Gate:
    """The scans for a set of kinds."""

    def __init__(self, kinds: tuple[str, ...], phone_plans: tuple[Plan, ...], phone_cues: re.Pattern[str]) -> None:
        self._kinds = frozenset(kinds)
        self._allowing = functools.lru_cache(1 << 13)(
            lambda digits: tuple(plan.region for plan in phone_plans if plan.allows(digits))
        )
        self._cues = phone_cues
        wanted = [(kind, pattern) for kind, pattern in _ANCHORS if kind in self._kinds]
        self._anchor_kinds = [kind for kind, _ in wanted]
        self._scanner = Scanner([pattern for _, pattern in wanted]) if wanted else None

    def windows(self, view: View) -> dict[int, list[Window]]:
        """Return the windows of each record that has any."""
        found: dict[int, list[Window]] = defaultdict(list)
        for row, windows in self._anchored(view):
            found[row] += windows
        for row, window in self._numbers(view):
            found[row].append(window)
        return found

    def _anchored(self, view: View) -> Iterator[tuple[int, list[Window]]]:
        hits: set[tuple[int, str]] = set()
        if self._scanner is None:
            return
        self._scanner.scan(view.data, lambda expression, end: hits.add((end - 1, self._anchor_kinds[expression])))
        if not hits:
            return
        by_row: dict[tuple[int, str], list[int]] = defaultdict(list)
        ordered = sorted(hits)
        rows = view.rows([at for at, _ in ordered]).tolist()
        for row, (at, kind) in zip(rows, ordered, strict=True):
            by_row[row, kind].append(at)
        for (row, kind), places in by_row.items():
            yield row, list(_merge(view.data, kind, places, int(view.bounds[row]), int(view.bounds[row + 1]) - 1))

    def _numbers(self, view: View) -> Iterator[tuple[int, Window]]:
        if not self._kinds & {"phone", "bank_card", "us_ssn", "cn_resident_id", "cn_mobile"}:
            return
        starts, ends, counts = digit_groups(view.data)
        if not len(starts):
            return
        rows = view.rows(starts)
        firsts, lasts = view.bounds[rows], view.bounds[rows + 1] - 1
        data = view.data
        columns = (array.tolist() for array in (starts, ends, counts, rows, firsts, lasts))
        for start, end, count, row, first, last in zip(*columns, strict=True):
            if _NOISE.fullmatch(data, start, end) and data[start - 1 : start] != b"+":
                continue
            for kind, low, high, regions in self._kinds_of(data, start, end, count, first, last):
                yield row, Window(kind, *_round(data, low, high, first, last), ((low, high),), regions)

    def _kinds_of(
        self, data: bytes, start: int, end: int, count: int, first: int, last: int
    ) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
        """Return kind, byte span and regions of each candidate in a group of digits."""
        stop = min(end + 2, last)  # a check character X and the boundary behind it
        if count >= 9 and "us_ssn" in self._kinds:
            yield from (("us_ssn", *match.span(), ()) for match in _SSN.finditer(data, start, stop))
        taken = False
        if count >= 11 and "cn_mobile" in self._kinds:
            mobiles = list(_MOBILE.finditer(data, max(start - 2, first), stop))
            yield from (("cn_mobile", *match.span(), ()) for match in mobiles)
            taken = any(m.start() <= start and m.end() >= end and m[1][:3].decode() in MOBILE_PREFIXES for m in mobiles)
        if count >= 12 and "bank_card" in self._kinds:
            cards = (match for match in _CARD.finditer(data, start, stop) if _maybe_card(_RUN.findall(match[1])))
            yield from (("bank_card", *match.span(1), ()) for match in cards)
        if count >= 17 and "cn_resident_id" in self._kinds:
            yield from (("cn_resident_id", *match.span(), ()) for match in _RESIDENT.finditer(data, start, stop))
        if "phone" in self._kinds and not taken:
            yield from self._phones(data, start, end, first, last)

    def _phones(
        self, data: bytes, start: int, end: int, first: int, last: int
    ) -> Iterator[tuple[str, int, int, tuple[str, ...]]]:
        while start > first and data[start - 1] in b"+(" and end - start < _LONG_GROUP + 4:
            start -= 1
        for low, high in _pieces(data, start, end):
            regions = self._regions(data, low, high, first, last)
            if regions:
                yield "phone", low, high, regions

    def _regions(self, data: bytes, start: int, end: int, first: int, last: int) -> tuple[str, ...]:
        """Return the regions whose plans allow a number that a piece of digits holds."""
        found = list(_RUN.finditer(data, start, end))
        runs = [match[0] for match in found]
        regions: dict[str, None] = {}
        if b"+" in data[start:end]:
            if is_international(b"".join(runs).decode()):
                return (ABROAD,)
            regions[ABROAD] = None
        doubtful = len(runs) == 1 or _YEARS.fullmatch(data, start, end)
        if doubtful and (len(runs[0]) > MAX_DIGITS or not self.cued(data, start, end, first, last)):
            return tuple(regions)
        for digits in _contiguous(data, found):
            regions.update(dict.fromkeys(self._allowing(digits)))
        return tuple(regions)

    def cued(self, data: bytes, start: int, end: int, first: int, last: int) -> bool:
        """Tell whether a word that announces a telephone number stands within 20 characters."""
        before = data[max(first, start - 80) : start].decode(errors="ignore")[-20:]
        after = data[end : min(last, end + 80)].decode(errors="ignore")[:20]
        return bool(self._cues.search(before) or self._cues.search(after))


def digit_groups(data: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return start, end and number of digits of each group of at least ``MIN_DIGITS`` digits, in text order.

    Between two digits of a group stand at most ``_MAX_GAP`` bytes, all of them separators. A record's end is none.
    """
    octets = np.frombuffer(data, np.uint8)
    digits = np.flatnonzero((octets - np.uint8(ord("0"))) < 10)
    if not len(digits):
        return digits, digits, digits
    gaps = np.diff(digits) - 1
    joined = gaps <= _MAX_GAP
    apart = np.flatnonzero((gaps > 0) & joined)
    for step in range(1, _MAX_GAP + 1):
        apart = apart[gaps[apart] >= step]
        joined[apart] &= _SEPARATORS[octets[digits[apart] + step]]
    firsts = np.concatenate(([0], np.flatnonzero(~joined) + 1))
    counts = np.diff(np.concatenate((firsts, [len(digits)])))
    kept = counts >= MIN_DIGITS
    firsts, counts = firsts[kept], counts[kept]
    return digits[firsts], digits[firsts + counts - 1] + 1, counts


def _pieces(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Return the stretches of a group of digits that may be one telephone number: no dotted quads, and lists taken apart."""
    quads = [match.span() for match in _QUAD.finditer(data, start, end)]
    edges = [start, *(edge for quad in quads for edge in quad), end]
    for low, high in zip(edges[::2], edges[1::2], strict=True):
        if high - low > _LONG_GROUP or len(_RUN.findall(data, low, high)) > _MANY_RUNS:
            yield from (match.span() for match in _LISTED.finditer(data, low, high))
        elif high - low >= MIN_DIGITS:
            yield low, high


def _contiguous(data: bytes, runs: list[re.Match[bytes]]) -> Iterator[str]:
    """Return the digits of every row of neighbouring runs that is as long as a telephone number and may stand for itself.

    libphonenumber's matcher takes no number that follows a letter directly, none that a letter follows unless an extension
    begins there, and nothing behind a single x but an extension: most constants of programs are no candidates.
    """
    for first, begin in enumerate(runs):
        if data[begin.start() - 1 : begin.start()].isalpha():
            continue
        digits, at = b"", begin.start()
        for run in runs[first:]:
            between = data[at : run.start()]
            if b"x" in between and b"xx" not in between:
                break
            digits += run[0]
            at = run.end()
            if len(digits) > MAX_DIGITS:
                break
            if len(digits) >= MIN_DIGITS and data[at] not in _NO_EXTENSION:
                yield digits.decode()


def _maybe_card(runs: list[bytes]) -> bool:
    """Tell whether the first runs, some or all, make a card number by Luhn's digit; what follows may be something else."""
    digits = ""
    for run in runs:
        digits += run.decode()
        if len(digits) >= 12 and is_luhn(digits[:20]):
            return digits[0] not in "07"
    return False


def _merge(data: bytes, kind: str, places: list[int], first: int, last: int) -> Iterator[Window]:
    """Return the windows round anchors of one kind and record; each anchor's own window lies within one of them."""
    start, end, anchors = 0, 0, list[tuple[int, int]]()
    for at in places:
        low, high = _inside(data, *_token(data, at, first, last), first, last)
        if anchors and low <= end and high - start <= _MERGED:
            end = max(end, high)
        else:
            if anchors:
                yield Window(kind, start, end, tuple(anchors))
            start, end, anchors = low, high, []
        anchors.append((at, at + 1))
    if anchors:
        yield Window(kind, start, end, tuple(anchors))


def _token(data: bytes, at: int, first: int, last: int) -> tuple[int, int]:
    low, high = max(first, at - _REACH), min(last, at + _REACH)
    left = data[max(first, low - _TOKEN) : low].translate(_BREAKS)
    right = data[high : min(last, high + _TOKEN)].translate(_BREAKS)
    before, after = left.rfind(b" "), right.find(b" ")
    return low - (len(left) - max(before, 0)), high + (after if after >= 0 else len(right))


def _round(data: bytes, start: int, end: int, first: int, last: int) -> tuple[int, int]:
    """Return a number with up to four bytes on either side, none of them a digit: part of a next number would look whole."""
    low, high = start, end
    while low > max(first, start - 4) and data[low - 1] not in b"0123456789":
        low -= 1
    while high < min(last, end + 4) and data[high] not in b"0123456789":
        high += 1
    return _inside(data, low, high, first, last)


def _inside(data: bytes, start: int, end: int, first: int, last: int) -> tuple[int, int]:
    """Return a byte span cut to its record, its ends moved inward or outward to where characters start."""
    start, end = max(start, first), min(end, last)
    while start > first and data[start] & 0xC0 == 0x80:
        start -= 1
    while end < last and data[end] & 0xC0 == 0x80:
        end += 1
    return start, end
