"""The catalogue: every split, layer, tally and release comes back as it was written."""

import itertools
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import Catalogue, Row, write_catalogue
from models.layer import Known
from models.parts import PartFile
from models.release_pass import Released
from models.shard import Columns, Cut, Reading, Shard, Split
from models.tag_pass import LayerRef
from models.tally import COUNTS, SCHEMA
from models.verdicts import DOORS

NAMES = st.text(max_size=6)
HEX = st.text(st.sampled_from("0123456789abcdef"), min_size=8, max_size=8)
SMALL = st.integers(0, 2**40)
SOURCES = st.sampled_from(["a.com", "b.com", "中.中国", "(unknown)"])


@st.composite
def shards(draw: st.DrawFn, path: str) -> Shard:
    columns = Columns(tuple(draw(st.lists(NAMES, min_size=1, max_size=3))), draw(NAMES | st.none()), None, draw(NAMES))
    ends = sorted(draw(st.sets(SMALL, min_size=2, max_size=4)))
    cuts = [
        Cut(start, stop, draw(SMALL), draw(SMALL), draw(HEX), draw(st.tuples(NAMES, NAMES)), draw(st.integers(-1, 9)))
        for start, stop in itertools.pairwise(ends)
    ]
    container = draw(st.sampled_from(["", "gzip", "zstd", "bz2"]))
    kind = draw(st.sampled_from(["jsonl", "parquet"]))
    return Shard(
        draw(NAMES), path, draw(SMALL), draw(HEX), kind, container, draw(NAMES), columns, tuple(cuts), draw(NAMES)
    )


@st.composite
def rows(draw: st.DrawFn, split: Split, number: int) -> tuple[Row, pa.Table]:
    sources = sorted(draw(st.sets(SOURCES, max_size=3)))
    tally = [{"source": name, **{count: draw(SMALL) for count in COUNTS}} for name in sources]
    doors = [
        {"source": name, **{door: draw(SMALL) for door in DOORS}}
        for name in [*draw(st.sampled_from([[], [""]])), *sources]
    ]
    door_schema = pa.schema([("source", pa.string()), *((door, pa.int64()) for door in DOORS)])
    file = st.builds(PartFile, st.sampled_from(["clean", "dead"]), NAMES, NAMES, SMALL, HEX, SMALL)
    released = Released(
        draw(HEX),
        tuple(draw(st.lists(file, max_size=2))),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
        pa.Table.from_pylist(doors, door_schema),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
    )
    known = Known(draw(HEX), tuple(draw(st.lists(st.tuples(NAMES, NAMES), max_size=2))), tuple(sources))
    layers = draw(st.lists(st.builds(LayerRef, NAMES, st.dictionaries(NAMES, HEX, max_size=2)), max_size=2))
    row = Row(
        split,
        f"{number}{draw(HEX)}",
        tuple(layers),
        known,
        draw(HEX),
        draw(SMALL),
        draw(SMALL),
        draw(SMALL),
        released,
        {"a": draw(HEX)},
    )
    return row, pa.Table.from_pylist(tally, SCHEMA)


@st.composite
def corpora(draw: st.DrawFn) -> list[tuple[Shard, list[tuple[Row, pa.Table]]]]:
    made = []
    number = 0
    for path in sorted(draw(st.sets(st.sampled_from(["a.jsonl", "b/c.parquet", "中/文"]), max_size=3))):
        shard = draw(shards(path))
        there = []
        for split in shard.splits():
            there.append(draw(rows(split, number)))
            number += 1
        made.append((shard, there))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalogue")


def through_files(folder: Path, made: list[tuple[Row, pa.Table]], name: str = "c") -> Catalogue:
    write_catalogue(made, folder / f"{name}-splits", folder / f"{name}-tallies")
    return Catalogue.read(folder / f"{name}-splits", folder / f"{name}-tallies")


def without_doors(row: Row) -> Row:
    return replace(row, release=replace(row.release, doors=None))


@given(corpora())
@settings(deadline=None, max_examples=60)
def test_a_catalogue_is_read_back_as_it_was_written(
    folder: Path, corpus: list[tuple[Shard, list[tuple[Row, pa.Table]]]]
) -> None:
    made = [pair for _, pairs in corpus for pair in pairs]
    catalogue = through_files(folder, made)
    assert len(catalogue) == len(made)
    assert catalogue.paths == [shard.path for shard, _ in corpus]
    for number, ((row, tally), again) in enumerate(zip(made, catalogue.rows(), strict=True)):
        assert without_doors(again) == without_doors(row)
        assert catalogue.tally_of(row.digest).to_pylist() == tally.to_pylist()
        # Doors of dead letters without a source stand under "", and a source may have left by none.
        assert again.release.doors.sort_by("source").to_pylist() == row.release.doors.sort_by("source").to_pylist()
        found = catalogue.find(row.digest)
        assert found is not None
        assert without_doors(found) == without_doors(row) == without_doors(catalogue.row(number))
        assert again.split.digest(Reading()) == row.split.digest(Reading())
    for shard, _ in corpus:
        assert catalogue.shard(shard.path) == shard


@given(corpora())
@settings(deadline=None, max_examples=30)
def test_what_was_read_back_is_written_in_the_same_bytes(
    folder: Path, corpus: list[tuple[Shard, list[tuple[Row, pa.Table]]]]
) -> None:
    catalogue = through_files(folder, [pair for _, pairs in corpus for pair in pairs])
    again = [(row, catalogue.tally_of(row.digest).cast(SCHEMA)) for row in catalogue.rows()]
    through_files(folder, again, "again")
    for part in ("splits", "tallies"):
        assert (folder / f"again-{part}").read_bytes() == (folder / f"c-{part}").read_bytes()


def test_an_empty_catalogue_knows_nothing(folder: Path) -> None:
    for catalogue in (Catalogue.empty(), through_files(folder, [])):
        assert (len(catalogue), catalogue.paths, list(catalogue.rows())) == (0, [], [])
        assert catalogue.shard("a") is None
        assert catalogue.find("d") is None
