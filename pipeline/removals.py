"""What a release says of its removals: sources of which suddenly more or less is removed, and what alone removes much."""

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from models.causes import TERM, alone
from models.removals import MOVED, WAS
from models.source_reading import SourceReading
from pipeline.figures import MOVES, Figures


def moves_of(table: Path) -> dict[str, Any]:
    """Return what a summary says of sources that moved, see :class:`pipeline.figures.Figures`.

    Args:
        table: see :data:`models.source_states.MOVES`; it is read as a stream.
    """
    names = ("source", "reason", "removed", "removed_of", *WAS)
    with pq.ParquetFile(table) as file:
        count = file.metadata.num_rows
        rows = ([row[name] for name in names] for batch in file.iter_batches() for row in batch.to_pylist())
        return {"count": count, "named": heapq.nsmallest(MOVES, rows, key=lambda row: (-row[3], row[0]))}


def in_manifest(figures: Figures, reading: SourceReading) -> dict[str, Any]:
    """Return what a manifest says of removals: how many records, what alone removes much, and how many sources moved."""
    return {
        "removed": figures.removed,
        "one_cause": [
            asdict(each) for each in alone(figures.causes, figures.removed, reading.removals.one_cause, reading.z_clean)
        ],
        "moved": {"count": figures.moves["count"], "then": reading.removals.then},
    }


def in_words(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Say in lines of plain text what somebody should look at."""
    said = manifest["removals"]
    if count := said["moved"]["count"]:
        held = "held until: winnow source acknowledge" if said["moved"]["then"] == "hold" else "see moved.parquet"
        yield f"of {count:,} sources suddenly more or less is removed, or nearly all: {held}"
    for each in said["one_cause"]:
        what = f"{each['tagger']} {each['id']}" if each["kind"] == TERM else f"rule {each['id']}"
        yield f"{what} alone removes {each['records']:,} of {each['removed']:,} records that are removed at all"


def move_in_words(row: Mapping[str, Any]) -> str:
    """Say in plain text why a source is held.

    Args:
        row: with ``basis``, one of :data:`models.removals.REASONS`, ``removed``, ``removed_of`` and :data:`models.removals.WAS`.
    """
    removed, of = row["removed"], row["removed_of"]
    was, was_of = (row[name] for name in WAS)
    rate = f"{removed:,} of {of:,} records removed by the rules ({removed / of:.2%})"
    if row["basis"] != MOVED or was_of is None:
        return f"nearly all removed: {rate}"
    return f"removal rate moved: {rate}, {was:,} of {was_of:,} before ({was / was_of:.2%})"
