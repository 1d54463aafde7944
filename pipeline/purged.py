"""Purged: the table of contents of which a release keeps nothing but hash and date, and what is said of it to people."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from models.catalogue import Row
from pipeline.corpus import Corpus

FILE = "purged.json"
_FORMAT = 1


def purged(rows: Iterable[Row], manifest: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table: every content purged, with the lists that say so, how many records had it, and since when.

    What an earlier release purged stays, with a count of 0 once it is not found any more: that it was here is what must be reported.
    """
    before = {entry["sha256"]: entry for entry in previous.get("purged", [])}
    entries = {sha256: entry | {"count": 0} for sha256, entry in before.items()}
    for row in rows:
        for sha256, title, count in row.release.purged:
            new = {"sha256": sha256, "lists": [], "count": 0, "since": manifest["as_of"], "run": manifest["run"]}
            entry = entries.setdefault(sha256, new)
            entry["lists"] = sorted({*entry["lists"], title})
            entry["count"] += count
    return {"format": _FORMAT, "purged": [entries[sha256] for sha256 in sorted(entries)]}


def previous(corpus: Corpus) -> dict[str, Any]:
    """Return the table of the current release, empty where it has none."""
    if not corpus.number:
        return {}
    try:
        found: dict[str, Any] = json.loads(corpus.releases.read(corpus.number, FILE))
    except FileNotFoundError:
        return {}  # of a version that knew no purging
    return found


def notices(table: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Return what a release's people must be told of the table; nothing if nothing is purged."""
    here = [entry for entry in table.get("purged", []) if entry["count"]]
    if not here:
        return []
    new = [entry for entry in here if entry["run"] == manifest["run"]]
    records = sum(entry["count"] for entry in here)
    lists = ", ".join(sorted({title for entry in here for title in entry["lists"]}))
    return [
        f"{records:,} {'record is' if records == 1 else 'records are'} purged (contents: {len(here):,}, new: {len(new):,}) by: {lists}. Nothing of them is kept "
        f"in the release but hash and date, in {FILE}. Your law may oblige you to report them, and to keep or destroy the input that held "
        "them: see to it now. Earlier releases still hold their text until: winnow gc"
    ]
