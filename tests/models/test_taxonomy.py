"""The 31 risks are those of TC260-003, Appendix A, and the sets nest."""

import pytest

from models.errors import UsageError
from models.strict import parse
from models.taxonomy import Taxonomy, load_taxonomy

TAXONOMY = load_taxonomy()


def test_the_five_sections_have_8_9_5_7_and_2_risks() -> None:
    assert {section.id: len(section.risks) for section in TAXONOMY.sections} == {
        "A.1": 8,
        "A.2": 9,
        "A.3": 5,
        "A.4": 7,
        "A.5": 2,
    }


def test_ids_run_from_a1a_to_a5b_without_a_gap() -> None:
    expected = [f"{section.id}.{'abcdefghi'[n]}" for section in TAXONOMY.sections for n in range(len(section.risks))]
    assert list(TAXONOMY.ids) == expected
    assert (TAXONOMY.ids[0], TAXONOMY.ids[-1], len(set(TAXONOMY.ids))) == ("A.1.a", "A.5.b", 31)


def test_every_risk_has_one_name_of_its_own_in_each_language() -> None:
    risks = [risk for section in TAXONOMY.sections for risk in section.risks]
    assert len({risk.zh for risk in risks}) == len({risk.en for risk in risks}) == 31
    assert all("\u4e00" <= risk.zh[0] <= "\u9fff" and risk.en.isascii() for risk in risks)


def test_sets_have_their_sizes_and_nest() -> None:
    full, unlawful, lexicon = (TAXONOMY.expand([name]) for name in ("FULL31", "UNLAWFUL29", "LEXICON17"))
    assert (len(full), len(unlawful), len(lexicon)) == (31, 29, 17)
    assert lexicon < unlawful < full
    assert full - unlawful == {"A.5.a", "A.5.b"}
    assert unlawful - lexicon == TAXONOMY.expand(["A.3.*", "A.4.*"])


def test_expand_takes_sets_globs_and_ids_and_unites_them() -> None:
    assert TAXONOMY.expand([]) == frozenset()
    assert TAXONOMY.expand(["A.5.*", "A.1.a", "A.1.a"]) == {"A.5.a", "A.5.b", "A.1.a"}


@pytest.mark.parametrize(
    ("name", "near"),
    [("UNLAWFUL92", "UNLAWFUL29"), ("A.1.k", "A.1."), ("A.6.*", "A."), ("A.1", "A.1."), ("personal.*", "")],
)
def test_a_name_of_no_risk_is_refused(name: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        TAXONOMY.expand([name])
    assert str(caught.value).startswith(f"{name!r} names no risk of tc260-003; ")
    assert near in str(caught.value)


def test_patterns_expand_sets_only_and_leave_categories_of_others_alone() -> None:
    assert TAXONOMY.patterns(["personal.*", "A.1.*", "A.1.*"]) == ("A.1.*", "personal.*")
    assert set(TAXONOMY.patterns(["UNLAWFUL29"])) == TAXONOMY.expand(["UNLAWFUL29"])
    for mistake in ("UNLAWFUL92", "A.6.*", "A.1.k"):
        with pytest.raises(UsageError):
            TAXONOMY.patterns([mistake])


def test_an_unknown_taxonomy_is_refused_with_a_near_miss() -> None:
    with pytest.raises(UsageError, match="there is no 'tc260-03'; did you mean 'tc260-003'"):
        load_taxonomy("tc260-03")


@pytest.mark.parametrize(
    ("risks", "sets", "message"),
    [
        (["A.1.a", "A.1.a"], {}, "t: risks: an id is given twice"),
        (["A.2.a"], {}, "t: sections: risk 'A.2.a' does not belong under 'A.1'"),
        (["A.1.a"], {"low": ["A.*"]}, "t: sets: 'low' must be upper-case letters and digits"),
        (["A.1.a"], {"ALL": ["B.*"]}, "t: sets.ALL: 'B.*' matches no risk"),
    ],
)
def test_a_taxonomy_that_contradicts_itself_is_refused(
    risks: list[str], sets: dict[str, list[str]], message: str
) -> None:
    section = {"id": "A.1", "zh": "x", "en": "x", "risks": [{"id": each, "zh": "x", "en": "x"} for each in risks]}
    with pytest.raises(UsageError) as caught:
        parse(Taxonomy, {"taxonomy": "t", "instrument": "t", "sections": [section], "sets": sets}, "t")
    assert str(caught.value) == message
