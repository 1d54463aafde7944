"""The report of a release: one page of HTML that stands alone, holds nobody's text, and can be printed; in English and Chinese."""

import functools
import hashlib
import importlib.resources
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from string import Template
from typing import Any

import pyarrow as pa

from models.causes import TERM
from models.digest import digest_of
from models.errors import ConservationError
from models.sources import BLACKLISTED, HOLD
from pipeline.figures import Figures
from pipeline.report_changes import changes_section, notices_section, withdrawals_section
from pipeline.report_findings import (
    origin_section,
    personal_section,
    reasons_section,
    risks_section,
    uncovered,
    works_section,
)
from pipeline.report_flow import causes, flow_plot
from pipeline.report_markup import Markup, exact_percent, fill, joined, name, percent
from pipeline.report_overrides import overridden_section
from pipeline.report_plots import stacked_bar
from pipeline.report_removals import one_cause, removals_section
from pipeline.report_rollups import rollups_section
from pipeline.report_rules import rules_table
from pipeline.report_sources import sources_section, state_counts
from pipeline.report_tables import basis_section, dead_section, languages_section
from pipeline.report_words import Words, rule_names

PAGES = {"en": "report.html", "zh": "report.zh.html"}
"""The page of each language in a release."""

_FORM = (("pipeline", "report"), ("pipeline", "purged"), ("models", "reading_words"), ("models", "taxonomy"))
"""Packages, and how the names of the files begin that make the pages: code, words and style."""

_SHOWN = 20
_DOORS = (("clean", "clean"), ("quarantined", "quarantine"), ("dropped", "dropped"), ("dead", "dead"))
"""Doors as counts name them, and as the style sheet does."""
_GLOSSARY = (
    *("clean", "redacted", "quarantined", "dropped", "dead", "distinct", "unlawful"),
    *("kind", "blacklisted", "hold", "normal", "shard", "release"),
)


@functools.cache
def form() -> str:
    """Return the digest of what makes the pages of the same figures: with another one they may be worded in another way."""
    files = {
        f"{package}/{file.name}": hashlib.sha256(file.read_bytes()).hexdigest()
        for package, name in _FORM
        for file in importlib.resources.files(package).iterdir()
        if file.name.startswith(name) and file.is_file()
    }
    return digest_of(files)


def render_report(manifest: Mapping[str, Any], sources: pa.Table, figures: Figures, language: str = "en") -> str:
    """Return the page. The same arguments give the same page.

    Args:
        manifest: the release's manifest with the description of its job.
        sources: one row a source with its counts, doors, kind and state.
        figures: as in the release's ``summary.json``.
        language: one of :data:`pipeline.report_words.LANGUAGES`.

    Raises:
        ConservationError: if the counts do not add up: no such page may be shown.
    """
    said = Words(language)
    _check(manifest["counts"], figures)
    found = [(key, body) for key, body in _sections(manifest, sources, figures, said) if body is not None]
    page = Template(importlib.resources.files("pipeline").joinpath("report.html").read_text("utf-8"))
    return page.substitute(
        lang={"zh": "zh-CN"}.get(language, language),
        title=said("page.title", n=str(manifest["release"])),
        kicker=said("page.kicker"),
        other=_other_page(language, said),
        identity=_identity(manifest, said),
        summary=_summary(manifest, state_counts(sources), said),
        warnings=_warnings(manifest, said),
        contents_title=said("page.contents"),
        contents=joined(
            fill('<li><a href="#{key}">{title}</a></li>', key=key, title=said(f"{key}.title")) for key, _ in found
        ),
        sections=joined(
            (
                fill(
                    '<section id="{key}"><h2>{title}</h2>\n{body}</section>',
                    key=key,
                    title=said(f"{key}.title"),
                    body=body,
                )
                for key, body in found
            ),
            "\n",
        ),
        footer=said("footer.made", version=manifest["version"]),
    )


def copy_of(page: bytes) -> bytes:
    """Return a page as it may stand elsewhere: without the link to the other language, which is not there."""
    return re.sub(rb'<a class="other".*?</a>', b"", page)


def _sections(
    manifest: Mapping[str, Any], sources: pa.Table, figures: Figures, said: Words
) -> list[tuple[str, Markup | None]]:
    counts, policy, taggers = manifest["counts"], manifest["policy"], manifest["taggers"]
    fates, names = figures.fates, rule_names(policy, said.language)
    return [
        ("totals", _totals(counts, said)),
        ("flow", _flow(counts, figures, names, said)),
        ("changes", changes_section(figures.changes, manifest["base"], said)),
        (
            "sources",
            sources_section(sources, policy, counts, said, manifest.get("overridden", ()), manifest.get("coverage")),
        ),
        ("rollups", rollups_section(figures.rollups, said)),
        ("removals", removals_section(figures, manifest.get("removals"), policy, counts, said)),
        ("overridden", overridden_section(manifest.get("overridden"), said)),
        ("risks", risks_section(fates, manifest.get("coverage"), policy, said)),
        ("personal", personal_section(fates, "personal" in taggers, said)),
        (
            "works",
            works_section(figures, manifest.get("works") or {}, "fingerprint" in taggers, said),
        ),
        ("provenance", origin_section(fates, "provenance", "provenance" in taggers, said)),
        ("blocked", origin_section(fates, "blocked", "blocked" in taggers, said)),
        ("notices", notices_section(manifest.get("notices"), manifest.get("purged"), said)),
        ("withdrawals", withdrawals_section(manifest.get("withdrawals"), said)),
        ("reasons", reasons_section(fates, said)),
        ("languages", languages_section(figures, counts, said)),
        ("dead", dead_section(counts, figures, said)),
        ("basis", basis_section(manifest, said)),
        ("glossary", _glossary(policy, said)),
    ]


def _check(counts: Mapping[str, int], figures: Figures) -> None:
    out = sum(counts[key] for key, _ in _DOORS)
    if counts["read"] != out or counts["redacted"] > counts["clean"]:
        raise ConservationError(f"report: {counts['read']} records read, {out} went out")
    by_class, by_shard = sum(figures.errors.values()), sum(dead for _, dead in figures.dead_by_shard)
    if by_class != counts["dead"]:
        raise ConservationError(f"report: {counts['dead']} dead letters, {by_class} by class")
    is_whole = figures.dead_shards == len(figures.dead_by_shard)
    if by_shard > counts["dead"] or (is_whole and by_shard != counts["dead"]):
        raise ConservationError(f"report: {counts['dead']} dead letters, {by_shard} by shard")


def _other_page(language: str, said: Words) -> Markup:
    other = next(each for each in PAGES if each != language)
    return fill(
        '<a class="other" lang="{lang}" href="{page}">{title}</a>',
        lang=other,
        page=PAGES[other],
        title=said("page.other"),
    )


def _identity(manifest: Mapping[str, Any], said: Words) -> Markup:
    policy, base = manifest["policy"], manifest["base"]
    facts = {
        "policy": f"{policy['name']} {policy['version']}",
        "instrument": policy["instrument"] or said("id.no_instrument"),
        "limit": said("id.over", limit=exact_percent(Fraction(str(policy["limit"])))),
        "as_of": manifest["as_of"],
        "started": manifest["started"],
        "finished": manifest["finished"],
        "base": said("id.release", n=str(base)) if base else said("id.first"),
        "run": manifest["run"],
    }
    return joined(
        fill("<div><dt>{what}</dt><dd>{value}</dd></div>", what=said(f"id.{what}"), value=value)
        for what, value in facts.items()
    )


def _summary(manifest: Mapping[str, Any], states: Mapping[str, int], said: Words) -> Markup:
    counts, work, base = manifest["counts"], manifest["work"], manifest["base"]
    lead = said(
        "summary.lead",
        read=said.count("n.records", counts["read"]),
        shards=said.count("n.shards", manifest["shards"]),
        share=percent(counts["clean"], counts["read"]),
        sources=said.count("n.sources", sum(states.values())),
        bad=states[BLACKLISTED],
        held=states[HOLD],
        **{key: counts[key] for key in ("clean", "redacted", "quarantined", "dropped", "dead")},
    )
    did = said(
        "summary.next" if base else "summary.first",
        new=said.count("n.new_shards", work["new_shards"]),
        tagged=work["tagged"],
        released=work["released"],
        splits=said.count("n.splits", work["splits"]),
        **({"base": str(base)} if base else {}),
    )
    return fill('<p class="lead">{lead}</p><p>{did} {whole}</p>', lead=lead, did=did, whole=said("summary.whole"))


def _warnings(manifest: Mapping[str, Any], said: Words) -> Markup:
    twins, gone = sorted(map(tuple, manifest["twins"])), sorted(manifest["gone"])
    coverage = manifest.get("coverage")
    found = []
    if manifest["sample"]:
        found.append(fill("<p>{trial}</p>", trial=said("warn.sample", sample=manifest["sample"])))
    if missing := uncovered(coverage):
        what = said("warn.uncovered", missing=missing, all=len(coverage or ()))
        found.append(fill("<p>{what}</p>", what=what))
    removals = manifest.get("removals", {})
    if count := removals.get("moved", {}).get("count"):
        found.append(fill("<p>{what}</p>", what=said.count(f"warn.moved.{removals['moved']['then']}", count)))
    terms = (each for each in removals.get("one_cause", ()) if each["kind"] == TERM)
    found += [fill("<p>{what}</p>", what=one_cause(each, {}, said)) for each in terms]
    if twins:
        pairs = (said("warn.twin", path=name(path), twin=name(twin)) for path, twin in twins)
        found.append(_listed(said.count("warn.twins", len(twins)), pairs, said))
    if gone:
        found.append(_listed(said.count("warn.gone", len(gone)), map(name, gone), said))
    if not found:
        return fill('<p class="ok">{none}</p>', none=said("warn.none"))
    return fill('<div class="warnings">{found}</div>', found=joined(found))


def _listed(what: Markup, items: Iterable[Markup], said: Words) -> Markup:
    everything = list(items)
    rest = len(everything) - _SHOWN
    return fill(
        "<p>{what}</p><ul>{items}{more}</ul>",
        what=what,
        items=joined(fill("<li>{item}</li>", item=item) for item in everything[:_SHOWN]),
        more=fill("<li>{more}</li>", more=said("warn.more", n=rest)) if rest > 0 else Markup(""),
    )


def _totals(counts: Mapping[str, int], said: Words) -> Markup:
    """Return the doors as a bar and as a sum that a reader can check."""
    kept = counts["clean"] - counts["redacted"]
    parts = [("keep", kept), ("redact", counts["redacted"]), *((kind, counts[key]) for key, kind in _DOORS[1:])]
    words = [said.plain("kept.keep"), said.plain("kept.redact"), *(said.plain(f"door.{key}") for key, _ in _DOORS[1:])]
    tile = '<div class="tile {kind}"><b>{n}</b><span>{what}</span><small>{share} · {means}</small></div>'
    tiles = [
        fill(
            tile,
            kind=kind,
            n=counts[key],
            what=said(f"door.{key}"),
            share=percent(counts[key], counts["read"]),
            means=said(f"means.{key}"),
        )
        for key, kind in _DOORS
    ]
    return fill(
        """{bar}
<p class="key">{key}</p>
<div class="equation"><div class="tile read"><b>{read}</b><span>{door}</span><small>{means}</small></div>
<i>=</i>{tiles}</div>
<p class="sum">{sum} <span>{split}</span></p>""",
        bar=stacked_bar(parts, ", ".join(f"{word} {size:,}" for word, (_, size) in zip(words, parts, strict=True))),
        key=joined(
            (
                fill('<span class="{kind}">{word} {n}</span>', kind=kind, word=word, n=size)
                for word, (kind, size) in zip(words, parts, strict=True)
            ),
            " ",
        ),
        read=counts["read"],
        door=said("door.read"),
        means=said("totals.read"),
        tiles=joined(tiles, "<i>+</i>"),
        sum=said("totals.sum", **{key: counts[key] for key in ("read", "clean", "quarantined", "dropped", "dead")}),
        split=said("totals.kept", clean=counts["clean"], kept=kept, redacted=counts["redacted"]),
    )


def _flow(counts: Mapping[str, int], figures: Figures, rules: Mapping[str, str], said: Words) -> Markup:
    found = causes(counts, figures, said, rules)
    return fill(
        '<p>{lead}</p><figure><div class="scroll">{plot}</div></figure>{rules}',
        lead=said("flow.lead"),
        plot=flow_plot(counts, found, said),
        rules=rules_table(figures, rules, said),
    )


def _glossary(policy: Mapping[str, Any], said: Words) -> Markup:
    values = {"limit": exact_percent(Fraction(str(policy["limit"]))), "least": f"{policy['min_records']:,}"}
    entries = (
        fill(
            "<div><dt>{word}</dt><dd>{means}</dd></div>",
            word=said(f"glossary.{key}.word"),
            means=said(f"glossary.{key}.means", **values),
        )
        for key in _GLOSSARY
    )
    return fill('<dl class="glossary">{entries}</dl>', entries=joined(entries))
