"""Intervals against the measured tables of the TC260-003 reading, and the laws that decisions lean on."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.intervals import (
    Calibration,
    design_effect,
    is_above,
    is_within,
    moved,
    mover,
    rogan_gladen,
    share_by_characters,
    wilson,
)
from models.operating import chance_of_at_least, expected_blacklistings, least_blacklisted, most_clean
from models.source_reading import SourceReading

LIMIT, Z, Z_NIGHTLY = Fraction("0.05"), Fraction("1.96"), Fraction(3)
COUNTS = st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

# TC260-003 reading; measured tables: verdicts, clean if at most, blacklisted from (one look), blacklisted from (every night).
LOOKS = (
    (73, 0, 8, 10),
    (100, 0, 10, 12),
    (200, 3, 17, 20),
    (400, 11, 29, 34),
    (1_000, 36, 64, 71),
    (2_000, 80, 120, 130),
    (4_000, 172, 228, 242),
    (10_000, 457, 543, 566),
)


@pytest.mark.parametrize(("n", "clean", "single", "nightly"), LOOKS)
def test_counts_of_the_table_decide_as_it_says(n: int, clean: int, single: int, nightly: int) -> None:
    k = np.arange(n + 1)
    assert np.array_equal(is_within(k, n, LIMIT, Z), k <= clean)
    assert np.array_equal(is_above(k, n, LIMIT, Z), k >= single)
    assert np.array_equal(is_above(k, n, LIMIT, Z_NIGHTLY), k >= nightly)
    assert np.array_equal(wilson(k, n, 1.96).high <= 0.05, k <= clean)
    assert np.array_equal(wilson(k, n, 1.96).low > 0.05, k >= single)
    assert np.array_equal(wilson(k, n, 3).low > 0.05, k >= nightly)


def test_the_counts_of_the_table_are_found_without_trying_all() -> None:
    n, clean, single, nightly = np.array(LOOKS).T
    assert most_clean(n, LIMIT, Z).tolist() == clean.tolist()
    assert least_blacklisted(n, LIMIT, Z).tolist() == single.tolist()
    assert least_blacklisted(n, LIMIT, Z_NIGHTLY).tolist() == nightly.tolist()
    assert (most_clean([72], LIMIT, Z)[0], least_blacklisted([1], LIMIT, Fraction(5))[0]) == (-1, 2)


@pytest.mark.parametrize(("z", "least"), [("1.96", 73), ("1.645", 52), ("2.576", 127)])
def test_no_hit_at_all_clears_from_so_many_on(z: str, least: int) -> None:
    assert is_within(0, np.array([least - 1, least]), LIMIT, Fraction(z)).tolist() == [False, True]


def test_a_limit_met_exactly_is_within_and_not_above() -> None:
    # z = 2, c = 1/5, so that an arm is 0.8 times the root of n: 3.2 of 16 and 8 of 100.
    c, z = Fraction(1, 5), Fraction(2)
    assert is_within(0, 16, c, z)
    assert is_within(12, 100, c, z)
    assert not is_above(28, 100, c, z)
    assert is_above(29, 100, c, z)


@given(COUNTS, st.sampled_from([LIMIT, Fraction(1, 3), Fraction("0.04")]), st.sampled_from([Z, Fraction(3)]))
@settings(deadline=None)
def test_comparisons_are_those_of_fractions(counts: tuple[int, int], c: Fraction, z: Fraction) -> None:
    k, n = counts
    away, arm = (k - c * n) ** 2, z * z * c * (1 - c) * n
    assert is_above(k, n, c, z) == (k > c * n and away > arm)
    assert is_within(k, n, c, z) == (k < c * n and away >= arm)


@given(COUNTS, st.floats(1, 20))
@settings(deadline=None)
def test_wilson_and_the_exact_comparison_agree_away_from_the_limit(counts: tuple[int, int], effect: float) -> None:
    k, n = counts
    found = wilson(k, n, 1.96, effect)
    assert 0 <= found.low <= found.share <= found.high <= 1
    if abs(found.low - 0.05) > 1e-9:
        assert is_above(k, n, LIMIT, Z, effect) == (found.low > 0.05)
    if abs(found.high - 0.05) > 1e-9:
        assert is_within(k, n, LIMIT, Z, effect) == (found.high <= 0.05)


def test_no_records_say_nothing() -> None:
    share, low, high = wilson([0, 1], [0, 1], 1.96)
    assert math.isnan(share[0])
    assert (low[0], high[0], share[1], high[1]) == (0, 1, 1, 1)
    share, low, high = mover([[0, 0], [5, 5]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], 1.96)
    assert np.isnan(share).all()
    assert (low.tolist(), high.tolist()) == ([0, 0], [1, 1])


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, -1)])
def test_counts_that_cannot_be_are_refused(k: int, n: int) -> None:
    with pytest.raises(ValueError, match="counts"):
        wilson(k, n, 1.96)
    with pytest.raises(ValueError, match="counts"):
        is_above(k, n, LIMIT, Z)


def test_more_verdicts_than_records_are_refused() -> None:
    with pytest.raises(ValueError, match="audited"):
        mover([[5]], [[1]], [[6]], 1.96)


@given(COUNTS, st.integers(0, 10**6))
@settings(deadline=None)
def test_mover_with_one_stratum_is_wilson(counts: tuple[int, int], more: int) -> None:
    k, n = counts
    expected = np.array(wilson(k, n, 1.96))
    for strata in (([n + more], [k], [n]), ([n + more, 0], [k, 0], [n, 0])):
        assert np.array(mover(*strata, 1.96)) == pytest.approx(expected, abs=1e-15)


STRATUM = st.integers(0, 1000).flatmap(
    lambda n: st.tuples(st.integers(n, 10**6), st.integers(0, n), st.just(n))
)  # records, unlawful, audited


@given(st.lists(STRATUM, min_size=1, max_size=4), st.floats(1, 10))
@settings(deadline=None)
def test_mover_lies_within_0_and_1_and_holds_the_share(strata: list[tuple[int, int, int]], effect: float) -> None:
    share, low, high = mover(*np.array(strata).T, 1.96, effect)
    assert 0 <= low <= high <= 1
    assert math.isnan(share) or low <= share <= high


@given(st.lists(STRATUM, min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_one_more_unlawful_verdict_never_lowers_a_limit(
    strata: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(strata) - 1))
    sizes, k, n = np.array(strata).T
    worse = k.copy()
    worse[at] = min(n[at], k[at] + 1)
    before, after = mover(sizes, k, n, 1.96), mover(sizes, worse, n, 1.96)
    assert after.low >= before.low - 1e-12
    assert after.high >= before.high - 1e-12


def test_a_stratum_without_verdicts_may_hold_anything() -> None:
    share, low, high = mover([900, 100], [0, 0], [900, 0], 1.96)
    assert (share, low) == (0, 0)
    assert high == pytest.approx(0.1 + 0.9 * wilson(0, 900, 1.96).high)


def test_the_worked_two_phase_estimate() -> None:
    # TC260-003 reading; measured tables: 4.99 %, standard error 0.26 points, neither clean nor over.
    weights, k, n = np.array([0.071, 0.929]), np.array([360, 11]), np.array([600, 1400])
    share, low, high = mover([71_000, 929_000], k, n, 1.96)
    p = k / n
    assert round(float(share), 4) == 0.0499
    assert round(math.sqrt(float((weights**2 * p * (1 - p) / n).sum())), 4) == 0.0026
    assert low < share < 0.05 < high


# TC260-003 reading; measured tables: Se, Sp, apparent share in % at true 0 and at true 5 %, true share in % when 5 % is apparent.
ERRORS = (
    (0.99, 0.99, 1.0, 5.9, 4.1),
    (0.90, 0.98, 2.0, 6.4, 3.4),
    (0.90, 0.95, 5.0, 9.3, 0.0),
    (0.80, 0.99, 1.0, 5.0, 5.1),
    (0.60, 0.999, 0.1, 3.1, 8.2),
    (0.60, 0.97, 3.0, 5.9, 3.5),
)


@pytest.mark.parametrize(("se", "sp", "at_none", "at_limit", "true"), ERRORS)
def test_the_table_of_classifier_errors(se: float, sp: float, at_none: float, at_limit: float, true: float) -> None:
    known = Calibration(round(se * 10**6), 10**6, round(sp * 10**6), 10**6)
    # Half up, as in the table; 5.85 and 3.05 are stored a hair below.
    assert math.floor((1 - sp) * 1000 + 0.5 + 1e-9) / 10 == at_none
    assert math.floor((0.05 * se + 0.95 * (1 - sp)) * 1000 + 0.5 + 1e-9) / 10 == at_limit
    found = rogan_gladen(5_000, 100_000, known, 1.96)
    assert round(float(found.share) * 100, 1) == true
    again = rogan_gladen(round((0.05 * se + 0.95 * (1 - sp)) * 10**9), 10**9, known, 1.96)
    assert float(again.share) == pytest.approx(0.05, abs=1e-6)


@pytest.mark.parametrize(("lawful", "error"), [(2_000, 0.0046), (20_000, 0.0017)])
def test_the_worked_correction(lawful: int, error: float) -> None:
    # TC260-003 reading; measured tables: 5.45 % apparent, Se .85 (200), Sp .97: 2.99 %, and how specificity's calibration dominates.
    found = rogan_gladen(54_500, 1_000_000, Calibration(170, 200, lawful * 97 // 100, lawful), 1.96)
    assert round(float(found.share), 4) == 0.0299
    assert round(float(found.error), 4) == error
    assert found.low < found.share - error < found.share + error < found.high


def test_a_classifier_that_says_next_to_nothing_is_refused() -> None:
    share, low, high, error, refused = rogan_gladen(
        5, 100, Calibration([80, 80, 0, 79], [100, 100, 0, 100], [50, 49, 0, 51], [100, 100, 0, 100]), 1.96
    )
    assert refused.tolist() == [False, True, True, False]
    assert np.isnan(share[refused]).all()
    assert np.isnan(error[refused]).all()
    assert (low[refused].tolist(), high[refused].tolist()) == ([0, 0], [1, 1])


@given(COUNTS, COUNTS, COUNTS)
@settings(deadline=None)
def test_a_corrected_share_lies_within_its_limits(
    seen: tuple[int, int], caught: tuple[int, int], passed: tuple[int, int]
) -> None:
    share, low, high, _, refused = rogan_gladen(*seen, Calibration(*caught, *passed), 1.96)
    assert refused or 0 <= low <= share <= high <= 1


def test_design_effect_of_the_reading() -> None:
    assert design_effect([1, 20], 0.2).tolist() == pytest.approx([1, 4.8])
    with pytest.raises(ValueError, match="cluster"):
        design_effect(0.5, 0.2)


def test_share_by_characters_weights_strata_by_their_characters() -> None:
    share = share_by_characters(
        [[800, 200], [800, 0], [800, 200]], [[80, 20], [80, 0], [80, 0]], [[8, 10], [8, 0], [8, 0]]
    )
    assert share[:2].tolist() == pytest.approx([0.18, 0.1])
    assert math.isnan(share[2])


def test_chances_of_the_reading() -> None:
    # TC260-003 reading; measured tables.
    def clean(n: int, share: float) -> float:
        return 1 - chance_of_at_least(int(most_clean([n], LIMIT, Z)[0]) + 1, n, share)

    def black(n: int, share: float, z: Fraction = Z) -> float:
        return chance_of_at_least(int(least_blacklisted([n], LIMIT, z)[0]), n, share)

    assert round(clean(400, 0.02), 2) == 0.89
    assert round(black(400, 0.10), 3) == 0.977
    assert round(clean(1000, 0.03), 2) == 0.88
    assert round(clean(1000, 0.055), 4) == 0.0034
    # The table has 57.7 %, of a simulation; this is exact.
    assert round(1 - (1 - black(1000, 0.05)) ** 30, 3) == 0.579
    interval = SourceReading(reading="interval")
    assert round(expected_blacklistings([1000] * 10_000, 0.045, interval, Z)) == 36
    assert round(expected_blacklistings([1000] * 10_000, 0.04, interval, Z)) == 2
    assert expected_blacklistings([399] * 10, 0.9, interval, Z) == 0


@pytest.mark.parametrize(
    ("share", "n"),
    [(0.01, 173), (0.02, 389), (0.03, 1013), (0.04, 4583), (0.06, 5293), (0.07, 1413), (0.08, 643), (0.10, 245)],
)
def test_so_many_verdicts_leave_watch_nine_times_in_ten(share: float, n: int) -> None:
    # TC260-003 reading; measured tables. Power goes up in a saw: the table's n has it, and far fewer verdicts have not.
    def power(n: int) -> float:
        if share < 0.05:
            return 1 - chance_of_at_least(int(most_clean([n], LIMIT, Z)[0]) + 1, n, share)
        return chance_of_at_least(int(least_blacklisted([n], LIMIT, Z)[0]), n, share)

    assert power(n) >= 0.9
    assert all(power(fewer) < 0.9 for fewer in range(n * 80 // 100, n * 96 // 100))


@given(st.integers(1, 60), st.floats(0.01, 0.99), st.data())
@settings(deadline=None)
def test_a_binomial_tail_is_that_of_exact_sums(n: int, share: float, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n + 1))
    exact = math.fsum(math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(k, n + 1))
    assert chance_of_at_least(k, n, share) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_a_share_moved_where_the_interval_of_the_difference_does_not_hold_nothing() -> None:
    # Newcombe (1998), Statistics in Medicine 17, page 877: 56 of 70 and 48 of 80 differ by 0.2, method 10 says 0.0524 to 0.3339.
    for before, now in (((48, 80), (56, 70)), ((56, 70), (48, 80))):
        for times, expected in (
            (1.0, True),
            (0.2 / (0.2 - 0.0524) - 0.002, True),
            (0.2 / (0.2 - 0.0524) + 0.002, False),
        ):
            assert moved(before, now, 1.959964, times) == expected
    # Small sources cannot move: three times the allowance is more than there is.
    assert not moved((0, 6), (6, 6), 1.96, 3.0)
    assert moved((0, 20), (20, 20), 1.96, 3.0)
    assert not moved((0, 20), (20, 20), 1.96, 3.0, effect=4.8)
    assert not moved((0, 0), (50, 50), 1.96)
    assert not moved((50, 50), (0, 0), 1.96)
