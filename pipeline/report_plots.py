"""Plots of the report: inline SVG that needs no script and scales with the page."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from pipeline.report_markup import Markup, exact_percent, fill, joined, percent
from pipeline.report_words import Words

_LEAST = Fraction(1, 250)
_STEPS = 5
_REACH = 4


def stacked_bar(parts: Sequence[tuple[str, int]], label: str) -> Markup:
    """Return one bar divided by parts, each a class of the style sheet and its count.

    A part that is not nothing is at least 0.4 % wide, so that a few dead letters among millions can be seen.
    """
    whole = sum(size for _, size in parts) or 1
    widths = [max(_LEAST, Fraction(size, whole)) if size else Fraction(0) for _, size in parts]
    total = sum(widths) or Fraction(1)
    at, bars = Fraction(0), []
    for (kind, size), width in zip(parts, widths, strict=True):
        if size:
            bars.append(
                fill('<rect class="{kind}" x="{x}" width="{w}" height="100%"/>', kind=kind, **_span(at, width / total))
            )
        at += width / total
    return fill('<svg class="stack" role="img" aria-label="{label}">{bars}</svg>', label=label, bars=joined(bars))


def count_bar(kind: str, size: int, most: int) -> Markup:
    """Return a bar for one count in a column whose longest bar stands for ``most``."""
    width = max(_LEAST, Fraction(size, most)) if size else Fraction(0)
    template = (
        '<svg class="bar" aria-hidden="true"><rect class="{kind}" x="{x}" width="{w}" height="100%" rx="1"/></svg>'
    )
    return fill(template, kind=kind, **_span(Fraction(0), width))


def share_bar(kind: str, unlawful: int, distinct: int, limit: Fraction, said: Words) -> Markup:
    """Return a bar for a share with a line at the limit; bars of one page have one scale, that ends at four times the limit."""
    end = min(Fraction(1), limit * _REACH) or Fraction(1)
    share = Fraction(unlawful, distinct) if distinct else Fraction(0)
    width = min(Fraction(1), share / end)
    more = (
        Markup('<text class="more" x="100%" dx="-3" y="11" text-anchor="end">»</text>') if share > end else Markup("")
    )
    template = (
        '<svg class="bar share" role="img" aria-label="{label}"><rect class="{kind}" x="{x}" y="2" width="{w}" height="10"/>'
        '{more}<line class="limit" x1="{at}" x2="{at}" y1="-20" y2="34"/></svg>'
    )
    label = said.plain("plot.share", share=percent(unlawful, distinct), limit=exact_percent(limit))
    return fill(template, label=label, kind=kind, more=more, at=_percent(limit / end), **_span(Fraction(0), width))


def bin_labels(limit: Fraction) -> tuple[str, ...]:
    """Return the labels of the bins that :func:`histogram` shows: none, five up to the limit, five up to twice of it, more."""
    step = _step(limit)
    edges = [exact_percent(step * n).removesuffix("\u00a0%") for n in range(2 * _STEPS + 1)]
    return ("0", *(f"{low}–{high}" for low, high in pairwise(edges)), f"> {edges[-1]}")


def bin_of(unlawful: int, distinct: int, limit: Fraction) -> int:
    """Return the bin of a share; a bin holds its upper edge, so a share exactly at the limit is left of the line."""
    step = _step(limit)
    return min(2 * _STEPS + 1, -(-unlawful * step.denominator // (distinct * step.numerator)))


def _step(limit: Fraction) -> Fraction:
    return limit / _STEPS or Fraction(1, 100)


def histogram(counts: Sequence[int], limit: Fraction, words: Words) -> Markup:
    """Return how many sources have which share, with the limit marked."""
    labels = bin_labels(limit)
    wide, high, base, top, first = 54, 96, 128, 18, 14
    most = max([*counts, 1])
    bars = []
    line = first + wide * ((_STEPS if limit else 0) + 1) - 3
    for n, (size, label) in enumerate(zip(counts, labels, strict=True)):
        tall = max(2, round(size * high / most)) if size else 0
        kind = "over" if n > (_STEPS if limit else 0) else "within"
        bars.append(
            fill(
                '<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{tall}"/>'
                '<text class="value" x="{mid}" y="{above}">{size}</text><text x="{mid}" y="{below}">{label}</text>',
                kind=kind if size else "none",
                x=first + wide * n,
                y=base - tall,
                w=wide - 6,
                tall=tall,
                mid=first + wide * n + (wide - 6) // 2,
                above=base - tall - 5,
                below=base + 15,
                size=size if size else "",
                label=label,
            )
        )
    said = ", ".join(f"{label} %: {size:,}" for label, size in zip(labels, counts, strict=True) if size)
    return fill(
        '<svg class="histogram" viewBox="0 0 {width} 166" role="img" aria-label="{label}">{bars}'
        '<line class="axis" x1="{first}" x2="{end}" y1="{base}" y2="{base}"/>'
        '<line class="limit" x1="{line}" x2="{line}" y1="{top}" y2="{base}"/>'
        '<text class="limit" x="{beside}" y="{high}">{over}</text>'
        '<text class="title" x="{centre}" y="161">{axis}</text></svg>',
        width=first * 2 + wide * len(labels) - 6,
        label=words.plain("plot.sources", said=said),
        bars=joined(bars),
        first=first,
        end=first + wide * len(labels) - 6,
        base=base,
        line=line,
        top=top - 14,
        beside=line + 7,
        high=top - 4,
        over=words.plain("plot.limit", limit=exact_percent(limit)),
        axis=words.plain("plot.axis"),
        centre=first + wide * len(labels) // 2,
    )


def _span(at: Fraction, width: Fraction) -> dict[str, str]:
    return {"x": _percent(at), "w": _percent(width)}


def _percent(share: Fraction) -> str:
    return f"{round(share * 100_000) / 1000:g}%"
