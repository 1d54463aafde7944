"""Duplicates counted over whole sources: the same figures however the text is cut, on however many workers, on whichever nights."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import POLICY, UNLAWFUL, Cli, Record, Screen, files, manifest, objects, records, states, write_shard
from test_judged_by_verdicts import INTERVAL, Reviewed

from models import judging
from models.errors import ConservationError
from models.layer import Merged
from pipeline.corpus import Corpus
from pipeline.verify import verify

K = 20


def whole(policy: str, k: int = K) -> str:
    """Return a policy that counts over whole sources."""
    return policy.replace("min_records: 20", f"min_records: 20\n  duplicates: source\n  exact_up_to: {k}")


def spread(folder: Path) -> Path:
    """Write sources whose records stand in several shards, each shard with all that is lawful."""
    near, at, vile = (records(f"{name}.example", *n) for name, n in (("near", (150,)), ("at", (200,)), ("vile", (90,))))
    for rows, unlawful in ((near, 8), (at, 10), (vile, 90)):
        for row in rows[:unlawful]:
            row["text"] += f" {UNLAWFUL}"
    for number in range(3):
        rows = near[8:] + near[number:8:3] + at[number::3] + vile[30 * number :][:40]
        rows += records("small.example", 15) + records("few.example", 5 + number)
        write_shard(folder / f"night{number}" / "a.jsonl", rows)
    # Which of the two is the twin depends on the nights that came.
    (folder / "night2" / "twin.jsonl").write_bytes((folder / "night0" / "a.jsonl").read_bytes())
    write_shard(folder / "night1" / "b.jsonl.gz", records("other.example", 15) + records("few.example", 9))
    return folder


EXPECTED = {
    # Exactly at the limit is not over.
    "at.example": ("clean", "recounted", 200, 10),
    "few.example": ("clean", "source exact", 9, 0),
    "near.example": ("blacklisted", "recounted", 150, 8),
    "other.example": ("clean", "source exact", 15, 0),
    "small.example": ("clean", "source exact", 15, 0),
}
"""State, how it was counted, distinct and unlawful records, of all but ``vile.example``, which is estimated."""


@pytest.fixture(autouse=True)
def _no_personal(screen: Screen) -> None:
    screen.others = {}
    screen.policy.write_text(whole(POLICY), "utf-8")


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with shards (``in``) and what came of them by each way of counting (``source``, ``split``); not to be changed."""
    folder = tmp_path_factory.mktemp("released")
    screen = Screen(folder)
    screen.others = {}
    spread(folder / "in")
    for name, policy in (("source", whole(POLICY)), ("split", POLICY)):
        screen.policy.write_text(policy, "utf-8")
        screen(folder / "in", folder / name)
    return folder


def table(out: Path) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in pq.read_table(out / "sources.parquet").to_pylist()}


def figures(out: Path) -> dict[str, tuple[Any, ...]]:
    return {
        source: tuple(row[name] for name in ("state", "counted", "distinct", "unlawful"))
        for source, row in table(out).items()
    }


def same_tables(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in ("sources.parquet", "sources.csv"))


def test_a_text_counts_once_over_its_source_and_the_figure_says_how_it_was_counted(released: Path, cli: Cli) -> None:
    out = released / "source"
    found = figures(out)
    state, counted, distinct, unlawful = found.pop("vile.example")
    assert (state, counted, unlawful) == ("blacklisted", "source estimated", distinct)
    assert K < distinct < 4 * 90, "an estimate from 20 of 90"
    assert found == EXPECTED
    near = table(out)["near.example"]
    assert near["read"] == 3 * 142 + 8 + 142 + 3
    rows = [json.loads(line) for path in (released / "in").rglob("*.jsonl") for line in path.open()]
    texts = {row["text"] for row in rows if row["source"] == "near.example"}
    assert near["characters"] == sum(map(len, texts))
    assert near["unlawful_characters"] == sum(len(text) for text in texts if UNLAWFUL in text)
    assert not list(verify(Corpus(out)))
    # Within splits the lawful ones of the three nights count three times, and the source passes.
    assert figures(released / "split")["near.example"] == ("clean", "split", 3 * 142 + 8, 8)
    assert (
        "at.example  clean: 10 of 200 unlawful (5.00%) counted over the whole source, anew from all layers,"
        in cli("source", "show", out, "at.example")[1]
    )
    reading = json.loads((out / "blacklist.json").read_text("utf-8"))["reading"]
    assert reading.endswith("not audited), duplicates: source")
    report = (out / "report.html").read_text("utf-8"), (out / "report.zh.html").read_text("utf-8")
    for page, words in zip(report, (("exact", "estimated", "counted anew"), ("精确", "估计", "重新清点")), strict=True):
        assert all(f"<small>{word}</small>" in page for word in words)
    assert "count once over the whole source" in report[0]
    assert "在整个来源内只计一次" in report[1]


def test_cuts_workers_and_nights_change_no_figure(screen: Screen, released: Path, tmp_path: Path) -> None:
    at_once, shards = released / "source", released / "in"
    screen(shards, tmp_path / "cut", split_size=9000, workers=4)
    assert len(list(Corpus(tmp_path / "cut").catalogue().rows())) > 10
    assert same_tables(tmp_path / "cut", at_once)
    for number in (2, 0, 1):
        screen(shards / f"night{number}", tmp_path / "nights", input_root=str(shards))
    assert files(tmp_path / "nights").keys() == files(at_once).keys()
    assert same_tables(tmp_path / "nights", at_once)
    assert manifest(tmp_path / "nights")["catalogue"] == manifest(at_once)["catalogue"], (
        "sketches of segments have the same names, too"
    )


def test_a_recount_reads_only_layers_that_hold_more_of_the_source_than_the_sketch(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    near = records("near.example", 100, unlawful=6)
    write_shard(tmp_path / "in" / "a.jsonl", near[:60])
    write_shard(tmp_path / "in" / "b.jsonl", near[50:65])  # fewer than the sketch keeps: it has all of them
    write_shard(tmp_path / "in" / "c.jsonl", near[60:] + records("rest.example", 10))
    write_shard(tmp_path / "in" / "d.jsonl", records("rest.example", 10, first=5))
    read = []

    def noted(refs: Any, split: Any, *means: Any) -> Merged:
        read.append(split.shard.path)
        return read_merged(refs, split, *means)

    read_merged = judging.read_merged
    monkeypatch.setattr(judging, "read_merged", noted)
    screen(tmp_path / "in", tmp_path / "out")
    assert sorted(read) == ["a.jsonl", "c.jsonl"]
    assert figures(tmp_path / "out") == {
        "near.example": ("blacklisted", "recounted", 100, 6),
        "rest.example": ("clean", "source exact", 15, 0),
    }


def test_what_left_the_corpus_does_not_count(screen: Screen, released: Path, tmp_path: Path) -> None:
    root, kept = str(released / "in"), [released / "in" / f"night{number}" for number in (0, 2)]
    shutil.copytree(released / "source", tmp_path / "out", symlinks=True)
    result = screen(kept, tmp_path / "out", input_root=root, exact=True)
    assert result.outcome.work["tagged"] == 0
    screen(kept, tmp_path / "fresh", input_root=root)
    assert same_tables(tmp_path / "out", tmp_path / "fresh")
    assert figures(tmp_path / "out")["at.example"][2] == 133
    assert not list(verify(Corpus(tmp_path / "out")))


def test_withdrawal_does_not_clear_a_source_in_either_way_of_counting(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    """Shares are of what was collected, before anything is filtered or withdrawn."""
    rows = records("near.example", 50, unlawful=3)
    write_shard(tmp_path / "in" / "a.jsonl", [*rows, rows[0]])
    out = tmp_path / "out"
    screen(tmp_path / "in", out)
    said = ("--basis", "takedown", "--by", "a.clerk", "--received", "2025-12-01", "--decided", "2025-12-02")
    assert cli("withdraw", "add", out, "--record", "near.example-0", *said)[0] == 0
    for policy, counted in ((whole(POLICY), "recounted"), (POLICY, "split")):
        screen.policy.write_text(policy, "utf-8")
        screen(tmp_path / "in", out)
        assert manifest(out)["counts"]["dropped"] == 2
        assert figures(out)["near.example"] == ("blacklisted", counted, 50, 3)


def test_policies_that_count_otherwise_are_followed_as_if_there_had_been_no_other(
    screen: Screen, released: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert not same_tables(released / "split", released / "source")
    for name, policy in (("split", POLICY), ("source", whole(POLICY)), ("split", POLICY)):
        screen.policy.write_text(policy, "utf-8")
        result = screen(released / "in", out)
        now, fresh = files(out), files(released / name)
        # When and by which run a source came onto the list is what differs.
        assert {path for path in now if now[path] != fresh[path]} <= {"blacklist.json"}, name
        assert manifest(out)["catalogue"] == manifest(released / name)["catalogue"]
        assert result.published.is_new
    layers = ({each for each in objects(at) if each.startswith("layers/")} for at in (out, released / "split"))
    assert next(layers) == next(layers), "nothing was tagged again"


def test_other_nights_leave_untouched_sketches_where_they_are_and_gc_keeps_those_that_are_named(
    screen: Screen, released: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "out"
    shutil.copytree(released / "source", out, symlinks=True)
    assert cli("gc", out, "--grace", "0")[0] == 0
    kept = {name for name in objects(out) if name.startswith("sketches/")}
    assert kept == {ref.sketch for ref in Corpus(out).catalogue().segments}
    write_shard(tmp_path / "in" / "later" / "z.jsonl", records("later.example", 30))
    screen(tmp_path / "in" / "later", out, input_root=str(tmp_path / "in"))
    assert {source: found for source, found in figures(out).items() if source in EXPECTED} == EXPECTED
    assert figures(out)["later.example"][:2] in {("clean", "recounted"), ("clean", "source estimated")}


def _damaged(out: Path) -> Iterator[Path]:
    for ref in Corpus(out).catalogue().segments:
        path = out / "store" / ref.sketch
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        yield path


def test_a_damaged_sketch_is_found_before_anything_rests_on_it(screen: Screen, tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 40))
    out = tmp_path / "out"
    screen(tmp_path / "in", out)
    (path,) = _damaged(out)
    assert [said for said in verify(Corpus(out)) if "sketches/" in said] == [
        f"{path.relative_to(out / 'store')}: missing in the store, or not what its name says"
    ]
    write_shard(tmp_path / "in" / "b.jsonl", records("s.example", 5))
    for _ in range(2):
        with pytest.raises(ConservationError, match="missing, or not what its name says; set exact_up_to"):
            screen(tmp_path / "in", out)
        path.unlink(missing_ok=True)
    assert f"{path.relative_to(out / 'store')}: missing in the store, or not what its name says" in list(
        verify(Corpus(out))
    )
    screen.policy.write_text(whole(POLICY, 40), "utf-8")
    screen(tmp_path / "in", out)
    assert figures(out) == {"s.example": ("clean", "source exact", 40, 0)}


def test_verdicts_weigh_strata_of_the_whole_source_counted_exactly(screen: Screen, tmp_path: Path) -> None:
    reviewed = Reviewed(screen, tmp_path)
    screen.policy.write_text(whole(INTERVAL), "utf-8")
    rows = reviewed.write("many.example", records("many.example", 60, unlawful=6))
    again: list[Record] = reviewed.write("copy.example", [row | {"source": "many.example"} for row in rows[:30]])
    reviewed.write("unread.example", records("unread.example", 60, unlawful=60))
    reviewed.review({"many.example": [(row, at < 6) for at, row in enumerate(rows)]})
    reviewed.run()
    many, unread = (reviewed.table()[f"{name}.example"] for name in ("many", "unread"))
    assert (many["counted"], many["distinct"], many["unlawful"], many["read"]) == ("recounted", 60, 6, 60 + len(again))
    assert (many["audited_high"], many["audited_unflagged"]) == (6, 54)
    assert many["estimate_ppm"] == 100_000
    # Without verdicts nothing is decided, so nothing is counted anew.
    assert (unread["counted"], unread["state"]) == ("source estimated", "insufficient")
    assert states(reviewed.out)["many.example"] == "clean"
    assert not list(verify(Corpus(reviewed.out)))
