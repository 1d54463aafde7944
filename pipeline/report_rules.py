"""The report's table of rules: what each asked for, on whose finding, to how many records it applied, and of how many it decided."""

from collections import Counter
from collections.abc import Mapping

from models.errors import ConservationError
from models.fates import WITHDRAWN
from models.policy import ACTIONS
from models.withdrawals import REASON
from pipeline.figures import Figures
from pipeline.report_findings import asked, category_name
from pipeline.report_markup import NONE, Markup, fill, name, number, table
from pipeline.report_words import Words

RULES = 200
"""Rows of the table; the others stand in ``summary.json``."""

Key = tuple[str, str, str]


def flow_of(figures: Figures) -> Counter[Key]:
    """Return how many records left by action, rule and detector of the reason that decided; withdrawals are one rule."""
    flow: Counter[Key] = Counter()
    for key, records in sorted(figures.flow.items()):
        action, rule, tagger = key.split("\t")
        flow[action, WITHDRAWN if rule.startswith(REASON) else rule, tagger] += records
    return flow


def rule_title(rule: str, rules: Mapping[str, str], said: Words) -> str:
    """Return words for what stands in place of a rule: a rule of the policy, the state of a source, a purge, a withdrawal.

    Args:
        rules: titles of the policy's rules by id.
    """
    if rule.startswith("source:"):
        return category_name(rule, said)
    return rules.get(rule) or said.name(f"category.{rule}", rule)


def rules_table(figures: Figures, rules: Mapping[str, str], said: Words) -> Markup:
    """Return every rule that applied to a record, the strictest first; nothing where none did.

    Raises:
        ConservationError: if a rule decided more records than it applied to.
    """
    decided, applied = flow_of(figures), Counter[Key]()
    for key, records in figures.applied.items():
        rule, action, tagger = key.split("\t")
        applied[action, rule, tagger] += records
    if wrong := [key for key in decided if decided[key] > applied[key]]:
        _, rule, _ = wrong[0]
        raise ConservationError(
            f"report: rule {rule} decided {decided[wrong[0]]} records, it applied to {applied[wrong[0]]}"
        )
    order = {action: at for at, action in enumerate(ACTIONS)}
    found = sorted(
        {*decided, *applied},
        key=lambda key: (-order.get(key[0], -1), -decided[key], -applied[key], key),
    )
    if not found:
        return Markup("")
    rows = [
        fill(
            '<tr><th scope="row">{title} <code>{rule}</code></th><td>{asked}</td><td>{by}</td>{applied}{decided}</tr>',
            title=name(rule_title(rule, rules, said)),
            rule=name(rule),
            asked=asked(action, said),
            by=name(tagger) if tagger else NONE,
            applied=number(applied[action, rule, tagger]),
            decided=number(decided[action, rule, tagger]),
        )
        for action, rule, tagger in found[:RULES]
    ]
    head = [*(("", said(f"rules.{key}")) for key in ("rule", "asked", "by"))]
    head += [("n", said(f"rules.{key}")) for key in ("applied", "decided")]
    return fill(
        "<h3>{title}</h3><p>{lead}</p>{table}{more}",
        title=said("rules.title"),
        lead=said("rules.lead"),
        table=table("rules", head, rows),
        more=said.rest("rules.more", len(found) - len(rows)),
    )
