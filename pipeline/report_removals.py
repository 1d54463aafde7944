"""The report's section on removals: sources of which suddenly more or less is removed, and the term or rule that alone removes much."""

from collections.abc import Mapping
from typing import Any

from models.causes import TERM
from models.removals import MOVED
from models.source_reading import SourceReading
from pipeline.figures import Figures
from pipeline.report_markup import NONE, Markup, exact_percent, fill, joined, name, number, percent, table
from pipeline.report_words import Words, rule_names


def removals_section(
    figures: Figures,
    known: Mapping[str, Any] | None,
    policy: Mapping[str, Any],
    counts: Mapping[str, int],
    said: Words,
) -> Markup | None:
    """Return what is to be known of removals, or None for a release that does not speak of them.

    Args:
        known: as in the manifest, see :func:`pipeline.removals.in_manifest`.
    """
    if not known or not figures.moves:
        return None
    removals, rules = SourceReading.model_validate(policy["parameters"]).removals, rule_names(policy, said.language)
    told = [fill("<li>{what}</li>", what=one_cause(each, rules, said)) for each in known["one_cause"]]
    none = said("removals.no_cause", share=exact_percent(removals.one_cause))
    return fill(
        "<p>{lead}</p>{causes}<p>{rule}</p>{moves}",
        lead=said(
            "removals.lead",
            removed=figures.removed,
            read=counts["read"],
            share=percent(figures.removed, counts["read"]),
        ),
        causes=fill('<ul class="plain">{told}</ul>', told=joined(told)) if told else fill("<p>{none}</p>", none=none),
        rule=said(
            f"removals.rule.{removals.then}",
            times=f"{float(removals.intervals):.12g}",
            least=exact_percent(removals.least),
            nearly=exact_percent(removals.nearly_all),
        ),
        moves=_moves(figures.moves, said),
    )


def one_cause(each: Mapping[str, Any], rules: Mapping[str, str], said: Words) -> Markup:
    """Return the sentence on a term or rule that alone removes much.

    Args:
        each: see :class:`models.causes.Alone`.
        rules: titles of the policy's rules by id.
    """
    figures = {
        "records": each["records"],
        "removed": each["removed"],
        "share": percent(each["records"], each["removed"]),
    }
    if each["kind"] == TERM:
        return said("removals.term", tagger=name(each["tagger"]), id=name(each["id"]), **figures)
    return said("removals.one_rule", id=name(each["id"]), title=rules.get(each["id"], each["id"]), **figures)


def removed_because(reason: str, row: Mapping[str, Any], said: Words) -> Markup:
    """Return why a source is held for its removals, or told of.

    Args:
        reason: one of :data:`models.removals.REASONS`.
        row: with ``removed``, ``removed_of`` and :data:`models.removals.WAS`.
    """
    now = {"removed": row["removed"], "of": row["removed_of"], "share": percent(row["removed"], row["removed_of"])}
    if reason != MOVED or row["was_removed_of"] is None:
        return said("why.nearly_all", **now)
    was = {
        "was": percent(row["was_removed"], row["was_removed_of"]),
        "was_removed": row["was_removed"],
        "was_of": row["was_removed_of"],
    }
    return said("why.moved", **now, **was)


def _moves(moves: Mapping[str, Any], said: Words) -> Markup:
    if not moves["count"]:
        return fill("<p>{none}</p>", none=said("removals.none"))
    rows = [
        fill(
            '<tr><th scope="row">{source}</th><td>{reason}</td><td class="n">{was}</td><td class="n">{now}</td>{removed}{of}</tr>',
            source=name(source),
            reason=said(f"removals.{reason}"),
            was=percent(was_removed, was_of) if was_of else NONE,
            now=percent(removed, of),
            removed=number(removed),
            of=number(of),
        )
        for source, reason, removed, of, was_removed, was_of in moves["named"]
    ]
    head = [("", said("sources.source")), ("", said("removals.reason"))]
    head += [("n", said(f"removals.{key}")) for key in ("was", "now", "removed", "of")]
    return fill(
        "{table}{more}",
        table=table("moves", head, rows),
        more=said.rest("removals.more", moves["count"] - len(rows)),
    )
