"""Clauses: each is said something of, none is met without evidence, and what figures show not to be met nobody makes met."""

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from models.clauses import CHECKS, Facts, KindFacts, Reviewed, concluded, overall, show
from models.composition import Composition, Part
from models.instruments import (
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    NOT_SHOWN,
    OPEN,
    PEOPLE,
    STATUSES,
    Answer,
    load_instrument,
)
from models.taxonomy import load_taxonomy
from pipeline.document_form import MESSAGES
from pipeline.report_words import messages, places

INSTRUMENT = load_instrument("tc260-003")
RISKS = load_taxonomy().ids
POLICY: dict[str, Any] = {"limit": "1/20", "reading": "literal", "basis": "detector"}


def facts(**changed: Any) -> Facts:
    """Return the facts of an empty release, with some changed; those of the job by ``job``."""
    job = {"policy": POLICY, "taggers": {}, "sample": "", "source_from": "auto", "coverage": {}}
    job |= changed.pop("job", {})
    counts = dict.fromkeys(("read", "clean", "redacted", "quarantined", "dropped", "dead"), 0)
    manifest = {"job": job, "counts": counts, "withdrawals": [], "as_of": "2026-03-10", "release": 7}
    empty = Facts(manifest, {}, {}, Composition({}, Part(), {}), [], 2, None, {}, {}, {}, 0, None, Reviewed())
    return replace(empty, **changed)


WHOLE = Part(3, 30, 300, 300, ("a", 10), {}, {"domestic": [2, 20, 200], "foreign": [1, 10, 100]})
ALL = {
    "taggers": dict.fromkeys(("lexicon", "category", "provenance", "blocked", "personal", "fingerprint"), "d" * 64),
    "coverage": dict.fromkeys(RISKS, ("category:m", "lexicon:l")),
    "keywords": {"distinct": 10_000, "by_category": dict.fromkeys(RISKS, 200), "lists": [["l", "d"]]},
}
HUMAN: dict[str, Any] = {
    "sample": "R0001",
    "release": 7,
    "drawn": 4_000,
    "population": 90_000,
    "allowed": 160,
    "bad": 160,
    "complete": True,
    "final": 4_000,
    "tasks": 4_000,
    "agreement": [{"kappa": 0.8}],
}
TECHNICAL: dict[str, Any] = {
    "check": "R0002",
    "release": 7,
    "checked": 9_000,
    "population": 90_000,
    "allowed": 180,
    "bad": 180,
    "detector": {"taggers": {"lexicon": "e" * 64}},
    "in_common": [],
}


def with_tests(human: dict[str, Any] | None = None, technical: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return both tests of this release, with some of their facts changed."""
    return {"reviews": Reviewed([HUMAN | (human or {})], [TECHNICAL | (technical or {})])}


BEST: dict[str, Any] = {
    **with_tests(),
    "job": ALL,
    "composition": Composition({"zh": WHOLE}, WHOLE, {}),
    "judged": ["zh"],
    "states": {"clean": (3, 30)},
    "assessed": {True: 3},
    "by_kind": {kind: KindFacts(1) for kind in ("open", "self_collected", "user_input", "commercial")},
    "band": (Fraction(0), Fraction(1, 2)),
    "categories": {"blocked.host\tdrop": 4},
    "keyword_since": (4, "2026-03-05", True),
}


def status(clause: str, found: Facts) -> str:
    return show(next(each for each in INSTRUMENT.clauses if each.id == clause), found).status


def test_every_clause_is_shown_by_something_that_there_is() -> None:
    assert {each.shown_by for each in INSTRUMENT.clauses} == {*CHECKS, PEOPLE}
    expected = [f"S{n}" for n in range(1, 11)] + [f"C{n}" for n in range(1, 8)] + [f"A{n}" for n in range(1, 9)]
    expected += [f"K{n}" for n in range(1, 5)] + [f"E{n}" for n in range(1, 4)] + ["R1"]
    assert [each.id for each in INSTRUMENT.clauses] == expected


@pytest.mark.parametrize("clause", INSTRUMENT.clauses, ids=lambda clause: clause.id)
def test_no_clause_is_met_without_evidence(clause: Any) -> None:
    assert show(clause, facts()).status in (NOT_SHOWN, OPEN)
    best = show(clause, facts(**BEST))
    assert best.status in STATUSES
    assert best.evidence or best.status == OPEN
    trial = show(clause, facts(**BEST | {"job": ALL | {"sample": "the first 10 records"}}))
    assert trial.status not in (MET, NOT_APPLICABLE)


MET_AT_BEST = ("S1", "S2", "S3", "S4", "S5", "S7", "S9", "S10", "C1", "K1", "K2", "K3", "K4", "E1", "E2", "E3")
VIOLATED: dict[str, dict[str, Any]] = {
    "S1": {"assessed": {True: 2, False: 1}},
    "S2": {"states": {"clean": (2, 20), "blacklisted": (1, 10)}},
    "S3": {"composition": Composition({"zh": replace(WHOLE, sources=1)}, WHOLE, {})},
    "S4": {"band": (Fraction(0), Fraction(1, 4))},
    "S5": {"ended": 1},
    "S7": {"categories": {"provenance.refused\tkeep": 1}},
    "S9": {"ended": 1},
    "S10": {"categories": {"blocked.host\tdrop": 4, "blocked.url\tkeep": 1}},
    "C1": {"categories": {"unscanned\tkeep": 1}},
    "K1": {"job": ALL | {"keywords": {"distinct": 9_999, "by_category": {}, "lists": []}}},
    "K2": {"job": ALL | {"keywords": {"distinct": 9, "by_category": dict.fromkeys(RISKS, 199), "lists": []}}},
    "K3": {"keyword_since": (4, "2026-03-02", True)},
    "K4": {"job": ALL | {"coverage": dict.fromkeys(RISKS, ("lexicon:l",))}},
    "E1": with_tests(human={"bad": 161}),
    "E2": with_tests(technical={"bad": 181}),
    "E3": {"job": ALL | {"coverage": dict.fromkeys(RISKS, ("lexicon:l",))}},
}
UNSHOWN: dict[str, dict[str, Any]] = {
    "S1": {"assessed": {True: 2, None: 1}},
    "S2": {"job": ALL | {"coverage": dict.fromkeys(RISKS, ("lexicon:l",)) | {"A.4.g": ()}}},
    "S3": {"judged": []},
    "S4": {"composition": Composition({}, replace(WHOLE, origins={"unknown": [1, 1, 1]}), {})},
    "S5": {"by_kind": {"open": KindFacts(1, {"licence": 1})}},
    "S7": {"by_kind": {"self_collected": KindFacts(1), "unknown": KindFacts(1)}},
    "S9": {"job": ALL | {"taggers": {}}},
    "S10": {"categories": {}},
    "C1": {"job": ALL | {"coverage": dict.fromkeys(RISKS, ("lexicon:l",)) | {"A.1.a": ()}}},
    "K3": {"keyword_since": (1, "2026-03-09", False)},
    "E1": with_tests(human={"complete": False, "final": 3_999}),
    "E2": with_tests(technical={"in_common": ["tagger lexicon"]}),
}


@pytest.mark.parametrize(
    ("human", "technical", "expected"),
    [
        ({"release": 6}, {"release": 6}, (NOT_SHOWN, NOT_SHOWN)),
        ({"drawn": 3_999}, {"checked": 8_999}, (NOT_SHOWN, NOT_SHOWN)),
        ({"drawn": 30, "population": 30, "bad": 1, "allowed": 1}, {}, (MET, MET)),
        # What is still open cannot make up for it.
        ({"complete": False, "final": 200, "bad": 161}, {}, (NOT_MET, MET)),
    ],
)
def test_only_a_whole_test_of_this_very_release_counts(
    human: dict[str, Any], technical: dict[str, Any], expected: tuple[str, str]
) -> None:
    found = facts(**BEST | with_tests(human, technical))
    assert (status("E1", found), status("E2", found)) == expected


def test_one_test_that_failed_counts_however_often_others_pass() -> None:
    found = facts(**BEST | {"reviews": Reviewed([HUMAN | {"bad": 161}, HUMAN], [TECHNICAL, TECHNICAL | {"bad": 999}])})
    assert (status("E1", found), status("E2", found)) == (NOT_MET, NOT_MET)


def test_what_is_shown_is_met() -> None:
    assert tuple(each.id for each in INSTRUMENT.clauses if status(each.id, facts(**BEST)) == MET) == MET_AT_BEST
    assert set(VIOLATED) == set(MET_AT_BEST)


@pytest.mark.parametrize("clause", VIOLATED)
def test_a_violated_clause_is_not_met(clause: str) -> None:
    assert status(clause, facts(**BEST | VIOLATED[clause])) == NOT_MET


@pytest.mark.parametrize("clause", UNSHOWN)
def test_what_evidence_is_missing_of_is_not_shown(clause: str) -> None:
    assert status(clause, facts(**BEST | UNSHOWN[clause])) == NOT_SHOWN


def test_an_answer_fills_what_is_open_and_softens_nothing() -> None:
    def says(said: Any) -> Answer:
        return Answer(status=said, by="L. Chen", day=date(2026, 3, 1), evidence="file 7")

    for shown in STATUSES:
        assert concluded(shown, None) == shown
        assert concluded(shown, says(NOT_MET)) == NOT_MET
        for said in (MET, NOT_APPLICABLE):
            expected = said if shown in (OPEN, NOT_SHOWN) else shown
            assert concluded(shown, says(said)) == expected


def test_should_clauses_do_not_change_the_overall_conclusion() -> None:
    met = {each.id: MET for each in INSTRUMENT.clauses}
    assert overall(INSTRUMENT, met) == "all"
    assert overall(INSTRUMENT, met | dict.fromkeys(("K1", "K2", "K3", "C5", "A8"), NOT_MET)) == "all"
    assert overall(INSTRUMENT, met | {"K4": NOT_MET}) == "part"
    assert overall(INSTRUMENT, dict.fromkeys(met, NOT_MET)) == "none"
    assert overall(INSTRUMENT, met | {"S1": NOT_SHOWN, "S2": NOT_MET}) == "open"
    assert overall(INSTRUMENT, met | {"S8": NOT_APPLICABLE}) == "all"


def test_every_message_is_there_in_both_languages_with_the_same_places() -> None:
    for key, message in messages(MESSAGES).items():
        assert set(message) == {"en", "zh"}, key
        assert places(message["en"]) == places(message["zh"]), key
