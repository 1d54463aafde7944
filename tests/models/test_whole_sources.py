"""Sketches brought together range by range, sources whose state they leave open, and counting these anew."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import sketch_files, whole_sources
from models.audits import NOTHING, Audited
from models.errors import ConservationError
from models.job import Job
from models.policy import Calibrated, load_policy
from models.sketch_files import gather, keep_split, mark_of, read_rows, rows_of
from models.sketches import ESTIMATED, EXACT, RECOUNTED, Sketch, hashes_of, order_of, total
from models.store import LocalStore
from models.whole_sources import Records, Recount, is_open, totals
from pipeline.config import from_options, make_job

K = 3
Splits = list[list[tuple[str, int]]]
"""Records of each split: source, and number of the text; stratum and length follow from the text."""

SPLITS: Any = st.lists(
    st.lists(st.tuples(st.sampled_from(["", "a", "b", "c/é", "ж"]), st.integers(0, 12)), max_size=20), max_size=6
)


def content(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()[:16]


def sketch(records: Sequence[tuple[str, int]], k: int = K) -> Sketch:
    numbers = [number for _, number in records]
    return Sketch.of(
        k,
        pa.array([source for source, _ in records], pa.string()),
        pa.array(map(content, numbers), pa.binary(16)),
        np.array([number % 3 for number in numbers], np.uint8),
        np.array([10 + number for number in numbers], np.int32),
    )


def digest(number: int) -> str:
    return hashlib.sha256(b"split %d" % number).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "store")
    made.prepare()
    return made


def segments(splits: Splits, store: LocalStore, sizes: Sequence[int]) -> list[pa.Table]:
    """Keep sketches split by split, and gather them by segments of these sizes, in which the last repeats."""
    names = [keep_split(sketch(each), digest(number), store, store.scratch) for number, each in enumerate(splits)]
    tables, at = [], 0
    while at < len(names):
        size = sizes[min(len(tables), len(sizes) - 1)]
        name = gather([read_rows(each, K, store) for each in names[at : at + size]], K, store, store.scratch)
        tables.append(read_rows(name, K, store))
        at += size
    return tables


@given(SPLITS, st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 20), st.integers(1, 10))
@settings(max_examples=40, deadline=None)
def test_ranges_of_segments_give_the_sketch_of_all_records_at_once(
    tmp_path_factory: pytest.TempPathFactory, splits: Splits, sizes: list[int], most: int, every: int
) -> None:
    store = LocalStore(tmp_path_factory.mktemp("store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_sources, "MOST", most)
        patch.setattr(whole_sources, "EVERY", every)
        found = list(totals(segments(splits, store, sizes), K))
    names = [name for each in found for name in each.sources.to_pylist()]
    assert names == sorted(set(names)), "no source stands in two ranges"
    whole = [record for each in splits for record in each]
    if not whole:
        assert found == []
    else:
        assert total(K, found) == sketch(whole)


def test_many_small_ranges_come_from_many_sources(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_sources, "MOST", 50)
    monkeypatch.setattr(whole_sources, "EVERY", 10)
    splits = [[(f"s{number % 200}", number + split) for number in range(400)] for split in range(4)]
    found = list(totals(segments(splits, store, [2]), K))
    assert len(found) > 10
    assert max(len(each.hashes) for each in found) < 200
    assert total(K, found) == sketch([record for each in splits for record in each])


def test_rows_of_some_splits_are_those_that_these_alone_would_have(store: LocalStore) -> None:
    splits = [[(f"s{number % 7}", number * split) for number in range(20)] for split in range(1, 5)]
    (table,) = segments(splits, store, [4])
    (alone,) = segments(splits[:1], store, [1])
    assert rows_of(table, {mark_of(digest(0))}).equals(alone)


def test_an_object_of_another_size_or_content_is_refused(store: LocalStore) -> None:
    name = keep_split(sketch([("a", 1)]), digest(0), store, store.scratch)
    with pytest.raises(ConservationError, match="a sketch of format 1 up to 3 records, expected 1 and 4"):
        read_rows(name, 4, store)
    other = name.replace(name[10:14], "0000")
    store.create_once(other, store.local(name))
    with pytest.raises(ConservationError, match="not what its name says"):
        read_rows(other, K, store)
    assert keep_split(Sketch.zero(K), digest(0), store, store.scratch) == ""
    assert gather([], K, store, store.scratch) == ""


def test_hashes_that_differ_in_their_last_bits_only_are_put_in_order() -> None:
    hashes = np.array([7, 5, 5, 6, 1 << 63, 3], np.uint64)
    codes = np.array([1, 1, 2, 1, 0, 1000], np.int64)
    assert order_of(codes, hashes).tolist() == np.lexsort((hashes, codes)).tolist() == [4, 1, 3, 0, 2, 5]
    assert hashes_of(pa.array([content(1), content(2)], pa.binary(16)).slice(1)).tolist() == [
        int.from_bytes(content(2)[:8], "big")
    ]


# Counting anew


def records_of(splits: Splits, sources: list[str]) -> list[Records]:
    found = []
    for each in splits:
        some = [(sources.index(source), number) for source, number in each if source in sources]
        numbers = [number for _, number in some]
        found.append(
            Records(
                np.array([code for code, _ in some], np.int64),
                hashes_of(pa.array(map(content, numbers), pa.binary(16))),
                np.array([number % 3 for number in numbers], np.uint8),
                np.array([10 + number for number in numbers], np.int32),
            )
        )
    return found


@given(SPLITS.filter(lambda splits: any(splits)), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_a_recount_is_exact_however_little_is_held(
    tmp_path_factory: pytest.TempPathFactory, splits: Splits, most: int
) -> None:
    sources = sorted({source for each in splits for source, _ in each})
    with pytest.MonkeyPatch.context() as patch, Recount(pa.array(sources), tmp_path_factory.mktemp("r")) as recount:
        patch.setattr(whole_sources, "MOST", most)
        for each in records_of(splits, sources) * 2:
            recount.add(each)
        found = recount.figures().to_pylist()
    whole = (
        sketch([record for each in splits for record in each], 1000)
        .figures()
        .drop_columns(["sampled", "sampled_unlawful"])
    )
    assert found == [row | {"counted": RECOUNTED} for row in whole.to_pylist()]


def test_a_source_without_records_cannot_be_counted_anew(tmp_path: Path) -> None:
    with Recount(pa.array(["a", "b"]), tmp_path) as recount:
        recount.add(records_of([[("a", 1)]], ["a"])[0])
        with pytest.raises(ConservationError, match="source b: no layer has its records"):
            recount.figures()
    assert not list((tmp_path / "tmp").iterdir())


def test_rows_of_a_sketch_count_as_the_records_that_they_keep(store: LocalStore, tmp_path: Path) -> None:
    splits: Splits = [[("a", 1), ("a", 2), ("b", 1)], [("a", 2), ("a", 5)]]
    (table,) = segments(splits, store, [2])
    sources = pa.array(["b", "a"])
    with Recount(sources, tmp_path) as recount:
        recount.add(Records.of_rows(table, sources))
        assert recount.figures()["distinct"].to_pylist() == [1, 3]


# What a sample leaves open


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    given = {"inputs": ("in",), "output": str(tmp_path_factory.mktemp("corpus")), "as_of": "2026-01-02"}
    return make_job(from_options(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}}))


def reading(job: Job, **sources: Any) -> Job:
    policy = load_policy("cn-tc260-003")
    return replace(job, policy=policy.model_copy(update={"sources": policy.sources.model_copy(update=sources)}))


def figures(unlawful: list[int], sampled: int = 1000, times: int = 10) -> pa.Table:
    n = len(unlawful)
    return pa.table(
        {
            "source": [f"s{at}" for at in range(n)],
            "distinct": [sampled * times] * n,
            "unlawful": [each * times for each in unlawful],
            "counted": pa.array([ESTIMATED] * n, pa.int64()),
            "sampled": [sampled] * n,
            "sampled_unlawful": unlawful,
        }
    )


def test_by_the_literal_reading_a_source_is_open_where_the_limit_lies_in_the_interval(job: Job) -> None:
    """Wilson at z = 4 of 1,000: the ends follow from the score equation."""
    shares = list(range(200))
    found = is_open(figures(shares), NOTHING, reading(job))
    # (k - 50)^2 <= 16 * 0.05 * 0.95 * 1000 = 760, so k from 50 - 27 to 50 + 27.
    assert np.flatnonzero(found).tolist() == list(range(23, 78))
    exact = figures(shares).set_column(3, "counted", pa.array([EXACT] * len(shares), pa.int64()))
    assert not is_open(exact, NOTHING, reading(job)).any()


def test_by_verdicts_every_source_that_has_some_is_open(job: Job) -> None:
    none = np.zeros((1, 3), np.int64)
    said = replace(NOTHING, now=Audited(pa.array(["s1"]), none, none))
    interval = reading(job, reading="interval", basis="audit")
    assert is_open(figures([0, 0, 900]), said, interval).tolist() == [False, True, False]


def test_by_a_calibrated_classifier_a_source_is_open_where_the_ends_of_the_interval_give_two_states(job: Job) -> None:
    known = Calibrated(caught=900, unlawful=1000, passed=990, lawful=1000, set="0" * 64)
    interval = reading(job, reading="interval", basis="audit", calibration=(known,))
    found = is_open(figures([0, 50, 500, 1000]), NOTHING, interval).tolist()
    assert found == [False, True, False, False]
    elsewhere = reading(
        job, reading="interval", basis="audit", calibration=(known.model_copy(update={"epoch": "1" * 64}),)
    )
    assert not is_open(figures([0, 50, 500, 1000]), NOTHING, elsewhere).any()


def test_what_parts_say_differently_counts_as_the_worst(tmp_path: Path) -> None:
    def one(stratum: int, length: int) -> Records:
        return Records(
            np.zeros(1, np.int64), np.ones(1, np.uint64), np.array([stratum], np.uint8), np.array([length], np.int32)
        )

    for order in ([(2, 5), (0, 4), (1, 9)], [(0, 4), (1, 9), (2, 5)]):
        with Recount(pa.array(["a"]), tmp_path) as recount:
            for each in order:
                recount.add(one(*each))
            (row,) = recount.figures().to_pylist()
        assert (row["distinct"], row["unlawful"], row["low"], row["unlawful_characters"]) == (1, 1, 0, 9)


def test_a_permutation_of_splits_leaves_the_bytes_of_a_segment(store: LocalStore) -> None:
    splits = [[(f"s{number % 5}", number * split) for number in range(20)] for split in range(1, 5)]
    names = [keep_split(sketch(each), digest(number), store, store.scratch) for number, each in enumerate(splits)]
    made = set()
    for seed in range(4):
        random.Random(seed).shuffle(names)
        made.add(gather([read_rows(each, K, store) for each in names], K, store, store.scratch))
    assert len(made) == 1
    assert sketch_files.FORMAT == 1
