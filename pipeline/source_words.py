"""Sources and decisions on them in lines of plain text."""

from collections.abc import Mapping
from typing import Any

from models.audits import AUDITED, CONFIRMED
from models.removals import REASONS
from models.sources import CLEAN
from pipeline.removals import move_in_words


def line_of(row: Mapping[str, Any]) -> str:
    """Say in one line what a source's state is and what it rests on.

    Args:
        row: of the table of sources, with ``since`` and ``entry`` of the last decision and the ``override`` in force, or None.
    """
    if row["state"] is None:
        return plain(f"{row['source']}  not judged")
    moved = f"; {move_in_words(row)}; not used until acknowledged" if row["basis"] in REASONS else ""
    share = f"{row['unlawful'] / row['distinct']:.2%}" if row["distinct"] else "-"
    figures = f"{row['unlawful']:,} of {row['distinct']:,} unlawful ({share}){_counted(row)}"
    if row["upper_ppm"] is not None:
        figures = f"{interval_of(row)}; {verdicts_of(row)}; detectors: {figures}"
    since = f", since {row['since']} ({row['entry']})" if row["since"] else ""
    over = row["override"]
    told = f"; by {over['entry']} {over['state']} until {over['until']}" if over else ""
    return plain(
        f"{row['source']}  {row['state']}: {figures}, basis {row['basis']}{moved}{_gates(row)}{_held_by(row)}{since}{told}"
    )


_COUNTED = {
    "split": "counted within splits",
    "source exact": "counted over the whole source",
    "source estimated": "estimated over the whole source",
    "recounted": "counted over the whole source, anew from all layers",
}


def _counted(row: Mapping[str, Any]) -> str:
    """Say how distinct records were counted; releases of before do not tell."""
    known = row.get("counted")
    return f" {_COUNTED[known]}" if known else ""


def interval_of(row: Mapping[str, Any]) -> str:
    """Say the share that a decision rests on, and its limits."""
    share, low, high = (f"{row[name] / 10_000:.4f} %" for name in ("estimate_ppm", "lower_ppm", "upper_ppm"))
    return f"{share} ({low} to {high})"


def verdicts_of(row: Mapping[str, Any]) -> str:
    """Say how many verdicts count, and how many of them found a risk."""
    audited, confirmed = (sum(row[name] or 0 for name in names) for names in (AUDITED, CONFIRMED))
    return f"{confirmed:,} of {audited:,} verdicts unlawful"


def _gates(row: Mapping[str, Any]) -> str:
    if row["collect_allowed"] == row["train_allowed"] == (row["state"] == CLEAN):
        return ""
    may = [name for name in ("collect", "train") if row[f"{name}_allowed"]]
    return f", may be used to {' and '.join(may)}" if may else ", not to be used"


def _held_by(row: Mapping[str, Any]) -> str:
    return "" if row["mark"] is None else f", still marked by D{row['mark']:04}: nothing that came since clears it"


def told(row: Mapping[str, Any]) -> str:
    """Say a decision in one line."""
    head = f"{row['entry']}  {row['as_of']}  {row['kind']}"
    if row["kind"] == "release":
        figures = f"{row['unlawful']:,} of {row['distinct']:,}"
        if row["upper_ppm"] is not None:
            figures = f"{interval_of(row)}, {verdicts_of(row)}"
        if row["basis"] in REASONS:
            figures = move_in_words(row)
        return (
            f"{head} {row['release']}: {row['previous']} → {row['state']} on {figures} "
            f"({row['method']}; basis {row['basis']}; {row['actor']})"
        )
    if row["kind"] == "assessment":
        may = "may" if row["collect_allowed"] else "must not"
        figures = f"{row['unlawful']:,} of {row['distinct']:,}"
        if row["upper_ppm"] is not None:
            figures = f"{interval_of(row)}, detectors: {figures}"
        return plain(
            f"{head}: {row['previous']} → {row['state']}, {may} be collected, on {figures} ({row['method']}; basis {row['basis']}) "
            f"by {row['actor']}"
        )
    what = f": {row['previous']} → {row['state']} until {row['until']}" if row["kind"] == "override" else ""
    if row["kind"] == "acknowledge":
        what = f": {row['removed']:,} of {row['removed_of']:,} records removed, as in release {row['release']}"
    return plain(f"{head}{what} by {row['actor']} [{row['reason']}]")


def plain(line: str) -> str:
    """Show control characters as escapes: a source is what data says, and must not write to a terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)
