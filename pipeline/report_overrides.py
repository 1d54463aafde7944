"""The report's section on what people decided about sources in place of the figures: by whom, until when, by which entry of the ledger."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report_markup import Markup, fill, name, table
from pipeline.report_sources import SHOWN, badge
from pipeline.report_words import Words


def overridden_section(overridden: Sequence[Mapping[str, Any]] | None, said: Words) -> Markup | None:
    """Return the overrides that the release went by, or None if there were none.

    Args:
        overridden: as in the manifest, see :func:`pipeline.source_decisions.overridden`.
    """
    if not overridden:
        return None
    head = [("", said(f"overridden.{key}")) for key in ("source", "state", "entry", "reviewer", "until")]
    rows = [
        fill(
            '<tr><th scope="row">{source}</th><td>{state}</td><td>{entry}</td><td>{reviewer}</td><td>{until}</td></tr>',
            source=name(each["source"]),
            state=badge(each["state"], said),
            entry=each["entry"],
            reviewer=name(each["reviewer"]),
            until=each["until"],
        )
        for each in overridden[:SHOWN]
    ]
    return fill(
        "<p>{lead}</p>{table}{more}",
        lead=said("overridden.lead"),
        table=table("overridden", head, rows),
        more=said.rest("overridden.more", len(overridden) - len(rows)),
    )
