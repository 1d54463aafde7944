"""The report's account of what is different from the release before, and of notices and withdrawals."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.purged import told as purged_told
from pipeline.report_markup import NONE, Markup, fill, joined, name, number, table
from pipeline.report_sources import badge
from pipeline.report_words import Words

ORDERS = 100
"""Withdrawals that are shown, the newest first."""


def changes_section(changes: Mapping[str, Any], base: int, said: Words) -> Markup:
    """Return what is different from the release before, see :func:`pipeline.changes.changes`."""
    if not changes:
        return fill("<p>{first}</p>", first=said("changes.unknown" if base else "changes.first"))
    shards = {kind: facts["count"] for kind, facts in changes["shards"].items()}
    return fill(
        '<div class="pair">{counts}<div><h3>{shards}</h3><p>{line}</p>{shards_named}<h3>{basis}</h3>{digests}</div></div>'
        "<h3>{sources}</h3>{states}",
        counts=_count_changes(changes, said),
        shards=said("changes.shards"),
        line=said("changes.shards_line", **shards),
        shards_named=_shards_named(changes["shards"], said),
        basis=said("changes.basis"),
        digests=_digest_changes(changes["digests"], said),
        sources=said("changes.sources"),
        states=_state_changes(changes["sources"], said),
    )


_DOORS = ("read", "clean", "quarantined", "dropped", "dead")


def _count_changes(changes: Mapping[str, Any], said: Words) -> Markup:
    lines = [("read", "door.read"), ("clean", "door.clean"), ("redacted", "kept.redact")]
    lines += [(door, f"door.{door}") for door in _DOORS[2:]]
    rows = []
    for key, words in lines:
        before, now = changes["counts"][key]
        rows.append(
            fill(
                '<tr><th scope="row" class="{kind}">{what}</th>{before}{now}<td class="n delta">{delta}</td></tr>',
                kind="part" if key == "redacted" else "",
                what=said(words),
                before=number(before),
                now=number(now),
                delta=f"{now - before:+,}".replace("-", "\u2212") if now != before else NONE,
            )
        )
    heads = [said("changes.before", n=str(changes["base"])), said("changes.now"), said("changes.delta")]
    return table("changes", [("", said("changes.door")), *(("n", each) for each in heads)], rows)


def _shards_named(shards: Mapping[str, Any], said: Words) -> Markup:
    named = [(kind, path) for kind in ("new", "changed", "gone") for path in shards[kind]["named"]]
    signs = {"new": "+", "changed": "~", "gone": "\u2212"}
    items = [fill("<li>{sign} {path}</li>", sign=signs[kind], path=name(path)) for kind, path in named[:10]]
    rest = sum(each["count"] for each in shards.values()) - len(items)
    if items and rest:
        items.append(fill("<li>{more}</li>", more=said("warn.more", n=rest)))
    return fill('<ul class="plain">{items}</ul>', items=joined(items)) if items else Markup("")


def _digest_changes(digests: Sequence[Sequence[str]], said: Words) -> Markup:
    if not digests:
        return fill("<p>{none}</p>", none=said("changes.none"))
    item = "<li>{kind} {what}: <code>{before}</code> → <code>{after}</code></li>"
    items = [
        fill(item, kind=said(f"basis.{kind}"), what=name(what), before=before[:12] or NONE, after=after[:12] or NONE)
        for kind, what, before, after in digests
    ]
    return fill('<ul class="plain">{items}</ul>', items=joined(items))


def _state_changes(sources: Mapping[str, Any], said: Words) -> Markup:
    if not sources["named"]:
        return fill("<p>{none}</p>", none=said("changes.none"))

    def state(word: str, otherwise: str) -> Markup:
        return badge(word, said) if word else fill('<span class="soft">{word}</span>', word=said(otherwise))

    rows = [
        fill(
            '<tr><th scope="row">{source}</th><td>{before}</td><td>{now}</td>{read}</tr>',
            source=name(source),
            before=state(before, "changes.new"),
            now=state(now, "changes.gone"),
            read=number(read),
        )
        for source, before, now, read in sources["named"]
    ]
    count = sum(each[2] for each in sources["states"])
    more = said("changes.sources_more", shown=len(rows), all=count) if count > len(rows) else Markup("")
    heads = [("", said("sources.source")), ("", said("changes.was")), ("", said("changes.now"))]
    return fill("{table}<p>{more}</p>", table=table("moved", [*heads, ("n", said("sources.read"))], rows), more=more)


def notices_section(notices: Sequence[str] | None, purged: Mapping[str, Any] | None, said: Words) -> Markup | None:
    """Return what the people of the release must be told, in the page's language; None if a manifest does not speak of it.

    Args:
        notices: sentences as in the manifest, in English; they stand only where the manifest has no figures to say them anew.
        purged: as in the manifest, see :func:`pipeline.purged.facts`.
    """
    if notices is None:
        return None
    told = purged_told(purged, said) if purged else notices
    if not told:
        return fill("<p>{none}</p>", none=said("orders.none"))
    return joined(fill("<p>{each}</p>", each=each) for each in told)


_COLUMNS = ("id", "kind", "basis", "received", "release", "days", "records")


def withdrawals_section(withdrawals: Sequence[Mapping[str, Any]] | None, said: Words) -> Markup | None:
    """Return withdrawals, the newest first; None if a manifest does not speak of them."""
    if withdrawals is None:
        return None
    if not withdrawals:
        return fill("<p>{none}</p>", none=said("orders.none"))
    shown = sorted(withdrawals, key=lambda each: (str(each.get("received", "")), str(each.get("id", ""))), reverse=True)
    columns = [column for column in _COLUMNS if any(each.get(column) is not None for each in withdrawals)]
    rows = [
        fill("<tr>{cells}</tr>", cells=joined(_cell(column, each.get(column), said) for column in columns))
        for each in shown[:ORDERS]
    ]
    heads = [("n" if column in ("days", "records") else "", said(f"orders.{column}")) for column in columns]
    cut = said("orders.cut", shown=ORDERS, all=len(withdrawals)) if len(withdrawals) > ORDERS else Markup("")
    return fill("{table}<p>{cut}</p>", table=table("orders", heads, rows), cut=cut)


def _cell(column: str, value: Any, said: Words) -> Markup:
    if isinstance(value, int):
        return number(value)
    words = NONE if value is None else name(said.name(f"withdrawal.{column}.{value}", str(value)))
    return fill("<td>{value}</td>", value=words)
