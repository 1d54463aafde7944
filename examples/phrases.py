"""Made-up sentences: templates with slots, filled in a fixed order that looks shuffled.

A file of phrases has slots (``name = a | b``), templates (any other line) and comments (``#``). What fills a slot of record
``n`` is picked by SHA-256 of file, number and slot, so the same texts come out everywhere and nothing depends on a random
generator. ``{resident:region,date,order}`` and ``{card:digits}`` are the number with its check digit.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SLOT = re.compile(r"\{(\w+)(?::([\w,]+))?\}")
_TERM = re.compile(r"\[\[(.+?)\]\]")
_ZERO_WIDTH, _WORD_JOINER = "\u200b", "\u2060"


@dataclass(frozen=True)
class Phrases:
    """The templates and slots of one file."""

    name: str
    templates: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]

    def texts(self) -> Iterator[str]:
        """Return the texts of records 1, 2, …, without end; no two are equal."""
        seen: set[str] = set()
        number = 0
        while True:
            number += 1
            text = self._text(number)
            if text not in seen:
                seen.add(text)
                yield text

    def _text(self, number: int) -> str:
        template = self.templates[number % len(self.templates)]

        def fill(match: re.Match[str]) -> str:
            slot, argument = match.groups()
            if slot == "n":
                return str(number)
            if argument is not None:
                return _CHECKED[slot](argument)
            values = self.slots[slot]
            return _SLOT.sub(fill, values[_pick(f"{self.name}/{number}/{slot}", len(values))])

        return _SLOT.sub(fill, template)


def read_phrases(path: Path) -> Phrases:
    """Return the phrases of a file."""
    templates, slots = [], {}
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("#") or line in ("", "--"):
            continue
        name, equals, values = line.partition(" = ")
        if equals and name.isidentifier() and name.isascii():
            slots[name] = tuple(value.strip() for value in values.split(" | "))
        else:
            templates.append(line)
    return Phrases(path.stem, tuple(templates), slots)


def disguise(text: str, number: int) -> str:
    """Return a text without the marks around its term, the term written in one of the ways that are meant to hide it."""

    def hide(match: re.Match[str]) -> str:
        term = match[1]
        style = number % 5
        if style == 1:
            return term[:2] + _ZERO_WIDTH + term[2:]
        if style in (2, 4) and term.isascii():
            return full_width(term)
        if style == 2:
            return _WORD_JOINER.join(term)
        if style == 3:
            return term.upper()
        return term

    return _TERM.sub(hide, text)


def vary_digits(text: str, number: int) -> str:
    """Return a text whose long numbers are full-width (every fifth record) or hold a zero-width space (another fifth)."""
    style = (number + number // 10) % 5  # number alone would give every one of the ten templates a single style
    if style == 1:
        return re.sub(r"\d{6,}", lambda match: full_width(match[0]), text)
    if style == 3:
        return re.sub(r"\d{6,}", lambda match: match[0][:4] + _ZERO_WIDTH + match[0][4:], text)
    return text


def full_width(text: str) -> str:
    """Return a text with ASCII letters, digits and signs in their full-width forms."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def resident(argument: str) -> str:
    """Return a resident id number with its check character (GB 11643, ISO 7064 MOD 11-2)."""
    digits = argument.replace(",", "")
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]


def card(digits: str) -> str:
    """Return a card number with its check digit (ISO/IEC 7812, Luhn)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return digits + str(-total % 10)


_CHECKED = {"resident": resident, "card": card}


def _pick(key: str, count: int) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % count
