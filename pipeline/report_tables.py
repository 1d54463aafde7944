"""The report's tables of languages, of dead letters, and of what the figures were made with."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.errors import ConservationError
from models.purge import PURGE
from pipeline.figures import Figures
from pipeline.report_markup import Markup, fill, name, number, percent, table
from pipeline.report_plots import count_bar
from pipeline.report_words import Words

LANGUAGES = 20
"""Rows of the table; other languages are added up."""


def languages_section(figures: Figures, counts: Mapping[str, int], said: Words) -> Markup:
    """Return records and characters by language; purged records and entries without a text close the sum.

    Raises:
        ConservationError: if more records have a language than were read.
    """
    languages = figures.languages
    if not languages:
        return fill("<p>{unknown}</p>", unknown=said("languages.unknown" if counts["read"] else "orders.none"))
    whole, characters = (sum(each[at] for each in languages.values()) for at in (0, 1))
    if whole > counts["read"]:
        raise ConservationError(f"report: {whole} records have a language, {counts['read']} were read")
    ordered = sorted(languages.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [(_language(code, said), records, points) for code, (records, points) in ordered[:LANGUAGES]]
    if rest := ordered[LANGUAGES:]:
        records, points = (sum(each[at] for _, each in rest) for at in (0, 1))
        rows.append((said.count("languages.other", len(rest)), records, points))
    # Of a purged record nothing is known, its language neither.
    purged = min(figures.fates.get(f"{PURGE}\tdrop", 0), counts["read"] - whole)
    for key, records in (("purged", purged), ("dead", counts["read"] - whole - purged)):
        if records:
            rows.append((fill("<em>{what}</em>", what=said(f"languages.{key}")), records, 0))
    most = max(each[1] for each in rows)
    row = (
        '<tr><th scope="row">{what}</th>{records}<td class="n">{share}</td>{characters}<td class="n">{of}</td>'
        '<td class="plot">{bar}</td></tr>'
    )
    foot = '<tr><th scope="row">{all}</th>{read}<td></td>{characters}<td></td><td></td></tr>'
    head = ("records", "of_records", "characters", "of_characters")
    return fill(
        "<p>{lead}</p>{table}",
        lead=said("languages.lead"),
        table=table(
            "languages",
            [("", said("languages.language")), *(("n", said(f"languages.{each}")) for each in head), ("plot", "")],
            [
                fill(
                    row,
                    what=what,
                    records=number(records),
                    share=percent(records, counts["read"]),
                    characters=number(points),
                    of=percent(points, characters),
                    bar=count_bar("keep", records, most),
                )
                for what, records, points in rows
            ],
            fill(foot, all=said("languages.all"), read=number(counts["read"]), characters=number(characters)),
        ),
    )


def _language(code: str, said: Words) -> Markup:
    plain, _, script = code.partition("-")
    if script and plain == "und":
        words = said.plain("languages.script", script=said.name(f"script.{script}", script))
    else:
        words = said.name(f"language.{code}", code)
    return fill("{words} <small><code>{code}</code></small>", words=words, code=code)


def dead_section(counts: Mapping[str, int], figures: Figures, said: Words) -> Markup:
    """Return dead letters by cause and by shard, most first."""
    dead = counts["dead"]
    if not dead:
        return fill("<p>{none}</p>", none=said("dead.none"))
    classes = [
        (
            fill(
                "{words} <small><code>{error}</code></small>", error=name(error), words=said.name(f"error.{error}", "")
            ),
            n,
        )
        for error, n in sorted(figures.errors.items(), key=lambda item: (-item[1], item[0]))
    ]
    shards = [(name(shard), n) for shard, n in sorted(figures.dead_by_shard, key=lambda item: (-item[1], item[0]))]
    rest = figures.dead_shards - len(shards)
    title = said("dead.by_shard_first", n=len(shards)) if rest else said("dead.by_shard")
    if rest:
        others = fill("<em>{others}</em>", others=said.count("dead.other", rest))
        shards.append((others, dead - sum(n for _, n in shards)))
    return fill(
        '<p>{lead}</p><div class="pair">{classes}{shards}</div>',
        lead=said(
            "dead.lead", dead=said.count("n.entries", dead), read=counts["read"], share=percent(dead, counts["read"])
        ),
        classes=_dead_table(said("dead.by_class"), classes, dead, said),
        shards=_dead_table(title, shards, dead, said),
    )


def _dead_table(title: Markup, rows: Sequence[tuple[Markup, int]], total: int, said: Words) -> Markup:
    most = max(n for _, n in rows)
    cells = '<tr><th scope="row">{what}</th>{n}<td class="plot">{bar}</td></tr>'
    return table(
        "dead",
        [("", title), ("n", said("dead.entries")), ("plot", "")],
        [fill(cells, what=what, n=number(n), bar=count_bar("dead", n, most)) for what, n in rows],
        fill(cells, what=said("dead.all"), n=number(total), bar=Markup("")),
    )


def basis_section(manifest: Mapping[str, Any], said: Words) -> Markup:
    """Return the policy and the detectors with the digests that they can be checked by."""
    policy = manifest["policy"]
    row = '<tr><th scope="row">{what}</th><td>{kind}</td><td class="digest"><code>{digest}</code></td></tr>'
    what = f"{policy['name']} {policy['version']}"
    rows = [fill(row, what=what, kind=said("basis.policy"), digest=policy["digest"])]
    rows += [
        fill(row, what=name(tagger), kind=said("basis.detector"), digest=digest)
        for tagger, digest in sorted(manifest["taggers"].items())
    ]
    head = [("", said("basis.name")), ("", said("basis.kind")), ("", said("basis.digest"))]
    return fill("<p>{lead}</p>{table}", lead=said("basis.lead"), table=table("basis", head, rows))
