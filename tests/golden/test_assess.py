"""Assessing before collection: the run's own taggers and reading decide about a probe, and the ledger and crawlers hear of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import AS_OF, BANNED, MAIL, MALFORMED, Cli, Screen, records, write_run_file, write_shard

from models.artefact import describe
from models.decisions import read_decisions, verify
from models.store import LocalStore

KEY = "new.example"
Assess = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def assess(screen: Screen, cli: Cli, tmp_path: Path) -> Assess:
    """Give the command with the list and policy of the other tests: exit code, and what it says for programs or of an error."""

    def call(probe: Path, *given: object, key: str = KEY, **options: Any) -> tuple[int, dict[str, Any]]:
        run_file = write_run_file(tmp_path / "run.yaml", screen, probe, **options)
        code, said, error = cli("assess", run_file, probe, "--source", key, "--json", *given)
        return code, json.loads(said) if said else {"error": error}

    return call


def probe(folder: Path, count: int, unlawful: int) -> Path:
    """Write a probe whose records say nothing of their source."""
    found = [{"text": each["text"]} for each in records("p", count, unlawful=unlawful)]
    return write_shard(folder / f"{count}-{unlawful}.jsonl", found)


@pytest.mark.parametrize(
    ("count", "unlawful", "code", "state"),
    [
        (40, 2, 0, "clean"),  # 5 % is not over 5 %
        (40, 3, 5, "blacklisted"),
        (19, 1, 5, "hold"),
        (10, 0, 0, "clean"),
    ],
)
def test_the_limit_decides_and_the_exit_code_says_so(
    assess: Assess, tmp_path: Path, count: int, unlawful: int, code: int, state: str
) -> None:
    done, said = assess(probe(tmp_path / "in", count, unlawful))
    assert (done, said["state"], said["collect_allowed"]) == (code, state, code == 0)
    assert (said["read"], said["distinct"], said["unlawful"]) == (count, count, unlawful)
    assert said["counted"] == [unlawful, count]
    assert said["basis"] == "detector"
    assert said["estimate_ppm"] == unlawful * 1_000_000 // count
    assert said["sampling_ppm"][0] <= said["estimate_ppm"] <= said["sampling_ppm"][1]
    assert (said["lower_ppm"], said["low"]) == (None, 0)
    assert "Numerator" in said["reading"]
    assert said["entry"] is None


def test_duplicates_count_once_over_the_whole_probe_however_it_is_cut(assess: Assess, tmp_path: Path) -> None:
    found = records("p", 30, unlawful=1)
    for name in ("a", "b"):
        write_shard(tmp_path / "in" / f"{name}.jsonl", [{"text": each["text"]} for each in found])
    for options in ({}, {"split_size": 500}):
        code, said = assess(tmp_path / "in", **options)
        assert (code, said["read"], said["distinct"], said["unlawful"]) == (0, 60, 30, 1)
        assert [each["path"] for each in said["probe"]] == ["a.jsonl", "b.jsonl"]


def test_dead_letters_are_not_qualified(assess: Assess, tmp_path: Path) -> None:
    lines = [{"text": each["text"]} for each in records("p", 60)]
    code, said = assess(write_shard(tmp_path / "in" / "a.jsonl", [*lines, *MALFORMED]))
    assert (code, said["state"], said["dead"], said["counted"]) == (5, "blacklisted", 4, [4, 64])
    assert len(said["errors"]) == sum(said["errors"].values()) == 4
    code, said = assess(write_shard(tmp_path / "in" / "a.jsonl", [*lines, *MALFORMED[:1]]))
    assert (code, said["counted"]) == (0, [1, 61])


def test_a_probe_without_a_record_is_an_error_and_not_clean(assess: Assess, tmp_path: Path) -> None:
    for content in ([], list(MALFORMED)):
        code, said = assess(write_shard(tmp_path / "in" / "a.jsonl", content))
        assert code == 2
        assert "no record at all" in said["error"]
    code, said = assess(tmp_path / "nothing")
    assert code == 2


def test_what_is_blocked_is_told_apart_and_by_policy(screen: Screen, assess: Assess, tmp_path: Path) -> None:
    folder = tmp_path / "blocked"
    folder.mkdir()
    (folder / "list.tsv").write_text("kind\tvalue\tclass\treference\nhost\tnew.example\t\tr\n", "utf-8")
    describe(folder, kind="blocked", version=1, names=["list.tsv"], title="t", licence="", made_with="a test")
    screen.others = {"blocked": {"lists": [str(folder)]}}
    # No rule of this policy looks at what is blocked; the share is as it was.
    code, said = assess(probe(tmp_path / "in", 20, 0))
    assert (code, said["blocked"], said["blocked_actions"], said["counted"]) == (
        0,
        {"blocked.host": 20},
        {"keep": 20},
        [0, 20],
    )
    screen.policy.write_text(
        screen.policy.read_text("utf-8") + '  - {id: blocked, match: {category: ["blocked.*"]}, action: drop}\n',
        "utf-8",
    )
    assert assess(probe(tmp_path / "in", 20, 0))[1]["blocked_actions"] == {"drop": 20}
    assert assess(probe(tmp_path / "in", 20, 0), key="other.example")[1]["blocked"] == {}


def test_a_probe_is_read_as_a_run_reads_it(assess: Assess, tmp_path: Path) -> None:
    rows = [{"text": each["text"], "url": f"https://new.example/{at}"} for at, each in enumerate(records("p", 20))]
    rows[3]["text"] = f"Write to {MAIL}"
    rows[4]["text"] = f"A {BANNED} here"
    rows[5]["url"] = "https://elsewhere.example/"
    (tmp_path / "in").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / "a.parquet", row_group_size=7)
    code, said = assess(tmp_path / "in")
    assert (code, said["otherwise"], said["actions"]) == (0, 1, {"drop": 1, "keep": 18, "redact": 1})


def test_what_no_detector_scanned_leaves_it_undecided(assess: Assess, screen: Screen, tmp_path: Path) -> None:
    screen.others = {"category": {"models": ["en-abuse-demo"], "unknown_language": "unscanned"}}
    found = [{"text": f"第{number}天的天气很好，大家都去公园散步了。"} for number in range(3)]
    shard = write_shard(tmp_path / "in" / "a.jsonl", [*found, *({"text": r["text"]} for r in records("p", 30))])
    code, said = assess(shard)
    assert (code, said["state"], said["unscanned"], said["decision"]) == (6, "insufficient", 3, "undecided")
    assert said["counted"] == [0, 33]
    few = write_shard(tmp_path / "in" / "a.jsonl", [*found[:1], *({"text": r["text"]} for r in records("p", 30))])
    assert assess(few)[0] == 0


def test_the_ledger_has_it_and_crawlers_hear_of_a_source_that_was_never_collected(
    assess: Assess, cli: Cli, tmp_path: Path
) -> None:
    out, bad = tmp_path / "out", probe(tmp_path / "in", 40, 10)
    code, said = assess(bad, "--output", out)
    assert (code, "--by" in said["error"]) == (2, True)
    assert not out.exists()
    code, said = assess(bad, "--output", out, "--by", "Crawler One")
    assert (code, said["entry"]) == (5, "D0001")
    # A pipeline that asks again on the same day has asked once.
    assert assess(bad, "--output", out, "--by", "Crawler One")[1]["entry"] == "D0001"
    assert cli("source", "export", out, "--format", "domains")[1] == f"{KEY}\n"
    shown = cli("source", "show", out, KEY)[1].splitlines()
    assert shown[0] == f"{KEY}: no release yet"
    assert shown[1].startswith(f"D0001  {AS_OF}  assessment: clean → blacklisted, must not be collected, on 10 of 40")
    assert shown[1].endswith("by Crawler One")
    [entry] = read_decisions(LocalStore(out / "store")).entries
    assert entry.facts["probe"][0]["path"] == "40-10.jsonl"
    assert entry.facts["train_allowed"] is None
    # The later decision counts.
    code, said = assess(probe(tmp_path / "in", 40, 1), "--output", out, "--by", "Crawler One")
    assert (code, said["entry"]) == (0, "D0002")
    assert cli("source", "export", out)[1] == ""
    assert assess(bad, "--output", out, "--by", "Crawler One")[1]["entry"] == "D0003"
    given = ("--reviewer", "A", "--reason", "read it", "--decided", "2026-01-01", "--until", "2026-01-31")
    assert cli("source", "override", out, KEY, "--state", "clean", *given)[0] == 0
    code, said = assess(bad, "--output", out, "--by", "Crawler One")
    assert (code, said["state"], said["basis"], said["unlawful"]) == (0, "clean", "override D0004", 10)
    assert cli("source", "export", out, "--as-of", AS_OF)[1] == ""
    assert verify(LocalStore(out / "store")) == 5
    assert cli("source", "export", out, "--format", "ledger")[0] == 0


def test_a_source_that_is_collected_has_assessments_and_runs_in_its_history(
    screen: Screen, assess: Assess, cli: Cli, tmp_path: Path
) -> None:
    out, folder = tmp_path / "out", tmp_path / "shards"
    assert assess(probe(tmp_path / "in", 40, 10), "--output", out, "--by", "C")[0] == 5
    write_shard(folder / "a.jsonl", records(KEY, 40, unlawful=1))
    screen(folder, out)
    # The run found it clean, as every source is that was never decided about: no change, so the assessment stands.
    assert cli("source", "export", out)[1] == f"{KEY}\n"
    write_shard(folder / "b.jsonl", records(KEY, 40, unlawful=9, first=40))
    screen(folder, out)
    assert assess(probe(tmp_path / "in", 40, 0), "--output", out, "--by", "C")[0] == 0
    kinds = [line.split("  ")[2].split(" ")[0] for line in cli("source", "show", out, KEY)[1].splitlines()[1:]]
    assert kinds == ["assessment:", "release", "assessment:"]
    assert cli("source", "export", out)[1] == ""


@pytest.mark.parametrize(
    ("key", "said"),
    [("", "is empty"), (f"user:chat/{MAIL}", "personal data"), ("user:chat/ada%40mail.example.org", "personal")],
)
def test_a_key_that_the_ledger_could_not_keep_is_refused(assess: Assess, tmp_path: Path, key: str, said: str) -> None:
    code, found = assess(probe(tmp_path / "in", 10, 0), key=key)
    assert code == 2
    assert said in found["error"]


def test_people_are_told_figures_basis_coverage_and_reading(screen: Screen, cli: Cli, tmp_path: Path) -> None:
    shard = probe(tmp_path / "in", 40, 3)
    run_file = write_run_file(tmp_path / "run.yaml", screen, shard)
    code, said, _ = cli("assess", run_file, "--source", KEY)
    assert code == 5
    for part in (
        f"{KEY}: collection is not allowed; state blacklisted, basis detector",
        "3 of 40 records count as unlawful: 3 of 40 distinct ones, and 0 dead letters",
        "share 7.5 %",
        "no more than between 2.",
        "risks: 3 A.1.h",
        "nothing covers 29 of 31 risks",
        "taken at their word",
    ):
        assert part in said
