"""The catalogue: every split, layer, tally and release comes back as it was written; where segments end depends on paths alone."""

import itertools
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalogue import (
    AVERAGE,
    KINDS,
    MOST,
    TOTALS,
    Catalogue,
    Row,
    about,
    as_json,
    closes,
    kinds_json,
    layers_json,
    released_facts,
    split_facts,
    tagged_facts,
    write_index,
    write_segment,
)
from models.layer import Known
from models.parts import PartFile
from models.release_pass import Released
from models.shard import Columns, Cut, Reading, Shard, Split
from models.store import LocalStore
from models.tag_pass import LayerRef
from models.tally import COUNTS, SCHEMA
from models.verdicts import DOORS

NAMES = st.text(max_size=6)
HEX = st.text(st.sampled_from("0123456789abcdef"), min_size=8, max_size=8)
SMALL = st.integers(0, 2**40)
ONE = st.integers(1, 2**40)
SOURCES = st.sampled_from(["a.com", "b.com", "中.中国", "(unknown)"])


@st.composite
def shards(draw: st.DrawFn, path: str) -> Shard:
    text, pairs = draw(st.lists(NAMES, min_size=1, max_size=3)), st.sampled_from([(), (("opt_out", "o"),)])
    columns = Columns(
        tuple(text), draw(NAMES | st.none()), None, draw(NAMES), draw(pairs), draw(pairs), draw(st.booleans())
    )
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


PAIRS = st.dictionaries(NAMES, st.lists(SMALL, min_size=2, max_size=2), max_size=3)


@st.composite
def rows(draw: st.DrawFn, split: Split, number: int) -> tuple[Row, pa.Table]:
    sources = sorted(draw(st.sets(SOURCES, max_size=3)))
    tally = [{"source": name, **{count: draw(SMALL) for count in COUNTS[1:]}, "records": draw(ONE)} for name in sources]
    doors = [
        {"source": name, **{door: draw(SMALL) for door in DOORS[1:]}, DOORS[0]: draw(ONE)}
        for name in [*draw(st.sampled_from([[], [""]])), *sources]
    ]
    door_schema = pa.schema([("source", pa.string()), *((door, pa.int64()) for door in DOORS)])
    file = st.builds(PartFile, st.sampled_from(["clean", "dead"]), NAMES, NAMES, SMALL, HEX, SMALL)
    released = Released(
        draw(HEX),
        tuple(draw(st.lists(file, max_size=2))),
        {total: draw(SMALL) for total in TOTALS},
        pa.Table.from_pylist(doors, door_schema),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
        tuple(draw(st.lists(st.tuples(HEX, NAMES, ONE), max_size=2))),
        draw(st.dictionaries(NAMES, SMALL, max_size=3)),
        draw(PAIRS),
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
        draw(st.sampled_from(KINDS)),
        draw(st.dictionaries(NAMES, SMALL, max_size=2)),
        draw(PAIRS),
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


def numbered(tables: list[pa.Table]) -> pa.Table:
    """Put tables under each other, each row with the number of its table."""
    return pa.concat_tables(
        [table.add_column(0, "row", pa.array([number] * len(table), pa.int64())) for number, table in enumerate(tables)]
    )


def facts_of(row: Row) -> dict[str, object]:
    """Return a row as segments have it."""
    parts = [
        split_facts(row.split, row.digest, row.kind),
        tagged_facts(layers_json(row.layers), row.taggers, row.counting),
        released_facts(row.release),
    ]
    facts: dict[str, object] = {
        "known": row.known.digest,
        "kinds": kinds_json(row.known),
        "entries": row.entries,
        "lost": row.lost,
        "languages": as_json(dict(row.languages)),
        "characters": row.characters,
        "withdrawn": as_json(dict(row.withdrawn)),
    }
    body: dict[str, object] = {}
    for some, said in parts:
        facts |= some
        body |= said
    return facts | {"body": as_json(body)}


def through_store(folder: Path, made: list[list[tuple[Row, pa.Table]]]) -> tuple[str, Catalogue]:
    """Write and open a catalogue with a segment for each list of rows; return its name too."""
    store, refs = LocalStore(folder), []
    for pairs in made:
        rows, counts = zip(*pairs, strict=True)
        doors = numbered([row.release.doors for row in rows])
        shard = replace(rows[0].split.shard, cuts=tuple(row.split.cut for row in rows))
        facts = list(map(facts_of, rows))
        refs.append(write_segment(facts, numbered(list(counts)), doors, about([shard], True), store, folder))
    name = write_index(refs, store, folder)
    return name, Catalogue.open(store, name)


def without_doors(row: Row) -> Row:
    return replace(row, release=replace(row.release, doors=None))


def sources(table: pa.Table) -> list[dict[str, object]]:
    return table.sort_by("source").to_pylist()


@given(corpora())
@settings(deadline=None, max_examples=60)
def test_a_catalogue_is_read_back_as_it_was_written(
    folder: Path, corpus: list[tuple[Shard, list[tuple[Row, pa.Table]]]]
) -> None:
    made = [pair for _, pairs in corpus for pair in pairs]
    _, catalogue = through_store(folder, [pairs for _, pairs in corpus])
    assert len(catalogue) == len(made)
    assert catalogue.paths == [shard.path for shard, _ in corpus]
    for (row, tally), again in zip(made, catalogue.rows(), strict=True):
        assert without_doors(again) == without_doors(row)
        # Doors of dead letters without a source stand under "".
        assert sources(again.release.doors) == sources(row.release.doors)
        found = catalogue.find(row.split.shard.path, row.digest)
        assert found is not None
        segment, number = found
        assert without_doors(segment.row(number)) == without_doors(row)
        counts = segment.tally(number).select(["source", *COUNTS])
        assert [each for each in counts.to_pylist() if each["records"]] == tally.to_pylist()
        assert segment.layers(number) == row.layers
        assert again.split.digest(Reading()) == row.split.digest(Reading())
    for shard, _ in corpus:
        assert catalogue.shard(shard.path) == shard


@given(corpora())
@settings(deadline=None, max_examples=30)
def test_what_was_read_back_is_written_in_the_same_bytes(
    folder: Path, corpus: list[tuple[Shard, list[tuple[Row, pa.Table]]]]
) -> None:
    name, catalogue = through_store(folder, [pairs for _, pairs in corpus])
    read = [
        [(row, segment.tally(at).select(["source", *COUNTS]).cast(SCHEMA)) for at, row in enumerate(segment.rows())]
        for segment in map(catalogue.read, catalogue.segments)
    ]
    assert through_store(folder, read)[0] == name


def test_an_empty_catalogue_knows_nothing(folder: Path) -> None:
    for catalogue in (Catalogue.empty(), through_store(folder, [])[1]):
        assert (len(catalogue), catalogue.paths, list(catalogue.rows())) == (0, [], [])
        assert catalogue.shard("a") is None
        assert catalogue.find("a", "d") is None
        assert catalogue.starting("a") is None


def lengths(shards: list[tuple[str, int]]) -> list[int]:
    """Return the splits of each segment, for shards given as path and number of splits."""
    found = [0]
    for path, splits in shards:
        ends = closes(path, splits, found[-1])
        found[-1] += splits
        if ends:
            found.append(0)
    return found[:-1]


@pytest.mark.parametrize("splits", [1, 8, 100])
def test_segments_have_the_average_length_whatever_the_shards(splits: int) -> None:
    found = lengths([(f"crawl/{number:07}.jsonl", splits) for number in range(400_000 // splits)])
    assert AVERAGE * 0.8 < sum(found) / len(found) < AVERAGE * 1.2
    assert max(found) < MOST + splits


def test_a_shard_of_many_splits_is_a_segment_of_its_own() -> None:
    assert lengths([("a", 10 * MOST), ("b", 10 * MOST)]) == [10 * MOST, 10 * MOST]
