"""The breakdown of a split: as a plain count of entries and findings, one by one, whatever they are."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from models.breakdown import (
    ACTIONS,
    COUNTS,
    KEYS,
    SCHEMA,
    as_text,
    batch_of,
    breakdown,
    of_text,
    totals,
)
from models.findings import ERROR, Finding, Findings
from models.layer import RECORDS, Merged
from models.policy import Reason
from models.verdicts import Outcome, Verdicts

_DOORS = {"redact": 0, "quarantine": 1, "drop": 2, "dead": 3}
RECORD = st.tuples(
    st.sampled_from(["a.com", "中", "a\tb"]),
    st.sampled_from(["x", "yy", "中中中"]),
    st.sampled_from(["en", "zh", "und"]),
)
FOUND = st.tuples(
    st.sampled_from(["lexicon", "personal"]), st.sampled_from(["A.1.h", "personal.email", ERROR]), st.sampled_from("rs")
)
ENTRY = st.tuples(RECORD | st.none(), st.lists(FOUND, max_size=4), st.sampled_from(["", *_DOORS]))
ENTRIES = st.lists(ENTRY, max_size=14)


def known(entries: list[Any]) -> Merged:
    rows: list[dict[str, Any]] = []
    found = []
    for row, (record, findings, _) in enumerate(entries):
        facts: dict[str, Any] = {"position": row, "lost": 1, "content": bytes(16), "id": bytes(8)}
        facts |= {"url": bytes(RECORDS.field("url").type.byte_width), "characters": 0}
        if record is None:
            facts["error"] = "bad_json"
        else:
            source, text, language = record
            facts |= {"source": source, "content": text.encode().ljust(16, b"-"), "characters": len(text)}
            facts["language"] = language
            found += [Finding(row, tagger, category, rule, 1.0) for tagger, category, rule in findings]
        rows.append(facts)
    return Merged(pa.Table.from_pylist(rows, RECORDS), Findings.of(len(entries), found).table)


def decided(entries: list[Any]) -> Verdicts:
    outcomes = {}
    for row, (record, _, action) in enumerate(entries):
        if record is None:
            outcomes[row] = Outcome(3, "dead", error="bad_json")
        elif action:
            error = "tagger_error" if action == "dead" else ""
            outcomes[row] = Outcome(_DOORS[action], action, (Reason(f"rule-{action}", action, None),), error=error)
    return Verdicts(np.zeros(len(entries), np.uint8), outcomes)


def counted(entries: list[Any]) -> dict[tuple[str, ...], list[int]]:
    """Count one by one."""
    sums: dict[tuple[str, ...], list[int]] = {}
    seen: set[tuple[str, str]] = set()

    def add(record: Any, dimension: str, value: str, findings: int) -> None:
        source, text, language = record or ("", "", "")
        here = sums.setdefault((source, language, "night", dimension, value), [0, 0, 0])
        for at, count in enumerate((1, len(text), findings)):
            here[at] += count

    for record, findings, action in entries:
        found = [each for each in findings if each[1] != ERROR] if record else []
        became = "dead" if record is None else action or "keep"
        add(record, "action", became, len(found))
        if became == "dead":
            add(record, "error", "bad_json" if record is None else "tagger_error", len(found))
        elif became != "keep":
            add(record, "policy_rule", f"rule-{became}", len(found))
        if record and record[:2] in seen:
            add(record, "duplicates", "split", len(found))
        if record:
            seen.add(record[:2])
        for dimension, name in (
            ("tagger", lambda tagger, _category, _rule: tagger),
            ("category", lambda _tagger, category, _rule, became=became: f"{category}\t{became}"),
            ("rule", lambda tagger, _category, rule: f"{tagger}\t{rule}"),
        ):
            for value, count in Counter(name(*each) for each in found).items():
                add(record, dimension, value, count)
    return sums


@given(ENTRIES)
@settings(deadline=None)
def test_a_breakdown_is_a_count_one_by_one_sorted_by_keys(entries: list[Any]) -> None:
    table = breakdown(known(entries), decided(entries), "night")
    assert table.schema.equals(SCHEMA)
    rows = [(tuple(row[key] for key in KEYS), [row[name] for name in COUNTS]) for row in table.to_pylist()]
    assert dict(rows) == counted(entries)
    keys = [key for key, _ in rows]
    assert keys == sorted(keys, key=lambda key: [each.encode() for each in key])
    assert of_text(as_text(table)).equals(table)


@given(ENTRIES)
@settings(deadline=None)
def test_actions_partition_what_was_read(entries: list[Any]) -> None:
    table = breakdown(known(entries), decided(entries), "night")
    actions = totals([table], "action")
    assert set(actions) <= set(ACTIONS)
    assert sum(records for records, _, _ in actions.values()) == len(entries)


def test_a_batch_is_the_shards_folder() -> None:
    assert [batch_of(path) for path in ("a.jsonl", "2026-01-01/a.jsonl", "crawl/2026/a.parquet")] == [
        ".",
        "2026-01-01",
        "crawl/2026",
    ]
