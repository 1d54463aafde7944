"""Thirty nights with a thousand sources: who is blacklisted wrongly, and who is missed, by reading; a part of benchmarks/source_rule.py."""

from fractions import Fraction

import numpy as np

from models.intervals import is_above, is_within
from pipeline.report_markup import Markup, fill, joined

NIGHTS, VERDICTS, SOURCES, TIMES = 30, 1_000, 100, 100
"""Of each true share there are so many sources; the whole is done so many times."""
TRUE = np.array([0.01, 0.02, 0.03, 0.04, 0.045, 0.05, 0.055, 0.06, 0.08, 0.10])
LIMIT = Fraction(5, 100)
ONCE, NIGHTLY = Fraction("1.96"), Fraction(3)
SENSITIVITY, SPECIFICITY = 0.85, 0.97
SHOWN = (1, 7, 30)

Curves = dict[str, tuple[np.ndarray, np.ndarray]]


def nights(rng: np.random.Generator) -> tuple[str, Curves]:
    """Return a section in Markdown, and by reading the mean counts of false and of missed blacklistings on each night."""
    over = TRUE > 0.05
    shape = (TIMES * SOURCES, len(TRUE), NIGHTS)
    unlawful = rng.binomial(VERDICTS, TRUE[None, :, None], shape)
    apparent = TRUE * SENSITIVITY + (1 - TRUE) * (1 - SPECIFICITY)
    flagged = rng.binomial(VERDICTS, apparent[None, :, None], shape)
    n = VERDICTS * np.arange(1, NIGHTS + 1)
    k, f = unlawful.cumsum(axis=2), flagged.cumsum(axis=2)
    newest = is_above(unlawful, VERDICTS, LIMIT, NIGHTLY)
    cumulative = is_above(k, n, LIMIT, NIGHTLY)
    blacklisted = {
        "literal, detector": 20 * f > n,
        "literal, verdicts": 20 * k > n,
        "single look, z = 1.96": is_above(unlawful, VERDICTS, LIMIT, ONCE),
        "cumulative, z = 1.96": is_above(k, n, LIMIT, ONCE),
        "cumulative, z = 3": cumulative,
        "cumulative or latest batch, z = 3": cumulative | newest,
    }
    marked = {name: np.maximum.accumulate(each, axis=2) for name, each in blacklisted.items()}
    curves = {
        name: (each[:, ~over].sum(axis=(0, 1)) / TIMES, (~each[:, over]).sum(axis=(0, 1)) / TIMES)
        for name, each in marked.items()
    }
    bad, good = int(over.sum()) * SOURCES, int((~over).sum()) * SOURCES
    lines = [
        "### Thirty nights, a thousand sources\n\n![False and missed blacklistings by reading](source-rule.svg)\n",
        f"{SOURCES} sources each at true shares of {', '.join(f'{100 * share:g}' for share in TRUE)} %, so {good} are not over the limit and {bad} are. "
        f"{VERDICTS:,} new records a night, all with a verdict, or flagged by a detector (Se {SENSITIVITY}, Sp {SPECIFICITY}). Means of {TIMES} times. *False* are sources not over "
        f"the limit that were blacklisted at least once by that night; *missed* are sources over it that were not. The last column is the part of sources at exactly 5 % "
        "that are blacklisted at least once in 30 nights.\n",
        "| reading | "
        + " | ".join(f"false, night {night} | missed, night {night}" for night in SHOWN)
        + " | at exactly 5 % |",
        "|---|" + "---:|" * (2 * len(SHOWN) + 1),
    ]
    limit = int(np.flatnonzero(TRUE == 0.05)[0])
    for name, (false, missed) in curves.items():
        cells = [f"{each[night - 1]:.1f}" for night in SHOWN for each in (false, missed)]
        lines.append(f"| {name} | " + " | ".join([*cells, f"{100 * marked[name][:, limit, -1].mean():.1f} %"]) + " |")
    within = is_within(k, n, LIMIT, ONCE)
    usable = within[:, ~over].mean(axis=(0, 1))
    wrong = within[:, over].sum(axis=(0, 1)) / TIMES
    latest = (within & is_within(unlawful, VERDICTS, LIMIT, ONCE))[:, ~over].mean(axis=(0, 1))
    lines.append(
        f"\nOf the sources not over the limit, {100 * usable[0]:.0f} % are `clean` on night 1 and {100 * usable[-1]:.0f} % on night 30 by cumulative counts; "
        f"{100 * latest[-1]:.0f} % if each latest batch has to be clean as well (`latest_batch: worst`). "
        f"Of the {bad} over it {wrong[0]:.1f} and {wrong[-1]:.1f} are `clean`; the others are not used, whether marked yet or not.\n"
    )
    return "\n".join(lines), curves


_COLOURS = ("#b3261e", "#d98200", "#7b5ea7", "#3b7dd8", "#17735a", "#5f6368")
_WIDE, _HIGH, _LEFT, _TOP, _GAP = 290, 250, 46, 58, 230


def picture(curves: Curves) -> str:
    """Return the curves as a drawing of its own: false blacklistings to the left, missed ones to the right."""
    panels = [
        _panel(place, title, [each[place] for each in curves.values()], list(curves))
        for place, title in enumerate(("Blacklisted, though not over 5 %", "Over 5 %, not yet blacklisted"))
    ]
    return str(
        fill(
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" font-family="sans-serif" font-size="11" fill="#202124" '
            'aria-label="Sources blacklisted wrongly and sources missed over thirty nights, by reading; the table beside says the same">\n'
            '<rect width="100%" height="100%" fill="#ffffff"/>\n{panels}</svg>\n',
            wide=2 * (_LEFT + _WIDE + _GAP),
            high=_TOP + _HIGH + 46,
            panels=joined(panels),
        )
    )


def _panel(place: int, title: str, lines: list[np.ndarray], names: list[str]) -> Markup:
    left = _LEFT + place * (_LEFT + _WIDE + _GAP)
    most = 100 * -(-max(float(line.max()) for line in lines) // 100)
    marks = [
        fill(
            '<text x="{x}" y="24" font-size="14" font-weight="bold">{title}</text><text x="{x}" y="42" fill="#5f6368">sources of 1,000</text>\n',
            x=left,
            title=title,
        )
    ]
    marks += [
        fill(
            '<line x1="{x}" x2="{end}" y1="{y}" y2="{y}" stroke="#dadce0"/><text x="{beside}" y="{below}" text-anchor="end">{tick}</text>\n',
            x=left,
            end=left + _WIDE,
            y=f"{_at(tick, most):.1f}",
            beside=left - 6,
            below=f"{_at(tick, most) + 4:.1f}",
            tick=tick,
        )
        for tick in range(0, int(most) + 1, 100)
    ]
    marks += [
        fill(
            '<text x="{x}" y="{y}" text-anchor="middle">{night}</text>\n',
            x=f"{_night(left, night):.1f}",
            y=_TOP + _HIGH + 18,
            night=night,
        )
        for night in (1, 10, 20, 30)
    ]
    marks.append(
        fill(
            '<text x="{x}" y="{y}" text-anchor="middle" fill="#5f6368">night</text>\n',
            x=left + _WIDE // 2,
            y=_TOP + _HIGH + 34,
        )
    )
    height = _TOP + _HIGH + 20.0
    for at in sorted(range(len(lines)), key=lambda at: float(lines[at][-1])):
        # Names stand beside the ends of their lines, pushed up where they would lie on one another.
        height = min(height - 14, _at(float(lines[at][-1]), most) + 4)
        points = " ".join(f"{_night(left, n + 1):.1f},{_at(float(y), most):.1f}" for n, y in enumerate(lines[at]))
        marks.append(
            fill(
                '<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
                '<text x="{x}" y="{y}" fill="{colour}">{name}: {last}</text>\n',
                points=points,
                colour=_COLOURS[at],
                x=left + _WIDE + 6,
                y=f"{height:.1f}",
                name=names[at],
                last=f"{lines[at][-1]:.1f}",
            )
        )
    return joined(marks)


def _at(count: float, most: float) -> float:
    return _TOP + _HIGH * (1 - count / most)


def _night(left: int, night: int) -> float:
    return left + _WIDE * (night - 1) / (NIGHTS - 1)
