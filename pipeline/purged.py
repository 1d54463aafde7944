"""Purged: the table of contents of which a release keeps nothing but hash and date, and what is said of it to people."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from models.catalogue import Row
from models.purge import EARLIER
from pipeline.corpus import Corpus
from pipeline.report_words import Words

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


def facts(table: Mapping[str, Any], manifest: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the manifest says of the table: ``records``, ``contents``, how many of these are ``new``, titles of ``lists``, and whether there are
    ``earlier`` releases that may hold their text; empty if nothing is purged.

    Args:
        before: manifest of the release that this one is made from, empty for the first.
    """
    here = [entry for entry in table.get("purged", []) if entry["count"]]
    if not here:
        return {}
    new = sum(entry["run"] == manifest["run"] for entry in here)
    return {
        "records": sum(entry["count"] for entry in here),
        "contents": len(here),
        "new": new,
        "lists": sorted({title for entry in here for title in entry["lists"]}),
        # What was purged when it first came never stood in a release; a release that does not say so may hold it.
        "earlier": manifest["base"] > 0 and (new > 0 or before.get("purged", {}).get("earlier", True)),
    }


def told(found: Mapping[str, Any], said: Words) -> list[str]:
    """Return what a release's people must be told of the table; nothing if nothing is purged.

    Args:
        found: see :func:`facts`.
    """
    if not found:
        return []
    titles = (said.plain("notice.earlier_list") if title == EARLIER else title for title in found["lists"])
    lists = said.plain("notice.comma").join(titles)
    figures = {"contents": found["contents"], "new": found["new"], "lists": lists, "file": FILE}
    notice = said.plain_count("notice.purged", found["records"], **figures)
    return [notice + said.plain("notice.earlier") if found["earlier"] else notice]
