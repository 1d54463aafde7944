"""Registered works through the command line: registered, found in a run, decided by the policy, explained."""

import html
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import AS_OF, audit
from typer.testing import CliRunner, Result

from models.errors import UsageError
from pipeline.cli import app
from pipeline.config import from_options
from pipeline.launch import launch, prepare

ROOT = Path(__file__).resolve().parents[2]
WORKS = {
    row["id"]: row for row in map(json.loads, (ROOT / "examples/texts/works.jsonl").read_text("utf-8").splitlines())
}
FILLER = "".join(f"Line {n} of a page about nothing that anybody ever claimed, {n * n} words long. " for n in range(60))
LAMP, LANE, TEA = (WORKS[name]["text"] for name in ("harbour-lamp", "lane-lamps", "mountain-tea"))
ALICE = json.loads((ROOT / "examples/texts/alice.jsonl").read_text("utf-8").splitlines()[0])["text"]
RECORDS = {
    "whole": LAMP,
    "shouted": "NEWS! " + LAMP[:600].upper().replace(",", " —") + " more to come",
    "a-long-piece": FILLER + LAMP[200:600] + FILLER,
    "a-short-piece": FILLER + LAMP[200:330] + FILLER,
    "complained-about": LANE[:120].replace("，", ","),
    "licensed": TEA,
    "free": ALICE,
    "nothing": FILLER,
}


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("works")
    rows = [{"id": name, "text": text, "source": "s.example"} for name, text in RECORDS.items()]
    (folder / "in.jsonl").write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    taggers = {"fingerprint": {"indexes": ["illustrative"]}}
    given = {"inputs": (str(folder / "in.jsonl"),), "output": str(folder / "out"), "taggers": taggers, "workers": 1}
    launch(prepare(from_options({**given, "as_of": AS_OF})), to_publish=True)
    return folder / "out"


def test_the_policy_holds_back_what_is_reserved_or_complained_about_and_nothing_else(out: Path) -> None:
    quarantined = {row["id"]: row["reasons"] for row in audit(out) if row["door"] == "quarantine"}
    assert set(quarantined) == {"whole", "shouted", "a-long-piece", "complained-about"}
    by = {name: {(r["policy_rule"], r["rule"]) for r in reasons} for name, reasons in quarantined.items()}
    assert by["whole"] == {("copyright-share", "harbour-lamp"), ("copyright-run", "harbour-lamp")}
    assert by["a-long-piece"] == {("copyright-run", "harbour-lamp")}
    assert by["complained-about"] == {("copyright-share", "lane-lamps")}


def test_explain_says_the_longest_run_the_share_and_the_title(out: Path) -> None:
    said = command("explain", out, "whole", "--index", ROOT / "configs/indexes/illustrative").stdout
    assert "copyright.reserved (harbour-lamp, The Harbour Lamp: shares 1,4" in said
    assert "characters at the most, containment 100 %" in said
    assert "The Harbour Lamp" not in command("explain", out, "whole").stdout


def test_the_report_says_title_and_holder_of_the_works_that_records_match(out: Path) -> None:
    release = sorted((out / "releases").iterdir())[-1]
    works = json.loads((release / "manifest.json").read_text("utf-8"))["job"]["works"]
    known = {row["id"]: row for row in pq.read_table(ROOT / "configs/indexes/illustrative/works.parquet").to_pylist()}
    assert "harbour-lamp" in works
    assert works == {name: {key: known[name][key] for key in ("title", "holder", "licence", "claim")} for name in works}
    page = (release / "report.html").read_text("utf-8")
    for row in works.values():
        assert row["title"] in html.unescape(page)
        assert row["holder"] in page


def test_no_output_holds_a_word_of_the_works_but_the_records_themselves(out: Path) -> None:
    for path in out.rglob("*"):
        holds_records = any(part.startswith(("clean", "quarantine")) for part in path.relative_to(out).parts)
        if path.is_file() and not holds_records:
            assert b"Patient Margaret" not in path.read_bytes(), path


def test_check_names_the_index(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": "a", "text": "b"}\n')
    run = tmp_path / "run.yaml"
    run.write_text("inputs: in.jsonl\noutput: out\ntaggers: {fingerprint: {indexes: [illustrative]}}\n")
    said = command("check", run).stdout
    assert "illustrative: 5 works, 2,154 fingerprints, 0 set aside as common" in said


def test_works_are_registered_asked_for_and_removed_by_commands(tmp_path: Path) -> None:
    (tmp_path / "works.jsonl").write_text(json.dumps(WORKS["harbour-lamp"]) + "\n")
    (tmp_path / "more.jsonl").write_text(json.dumps(WORKS["lane-lamps"]) + "\n")
    index = tmp_path / "index"
    assert "1 works" in command("index", "build", tmp_path / "works.jsonl", "-o", index).stdout
    assert "2 works" in command("index", "add", index, tmp_path / "more.jsonl").stdout
    (tmp_path / "asked.txt").write_text(LANE[:200], "utf-8")
    said = command("index", "query", index, tmp_path / "asked.txt").stdout
    assert said.startswith("lane-lamps 巷灯 (takedown): ")
    (found,) = json.loads(command("index", "query", index, "--text", LAMP, "--json").stdout)
    assert found["id"] == "harbour-lamp"
    assert found["containment"] == 1
    assert found["spans"] == [[start, end] for start, end in found["spans"]]
    assert found["longest"] == max(end - start for start, end in found["spans"])
    assert "no work of the index" in command("index", "query", index, "--text", FILLER).stdout
    assert "title: 巷灯" in command("index", "query", index, "--work", "lane-lamps").stdout
    assert "1 works" in command("index", "remove", index, "lane-lamps").stdout
    facts = json.loads(command("index", "stat", index, "--works", "--json").stdout)
    assert [row["id"] for row in facts["works"]] == ["harbour-lamp"]


def test_a_work_that_is_not_surely_found_is_named_wherever_an_index_is_described(tmp_path: Path) -> None:
    index, works = tmp_path / "index", tmp_path / "works.jsonl"
    works.write_text(json.dumps({"id": "line", "text": TEA[:60]}) + "\n")
    with pytest.raises(UsageError, match="work 'line' is shorter"):
        command("index", "build", works, "-o", index)
    named = "not surely found: line, "
    assert named in command("index", "build", works, "-o", index, "--short").stdout
    assert named in command("index", "stat", index).stdout
    assert json.loads(command("index", "stat", index, "--json").stdout)["works_short"] == 1
    works.write_text(json.dumps({"id": "other", "text": LANE[:15]}) + "\n")
    assert "not surely found: other" in command("index", "add", index, works, "--short").stdout


def test_stat_lists_what_is_set_aside(tmp_path: Path) -> None:
    rows = [{"id": f"w{n}", "text": TEA + " " + LAMP[300 * n : 300 * n + 300]} for n in range(3)]
    (tmp_path / "works.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command("index", "build", tmp_path / "works.jsonl", "-o", tmp_path / "index", "--most-works", 2)
    assert command("index", "stat", "illustrative").stdout.startswith("works: ")
    facts = json.loads(command("index", "stat", tmp_path / "index", "--common", "--json").stdout)
    assert len(facts["common"]) == len({each["fingerprint"] for each in facts["common"]}) > 10
    assert {each["works"] for each in facts["common"]} == {3}
    assert "set aside: " in command("index", "stat", tmp_path / "index").stdout


def test_a_work_that_is_withdrawn_is_gone_after_one_run_wherever_it_was(tmp_path: Path) -> None:
    """Licensed once, so clean in the second of three nights; complained about after the third."""
    nights = [
        {"a": FILLER, "b": "nothing"},
        {"tea": f"Look: {TEA[:500]}", "quiet": FILLER[:400]},
        {"c": FILLER[50:900]},
    ]
    out = tmp_path / "out"
    given = {
        "output": str(out),
        "taggers": {"fingerprint": {"indexes": ["illustrative"]}},
        "workers": 1,
        "as_of": AS_OF,
    }

    def run() -> None:
        launch(prepare(from_options({**given, "inputs": (str(tmp_path / "in"),)})), to_publish=True)

    for number, texts in enumerate(nights):
        rows = [{"id": name, "text": text, "source": "s.example"} for name, text in texts.items()]
        shard = tmp_path / "in" / f"night-{number}.jsonl"
        shard.parent.mkdir(exist_ok=True)
        shard.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        run()
    before = {path.name: path.stat().st_ino for path in (out / "clean").iterdir()}
    assert "used" in command("query", out, "--work", "mountain-tea").stdout
    words = ("--basis", "takedown", "--by", "a.clerk", "--received", AS_OF)
    assert command("withdraw", "add", out, "--work", "mountain-tea", *words).exit_code == 0
    run()
    clean = "".join(path.read_text("utf-8") for path in (out / "clean").iterdir())
    assert TEA[:60] not in clean
    assert '"quiet"' in clean
    after = {path.name: path.stat().st_ino for path in (out / "clean").iterdir()}
    assert {name for name, inode in after.items() if before[name] != inode} == {"night-1.jsonl-00001-of-00001.jsonl"}
    assert "withdrawn by W0001" in command("explain", out, "tea").stdout
    assert "not used" in command("query", out, "--work", "mountain-tea").stdout
    assert command("verify", out).exit_code == 0
    assert command("gc", out).exit_code == 0
    assert not [p for p in out.rglob("*") if p.is_file() and TEA[:60].encode() in p.read_bytes()]
