"""Reading splits: what was planned or a refusal, every row of every kind of column, and damage that costs no more than itself."""

import bz2
import errno
import gzip
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from models import records
from models.columns import steps
from models.errors import ShardChangedError
from models.files import LocalOpener
from models.parsing import Parsed, parse_rows, row_as_json
from models.planning import plan_shard
from models.records import open_stream, read_lines, read_rows, sampled
from models.shard import Columns, Reading, Shard

READING = Reading()
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstd.compress,
    "bz2": bz2.compress,
}
TEXTS = [f"text {number} 中文" for number in range(95)]


def plan(path: Path, reading: Reading = READING, split_size: int = 1) -> Shard:
    return plan_shard(LocalOpener(), str(path.parent), path.name, reading, split_size)


def batches(shard: Shard, reading: Reading = READING) -> list[Parsed]:
    """Return the parsed entries of every split, those of a row group that proved unreadable in place of what came before."""
    paths = [path for path in (*shard.columns.text, shard.columns.id, shard.columns.source, shard.columns.url) if path]
    names = sorted({steps(path)[0][0] for path in paths})
    found: list[Parsed] = []
    for split in shard.splits():
        here: list[Parsed] = []
        for rows in read_rows(LocalOpener(), split, reading, names):
            here = [parsed for parsed in here if parsed.row < rows.row]
            here.append(parse_rows(rows, split, reading))
        found += here
    return found


def entries(shard: Shard, reading: Reading = READING) -> list[tuple[int, str]]:
    found = []
    for parsed in batches(shard, reading):
        what = dict(zip(parsed.documents.rows.tolist(), parsed.documents.text.to_pylist(), strict=True))
        what |= {row: f"dead: {dead.error} {dead.records}" for row, dead in parsed.dead.items()}
        found += [(int(at), what[parsed.row + number]) for number, at in enumerate(parsed.positions)]
    return found


def lines(shard: Shard, index: int | None = None) -> int:
    """Read one split of a JSONL shard, or all, and return the number of entries."""
    chosen = shard.splits() if index is None else [shard.splits()[index]]
    count = 0
    for split in chosen:
        with open_stream(LocalOpener(), shard) as stream:
            count += sum(len(found.positions) for found in read_lines(stream, split, READING))
    return count


def table_file(folder: Path, table: pa.Table | None = None, name: str = "shard.parquet", **options: Any) -> Path:
    path = folder / name
    table = pa.table({"text": TEXTS, "id": [f"id{number}" for number in range(95)]}) if table is None else table
    pq.write_table(table, path, **{"row_group_size": 10, "compression": "none", **options})
    return path


# The bytes are those that were planned, or nothing is read.


def rewritten(path: Path, data: bytes) -> None:
    """Put other bytes in place, with the modification time of those that were there."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("container", list(CONTAINERS))
@pytest.mark.parametrize("change", ["same size", "shorter", "by one", "longer", "empty"])
def test_a_jsonl_shard_that_changed_after_planning_is_refused(tmp_path: Path, container: str, change: str) -> None:
    content = b"".join(b'{"text":"%03d"}\n' % number for number in range(100))
    path = tmp_path / "shard.jsonl"
    path.write_bytes(CONTAINERS[container](content))
    shard = plan(path, split_size=400)
    assert (len(shard.cuts), lines(shard)) == (4, 100)
    data = path.read_bytes()
    other = {
        "same size": CONTAINERS[container](content.replace(b"050", b"051"))
        if not container
        else data[:30] + b"!" + data[31:],
        "shorter": CONTAINERS[container](content[:300]),
        "by one": data[:-1],
        "longer": data + CONTAINERS[container](b'{"text":"new"}\n'),
        "empty": b"",
    }[change]
    rewritten(path, other)
    if change == "same size":
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (len(data), path.stat().st_mtime_ns)
    with pytest.raises(ShardChangedError, match=r"shard\.jsonl changed"):
        lines(shard)
    if change != "same size":
        for index in range(4):
            with pytest.raises(ShardChangedError):
                lines(shard, index)


def test_only_the_splits_whose_bytes_changed_would_pass_unseen_and_they_are_the_same(tmp_path: Path) -> None:
    content = b"".join(b'{"text":"%03d"}\n' % number for number in range(100))
    path = tmp_path / "shard.jsonl"
    path.write_bytes(content)
    shard = plan(path, split_size=400)
    rewritten(path, content.replace(b"050", b"051"))
    refused = []
    for index in range(4):
        try:
            lines(shard, index)
        except ShardChangedError:
            refused.append(index)
    assert refused == [1]


@pytest.mark.parametrize(
    "change", ["same size", "truncated", "longer", "fewer groups", "other columns", "empty", "not parquet", "footer"]
)
def test_a_parquet_shard_that_changed_after_planning_is_refused(tmp_path: Path, change: str) -> None:
    path = table_file(tmp_path)
    data = path.read_bytes()
    shard = plan(path)
    assert len(entries(shard)) == 95
    match change:
        case "fewer groups":
            table_file(tmp_path, pa.table({"text": TEXTS[:10], "id": TEXTS[:10]}))
        case "other columns":
            table_file(tmp_path, pa.table({"other": TEXTS}))
        case _:
            place = data.index(b"text 50")
            footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
            rewritten(
                path,
                {
                    "same size": data[:place] + b"TEXT" + data[place + 4 :],
                    "truncated": data[:-20],
                    "longer": data + b"more",
                    "empty": b"",
                    "not parquet": b"x" * len(data),
                    # The footer alone: the same pages under another column's name.
                    "footer": data[:footer] + data[footer:].replace(b"id", b"di", 1),
                }[change],
            )
    with pytest.raises(ShardChangedError, match=r"shard\.parquet changed"):
        entries(shard)


@pytest.mark.parametrize("name", ["shard.jsonl", "shard.parquet"])
def test_a_shard_that_changes_while_it_is_read_is_refused_even_if_its_bytes_were_right(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    if name == "shard.parquet":
        table_file(tmp_path)
    else:
        path.write_bytes(b'{"text":"a"}\n')
    shard = plan(path, split_size=1 << 20)
    (split,) = shard.splits()

    def touch() -> None:
        rewritten(path, path.read_bytes())

    with pytest.raises(ShardChangedError):
        if name == "shard.parquet":
            for _ in read_rows(LocalOpener(), split, READING, ["text"]):
                touch()
        else:
            with open_stream(LocalOpener(), shard) as stream:
                list(read_lines(stream, split, READING))
                touch()


@pytest.mark.parametrize("name", ["shard.jsonl", "shard.jsonl.gz", "shard.parquet"])
@pytest.mark.parametrize("after", range(1, 8))
def test_an_error_of_reading_the_file_is_never_taken_for_damage(tmp_path: Path, name: str, after: int) -> None:
    path = tmp_path / name
    if name == "shard.parquet":
        table_file(tmp_path, row_group_size=50)
    else:
        data = b"".join(b'{"text":"%d"}\n' % number for number in range(99))
        path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    shard = plan(path, split_size=1 << 20)
    (split,) = shard.splits()
    reads = 0

    class Failing(LocalOpener):
        def open(self, path: str) -> BinaryIO:
            file = open(path, "rb", buffering=0)  # noqa: SIM115 - handed on

            class File:
                def read(self, size: int = -1) -> bytes:
                    nonlocal reads
                    reads += 1
                    if reads == after:
                        raise OSError(errno.EIO, "store says 503")
                    return file.read(size)

                def __getattr__(self, name: str) -> Any:
                    return getattr(file, name)

                def __enter__(self) -> "File":
                    return self

                def __exit__(self, *_: object) -> None:
                    file.close()

            return File()  # type: ignore[return-value]

    def read_all() -> None:
        if name == "shard.parquet":
            list(read_rows(Failing(), split, READING, ["text", "id"]))
        else:
            with open_stream(Failing(), shard) as stream:
                list(read_lines(stream, split, READING))

    def plan_it() -> None:
        plan_shard(Failing(), str(path.parent), path.name, READING, 1)

    for act in (read_all, plan_it):
        reads = 0
        raised: OSError | None = None
        try:
            act()
        except OSError as error:
            raised = error
        # It was raised as it is if it happened at all.
        assert (raised is not None and raised.errno == errno.EIO) == (reads >= after)


# Parquet of every kind.


def test_every_row_of_every_row_group_is_read_once_with_its_number(tmp_path: Path) -> None:
    shard = plan(table_file(tmp_path))
    assert entries(shard) == list(enumerate(TEXTS))
    ids = [name for parsed in batches(shard) for name in parsed.documents.id.to_pylist()]
    assert ids == [f"id{number}" for number in range(95)]


@given(split_size=st.integers(1, 2000), batch=st.integers(1, 500), group=st.integers(3, 100))
@settings(deadline=None, max_examples=50)
def test_split_batch_and_group_sizes_do_not_change_the_entries(
    tmp_path_factory: pytest.TempPathFactory, split_size: int, batch: int, group: int
) -> None:
    texts = [text if number % 7 else None for number, text in enumerate(TEXTS)]
    path = table_file(tmp_path_factory.mktemp("sizes"), pa.table({"text": texts}), row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "_BATCH_BYTES", batch)
        found = entries(plan(path, split_size=split_size))
    assert found == [(number, text or "dead: no_text 1") for number, text in enumerate(texts)]


def messages(*contents: Sequence[str | None] | None) -> pa.Array:
    kind = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    rows = [None if row is None else [{"role": "r", "content": text} for text in row] for row in contents]
    return pa.array(rows, kind)


@pytest.mark.parametrize(
    ("array", "path", "expected"),
    [
        (pa.array(["a", None, "b"]).dictionary_encode(), "text", ["a", None, "b"]),
        (pa.array(["a", None, "b"], pa.large_string()), "text", ["a", None, "b"]),
        (pa.array(["a", None, "b" * 50], pa.string_view()), "text", ["a", None, "b" * 50]),
        (pa.array([b"a", None, "中".encode()], pa.binary()), "text", ["a", None, "中"]),
        (pa.array([b"a", None, "中".encode()], pa.large_binary()), "text", ["a", None, "中"]),
        (pa.array([b"a", b"\xff\xfe", "中".encode()], pa.binary()), "text", ["a", "bad_encoding", "中"]),
        (pa.array([b"a", b"\xed\xa0\x80", b""], pa.large_binary()), "text", ["a", "bad_encoding", ""]),
        (messages(["a", "b"], None, [], [None], [None, "c"]), "text[].content", ["a\nb", None, None, None, "c"]),
        (pa.array([["a", None], ["b"], None], pa.list_(pa.string())), "text[]", ["a", "b", None]),
        (pa.array([["a"], ["b", "c"]], pa.large_list(pa.large_string())), "text[]", ["a", "b\nc"]),
        (pa.array([[b"a"], [b"b", b"\xff"]], pa.list_(pa.binary())), "text[]", ["a", "bad_encoding"]),
        (
            pa.array([{"in": {"to": "a"}}, {"in": None}, None], pa.struct([("in", pa.struct([("to", pa.string())]))])),
            "text.in.to",
            ["a", None, None],
        ),
        (
            pa.array([[[{"t": "a"}], [{"t": "b"}]], [[]]], pa.list_(pa.list_(pa.struct([("t", pa.string())])))),
            "text[][].t",
            None,
        ),
    ],
)
def test_text_is_read_from_every_kind_of_column(
    tmp_path: Path, array: pa.Array, path: str, expected: list[str | None] | None
) -> None:
    reading = Reading(columns=Columns((path,)))
    file = table_file(tmp_path, pa.table({"text": array}), row_group_size=2)
    if expected is None:
        # A list of lists has no path; that is said, not guessed.
        with pytest.raises(Exception, match="text column"):
            plan(file, reading)
        return
    wanted = [text if text != "bad_encoding" else "dead: bad_encoding 1" for text in expected]
    found = entries(plan(file, reading), reading)
    assert found == [(number, "dead: no_text 1" if text is None else text) for number, text in enumerate(wanted)]


@pytest.mark.parametrize("shape", ["plain", "dictionary", "nested"])
def test_a_string_column_that_is_no_utf_8_costs_its_record_alone(tmp_path: Path, shape: str) -> None:
    """Parquet's strings are promised to be UTF-8, and nothing checks it when they are written."""
    raw = pa.array([b"good", b"bad \xff", b"fine"], pa.binary())
    strings = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    column, path = strings, "text"
    if shape == "dictionary":
        column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int32()), strings)
    elif shape == "nested":
        inner = pa.StructArray.from_arrays([strings], ["content"])
        column, path = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3], pa.int32()), inner), "text[].content"
    reading = Reading(columns=Columns((path,), "id"))
    file = table_file(tmp_path, pa.table({"text": column, "id": strings}))
    found = entries(plan(file, reading), reading)
    assert found == [(0, "good"), (1, "dead: bad_encoding 1"), (2, "fine")]


def test_several_text_columns_are_joined_as_in_json_and_null_ones_left_out(tmp_path: Path) -> None:
    table = pa.table({"a": ["1", None, "3", None, "", "z"], "b": ["x", "y", None, None, None, "w"]})
    reading = Reading(columns=Columns(("a", "b"), "a"))
    shard = plan(table_file(tmp_path, table), reading)
    assert [what for _, what in entries(shard, reading)] == ["1\nx", "y", "3", "dead: no_text 1", "", "z\nw"]
    (parsed,) = batches(shard, reading)
    assert parsed.documents.id.to_pylist() == ["1", "shard.parquet#1", "3", "", "z"]


def test_a_text_over_the_limit_is_too_long_and_one_at_it_is_not(tmp_path: Path) -> None:
    reading = Reading(max_record_bytes=9)
    found = entries(plan(table_file(tmp_path, pa.table({"text": ["中中中", "中中中x", "x"]})), reading), reading)
    assert [what for _, what in found] == ["中中中", "dead: too_long 1", "x"]


ODD = {
    "timestamp beyond Python": pa.array([2**62] * 2, pa.int64()).view(pa.timestamp("s")),
    "date beyond Python": pa.array([2**31 - 1] * 2, pa.int32()).view(pa.date32()),
    "nanoseconds": pa.array([5] * 2, pa.duration("ns")),
    "unknown time zone": pa.array([5] * 2, pa.timestamp("ns", tz="America/Nowhere")),
    "bytes": pa.array([b"\xff\x00"] * 2),
    "map": pa.array([[("k", 1)]] * 2, pa.map_(pa.string(), pa.int32())),
    "not a number": pa.array([float("nan")] * 2),
    "big": pa.array([2**64 - 1] * 2, pa.uint64()),
    "decimal": pa.array([12345] * 2).cast(pa.decimal128(38, 3)),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_dead_row_becomes_json_whatever_its_other_columns_hold(tmp_path: Path, kind: str) -> None:
    """A record without text must not stop the run because of a column that nobody asked for."""
    batch = pa.record_batch({"text": pa.array([None, "there"]), "odd": ODD[kind]})
    raw = row_as_json(batch, 0)
    assert set(json.loads(raw)) == {"text", "odd"}
    assert json.loads(raw)["text"] is None


# Damage.


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip"])
@pytest.mark.parametrize("group", [0, 4, 9])
def test_a_broken_row_group_is_one_dead_letter_that_counts_its_records(tmp_path: Path, codec: str, group: int) -> None:
    path = table_file(tmp_path, compression=codec)
    column = pq.ParquetFile(path).metadata.row_group(group).column(0)
    begin = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    for split_size in (1, 1 << 20):
        found = entries(plan(path, split_size=split_size))
        lost = range(10 * group, min(10 * group + 10, 95))
        kept = [(number, text) for number, text in enumerate(TEXTS) if number not in lost]
        assert found == sorted([*kept, (10 * group, f"dead: unreadable {len(lost)}")])


def test_a_row_group_that_breaks_after_some_batches_takes_them_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead letter stands at the group's first row, in place of what was given of the group before."""
    monkeypatch.setattr(records, "_BATCH_BYTES", 1)
    texts = [f"{number:06}" + "x" * 300 for number in range(60)]
    path = table_file(
        tmp_path,
        pa.table({"text": texts}),
        row_group_size=30,
        data_page_size=600,
        use_dictionary=False,
        write_batch_size=2,
    )
    data = bytearray(path.read_bytes())
    place = data.index(b"000040")
    # The length of the string before its page's bytes: no page can hold so much.
    data[place - 4 : place] = b"\xff\xff\xff\x7f"
    path.write_bytes(data)
    shard = plan(path, split_size=1 << 20)
    (split,) = shard.splits()
    rows = [(rows.row, rows.dead is not None) for rows in read_rows(LocalOpener(), split, READING, ["text"])]
    assert rows[-1] == (30, True)
    assert len(rows) > 32
    assert entries(shard) == [*enumerate(texts[:30]), (30, "dead: unreadable 30")]


@pytest.mark.parametrize("damage", ["encrypted", "footer", "no footer", "empty", "length", "text"])
def test_a_parquet_shard_that_cannot_be_opened_is_one_dead_letter(tmp_path: Path, damage: str) -> None:
    path = table_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(
        {
            "encrypted": b"PARE" + data[4:-4] + b"PARE",
            "footer": data[:-60] + bytes(52) + data[-8:],
            "no footer": data[:200],
            "empty": b"",
            "length": data[:-8] + b"\xff\xff\xff\x7fPAR1",
            "text": b'{"text":"a"}\n',
        }[damage]
    )
    shard = plan(path)
    assert entries(shard) == [(0, "dead: unreadable 1")]
    (parsed,) = batches(shard)
    assert parsed.dead[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert parsed.dead[0].detail


# Samples and limits.


@given(st.integers(0, 1_000_000), st.lists(st.integers(0, 2**62), min_size=1, max_size=50, unique=True))
@settings(deadline=None)
def test_a_sample_is_decided_by_each_position_alone_and_grows_with_its_share(ppm: int, positions: list[int]) -> None:
    chosen = sampled(np.array(positions), "a/b", ppm)
    alone = [bool(sampled(np.array([position]), "a/b", ppm)[0]) for position in positions]
    assert chosen.tolist() == alone
    assert not (chosen & ~sampled(np.array(positions), "a/b", min(ppm + 1000, 1_000_000))).any()
    assert sampled(np.array(positions), "x", 1_000_000).all()
    assert not sampled(np.array(positions), "x", 0).any()


def test_a_sample_has_about_its_share_and_differs_by_shard() -> None:
    positions = np.arange(200_000)
    one, other = (sampled(positions, path, 10_000) for path in ("one", "other"))
    assert 1800 < one.sum() < 2200
    assert (one & other).sum() < 100


def test_a_sample_is_the_same_for_any_cut(tmp_path: Path) -> None:
    reading = Reading(sample_ppm=300_000)
    path = table_file(tmp_path)
    found = entries(plan(path, reading, 1), reading)
    assert found == entries(plan(path, reading, 1 << 20), reading)
    assert 10 < len(found) < 50
    assert all(TEXTS[at] == text for at, text in found)
