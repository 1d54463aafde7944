"""The report adds up, lets no name act as markup, and is the same page for the same release."""

import json
import random
import re
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ConservationError
from models.taxonomy import load_taxonomy
from pipeline.report import render_report
from pipeline.report_markup import exact_percent, fill, percent
from pipeline.report_plots import bin_labels, bin_of
from pipeline.report_sources import SHOWN

EXPECTED = json.loads((Path(__file__).resolve().parents[2] / "examples" / "expected.json").read_text("utf-8"))
READING = "Reading: literal; basis: detector — estimated from detectors, not audited"
VOID = {"meta", "rect", "line", "br"}
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


def render(rows: list[dict[str, Any]], reasons: dict[str, int] = REASONS, **facts: Any) -> str:
    return render_report(manifest(rows, **facts), table(rows), reasons, ERRORS, DEAD)


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
    body = page[page.index('id="sources"') : page.index("<tfoot>")]
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
    facts["counts"] = facts["counts"] | counts
    with pytest.raises(ConservationError):
        render_report(facts, table(examples()), REASONS, errors, dead)


def test_sources_cannot_have_more_records_than_the_corpus() -> None:
    with pytest.raises(ConservationError, match="sources: clean"):
        render_report(
            manifest(examples()), table([*examples(), source("more", 9, 9, 0, "clean")]), REASONS, ERRORS, DEAD
        )


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
    with_row, without = (render_report(facts, table(each), REASONS, ERRORS, DEAD) for each in ([*rows, empty], rows))
    assert "entries without a source" in text(with_row)
    assert "Entries without a source 5 0 0 0 5" in text(without)
    assert "Of 16 sources" in text(with_row)


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


@pytest.mark.parametrize("key", HOSTILE)
def test_no_name_acts_as_markup(key: str) -> None:
    plain, page = (
        render_report(
            manifest(
                [row := source(word, 900, 900, 90, "blacklisted", kind=word)],
                twins=[[word, word]],
                gone=[word],
                sample=word,
                taggers={word: word},
                run=word,
                policy=manifest([row])["policy"] | {"name": word, "version": word, "instrument": word, "basis": word},
            ),
            table([row]),
            {f"{word}\tquarantine": 1, "A.1.a\t" + word: 2, "personal." + word + "\tredact": 3},
            {word: 5},
            [(word, 5)],
        )
        for word in ("plain", key)
    )
    assert [tag for tag, _ in parse(page).seen] == [tag for tag, _ in parse(plain).seen]
    assert [sorted(facts) for _, facts in parse(page).seen] == [sorted(facts) for _, facts in parse(plain).seen]
    assert "<script" not in page
    assert not any(sign in page for sign in ("\u202e", "\x00"))
    page.encode()


def test_the_page_needs_nothing_but_itself() -> None:
    page = render(examples())
    tags = [tag for tag, _ in parse(page).seen]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(tags)
    assert not {
        key for _, facts in parse(page).seen for key in facts if key in ("src", "href", "style") or key[:2] == "on"
    }
    assert "url(" not in page
    assert "@import" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_same_release_gives_the_same_page_whatever_the_order() -> None:
    rows, facts = examples(), {"twins": [["b", "a"], ["c", "a"]], "gone": ["y", "x"]}
    one = render(rows, **facts)
    other = render_report(
        manifest(rows, twins=[["c", "a"], ["b", "a"]], gone=["x", "y"]),
        table(rows[::-1]),
        dict(reversed(REASONS.items())),
        dict(reversed(ERRORS.items())),
        DEAD[::-1],
    )
    assert one == other


def test_every_risk_stands_with_both_its_names() -> None:
    risks = [risk for section in load_taxonomy("tc260-003").sections for risk in section.risks]
    page = render(examples(), {f"{risk.id}\tquarantine": 1 for risk in risks})
    said = text(page)
    for risk in risks:
        assert f"{risk.id} {risk.en} {risk.zh}" in said
        assert f'<span lang="zh" class="zh">{risk.zh}</span>' in page


def test_warnings_stand_before_the_totals() -> None:
    assert "No warnings" in text(render(examples()))
    said = text(
        render(
            examples(), sample="1 %", twins=[["copy.jsonl", "web-00.jsonl"]], gone=[f"old-{n:02}" for n in range(25)]
        )
    )
    before = said[: said.index(" read = ")]
    assert "No warnings" not in before
    for words in ("A trial on a sample: 1 %.", "copy.jsonl is web-00.jsonl", "25 shards were withdrawn", "and 5 more"):
        assert words in before


def test_shards_beyond_the_twentieth_are_added_up() -> None:
    facts = manifest(examples())
    facts["counts"] = facts["counts"] | {"read": facts["counts"]["read"] + 25, "dead": facts["counts"]["dead"] + 25}
    shards = [(f"s-{n:02}", 1) for n in range(25)] + [("worst", 5)]
    said = text(render_report(facts, table(examples()), REASONS, {"bad_json": 30}, shards))
    assert said.index("worst") < said.index("s-00")
    assert "6 other shards; every letter stands in dead/ 6" in said


def test_an_empty_corpus_still_has_a_page() -> None:
    facts = manifest([]) | {"counts": dict.fromkeys(("read", "clean", "redacted", "quarantined", "dropped", "dead"), 0)}
    said = text(render_report(facts, table([]), {}, {}, []))
    assert "There are no dead letters" in said
    assert "No rule of the policy applied" in said


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
