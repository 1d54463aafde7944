"""Coverage: every risk of the taxonomy is told, with what covers it, or as covered by nothing."""

from pathlib import Path

from small_models import make_model

from models.coverage import coverage, coverage_in_words
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
