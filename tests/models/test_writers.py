"""Writers: same records, same bytes, whatever the chunks; and an abandoned writer leaves nothing."""

import bz2
import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from models import writers
from models.shard import Container
from models.writers import LineWriter, RowWriter, TableWriter

CONTAINERS: dict[Container, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.decompress,
    "zstd": zstd.decompress,
    "bz2": bz2.decompress,
}
KINDS = st.sampled_from(list(CONTAINERS))
LINES = st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b"") + b"\n"), max_size=20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parts")


def chunked(items: list[Any], cuts: list[int]) -> Iterator[list[Any]]:
    at = 0
    for cut in [*sorted(cuts), len(items)]:
        yield items[at:cut]
        at = max(at, cut)


def lines_file(
    path: Path, container: Container, chunks: Iterator[list[bytes]], level: int = 1, **options: Any
) -> bytes:
    writer = LineWriter(path, container, level, **options)
    for chunk in chunks:
        writer.write(chunk, len(chunk))
    writer.close()
    return path.read_bytes()


@given(LINES, KINDS, st.lists(st.integers(0, 20), max_size=5), st.integers(1, 90))
@settings(deadline=None)
def test_a_file_of_lines_does_not_depend_on_how_they_came(
    folder: Path, lines: list[bytes], container: Container, cuts: list[int], step: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "_STEP", step)
        whole = lines_file(folder / "whole", container, iter([lines]))
        parts = lines_file(folder / "parts", container, chunked(lines, cuts))
        joined = lines_file(folder / "joined", container, iter([[b"".join(lines)]]))
    assert whole == parts == joined
    assert CONTAINERS[container](whole) == b"".join(lines)


@given(LINES, KINDS, st.booleans())
@settings(deadline=None)
def test_a_closed_file_of_lines_is_recounted(folder: Path, lines: list[bytes], container: Container, cut: bool) -> None:
    if cut and lines and len(lines[-1]) > 1:
        lines = [*lines[:-1], lines[-1][:-1]]
    writer = LineWriter(folder / "counted", container, 1)
    writer.write(lines, len(lines))
    writer.close()
    assert writer.records == writer.recount() == len(lines)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_two_byte_text_begins_with_its_mark(folder: Path, encoding: str) -> None:
    line = "中\u0a0a\n".encode(encoding)
    writer = LineWriter(folder / "wide", "gzip", 1, encoding)
    writer.write([line, line], 2)
    writer.close()
    assert gzip.decompress((folder / "wide").read_bytes()).decode("utf-16") == "中\u0a0a\n" * 2
    assert writer.recount() == 2


def test_gzip_holds_neither_time_nor_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = lines_file(folder / "one", "gzip", iter([[b"x\n"]]))
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert lines_file(folder / "another name", "gzip", iter([[b"x\n"]])) == one
    # RFC 1952: no flags (no name), no time; the byte of the system is not this machine's name either.
    assert (one[:4], one[4:8]) == (b"\x1f\x8b\x08\x00", bytes(4))


def test_the_level_of_gzip_is_the_operators(folder: Path) -> None:
    lines = [b"%d some text\n" % (number * 7919) for number in range(5000)]
    sizes = [len(lines_file(folder / "level", "gzip", iter([lines]), level)) for level in (1, 6)]
    assert sizes[1] < sizes[0]


SCHEMA = pa.schema([("text", pa.string()), ("n", pa.int64())], metadata={"made": "by a test"})


def batch(first: int, count: int) -> pa.RecordBatch:
    rows = [{"text": f"text {number}", "n": number} for number in range(first, first + count)]
    return pa.RecordBatch.from_pylist(rows, SCHEMA)


def rows_file(path: Path, batches: list[pa.RecordBatch], codec: str = "ZSTD", store_schema: bool = True) -> bytes:
    writer = RowWriter(path, SCHEMA, codec, store_schema)
    for each in batches:
        writer.write(each)
    writer.close()
    assert writer.records == writer.recount() == sum(map(len, batches))
    return path.read_bytes()


def test_each_write_of_rows_is_one_row_group_and_slices_write_the_same_bytes(folder: Path) -> None:
    whole = batch(0, 30)
    one = rows_file(folder / "one", [whole.slice(0, 10), whole.slice(10)])
    two = rows_file(folder / "two", [batch(0, 10), batch(10, 20)])
    assert one == two
    assert pq.read_metadata(folder / "one").num_row_groups == 2
    assert pq.read_table(folder / "one").equals(pa.Table.from_batches([whole]))
    assert pq.read_schema(folder / "one").metadata[b"made"] == b"by a test"


@pytest.mark.parametrize("codec", ["SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4", "UNCOMPRESSED"])
def test_rows_keep_the_codec_of_the_input(folder: Path, codec: str) -> None:
    rows_file(folder / "codec", [batch(0, 3)], codec)
    assert pq.read_metadata(folder / "codec").row_group(0).column(0).compression == codec


@pytest.mark.parametrize("codec", ["LZO", ""])
def test_a_codec_that_cannot_be_written_becomes_zstd(folder: Path, codec: str) -> None:
    rows_file(folder / "codec", [batch(0, 3)], codec)
    assert pq.read_metadata(folder / "codec").row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("stored", [True, False])
def test_the_arrow_schema_is_stored_as_it_was_in_the_input(folder: Path, stored: bool) -> None:
    rows_file(folder / "schema", [batch(0, 3)], store_schema=stored)
    assert (b"ARROW:schema" in (pq.read_metadata(folder / "schema").metadata or {})) == stored


@given(st.integers(0, 60), st.lists(st.integers(0, 60), max_size=5))
@settings(deadline=None, max_examples=40)
def test_a_table_of_rows_does_not_depend_on_how_they_came(folder: Path, count: int, cuts: list[int]) -> None:
    rows = [{"text": f"text {number}", "n": number} for number in range(count)]
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writers, "_TABLE_ROWS", 16)
        for name, chunks in (("one", iter([rows])), ("two", chunked(rows, cuts))):
            writer = TableWriter(folder / name, SCHEMA)
            for chunk in chunks:
                writer.write(chunk)
            writer.close()
            assert writer.records == writer.recount() == count
            found.append((folder / name).read_bytes())
    assert found[0] == found[1]
    assert pq.read_table(folder / "one").to_pylist() == rows


@pytest.mark.parametrize("wrote", [False, True])
@pytest.mark.parametrize("kind", ["lines", "rows", "table"])
def test_an_abandoned_writer_leaves_no_file(tmp_path: Path, kind: str, wrote: bool) -> None:
    path = tmp_path / "part"
    writer: Any
    if kind == "lines":
        writer = LineWriter(path, "gzip", 1)
        records: Any = ([b"x\n"], 1)
    elif kind == "rows":
        writer = RowWriter(path, SCHEMA, "ZSTD", True)
        records = (batch(0, 1),)
    else:
        writer = TableWriter(path, SCHEMA)
        records = ([{"text": "x", "n": 1}],)
    if wrote:
        writer.write(*records)
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_a_closed_writer_can_be_abandoned(tmp_path: Path) -> None:
    """Parts are discarded after they were closed, and created in the store, too."""
    for writer in (LineWriter(tmp_path / "l", "", 1), TableWriter(tmp_path / "t", SCHEMA)):
        writer.close()
        writer.abandon()
    assert list(tmp_path.iterdir()) == []
