"""What lies above sources: sums, the worst state below, and decisions that reach down and clear nothing."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.outcome import SOURCES
from models.overrides import InForce
from models.rollups import ROLLUPS, keep_rollups
from models.sources import STATES
from models.store import LocalStore

FOUND = {
    "blogs.example": ("clean", 100, 1),
    "blogs.example/ada": ("blacklisted", 200, 40),
    "www.blogs.example/bo": ("watch", 50, 2),
    "alone.example": ("clean", 10, 0),
    "dataset:Pub/set@1": ("clean", 30, 0),
    "dataset:Pub/set@2": ("hold", 20, 5),
    "dataset:Pub/other": ("insufficient", 5, 0),
    "user:chat/acme": ("clean", 7, 0),
    "(unknown)": (None, 3, 0),
}


def kept(tmp_path: Path, has_levels: bool = True) -> dict[str, dict[str, object]]:
    rows = [
        {"source": name, "state": state, "read": read, "distinct": read, "unlawful": unlawful, "clean": read}
        for name, (state, read, unlawful) in sorted(FOUND.items())
    ]
    store = LocalStore(tmp_path / "store")
    store.prepare()
    pq.write_table(pa.Table.from_pylist(rows, SOURCES), tmp_path / "sources")
    store.create_once("catalogues/s.parquet", tmp_path / "sources")
    table = pq.read_table(
        store.local(keep_rollups("catalogues/s.parquet", has_levels, {"reading.en": "r"}, store, tmp_path))
    )
    assert table.schema.equals(ROLLUPS)
    assert table["key"].to_pylist() == sorted(table["key"].to_pylist())
    return {row["key"]: row for row in table.to_pylist()}


def test_every_level_adds_up_and_says_the_worst_of_what_lies_in_it(tmp_path: Path) -> None:
    found = kept(tmp_path)
    names = ("worst", "own", "sources", "read", "unlawful")
    assert {key: tuple(row[name] for name in names) for key, row in found.items()} == {
        # Clean itself, and no better than what lies below.
        "blogs.example": ("blacklisted", "clean", 3, 350, 43),
        "www.blogs.example": ("watch", None, 1, 50, 2),
        "dataset:Pub/set": ("hold", None, 2, 50, 5),
        "publisher:Pub": ("hold", None, 3, 55, 5),
        "user:chat": ("clean", None, 1, 7, 0),
    }
    counts = [found["blogs.example"][f"sources_{state}"] for state in STATES]
    assert dict(zip(STATES, counts, strict=True)) == dict.fromkeys(STATES, 0) | {
        "clean": 1,
        "watch": 1,
        "blacklisted": 1,
    }
    (tmp_path / "other").mkdir()
    assert kept(tmp_path / "other", has_levels=False) == {}


DECIDED = {
    "blogs.example": ("D0001", "hold"),
    "publisher:Pub": ("D0002", "blacklisted"),
    "dataset:Pub/set": ("D0003", "clean"),
    "dataset:Pub/set@1": ("D0004", "clean"),
    "user:chat": ("D0005", "clean"),
    "user:chat/acme": ("D0006", "watch"),
}


@pytest.mark.parametrize("many", [0, 100])
def test_a_decision_on_what_lies_above_condemns_and_never_clears(many: int) -> None:
    others = {f"x{n}.example": (f"D{n + 10:04}", "hold") for n in range(many)}
    in_force = InForce(DECIDED | others, reaches=True)
    names = pa.chunked_array([[*FOUND, "notblogs.example", "blogs.example.org"]])
    codes = np.array([STATES.index(state or "clean") for state, _, _ in FOUND.values()] + [0, 0], np.uint8)
    after = [STATES[code] for code in in_force.over(names, codes)]
    basis = in_force.basis(names, pa.chunked_array([after]), pa.chunked_array([["detector"] * len(after)])).to_pylist()
    assert dict(zip(names.to_pylist(), zip(after, basis, strict=True), strict=True)) == {
        "blogs.example": ("hold", "override D0001"),
        "blogs.example/ada": ("blacklisted", "detector"),
        "www.blogs.example/bo": ("hold", "override D0001 of blogs.example"),
        "alone.example": ("clean", "detector"),
        "dataset:Pub/set@1": ("blacklisted", "override D0002 of publisher:Pub"),
        "dataset:Pub/set@2": ("blacklisted", "override D0002 of publisher:Pub"),
        "dataset:Pub/other": ("blacklisted", "override D0002 of publisher:Pub"),
        "user:chat/acme": ("watch", "override D0006"),
        "(unknown)": ("clean", "detector"),
        "notblogs.example": ("clean", "detector"),
        "blogs.example.org": ("clean", "detector"),
    }
    # Where names say nothing of what lies above, a decision is on its source alone.
    alone = InForce(DECIDED | others).over(names, codes)
    assert [STATES[code] for code in alone[:3]] == ["hold", "blacklisted", "watch"]
