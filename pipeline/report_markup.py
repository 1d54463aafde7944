"""Markup of the report: everything is escaped unless it is markup already, and how numbers are written."""

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from fractions import Fraction

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that have no shape."""
_LONGEST, _HEAD, _TAIL = 96, 72, 20
NONE = "–"
"""Stands where there is no number."""


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **values: str | int) -> Markup:
    """Put values into ``{places}`` of trusted markup: text is escaped, integers get thousands separators."""
    return Markup(template.format(**{key: _written(value) for key, value in values.items()}))


def joined(parts: Iterable[Markup], between: str = "") -> Markup:
    """Put pieces of markup together."""
    return Markup(between.join(parts))


def name(text: str) -> Markup:
    """Return a name that came with the data: set apart from the text round it, and not longer than a line or two.

    Names are hostile: they may hold markup, direction overrides or thousands of characters, or nothing that can be seen.
    """
    short = text if len(text) <= _LONGEST else f"{text[:_HEAD]}…{text[-_TAIL:]}"
    # Space at an end is not seen, and where there is nothing else the whole name is not.
    short = re.sub(r"^\s+|\s+$", lambda space: "".join(map(_code_point, space[0])), short)
    return fill('<bdi class="name">{short}</bdi>', short=short)


def _written(value: str | int) -> str:
    if isinstance(value, Markup):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    # quote=True is the default; it makes the result safe in attributes too.
    return html.escape(visible(value))


def visible(text: str) -> str:
    """Return a text with control, format and direction characters, and letters without a shape, written out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _code_point(each) if each in _BLANK or unicodedata.category(each) in _HIDDEN else each for each in text
    )


def _code_point(character: str) -> str:
    return f"\\u{{{ord(character):04x}}}"


def percent(part: int, whole: int) -> str:
    """Return a share with two decimals; one that is neither nothing nor everything is never written as if it were."""
    if not whole:
        return NONE
    hundredths = (part * 20_000 + whole) // (2 * whole)
    if part and not hundredths:
        return "< 0.01\u00a0%"
    if part < whole and hundredths >= 10_000:
        return "> 99.99\u00a0%"
    return f"{hundredths // 100}.{hundredths % 100:02}\u00a0%"


def exact_percent(share: Fraction) -> str:
    """Return a limit as it is: ``5 %``, ``2.5 %``, or a fraction if it has no short decimal form."""
    millionths = share * 100_000_000
    if millionths.denominator != 1:
        return f"{share.numerator}/{share.denominator}"
    decimal = f"{millionths.numerator // 1_000_000}.{millionths.numerator % 1_000_000:06}".rstrip("0").rstrip(".")
    return f"{decimal}\u00a0%"


def table(kind: str, head: Sequence[tuple[str, str]], rows: Iterable[Markup], foot: Markup | None = None) -> Markup:
    """Return a table that scrolls by itself where the page is too narrow.

    Args:
        kind: class of the style sheet.
        head: class and text of each column's heading.
        rows: table rows, or whole bodies that begin with ``<tbody>``.
    """
    made = list(rows)
    body = joined(made, "\n")
    if not (made and made[0].startswith("<tbody")):
        body = fill("<tbody>{body}</tbody>", body=body)
    return fill(
        '<div class="scroll"><table class="{kind}"><thead><tr>{head}</tr></thead>{body}{foot}</table></div>',
        kind=kind,
        head=joined(fill('<th class="{kind}">{text}</th>', kind=each, text=text) for each, text in head),
        body=body,
        foot=fill("<tfoot>{foot}</tfoot>", foot=foot) if foot else Markup(""),
    )


def number(n: int) -> Markup:
    """Return a cell with a number; nothing is shown fainter than something."""
    return fill('<td class="{kind}">{n}</td>', kind="n" if n else "n zero", n=n)
