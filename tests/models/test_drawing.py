"""Draws: what is drawn is exactly what lies below the bound, whatever the order in which records come."""

import hashlib
import hmac
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.drawing import ALL, Bottom, Histogram, bound_of, check_salt, cut, cut_by_stratum, draws, shares, task_id
from models.errors import UsageError

SALT = b"0123456789abcdef"
KEYS = ("content", "shard", "position")


def table(rows: list[tuple[str, int, int, str, int]], draw_bits: int = 64) -> pa.Table:
    """Return rows of source, stratum, number of a text, shard and position; few bits of draws make equal ones."""
    contents = [hashlib.sha256(str(row[2]).encode()).digest()[:16] for row in rows]
    draw = draws(SALT, contents) >> np.uint64(64 - draw_bits) if rows else np.zeros(0, np.uint64)
    columns = {
        "source": pa.array([row[0] for row in rows], pa.string()),
        "stratum": pa.array([row[1] for row in rows], pa.uint8()),
        "content": pa.array(contents, pa.binary(16)),
        "draw": pa.array(draw),
        "shard": pa.array([row[3] for row in rows], pa.string()),
        "position": pa.array([row[4] for row in rows], pa.int64()),
    }
    return pa.table(columns)


def test_a_draw_is_the_first_8_bytes_of_hmac_sha256_by_the_salt() -> None:
    expected = hmac.new(SALT, b"text", hashlib.sha256).digest()[:8]
    assert draws(SALT, [b"text"]).tolist() == [int.from_bytes(expected, "big")]
    # RFC 4231, test case 1.
    assert draws(b"\x0b" * 20, [b"Hi There"]).tolist() == [0xB0344C61D8DB3853]


def test_a_salt_that_can_be_guessed_is_refused() -> None:
    assert check_salt("0123456789abcdef") == SALT
    with pytest.raises(UsageError, match="15 bytes, which can be guessed"):
        check_salt("0123456789abcde")


def test_a_task_tells_neither_content_nor_purpose_and_differs_by_both() -> None:
    ids = {task_id(SALT, purpose, content) for purpose in ("human", "sources") for content in (b"a" * 16, b"b" * 16)}
    assert len(ids) == 4
    assert task_id(SALT, "human", b"a" * 16) == task_id(SALT, "human", b"a" * 16)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 2),
        st.integers(0, 60),
        st.sampled_from(["s", "t"]),
        st.integers(0, 9),
    ),
    max_size=80,
    unique_by=lambda row: (row[3], row[4], row[0], row[2]),
)


@given(ROWS, st.integers(1, 30), st.integers(1, 8), st.sampled_from([64, 4]), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_what_is_drawn_is_exactly_what_lies_below_the_bound(
    rows: list[tuple[str, int, int, str, int]], size: int, pieces: int, bits: int, chance: random.Random
) -> None:
    whole = table(rows, bits).to_pylist()
    shuffled = [*rows]
    chance.shuffle(shuffled)
    bottom = Bottom(size, ("source", "stratum"), ("content",), KEYS)
    for piece in range(pieces):
        bottom.add(table(shuffled[piece::pieces], bits))
        if piece % 2:
            bottom.table()  # shrinks what is held, at any time
    found = bottom.table()
    if found is None:
        assert not rows
        return
    drawn = cut_by_stratum(found, size).to_pylist()
    texts = {(row["source"], row["content"]) for row in drawn}
    assert len(texts) == len(drawn)
    by_source = {source: [row for row in drawn if row["source"] == source] for source in ("a", "b")}
    assert all(len(own) <= size for own in by_source.values())
    for row in drawn:
        # Whatever is in its stratum below its bound was drawn, and of equal texts the first place stands.
        same = [e for e in whole if (e["source"], e["stratum"]) == (row["source"], row["stratum"])]
        assert row["draw"] < row["bound"]
        assert all((e["source"], e["content"]) in texts for e in same if e["draw"] < row["bound"])
        places = [(e["shard"], e["position"]) for e in same if e["content"] == row["content"]]
        assert (row["shard"], row["position"]) == min(places)
    for source, own in by_source.items():
        there = {row["content"] for row in whole if row["source"] == source}
        if bits == 64:  # no draw is there twice: as many as there can be, but for texts that are in two strata
            twice = {
                row["content"]
                for row in whole
                if row["source"] == source
                and any(
                    o["stratum"] != row["stratum"]
                    for o in whole
                    if (o["source"], o["content"]) == (source, row["content"])
                )
            }
            assert len(own) >= min(size, len(there)) - len(twice) * 2


@given(ROWS, st.integers(1, 150))
@settings(max_examples=30, deadline=None)
def test_without_groups_the_least_of_all_are_drawn(rows: list[tuple[str, int, int, str, int]], size: int) -> None:
    bottom = Bottom(size, (), (), ("content", "source", "stratum", "shard", "position"))
    for row in rows:
        bottom.add(table([row]))
    found = bottom.table()
    if found is None:
        return
    drawn = cut(found, size)
    everything = sorted(table(rows)["draw"].to_pylist())
    bound = drawn["bound"][0].as_py() if len(drawn) else bound_of(np.array(everything, np.uint64), size)
    assert sorted(drawn["draw"].to_pylist()) == [each for each in everything if each < bound]
    assert (bound == ALL) == (len(rows) <= size)
    assert len(drawn) <= size


def test_memory_is_that_of_what_is_kept() -> None:
    bottom = Bottom(10, ("source", "stratum"), ("content",), KEYS)
    most = 0
    some, least = table([("a", 2, 0, "s", 0)]), []
    for part in range(40):
        draw = np.random.default_rng(part).integers(0, 1 << 63, 10_000, np.uint64)
        least = sorted([*least, *np.sort(draw)[:11].tolist()])[:11]
        contents = pa.array([each.tobytes() * 2 for each in draw], pa.binary(16))
        rows = some.take(pa.array(np.zeros(10_000, np.int64)))
        rows = rows.set_column(2, "content", contents).set_column(3, "draw", pa.array(draw))
        bottom.add(rows)
        most = max(most, sum(len(each) for each in bottom._tables))
    assert most < 1 << 17
    found = bottom.table()
    assert found is not None
    assert found["draw"].to_pylist() == least


@pytest.mark.parametrize(
    ("available", "size", "given"),
    [
        ([400, 400, 400], 400, [133, 133, 134]),
        ([5, 0, 400], 400, [5, 0, 395]),
        ([5, 10, 400], 400, [5, 10, 385]),
        ([2, 1, 0], 400, [2, 1, 0]),
        ([400, 400, 400], 1, [0, 0, 1]),
        ([0, 0, 0], 5, [0, 0, 0]),
    ],
)
def test_what_a_stratum_lacks_goes_to_the_others(available: list[int], size: int, given: list[int]) -> None:
    assert shares(available, size) == given


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 1 << 64).map(lambda n: min(n, (1 << 64) - 2)), min_size=1, max_size=60), st.integers(1, 60)
)
def test_a_histogram_finds_a_bound_below_which_enough_lie(values: list[int], least: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(np.array([value], np.uint64))
    bound = histogram.bound(least)
    below = sum(value < bound for value in values)
    assert histogram.total == len(values)
    assert below >= min(least, len(values))
    if bound < ALL:
        assert sum(value < bound - (1 << 48) for value in values) < least
