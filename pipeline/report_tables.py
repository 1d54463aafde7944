"""The report's tables of actions, of dead letters, and of what the figures were made with."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from models.policy import ACTIONS
from models.sources import BLACKLISTED, HOLD
from models.taxonomy import load_taxonomy
from pipeline.report_markup import Markup, count, fill, joined, name, percent
from pipeline.report_plots import count_bar

SHOWN = 20
"""Rows of lists of shards."""
_TAXONOMY = "tc260-003"
_NAMES = {
    "unscanned": "Not scanned by every detector",
    "blocked": "Ordered blocked: zero tolerance",
    "provenance": "No lawful origin shown",
    "copyright": "Copyrighted text",
    f"source:{BLACKLISTED}": "The record's source is blacklisted",
    f"source:{HOLD}": "The record's source is on hold",
}
_ERRORS = {
    "bad_json": "not JSON",
    "bad_encoding": "not text in the expected encoding",
    "no_text": "nothing in the text column",
    "wrong_type": "not an object, or its text is no text",
    "too_long": "longer than a record may be",
    "unreadable": "a damaged file or row group: one entry, however many records it held",
    "tagger_error": "a detector failed on the record",
    "redaction_failed": "something was still found after redaction",
}
_INITIALS = frozenset({"cn", "hk", "iban", "id", "ip", "mac", "nhs", "rrn", "ssn", "uk", "url", "us"})
_Names = Callable[[str], Markup]


def actions_section(reasons: Mapping[str, int]) -> Markup:
    """Return how many records each category led to which action, by groups of categories."""
    if not reasons:
        return Markup("<p>No rule of the policy applied to any record.</p>")
    pairs = [((*key.rsplit("\t", 1),), records) for key, records in reasons.items()]
    most = max(reasons.values())
    bodies = []
    for title, order, names in _groups():
        mine = [(key, records) for key, records in pairs if _group(key[0]) == title]
        mine.sort(key=lambda pair: (order.get(pair[0][0], len(order)), *_strictest_first(pair)))
        if mine:
            rows = (_action_row(key[0], key[1], records, most, names) for key, records in mine)
            head = fill('<tr><th class="group" colspan="5" scope="rowgroup">{title}</th></tr>', title=title)
            bodies.append(fill("<tbody>{head}{rows}</tbody>", head=head, rows=joined(rows, "\n")))
    return fill(
        """<p>A record counts once for each category and action that applied to it, so it can stand in several rows and the rows do
not add up to the totals; the strictest action of all its rows decided its door.</p>
<div class="scroll"><table class="actions">
<thead><tr><th>Category</th><th>Name</th><th>Action</th><th class="n">Records</th><th class="plot"></th></tr></thead>
{bodies}</table></div>""",
        bodies=joined(bodies),
    )


_RISKS, _PERSONAL, _SOURCES, _OTHER = (
    "Risks of TC260-003, Appendix A",
    "Personal data",
    "State of the record's source",
    "Other",
)


def _groups() -> list[tuple[str, dict[str, int], _Names]]:
    risks = {risk.id: risk for section in load_taxonomy(_TAXONOMY).sections for risk in section.risks}

    def risk_name(category: str) -> Markup:
        risk = risks.get(category)
        if risk is None:
            return Markup("")
        return fill('{en} <span lang="zh" class="zh">{zh}</span>', en=risk.en, zh=risk.zh)

    order = {key: place for place, key in enumerate(risks)}
    return [
        (_SOURCES, {}, _other_name),
        (_RISKS, order, risk_name),
        (_PERSONAL, {}, lambda category: fill("{words}", words=_words(category.removeprefix("personal.")))),
        (_OTHER, {}, _other_name),
    ]


def _group(category: str) -> str:
    if category.startswith("source:"):
        return _SOURCES
    if category.startswith("personal."):
        return _PERSONAL
    return _RISKS if re.match(r"A\.\d", category) else _OTHER


def _other_name(category: str) -> Markup:
    return fill("{words}", words=_NAMES.get(category) or _NAMES.get(category.split(".")[0], ""))


def _words(entity: str) -> str:
    """Return words for the name of an entity: ``CN resident ID`` for ``cn_resident_id``."""
    words = " ".join(part.upper() if part in _INITIALS else part for part in entity.split("_"))
    return words[:1].upper() + words[1:]


def _strictest_first(pair: tuple[tuple[str, ...], int]) -> tuple[int, int, str]:
    (category, action), records = pair
    return (-records, -ACTIONS.index(action) if action in ACTIONS else 0, category)


def _action_row(category: str, action: str, records: int, most: int, names: _Names) -> Markup:
    kind = action if action in ACTIONS else "other"
    return fill(
        '<tr><th scope="row"><code>{category}</code></th><td>{words}</td><td><span class="action {kind}">{action}</span></td>'
        '<td class="n">{records}</td><td class="plot">{bar}</td></tr>',
        category=name(category),
        words=names(category),
        kind=kind,
        action=action,
        records=records,
        bar=count_bar(kind, records, most),
    )


def dead_section(dead: int, read: int, errors: Mapping[str, int], by_shard: Sequence[tuple[str, int]]) -> Markup:
    """Return dead letters by class and by shard, most first."""
    if not dead:
        return Markup("<p>There are no dead letters: every entry of the input was usable as a record.</p>")
    classes = [
        (fill("<code>{error}</code> {words}", error=name(error), words=_ERRORS.get(error, "")), size)
        for error, size in sorted(errors.items(), key=lambda item: (-item[1], item[0]))
    ]
    shards = sorted(((shard, size) for shard, size in by_shard if size), key=lambda item: (-item[1], item[0]))
    shown = [(name(shard), size) for shard, size in shards[:SHOWN]]
    if rest := shards[SHOWN:]:
        others = f"{count(len(rest), 'other shard')}; every letter stands in dead/"
        shown.append((fill("<em>{others}</em>", others=others), sum(size for _, size in rest)))
    return fill(
        """<p>{dead} of {read} ({share}). Every one lies in <code>dead/</code> with its shard, position and cause.</p>
<div class="pair">{classes}{shards}</div>""",
        dead=count(dead, "entry", "entries"),
        read=read,
        share=percent(dead, read),
        classes=_dead_table("By class", classes, dead),
        shards=_dead_table(f"By shard{f', the first {SHOWN}' if rest else ''}", shown, dead),
    )


def _dead_table(title: str, rows: Sequence[tuple[Markup, int]], total: int) -> Markup:
    most = max(size for _, size in rows)
    return fill(
        '<table><thead><tr><th>{title}</th><th class="n">Entries</th><th class="plot"></th></tr></thead><tbody>{rows}</tbody>'
        '<tfoot><tr><th scope="row">All</th><td class="n">{total}</td><td></td></tr></tfoot></table>',
        title=title,
        rows=joined(
            fill(
                '<tr><th scope="row">{what}</th><td class="n">{size}</td><td class="plot">{bar}</td></tr>',
                what=what,
                size=size,
                bar=count_bar("dead", size, most),
            )
            for what, size in rows
        ),
        total=total,
    )


def basis_section(manifest: Mapping[str, Any]) -> Markup:
    """Return the policy and the detectors with the digests that they can be checked by."""
    policy = manifest["policy"]
    row = '<tr><th scope="row">{what}</th><td>{kind}</td><td class="digest"><code>{digest}</code></td></tr>'
    rows = [fill(row, what=f"{policy['name']} {policy['version']}", kind="policy", digest=policy["digest"])]
    rows += [
        fill(row, what=name(tagger), kind="detector", digest=digest)
        for tagger, digest in sorted(manifest["taggers"].items())
    ]
    return fill(
        '<div class="scroll"><table class="basis"><thead><tr><th>Name</th><th>Kind</th><th>Digest of what it is and does</th>'
        "</tr></thead><tbody>{rows}</tbody></table></div>",
        rows=joined(rows),
    )
