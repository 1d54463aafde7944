"""The ledger of sources for others: all of it as Parquet or JSON Lines, and what must not be collected for crawlers.

The same ledger gives the same bytes.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow.parquet as pq

from models.addresses import canonical_host, canonical_url
from models.decisions import (
    ASSESSMENT,
    OVERRIDE,
    RELEASE,
    ROW,
    Decisions,
    Override,
    by_override,
    override_basis,
    worst_above,
)
from models.sources import STATES

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
    decisions: Decisions,
    as_of: str,
    released: str = "9999-12-31",
    *,
    since: str = "",
    until: str = "9999-12-31",
    reaches: bool = False,
) -> list[dict[str, Any]]:
    """Return the sources that must not be collected on a day, sorted, each with the decision that says so.

    Of releases, which enter a source when its state changes, and assessments before collection the later entry counts; overrides in
    force on that day come before both. What rests on an override that is no longer in force does not count: then what was
    entered before it holds, until a run says otherwise.

    Args:
        as_of: the day on which overrides are in force.
        released: releases and assessments of a later day do not count.
        since, until: first and last day of the decisions that are wanted.
        reaches: whether overrides reach what lies in a source, which they do where sources are named by rules.
    """
    overrides = decisions.overrides(as_of)
    in_force = {each.entry for each in overrides.values()}
    held = decisions.latest(released, (RELEASE, ASSESSMENT), lambda basis: _still_holds(basis, in_force))
    facts_of = {each.id: each.facts for each in decisions.entries}

    def by(over: Override, source: str) -> dict[str, Any]:
        facts = {name: facts_of[over.entry].get(name) for name in ROW.names}
        above = {} if source == over.source else {"source": source, "basis": override_basis(over.entry, over.source)}
        return facts | {"entry": over.entry} | above

    for source, each in overrides.items():
        # Where a release rests on it already, that says what its policy allows of the state.
        if source not in held or held[source]["basis"] != override_basis(each.entry):
            held[source] = by(each, source)
    for source in list(held) if reaches else ():
        above = worst_above(source, overrides)
        if above and STATES.index(above.state) > STATES.index(held[source]["state"]):
            held[source] = by(above, source)
    rows = (held[source] for source in sorted(held))
    return [row for row in rows if row["collect_allowed"] is False and since <= row["as_of"] <= until]


def _still_holds(basis: str, in_force: Collection[str]) -> bool:
    rests_on = by_override(basis)
    return rests_on is None or rests_on[0] in in_force


class Site(NamedTuple):
    """A source that is a site.

    Attributes:
        path: begins with ``/``; empty for all of a host.
        by_person: whether a person decided, which reaches all that lies in it; figures are of the source alone.
    """

    host: str
    path: str
    by_person: bool

    @property
    def key(self) -> str:
        return self.host + self.path


def sites_of(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Site], list[str]]:
    """Return the sources that are sites, by canonical host, and the others, which are no addresses."""
    found, others = [], []
    for row in rows:
        source = str(row["source"])
        host, mark, path = source.partition("/")
        canonical = canonical_host(host) if "." in host or host.startswith("[") else None
        is_site = canonical is not None
        if canonical is not None and mark:
            address = canonical_url(f"{canonical}/{path}")
            is_site = address is not None and address.whole == f"{canonical}/{path}" and bool(path)
        if canonical is not None and is_site:
            by_person = row["kind"] == OVERRIDE or by_override(str(row["basis"])) is not None
            found.append(Site(canonical, f"/{path}" if mark else "", by_person))
        else:
            others.append(source)
    return found, others


def crawler_lines(
    sites: Iterable[Site], form: str, has_below: Collection[str] = (), spared: Mapping[str, Sequence[str]] | None = None
) -> Iterator[str]:
    """Give the lines of a list for crawlers.

    - ``domains``: hosts, each meant with all below it. Left out are parts of hosts, and hosts that figures refuse while other sources lie
      below them.
    - ``url-prefixes``: without a scheme: ``host/``, and of a part of a host ``host/path/``, ``host/path?`` and ``host/path$``, where ``$`` is
      the end of an address.
    - ``robots``: groups in the form of robots.txt (RFC 9309), each below a comment with the host that it is for.

    Args:
        has_below: keys that other sources lie in.
        spared: of hosts that figures refuse, the paths below them that are sources of their own and may be collected.
    """
    for site in sites:
        path = site.path
        if form == "domains":
            if not path and (site.by_person or site.key not in has_below):
                yield site.host
        elif form == "url-prefixes":
            yield from (f"{site.host}{path}{end}" for end in (_ENDS if path else ("/",)))
        else:
            yield from (f"# host: {site.host}", "User-agent: *")
            yield from (f"Disallow: {path}{end}" for end in (_ENDS if path else ("/",)))
            if not path and not site.by_person:
                # The longer path is the one that counts (RFC 9309, 2.2.2).
                yield from (f"Allow: {each}{end}" for each in (spared or {}).get(site.host, ()) for end in _ENDS)
            yield ""


_ENDS = ("/", "?", "$")
"""What may follow the beginning of a path that is a source: ``/ada/x``, ``/ada?x`` and ``/ada`` are of it, ``/adam`` is not."""
