"""The report adds up, lets no name act as markup, and is the same page for the same release."""

import json
import random
import re
import runpy
from collections import Counter
from fractions import Fraction
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audits import AUDITED, CONFIRMED
from models.blocklist import KINDS
from models.errors import ConservationError
from models.findings import UNSCANNED
from models.fingerprint_index import CLAIMS
from models.purge import EARLIER, PURGE
from models.source_reading import SourceReading
from models.sources import STATES
from models.taggers.personal import ENTITIES
from models.taxonomy import load_taxonomy
from models.withdrawals import BASES
from models.withdrawals import KINDS as WITHDRAWN_KINDS
from pipeline import purged
from pipeline.figures import Figures
from pipeline.report import PAGES, render_report
from pipeline.report_flow import MOST, causes
from pipeline.report_markup import exact_percent, fill, percent
from pipeline.report_plots import bin_labels, bin_of
from pipeline.report_rules import RULES
from pipeline.report_sources import SHOWN
from pipeline.report_words import LANGUAGES as LANGUAGES_OF_PAGES
from pipeline.report_words import Words, messages, places

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = json.loads((ROOT / "examples" / "expected.json").read_text("utf-8"))
READING = (
    "Reading: literal (what was found is taken at its word); basis: detector — estimated from detectors, not audited"
)
VOID = {"meta", "rect", "line", "br", "path"}
SOURCES = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "kind", "state")),
        *((name, pa.int64()) for name in ("read", "distinct", "unlawful", "characters", "unlawful_characters")),
        *((name, pa.int64()) for name in ("clean", "quarantine", "dropped", "dead")),
    ]
)
FATES = {
    "A.1.f\tquarantine": 37,
    "A.1.h\tquarantine": 61,
    "A.4.a\tquarantine": 12,
    "A.5.a\tkeep": 5,
    "personal.email\tredact": 171,
    "personal.phone\tredact": 148,
    "personal.resident_id\tredact": 63,
    "personal.bank_card\tredact": 22,
    "personal.phone\tquarantine": 2,
    "unscanned\tquarantine": 3,
    "source:blacklisted\tquarantine": 400,
    "source:hold\tquarantine": 60,
}
ERRORS = {"bad_json": 2, "bad_encoding": 1, "no_text": 2}
DEAD = [("web-00.jsonl", 4), ("web-01.jsonl.gz", 1)]
COVERAGE = {risk: ["lexicon: mine"] if risk[:3] == "A.1" else [] for risk in load_taxonomy("tc260-003").ids}
LANGUAGES = {"zh": [2000, 90_000], "en": [500, 80_000], "und-Latn": [7, 400]}
WORKS = [["isbn:1", 40, 3100], ["isbn:2", 2, 260]]


def source(name: str, read: int, distinct: int, unlawful: int, state: str, kind: str = "name") -> dict[str, Any]:
    held = read if state in ("blacklisted", "hold") else unlawful
    return {
        "source": name,
        "kind": kind,
        "state": state,
        "read": read,
        "distinct": distinct,
        "unlawful": unlawful,
        "characters": distinct * 410,
        "unlawful_characters": unlawful * 377,
        "clean": read - held,
        "quarantine": held,
        "dropped": 0,
        "dead": 0,
    }


def examples() -> list[dict[str, Any]]:
    return [
        source(name, facts["records"], facts["distinct"], facts["unlawful"], facts["state"])
        for name, facts in EXPECTED["sources"].items()
    ]


def table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, SOURCES)


def manifest(rows: list[dict[str, Any]], **facts: Any) -> dict[str, Any]:
    doors = {door: sum(row[door] or 0 for row in rows) for door in ("clean", "quarantine", "dropped", "dead")}
    dead = doors["dead"] + 5
    counts = {
        "read": doors["clean"] + doors["quarantine"] + doors["dropped"] + dead,
        "clean": doors["clean"],
        "redacted": min(262, doors["clean"]),
        "quarantined": doors["quarantine"],
        "dropped": doors["dropped"],
        "dead": dead,
    }
    return {
        "release": 1,
        "base": 0,
        "run": "5b6c0d9a1e7f2c34",
        "as_of": "2026-02-03",
        "started": "2026-02-03T01:00:04+00:00",
        "finished": "2026-02-03T01:00:19+00:00",
        "version": "0.1.0",
        "policy": {
            "name": "cn-tc260-003",
            "version": "2024.1",
            "instrument": "TC260-003 (2024-02-29)",
            "digest": "0f" * 32,
            "reading": "literal",
            "basis": "detector",
            "limit": "1/20",
            "min_records": 100,
        },
        "taggers": {"personal": "3c" * 32, "lexicon": "a7" * 32, "provenance": "51" * 32},
        "counts": counts,
        "work": {"tagged": 9, "released": 9, "splits": 9, "new_shards": 6},
        "shards": 6,
        "twins": [],
        "gone": [],
        "sample": "",
        **facts,
    }


def applied(flow: dict[str, int]) -> dict[str, int]:
    """Return to how many records rules applied that decided as the flow says."""
    found: Counter[tuple[str, str, str]] = Counter()
    for key, records in flow.items():
        action, rule, tagger = key.split("\t")
        found["withdrawn" if rule.startswith("withdrawn:") else rule, action, tagger] += records
    return {"\t".join(key): records for key, records in found.items()}


def figures(counts: dict[str, int], **facts: Any) -> Figures:
    """Return figures that balance with counts."""
    held = counts["quarantined"]
    flow = {
        "redact\tpersonal\tpersonal": counts["redacted"],
        "quarantine\tvalues\tlexicon": held - held // 3,
        "quarantine\tsource:blacklisted\t": held // 3,
        "drop\tblocked\tblocked": counts["dropped"],
    }
    made = {"fates": FATES, "errors": ERRORS, "dead_by_shard": DEAD, "flow": {k: n for k, n in flow.items() if n}}
    made |= facts
    made.setdefault("applied", applied(made["flow"]))
    return Figures(**{"dead_shards": len(made["dead_by_shard"]), **made})


def render(rows: list[dict[str, Any]], language: str = "en", found: dict[str, Any] | None = None, **facts: Any) -> str:
    """Return the page of some sources, with figures and facts of the manifest as given."""
    made = manifest(rows, **facts)
    return render_report(made, table(rows), figures(made["counts"], **(found or {})), language)


class Balance(HTMLParser):
    """Reads a page and fails on a tag that was not closed in order."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.stack: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words.append(data)


def parse(page: str) -> Balance:
    reader = Balance()
    reader.feed(page)
    reader.close()
    assert not reader.stack
    return reader


def text(page: str) -> str:
    """Return what a reader sees, spaces of all kinds made one."""
    return " ".join(" ".join(parse(page).words).split())


def sources_shown(page: str) -> list[str]:
    body = page[page.index('<table class="sources">') : page.index("<tfoot>")]
    return re.findall(r'<tr><th scope="row"><bdi class="name">(.*?)</bdi>', body)


def test_the_totals_visibly_add_up() -> None:
    said = text(render(examples()))
    doors = re.search(
        r"([\d,]+) read = ([\d,]+) clean \+ ([\d,]+) quarantined \+ ([\d,]+) dropped \+ ([\d,]+) dead", said
    )
    assert doors
    read, *out = (int(number.replace(",", "")) for number in doors.groups())
    assert read == sum(out) == EXPECTED["totals"]["records"] + EXPECTED["totals"]["malformed"]


@pytest.mark.parametrize(
    ("counts", "errors", "dead"),
    [
        ({"read": 1}, ERRORS, DEAD),
        ({"redacted": 10**6}, ERRORS, DEAD),
        ({}, {"bad_json": 1}, DEAD),
        ({}, ERRORS, DEAD[:1]),
    ],
)
def test_counts_that_do_not_add_up_make_no_page(
    counts: dict[str, int], errors: dict[str, int], dead: list[tuple[str, int]]
) -> None:
    facts = manifest(examples())
    found = figures(facts["counts"], errors=errors, dead_by_shard=dead)
    facts["counts"] = facts["counts"] | counts
    with pytest.raises(ConservationError):
        render_report(facts, table(examples()), found)


def test_sources_cannot_have_more_records_than_the_corpus() -> None:
    facts = manifest(examples())
    with pytest.raises(ConservationError, match="sources: clean"):
        render_report(facts, table([*examples(), source("more", 9, 9, 0, "clean")]), figures(facts["counts"]))


def test_sources_come_worst_first() -> None:
    rows = examples()
    random.Random(3).shuffle(rows)
    names = sources_shown(render(rows))
    assert names[:3] == ["promo.example", "flyers.example", "tiny-ads.example"]
    clean = [EXPECTED["sources"][name] for name in names[3:]]
    shares = [Fraction(facts["unlawful"], facts["distinct"]) for facts in clean]
    assert shares == sorted(shares, reverse=True)
    assert {facts["state"] for facts in clean} == {"clean"}


def test_shares_stand_as_exact_fractions_and_with_two_decimals() -> None:
    said = text(render(examples()))
    for facts in EXPECTED["sources"].values():
        assert f"{facts['unlawful']} / {facts['distinct']}" in said
        assert facts["share"] in said


def test_two_decimals_never_hide_on_which_side_of_the_limit_a_source_is() -> None:
    rows = [
        source("over.example", 10**6, 10**6, 50_001, "blacklisted"),
        source("at.example", 10**6, 10**6, 50_000, "clean"),
        source("under.example", 10**6, 10**6, 49_999, "clean"),
    ]
    said = text(render(rows))
    for note in ("5.00 % just over the limit", "5.00 % at the limit", "5.00 % just under the limit"):
        assert said.count(note) == 1


@given(st.integers(0, 10**7), st.integers(1, 10**7), st.fractions(0, 1))
def test_the_plot_puts_a_share_right_of_the_line_only_if_it_is_over_the_limit(
    unlawful: int, more: int, limit: Fraction
) -> None:
    distinct = unlawful + more
    place = bin_of(unlawful, distinct, limit)
    assert 0 <= place < len(bin_labels(limit))
    assert (place > (5 if limit else 0)) == (Fraction(unlawful, distinct) > limit)


def test_every_table_of_sources_says_how_the_figures_were_got() -> None:
    page = render(examples())
    assert text(page).count(READING) == page.count('<table class="sources">') == 1


def test_a_long_table_is_cut_where_the_page_says_and_the_sums_are_of_all() -> None:
    rows = [source(f"site-{n:05}.example", 1000, 1000, n % 40, "clean") for n in range(SHOWN + 57)]
    page = render(rows)
    assert len(sources_shown(page)) == SHOWN
    said = text(page)
    assert f"the first {SHOWN} of {len(rows)} sources" in said
    assert "sources.parquet" in said
    assert f"{len(rows) * 1000:,}" in said


def test_entries_without_a_source_close_the_sum() -> None:
    empty = dict.fromkeys(SOURCES.names) | {"source": "", "kind": "", "dead": 5}
    rows = examples()
    facts = manifest(rows)
    with_row, without = (render_report(facts, table(each), figures(facts["counts"])) for each in ([*rows, empty], rows))
    assert "entries without a source" in text(with_row)
    assert "Entries without a source 5 0 0 0 5" in text(without)
    assert "Of 17 sources" in text(with_row)


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'onmouseover='alert(1)",
    "</bdi></table><style>*{display:none}</style>",
    "$title {0} %s &amp; ${limit}",
    "<!--",
    "evil.example\u202egpj.exe",
    "nul\x00 and\nline",
    "很长" * 4000,
)


def everything(word: str, language: str) -> str:
    """Return a page with every section, in which a word stands wherever a name may."""
    row = source(word, 900, 900, 90, "blacklisted", kind=word)
    facts = manifest(
        [row],
        twins=[[word, word]],
        gone=[word],
        sample=word,
        taggers={word: word, "fingerprint": word},
        run=word,
        base=1,
        coverage=COVERAGE | {"A.1.a": [word]},
        works={word: dict.fromkeys(("title", "holder", "licence", "claim"), word)},
        policy=manifest([row])["policy"]
        | {"name": word, "version": word, "instrument": word, "basis": word, "reading": word}
        | {"rules": [{"id": word, "title": word, "title_zh": word, "clause": word, "action": "quarantine"}]},
        notices=[word],
        purged={"records": 1, "contents": 1, "new": 1, "lists": [word], "earlier": True},
        withdrawals=[{"id": word, "kind": word, "basis": word, "received": word, "release": word, "records": 3}],
    )
    counts = facts["counts"]
    changes = {
        "base": 1,
        "counts": {total: [3, 5] for total in counts},
        "sources": {"states": [["clean", word, 1]], "named": [[word, "clean", word, 7], [word, "", "hold", 7]]},
        "shards": {kind: {"count": 12, "named": [word] * 6} for kind in ("new", "changed", "gone")},
        "digests": [["policy", word, word, word], ["detector", word, "", word]],
    }
    found = figures(
        counts,
        fates={
            f"{word}\tquarantine": 1,
            "A.1.a\t" + word: 2,
            "personal." + word + "\tredact": 3,
            "copyright\tdrop": 2,
            "provenance." + word + "\tquarantine": 1,
            "blocked." + word + "\tdrop": 1,
            "A.9.z" + word + "\tkeep": 1,
        },
        flow={f"redact\t{word}\t{word}": counts["redacted"], f"quarantine\tsource:{word}\t": counts["quarantined"]},
        errors={word: 5},
        dead_by_shard=[[word, 5]],
        works=[[word, 3, 90]],
        works_found=300,
        works_exact=False,
        languages={word: [3, 9], "und-" + word: [1, 2]},
        changes=changes,
    )
    return render_report(facts, table([row]), found, language)


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
@pytest.mark.parametrize("key", HOSTILE)
def test_no_name_acts_as_markup(key: str, language: str) -> None:
    plain, page = everything("plain", language), everything(key, language)
    assert [tag for tag, _ in parse(page).seen] == [tag for tag, _ in parse(plain).seen]
    assert [sorted(facts) for _, facts in parse(page).seen] == [sorted(facts) for _, facts in parse(plain).seen]
    assert "<script" not in page
    assert not any(sign in page for sign in ("\u202e", "\x00"))
    assert len(page) < len(plain) + 250_000
    page.encode()


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_the_page_needs_nothing_but_itself(language: str) -> None:
    page = everything("plain", language)
    seen = parse(page).seen
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in seen}
    assert not {key for _, facts in seen for key in facts if key in ("src", "style") or key[:2] == "on"}
    sections = {facts["id"] for tag, facts in seen if tag == "section"}
    targets = {str(facts["href"]) for _, facts in seen if "href" in facts}
    assert targets == {PAGES["zh" if language == "en" else "en"]} | {f"#{each}" for each in sections - {"summary"}}
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_the_same_release_gives_the_same_page_whatever_the_order(language: str) -> None:
    rows, facts = examples(), {"twins": [["b", "a"], ["c", "a"]], "gone": ["y", "x"]}
    found = {"languages": LANGUAGES}
    one = render(rows, language, found, **facts)
    other = manifest(rows, twins=[["c", "a"], ["b", "a"]], gone=["x", "y"])
    balanced = figures(other["counts"])
    turned = figures(
        other["counts"],
        fates=dict(reversed(FATES.items())),
        errors=dict(reversed(ERRORS.items())),
        dead_by_shard=DEAD[::-1],
        flow=dict(reversed(balanced.flow.items())),
        languages=dict(reversed(LANGUAGES.items())),
    )
    assert one == render_report(other, table(rows[::-1]), turned, language)


def test_every_risk_stands_with_both_its_names() -> None:
    risks = [risk for section in load_taxonomy("tc260-003").sections for risk in section.risks]
    page = render(examples(), found={"fates": {f"{risk.id}\tquarantine": 1 for risk in risks}})
    chinese = text(render(examples(), "zh"))
    said = text(page)
    for risk in risks:
        assert f"{risk.id} {risk.en} {risk.zh}" in said
        assert f'<span lang="zh" class="zh">{risk.zh}</span>' in page
        assert f"{risk.id} {risk.zh}" in chinese


def test_warnings_stand_before_the_totals() -> None:
    assert "No warnings" in text(render(examples(), coverage={risk: ["x"] for risk in COVERAGE}))
    said = text(
        render(
            examples(),
            sample="1 %",
            twins=[["copy.jsonl", "web-00.jsonl"]],
            gone=[f"old-{n:02}" for n in range(25)],
            coverage=COVERAGE,
        )
    )
    before = said[: said.index(" read = ")]
    assert "Nothing looks for 23 of the 31 risks" in before
    assert "No warnings" not in before
    for words in ("A trial on a sample: 1 %.", "copy.jsonl is web-00.jsonl", "25 shards were withdrawn", "and 5 more"):
        assert words in before


def test_shards_beyond_those_named_are_added_up() -> None:
    facts = manifest(examples())
    facts["counts"] = facts["counts"] | {"read": facts["counts"]["read"] + 25, "dead": facts["counts"]["dead"] + 25}
    shards = [["worst", 5], *([f"s-{n:02}", 1] for n in range(19))]
    found = figures(facts["counts"], errors={"bad_json": 30}, dead_by_shard=shards, dead_shards=26)
    said = text(render_report(facts, table(examples()), found))
    assert said.index("worst") < said.index("s-00")
    assert "6 other shards; every letter stands in dead/ 6" in said


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_an_empty_corpus_still_has_a_page(language: str) -> None:
    counts = dict.fromkeys(("read", "clean", "redacted", "quarantined", "dropped", "dead"), 0)
    said = text(render_report(manifest([]) | {"counts": counts}, table([]), Figures(), language))
    assert Words(language)("dead.none") in said
    assert Words(language)("personal.none") in said


def section(page: str, key: str) -> str:
    """Return what a reader sees of a section."""
    found = re.search(rf'<section id="{key}">.*?</section>', page, re.S)
    assert found, key
    return text(found[0])


def test_the_flow_adds_up_to_the_doors_or_there_is_no_page() -> None:
    facts = manifest(examples())
    counts, found = facts["counts"], figures(facts["counts"])
    drawn = section(render_report(facts, table(examples()), found), "flow")
    for number in (counts["read"], counts["clean"], counts["quarantined"], counts["clean"] - counts["redacted"]):
        assert f"{number:,} " in drawn
    for key in found.flow:
        less = figures(counts, flow=found.flow | {key: found.flow[key] - 1})
        with pytest.raises(ConservationError, match="causes do not add up"):
            render_report(facts, table(examples()), less)


def test_causes_beyond_those_drawn_are_one_and_nothing_is_lost() -> None:
    facts = manifest(examples())
    held = facts["counts"]["quarantined"]
    flow = figures(facts["counts"]).flow
    many = {f"quarantine\trule-{n:02}\tlexicon": 1 for n in range(40)} | {"quarantine\tmost\tlexicon": held - 40}
    many |= {key: n for key, n in flow.items() if not key.startswith("quarantine")}
    rules = {"rule-00": "First", "most": "Most"}
    found = figures(facts["counts"], flow=many)
    drawn = [each for each in causes(facts["counts"], found, Words("en"), rules) if each.door == "quarantined"]
    assert sum(each.records for each in drawn) == held
    assert len(drawn) == MOST + 1
    assert drawn[0].label == "Most · lexicon"


def test_a_long_title_of_a_rule_does_not_hide_the_detector() -> None:
    facts = manifest(examples())
    held = facts["counts"]["quarantined"]
    flow = {key: n for key, n in figures(facts["counts"]).flow.items() if not key.startswith("quarantine")}
    flow |= {"quarantine\tlong\tlexicon": held - 9, "quarantine\tlong\t" + "category" * 9: 9}
    for title in ("All that is contrary to many things " * 4, "违反社会主义核心价值观的内容" * 9):
        drawn = causes(facts["counts"], figures(facts["counts"], flow=flow), Words("zh"), {"long": title})
        labels = [each.label for each in drawn if each.door == "quarantined"]
        assert [label.partition("… · ")[2][:8] for label in labels] == ["lexicon", "category"]
        assert all(title.startswith(label.partition("… · ")[0]) and len(label) < 70 for label in labels)


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_every_rule_that_applied_stands_with_what_it_decided(language: str) -> None:
    rows, said = examples(), Words(language)
    made = manifest(rows)
    flow = figures(made["counts"]).flow
    noted = {"run\tquarantine\tfingerprint": 4, "note\tkeep\tlexicon": 7}
    page = render(rows, language, {"applied": applied(flow) | noted})
    cells = [[words(cell) for cell in row] for row in rows_of(tree(page, "flow"), "rules")]
    decided = Counter({tuple(key.split("\t")): n for key, n in flow.items()})
    wanted = [
        [rule, said.name(f"action.{action}", ""), by or "–", f"{n:,}", f"{decided[action, rule, by]:,}"]
        for key, n in (applied(flow) | noted).items()
        for rule, action, by in [key.split("\t")]
    ]
    assert sorted([row[0].split()[-1], *row[1:]] for row in cells) == sorted(wanted)
    assert words(rows_of(tree(page, "flow"), "rules")[-1][0]) == "note note"
    with pytest.raises(ConservationError, match="it applied to 0"):
        render(rows, language, {"applied": {}})


def test_a_long_table_of_rules_is_cut_where_the_page_says() -> None:
    flow = figures(manifest(examples())["counts"]).flow
    many = {f"rule-{n:04}\tkeep\tlexicon": 1 for n in range(500)}
    page = render(examples(), found={"applied": applied(flow) | many})
    assert len(rows_of(tree(page, "flow"), "rules")) == RULES
    assert f"{500 + len(flow) - RULES} more stand under applied in summary.json" in section(page, "flow")


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_withdrawals_and_purges_are_named_and_are_one_cause_however_many_there_are(language: str) -> None:
    rows, said = examples(), Words(language)
    rows[0] |= {"clean": rows[0]["clean"] - 90, "dropped": 90}
    flow = figures(manifest(rows)["counts"]).flow
    flow = {key: n for key, n in flow.items() if not key.startswith("drop")} | {"drop\tblocked.purge\tblocked": 30}
    flow |= {f"drop\twithdrawn:W{n:04}\t": 1 for n in range(1, 61)}
    fates = {"withdrawn\tdrop": 60, "blocked.purge\tdrop": 30}
    page = render(rows, language, {"flow": flow, "fates": fates})
    told = section(page, "flow")
    assert f"60 {said('category.withdrawn')}" in told
    assert f"30 {said('category.blocked.purge')} · blocked" in told
    assert "withdrawn:" not in text(page)
    assert f"{said('category.withdrawn')} withdrawn {said('fate.drop')} 60" in section(page, "reasons")
    assert f"{said('category.blocked.purge')} blocked.purge {said('fate.drop')} 30" in section(page, "blocked")


def test_records_with_values_left_in_them_have_a_column_where_there_are_any() -> None:
    fates = {"personal.email\tkeep": 12, "personal.phone\tredact": 3, "personal.phone\tkeep": 4}
    page = render(examples(), found={"fates": fates})
    cells = {
        words(row[0]).split()[-1]: [counted(cell) for cell in row[1:-1]]
        for row in rows_of(tree(page, "personal"), "personal")
    }
    assert cells == {"personal.email": [0, 0, 0, 12], "personal.phone": [3, 0, 0, 4]}
    assert "records of the clean corpus with such values still in them" in section(page, "personal")
    assert "still in them" not in section(render(examples()), "personal")


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_works_stand_by_claim_with_what_became_of_the_records(language: str) -> None:
    said = Words(language)
    fates = {
        "copyright.takedown\tquarantine": 5,
        "copyright.public_domain\tkeep": 116,
        "copyright.public_domain\tdrop": 2,
    }
    for found in ({}, {"works": WORKS, "works_found": 2}):
        page = render(examples(), language, {"fates": fates, **found})
        cells = [[words(each) for each in row[:3]] for row in rows_of(tree(page, "works"), "reasons")]
        assert cells == [
            [f"{said(f'category.{key}')} {key}", said(f"fate.{fate}"), str(n)]
            for key, fate, n in (
                ("copyright.public_domain", "drop", 2),
                ("copyright.public_domain", "keep", 116),
                ("copyright.takedown", "quarantine", 5),
            )
        ]


def emitted() -> set[str]:
    """Return every category that a built-in tagger can name but the risks of the taxonomy, which it names itself."""
    said = (ROOT / "models" / "taggers" / "provenance.py").read_text("utf-8")
    found = {f"personal.{each}" for each in ENTITIES} | {f"copyright.{each}" for each in CLAIMS}
    found |= {PURGE, UNSCANNED, *(f"blocked.{each}" for each in KINDS), *re.findall(r'"(provenance\.\w+)"', said)}
    assert len(found) > 20
    return found


def test_every_category_that_a_tagger_of_ours_can_name_has_words_and_every_word_its_category() -> None:
    known = messages()
    keys = {
        each.replace("personal.", "entity.") if each.startswith("personal.") else f"category.{each}"
        for each in emitted()
    }
    assert keys <= known.keys()
    groups = ("category.provenance.", "category.blocked.", "category.copyright.")
    assert {key for key in known if key.startswith(groups)} <= keys
    classes: set[str] = set(runpy.run_path(str(ROOT / "tests" / "test_docs.py"))["error_classes"]())
    assert {key for key in known if key.startswith("error.")} == {f"error.{each}" for each in classes}
    for kind, names in (("kind", WITHDRAWN_KINDS), ("basis", BASES)):
        assert {key for key in known if key.startswith(f"withdrawal.{kind}.")} == {
            f"withdrawal.{kind}.{each}" for each in names
        }


def test_where_nobody_looked_the_page_says_so() -> None:
    page = render(examples(), taggers={"lexicon": "a7" * 32})
    for key in ("provenance", "blocked"):
        assert "Nobody looked" in section(page, key)
        looked = render(examples(), taggers={key: "a7" * 32})
        assert "Nobody looked" not in section(looked, key)


def test_names_that_cannot_be_seen_stand_by_code_point() -> None:
    for key, shown in (
        ("   ", r"\u{0020}\u{0020}\u{0020}"),
        ("\u3164", r"\u{3164}"),
        ("\u2800\u00a0", r"\u{2800}\u{00a0}"),
        ("a.example ", r"a.example\u{0020}"),
        ("\u3000人民 日报", r"\u{3000}人民 日报"),
    ):
        assert sources_shown(render([source(key, 9, 9, 0, "clean")])) == [shown]


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_a_notice_is_told_in_the_language_of_the_page_and_of_earlier_releases_only_if_there_are_any(
    language: str,
) -> None:
    entry = {"sha256": "ab", "lists": ["The <orders>", EARLIER], "count": 1, "run": "r", "since": "2026-01-01"}
    for base, count in ((0, 1), (4, 2)):
        facts = purged.facts(
            {"purged": [entry | {"count": count}, entry | {"count": 0}]}, {"base": base, "run": "r"}, {}
        )
        assert facts == {
            "records": count,
            "contents": 1,
            "new": 1,
            "lists": sorted(entry["lists"]),
            "earlier": base > 0,
        }
        (sentence,) = purged.told(facts, Words(language))
        said = section(render(examples(), language, notices=purged.told(facts, Words("en")), purged=facts), "notices")
        assert said.endswith(" ".join(sentence.split()))
        assert ("winnow gc" in said) == (base > 0)
        if language == "en":
            assert ("1 record is purged" in said and "Nothing of it is" in said) == (count == 1)
            assert ("2 records are purged" in said and "Nothing of them is" in said) == (count == 2)
    assert purged.told(purged.facts({"purged": []}, {"base": 1, "run": "r"}, {}), Words(language)) == []


@pytest.mark.parametrize(
    ("base", "run", "before", "earlier"),
    [
        (0, "r", {}, False),
        (1, "r", {"purged": {}}, True),  # new
        (1, "q", {"purged": {"earlier": False}}, False),  # purged when it first came
        (2, "q", {"purged": {"earlier": True}}, True),
        (2, "q", {}, True),  # by a version that did not say
    ],
)
def test_earlier_releases_are_spoken_of_only_where_they_may_hold_a_purged_text(
    base: int, run: str, before: dict[str, Any], earlier: bool
) -> None:
    table = {"purged": [{"sha256": "ab", "lists": ["orders"], "count": 1, "run": run, "since": "2026-01-01"}]}
    assert purged.facts(table, {"base": base, "run": "r"}, before)["earlier"] == earlier


def test_paragraphs_and_cells_of_the_chinese_page_are_chinese() -> None:
    """But for names of things, which stand apart, and what says itself in no language."""
    rows = examples()
    fates = {f"{key}\tquarantine": 1 for key in (*emitted(), "source:hold", "source:blacklisted", "withdrawn")}
    withdrawals = [
        {"id": f"W{at}", "kind": kind, "basis": basis, "received": "2026-01-09", "release": 1, "days": 2, "records": 1}
        for kind in WITHDRAWN_KINDS
        for at, basis in enumerate(BASES)
    ]
    facts: dict[str, Any] = {
        "notices": ["1 record is purged"],
        "purged": {"records": 1, "contents": 1, "new": 1, "lists": [], "earlier": True},
    }
    found = {
        "fates": fates,
        "works": WORKS,
        "works_found": 2,
        "languages": LANGUAGES,
        "errors": {"corrupt": 3, "bomb": 2},
    }
    rules = [{"id": each, "title": each, "title_zh": "规则"} for each in ("personal", "values", "blocked")]
    facts["policy"] = manifest(rows)["policy"] | {"rules": rules}
    page = render(rows, "zh", found, withdrawals=withdrawals, coverage=COVERAGE, **facts)
    page = re.sub(r"<style>.*?</style>|<dl class=\"identity\">.*?</dl>", "", page, flags=re.S)
    page = re.sub(r"<code>.*?</code>|<bdi class=\"name\">[^<]*[-.:0-9][^<]*</bdi>", "", page)
    parts = re.findall(r"<(?:p|li|td|th|text|h[123])\b[^>]*>(.*?)</(?:p|li|td|th|text|h[123])>", page, re.S)
    plain = [unescape(re.sub(r"<[^>]*>", " ", each)) for each in parts]
    assert len(plain) > 300
    allowed = {"lexicon", "personal", "provenance", "fingerprint", "blocked", "cn-tc260-003 2024.1"}
    english = {
        " ".join(each.split())
        for each in plain
        if re.search("[A-Za-z]", each) and not re.search("[\u4e00-\u9fff]", each)
    }
    assert english <= allowed


def test_a_risk_that_nothing_looks_for_is_told_as_such() -> None:
    said = section(render(examples(), coverage=COVERAGE), "risks")
    assert "look for 8 of the 31 risks" in said
    assert re.search(r"A\.1\.f .*? lexicon: mine quarantined 37", said)
    assert re.search(r"A\.4\.a .*? nothing quarantined 12", said)
    assert "not known of this release" in section(render(examples()), "risks")


def test_works_are_named_with_records_and_longest_run_and_lower_bounds_are_told_as_such() -> None:
    found = {"works": WORKS, "works_found": 2}
    said = section(render(examples(), found=found), "works")
    assert "2 works matched" in said
    assert "isbn:1 40 3,100" in said
    told = {"isbn:1": {"title": "The Mill", "holder": "A. Miller", "licence": "", "claim": "reserved"}}
    said = section(render(examples(), found=found, works=told), "works")
    assert "The Mill isbn:1 A. Miller reserved 40 3,100" in said
    assert "isbn:2 2 260" in said
    said = section(render(examples(), found=found | {"works_found": 900, "works_exact": False}), "works")
    assert "At least 900 works matched" in said
    assert "No index of registered works was used" in section(render(examples()), "works")
    used = manifest([])["taggers"] | {"fingerprint": "9c" * 32}
    assert "No record matches a registered work" in section(render(examples(), taggers=used), "works")


def tree(page: str, key: str) -> ElementTree.Element:
    """Return a section of a page as a tree."""
    start = page.index(f'<section id="{key}">')
    markup = page[start : page.index("</section>", start)] + "</section>"
    return ElementTree.fromstring(markup.replace("<br>", "<br/>"))


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(f" {each}" for each in element.itertext()).split())


def rows_of(section: ElementTree.Element, kind: str) -> list[list[ElementTree.Element]]:
    """Return the cells of the rows of a table's bodies."""
    return [list(row) for row in section.findall(f".//table[@class='{kind}']/tbody/tr")]


def widths(cell: ElementTree.Element) -> list[float]:
    """Return how wide the bars of a cell are, in percent."""
    return [float(rect.attrib["width"].removesuffix("%")) for rect in cell.iter("rect")]


def counted(cell: ElementTree.Element) -> int:
    return int(words(cell).replace(",", ""))


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_cells_and_bars_of_personal_data_and_works_hold_the_figures(language: str) -> None:
    page = render(examples(), language, {"works": WORKS, "works_found": 2})
    seen = {}
    most = max(n for key, n in FATES.items() if key.startswith("personal."))
    for head, *counts, plot in rows_of(tree(page, "personal"), "personal"):
        found = [counted(cell) for cell in counts]
        seen[words(head).split()[-1]] = found
        assert widths(plot) == pytest.approx([max(0.4, 100 * n / most) for n in found if n], abs=0.001)
    assert seen == {
        f"personal.{each}": [FATES.get(f"personal.{each}\t{action}", 0) for action in ("redact", "quarantine", "drop")]
        for each in ("email", "phone", "resident_id", "bank_card")
    }
    works = rows_of(tree(page, "works"), "works")
    assert [[words(cells[0]), counted(cells[3]), counted(cells[4])] for cells in works] == WORKS
    assert [widths(cells[5]) for cells in works] == [[100.0], [5.0]]


def test_cells_and_bars_of_risks_hold_the_figures() -> None:
    seen, most = {}, 61
    for cells in rows_of(tree(render(examples(), coverage=COVERAGE), "risks"), "risks"):
        if len(cells) == 5 and cells[3].attrib["class"] == "n":
            key = words(cells[0]).split()[0]
            seen[key] = counted(cells[3])
            assert widths(cells[4]) == pytest.approx([100 * seen[key] / most], abs=0.001)
    assert seen == {"A.1.f": 37, "A.1.h": 61, "A.4.a": 12, "A.5.a": 5}


def test_cells_of_dead_letters_hold_the_figures() -> None:
    page = render(examples())
    cells = [words(cell) for row in rows_of(tree(page, "dead"), "dead") for cell in row]
    for name, count in DEAD:
        assert cells[cells.index(name) + 1] == str(count)


def test_the_plot_of_the_flow_is_drawn_to_scale() -> None:
    facts = manifest(examples())
    counts, found = facts["counts"], figures(facts["counts"])
    picture = tree(render_report(facts, table(examples()), found), "flow").find(".//svg[@class='flow']")
    assert picture is not None
    drawn = causes(counts, found, Words("en"), {})
    rects = [
        (each.attrib["class"], float(each.attrib["x"]), float(each.attrib["height"])) for each in picture.iter("rect")
    ]
    _, left, whole = next(each for each in rects if each[0] == "read")
    right = max(x for _, x, _ in rects)
    middle = [(kind, tall) for kind, x, tall in rects if left < x < right]
    # Thin bands are made visible, so the whole may be a little more than its scale.
    wanted = [max(2.5, each.records * 210 / counts["read"]) for each in drawn]
    assert [kind for kind, _ in middle] == [each.kind for each in drawn]
    assert [tall for _, tall in middle] == pytest.approx(wanted, abs=0.06)
    assert whole == pytest.approx(sum(wanted), abs=0.1)
    doors = {kind: tall for kind, x, tall in rects if x == right}
    for door, kind in (("clean", "clean"), ("quarantined", "quarantine"), ("dead", "dead")):
        mine = [tall for each, tall in zip(drawn, wanted, strict=True) if each.door == door]
        assert doors[kind] == pytest.approx(sum(mine), abs=0.1)
    label = picture.attrib["aria-label"]
    assert [int(n.replace(",", "")) for n in re.findall(r" ([\d,]+)(?:;|$)", label)] == [each.records for each in drawn]


def test_the_histogram_counts_every_source_that_was_counted_and_its_bars_are_to_scale() -> None:
    rows = examples()
    picture = tree(render(rows), "sources").find(".//svg[@class='histogram']")
    assert picture is not None
    limit = Fraction(1, 20)
    wanted = [0] * len(bin_labels(limit))
    for row in rows:
        if row["distinct"]:
            wanted[bin_of(row["unlawful"], row["distinct"], limit)] += 1
    values = [int((each.text or "0").replace(",", "")) for each in picture.iterfind("text[@class='value']")]
    assert values == wanted
    tall = [int(each.attrib["height"]) for each in picture.iterfind("rect")]
    assert tall == [max(2, round(n * 96 / max(wanted))) if n else 0 for n in wanted]


def test_languages_and_entries_without_text_add_up_to_what_was_read() -> None:
    rows = examples()
    facts = manifest(rows)
    read = facts["counts"]["read"]
    said = section(render(rows, found={"languages": LANGUAGES}), "languages")
    assert "Chinese zh 2,000" in said
    assert "Latin script, language not told und-Latn 7" in said
    assert f"No text could be read {read - 2507:,}" in said
    assert "Purged" not in said
    purged = section(render(rows, found={"languages": LANGUAGES, "fates": {"blocked.purge\tdrop": 3}}), "languages")
    assert f"Purged: nothing is known of them 3 0.08 % 0 – No text could be read {read - 2510:,}" in purged.replace(
        "0.00 %", "–"
    )
    assert f"All {read:,}" in said
    with pytest.raises(ConservationError, match="have a language"):
        render(rows, found={"languages": {"zh": [read + 1, 9]}})


def test_sections_of_what_a_manifest_does_not_speak_of_are_left_out() -> None:
    page = render(examples())
    assert not re.search(r'<section id="(notices|withdrawals)"', page)
    assert section(render(examples(), withdrawals=[]), "withdrawals").endswith("None.")
    order = {"id": "W-4", "kind": "work", "received": "2026-01-09", "release": 3, "days": 2, "records": 118}
    said = section(render(examples(), withdrawals=[order]), "withdrawals")
    assert "W-4 work 2026-01-09 3 2 118" in said
    assert "Basis" not in said


def test_changes_show_both_counts_and_the_difference() -> None:
    changes = {
        "base": 6,
        "counts": {total: [100, 1300] for total in ("read", "clean", "redacted", "quarantined", "dropped")}
        | {"dead": [9, 2]},
        "sources": {"states": [["clean", "hold", 1]], "named": [["a.example", "clean", "hold", 80]]},
        "shards": {"new": {"count": 1, "named": ["n.jsonl"]}, "changed": {"count": 0, "named": []}}
        | {"gone": {"count": 0, "named": []}},
        "digests": [["detector", "lexicon", "0" * 64, "1" * 64]],
    }
    said = section(render(examples(), found={"changes": changes}, release=7, base=6), "changes")
    for words in ("read 100 1,300 +1,200", "dead 9 2 \u22127", "1 new, 0 with other content, 0 gone", "+ n.jsonl"):
        assert words in said
    assert "a.example ● clean ▲ hold 80" in said
    assert "lexicon : 000000000000 → 111111111111" in said
    assert "first release" in section(render(examples()), "changes")
    assert "no longer kept" in section(render(examples(), release=7, base=6), "changes")


def test_the_page_stays_small_whatever_the_corpus() -> None:
    rows = [source(f"s-{n:06}.example", 1000, 1000, n % 90, "clean") for n in range(20_000)]
    assert len(render(rows).encode()) < 250_000


def test_every_message_stands_in_both_languages_with_the_same_places_and_markup() -> None:
    for key, message in messages().items():
        assert set(message) == set(LANGUAGES_OF_PAGES), key
        english, chinese = message["en"], message["zh"]
        for form in english.split("|"):
            assert places(form) == places(chinese), key
            assert sorted(re.findall(r"<[^>]*>", form)) == sorted(re.findall(r"<[^>]*>", chinese)), key


def test_every_message_is_used() -> None:
    paths = [*(ROOT / "pipeline").glob("report*.py"), ROOT / "pipeline" / "purged.py"]
    code = "".join(path.read_text("utf-8") for path in paths)
    families = set(re.findall(r"f\"([a-z]+(?:\.[a-z]+)*)\.\{", code)) | {"door", "works", "provenance", "blocked"}
    titles = {f"{key}.title" for key in re.findall(r'^        \(\n? *"(\w+)",', code, re.M)}
    for key in messages():
        family = key.rpartition(".")[0]
        assert (
            f'"{key}"' in code
            or key in titles
            or any(family == each or family.startswith(f"{each}.") for each in families)
        ), key


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_percentages_are_rounded_and_never_to_nothing_or_everything(part: int, rest: int) -> None:
    whole, written = part + rest, percent(part, part + rest)
    if not whole:
        assert written == "–"
    elif written[0] in "<>":
        assert 0 < part < whole
    else:
        share = Fraction(100 * part, whole)
        assert abs(Fraction(written.removesuffix("\u00a0%")) - share) <= Fraction(1, 200)
        assert (written == "0.00\u00a0%") == (part == 0)
        assert (written == "100.00\u00a0%") == (rest == 0)


@pytest.mark.parametrize(
    ("limit", "written"),
    [("1/20", "5"), ("5/100", "5"), ("0.025", "2.5"), ("0", "0"), ("1", "100"), ("1/10000", "0.01")],
)
def test_limits_are_written_exactly(limit: str, written: str) -> None:
    assert exact_percent(Fraction(limit)) == f"{written}\u00a0%"
    assert exact_percent(Fraction(1, 3)) == "1/3"
    assert text(render(examples(), policy=manifest([])["policy"] | {"limit": limit})).count(f"over {written} %")


@given(st.text())
def test_what_is_filled_in_is_text(word: str) -> None:
    filled = fill('<p title="{word}">{word}</p>', word=word)
    assert [tag for tag, _ in parse(filled).seen] == ["p"]


MOVED = {"removed": 300, "removed_of": 900, "was_removed": 9, "was_removed_of": 800}
OVERRIDDEN = [
    {"source": "a", "state": "hold", "entry": entry, "reviewer": "L. <Chen>", "until": "2026-09-30"}
    for entry in ("D0012", "D0013")
]


def test_a_report_says_what_counts_towards_the_limit_and_of_how_much_of_it_nothing_looks_for() -> None:
    made = manifest([])
    counted = {"categories": ["UNLAWFUL29", "X.*"], "at_least_score": "0.7", "duplicates": "source"}
    policy = made["policy"] | {"counted": counted, "parameters": SourceReading().parameters, "taxonomy": "tc260-003"}
    # Of the 29 that count, the eight of A.1 are looked for; A.5 does not count.
    page = render(examples(), policy=policy, coverage=COVERAGE)
    said = text(page)
    assert "found something of UNLAWFUL29 (A.1.*, A.2.*, A.3.*, A.4.*), X.*, with a score of 0.7 or more" in said
    assert "Nothing looks for 21 of the 29 risks that count" in said
    assert "<b>Numerator.</b> Record with at least one finding of UNLAWFUL29, X.* with a score of 0.7 or more" in page
    assert "after removing exact duplicates over the whole source" in said
    assert "risks that count" not in text(render(examples(), coverage=COVERAGE))


def test_a_source_of_which_the_rules_leave_nothing_is_not_told_to_be_fine() -> None:
    row = source("poems.example", 22, 22, 0, "clean") | {"basis": "detector", "removed": 22, "removed_of": 22}
    row |= {"collect_allowed": True, "train_allowed": True}
    fields = [("removed", pa.int64()), ("removed_of", pa.int64()), ("basis", pa.string())]
    fields += [(name, pa.bool_()) for name in ("collect_allowed", "train_allowed")]
    made = manifest([row])
    policy = made["policy"] | {"actions": {"blacklisted": "quarantine", "hold": "quarantine"}}
    table_of = pa.Table.from_pylist([row], pa.schema([*SOURCES, *fields]))
    said = text(render_report(made | {"policy": policy}, table_of, figures(made["counts"]), "en"))
    assert "But the rules remove all its 22 records" in said
    assert "One by one, the rules remove" not in said


@pytest.mark.parametrize("language", LANGUAGES_OF_PAGES)
def test_by_the_interval_reading_the_page_says_what_every_state_rests_on(language: str) -> None:
    figures_of = {"estimate_ppm": 123_456, "lower_ppm": 70_000, "upper_ppm": 234_567}
    counts = dict.fromkeys((*AUDITED, *CONFIRMED), 0) | {
        "audited_high": 9,
        "audited_unflagged": 500,
        "confirmed_high": 7,
    }
    rows: list[dict[str, Any]] = []
    for state, basis, mark in (
        *((state, "audit", None) for state in STATES),
        ("insufficient", "detector", None),
        ("hold", "rogan-gladen", None),
        ("clean", "override D0012", None),
        ("hold", "override D0013 of above.example", None),
        ("hold", "moved", None),
        ("hold", "nearly-all-removed", None),
        ("blacklisted", "audit", 7),
    ):
        name = f"{len(rows)}.example"
        rows.append(source(name, 900, 900, 9, state) | figures_of | counts | {"basis": basis, "mark": mark})
        rows[-1] |= {"collect_allowed": state != "blacklisted", "train_allowed": state == "clean"} | MOVED
    made = manifest(rows, overridden=OVERRIDDEN)
    reading = SourceReading(reading="interval")
    policy = made["policy"] | {"reading": "interval", "basis": "audit", "parameters": reading.parameters}
    policy |= {"actions": {"blacklisted": "quarantine", "hold": "drop"}}
    fields = [(name, pa.int64()) for name in (*figures_of, *counts, *MOVED, "mark")]
    fields += [(name, pa.bool_()) for name in ("collect_allowed", "train_allowed")]
    table_of = pa.Table.from_pylist(rows, pa.schema([*SOURCES, ("basis", pa.string()), *fields]))
    page = render_report(made | {"policy": policy}, table_of, figures(made["counts"]), language)
    said = Words(language)
    values = {
        "k": 7,
        "n": 509,
        "least": 400,
        "estimate": "12.3456\u00a0%",
        "lower": "7.0000\u00a0%",
        "upper": "23.4567\u00a0%",
    }
    for key in (*(f"audit.{state}" for state in STATES), "detector.insufficient", "rogan-gladen"):
        assert said(f"why.{key}", **values) in page, key
    by = {"reviewer": fill('<bdi class="name">{who}</bdi>', who="L. <Chen>"), "until": "2026-09-30"}
    above = fill('<bdi class="name">{key}</bdi>', key="above.example")
    assert said("why.override", entry="D0012", **by) in page
    assert said("why.override_above", entry="D0013", above=above, **by) in page
    now = {"removed": 300, "of": 900, "share": "33.33\u00a0%"}
    assert said("why.moved", **now, was_removed=9, was_of=800, was="1.13\u00a0%") in page
    assert said("why.nearly_all", **now) in page
    bad = next(row for row in rows if row["state"] == "blacklisted")
    doors = {"removed": 300, "of": 900, "quarantined": bad["quarantine"], "dropped": bad["dropped"]}
    assert said("then.gates.collect") + " " + said("then.drop", **doors) in page
    assert said("then.gates.none") + " " + said("then.quarantine", **doors) in page
    assert said("then.gates.both") + " " + said("then.one_by_one", removed=300, of=900) in page
    assert said("why.mark", entry="D0007", **values) in page
    # Of twelve sources with 509 verdicts each; by the binomial sum of models.operating.
    assert said("sources.expected", sources=12, limit="5\u00a0%", false="0.026") in page
    first = reading.words_in(language).splitlines()[0]
    assert re.sub(r"\*\*(.*?)\*\*", r"<b>\1</b>", first.removeprefix("- ")) in page
