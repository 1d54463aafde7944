"""The report's roll-ups: what sources come to together at every level above them."""

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from models.sources import STATES
from pipeline.figures import ROLLUPS
from pipeline.report_markup import NONE, Markup, fill, name, number, percent, table
from pipeline.report_sources import badge
from pipeline.report_words import Words

_COUNTS = ("unlawful", "distinct", "removed", "removed_of")


def rollups_of(path: Path) -> dict[str, Any]:
    """Return what a summary says of roll-ups, see :class:`pipeline.figures.Figures`.

    Args:
        path: of the table, see :data:`models.rollups.ROLLUPS`; it is read as a stream.
    """
    with pq.ParquetFile(path) as file:
        count = file.metadata.num_rows
        rows = (
            [
                row["key"],
                row["worst"],
                row["sources"],
                row[f"sources_{row['worst']}"] if row["worst"] else 0,
                *(row[n] or 0 for n in _COUNTS),
            ]
            for batch in file.iter_batches()
            for row in batch.to_pylist()
        )
        order = {state: -at for at, state in enumerate(STATES)}
        worst = heapq.nsmallest(ROLLUPS, rows, key=lambda row: (order.get(row[1], 1), -row[7], row[0]))
        return {"count": count, "named": worst}


def rollups_section(rollups: Mapping[str, Any], said: Words) -> Markup | None:
    """Return the table, or None where nothing lies above any source."""
    if not rollups.get("count"):
        return None
    rows = [
        fill(
            '<tr><th scope="row">{key}</th>{sources}<td>{state} <small>{of}</small></td><td class="n">{share}</td><td class="n">{fraction}</td>'
            '<td class="n">{rate}</td>{all}</tr>',
            key=name(key),
            sources=number(sources),
            state=badge(worst, said) if worst else NONE,
            of=said.count("rollups.of_state", n) if worst else Markup(""),
            share=percent(unlawful, distinct),
            fraction=f"{unlawful:,} / {distinct:,}",
            rate=percent(removed, of),
            all=number(of),
        )
        for key, worst, sources, n, unlawful, distinct, removed, of in rollups["named"]
    ]
    head = [
        ("", said("rollups.key")),
        ("n", said("rollups.sources")),
        ("", said("rollups.worst")),
        ("n", said("rollups.share")),
    ]
    head += [("n", said("sources.fraction")), ("n", said("rollups.removed")), ("n", said("rollups.records"))]
    return fill(
        "<p>{lead}</p>{table}{more}",
        lead=said("rollups.lead"),
        table=table("rollups", head, rows),
        more=said.rest("rollups.more", rollups["count"] - len(rows)),
    )
