"""Kappa by hand, and percentiles."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from models.agreement import kappa, percentile

WORDS = st.sampled_from(["lawful", "unlawful", "unsure"])


def test_kappa_of_a_table_worked_by_hand() -> None:
    # 50 records: both yes 20, both no 15, only the first yes 5, only the second 10. Same on 35/50; by chance
    # (25/50)(30/50) + (25/50)(20/50) = 1/2; so (7/10 - 1/2) / (1/2) = 2/5.
    counts = {("yes", "yes"): 20, ("no", "no"): 15, ("yes", "no"): 5, ("no", "yes"): 10}
    assert kappa(counts) == Fraction(2, 5)


def test_kappa_is_undefined_where_chance_alone_agrees() -> None:
    assert kappa({("lawful", "lawful"): 400}) is None
    assert kappa({}) is None
    # Two words, never the same person's: chance agrees on none, and neither do they.
    assert kappa({("lawful", "unlawful"): 10}) == 0


@settings(max_examples=40)
@given(st.dictionaries(st.tuples(WORDS, WORDS), st.integers(1, 50), min_size=1))
def test_kappa_does_not_depend_on_who_comes_first_and_is_1_only_if_all_agree(
    counts: dict[tuple[str, str], int],
) -> None:
    found = kappa(counts)
    assert found == kappa({(other, one): count for (one, other), count in counts.items()})
    if found is not None:
        assert -1 <= found <= 1
        assert (found == 1) == all(one == other for one, other in counts)


def test_percentiles_are_nearest_ranks() -> None:
    values = [50, 15, 40, 20, 35]
    assert [percentile(values, share) for share in (5, 30, 40, 50, 100)] == [15, 20, 20, 35, 50]
    assert percentile([7], 10) == 7
