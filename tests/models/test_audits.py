"""Verdicts in other strata than those that they were drawn in: what counts is a uniform sample of each, or nothing."""

import functools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.audits import audited_of, keep_verdicts, not_since
from models.drawing import bound_of, strata_digest
from models.reviews import VERDICTS
from models.store import LocalStore

OLD, NEW = strata_digest({"lexicon": "a"}, "c"), strata_digest({"lexicon": "b"}, "c")
TIMES = 600
HIGH, MOVED, REST = 180, 60, 1_940
"""Records of a source: unlawful ones that both detectors flag; lawful ones that only the new one flags; lawful ones that none does."""


@functools.cache
def drawn() -> tuple[pa.Table, np.ndarray]:
    """Return the verdicts of as many sources, each drawn by chance within the strata of the old detector, and the strata of the new one."""
    rng = np.random.default_rng(7)
    parts, strata = [], []
    old = np.repeat([0, 2, 2], [HIGH, MOVED, REST])
    new = np.repeat([0, 0, 2], [HIGH, MOVED, REST])
    for number in range(TIMES):
        draw = rng.integers(0, 1 << 63, len(old)).astype(np.uint64)
        # Of what the old one flagged half, of all the rest one in a hundred.
        sizes = {0: HIGH // 2, 2: (MOVED + REST) // 100}
        bounds = {code: bound_of(np.sort(draw[old == code]), size) for code, size in sizes.items()}
        bound = np.array([bounds[code] for code in old.tolist()], np.uint64)
        rows = np.flatnonzero(draw < bound)
        count = len(rows)
        columns = {
            "source": [f"s{number}"] * count,
            "content": [int(row).to_bytes(16, "big") for row in rows],
            "draw": draw[rows],
            "bound": bound[rows],
            "unlawful": rows < HIGH,
            "shard": ["a"] * count,
            "least": np.full(count, min(bounds.values()), np.uint64),
            "by": [OLD] * count,
            "series": np.ones(count, np.int64),
        }
        parts.append(pa.table(columns, schema=VERDICTS))
        strata.append(new[rows].astype(np.uint8))
    return pa.concat_tables(parts).combine_chunks(), np.concatenate(strata)


def test_after_another_detector_the_share_of_a_stratum_is_not_that_of_those_who_were_drawn_more_often() -> None:
    verdicts, now = drawn()
    nobody = np.zeros(len(verdicts), np.bool_)
    true = HIGH / (HIGH + MOVED)
    found = audited_of(verdicts, now, nobody, NEW)
    audited, unlawful = found.audited[:, 0].sum(), found.unlawful[:, 0].sum()
    # About 1,400 verdicts: a standard error of 1.2 points.
    assert audited > 1_000
    assert unlawful / audited == pytest.approx(true, abs=0.036)
    # As if the strata were still those of the draw, which is what is to be avoided.
    wrong = audited_of(verdicts, now, nobody, OLD)
    assert wrong.unlawful[:, 0].sum() / wrong.audited[:, 0].sum() > true + 0.1


def test_while_detectors_stay_all_verdicts_of_a_stratum_count_and_a_sample_that_does_not_say_is_another() -> None:
    verdicts, _ = drawn()
    old = np.where(verdicts["unlawful"].to_numpy(zero_copy_only=False), 0, 2).astype(np.uint8)
    nobody = np.zeros(len(verdicts), np.bool_)
    assert audited_of(verdicts, old, nobody, OLD).audited.sum() == len(verdicts)
    silent = verdicts.set_column(VERDICTS.get_field_index("by"), "by", pa.array([""] * len(verdicts)))
    assert audited_of(silent, old, nobody, "").audited.sum() < len(verdicts) / 3
    few = verdicts.set_column(VERDICTS.get_field_index("least"), "least", pa.array(np.zeros(len(verdicts), np.uint64)))
    assert audited_of(few, old, nobody, NEW).audited.sum() == 0


def test_what_came_since_a_mark_is_uniform_too(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.prepare()

    def rows(draws: dict[int, int], by: str = OLD, series: int = 1) -> pa.Table:
        """Return verdicts by draw and bound."""
        made = [
            {"source": "s", "content": draw.to_bytes(16, "big"), "draw": draw, "bound": bound, "unlawful": False}
            | {"shard": "a", "least": min(draws.values()), "by": by, "series": series}
            for draw, bound in draws.items()
        ]
        return pa.Table.from_pylist(made, VERDICTS)

    # One stratum was drawn up to 50, the other up to 10.
    name = keep_verdicts(rows({5: 10, 20: 50, 40: 50}), store, tmp_path)
    larger = {5: 60, 20: 90, 30: 60, 40: 90, 55: 60, 70: 90}
    for by, series, now, left in (
        (OLD, 1, OLD, [5, 20, 40]),
        # What one stratum lacks, the other may not have.
        (OLD, 1, NEW, [5, 20, 30, 40]),
        (NEW, 1, NEW, [5, 20, 30, 40]),
        (OLD, 2, OLD, [5, 20, 40]),
        (NEW, 2, NEW, [5, 20, 30, 40, 55, 70]),
    ):
        found = not_since(rows(larger, by, series), {"s": name}, store, now)
        assert [draw for draw, out in zip(larger, found.tolist(), strict=True) if out] == left
    assert not not_since(rows(larger), {"other": name}, store, NEW).any()
