"""The figures of a release are sums over its splits: exact, or told to be lower bounds; and what changed is what differs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from models import matched_works
from models.catalogue import Row
from models.findings import Finding, Findings
from models.layer import Known
from models.release_pass import MOST_WORKS, Released, works_of
from models.shard import Columns, Cut, Shard
from pipeline.changes import changes
from pipeline.figures import SHARDS, Figures, gather

SMALL = st.integers(1, 50)
SUMS = ("reasons", "fates", "applied", "flow", "errors")
MAPS = st.dictionaries(st.sampled_from("abc"), SMALL, max_size=3)
PAIRS = st.dictionaries(st.sampled_from(["zh", "en", "w1"]), st.tuples(SMALL, SMALL), max_size=3)


def row(path: str, dead: int, maps: Mapping[str, Any], works: Mapping[str, Sequence[int]]) -> Row:
    shard = Shard("r", path, 1, "0", "jsonl", "plain", "utf-8", Columns(("text",)), (Cut(0, 1, 0, 1, "0"),), "")
    counts = dict.fromkeys(("read", "clean", "redacted", "quarantined", "dropped"), 0) | {"dead": dead}
    sums = (maps.get("fates", {}), maps.get("applied", {}))
    released = Released(
        "d", (), counts, pa.table({}), maps["reasons"], maps["errors"], (), maps["flow"], works, {}, *sums
    )
    known = Known("k", (), ())
    return Row(shard.splits()[0], "s", (), known, "c", 0, 0, 0, released, {}, "name", {}, maps["languages"])


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from([f"{n:02}.jsonl" for n in range(30)]),
        st.integers(0, 9),
        st.fixed_dictionaries(dict.fromkeys(SUMS, MAPS) | {"languages": PAIRS}),
        PAIRS,
    ),
    max_size=40,
)


@given(ROWS)
def test_figures_are_the_sums_of_their_splits_in_any_order(rows: list[Row]) -> None:
    found = gather(rows)
    assert found == gather(rows[::-1])
    assert Figures.from_dict(found.to_dict()) == found
    for name in SUMS:
        sums = getattr(found, name)
        for key in "abc":
            assert sums.get(key, 0) == sum(getattr(each.release, name).get(key, 0) for each in rows)
    for language in ("zh", "en"):
        pairs = [each.languages.get(language, (0, 0)) for each in rows]
        assert list(found.languages.get(language, (0, 0))) == [sum(pair[at] for pair in pairs) for at in (0, 1)]
    dead = {each.split.shard.path for each in rows if each.release.counts["dead"]}
    assert found.dead_shards == len(dead)
    assert len(found.dead_by_shard) == min(len(dead), SHARDS)
    work = {name: (records, longest) for name, records, longest in found.works}
    hits = [each.release.works["w1"] for each in rows if "w1" in each.release.works]
    assert work.get("w1") == ((sum(n for n, _ in hits), max(n for _, n in hits)) if hits else None)
    assert found.works_exact


def test_a_split_of_more_works_than_a_receipt_names_makes_figures_lower_bounds() -> None:
    found = [Finding(0, "fingerprint", "copyright.text", f"w{n:04}", 1.0, 0, 9) for n in range(MOST_WORKS + 5)]
    found += [
        Finding(1, "fingerprint", "copyright.text", "w0260", 1.0, 3, 40),
        Finding(1, "x", "A.3.a", "rule", 1.0, 0, 2),
    ]
    works = works_of(Findings.of(2, found).table)
    assert works["w0260"] == [2, 37]
    assert works[""] == [5, 0]
    assert len(works) == MOST_WORKS + 1
    empty = {"reasons": {}, "errors": {}, "flow": {}, "languages": {}}
    summed = gather([row("a", 0, empty, works), row("b", 0, empty, {"w0000": [1, 100]})])
    assert not summed.works_exact
    assert summed.works_found == MOST_WORKS + 5
    assert summed.works[:2] == [["w0000", 2, 100], ["w0260", 2, 37]]


def test_works_that_no_longer_fit_are_told_as_such(monkeypatch: Any) -> None:
    monkeypatch.setattr(matched_works, "_HELD", 10)
    empty = {"reasons": {}, "errors": {}, "flow": {}, "languages": {}}
    rows = [row("a", 0, empty, {f"w{n:02}": [1, 5], "big": [7, 5]}) for n in range(30)]
    found = gather(rows)
    assert not found.works_exact
    assert found.works_found <= 31
    assert found.works[0] == ["big", 210, 5]


def manifest(number: int, shards: Mapping[str, str], **facts: Any) -> dict[str, Any]:
    job = {"policy": {"name": "p", "version": "1", "digest": "pp"}, "taggers": {"lexicon": "l1"}, "version": "0.1.0"}
    return {
        "release": number,
        "counts": dict.fromkeys(("read", "clean", "redacted", "quarantined", "dropped", "dead"), number),
        "inputs": [{"path": path, "sha256": sha} for path, sha in shards.items()],
        "job": job | facts,
    }


def test_changes_tell_every_state_that_differs_and_nothing_else(tmp_path: Path) -> None:
    old = tmp_path / "sources.parquet"
    pq.write_table(
        pa.table(
            {
                "source": ["bad", "calm", "left", "turns", "eases"],
                "state": ["blacklisted", "clean", "blacklisted", "clean", "hold"],
            }
        ),
        old,
    )
    states = ["blacklisted", "clean", "clean", "hold", "blacklisted"]
    sources = pa.table({"source": ["bad", "calm", "eases", "fresh", "turns"], "state": states, "read": [5, 6, 7, 8, 9]})
    lists = (
        {"blacklisted": [{"key": "bad"}, {"key": "left"}], "hold": [{"key": "eases"}]},
        {"blacklisted": [{"key": "bad"}, {"key": "turns"}], "hold": [{"key": "fresh"}]},
    )
    before = manifest(1, {"a": "1", "b": "1", "c": "1"})
    now = manifest(2, {"a": "1", "b": "2", "d": "1"}, taggers={"lexicon": "l2", "new": "n"})
    found = changes(before, now, lists, old, sources)
    assert found["counts"]["clean"] == [1, 2]
    assert found["sources"]["named"] == [
        ["turns", "clean", "blacklisted", 9],
        ["fresh", "", "hold", 8],
        ["eases", "hold", "clean", 7],
        ["left", "blacklisted", "", 0],
    ]
    assert sum(count for *_, count in found["sources"]["states"]) == 4
    assert {kind: each["named"] for kind, each in found["shards"].items()} == {
        "new": ["d"],
        "changed": ["b"],
        "gone": ["c"],
    }
    assert found["digests"] == [["detector", "lexicon", "l1", "l2"], ["detector", "new", "", "n"]]
