"""States of sources by the interval reading: the boundaries, what is never milder, and what a gate lets through."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UsageError
from models.intervals import Calibration
from models.source_reading import SourceReading
from models.source_rule import (
    BASES,
    BLACKLISTED,
    CLEAN,
    HOLD,
    NOT_MANUAL,
    STATES,
    WATCH,
    Audit,
    Blacklist,
    Evidence,
    Judgement,
    judge,
)
from models.strict import parse

INTERVAL = SourceReading(reading="interval")


def audited(*sources: Any, **more: Any) -> Evidence:
    """Return evidence of sources, each given as (records, unlawful, audited) of its strata."""
    sizes, unlawful, seen = (np.array([[stratum[i] for stratum in each] for each in sources]) for i in range(3))
    records = sizes.sum(axis=1)
    return Evidence(records, np.zeros_like(records), audit=Audit(sizes, seen, unlawful), **more)


def single(k: int, n: int, **more: Any) -> Evidence:
    return audited([(10 * n, k, n)], **more)


def named(found: Judgement) -> list[str]:
    return [STATES[code] for code in found.state.tolist()]


def state(evidence: Evidence, reading: SourceReading = INTERVAL, **more: Any) -> str:
    return named(judge(evidence, reading, **more))[0]


# TC260-003 reading; measured tables: verdicts, clean if at most, blacklisted from (one look), blacklisted from (every night).
@pytest.mark.parametrize(
    ("n", "clean", "once", "nightly"),
    [
        *[(73, 0, 8, 10), (100, 0, 10, 12), (200, 3, 17, 20), (400, 11, 29, 34), (1_000, 36, 64, 71)],
        *[(2_000, 80, 120, 130), (4_000, 172, 228, 242), (10_000, 457, 543, 566)],
    ],
)
def test_states_of_every_count_are_those_of_the_table(n: int, clean: int, once: int, nightly: int) -> None:
    reading = INTERVAL.model_copy(update={"min_audited": n})
    k = np.arange(n + 1)
    evidence = audited(*[[(n, each, n)] for each in k.tolist()])
    for look, least in (("review", once), ("nightly", nightly)):
        expected = np.where(k >= least, BLACKLISTED, np.where(k <= clean, CLEAN, np.where(20 * k > n, HOLD, WATCH)))
        assert np.array_equal(judge(evidence, reading, look=look).state, expected), look


def test_exactly_the_limit_is_watched_and_one_more_is_held() -> None:
    assert (state(single(50, 1000)), state(single(51, 1000))) == ("watch", "hold")


def test_too_few_verdicts_or_an_unseen_stratum_are_insufficient() -> None:
    assert state(single(399, 399)) == "insufficient"
    assert state(single(0, 400)) == "clean"
    assert state(audited([(9_900, 0, 4_000), (100, 0, 0)])) == "clean"  # exactly 1 % without a verdict
    assert state(audited([(9_899, 0, 4_000), (101, 0, 0)])) == "insufficient"


def test_an_unseen_stratum_may_be_unlawful_throughout() -> None:
    assert state(audited([(99_100, 3_700, 90_000), (900, 0, 0)])) == "watch"
    assert state(audited([(100_000, 3_700, 90_000)])) == "clean"


def test_the_worked_two_phase_source_is_watched() -> None:
    # TC260-003 reading; measured tables.
    found = judge(audited([(71_000, 360, 600), (929_000, 11, 1_400)]), INTERVAL, look="review")
    assert (named(found), BASES[found.basis[0]]) == (["watch"], "audit")
    assert round(float(found.interval.share[0]), 4) == 0.0499


def test_clusters_make_verdicts_fewer() -> None:
    assert state(single(11, 400)) == "clean"
    assert state(single(11, 400, cluster=np.array([2.0]))) == "watch"
    assert state(single(34, 400)) == "blacklisted"
    assert state(single(34, 400, cluster=np.array([20.0]))) == "hold"


@pytest.mark.parametrize(
    ("k", "characters", "expected"),
    [
        *[(0, 0.01, "clean"), (0, 0.05, "clean"), (0, 0.06, "watch"), (0, np.nan, "clean")],
        *[(200, 0.2, "blacklisted"), (200, 0.01, "hold"), (200, np.nan, "blacklisted")],
    ],
)
def test_characters_on_the_other_side_leave_it_open(k: int, characters: float, expected: str) -> None:
    assert state(single(k, 400, by_characters=np.array([characters]))) == expected


def test_the_latest_batch_counts_if_it_is_worse_and_can_be_judged() -> None:
    good, bad = single(0, 4_000), single(200, 400)
    worst = INTERVAL.model_copy(update={"latest_batch": "worst"})
    assert state(good, worst, latest=bad) == "blacklisted"
    assert state(bad, worst, latest=good) == "blacklisted"
    assert state(good, worst, latest=single(15, 400)) == "watch"
    assert state(good, worst, latest=single(100, 100)) == "clean"
    assert state(good, latest=bad) == "clean"


def test_a_source_leaves_the_blacklist_only_by_new_data_far_enough_below_or_by_hand() -> None:
    everything, marked = single(60, 4_000), np.array([True])
    assert state(everything) == "clean"
    assert state(everything, before=Blacklist(marked)) == "blacklisted"
    # 4 % of 1,000, z 1.96: the upper limit is within with 27 or fewer.
    assert state(everything, before=Blacklist(marked, single(28, 1_000))) == "blacklisted"
    assert state(everything, before=Blacklist(marked, single(0, 399))) == "blacklisted"
    found = judge(everything, INTERVAL, before=Blacklist(marked, single(27, 1_000)))
    assert (named(found), found.released.tolist(), found.interval.share.tolist()) == (["clean"], [True], [0.027])
    assert state(everything, before=Blacklist(marked), manual=np.array([WATCH], np.uint8)) == "watch"


def test_old_counts_do_not_hold_a_source_that_new_data_cleared() -> None:
    assert state(single(900, 4_000), before=Blacklist(np.array([True]), single(0, 1_000))) == "clean"


def test_an_override_is_named_and_others_are_left_alone() -> None:
    evidence = audited([(400, 0, 400)], [(400, 400, 400)])
    found = judge(evidence, INTERVAL, manual=np.array([NOT_MANUAL, HOLD], np.uint8))
    assert (named(found), [BASES[code] for code in found.basis]) == (["clean", "hold"], ["audit", "manual"])


@pytest.mark.parametrize(
    ("flagged", "expected"), [(0, "insufficient"), (500, "insufficient"), (680, "watch"), (4_000, "hold")]
)
def test_a_classifier_alone_neither_clears_nor_blacklists(flagged: int, expected: str) -> None:
    known = Calibration(850, 1_000, 9_700, 10_000)
    found = judge(Evidence(np.array([10_000]), np.array([flagged]), calibration=known), INTERVAL)
    assert (named(found), BASES[found.basis[0]]) == ([expected], "rogan-gladen")
    assert not found.train.any()


def test_a_refused_classifier_and_none_leave_the_raw_share_and_no_interval() -> None:
    for known in (None, Calibration(60, 100, 60, 100)):
        found = judge(Evidence(np.array([100]), np.array([90]), calibration=known), INTERVAL)
        assert (named(found), BASES[found.basis[0]]) == (["insufficient"], "detector")
        assert [limit.tolist() for limit in found.interval] == [[0.9], [0], [1]]


def test_verdicts_go_before_a_classifier_source_by_source() -> None:
    evidence = Evidence(
        np.array([10_000, 10_000]),
        np.array([9_000, 9_000]),
        audit=Audit(np.full((2, 1), 10_000), np.array([[400], [0]]), np.array([[0], [0]])),
        calibration=Calibration(850, 1_000, 9_700, 10_000),
    )
    found = judge(evidence, INTERVAL)
    assert named(found) == ["clean", "hold"]
    assert [BASES[code] for code in found.basis] == ["audit", "rogan-gladen"]


@pytest.mark.parametrize(
    ("uses", "collect", "train"),
    [
        ({}, "clean", "clean"),
        ({"watch_use": "collect"}, "clean watch", "clean"),
        ({"watch_use": "allow"}, "clean watch", "clean watch"),
        ({"on_insufficient": "collect"}, "clean insufficient", "clean"),
        ({"on_insufficient": "allow", "watch_use": "allow"}, "clean insufficient watch", "clean insufficient watch"),
    ],
)
def test_the_two_gates_open_apart(uses: dict[str, str], collect: str, train: str) -> None:
    evidence = audited(*[[(1_000, k, n)] for k, n in ((0, 1_000), (0, 10), (50, 1_000), (51, 1_000), (500, 1_000))])
    reading = INTERVAL.model_copy(update=uses)
    found = judge(evidence, reading)
    assert named(found) == ["clean", "insufficient", "watch", "hold", "blacklisted"]
    assert {STATES[code] for code in found.state[found.collect]} == set(collect.split())
    assert {STATES[code] for code in found.state[found.train]} == set(train.split())
    probe = judge(evidence, reading, stage="pre")
    assert np.array_equal(probe.collect, found.collect)
    assert not probe.train.any()


STRATUM = st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(n, 3_000), st.integers(0, n), st.just(n)))
READINGS = st.builds(
    lambda least, wide: INTERVAL.model_copy(update={"min_audited": least, "small_stratum": Fraction(wide, 100)}),
    st.sampled_from([1, 73, 200]),
    st.sampled_from([1, 100]),
)


@given(st.lists(STRATUM, min_size=1, max_size=3), READINGS, st.sampled_from(["nightly", "review"]), st.data())
@settings(deadline=None)
def test_one_more_unlawful_record_never_gives_a_milder_state(
    strata: list[tuple[int, int, int]], reading: SourceReading, look: Any, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(strata) - 1))
    size, k, n = strata[at]
    worse = [*strata[:at], (size, min(n, k + 1), n), *strata[at + 1 :]]
    before, after = judge(audited(strata, worse), reading, look=look).state
    assert after >= before


@given(st.integers(400, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(deadline=None)
def test_adding_an_unlawful_record_to_a_full_audit_never_gives_a_milder_state(counts: tuple[int, int]) -> None:
    k, n = counts
    before, after = judge(audited([(10_000, k, n)], [(10_000, k + 1, n + 1)]), INTERVAL).state
    assert after >= before


@given(
    st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))), st.sampled_from([200, 999])
)
@settings(deadline=None)
def test_one_more_flag_never_gives_a_milder_state(counts: tuple[int, int], caught: int) -> None:
    k, n = counts
    evidence = Evidence(np.array([n, n]), np.array([k, k + 1]), calibration=Calibration(caught, 1_000, 960, 1_000))
    for reading in (INTERVAL, SourceReading()):
        before, after = judge(evidence, reading).state
        assert after >= before


@given(st.lists(st.lists(STRATUM, min_size=2, max_size=2), min_size=2, max_size=6), st.data())
@settings(deadline=None)
def test_no_source_depends_on_the_others_of_its_chunk(
    sources: list[list[tuple[int, int, int]]], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(1, len(sources) - 1))
    whole, *parts = (judge(audited(*part), INTERVAL) for part in (sources, sources[:cut], sources[cut:]))
    for name in ("state", "basis", "collect", "train"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))
    for at in range(3):
        pieces = np.concatenate([part.interval[at] for part in parts])
        assert np.array_equal(whole.interval[at], pieces, equal_nan=True)


def test_the_reading_says_its_own_parameters() -> None:
    words = INTERVAL.words
    for said in (
        *("n < 400", "U ≤ 5%", "z=1.96 for a one-off review, z=3 for", "U ≤ 4% on new data"),
        *("95% two-sided (2.5% per side", "73 is the smallest n", "m 20 → 4.8", "that of all counts since"),
    ):
        assert said in words, said
    other = SourceReading(reading="interval", limit=Fraction(3, 100), leave_limit=Fraction(1, 100), min_audited=150)
    assert "n < 150" in other.words
    assert "U ≤ 3%" in other.words
    assert "5%" not in other.words.replace("95%", "").replace("2.5%", "")
    assert "unlawful / distinct > 5%, strictly, from 100" in SourceReading().words


def test_the_page_prints_the_default_reading() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "source-rule.md").read_text("utf-8")
    assert INTERVAL.words in page


@pytest.mark.parametrize(
    "wrong", [{"limit": 0}, {"limit": "3/100"}, {"leave_limit": 0}, {"z_clean": 0}, {"least_informative": 0}]
)
def test_a_reading_that_cannot_be_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        parse(SourceReading, wrong, "policy.yaml")
