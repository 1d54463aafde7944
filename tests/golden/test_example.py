"""The example corpus end to end: what ``examples/expected.json`` says is what comes out."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import AS_OF, Cli, audit, contents, manifest, shard_of, unpacked

from models.policy import ACTIONS, load_policy
from models.purge import PURGE
from models.taggers import BUILT_IN
from models.verdicts import DOORS
from pipeline.config import Settings, from_options, read_run_file
from pipeline.figures import Figures
from pipeline.launch import launch, prepare
from pipeline.report import PAGES, render_report

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "examples" / "corpus"
EXPECTED: dict[str, Any] = json.loads((ROOT / "examples" / "expected.json").read_text("utf-8"))
WRONG = {
    "bad JSON": "bad_json",
    "truncated object": "bad_json",
    "bad UTF-8": "bad_encoding",
    "text is a number": "wrong_type",
    "no text": "no_text",
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus, screened as without a run file."""
    folder = tmp_path_factory.mktemp("example") / "out"
    settings = from_options({"inputs": (str(CORPUS),), "output": str(folder), "workers": 1, "as_of": AS_OF})
    launch(prepare(settings), to_publish=True)
    return folder


def test_sources_are_counted_and_judged_as_expected(out: Path) -> None:
    found = {row["source"]: row for row in pq.read_table(out / "sources.parquet").to_pylist()}
    assert found.keys() == EXPECTED["sources"].keys()
    for name, facts in EXPECTED["sources"].items():
        row = found[name]
        assert (row["state"], row["read"], row["distinct"], row["unlawful"]) == (
            facts["state"],
            facts["records"],
            facts["distinct"],
            facts["unlawful"],
        ), name


def test_every_record_and_every_malformed_line_is_counted(out: Path) -> None:
    counts, totals = manifest(out)["counts"], EXPECTED["totals"]
    assert counts["read"] == totals["records"] + totals["malformed"]
    assert counts["dead"] == totals["malformed"]
    assert counts["read"] == sum(counts[door] for door in ("clean", "quarantined", "dropped", "dead"))


def test_malformed_lines_are_dead_letters_where_they_stand(out: Path) -> None:
    found = contents(out)
    for shard, facts in EXPECTED["shards"].items():
        data = unpacked(CORPUS / shard) if not shard.endswith(".parquet") else b""
        letters = [(data[: each["position"]].count(b"\n") + 1, each["error"]) for each in found[shard].get("dead", [])]
        assert letters == [(bad["line"], WRONG[bad["wrong"]]) for bad in facts["malformed"]], shard


def test_records_of_a_source_that_is_not_clean_are_in_quarantine(out: Path) -> None:
    for shard, places in contents(out).items():
        for each in places.get("clean", []):
            record = each if isinstance(each, dict) else json.loads(each)
            name = record.get("source") or re.sub(r"^https?://([^/]+).*", r"\1", record["url"])
            assert EXPECTED["sources"][name]["state"] == "clean", (shard, record)


def test_the_blacklist_names_the_bad_and_the_held(out: Path) -> None:
    blacklist = json.loads((out / "blacklist.json").read_text("utf-8"))
    for state in ("blacklisted", "hold"):
        wanted = sorted(name for name, facts in EXPECTED["sources"].items() if facts["state"] == state)
        assert [entry["key"] for entry in blacklist[state]] == wanted
    (flyers,) = [entry for entry in blacklist["blacklisted"] if entry["key"] == "flyers.example"]
    assert (flyers["share"], flyers["n"], flyers["since"]) == ("6/100", 100, AS_OF)


def test_explain_answers_for_every_door(out: Path, cli: Cli) -> None:
    rows = audit(out)

    def place(row: dict[str, Any]) -> str:
        return f"{row['shard']}#{row['position']}"

    kept = next(row for row in rows if row["action"] == "keep")
    redacted = next(row for row in rows if row["action"] == "redact")
    ruled = next(row for row in rows if row["door"] == "quarantine" and row["reasons"][0]["tagger"])
    sourced = next(
        row
        for row in rows
        if row["door"] == "quarantine" and len(row["reasons"]) == 1 and not row["reasons"][0]["tagger"]
    )
    dead = next(row for row in rows if row["door"] == "dead")
    wanted = {
        place(kept): "clean in release 1",
        place(redacted): "clean (redact) in release 1",
        place(ruled): f"rule {ruled['reasons'][0]['policy_rule']}: {ruled['reasons'][0]['category']}",
        place(sourced): f"quarantine by {sourced['reasons'][0]['policy_rule']}",
        place(dead): f"error: {dead['error']}",
    }
    for name, said in wanted.items():
        code, told, errors = cli("explain", out, name)
        assert (code, errors) == (0, "")
        assert said in told, told
        assert "policy cn-tc260-003@" in told
    code, told, _ = cli("explain", out, ruled["id"], "--json")
    assert code == 0
    facts = json.loads(told)
    assert (facts["shard"], facts["position"], facts["audit"]["door"]) == (
        ruled["shard"],
        ruled["position"],
        "quarantine",
    )
    assert (out / facts["file"]).is_file()
    code, _, errors = cli("explain", out, "no such id")
    assert (code, "no record 'no such id'" in errors) == (1, True)


def test_explain_finds_a_kept_record_by_its_id(out: Path, cli: Cli) -> None:
    shard, record = next(
        (shard, json.loads(places["clean"][5])) for shard, places in contents(out).items() if shard == "web-00.jsonl"
    )
    code, said, _ = cli("explain", out, record["id"])
    assert code == 0
    assert f"{shard} at " in said
    assert re.search(rf"file: clean/{re.escape(shard)}-\d+-of-\d+", said)


def test_the_release_verifies_and_lists_its_files(out: Path, cli: Cli) -> None:
    code, said, _ = cli("verify", out)
    assert code == 0
    assert "3,913 records" in said
    code, said, _ = cli("files", out, "clean")
    listed = {Path(name) for name in said.split()}
    assert {
        shard_of(path.relative_to((out / "clean").resolve().parent / "clean").as_posix()) for path in listed
    } == set(EXPECTED["shards"])
    assert all(path.is_file() for path in listed)


@pytest.mark.parametrize("language", PAGES)
def test_the_report_is_one_page_and_holds_nobodys_text(out: Path, cli: Cli, language: str) -> None:
    code, said, _ = cli("report", out, "--language", language)
    assert code == 0
    page = Path(said.strip()).read_text("utf-8")
    assert page == (out / PAGES[language]).read_text("utf-8")
    assert "3,913" in page
    assert "flyers.example" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page), "something is fetched"
    known = [row["text"] if "text" in row else row["content"] for row in all_records()]
    assert len(known) == EXPECTED["totals"]["records"]
    for text in known:
        for start in range(0, max(1, len(text) - 24), 400):
            piece = text[start : start + 24].strip()
            assert len(piece) < 12 or piece not in page


@pytest.mark.parametrize("language", PAGES)
def test_the_report_can_be_made_again_from_the_files_of_the_release(out: Path, language: str) -> None:
    made, figures = manifest(out), json.loads((out / "summary.json").read_text("utf-8"))
    sources = pq.read_table(out / "sources.parquet")
    page = render_report(made | made["job"], sources, Figures.from_dict(figures), language)
    assert page == (out / PAGES[language]).read_text("utf-8")


def test_every_record_has_a_language_and_most_are_chinese_or_english(out: Path) -> None:
    counts, languages = manifest(out)["counts"], manifest(out)["languages"]
    assert sum(each["records"] for each in languages.values()) == EXPECTED["totals"]["records"]
    assert languages["zh"]["records"] + languages["en"]["records"] > counts["read"] * 9 // 10


def all_records() -> list[dict[str, Any]]:
    found = []
    for shard in EXPECTED["shards"]:
        if shard.endswith(".parquet"):
            found += pq.read_table(CORPUS / shard).to_pylist()
            continue
        for line in unpacked(CORPUS / shard).splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row.get("text", row.get("content")), str):
                found.append(row)
    return found


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus with every tagger, as by ``make run``."""
    folder = tmp_path_factory.mktemp("everything") / "out"
    settings = read_run_file(ROOT / "examples" / "run.yaml")
    changed = settings.file.model_copy(update={"output": str(folder), "workers": 1})
    launch(prepare(Settings(changed, settings.folder, settings.name)), to_publish=True)
    return folder


def reasons(out: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return every row of the audit with each of its reasons."""
    return [(row, reason) for row in audit(out) for reason in row["reasons"] or ()]


def test_one_run_exercises_every_tagger_door_rule_and_action(everything: Path) -> None:
    found = reasons(everything)
    rules = {rule.id for rule in load_policy("cn-tc260-003").rules}
    assert {reason["tagger"] for _, reason in found} - {None} == set(BUILT_IN)
    assert {reason["policy_rule"] for _, reason in found} == rules | {"source:blacklisted", "source:hold"}
    assert {reason["action"] for _, reason in found} == set(ACTIONS)
    assert {row["door"] for row in audit(everything)} == set(DOORS)
    assert [row["door"] for row in audit(everything) if row.get("sha256")] == ["dropped"]


def test_the_report_tells_what_became_of_records_as_the_audit_has_it(everything: Path) -> None:
    wanted: Counter[str] = Counter()
    for row in audit(everything):
        found = {reason["category"] or reason["policy_rule"] for reason in row["reasons"] or ()}
        found |= {PURGE} if row.get("sha256") and row["door"] == "dropped" else set()
        wanted.update(f"{category}\t{row['action']}" for category in found)
    summary = json.loads((everything / "summary.json").read_text("utf-8"))
    assert summary["fates"] == wanted
    assert wanted["source:hold\tdrop"] == 60
    assert len({key for key in wanted if key.startswith("personal.cn_mobile")}) == 3
    page = (everything / "report.html").read_text("utf-8")
    rows = dict(re.findall(r"<code><bdi[^>]*>(personal\.\w+)</bdi></code></small></th>(.*?)<td class=\"plot\"", page))
    shown = {
        f"{category}\t{fate}": int(n)
        for category, cells in rows.items()
        for fate, n in zip(("redact", "quarantine", "drop"), re.findall(r">(\d+)</td>", cells), strict=True)
    }
    assert {key: n for key, n in shown.items() if n} == {k: n for k, n in wanted.items() if k.startswith("personal.")}


@pytest.mark.parametrize("name", PAGES.values())
def test_every_rule_and_category_of_the_audit_stands_in_the_report(everything: Path, name: str) -> None:
    page = (everything / name).read_text("utf-8")
    names = set(re.findall(r"<code><bdi class=\"name\">([^<]*)</bdi></code>", page))
    found = reasons(everything)
    assert {reason["policy_rule"] for _, reason in found} <= names
    assert {reason["category"] for _, reason in found if reason["category"]} <= names
    applied = {
        (reason["policy_rule"], reason["action"], reason["tagger"] or "", row["shard"], row["position"])
        for row, reason in found
    }
    wanted = Counter("\t".join(key[:3]) for key in applied) | Counter({f"{PURGE}\tdrop\tblocked": 1})
    assert json.loads((everything / "summary.json").read_text("utf-8"))["applied"] == wanted


def test_explain_tells_one_of_each_rule_and_tagger(everything: Path, cli: Cli) -> None:
    one_of_each = {
        (reason["policy_rule"], reason["tagger"]): f"{row['shard']}#{row['position']}"
        for row, reason in reasons(everything)
    }
    assert len(one_of_each) >= 20
    for (rule, tagger), place in one_of_each.items():
        code, said, errors = cli("explain", everything, place)
        assert (code, errors) == (0, "")
        assert (f"by rule {rule}: " if tagger else f"by {rule}") in said
        assert tagger is None or f"tagger {tagger} " in said
    (purged,) = [row for row in audit(everything) if row.get("sha256")]
    code, said, _ = cli("explain", everything, f"{purged['shard']}#{purged['position']}")
    assert (code, purged["sha256"] in said) == (0, True)


def test_the_readme_shows_what_the_run_gives(everything: Path, cli: Cli) -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\S+\.example) \|(.*)\|$", page, re.M)
    table = {row["source"]: row for row in pq.read_table(everything / "sources.parquet").to_pylist()}
    assert [name for name, _ in rows] == sorted(table)
    for name, cells in rows:
        shown = [cell.strip() for cell in cells.split("|")]
        row = table[name]
        share = f"{100 * row['unlawful'] / row['distinct']:.2f} %"
        wanted = [row["read"], row["distinct"], row["unlawful"], share, row["state"]]
        assert shown == [*map(str, wanted), *(str(row[door]) for door in ("clean", "quarantine", "dropped"))], name
    counts = manifest(everything)["counts"]
    for door in ("clean", "quarantined", "dropped", "dead", "read"):
        assert f"{counts[door]:,}" in page
    (shown_id, said) = re.findall(r"winnow explain out (\S+)\n(.*?)```", page, re.S)[0]
    assert cli("explain", everything, shown_id)[1] == said


def test_the_whole_run_verifies_and_its_report_shows_what_it_found(everything: Path, cli: Cli) -> None:
    assert cli("verify", everything)[0] == 0
    for name in ("report.html", "report.zh.html"):
        page = (everything / name).read_text("utf-8")
        for word in ("harbour-lamp", "lane-lamps", "A.2.e", "flyers.example", "tiny-ads.example"):
            assert word in page, (name, word)
