"""Tallies: a monoid of integers, in which a text that stands twice counts once."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.findings import ERROR, SCHEMA, Finding, Findings
from models.layer import RECORDS, Merged
from models.policy import Decider, Policy
from models.sources import SourceStates
from models.strict import parse
from models.tally import COUNTS, STRATA, Tally, by_row, strata, tally, total
from models.tally import SCHEMA as TALLY
from models.verdicts import DROPPED, QUARANTINE, decide

SOURCES = st.sampled_from(["a.com", "b.com", "c", "(unknown)", "中"])
TALLIES = st.lists(
    st.tuples(SOURCES, st.lists(st.integers(0, 10**15), min_size=len(COUNTS), max_size=len(COUNTS))), max_size=5
).map(
    lambda rows: total(
        [Tally(pa.Table.from_pylist([{"source": s, **dict(zip(COUNTS, n, strict=True))}], TALLY)) for s, n in rows]
    )
)


@given(TALLIES, TALLIES, TALLIES)
@settings(deadline=None)
def test_tallies_add_in_any_order_and_nothing_is_nothing(one: Tally, two: Tally, three: Tally) -> None:
    assert one + two == two + one
    assert (one + two) + three == one + (two + three) == total([three, one, two])
    assert one + Tally.zero() == one == Tally.zero() + one
    assert total([]) == Tally.zero()


@given(TALLIES, TALLIES)
@settings(deadline=None)
def test_a_sum_has_one_row_a_source_in_order_and_loses_no_count(one: Tally, two: Tally) -> None:
    summed = one + two
    sources = summed.table["source"].to_pylist()
    assert sources == sorted(set(sources), key=str.encode)
    for name in COUNTS:
        parts = sum(one.table[name].to_pylist()) + sum(two.table[name].to_pylist())
        assert sum(summed.table[name].to_pylist()) == parts
    assert summed.table.schema.equals(TALLY)
    assert all(column.num_chunks <= 1 for column in summed.table.columns)


@pytest.fixture(scope="module")
def decider() -> Decider:
    return Decider(parse(Policy, FACTS, "policy.yaml"))


FACTS: dict[str, Any] = {
    "policy": "p",
    "version": "1",
    "taxonomy": "tc260-003",
    "sources": {
        "reading": "literal",
        "basis": "detector",
        "unlawful": {"categories": ["UNLAWFUL29"], "at_least_score": 0.5},
        "limit": "5/100",
        "min_records": 100,
        "blacklisted": "quarantine",
        "hold": "quarantine",
    },
    "rules": [{"id": "a", "match": {"category": ["A.*"]}, "action": "quarantine"}],
}


RECORD = st.tuples(SOURCES, st.sampled_from(["x", "yy", "中中中", ""]))
ROWS = st.lists(RECORD | st.none(), max_size=15)


def merged(rows: list[tuple[str, str] | None], findings: list[Finding]) -> Merged:
    """Return what is known of records given as source and text; None is a dead letter."""
    table: list[dict[str, Any]] = [
        {
            "position": at,
            "error": None if row else "bad_json",
            "detail": None,
            "lost": 1,
            "source": row[0] if row else None,
            "content": row[1].encode().ljust(16, b"\0") if row else bytes(16),
            "id": bytes(8),
            "url": bytes(8),
            "under": None,
            "characters": len(row[1]) if row else 0,
        }
        for at, row in enumerate(rows)
    ]
    return Merged(pa.Table.from_pylist(table, RECORDS), Findings.of(len(rows), findings).table)


@given(ROWS, *[st.sets(st.sampled_from(["x", "yy", "中中中"]))] * 2)
@settings(deadline=None)
def test_a_tally_counts_records_and_of_equal_texts_of_a_source_one(
    decider: Decider, rows: list[tuple[str, str] | None], bad: set[str], doubtful: set[str]
) -> None:
    texts_of = [row[1] if row else "" for row in rows]
    found = [Finding(at, "t", "A.1.a", "r", 0.4) for at, text in enumerate(texts_of) if text in doubtful]
    found += [Finding(at, "t", "A.1.a", "r", 1.0) for at, text in enumerate(texts_of) if text in bad]
    found.sort(key=lambda each: each.row)
    low = doubtful - bad
    counted = {row["source"]: row for row in tally(merged(rows, found), decider).table.to_pylist()}
    alive = [row for row in rows if row]
    assert set(counted) == {source for source, _ in alive}
    for source, row in counted.items():
        texts = {text for name, text in alive if name == source}
        assert row == {
            "source": source,
            "records": sum(name == source for name, _ in alive),
            "removed": sum(name == source and text in bad | doubtful for name, text in alive),
            "distinct": len(texts),
            "unlawful": len(texts & bad),
            "low": len(texts & low),
            "characters": sum(map(len, texts)),
            "unlawful_characters": sum(map(len, texts & bad)),
            "low_characters": sum(map(len, texts & low)),
        }


@pytest.mark.parametrize(
    ("category", "score", "stratum"),
    [
        ("A.1.a", 1.0, "high"),
        ("A.1.a", 0.5, "high"),
        ("A.1.a", 0.49, "low"),
        ("A.5.a", 1.0, "unflagged"),
        ("personal.email", 1.0, "unflagged"),
        ("unscanned", 1.0, "unflagged"),
        ("x", 1.0, "unflagged"),
    ],
)
def test_a_record_is_of_a_stratum_by_category_and_score(
    decider: Decider, category: str, score: float, stratum: str
) -> None:
    known = merged([("a", "x")], [Finding(0, "t", category, "r", score)])
    table = tally(known, decider).table
    assert (table["unlawful"].to_pylist(), table["low"].to_pylist()) == ([stratum == "high"], [stratum == "low"])
    assert [STRATA[code] for code in strata(known, decider)] == [stratum]


def test_many_findings_of_one_record_count_it_once(decider: Decider) -> None:
    known = merged([("a", "x"), ("a", "y")], [Finding(1, "t", "A.1.a", "r", 1.0)] * 7)
    assert tally(known, decider).table["unlawful"].to_pylist() == [1]


@pytest.mark.parametrize(
    ("findings", "removed"),
    [
        ([Finding(0, "t", "A.1.a", "r", 0.1)], True),
        ([Finding(0, "t", "unscanned", "r", 1.0)], True),
        ([Finding(0, "t", "x", "r", 1.0)], False),
        ([Finding(0, "t", "personal.email", "r", 1.0, 0, 1)], False),
        # Redacted it would be as it was; and an id is needed whole.
        ([Finding(0, "t", "personal.email", "r", 1.0)], True),
        ([Finding(0, "t", "personal.email", "r", 1.0, 0, 1, "id")], True),
        # From two on, of which one alone would not have been looked at.
        (
            [
                Finding(0, "t", "personal.phone", "r", 1.0, 0, 1),
                Finding(0, "t", "personal.phone", "r", 1.0, 0, 1, "id"),
            ],
            True,
        ),
        ([Finding(0, "t", "personal.phone", "r", 1.0, 0, 1, "id")], False),
        ([Finding(0, "t", "A.1.a", "r", 1.0), Finding(0, "t", ERROR, "r", 1.0)], False),
    ],
)
def test_a_record_is_removed_where_the_release_would_not_keep_it(findings: list[Finding], removed: bool) -> None:
    rules = [
        {"id": "a", "match": {"category": ["A.*"]}, "action": "quarantine"},
        {"id": "b", "match": {"category": ["personal.email"]}, "action": "redact", "redact": {"with": "placeholder"}},
        {
            "id": "c",
            "match": {"category": ["personal.phone"], "at_least_count": 2},
            "action": "redact",
            "redact": {"with": "placeholder"},
        },
    ]
    decider = Decider(parse(Policy, FACTS | {"rules": rules}, "policy.yaml"))
    known = merged([("a", "x"), ("a", "x")], findings)
    assert tally(known, decider).table["removed"].to_pylist() == [int(removed)]
    nothing = SourceStates(np.zeros(0, np.uint64), np.zeros(0, np.uint8))
    doors = decide(known, decider, nothing).doors
    assert (doors[0] in (QUARANTINE, DROPPED)) == removed


def test_a_split_without_records_has_the_empty_tally(decider: Decider) -> None:
    assert tally(merged([], []), decider) == Tally.zero() == tally(merged([None, None], []), decider)


def test_findings_are_grouped_by_record_and_errors_of_taggers_are_none() -> None:
    found = [
        Finding(0, "t", "a", "r", 0.5),
        Finding(0, "u", "b", "r", 0.5),
        Finding(2, "t", ERROR, "X", 1.0),
        Finding(3, "t", "a", "r", 1.0),
    ]
    groups = by_row(Findings.of(4, found).table)
    assert [(row, [each.category for each in each_found]) for row, each_found in groups] == [
        (0, ["a", "b"]),
        (3, ["a"]),
    ]
    assert by_row(SCHEMA.empty_table()) == []
