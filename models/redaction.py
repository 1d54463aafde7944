"""Redaction: placeholders in place of spans, in plain text and inside a line of JSON that otherwise stays as it is."""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import NamedTuple

from models.columns import steps
from models.view import fold_term

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


class Redaction(NamedTuple):
    """A span of the record's text, half open, in code points, and what stands in its place."""

    start: int
    end: int
    placeholder: str


def label(category: str) -> str:
    """Return the placeholder's word for a category: ``EMAIL`` for ``personal.email``."""
    return category.removeprefix("personal.").upper()


def pseudonym(key: bytes, category: str, value: str) -> str:
    """Return ten letters that stand for a value: HMAC-SHA256 (RFC 2104) of category and folded value, in letters only.

    Letters, so that no pseudonym looks like a number that could itself be personal data.
    """
    mac = hmac.new(key, f"{category}\0{fold_term(value)}".encode(), hashlib.sha256).digest()
    number = int.from_bytes(mac[:8], "big")
    letters = []
    for _ in range(10):
        number, letter = divmod(number, 26)
        letters.append(chr(ord("a") + letter))
    return "".join(letters)


def union(spans: Iterable[Redaction]) -> list[Redaction]:
    """Merge spans that overlap or nest, so that no part of any value survives; the longest span's placeholder stands for all.

    The first of equally long ones counts; the result is in text order.
    """
    merged: list[Redaction] = []
    longest = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end, span.placeholder)):
        if span.start == span.end:
            continue
        if merged and span.start < merged[-1].end:
            last = merged[-1]
            kept = span.placeholder if span.end - span.start > longest else last.placeholder
            longest = max(longest, span.end - span.start)
            merged[-1] = Redaction(last.start, max(last.end, span.end), kept)
        else:
            merged.append(span)
            longest = span.end - span.start
    return merged


def redact(text: str, spans: Sequence[Redaction]) -> str:
    """Return the text with each span (in order, not overlapping) replaced."""
    parts, at = [], 0
    for start, end, placeholder in spans:
        parts += [text[at:start], placeholder]
        at = end
    parts.append(text[at:])
    return "".join(parts)


def redact_pieces(pieces: Sequence[str], spans: Sequence[Redaction]) -> list[str]:
    """Redact text given as the pieces that are joined by a line feed; a span over a border is cut there.

    Returns:
        the pieces, as many as given.
    """
    redacted, offset = [], 0
    for piece in pieces:
        end = offset + len(piece)
        here = [
            Redaction(max(span.start, offset) - offset, min(span.end, end) - offset, span.placeholder)
            for span in spans
            if span.start < end and span.end > offset
        ]
        redacted.append(redact(piece, here))
        offset = end + 1
    return redacted


def replace_strings(line: str, paths: Sequence[str], replacements: Sequence[str]) -> str:
    """Replace the string values at some paths of a JSON object, and leave every other character of it alone.

    Args:
        line: a JSON object.
        paths: where the values are, in the order in which their pieces form the text.
        replacements: one string for each value.

    Raises:
        ValueError: if the values are not as many strings.
    """
    spans = [span for path in paths for span in _locate(line, path)]
    if len(spans) != len(replacements):
        raise ValueError(f"{len(spans)} values for {len(replacements)} replacements")
    parts, at = [], 0
    for (start, end), new in sorted(zip(spans, replacements, strict=True)):
        parts += [line[at:start], json.dumps(new, ensure_ascii=line[start:end].isascii() and not new.isascii())]
        at = end
    parts.append(line[at:])
    return "".join(parts)


def _locate(line: str, path: str) -> list[tuple[int, int]]:
    """Return the spans of the values that a path leads to."""
    values = [_skip(line, 0)]
    for name, every in steps(path):
        values = [span for at in values if line[at] == "{" and (span := _member(line, at, name)) is not None]
        if every:
            values = [item for at in values if line[at] == "[" for item in _elements(line, at)]
    return [(at, end) for at in values for value, end in [_DECODER.raw_decode(line, at)] if value is not None]


def _skip(line: str, at: int) -> int:
    while line[at] in _SPACE:
        at += 1
    return at


def _member(line: str, at: int, name: str) -> int | None:
    """Return where the value of a key starts in the object at ``at``; the last of equal keys, as parsers take it."""
    found = None
    at = _skip(line, at + 1)
    while line[at] != "}":
        key, at = scanstring(line, at + 1, True)
        at = _skip(line, _skip(line, at) + 1)
        if key == name:
            found = at
        _, at = _DECODER.raw_decode(line, at)
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
    return found


def _elements(line: str, at: int) -> list[int]:
    """Return where each element of the array at ``at`` starts."""
    found = []
    at = _skip(line, at + 1)
    while line[at] != "]":
        found.append(at)
        _, at = _DECODER.raw_decode(line, at)
        at = _skip(line, at)
        if line[at] == ",":
            at = _skip(line, at + 1)
    return found
