"""Sketches of sources: a monoid, whatever the cuts; exact while a source is small, and near the truth beyond."""

import hashlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sketches import ESTIMATED, EXACT, Sketch, total

K = 3
Record = tuple[str, int]
"""Source, and number of the text; stratum and length follow from the text."""

RECORDS = st.lists(st.tuples(st.sampled_from(["", "a", "b", "ж"]), st.integers(0, 9)), max_size=30)


def sketch(records: Sequence[Record], k: int = K) -> Sketch:
    numbers = [number for _, number in records]
    return Sketch.of(
        k,
        pa.array([source for source, _ in records], pa.string()),
        pa.array([hashlib.sha256(b"%d" % number).digest()[:16] for number in numbers], pa.binary(16)),
        np.array([number % 3 for number in numbers], np.uint8),
        np.array([10 + number for number in numbers], np.int32),
    )


@given(RECORDS, RECORDS, RECORDS)
@settings(max_examples=150, deadline=None)
def test_sketches_add_up_in_any_order_and_grouping_and_twice_is_once(
    one: list[Record], two: list[Record], three: list[Record]
) -> None:
    a, b, c = sketch(one), sketch(two), sketch(three)
    assert (a + b) + c == a + (b + c) == sketch([*three, *one, *two])
    assert a + b == b + a == total(K, [b, a, b])
    assert a + Sketch.zero(K) == a == a + a


@given(RECORDS, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_figures_are_exact_while_all_distinct_records_are_kept(records: list[Record], k: int) -> None:
    for row in sketch(records, k).figures().to_pylist():
        texts = {number for source, number in records if source == row["source"]}
        if len(texts) > k:
            assert (row["counted"], row["sampled"]) == (ESTIMATED, k)
            assert row["distinct"] > k
            continue
        assert row["counted"] == EXACT
        assert (row["distinct"], row["sampled"]) == (len(texts), len(texts))
        for name, stratum in (("unlawful", 0), ("low", 1)):
            some = [number for number in texts if number % 3 == stratum]
            assert (row[name], row[f"{name}_characters"]) == (len(some), sum(10 + number for number in some))
        assert row["characters"] == sum(10 + number for number in texts)
        assert row["sampled_unlawful"] == row["unlawful"]
    assert {source for source, _ in records} == set(sketch(records, k).sources.to_pylist())


def test_beyond_that_they_are_near_the_truth() -> None:
    [row] = sketch([("s", number % 30_000) for number in range(60_000)], 1024).figures().to_pylist()
    # Relative standard error of the number: 1 / sqrt(k), 3.1 %; of a third: 1.5 points.
    assert abs(row["distinct"] / 30_000 - 1) < 0.12
    assert abs(row["unlawful"] / row["distinct"] - 1 / 3) < 0.06
    assert row["sampled"] == 1024


def test_what_parts_say_differently_counts_as_the_worst() -> None:
    def one(stratum: int, length: int) -> Sketch:
        content = pa.array([bytes(16)], pa.binary(16))
        return Sketch.of(K, pa.array(["s"]), content, np.array([stratum], np.uint8), np.array([length], np.int32))

    assert one(2, 5) + one(0, 4) == one(0, 5)


def test_sketches_of_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="different sizes"):
        sketch([("a", 1)]) + sketch([("a", 1)], K + 1)
