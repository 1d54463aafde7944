"""The documents say what is: pages made from the code are fresh, lists are complete, links lead somewhere."""

import ast
import re
import runpy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.errors import UsageError
from models.outcome import TOTALS
from models.parts import AUDIT, DEAD, PLACES
from models.policy import load_policy
from models.sources import CLEAN, STATES
from models.tag_pass import PRIVATE_SOURCE
from models.tagging import IDENTIFIERS
from pipeline.figures import Figures
from pipeline.report_words import Words

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
CALLS = {"Dead", "_NotARecord", "DamagedError", "bury"}


@pytest.mark.parametrize("name", ["run-file.md", "policy.md", "output-format.md"])
def test_reference_pages_are_what_the_code_says(name: str) -> None:
    generate: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "generate.py"))
    assert (ROOT / "docs" / name).read_text("utf-8") == generate["PAGES"][name](), "run: make docs"


def test_the_page_of_formats_has_every_key_of_manifest_and_summary() -> None:
    page = (ROOT / "docs" / "output-format.md").read_text("utf-8")
    tree = ast.parse((ROOT / "pipeline" / "publish.py").read_text("utf-8"))
    made = next(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "manifest"
        if isinstance(node.value, ast.Dict)
    )
    keys = {key.value for key in made.keys if isinstance(key, ast.Constant)} | {f.name for f in fields(Figures)}
    assert len(keys) > 20
    assert not {key for key in keys if f"`{key}`" not in page}


def error_classes() -> Iterator[str]:
    """Give every error class that code in ``models`` names where it makes a dead letter."""
    for path in (ROOT / "models").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            named = node.args if name in CALLS else [word.value for word in node.keywords if word.arg == "error"]
            for each in named:
                value = each.value if isinstance(each, ast.Constant) else None
                if isinstance(value, str) and re.fullmatch(r"[a-z]+(_[a-z]+)*", value):
                    yield value


def test_every_class_of_dead_letter_has_its_section() -> None:
    page = (ROOT / "docs" / "dead-letters.md").read_text("utf-8")
    classes = set(error_classes())
    assert {"bad_json", "truncated", "tagger_error", "redaction_failed"} <= classes
    assert set(re.findall(r"^## `(\w+)`", page, re.M)) == classes


def test_every_column_and_place_of_the_output_is_described() -> None:
    page = (ROOT / "docs" / "read-the-output.md").read_text("utf-8")
    for word in (*AUDIT.names, *AUDIT.field("reasons").type.value_type.names, *DEAD.names, *TOTALS):
        assert f"`{word}`" in page, word
    assert all(f"{place}/" in page for place in PLACES)


def test_commits_are_checked_by_the_ruff_of_the_lock_file() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    locked = re.search(r"^ruff==(\S+)", (ROOT / "requirements.lock").read_text("utf-8"), re.M)
    assert locked is not None
    assert f"ruff-pre-commit\n    rev: v{locked[1]}\n" in hooks


def without_code(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)


def anchors(page: Path) -> set[str]:
    """Return what the headings of a page are called in links, by GitHub's rule."""
    found: list[str] = []
    for heading in re.findall(r"^#{1,6} (.*)$", without_code(page), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
        name = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.append(name if name not in found else f"{name}-{found.count(name)}")
    return set(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)", without_code(page)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        there = page.parent / path if path else page
        assert there.exists(), target
        assert not heading or there.suffix != ".md" or heading in anchors(there), target


def test_headings_of_results_have_no_dates_which_would_break_links_to_them() -> None:
    assert not re.findall(r"^#.*20\d\d-", (ROOT / "docs" / "results.md").read_text("utf-8"), re.M)


@pytest.mark.parametrize("page", ["docs/write-a-policy.md", "CONTRIBUTING.md", "models/strict.py"])
def test_a_mistake_that_is_quoted_is_told_so(page: str, tmp_path: Path) -> None:
    quoted = re.search(r"`((\w+\.yaml): rules\[2\].*?\?)`", (ROOT / page).read_text("utf-8"))
    assert quoted is not None
    wrong = yaml.safe_load((ROOT / "configs" / "policies" / "cn-tc260-003.yaml").read_text("utf-8"))
    wrong["rules"][2]["match"] |= {"at_lest_score": wrong["rules"][2]["match"].pop("at_least_score", 0.5)}
    path = tmp_path / quoted[2]
    path.write_text(yaml.safe_dump(wrong), "utf-8")
    with pytest.raises(UsageError) as caught:
        load_policy(str(path))
    assert str(caught.value).replace(f"{tmp_path}/", "") == quoted[1]


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("read-the-output.md", [f"`{state}`" for state in STATES]),
        ("read-the-output.md", [f"`source:{state}`" for state in STATES if state != CLEAN]),
        ("read-the-output.md", [f"`{field}`" for field in IDENTIFIERS]),
        ("run-your-shards.md", [f"`{PRIVATE_SOURCE}`", "`key_env"]),
        ("sources-and-the-limit.md", [f"`{PRIVATE_SOURCE}`"]),
    ],
)
def test_a_page_names_all_that_there_are(page: str, words: list[str]) -> None:
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert not [word for word in words if word not in text]


def test_the_page_on_the_report_has_every_section() -> None:
    page = (ROOT / "docs" / "read-the-report.md").read_text("utf-8")
    tree = ast.parse((ROOT / "pipeline" / "report.py").read_text("utf-8"))
    made = next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == "_sections")
    listed = next(node.value for node in ast.walk(made) if isinstance(node, ast.Return))
    assert isinstance(listed, ast.List)
    keys = [each.elts[0].value for each in listed.elts if isinstance(each, ast.Tuple)]  # type: ignore[attr-defined]
    assert len(keys) > 15
    said = Words("en")
    rows = tuple(name for row in re.findall(r"^\| (.*?) \|", page, re.M) for name in row.split(", "))
    assert not [key for key in keys if not said.plain(f"{key}.title").startswith(rows)]


def test_the_page_on_airflow_has_the_example_and_every_key() -> None:
    page = (ROOT / "docs" / "airflow.md").read_text("utf-8")
    example = (ROOT / "deploy" / "airflow" / "winnow_nightly.yaml").read_text("utf-8")
    assert example.partition("\n")[2] in page
    dag = ast.parse((ROOT / "dags" / "winnow_nightly.py").read_text("utf-8"))
    nightly = next(node for node in dag.body if isinstance(node, ast.ClassDef) and node.name == "Nightly")
    keys = {
        node.target.id for node in nightly.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert len(keys) > 15
    told = {key for row in re.findall(r"^\| (`.*?) \|", page, re.M) for key in re.findall(r"`(\w+)`", row)}
    assert not keys - told
