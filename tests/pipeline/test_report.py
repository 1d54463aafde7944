"""The report adds up, lets no name act as markup, and is the same page for the same release."""

import json
import random
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audits import AUDITED, CONFIRMED
from models.errors import ConservationError
from models.source_reading import SourceReading
from models.sources import STATES
from models.taxonomy import load_taxonomy
from pipeline.figures import Figures
from pipeline.report import PAGES, render_report
from pipeline.report_flow import MOST, causes
from pipeline.report_markup import exact_percent, fill, percent
from pipeline.report_plots import bin_labels, bin_of
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
REASONS = {
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


def figures(counts: dict[str, int], **facts: Any) -> Figures:
    """Return figures that balance with counts."""
    held = counts["quarantined"]
    flow = {
        "redact\tpersonal\tpersonal": counts["redacted"],
        "quarantine\tvalues\tlexicon": held - held // 3,
        "quarantine\tsource:blacklisted\t": held // 3,
        "drop\tblocked\tblocked": counts["dropped"],
    }
    made = {"reasons": REASONS, "errors": ERRORS, "dead_by_shard": DEAD, "flow": {k: n for k, n in flow.items() if n}}
    made |= facts
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
        notices=[{"id": word, "kind": word, "basis": word, "received": word, "since_release": word, "records": 3}],
        withdrawals=[{"id": word, "days_to_effect": word}],
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
        reasons={
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
        reasons=dict(reversed(REASONS.items())),
        errors=dict(reversed(ERRORS.items())),
        dead_by_shard=DEAD[::-1],
        flow=dict(reversed(balanced.flow.items())),
        languages=dict(reversed(LANGUAGES.items())),
    )
    assert one == render_report(other, table(rows[::-1]), turned, language)


def test_every_risk_stands_with_both_its_names() -> None:
    risks = [risk for section in load_taxonomy("tc260-003").sections for risk in section.risks]
    page = render(examples(), found={"reasons": {f"{risk.id}\tquarantine": 1 for risk in risks}})
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
    drawn = [each for each in causes(facts["counts"], many, ERRORS, Words("en"), rules) if each.door == "quarantined"]
    assert sum(each.records for each in drawn) == held
    assert len(drawn) == MOST + 1
    assert drawn[0].label == "Most · lexicon"


def test_a_risk_that_nothing_looks_for_is_told_as_such() -> None:
    said = section(render(examples(), coverage=COVERAGE), "risks")
    assert "look for 8 of the 31 risks" in said
    assert re.search(r"A\.1\.f .*? lexicon: mine quarantine 37", said)
    assert re.search(r"A\.4\.a .*? nothing quarantine 12", said)
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
    most = max(n for key, n in REASONS.items() if key.startswith("personal."))
    for head, *counts, plot in rows_of(tree(page, "personal"), "personal"):
        found = [counted(cell) for cell in counts]
        seen[words(head).split()[-1]] = found
        assert widths(plot) == pytest.approx([max(0.4, 100 * n / most) for n in found if n], abs=0.001)
    assert seen == {
        f"personal.{each}": [
            REASONS.get(f"personal.{each}\t{action}", 0) for action in ("redact", "quarantine", "drop")
        ]
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
    drawn = causes(counts, found.flow, ERRORS, Words("en"), {})
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
    assert f"All {read:,}" in said
    with pytest.raises(ConservationError, match="have a language"):
        render(rows, found={"languages": {"zh": [read + 1, 9]}})


def test_sections_of_what_a_manifest_does_not_speak_of_are_left_out() -> None:
    page = render(examples())
    assert not re.search(r'<section id="(notices|withdrawals|blocked)"', page)
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
    code = "".join(path.read_text("utf-8") for path in (ROOT / "pipeline").glob("report*.py"))
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
