"""The report's sources: how many are in which state, and the table, worst first."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.errors import ConservationError
from models.sources import BLACKLISTED, CLEAN, HOLD
from models.verdicts import DOORS
from pipeline.report_markup import NONE, Markup, exact_percent, fill, joined, name, percent
from pipeline.report_plots import bin_labels, bin_of, histogram, share_bar

SHOWN = 200
"""Rows of the table; all others stand in ``sources.parquet``."""
_ORDER = {BLACKLISTED: 0, HOLD: 1}
_SIGNS = {BLACKLISTED: "■", HOLD: "▲", CLEAN: "●"}
_BASES = {"detector": "estimated from detectors, not audited"}
_DOOR_COUNTS = dict(zip(DOORS, ("clean", "quarantined", "dropped", "dead"), strict=True))


def reading_line(policy: Mapping[str, Any]) -> Markup:
    """Return how the rule was read and what the figures rest on; it stands with every table of sources."""
    basis = _BASES.get(policy["basis"])
    return fill(
        '<p class="reading">Reading: {reading}; basis: {basis}{more}</p>',
        reading=policy["reading"],
        basis=policy["basis"],
        more=f" — {basis}" if basis else "",
    )


def state_counts(sources: pa.Table) -> dict[str, int]:
    """Return how many sources have each state, worst first, the three of the literal reading always."""
    known = pc.drop_null(sources["state"]).value_counts().to_pylist()
    counts = dict.fromkeys((BLACKLISTED, HOLD, CLEAN), 0)
    return counts | {each["values"]: each["counts"] for each in sorted(known, key=lambda each: each["values"])}


def badge(state: str) -> Markup:
    """Return a state as a badge that is told apart by word and sign, not by colour alone."""
    kind = f"state {state}" if state in _SIGNS else "state"
    return fill(
        '<span class="{kind}"><i aria-hidden="true">{sign}</i> {state}</span>',
        kind=kind,
        sign=_SIGNS.get(state, "◆"),
        state=state,
    )


def sources_section(sources: pa.Table, policy: Mapping[str, Any], counts: Mapping[str, int]) -> Markup:
    """Return states, shares and the table of sources.

    Raises:
        ConservationError: if sources have more records than the corpus.
    """
    limit = Fraction(str(policy["limit"]))
    ordered = _worst_first(sources)
    rows = [_row(row, limit) for row in ordered.slice(0, SHOWN).to_pylist()]
    note = (
        fill(
            '<p class="note">The table shows the first {shown} of {all} sources. All of them stand in '
            "<code>sources.parquet</code> (and <code>sources.csv</code>) beside this page.</p>",
            shown=SHOWN,
            all=len(ordered),
        )
        if len(ordered) > SHOWN
        else Markup("")
    )
    return fill(
        """{reading}
<p>A source is over the limit when <em>more than</em> {limit} of its distinct records count as unlawful; exactly {limit} is
not over. Over it, a source is blacklisted from {least} distinct records on, and on hold with fewer.</p>
<ul class="states">{states}</ul>
{plot}
<div class="scroll"><table class="sources">
<thead><tr><th>Source</th><th>State</th><th class="plot">Share, limit {limit}</th><th class="n">%</th>
<th class="n"><abbr title="records that count as unlawful over distinct records">unlawful / distinct</abbr></th>
<th class="n"><abbr title="the same share by characters instead of records">% by char.</abbr></th>
<th class="n">Read</th><th class="n">Clean</th><th class="n">Quarantined</th><th class="n">Dropped</th><th class="n">Dead</th></tr></thead>
<tbody>{rows}</tbody>
<tfoot>{sums}</tfoot></table></div>
{note}""",
        reading=reading_line(policy),
        limit=exact_percent(limit),
        least=policy["min_records"],
        states=joined(
            fill("<li>{badge} {n}</li>", badge=badge(state), n=n) for state, n in state_counts(sources).items()
        ),
        plot=_plot(sources, limit),
        rows=joined(rows, "\n"),
        sums=_sums(sources, counts),
        note=note,
    )


def _worst_first(sources: pa.Table) -> pa.Table:
    """Sort: blacklisted, hold, all other states; in each by share, most first; entries without a source last."""
    states = sources["state"].to_pylist()
    ranks = [3 if state is None else _ORDER.get(state, 2) for state in states]
    unlawful, distinct = (pc.fill_null(sources[key], 0).to_numpy() for key in ("unlawful", "distinct"))
    shares = np.divide(unlawful, distinct, out=np.zeros(len(sources)), where=distinct > 0)
    keyed = sources.append_column("_rank", pa.array(ranks, pa.int64())).append_column("_share", pa.array(shares))
    return keyed.sort_by([("_rank", "ascending"), ("_share", "descending"), ("source", "ascending")])


def _row(row: Mapping[str, Any], limit: Fraction) -> Markup:
    state, unlawful, distinct = row["state"], row["unlawful"] or 0, row["distinct"] or 0
    key = name(row["source"]) if row["source"] else Markup("<em>entries without a source</em>")
    doors = {door: row[door] or 0 for door in DOORS}
    written, by_characters = (_share(row, *pair, limit) for pair in _PAIRS)
    return fill(
        '<tr><th scope="row">{key}{kind}</th><td>{state}</td><td class="plot">{bar}</td><td class="n share">{percent}</td>'
        '<td class="n">{fraction}</td><td class="n soft">{by_characters}</td>'
        '<td class="n">{read}</td>{doors}</tr>',
        key=key,
        kind=fill(' <span class="kind">{kind}</span>', kind=row["kind"]) if row.get("kind") else Markup(""),
        state=badge(state) if state else NONE,
        bar=share_bar(state if state in _SIGNS else "other", unlawful, distinct, limit) if distinct else Markup(""),
        percent=written,
        fraction=f"{unlawful:,} / {distinct:,}" if distinct else NONE,
        by_characters=by_characters,
        read=_read(row),
        doors=_cells(doors),
    )


_PAIRS = (("unlawful", "distinct"), ("unlawful_characters", "characters"))


def _share(row: Mapping[str, Any], part: str, whole: str, limit: Fraction) -> str:
    """Return a share with two decimals, and what two decimals hide of its place beside the limit."""
    some, all_ = row[part] or 0, row[whole] or 0
    written = percent(some, all_)
    if not all_ or part != "unlawful":
        return written
    share = Fraction(some, all_)
    if share == limit:
        return fill("{written} <small>at the limit</small>", written=written)
    if written == percent(limit.numerator, limit.denominator):
        side = "just over" if share > limit else "just under"
        return fill("{written} <small>{side} the limit</small>", written=written, side=side)
    return written


def _read(row: Mapping[str, Any]) -> int:
    """Return the records read; for entries without a source these are known from the doors only."""
    return sum(row[door] or 0 for door in DOORS) if row["read"] is None else int(row["read"])


def _cells(doors: Mapping[str, int]) -> Markup:
    return joined(
        fill('<td class="{kind}">{n}</td>', kind="n" if doors[door] else "n zero", n=doors[door]) for door in DOORS
    )


def _plot(sources: pa.Table, limit: Fraction) -> Markup:
    bins = [0] * len(bin_labels(limit))
    for unlawful, distinct in zip(sources["unlawful"].to_pylist(), sources["distinct"].to_pylist(), strict=True):
        if distinct:
            bins[bin_of(unlawful or 0, distinct, limit)] += 1
    figure = '<figure><figcaption>Number of sources by share</figcaption><div class="scroll">{plot}</div></figure>'
    return fill(figure, plot=histogram(bins, limit)) if any(bins) else Markup("")


def _sums(sources: pa.Table, counts: Mapping[str, int]) -> Markup:
    """Return the closing rows: all sources, what has no source, and the corpus, which is their sum."""
    doors = {door: int(pc.sum(sources[door]).as_py() or 0) for door in DOORS}
    loose = {door: counts[_DOOR_COUNTS[door]] - doors[door] for door in DOORS}
    if over := [door for door, rest in loose.items() if rest < 0]:
        raise ConservationError(
            f"sources: {over[0]}: {doors[over[0]]} records of all sources, {counts[_DOOR_COUNTS[over[0]]]} of the corpus"
        )
    rows = [("All rows of sources.parquet", doors), ("Entries without a source", loose)]
    rows = (
        [*rows, ("Corpus", {door: counts[_DOOR_COUNTS[door]] for door in DOORS})] if any(loose.values()) else rows[:1]
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
