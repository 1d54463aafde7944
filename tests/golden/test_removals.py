"""Removals: a source of which suddenly more is removed waits until somebody has looked at it, and what alone removes much is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import POLICY, Cli, Screen, files, manifest, records, write_list, write_shard

from models.causes import term_id
from models.decisions import verify
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.explain import explain, in_words
from pipeline.summary import show_notices
from pipeline.verify import verify as verify_release

DULL = "of no help to anybody"
WATCHED = (
    POLICY.replace("hold: quarantine", "hold: quarantine\n  removals: {then: hold}")
    + """
  - id: quality
    match: {category: ["A.5.*"], at_least_score: 0.5}
    action: quarantine
"""
)
SAID = ("--by", "B. Clerk", "--reason", "ticket 7: a new section", "--decided", "2026-01-03")
Nights = Callable[..., Any]


def dull(source: str, count: int, some: int, first: int) -> list[dict[str, Any]]:
    """Return records, the first of them removed by a rule that does not count towards the limit."""
    rows = records(source, count, first=first)
    for row in rows[:some]:
        row["text"] += f" It is {DULL}."
    return rows


@pytest.fixture
def nights(screen: Screen, tmp_path: Path) -> tuple[Path, Nights]:
    """Give the output, and what runs one more night: a shard with records of sources, by source how many and how many are dull."""
    write_list(screen.list, {DULL: "A.5.b", "never said": "A.1.h"})
    screen.policy.write_text(WATCHED, "utf-8")
    out, folder = tmp_path / "out", tmp_path / "in"

    def night(number: int, **shards: tuple[int, int]) -> Any:
        for name, (count, some) in shards.items():
            write_shard(folder / f"{number}-{name}.jsonl", dull(f"{name}.example", count, some, 1000 * number))
        return screen(folder, out)

    return out, night


def held(out: Path) -> dict[str, tuple[str, str]]:
    rows = pq.read_table(out / "sources.parquet").to_pylist()
    return {row["source"].removesuffix(".example"): (row["state"], row["basis"]) for row in rows}


CALM, MOVED, ALL = ("clean", "detector"), ("hold", "moved"), ("hold", "nearly-all-removed")


def test_a_source_that_moves_is_held_until_somebody_acknowledges_what_it_is_now(
    nights: tuple[Path, Nights], cli: Cli
) -> None:
    out, night = nights
    night(1, good=(80, 2), same=(80, 8), few=(6, 0), bad=(90, 90), tiny=(9, 9))
    # Nine of nine are not sure to be nearly all.
    assert held(out) == {"good": CALM, "same": CALM, "few": CALM, "bad": ALL, "tiny": CALM}
    assert manifest(out)["removals"]["moved"] == {"count": 1, "then": "hold"}
    assert cli("source", "acknowledge", out, "bad.example", *SAID)[0] == 0
    # Three of the six of a small source are noise, a tenth as ever is none.
    night(2, good=(80, 70), same=(80, 8), few=(6, 3), bad=(10, 10))
    assert held(out) == {"good": MOVED, "same": CALM, "few": CALM, "bad": CALM, "tiny": CALM}
    row = next(r for r in pq.read_table(out / "sources.parquet").to_pylist() if r["source"] == "good.example")
    assert [row[n] for n in ("removed", "removed_of", "was_removed", "was_removed_of")] == [72, 160, 2, 80]
    assert (row["clean"], row["quarantine"], row["collect_allowed"], row["train_allowed"]) == (0, 160, False, False)
    (told,) = pq.read_table(out / "moved.parquet").to_pylist()
    counts = {"removed": 72, "removed_of": 160, "was_removed": 2, "was_removed_of": 80}
    assert told == {"source": "good.example", "reason": "moved", **counts}
    said = cli("source", "show", out, "good.example")[1]
    why = "removal rate moved: 72 of 160 records removed by the rules (45.00%), 2 of 80 before (2.50%)"
    assert said.count(why) == 2
    assert "release 2: clean → hold on removal rate moved" in said
    (found,) = explain(Corpus(out), "good.example-1079")
    assert why in "\n".join(in_words(found, manifest(out)))
    assert not list(verify_release(Corpus(out)))
    # Nothing that comes since lets it go, and the same again is the same.
    before = files(out)
    assert not night(2).published.is_new
    assert files(out) == before
    night(3, good=(900, 10))
    assert held(out)["good"] == MOVED
    assert cli("source", "acknowledge", out, "few.example", *SAID)[0] == 2
    assert cli("source", "acknowledge", out, "good.example", "--by", " ", "--reason", "r")[0] == 2
    assert cli("source", "acknowledge", out, "good.example", *SAID)[0] == 0
    code, _, error = cli("source", "acknowledge", out, "good.example", *SAID)
    assert (code, "D0004 acknowledges it" in error) == (2, True)
    assert not list(verify_release(Corpus(out)))
    assert night(3).published.is_new
    assert held(out)["good"] == CALM
    line = "D0004  2026-01-03  acknowledge: 82 of 1,060 records removed, as in release 3 by B. Clerk"
    assert line in cli("source", "show", out, "good.example")[1]
    # It holds for the figures that were seen: the next jump is looked at anew.
    night(4, good=(900, 800))
    assert held(out)["good"] == MOVED
    assert pq.read_table(out / "moved.parquet")["was_removed"].to_pylist() == [82]
    assert not list(verify_release(Corpus(out)))
    assert verify(LocalStore(out / "store")) == 6


def test_told_and_not_held_nights_in_any_order_end_in_the_same(screen: Screen, tmp_path: Path) -> None:
    write_list(screen.list, {DULL: "A.5.b", "never said": "A.1.h"})
    screen.policy.write_text(WATCHED.replace("then: hold", "then: tell"), "utf-8")
    folder = tmp_path / "in"
    nights = [
        write_shard(folder / f"{n}.jsonl", dull("good.example", 80, some, 1000 * n)) for n, some in ((1, 2), (2, 70))
    ]
    ends = []
    for name, order in (("one", nights), ("two", nights[::-1])):
        out = tmp_path / name
        for shard in order:
            screen([shard], out, input_root=str(folder))
        ends.append(files(out))
        told = json.loads((out / "summary.json").read_bytes())["moves"]
        assert [row[:2] for row in told["named"]] == [["good.example", "moved"]]
        assert held(out) == {"good": CALM}
        for page, word in (("report.html", "good.example"), ("report.zh.html", "移除率")):
            assert word in (out / page).read_text("utf-8").split('id="removals"')[1]
    assert ends[0] == ends[1]


def test_what_alone_removes_much_is_named_by_its_id(
    nights: tuple[Path, Nights], capsys: pytest.CaptureFixture[str]
) -> None:
    out, night = nights
    night(1, good=(80, 20))
    causes = {each["kind"]: each for each in manifest(out)["removals"]["one_cause"]}
    assert causes["rule"] == {"kind": "rule", "tagger": "", "id": "quality", "records": 20, "removed": 20}
    assert causes["term"]["id"] == term_id("lexicon", DULL)
    for name in ("report.html", "report.zh.html", "summary.json", "manifest.json"):
        text = (out / name).read_text("utf-8")
        assert causes["term"]["id"] in text
        assert DULL not in text
    capsys.readouterr()
    show_notices(Corpus(out))
    assert f"notice: lexicon {causes['term']['id']} alone removes 20 of 20 records" in capsys.readouterr().err
