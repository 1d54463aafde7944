"""The report's sources: how many are in which state, and the table, worst first."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.audits import AUDITED, CONFIRMED
from models.decisions import by_override
from models.errors import ConservationError
from models.removals import REASONS
from models.sources import BLACKLISTED, CLEAN, HOLD, WATCH
from models.verdicts import DOORS
from pipeline.report_markup import NONE, Markup, exact_percent, fill, joined, name, number, percent, table
from pipeline.report_plots import bin_labels, bin_of, histogram, share_bar
from pipeline.report_reading import Coverage, reading_line, rule_told
from pipeline.report_removals import removed_because
from pipeline.report_words import Words

SHOWN = 200
"""Rows of the table; all others stand in ``sources.parquet``."""
_ORDER = (BLACKLISTED, HOLD, WATCH)
_SIGNS = {BLACKLISTED: "■", HOLD: "▲", CLEAN: "●"}
_DOOR_COUNTS = dict(zip(DOORS, ("clean", "quarantined", "dropped", "dead"), strict=True))


def state_counts(sources: pa.Table) -> dict[str, int]:
    """Return how many sources have each state, worst first, the three of the literal reading always."""
    known = pc.drop_null(sources["state"]).value_counts().to_pylist()
    counts = dict.fromkeys((BLACKLISTED, HOLD, CLEAN), 0)
    return counts | {each["values"]: each["counts"] for each in sorted(known, key=lambda each: each["values"])}


def _meaning(state: str, policy: Mapping[str, Any], said: Words) -> Markup:
    """Return in a few words what a state means for records, and what would change it."""
    action = policy.get("actions", {}).get(state)
    means = said(f"meaning.{action}" if action in ("quarantine", "drop") else "meaning.one_by_one")
    key = f"next.{policy['reading']}.{state}"
    if key not in said:
        return means
    return said("meaning.and_next", means=means, next=said(key, least=policy["min_records"]))


def badge(state: str, said: Words) -> Markup:
    """Return a state as a badge that is told apart by word and sign, not by colour alone."""
    kind = f"state {state}" if state in _SIGNS else "state"
    return fill(
        '<span class="{kind}"><i aria-hidden="true">{sign}</i> {state}</span>',
        kind=kind,
        sign=_SIGNS.get(state, "◆"),
        state=said.name(f"state.{state}", state),
    )


def sources_section(
    sources: pa.Table,
    policy: Mapping[str, Any],
    counts: Mapping[str, int],
    said: Words,
    overridden: Sequence[Mapping[str, str]] = (),
    coverage: Coverage | None = None,
) -> Markup:
    """Return states, shares and the table of sources.

    Args:
        overridden: as in the manifest, see :func:`pipeline.source_decisions.overridden`.

    Raises:
        ConservationError: if sources have more records than the corpus.
    """
    limit = Fraction(str(policy["limit"]))
    shown, by_entry = _worst_first(sources), {each["entry"]: each for each in overridden}
    head = [
        ("", said("sources.source")),
        ("", said("sources.state")),
        ("plot", said("sources.share", limit=exact_percent(limit))),
        ("n", "%"),
        ("n", said("sources.fraction")),
        ("n", said("sources.by_characters")),
        *(("n", said(f"sources.{name}")) for name in ("read", *DOORS)),
    ]
    return fill(
        """{reading}
{rule}
<ul class="states">{states}</ul>
{plot}
{table}
{note}""",
        reading=reading_line(policy, said),
        rule=rule_told(sources, policy, limit, coverage, said),
        states=joined(
            fill(
                "<li>{badge} {n} <small>{means}</small></li>",
                badge=badge(state, said),
                n=n,
                means=_meaning(state, policy, said),
            )
            for state, n in state_counts(sources).items()
        ),
        plot=_plot(sources, limit, said),
        table=table(
            "sources",
            head,
            [_row(row, policy, limit, said, by_entry) for row in shown.to_pylist()],
            _sums(sources, counts, said),
        ),
        note=fill('<p class="note">{cut}</p>', cut=said("sources.cut", shown=SHOWN, all=len(sources)))
        if len(sources) > SHOWN
        else Markup(""),
    )


def _worst_first(sources: pa.Table) -> pa.Table:
    """Return the rows to show: blacklisted, hold, all other states; in each by share, most first; entries without a source last."""
    if not len(sources):
        return sources
    known = pc.fill_null(pc.index_in(sources["state"], pa.array(_ORDER)), len(_ORDER))
    ranks = pc.if_else(pc.is_null(sources["state"]), len(_ORDER) + 1, known)
    unlawful, distinct = (pc.fill_null(sources[key], 0).to_numpy() for key in ("unlawful", "distinct"))
    shares = np.divide(unlawful, distinct, out=np.zeros(len(sources)), where=distinct > 0)
    keyed = sources.append_column("_rank", ranks.cast(pa.int64())).append_column("_share", pa.array(shares))
    order = [("_rank", "ascending"), ("_share", "descending"), ("source", "ascending")]
    # There may be millions: only those to show are sorted. No two have all keys alike.
    return keyed.take(pc.select_k_unstable(keyed, SHOWN, order))


def _why(
    row: Mapping[str, Any],
    policy: Mapping[str, Any],
    limit: Fraction,
    said: Words,
    overridden: Mapping[str, Mapping[str, str]],
) -> Markup:
    """Return in one sentence what the state of a source rests on.

    Args:
        overridden: overrides that the release went by, by their entry.
    """
    state, basis = row["state"], row.get("basis") or policy["basis"]
    least = policy["min_records"]
    if policy["reading"] == "interval":
        least = policy["parameters"]["min_audited"]
    figures = {name: f"{(row.get(f'{name}_ppm') or 0) / 10_000:.4f}\u00a0%" for name in ("estimate", "lower", "upper")}
    k, n = (sum(row.get(name) or 0 for name in names) for names in (CONFIRMED, AUDITED))
    if said_by := by_override(basis):
        entry, above = said_by
        decided = overridden.get(entry, {})
        by = {"entry": entry, "reviewer": name(decided.get("reviewer", NONE)), "until": decided.get("until", NONE)}
        return said("why.override_above", above=name(above), **by) if above else said("why.override", **by)
    if basis in REASONS:
        return removed_because(basis, row, said)
    if row.get("mark") is not None:
        return said("why.mark", entry=f"D{row['mark']:04}", k=k, n=n, **figures)
    key = "why.rogan-gladen" if basis == "rogan-gladen" else f"why.{basis}.{state}"
    if key not in said:
        return Markup("")
    unlawful, distinct = row["unlawful"] or 0, row["distinct"] or 0
    counted = {"unlawful": unlawful, "distinct": distinct, "share": percent(unlawful, distinct)}
    return said(key, k=k, n=n, least=least, limit=exact_percent(limit), **figures, **counted)


def _then(row: Mapping[str, Any], policy: Mapping[str, Any], said: Words) -> Markup:
    """Return whether more may be collected and what there is trained on, and what becomes of the records."""
    collect, train = row.get("collect_allowed"), row.get("train_allowed")
    if collect is None or train is None:
        return Markup("")
    gates = {(True, True): "both", (True, False): "collect", (False, True): "train", (False, False): "none"}[
        collect, train
    ]
    action = policy["actions"].get(row["state"])
    of, removed = row.get("removed_of") or 0, row.get("removed") or 0
    if action is None or action == "keep":
        is_all = removed == of > 0
        what = said("then.none_left" if is_all else "then.one_by_one", removed=removed, of=of)
    else:
        doors = {door: row[door] or 0 for door in DOORS}
        what = said(f"then.{action}", removed=removed, of=of, quarantined=doors["quarantine"], dropped=doors["dropped"])
    return fill(" {gates} {what}", gates=said(f"then.gates.{gates}"), what=what)


_COLUMNS = 7 + len(DOORS)
"""Of the table of sources."""


def _line_below(why: Markup, then: Markup) -> Markup:
    """Return a line below a source: what its state rests on, and what follows for the two gates and its records."""
    return fill(
        '<tr class="why"><td colspan="{columns}"><div>{why}{then}</div></td></tr>', columns=_COLUMNS, why=why, then=then
    )


def _row(
    row: Mapping[str, Any],
    policy: Mapping[str, Any],
    limit: Fraction,
    said: Words,
    overridden: Mapping[str, Mapping[str, str]],
) -> Markup:
    state, unlawful, distinct = row["state"], row["unlawful"] or 0, row["distinct"] or 0
    key = name(row["source"]) if row["source"] else fill("<em>{none}</em>", none=said("sources.none"))
    doors = {door: row[door] or 0 for door in DOORS}
    written, by_characters = (_share(row, *pair, limit, said) for pair in _PAIRS)
    return fill(
        '<tbody class="source"><tr><th scope="row">{key}{kind}</th><td>{state}</td><td class="plot">{bar}</td><td class="n share">{percent}</td>'
        '<td class="n">{fraction}</td><td class="n soft">{by_characters}</td>'
        '<td class="n">{read}</td>{doors}</tr>{why}</tbody>',
        key=key,
        kind=fill(' <span class="kind">{kind}</span>', kind=said.name(f"kind.{row['kind']}", row["kind"]))
        if row.get("kind")
        else Markup(""),
        state=badge(state, said) if state else NONE,
        why=_line_below(_why(row, policy, limit, said, overridden), _then(row, policy, said)) if state else Markup(""),
        bar=share_bar(state if state in _SIGNS else "other", unlawful, distinct, limit, said)
        if distinct
        else Markup(""),
        percent=written,
        fraction=_fraction(row, said) if distinct else NONE,
        by_characters=by_characters,
        read=_read(row),
        doors=_cells(doors),
    )


def _fraction(row: Mapping[str, Any], said: Words) -> Markup:
    """Return the counts of a share, with a word on how they were counted where the sources of a table differ in that."""
    written = f"{row['unlawful'] or 0:,} / {row['distinct']:,}"
    key = f"counted.{row.get('counted')}"
    if key not in said:
        return fill("{written}", written=written)
    return fill("{written} <small>{how}</small>", written=written, how=said(key))


_PAIRS = (("unlawful", "distinct"), ("unlawful_characters", "characters"))


def _share(row: Mapping[str, Any], part: str, whole: str, limit: Fraction, said: Words) -> str:
    """Return a share with two decimals, and what two decimals hide of its place beside the limit."""
    some, all_ = row[part] or 0, row[whole] or 0
    written = percent(some, all_)
    if not all_ or part != "unlawful":
        return written
    share = Fraction(some, all_)
    if share == limit:
        return fill("{written} <small>{at}</small>", written=written, at=said("sources.at"))
    if written == percent(limit.numerator, limit.denominator):
        side = said("sources.just_over" if share > limit else "sources.just_under")
        return fill("{written} <small>{side}</small>", written=written, side=side)
    return written


def _read(row: Mapping[str, Any]) -> int:
    """Return the records read; for entries without a source these are known from the doors only."""
    return sum(row[door] or 0 for door in DOORS) if row["read"] is None else int(row["read"])


def _cells(doors: Mapping[str, int]) -> Markup:
    return joined(number(doors[door]) for door in DOORS)


def _plot(sources: pa.Table, limit: Fraction, said: Words) -> Markup:
    bins = [0] * len(bin_labels(limit))
    # There may be millions of sources, but few pairs of counts.
    pairs = sources.select(["unlawful", "distinct"]).group_by(["unlawful", "distinct"]).aggregate([([], "count_all")])
    for row in pairs.to_pylist():
        if row["distinct"]:
            bins[bin_of(row["unlawful"] or 0, row["distinct"], limit)] += row["count_all"]
    figure = '<figure><figcaption>{title}</figcaption><div class="scroll">{plot}</div></figure>'
    return fill(figure, title=said("sources.plot"), plot=histogram(bins, limit, said)) if any(bins) else Markup("")


def _sums(sources: pa.Table, counts: Mapping[str, int], said: Words) -> Markup:
    """Return the closing rows: all sources, what has no source, and the corpus, which is their sum."""
    doors = {door: int(pc.sum(sources[door]).as_py() or 0) for door in DOORS}
    loose = {door: counts[_DOOR_COUNTS[door]] - doors[door] for door in DOORS}
    if over := [door for door, rest in loose.items() if rest < 0]:
        raise ConservationError(
            f"sources: {over[0]}: {doors[over[0]]} records of all sources, {counts[_DOOR_COUNTS[over[0]]]} of the corpus"
        )
    rows = [(said("sources.all"), doors), (said("sources.rest"), loose)]
    rows = (
        [*rows, (said("sources.corpus"), {door: counts[_DOOR_COUNTS[door]] for door in DOORS})]
        if any(loose.values())
        else rows[:1]
    )
    return joined(
        fill(
            '<tr><th scope="row" colspan="6">{what}</th><td class="n">{read}</td>{doors}</tr>',
            what=what,
            read=sum(each.values()),
            doors=_cells(each),
        )
        for what, each in rows
    )
