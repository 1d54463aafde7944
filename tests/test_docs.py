"""The documents say what is: pages made from the code are fresh, lists are complete, links lead somewhere."""

import ast
import re
import runpy
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from models.outcome import TOTALS
from models.parts import AUDIT, DEAD, PLACES
from pipeline.figures import Figures

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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert "://" in target or (page.parent / target).exists(), target


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
