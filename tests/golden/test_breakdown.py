"""The breakdown of a release adds up to its counts and its table of sources, and follows the data alone."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import MAIL, Screen, audit, everyday, manifest, records, write_shard

from models import release_split
from models.breakdown import DOOR_OF

Row = dict[str, Any]


def rows(out: Path) -> list[Row]:
    found: list[Row] = pq.read_table(out / "breakdown.parquet").to_pylist()
    return found


def summed(found: list[Row], dimension: str, *keys: str) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    for row in found:
        if row["dimension"] == dimension:
            sums[tuple(row[key] for key in keys)] += row["records"]
    return sums


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the everyday corpus, with duplicates and a shard that stands twice."""
    folder = tmp_path_factory.mktemp("breakdown")
    shards = everyday(folder / "in")
    twice = records("good.example", 6, unlawful=1) * 2
    write_shard(shards / "deep" / "e.jsonl", twice)
    write_shard(shards / "other" / "e.jsonl", twice)
    Screen(folder)(shards, folder / "out", input_root=str(shards))
    return folder / "out"


def test_a_breakdown_adds_up_to_the_counts_of_the_release(out: Path) -> None:
    counts, found = manifest(out)["counts"], rows(out)
    actions = summed(found, "action", "value")
    assert sum(actions.values()) == counts["read"]
    for door in ("clean", "quarantined", "dropped", "dead"):
        assert sum(n for (action,), n in actions.items() if DOOR_OF[action] == door) == counts[door]
    assert actions["redact",] == counts["redacted"] > 0
    assert sum(summed(found, "error", "value").values()) == counts["dead"] > 0
    assert sum(summed(found, "policy_rule", "value").values()) == counts["read"] - counts["dead"] - actions["keep",]


def test_a_breakdown_adds_up_to_the_table_of_sources(out: Path) -> None:
    found = rows(out)
    doors = summed(
        [row | {"value": DOOR_OF[row["value"]]} for row in found if row["dimension"] == "action"],
        "action",
        "source",
        "value",
    )
    repeated = summed(found, "duplicates", "source")
    characters: Counter[str] = Counter()
    for row in found:
        sign = {"action": 1, "duplicates": -1}.get(row["dimension"], 0)
        characters[row["source"]] += sign * row["characters"]
    table = pq.read_table(out / "sources.parquet").to_pylist()
    assert {row["source"] for row in table} == {row["source"] for row in found} - {""}
    for row in table:
        source = row["source"]
        own = [doors[source, door] for door in ("clean", "quarantined", "dropped", "dead")]
        assert own == [row["clean"], row["quarantine"], row["dropped"], row["dead"]]
        assert sum(own) == row["read"]
        assert row["read"] - repeated[source,] == row["distinct"]
        assert characters[source] == row["characters"]
    values = summed(found, "duplicates", "value")
    assert (values["split",], values["twin",]) == (6, 12)


def test_languages_and_batches_divide_the_records(out: Path) -> None:
    found = rows(out)
    languages = {language: facts["records"] for language, facts in manifest(out)["languages"].items()}
    told = {language: n for (language,), n in summed(found, "action", "language").items() if language}
    assert told == languages
    batches = summed(found, "action", "batch")
    assert set(batches) == {(".",), ("deep",), ("other",)}
    assert batches["other",] == 12


def test_findings_and_rules_are_those_of_the_audit(out: Path) -> None:
    seen: dict[str, Counter[Any]] = {"category": Counter(), "rule": Counter(), "policy_rule": Counter()}
    for row in audit(out):
        reasons = [reason for reason in row["reasons"] or () if reason["tagger"]]
        if row["door"] != "dead":
            for category in {reason["category"] for reason in reasons}:
                seen["category"][row["source"], f"{category}\t{row['action']}"] += 1
            for rule in {(reason["tagger"], reason["rule"]) for reason in reasons}:
                seen["rule"][row["source"], "\t".join(rule)] += 1
        if row["action"] not in ("keep", "dead"):
            seen["policy_rule"][row["source"], row["reasons"][0]["policy_rule"]] += 1
    for dimension, counts in seen.items():
        assert counts == summed(rows(out), dimension, "source", "value")


def test_no_personal_value_is_in_it(out: Path) -> None:
    assert not [row for row in rows(out) if MAIL in str(row)]
    assert any(row["source"].startswith("(personal") for row in rows(out))


def test_another_split_size_changes_only_which_duplicates_are_known(tmp_path: Path) -> None:
    shards = tmp_path / "in"
    write_shard(shards / "a.jsonl", records("good.example", 300) + records("good.example", 30, unlawful=1))
    screen = Screen(tmp_path)
    for size in (4_000, 1_000_000):
        screen(shards, tmp_path / str(size), split_size=size)
    one, other = (
        {tuple(row.values()) for row in rows(tmp_path / str(size)) if row["dimension"] != "duplicates"}
        for size in (4_000, 1_000_000)
    )
    assert one == other


def test_nights_in_any_order_give_one_table_and_count_what_is_new_alone(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    nights = [root / f"2026-01-0{night}" for night in (1, 2, 3)]
    for number, night in enumerate(nights):
        write_shard(night / "a.jsonl", records("good.example", 30, first=30 * number))
        write_shard(night / "b.jsonl", records(f"few-{number}.example", 12))
    shutil.copy(nights[0] / "b.jsonl", nights[2] / "c.jsonl")  # a twin, of a later night
    counted: list[str] = []
    count = release_split.breakdown

    def counting(known: Any, verdicts: Any, batch: str) -> Any:
        counted.append(batch)
        return count(known, verdicts, batch)

    monkeypatch.setattr(release_split, "breakdown", counting)
    tables = []
    for name, order in (("at-once", [nights]), ("forth", [[n] for n in nights]), ("back", [[n] for n in nights[::-1]])):
        for some in order:
            counted.clear()
            screen(some, tmp_path / name, input_root=str(root))
            expected = [night.name for night in some for _ in night.iterdir()]
            assert sorted(counted) == sorted(expected)
        tables.append((tmp_path / name / "breakdown.parquet").read_bytes())
    assert tables[0] == tables[1] == tables[2]
    assert set(summed(rows(tmp_path / "back"), "action", "batch")) == {(night.name,) for night in nights}


def test_workers_change_no_byte(tmp_path: Path, everyday_corpus: Path) -> None:
    screen = Screen(tmp_path)
    for workers in (0, 4):
        screen(everyday_corpus, tmp_path / str(workers), workers=workers)
    one, other = ((tmp_path / str(workers) / "breakdown.parquet").read_bytes() for workers in (0, 4))
    assert one == other
