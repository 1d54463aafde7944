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

Fates = Mapping[str, int]
"""Records by ``category\\tfate``, see :func:`models.fates.fates_of`."""
_INITIALS = frozenset({"cn", "hk", "iban", "id", "ip", "mac", "nhs", "rrn", "ssn", "uk", "url", "us"})
_GROUPS = {"personal": "personal", "copyright": "copyright", "provenance": "provenance", "blocked": "blocked"}


def group_of(category: str) -> str:
    """Return the section that a category belongs to: ``risk``, ``personal``, ``copyright``, ``provenance``, ``blocked`` or ``other``."""
    return "risk" if re.match(r"A\.\d", category) else _GROUPS.get(category.split(".")[0], "other")


def by_category(fates: Fates, group: str) -> dict[str, dict[str, int]]:
    """Return the records of each category of a group by what became of them, the strictest first."""
    found: dict[str, dict[str, int]] = {}
    for key, records in fates.items():
        category, _, fate = key.rpartition("\t")
        if group_of(category) == group:
            found.setdefault(category, {})[fate] = records
    return {
        category: dict(sorted(became.items(), key=lambda item: (-_strictness(item[0]), item[0])))
        for category, became in sorted(found.items(), key=lambda item: (-max(item[1].values()), item[0]))
    }


def _strictness(fate: str) -> int:
    return ACTIONS.index(fate) if fate in ACTIONS else -1


def risks_section(
    fates: Fates, coverage: Mapping[str, Sequence[str]] | None, policy: Mapping[str, Any], said: Words
) -> Markup:
    """Return every risk of the policy's taxonomy with what looks for it, and the records found, by what became of them."""
    taxonomy = load_taxonomy(policy.get("taxonomy", "tc260-003"))
    found = by_category(fates, "risk")
    most = max((records for became in found.values() for records in became.values()), default=1)
    bodies = []
    for section in taxonomy.sections:
        rows = [
            _risk_row(risk.id, _risk_name(risk, said), found.pop(risk.id, {}), coverage, most, said)
            for risk in section.risks
        ]
        title = fill("{id} {name}", id=section.id, name=said.pick(section))
        bodies.append(_group(title, rows))
    if found:  # of another taxonomy
        rows = [_risk_row(key, Markup(""), became, coverage, most, said) for key, became in found.items()]
        bodies.append(_group(said("reasons.title"), rows))
    if coverage is None:
        lead = said("risks.unknown")
    else:
        covered = sum(bool(coverage.get(risk)) for risk in taxonomy.ids)
        lead = said("risks.lead", covered=covered, all=len(taxonomy.ids), instrument=taxonomy.instrument)
    head = [
        ("", said("risks.risk")),
        ("by", said("risks.by")),
        ("", said("risks.fate")),
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
    became: Mapping[str, int],
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
    lines = list(became.items())
    return fill(
        '<tr><th scope="row"><code>{key}</code> {words}</th><td class="by">{by}</td><td>{badges}</td>{records}'
        '<td class="plot">{bars}</td></tr>',
        key=name(key),
        words=words,
        by=by,
        badges=joined((_badge(fate, said) for fate, _ in lines), "<br>"),
        records=_records([records for _, records in lines]),
        bars=joined(count_bar(_kind(fate), records, most) for fate, records in lines),
    )


def _records(counts: Sequence[int]) -> Markup:
    if not counts:
        return fill('<td class="n zero">{none}</td>', none=NONE)
    return fill('<td class="n">{counts}</td>', counts=joined((fill("{n}", n=each) for each in counts), "<br>"))


def _badge(fate: str, said: Words) -> Markup:
    """Return as a badge what became of records."""
    return fill('<span class="action {kind}">{word}</span>', kind=_kind(fate), word=said.name(f"fate.{fate}", fate))


def asked(action: str, said: Words) -> Markup:
    """Return as a badge what a rule asked for."""
    return fill(
        '<span class="action {kind}">{word}</span>', kind=_kind(action), word=said.name(f"action.{action}", action)
    )


def _kind(fate: str) -> str:
    """Return the style sheet's class of a fate or an action."""
    return fate if fate in ACTIONS else "other"


def categories_table(found: Mapping[str, Mapping[str, int]], words: Callable[[str], str], said: Words) -> Markup:
    """Return categories with their names and the records by what became of them."""
    most = max(records for became in found.values() for records in became.values())
    rows = [
        fill(
            '<tr><th scope="row">{words}<small><code>{category}</code></small></th><td>{badge}</td>{records}'
            '<td class="plot">{bar}</td></tr>',
            category=name(category),
            words=words(category),
            badge=_badge(fate, said),
            records=number(records),
            bar=count_bar(_kind(fate), records, most),
        )
        for category, became in found.items()
        for fate, records in became.items()
    ]
    head = [("", said("reasons.category")), ("", said("risks.fate")), ("n", said("risks.records")), ("plot", "")]
    return table("reasons", head, rows)


def reasons_section(fates: Fates, said: Words) -> Markup | None:
    """Return the reasons that no other section has: states of sources, withdrawals, records that were not scanned. None if there are none."""
    found = by_category(fates, "other")
    return categories_table(found, lambda category: category_name(category, said), said) if found else None


def category_name(category: str, said: Words) -> str:
    """Return words for a category that is no risk and no class of personal data."""
    if category.startswith("source:"):
        state = category.removeprefix("source:")
        return said.name(f"category.source.{state}", said.plain("category.source", state=state))
    general = said.name(f"category.{category.split('.')[0]}", "")
    return said.name(f"category.{category}", general)


def origin_section(fates: Fates, group: str, is_looked_for: bool, said: Words) -> Markup:
    """Return what was found of ``provenance`` or ``blocked``, or that nothing was, or that nobody looked."""
    found = by_category(fates, group)
    if not found:
        return fill("<p>{none}</p>", none=said(f"{group}.none" if is_looked_for else f"{group}.off"))
    return categories_table(found, lambda category: category_name(category, said), said)


def personal_section(fates: Fates, is_looked_for: bool, said: Words) -> Markup:
    """Return records with personal data, by class and by what became of them."""
    found = by_category(fates, "personal")
    if not found:
        return fill("<p>{none}</p>", none=said("personal.none" if is_looked_for else "personal.off"))
    seen = {fate for became in found.values() for fate in became}
    columns = ["redact", "quarantine", "drop", *(["keep"] if "keep" in seen else [])]
    most = max(records for became in found.values() for records in became.values())
    rows = [
        fill(
            '<tr><th scope="row">{words}<small><code>{category}</code></small></th>{counts}<td class="plot">{bars}</td></tr>',
            words=name(entity_name(category.partition(".")[2], said)),
            category=name(category),
            counts=joined(number(became.get(fate, 0)) for fate in columns),
            bars=joined(count_bar(fate, became[fate], most) for fate in columns if fate in became),
        )
        for category, became in found.items()
    ]
    head = [
        ("", said("personal.class")),
        *(("n", said(f"personal.{fate}")) for fate in columns),
        ("plot", ""),
    ]
    kept = fill(" {kept}", kept=said("personal.kept")) if "keep" in seen else Markup("")
    return fill(
        "<p>{lead}{kept}</p>{table}", lead=said("personal.lead"), kept=kept, table=table("personal", head, rows)
    )


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
    claims = _claims(figures.fates, said)
    if not works:
        return fill("<p>{none}</p>{claims}", none=said("works.none" if is_looked_for else "works.off"), claims=claims)
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
    return fill(
        "<p>{lead}{cut}</p>{table}{claims}", lead=lead, cut=cut, table=table("works", head, rows), claims=claims
    )


def _claims(fates: Fates, said: Words) -> Markup:
    """Return the records by what is claimed of the works and by what became of them; nothing where no rule spoke of any."""
    found = by_category(fates, "copyright")
    if not found:
        return Markup("")
    by_claim = categories_table(found, lambda category: category_name(category, said), said)
    return fill("<h3>{title}</h3>{table}", title=said("works.by_claim"), table=by_claim)


def _work(work: str, told: Mapping[str, str]) -> Markup:
    title = told.get("title", "")
    return fill("{title}<br><small>{id}</small>", title=name(title), id=name(work)) if title else name(work)


def _told(told: Mapping[str, str], key: str, said: Words) -> Markup:
    value = told.get(key, "")
    return fill("<td>{value}</td>", value=said.name(f"claim.{value}", value) if key == "claim" else name(value))
