"""The report's plot of the flow: from all that was read, through the rule that decided, to the door."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from unicodedata import east_asian_width

from models.errors import ConservationError
from models.policy import ACTIONS
from pipeline.figures import Figures
from pipeline.report_markup import Markup, fill, joined
from pipeline.report_rules import flow_of, rule_title
from pipeline.report_words import Words

MOST = 7
"""Causes of one door that are drawn apart; the others are one."""
_DOORS = {"redact": "clean", "quarantine": "quarantined", "drop": "dropped"}
_KINDS = {"clean": "clean", "quarantined": "quarantine", "dropped": "dropped", "dead": "dead"}

_WIDE, _LEFT, _MIDDLE, _RIGHT, _NODE = 1000, 92, 372, 862, 11
_TALL, _THIN, _SLOT, _GAP, _APART = 210.0, 2.5, 19.0, 4.0, 16.0
"""Of the picture, in its own units: height of all that was read, of the thinnest band, of a line, between causes, between doors."""
_WORDS, _BY = 58, 20
"""Width of the words of a cause, and at most of the detector among them."""


@dataclass(frozen=True)
class Cause:
    """What sent records to a door."""

    door: str
    title: str
    kind: str
    records: int
    by: str = ""

    @property
    def label(self) -> str:
        """Words for it, cut to the width that there is; the detector stays, by which causes of one title differ."""
        by = f" · {_cut(self.by, _BY)}" if self.by else ""
        return _cut(self.title, _WORDS - len(by)) + by


def causes(counts: Mapping[str, int], figures: Figures, said: Words, rules: Mapping[str, str]) -> list[Cause]:
    """Return every cause, by door and size, the kept records first.

    Raises:
        ConservationError: if causes of a door do not add up to what left by it.
    """
    found = [Cause("clean", said.plain("flow.untouched"), "keep", counts["clean"] - counts["redacted"])]
    by_action: dict[str, list[Cause]] = {action: [] for action in ACTIONS}
    for (action, rule, tagger), records in flow_of(figures).items():
        kind = "redact" if action == "redact" else _KINDS[_DOORS[action]]
        by_action[action].append(Cause(_DOORS[action], rule_title(rule, rules, said), kind, records, tagger))
    for action, count in (("redact", "redacted"), ("quarantine", "quarantined"), ("drop", "dropped")):
        if sum(each.records for each in by_action[action]) != counts[count]:
            raise ConservationError(f"report: {counts[count]} records {count}, their causes do not add up to that")
        found += _largest(by_action[action], said)
    dead = [
        Cause("dead", said.name(f"error.{error}", error), "dead", records)
        for error, records in sorted(figures.errors.items())
    ]
    return [each for each in [*found, *_largest(dead, said)] if each.records]


def _largest(found: Sequence[Cause], said: Words) -> list[Cause]:
    # Of equally many the first by name, whatever they are called in a language: each shows the same ones.
    ordered = sorted(found, key=lambda each: -each.records)
    rest = ordered[MOST:]
    if not rest:
        return ordered
    other = Cause(rest[0].door, said.plain("flow.other"), rest[0].kind, sum(each.records for each in rest))
    return [*ordered[:MOST], other]


def flow_plot(counts: Mapping[str, int], found: Sequence[Cause], said: Words) -> Markup:
    """Return the picture."""
    read = max(1, counts["read"])
    thick = [max(_THIN, each.records * _TALL / read) for each in found]
    doors = [door for door in _KINDS if any(each.door == door for each in found)]
    bands, nodes, labels = [], [], []
    y = y_door = start = 2.0
    y_read = start
    for door in doors:
        mine = [(each, size) for each, size in zip(found, thick, strict=True) if each.door == door]
        whole = sum(size for _, size in mine)
        # A door stands where its causes do, in their middle.
        height = sum(max(size, _SLOT) + _GAP for _, size in mine) - _GAP
        at = max(y_door, y + (height - whole) / 2)
        nodes.append(_node(_KINDS[door], _RIGHT, at, whole))
        labels.append(_text("door", _RIGHT + _NODE + 7, at + whole / 2 - 1, said.plain(f"door.{door}"), counts[door]))
        into = at
        for each, size in mine:
            middle = y + (max(size, _SLOT) - size) / 2
            bands.append(_band(each.kind, _LEFT + _NODE, y_read, _MIDDLE, middle, size))
            bands.append(_band(each.kind, _MIDDLE + _NODE, middle, _RIGHT, into, size))
            nodes.append(_node(each.kind, _MIDDLE, middle, size))
            labels.append(
                _text(
                    "cause" if size > _SLOT / 2 else "cause thin",
                    _MIDDLE + _NODE + 7,
                    middle + size / 2,
                    each.label,
                    each.records,
                )
            )
            y += max(size, _SLOT) + _GAP
            y_read += size
            into += size
        y += _APART
        y_door = max(at + whole, at + whole / 2 + 30)
    labels.append(_text("read", _LEFT - 8, start + (y_read - start) / 2, said.plain("door.read"), counts["read"]))
    nodes.append(_node("read", _LEFT, start, y_read - start))
    tall = max(y, y_read, y_door) + 2
    return fill(
        '<svg class="flow" viewBox="0 0 {wide} {tall}" role="img" aria-label="{label}">{bands}{nodes}{labels}</svg>',
        wide=str(_WIDE),
        tall=f"{tall:.0f}",
        label=said.plain("flow.label") + ": " + "; ".join(f"{each.label} {each.records:,}" for each in found),
        bands=joined(bands),
        nodes=joined(nodes),
        labels=joined(labels),
    )


def _node(kind: str, x: float, y: float, tall: float) -> Markup:
    where = {"x": f"{x:g}", "y": f"{y:.1f}", "tall": f"{tall:.1f}", "w": f"{_NODE}"}
    return fill('<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="{tall}"/>', kind=kind, **where)


def _band(kind: str, x0: float, y0: float, x1: float, y1: float, tall: float) -> Markup:
    half = (x0 + x1) / 2
    path = (
        f"M{x0:g} {y0:.1f}C{half:g} {y0:.1f} {half:g} {y1:.1f} {x1:g} {y1:.1f}V{y1 + tall:.1f}"
        f"C{half:g} {y1 + tall:.1f} {half:g} {y0 + tall:.1f} {x0:g} {y0 + tall:.1f}Z"
    )
    return fill('<path class="{kind}" d="{path}"/>', kind=kind, path=path)


def _text(kind: str, x: float, y: float, words: str, records: int) -> Markup:
    if kind.startswith("cause"):
        template = '<text class="{kind}" x="{x}" y="{y}" dy=".35em"><tspan class="n">{n}</tspan> {words}</text>'
    else:
        template = (
            '<text class="{kind}" x="{x}" y="{y}"><tspan class="n">{n}</tspan>'
            '<tspan x="{x}" dy="1.15em">{words}</tspan></text>'
        )
    return fill(template, kind=kind, x=f"{x:g}", y=f"{y:.1f}", n=records, words=words)


def _cut(text: str, most: int) -> str:
    """Cut a text to a width; characters of East Asia are two wide."""
    wide = 0
    for at, char in enumerate(text):
        wide += 2 if east_asian_width(char) in "WF" else 1
        if wide > most:
            return text[:at] + "…"
    return text
