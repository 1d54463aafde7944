"""Documents of a real release: every clause in both languages, figures of the tables, and a violated clause is said not to be met."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import MAIL, POLICY, Screen, everyday, manifest

from models.instruments import load_instrument, read_answers
from pipeline.corpus import Corpus
from pipeline.document import KINDS, make
from pipeline.document_facts import Chosen, Gathered, gather
from pipeline.document_form import write

INSTRUMENT = load_instrument("tc260-003")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release whose policy keeps what is blacklisted: 5.1 a is violated."""
    folder = tmp_path_factory.mktemp("documents")
    shards = everyday(folder / "in")
    screen = Screen(folder)
    screen.policy.write_text(POLICY.replace("blacklisted: quarantine", "blacklisted: keep"), "utf-8")
    screen(shards, folder / "out", input_root=str(shards))
    return folder / "out"


@pytest.fixture(scope="module")
def gathered(out: Path) -> Gathered:
    corpus = Corpus(str(out))
    return gather(corpus, corpus.release(), Chosen(), 100)


def text(kind: str, gathered: Gathered, language: str, form: str, answers: Any = None) -> str:
    return write(make(kind, gathered, INSTRUMENT, answers or {}, language, "out"), form)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_clause_stands_in_the_table_with_a_result(gathered: Gathered, language: str) -> None:
    lines = text("clauses", gathered, language, "md").splitlines()
    page = text("clauses", gathered, language, "html")
    for clause in INSTRUMENT.clauses:
        row = next(line for line in lines if line.startswith(f"| {clause.id} |"))
        said = clause.zh if language == "zh" else clause.en
        assert said.replace("\\", "") in row
        assert re.search(r"\| \*\*[^*]+\*\* \|", row)
        assert clause.clause in row
    assert page.count('<span class="state s-') == len(INSTRUMENT.clauses) + 5
    signed = {"en": ["Legal representative"], "zh": ["法定代表人"]}[language]
    assert all(each in page for each in signed)
    assert "GB/T 45654-2025" in page


def test_a_violated_clause_is_not_met_whatever_people_say(gathered: Gathered, tmp_path: Path) -> None:
    path = tmp_path / "answers.yaml"
    said = "{status: met, by: L. Chen, day: 2026-01-02, evidence: file 7}"
    path.write_text(f"answers:\n  S2: {said}\n  C2: {said}\n", "utf-8")
    facts = json.loads(text("clauses", gathered, "en", "json", read_answers(path, INSTRUMENT)))
    statuses = {clause["id"]: clause["status"] for clause in facts["clauses"]}
    assert statuses["S2"] == "not_met"
    assert statuses["C2"] == "met"
    assert facts["overall"] == "open"
    assert all(clause["evidence"] or clause["answer"] for clause in facts["clauses"] if clause["status"] == "met")
    assert "L. Chen" in text("clauses", gathered, "zh", "md", read_answers(path, INSTRUMENT))


def test_figures_are_those_of_the_tables(gathered: Gathered, out: Path) -> None:
    rows = pq.read_table(out / "sources.parquet").to_pylist()
    clean = {
        row["source"]: row["clean"] for row in rows if row["clean"] and row["state"] not in ("hold", "blacklisted")
    }
    diversity = json.loads(text("diversity", gathered, "en", "json"))
    assert (
        diversity["whole"]["records"]
        == sum(clean.values())
        == sum(part["records"] for part in diversity["languages"].values())
    )
    assert diversity["whole"]["sources"] == len(clean)
    assert diversity["refused"] == {"blacklisted": sum(r["clean"] for r in rows if r["state"] == "blacklisted")}
    assert diversity["whole"]["largest"]["records"] == max(clean.values())
    squares, whole = sum(n * n for n in clean.values()), sum(clean.values())
    numerator, denominator = map(int, diversity["whole"]["concentration"].split("/"))
    assert numerator * whole**2 == squares * denominator
    statement = json.loads(text("statement", gathered, "en", "json"))
    assert statement["counts"] == manifest(out)["counts"]
    assert {row["source"]: row["clean"] for row in statement["top_sources"]} == clean


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_documents_are_the_same_each_time_and_hold_no_personal_value(
    gathered: Gathered, kind: str, language: str
) -> None:
    for form in ("md", "html", "json"):
        made = text(kind, gathered, language, form)
        assert made == text(kind, gathered, language, form)
        assert MAIL not in made


def test_the_command_writes_a_document_and_names_mistakes(out: Path, cli: Any, tmp_path: Path) -> None:
    assert cli("document", out, "--kind", "statement", "--to", tmp_path / "s.md")[0] == 0
    assert (tmp_path / "s.md").read_text("utf-8").startswith("# Statement on training data: release 1")
    answers = tmp_path / "answers.yaml"
    answers.write_text("answers: {Z9: {status: met, by: x, day: 2026-01-01, evidence: y}}", "utf-8")
    for given, said in (
        (["--kind", "clause"], "--kind clause: there are clauses"),
        (["--kind", "clauses", "--answers", answers], "answers: no clause 'Z9'"),
        (["--kind", "diversity", "--foreign", "50%-10%"], "the band begins above its end"),
        (["--kind", "diversity", "--release", 7], "no release 7"),
    ):
        code, _, told = cli("document", out, *given)
        assert code == 2
        assert said in told
