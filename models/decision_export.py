"""The ledger of sources for others: all of it as Parquet or JSON Lines, and what must not be collected for crawlers.

The same ledger gives the same bytes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

from models.addresses import canonical_host, canonical_url
from models.decisions import ASSESSMENT, RELEASE, ROW, Decisions

FORMATS = ("domains", "url-prefixes", "robots", "jsonl")


def write_parquet(decisions: Decisions, path: Path) -> None:
    """Write all decisions, see :data:`models.decisions.ROW`; a row group an entry."""
    with pq.ParquetWriter(path, ROW, compression="zstd") as writer:
        for table in decisions.tables():
            writer.write_table(table.combine_chunks())


def jsonl(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Give decisions as JSON, a line each, keys sorted."""
    return (orjson.dumps(dict(row), option=orjson.OPT_SORT_KEYS).decode() for row in rows)


def refused(
    decisions: Decisions, as_of: str, released: str = "9999-12-31", *, since: str = "", until: str = "9999-12-31"
) -> list[dict[str, Any]]:
    """Return the sources that must not be collected on a day, sorted, each with the decision that says so.

    Of releases, which enter a source when its state changes, and assessments before collection the later entry counts; overrides in
    force on that day come before both.

    Args:
        as_of: the day on which overrides are in force.
        released: releases and assessments of a later day do not count.
        since, until: first and last day of the decisions that are wanted.
    """
    held = decisions.latest(released, (RELEASE, ASSESSMENT))
    by_entry = {each.id: each for each in decisions.entries}
    for source, each in decisions.overrides(as_of).items():
        facts = by_entry[each.entry].facts
        held[source] = {name: facts.get(name) for name in ROW.names} | {"entry": each.entry}
    rows = (held[source] for source in sorted(held))
    return [row for row in rows if row["collect_allowed"] is False and since <= row["as_of"] <= until]


def places(rows: Sequence[Mapping[str, Any]]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the sources that are sites, as pairs of host and path (empty for all of a host), and the others, which are no addresses."""
    found, others = [], []
    for row in rows:
        source = str(row["source"])
        host, mark, path = source.partition("/")
        is_site = ("." in host or host.startswith("[")) and canonical_host(host) == host
        if is_site and mark:
            address = canonical_url(source)
            is_site = address is not None and address.whole == source and bool(path)
        if is_site:
            found.append((host, f"/{path}" if mark else ""))
        else:
            others.append(source)
    return found, others


def crawler_lines(places: Iterable[tuple[str, str]], form: str) -> Iterator[str]:
    """Give the lines of a list for crawlers.

    - ``domains``: hosts, each meant with all below it; parts of hosts are left out.
    - ``url-prefixes``: ``host/`` and ``host/path/``, without a scheme.
    - ``robots``: groups in the form of robots.txt (RFC 9309), each below a comment with the host that it is for.
    """
    for host, path in places:
        if form == "domains":
            if not path:
                yield host
        elif form == "url-prefixes":
            yield f"{host}{path}/"
        else:
            yield from (f"# host: {host}", "User-agent: *", f"Disallow: {path}/", "")
