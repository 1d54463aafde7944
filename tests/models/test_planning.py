"""Cutting shards: cuts follow on one another, end at line ends, and never change which records there are."""

import bz2
import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from models import planning
from models.documents import Documents
from models.errors import ShardChangedError, UsageError
from models.files import LocalOpener
from models.parsing import parse_lines
from models.planning import plan_shard
from models.records import open_stream, read_lines
from models.shard import Columns, Reading, Shard

PLAIN: Callable[[bytes], bytes] = bytes
CONTAINERS = {"": PLAIN, "gzip": gzip.compress, "zstd": zstd.compress, "bz2": bz2.compress}
KINDS = st.sampled_from(list(CONTAINERS))
LINES = st.sampled_from(
    [
        b'{"text":"a"}',
        b'{"text":"\xe4\xb8\xad\xe6\x96\x87","id":7}',
        b"bad",
        b"",
        b"  ",
        b'{"text":"' + b"long" * 30 + b'"}',
        b"\xff",
    ]
)
CONTENT = st.tuples(st.lists(st.tuples(LINES, st.sampled_from([b"\n", b"\r\n"])), max_size=25), LINES).map(
    lambda parts: b"".join(line + end for line, end in parts[0]) + parts[1]
)
COLUMNS = Columns(("text",), "id")
READING = Reading(columns=COLUMNS, max_record_bytes=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shards")


def plan(path: Path, reading: Reading = READING, split_size: int = 1 << 20, known: Shard | None = None) -> Shard:
    return plan_shard(LocalOpener(), str(path.parent), path.name, reading, split_size, known)


def written(folder: Path, data: bytes, name: str = "shard.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def entries(shard: Shard, reading: Reading = READING) -> list[tuple[int, str]]:
    """Return position and text, or error, of every entry of every split, read one by one."""
    found = []
    for split in shard.splits():
        with open_stream(LocalOpener(), shard) as stream:
            row = 0
            for lines in read_lines(stream, split, reading):
                assert lines.row == row
                parsed = parse_lines(lines, split, reading)
                what = dict(zip(parsed.documents.rows.tolist(), parsed.documents.text.to_pylist(), strict=True))
                what |= {at: f"dead: {dead.error}" for at, dead in parsed.dead.items()}
                assert sorted(what) == list(range(row, row + len(lines.positions)))
                found += [(int(at), what[row + number]) for number, at in enumerate(lines.positions)]
                row += len(lines.positions)
    return found


def documents(shard: Shard, reading: Reading) -> Iterator[Documents]:
    for split in shard.splits():
        with open_stream(LocalOpener(), shard) as stream:
            for lines in read_lines(stream, split, reading):
                yield parse_lines(lines, split, reading).documents


def at_once(shard: Shard) -> list[tuple[int, str]]:
    """Return the same from one open stream, as a task reads the splits of a compressed shard."""
    found = []
    with open_stream(LocalOpener(), shard) as stream:
        for split in shard.splits():
            for lines in read_lines(stream, split, READING):
                parsed = parse_lines(lines, split, READING)
                texts = dict(zip(parsed.documents.rows.tolist(), parsed.documents.text.to_pylist(), strict=True))
                for number, at in enumerate(lines.positions.tolist()):
                    dead = parsed.dead.get(lines.row + number)
                    found.append((at, f"dead: {dead.error}" if dead else texts[lines.row + number]))
    return found


@given(CONTENT, KINDS, st.integers(1, 400), st.integers(1, 64))
@settings(deadline=None)
def test_cuts_cover_the_shard_without_gap_and_end_at_line_ends(
    folder: Path, content: bytes, container: str, split_size: int, chunk: int
) -> None:
    path = written(folder, CONTAINERS[container](content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_CHUNK", chunk)
        shard = plan(path, split_size=split_size)
    assert shard.cuts[0].start == 0
    assert shard.cuts[-1].stop == len(content)
    for cut, following in zip(shard.cuts, shard.cuts[1:], strict=False):
        assert cut.stop == following.start
    for cut in shard.cuts:
        assert cut.start < cut.stop or not content
        assert cut.stop == len(content) or content[cut.stop - 1] == ord("\n")
        assert hashlib.sha256(content[cut.start : cut.stop]).hexdigest() == cut.checksum
    assert sum(cut.records for cut in shard.cuts) == content.count(b"\n") + (content[-1:] not in (b"", b"\n"))
    assert (shard.checksum, shard.size) == (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@given(CONTENT, KINDS, st.integers(1, 400), st.integers(1, 64))
@settings(deadline=None)
def test_any_split_size_gives_the_same_entries(
    folder: Path, content: bytes, container: str, split_size: int, chunk: int
) -> None:
    path = written(folder, CONTAINERS[container](content))
    whole = entries(plan(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_CHUNK", chunk)
        shard = plan(path, split_size=split_size)
    assert entries(shard) == whole
    assert at_once(shard) == whole
    lines = [line for line in content.split(b"\n") if line.strip(b" \t\r")]
    assert len(whole) == len(lines)


@given(
    CONTENT,
    st.integers(40, 900),
    st.sampled_from(["utf-16", "utf-16-le", "utf-16-be"]),
    st.booleans(),
    st.integers(1, 64),
)
@settings(deadline=None, max_examples=60)
def test_two_byte_text_is_cut_between_characters(
    folder: Path, content: bytes, split_size: int, encoding: str, marked: bool, chunk: int
) -> None:
    text = content.decode("utf-8", "replace")
    order = "utf-16-le" if encoding == "utf-16" else encoding
    data = ("\ufeff" if marked else "").encode(order) + text.encode(order)
    reading = Reading(columns=COLUMNS, encoding=encoding, max_record_bytes=1000)
    path = written(folder, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_CHUNK", 2 * chunk)
        shard = plan(path, reading, split_size)
    assert shard.encoding == order
    assert all((cut.start - 2 * marked) % 2 == 0 for cut in shard.cuts)
    same = Reading(columns=COLUMNS, max_record_bytes=1000)
    expected = entries(plan(written(folder, text.encode(), "utf8.jsonl"), same), same)
    assert [what for _, what in entries(shard, reading)] == [what for _, what in expected]


def test_a_byte_order_mark_is_no_part_of_the_first_line(folder: Path) -> None:
    shard = plan(written(folder, b'\xef\xbb\xbf{"text":"a"}\n{"text":"b"}\n'), split_size=4)
    assert entries(shard) == [(3, "a"), (16, "b")]
    assert shard.cuts[0].start == 3


def test_the_mark_tells_the_byte_order_of_utf_16(folder: Path) -> None:
    for order in ("utf-16-le", "utf-16-be"):
        path = written(folder, '\ufeff{"text":"中文"}\n'.encode(order))
        shard = plan(path, Reading(columns=COLUMNS, encoding="utf-16"))
        assert (shard.encoding, entries(shard)) == (order, [(2, "中文")])


@given(KINDS.filter(bool), st.integers(1, 4000), st.integers(0, 10**9))
@settings(deadline=None, max_examples=60)
def test_a_truncated_shard_keeps_what_came_before_and_has_one_dead_letter_with_the_tail(
    folder: Path, container: str, split_size: int, at: int
) -> None:
    content = b"".join(b'{"text":"%d"}\n' % (n * n * 7919 % 10007) for n in range(400))
    whole = CONTAINERS[container](content)
    shard = plan(written(folder, whole[: 8 + at % (len(whole) - 8)]), split_size=split_size)
    found = entries(shard)
    assert at_once(shard) == found
    readable = content[: shard.cuts[-1].stop]
    kept = readable[: readable.rfind(b"\n") + 1].splitlines()
    assert [what for _, what in found] == [*(json.loads(line)["text"] for line in kept), "dead: truncated"]
    assert found[-1][0] == readable.rfind(b"\n") + 1
    assert shard.cuts[-1].flaw[0] == "truncated"
    assert all(cut.flaw == ("", "") for cut in shard.cuts[:-1])


@given(KINDS.filter(bool), st.integers(1, 4000), st.integers(0, 10**9), st.integers(0, 7))
@settings(deadline=None, max_examples=50)
def test_a_shard_with_a_flipped_bit_is_read_twice_alike(
    folder: Path, container: str, split_size: int, at: int, bit: int
) -> None:
    content = b"".join(b'{"text":"%d"}\n' % (n * n * 7919 % 10007) for n in range(1500))
    data = bytearray(CONTAINERS[container](content))
    data[4 + at % (len(data) - 4)] ^= 1 << bit
    shard = plan(written(folder, bytes(data)), split_size=5000 + split_size * 20)
    assert entries(shard) == at_once(shard)
    assert shard.size == len(data)


def test_a_shard_cut_within_its_header_is_one_dead_letter_and_not_an_empty_shard(folder: Path) -> None:
    for container in ("gzip", "zstd", "bz2"):
        for size in (4, 5, 9, 15):
            shard = plan(written(folder, CONTAINERS[container](b'{"text":"a"}\n' * 9)[:size]))
            assert entries(shard) == [(0, "dead: truncated")], (container, size)


def test_a_line_that_never_ends_in_a_compressed_shard_is_a_bomb(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_CHUNK", 100)
    shard = plan(written(folder, gzip.compress(b'{"text":"a"}\n' + b" " * 100_000)))
    found = [what for _, what in entries(shard)]
    assert (found[0], found[-1]) == ("a", "dead: bomb")
    assert shard.cuts[-1].stop < 10_000


def test_the_dead_letter_of_a_damaged_shard_holds_the_cut_line(folder: Path) -> None:
    content = b'{"text":"whole"}\n{"text":"cut off'
    compressor = zstd.ZstdCompressor()
    shard = plan(written(folder, compressor.compress(content) + compressor.flush(zstd.ZstdCompressor.FLUSH_BLOCK)))
    (split,) = shard.splits()
    with open_stream(LocalOpener(), shard) as stream:
        dead = [lines.dead for lines in read_lines(stream, split, READING) if lines.dead]
    tail = b'{"text":"cut off'
    assert [(one.error, one.raw, one.sha256) for one in dead] == [("truncated", tail, hashlib.sha256(tail).hexdigest())]


@pytest.mark.parametrize("content", [b"", b"\n", b"\n \r\n\t\n", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("container", list(CONTAINERS))
def test_a_shard_without_lines_is_one_split_without_entries(folder: Path, content: bytes, container: str) -> None:
    shard = plan(written(folder, CONTAINERS[container](content)), split_size=1 << 20)
    assert (len(shard.cuts), entries(shard)) == (1, [])


def test_columns_are_recognised_in_the_first_objects_of_which_each_may_lack_some(folder: Path) -> None:
    data = b'bad\n[1]\n{"uuid":1}\n{"content":"a","host":"h"}\n{"content":"b","uri":"u"}\n{"text":"c"}\n'
    assert plan(written(folder, data), Reading()).columns == Columns(
        ("content",), "uuid", "host", "uri", by_record=True
    )


@pytest.mark.parametrize("split_size", [1, 1 << 20])
def test_what_speaks_against_a_record_is_read_wherever_in_its_shard_it_stands(folder: Path, split_size: int) -> None:
    rows: list[dict[str, object]] = [{"text": str(n), "license_uri": None} for n in range(130)]
    rows[120] |= {"opt_out": True, "id": "late", "source": "late"}
    rows[121] |= {"uri": "https://blocked.example/x", "licence": "GPL-3.0-only"}
    rows[122] |= {"uri": "https://b.example/", "url": "https://a.example/", "opt_out": None, "optout": "yes"}
    rows[123] |= {"license_uri": " ", "licence": "MIT", "url": "", "uri": "https://c.example/"}
    path = written(folder, b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    shard = plan(path, Reading(), split_size)
    found = list(documents(shard, Reading()))
    assert (shard.columns.url, dict(shard.columns.provenance)) == (None, {"licence": "license_uri"})
    said = {
        each.text[row].as_py(): {name: array[row].as_py() for name, array in each.provenance.items()}
        | {"url": each.url[row].as_py()}
        for each in found
        for row in range(len(each))
    }
    there = {text: {name: value for name, value in each.items() if value} for text, each in said.items()}
    assert {text: each for text, each in there.items() if each} == {
        "120": {"opt_out": "true"},
        "121": {"url": "https://blocked.example/x", "licence": "GPL-3.0-only"},
        "122": {"url": "https://a.example/", "opt_out": "yes"},
        "123": {"url": "https://c.example/", "licence": "MIT"},
    }
    # Ids and sources stay: withdrawals and reviews may name them, and a shard names its sources in one way.
    assert {source for each in found for source in each.source.to_pylist()} == {"shard"}
    assert all(name.startswith("shard.jsonl#") for each in found for name in each.id.to_pylist())


def test_of_a_given_mapping_nothing_else_is_read(folder: Path) -> None:
    reading = Reading(columns=Columns(("text",)))
    path = written(folder, b'{"text":"a","opt_out":true,"url":"https://a.example/"}\n')
    (found,) = documents(plan(path, reading), reading)
    assert (dict(found.provenance), found.url.to_pylist()) == ({}, [None])


def test_columns_are_recognised_in_a_first_line_of_any_allowed_length(folder: Path) -> None:
    line = b'{"content":"' + b"x" * (3 << 20) + b'"}\n'
    assert plan(written(folder, line + b'{"content":"b"}\n'), Reading()).columns == Columns(
        ("content",), by_record=True
    )
    assert plan(written(folder, gzip.compress(line)), Reading()).columns == Columns(("content",), by_record=True)


def test_a_shard_whose_first_object_has_no_text_is_refused_with_what_it_has(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"shard\.jsonl: no column is called text.*it has: a, b.*--text"):
        plan(written(folder, b'{"a":1,"b":"x"}\n'), Reading())


def test_a_known_shard_keeps_its_cuts_until_its_content_changes(folder: Path) -> None:
    path = written(folder, b'{"text":"a"}\n' * 10)
    known = plan(path, split_size=20)
    assert plan(path, split_size=1000, known=known) == known
    path.write_bytes(b'{"text":"b"}\n' * 10)
    assert plan(path, split_size=1000, known=known).checksum != known.checksum


def test_parquet_is_cut_between_row_groups_and_loses_none(folder: Path) -> None:
    path = folder / "shard.parquet"
    pq.write_table(pa.table({"text": [f"text {n}" for n in range(95)]}), path, row_group_size=10)
    for split_size in (1, 300, 1 << 20):
        shard = plan(path, Reading(), split_size)
        assert [cut.start for cut in shard.cuts] == [0, *(cut.stop for cut in shard.cuts[:-1])]
        assert shard.cuts[-1].stop == 10
        assert [cut.first_row for cut in shard.cuts] == [10 * cut.start for cut in shard.cuts]
        assert sum(cut.records for cut in shard.cuts) == 95
    assert len(plan(path, Reading(), 1).cuts) == 10


@pytest.mark.parametrize("columns", [None, Columns(("body",)), Columns(("n",))])
def test_parquet_without_a_column_of_strings_is_refused_with_what_it_has(folder: Path, columns: Columns | None) -> None:
    path = folder / "shard.parquet"
    pq.write_table(pa.table({"n": [1], "words": ["x"]}), path)
    with pytest.raises(UsageError, match=r"shard\.parquet.*words"):
        plan(path, Reading(columns=columns))


def test_a_parquet_shard_without_rows_or_groups_is_one_split(folder: Path) -> None:
    path = folder / "shard.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert len(plan(path, Reading()).cuts) == 1


def test_a_shard_that_is_written_while_it_is_planned_is_refused(folder: Path) -> None:
    class Restless(LocalOpener):
        def stamp(self, path: str) -> str:
            with Path(path).open("ab") as file:
                file.write(b"\n")
            return super().stamp(path)

    path = written(folder, b'{"text":"a"}\n')
    with pytest.raises(ShardChangedError, match=r"shard\.jsonl changed"):
        plan_shard(Restless(), str(folder), path.name, READING, 100)
