"""The report's tables of what was found: risks and who looks for them, personal data, works, provenance, blocked things, other reasons."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from models.policy import ACTIONS
from models.taxonomy import Risk, load_taxonomy
from pipeline.figures import Figures
from pipeline.report_markup import NONE, Markup, fill, joined, name, number, table
from pipeline.report_plots import count_bar
from pipeline.report_words import Words

Reasons = Mapping[str, int]
_INITIALS = frozenset({"cn", "hk", "iban", "id", "ip", "mac", "nhs", "rrn", "ssn", "uk", "url", "us"})
_GROUPS = {"personal": "personal", "copyright": "copyright", "provenance": "provenance", "blocked": "blocked"}


def group_of(category: str) -> str:
    """Return the section that a category belongs to: ``risk``, ``personal``, ``copyright``, ``provenance``, ``blocked`` or ``other``."""
    return "risk" if re.match(r"A\.\d", category) else _GROUPS.get(category.split(".")[0], "other")


def by_category(reasons: Reasons, group: str) -> dict[str, dict[str, int]]:
    """Return the records of each category of a group by action, the strictest action first."""
    found: dict[str, dict[str, int]] = {}
    for key, records in reasons.items():
        category, _, action = key.rpartition("\t")
        if group_of(category) == group:
            found.setdefault(category, {})[action] = records
    return {
        category: dict(sorted(actions.items(), key=lambda item: (-_strictness(item[0]), item[0])))
        for category, actions in sorted(found.items(), key=lambda item: (-max(item[1].values()), item[0]))
    }


def _strictness(action: str) -> int:
    return ACTIONS.index(action) if action in ACTIONS else -1


def risks_section(
    reasons: Reasons, coverage: Mapping[str, Sequence[str]] | None, policy: Mapping[str, Any], said: Words
) -> Markup:
    """Return every risk of the policy's taxonomy with what looks for it, and the records found, by action."""
    taxonomy = load_taxonomy(policy.get("taxonomy", "tc260-003"))
    found = by_category(reasons, "risk")
    most = max((records for actions in found.values() for records in actions.values()), default=1)
    bodies = []
    for section in taxonomy.sections:
        rows = [
            _risk_row(risk.id, _risk_name(risk, said), found.pop(risk.id, {}), coverage, most, said)
            for risk in section.risks
        ]
        title = fill("{id} {name}", id=section.id, name=said.pick(section))
        bodies.append(_group(title, rows))
    if found:  # of another taxonomy
        rows = [_risk_row(key, Markup(""), actions, coverage, most, said) for key, actions in found.items()]
        bodies.append(_group(said("reasons.title"), rows))
    if coverage is None:
        lead = said("risks.unknown")
    else:
        covered = sum(bool(coverage.get(risk)) for risk in taxonomy.ids)
        lead = said("risks.lead", covered=covered, all=len(taxonomy.ids), instrument=taxonomy.instrument)
    head = [
        ("", said("risks.risk")),
        ("by", said("risks.by")),
        ("", said("risks.action")),
        ("n", said("risks.records")),
        ("plot", ""),
    ]
    return fill(
        "<p><strong>{lead}</strong></p><p>{rule}</p>{table}",
        lead=lead,
        rule=said("risks.rule"),
        table=table("risks", head, bodies),
    )


def uncovered(coverage: Mapping[str, Sequence[str]] | None) -> int:
    """Return how many risks nothing looks for."""
    return sum(not names for names in (coverage or {}).values())


def _group(title: Markup, rows: Iterable[Markup]) -> Markup:
    head = fill('<tr><th class="group" colspan="5" scope="rowgroup">{title}</th></tr>', title=title)
    return fill("<tbody>{head}{rows}</tbody>", head=head, rows=joined(rows, "\n"))


def _risk_name(risk: Risk, said: Words) -> Markup:
    """Return a risk's name; the instrument's own, which is Chinese, stands under a translation."""
    if said.language == "zh":
        return fill("{zh}", zh=risk.zh)
    return fill('{en} <span lang="zh" class="zh">{zh}</span>', en=risk.en, zh=risk.zh)


def _risk_row(
    key: str,
    words: Markup,
    actions: Mapping[str, int],
    coverage: Mapping[str, Sequence[str]] | None,
    most: int,
    said: Words,
) -> Markup:
    names = None if coverage is None else coverage.get(key, ())
    if names is None:
        by: str = NONE
    elif names:
        by = joined((name(each) for each in sorted(names)), "<br>")
    else:
        by = fill('<span class="nothing">{nothing}</span>', nothing=said("risks.nothing"))
    lines = list(actions.items())
    return fill(
        '<tr><th scope="row"><code>{key}</code> {words}</th><td class="by">{by}</td><td>{badges}</td>{records}'
        '<td class="plot">{bars}</td></tr>',
        key=name(key),
        words=words,
        by=by,
        badges=joined((_badge(action, said) for action, _ in lines), "<br>"),
        records=_records([records for _, records in lines]),
        bars=joined(count_bar(action if action in ACTIONS else "other", records, most) for action, records in lines),
    )


def _records(counts: Sequence[int]) -> Markup:
    if not counts:
        return fill('<td class="n zero">{none}</td>', none=NONE)
    return fill('<td class="n">{counts}</td>', counts=joined((fill("{n}", n=each) for each in counts), "<br>"))


def _badge(action: str, said: Words) -> Markup:
    kind = action if action in ACTIONS else "other"
    word = said.name(f"action.{action}", action)
    return fill('<span class="action {kind}">{word}</span>', kind=kind, word=word)


def categories_table(found: Mapping[str, Mapping[str, int]], words: Callable[[str], str], said: Words) -> Markup:
    """Return categories with their names and the records of each action."""
    most = max(records for actions in found.values() for records in actions.values())
    rows = [
        fill(
            '<tr><th scope="row">{words}<small><code>{category}</code></small></th><td>{badge}</td>{records}'
            '<td class="plot">{bar}</td></tr>',
            category=name(category),
            words=words(category),
            badge=_badge(action, said),
            records=number(records),
            bar=count_bar(action if action in ACTIONS else "other", records, most),
        )
        for category, actions in found.items()
        for action, records in actions.items()
    ]
    head = [("", said("reasons.category")), ("", said("risks.action")), ("n", said("risks.records")), ("plot", "")]
    return table("reasons", head, rows)


def reasons_section(reasons: Reasons, said: Words) -> Markup | None:
    """Return the reasons that no other section has: states of sources, records that were not scanned. None if there are none."""
    found = by_category(reasons, "other")
    return categories_table(found, lambda category: category_name(category, said), said) if found else None


def category_name(category: str, said: Words) -> str:
    """Return words for a category that is no risk and no class of personal data."""
    if category.startswith("source:"):
        state = category.removeprefix("source:")
        return said.name(f"category.source.{state}", said.plain("category.source", state=state))
    general = said.name(f"category.{category.split('.')[0]}", "")
    return said.name(f"category.{category}", general)


def origin_section(reasons: Reasons, group: str, is_looked_for: bool, said: Words) -> Markup | None:
    """Return what was found of ``provenance`` or ``blocked``; None if nothing was, and nobody looked."""
    found = by_category(reasons, group)
    if not found:
        return fill("<p>{none}</p>", none=said(f"{group}.none")) if is_looked_for else None
    return categories_table(found, lambda category: category_name(category, said), said)


def personal_section(reasons: Reasons, is_looked_for: bool, said: Words) -> Markup:
    """Return records with personal data, by class and by what was done."""
    found = by_category(reasons, "personal")
    if not found:
        return fill("<p>{none}</p>", none=said("personal.none" if is_looked_for else "personal.off"))
    actions = ("redact", "quarantine", "drop")
    most = max(records for counts in found.values() for records in counts.values())
    rows = [
        fill(
            '<tr><th scope="row">{words}<small><code>{category}</code></small></th>{counts}<td class="plot">{bars}</td></tr>',
            words=name(entity_name(category.partition(".")[2], said)),
            category=name(category),
            counts=joined(number(counts.get(action, 0)) for action in actions),
            bars=joined(count_bar(action, counts[action], most) for action in actions if action in counts),
        )
        for category, counts in found.items()
    ]
    head = [
        ("", said("personal.class")),
        *(("n", said(f"personal.{action}")) for action in actions),
        ("plot", ""),
    ]
    return fill("<p>{lead}</p>{table}", lead=said("personal.lead"), table=table("personal", head, rows))


def entity_name(entity: str, said: Words) -> str:
    """Return words for a class of personal data: those of the table, or the entity's own name, ``UK NHS`` for ``uk_nhs``."""
    words = " ".join(part.upper() if part in _INITIALS else part for part in entity.split("_"))
    return said.name(f"entity.{entity}", words[:1].upper() + words[1:])


def works_section(figures: Figures, told: Mapping[str, Mapping[str, str]], is_looked_for: bool, said: Words) -> Markup:
    """Return the registered works that records match, most records first.

    Args:
        told: what their indexes say of them, see :func:`models.matched_works.told_of`.
    """
    works, found = figures.works, figures.works_found
    if not works:
        return fill("<p>{none}</p>", none=said("works.none" if is_looked_for else "works.off"))
    most = max(records for _, records, _ in works)
    rows = [
        fill(
            '<tr><th scope="row">{work}</th>{holder}{claim}{records}{longest}<td class="plot">{bar}</td></tr>',
            work=_work(work, told.get(work, {})),
            **{key: _told(told.get(work, {}), key, said) for key in ("holder", "claim")},
            records=number(records),
            longest=number(longest),
            bar=count_bar("quarantine", records, most),
        )
        for work, records, longest in works
    ]
    lead = said("works.lead" if figures.works_exact else "works.least", works=said.count("n.works", found))
    head = [
        *(("", said(f"works.{word}")) for word in ("work", "holder", "claim")),
        *(("n", said(f"works.{word}")) for word in ("records", "longest")),
        ("plot", ""),
    ]
    cut = fill(" {cut}", cut=said("works.cut", shown=len(works))) if found > len(works) else Markup("")
    return fill("<p>{lead}{cut}</p>{table}", lead=lead, cut=cut, table=table("works", head, rows))


def _work(work: str, told: Mapping[str, str]) -> Markup:
    title = told.get("title", "")
    return fill("{title}<br><small>{id}</small>", title=name(title), id=name(work)) if title else name(work)


def _told(told: Mapping[str, str], key: str, said: Words) -> Markup:
    value = told.get(key, "")
    return fill("<td>{value}</td>", value=said.name(f"claim.{value}", value) if key == "claim" else name(value))
