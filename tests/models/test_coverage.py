"""Coverage: every risk of the taxonomy is told, with what covers it, or as covered by nothing."""

from pathlib import Path

import pytest
from conftest import write_list
from small_models import make_model

from models.coverage import coverage, coverage_in_words, unheard
from models.errors import UsageError
from models.job import Job
from models.taxonomy import load_taxonomy
from pipeline.config import from_options, make_job


def covered_by(taggers: dict[str, object]) -> dict[str, tuple[str, ...]]:
    return coverage(make_job(from_options({"inputs": ("none",), "output": "none", "taggers": taggers})))


def test_every_risk_is_told_with_the_lists_and_models_that_cover_it(tmp_path: Path) -> None:
    covered = covered_by(
        {"lexicon": {"lists": ["illustrative"]}, "personal": {}, "category": {"models": [make_model(tmp_path / "m")]}}
    )
    assert tuple(covered) == load_taxonomy("tc260-003").ids
    assert "category:small" in covered["A.4.c"]
    assert covered["A.1.h"] == ("lexicon:illustrative",)
    lines = coverage_in_words(covered)
    [without_model] = [line for line in lines if line.startswith("no model covers ")]
    [nothing] = [line for line in lines if line.startswith("nothing covers ")]
    assert without_model.startswith("no model covers 30 of 31 risks")
    assert "A.4.c" not in without_model
    assert all((risk in nothing.split(": ")[1].split(", ")) == (not names) for risk, names in covered.items())


def test_without_lists_and_models_nothing_is_covered() -> None:
    assert set(covered_by({"personal": {}}).values()) == {()}


def _with_list(folder: Path, category: str) -> Job:
    write_list(folder, {"river": category})
    return make_job(
        from_options({"inputs": ("none",), "output": "none", "taggers": {"lexicon": {"lists": [str(folder)]}}})
    )


def test_a_list_of_a_risk_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lexicon: typo: category 'A\.1\.z' names no risk of tc260-003"):
        _with_list(tmp_path / "typo", "A.1.z")


def test_what_no_rule_looks_at_is_named(tmp_path: Path) -> None:
    assert unheard(_with_list(tmp_path / "own", "Z.9.z")) == ["lexicon:own: Z.9.z"]
    assert unheard(_with_list(tmp_path / "risk", "A.1.a")) == []
