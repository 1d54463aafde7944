"""Sums by source: as in a dictionary, whatever the pieces, and whether or not they go by way of the disk."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import summing
from models.summing import GroupWriter, Sums

SCHEMA = pa.schema([("source", pa.string()), ("n", pa.int64()), ("low", pa.int64()), ("high", pa.int64())])
HOW: dict[str, summing.How] = {"n": "sum", "low": "min", "high": "max"}
SOURCES = st.sampled_from(["", "a", "b.com", "c", "z", "中", "中文", "é", "\U0001f600"])
ROW = st.tuples(SOURCES, st.integers(0, 2**50) | st.none())
PIECES = st.lists(st.lists(ROW, max_size=8), max_size=12)


def table(rows: list[tuple[str, int | None]]) -> pa.Table:
    return pa.Table.from_pylist([{"source": s, "n": n, "low": n, "high": n} for s, n in rows], SCHEMA)


def expected(pieces: list[list[tuple[str, int | None]]]) -> list[dict[str, object]]:
    values: dict[str, list[int]] = {}
    for source, n in (row for rows in pieces for row in rows):
        values.setdefault(source, []).extend([] if n is None else [n])
    return [
        {
            "source": source,
            "n": sum(some) if some else None,
            "low": min(some, default=None),
            "high": max(some, default=None),
        }
        for source, some in sorted(values.items())
    ]


@given(PIECES, st.sampled_from([1, 2, 5, 1 << 20]))
@settings(deadline=None)
def test_sums_are_those_of_a_dictionary_in_order_of_sources(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[tuple[str, int | None]]], rows: int
) -> None:
    with Sums(HOW, tmp_path_factory.getbasetemp(), rows=rows) as sums:
        for piece in pieces:
            sums.add(table(piece))
        found = [row for chunk in sums.chunks() for row in chunk.to_pylist()]
    assert found == expected(pieces)


def test_runs_are_merged_in_ranges_and_leave_nothing_behind(tmp_path: Path) -> None:
    with Sums({"n": "sum"}, tmp_path, rows=1000) as sums:
        for start in range(0, 20_000, 500):
            names = [f"s{number * 7919 % 6000:05}" for number in range(start, start + 500)]
            sums.add(pa.table({"source": names, "n": [1] * 500}))
        chunks = list(sums.chunks())
        assert len(chunks) > 3
        assert max(map(len, chunks)) < 3000
    assert sum(sum(chunk["n"].to_pylist()) for chunk in chunks) == 20_000
    names = [name for chunk in chunks for name in chunk["source"].to_pylist()]
    assert names == sorted(set(names))
    assert not list((tmp_path / "tmp").iterdir())


def test_a_column_that_a_piece_lacks_counts_for_nothing(tmp_path: Path) -> None:
    with Sums(HOW, tmp_path) as sums:
        sums.add(pa.table({"source": ["a"], "n": [2]}))
        sums.add(pa.table({"source": ["a"], "high": [3]}))
        (chunk,) = sums.chunks()
    assert chunk.to_pylist() == [{"source": "a", "n": 2, "low": None, "high": 3}]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
@settings(deadline=None)
def test_the_bytes_of_a_table_do_not_depend_on_its_chunks(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = pa.table({"n": list(range(sum(sizes)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(summing, "GROUP", 16)
        for name, lengths in (("pieces", sizes), ("whole", [sum(sizes)])):
            writer, start = GroupWriter(folder / name, whole.schema), 0
            for length in lengths:
                writer.write(whole.slice(start, length))
                start += length
            writer.close()
            assert writer.rows == len(whole)
    assert (folder / "pieces").read_bytes() == (folder / "whole").read_bytes()
    assert pq.read_table(folder / "whole").equals(whole)


KEYED = st.tuples(SOURCES, st.sampled_from(["", "en", "zh"]), st.integers(0, 2**50))


@given(st.lists(st.lists(KEYED, max_size=8), max_size=12), st.sampled_from([1, 2, 5, 1 << 20]))
@settings(deadline=None)
def test_sums_by_several_keys_are_those_of_a_dictionary_in_order_of_keys(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[tuple[str, str, int]]], rows: int
) -> None:
    sums: dict[tuple[str, str], int] = {}
    with Sums({"n": "sum"}, tmp_path_factory.getbasetemp(), rows=rows, keys=("source", "language")) as summing:
        for piece in pieces:
            for source, language, n in piece:
                sums[source, language] = sums.get((source, language), 0) + n
            schema = pa.schema([("source", pa.string()), ("language", pa.string()), ("n", pa.int64())])
            named = [dict(zip(schema.names, row, strict=True)) for row in piece]
            summing.add(pa.Table.from_pylist(named, schema))
        found = [row for chunk in summing.chunks() for row in chunk.to_pylist()]
    ordered = sorted(sums.items(), key=lambda item: tuple(part.encode() for part in item[0]))
    assert [(row["source"], row["language"], row["n"]) for row in found] == [(*key, n) for key, n in ordered]
