"""What is a record, what is a dead letter and why, and whose it is."""

import hashlib
import json
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.columns import UNKNOWN_SOURCE, domain_of_url, pieces, recognise, registrable_domain
from models.errors import UsageError
from models.lines import Block
from models.parsing import Parsed, parse_lines, parse_rows, source_of_path
from models.records import Lines, Rows
from models.shard import Columns, Cut, Reading, Shard, Split

ALL = Columns(("text",), "id", "source", "url")


def split_of(columns: Columns, encoding: str = "utf-8", path: str = "cc/part.jsonl", kind: Any = "jsonl") -> Split:
    shard = Shard("root", path, 0, "", kind, "", encoding, columns, ())
    return Split(shard, Cut(0, 0, 0, 0, ""), 0, 1)


def parse(*lines: bytes, columns: Columns = ALL, encoding: str = "utf-8", row: int = 0, **reading: Any) -> Parsed:
    ends = np.cumsum([len(line) + 1 for line in lines])
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
    block = Block(b"\n".join([*lines, b""]), 0, starts, ends - 1, ends)
    return parse_lines(Lines(row, starts, block), split_of(columns, encoding), Reading(encoding=encoding, **reading))


def parse_table(columns: Columns = ALL, **arrays: Any) -> Parsed:
    batch = pa.record_batch(arrays)
    rows = Rows(0, np.arange(len(batch)), 0, batch)
    return parse_rows(rows, split_of(columns, "", "cc/part.parquet", "parquet"), Reading())


def texts(parsed: Parsed) -> list[str]:
    return parsed.documents.text.to_pylist()


def errors(parsed: Parsed) -> dict[int, str]:
    return {row: dead.error for row, dead in parsed.dead.items()}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "bad_json"),
        (b"{}{}", "bad_json"),
        (b'{"text":NaN}', "bad_json"),
        (b"{'text':'a'}", "bad_json"),
        (b'{"text":"a\x01"}', "bad_json"),
        (b'{"text":"\\ud800"}', "bad_json"),
        (b'{"text":"a",}', "bad_json"),
        (b"[" * 2000 + b"]" * 2000, "bad_json"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b'{"text":"\xff"}', "bad_encoding"),
        (b'{"text":"\xed\xa0\x80"}', "bad_encoding"),
        (b'{"text":"\xc0\xaf"}', "bad_encoding"),
        (b'{"\xff', "bad_encoding"),
        (b"[]", "wrong_type"),
        (b'"text"', "wrong_type"),
        (b"null", "wrong_type"),
        (b"7", "wrong_type"),
        (b'{"text":7}', "wrong_type"),
        (b'{"text":["a"]}', "wrong_type"),
        (b'{"text":{"a":"b"}}', "wrong_type"),
        (b'{"text":true}', "wrong_type"),
        (b"{}", "no_text"),
        (b'{"text":null}', "no_text"),
        (b'{"Text":"a"}', "no_text"),
        (b'{"text":"' + b"x" * 5000 + b'"}', "too_long"),
    ],
)
def test_a_line_that_is_no_record_is_a_dead_letter_of_its_class_and_harms_no_neighbour(line: bytes, error: str) -> None:
    parsed = parse(b'{"text":"before"}', line, b'{"text":"after"}', row=10, max_record_bytes=4500)
    assert errors(parsed) == {11: error}
    assert texts(parsed) == ["before", "after"]
    assert parsed.documents.rows.tolist() == [10, 12]
    dead = parsed.dead[11]
    assert (dead.raw, dead.sha256) == (line, hashlib.sha256(line).hexdigest())


def test_the_detail_of_a_dead_letter_holds_nothing_of_its_text() -> None:
    lines = [b'{"text":"13800138000"', b'"13800138000"', b'{"text":"13800138000\xff"}', b'{"text":13800138000}']
    for dead in parse(*lines).dead.values():
        assert "1380" not in dead.detail


def test_a_line_is_too_long_from_the_first_byte_over_the_limit() -> None:
    line = b'{"text":"abc"}'
    assert errors(parse(line, max_record_bytes=len(line))) == {}
    assert errors(parse(line, max_record_bytes=len(line) - 1)) == {0: "too_long"}


def test_an_empty_text_is_a_record() -> None:
    assert texts(parse(b'{"text":""}')) == [""]


@given(st.dictionaries(st.text(max_size=4), st.none() | st.booleans() | st.integers() | st.text(), max_size=4))
@settings(deadline=None)
def test_every_object_is_a_record_or_a_dead_letter(record: dict[str, Any]) -> None:
    line = json.dumps(record).encode()
    parsed = parse(line)
    assert len(parsed.documents) + len(parsed.dead) == 1
    if isinstance(record.get("text"), str) and len(parsed.documents):
        assert texts(parsed) == [record["text"]]


@given(st.binary(max_size=60).filter(lambda data: b"\n" not in data))
@settings(deadline=None)
def test_any_bytes_are_a_record_or_a_dead_letter(data: bytes) -> None:
    parsed = parse(data, b'{"text":"x"}')
    assert len(parsed.documents) + len(parsed.dead) == 2
    assert texts(parsed)[-1] == "x"


@given(st.binary(max_size=60))
@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-16-be"])
@settings(deadline=None)
def test_any_bytes_of_any_encoding_are_a_record_or_a_dead_letter(encoding: str, data: bytes) -> None:
    parsed = parse(data, encoding=encoding)
    assert len(parsed.documents) + len(parsed.dead) == 1


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-16-be"])
def test_other_encodings_are_decoded_and_their_mistakes_told(encoding: str) -> None:
    good = '{"text":"中文 😀","id":"编号"}'.encode(encoding)
    parsed = parse(good, good + b"\xff", encoding=encoding)
    assert texts(parsed) == ["中文 😀"]
    assert parsed.documents.id.to_pylist() == ["编号"]
    assert errors(parsed) == {1: "bad_encoding"}
    assert encoding[:5] in parsed.dead[1].detail


@pytest.mark.parametrize(
    ("written", "shown"),
    [(b"7", "7"), (b"-1", "-1"), (b"1.5", "1.5"), (b"true", "true"), (b'"x"', "x"), (b'""', ""), (b"[1,2]", "[1,2]")],
)
def test_an_id_that_is_no_text_is_shown_as_json_would(written: bytes, shown: str) -> None:
    assert parse(b'{"text":"a","id":' + written + b"}").documents.id.to_pylist() == [shown]


def test_a_record_without_an_id_is_called_by_shard_and_position() -> None:
    parsed = parse(b'{"text":"a"}', b'{"text":"b","id":null}', b'{"text":"c","id":"own"}')
    assert parsed.documents.id.to_pylist() == ["cc/part.jsonl#0", "cc/part.jsonl#13", "own"]
    assert parse(b'{"text":"a","id":"x"}', columns=Columns(("text",))).documents.id.to_pylist() == ["cc/part.jsonl#0"]


def test_ids_of_every_parquet_type_are_text() -> None:
    arrays = {
        "int": pa.array([1, None]),
        "uint": pa.array([2**64 - 1, None], pa.uint64()),
        "float": pa.array([1.5, None]),
        "dictionary": pa.array(["x", None]).dictionary_encode(),
        "binary": pa.array([b"ok", b"\xff"]),
        "uuid": pa.array([b"\xff" * 16, None], pa.binary(16)),
        "struct": pa.array([{"a": 1}, None]),
        "struct of bytes": pa.array([{"a": b"\xff"}, None]),
        "list": pa.array([["x", "y"], None]),
        "null": pa.nulls(2),
        "time": pa.array([0, None], pa.timestamp("us")),
    }
    shown = {}
    for name, array in arrays.items():
        first, second = parse_table(text=["a", "b"], id=array).documents.id.to_pylist()
        assert second == "cc/part.parquet#1"
        shown[name] = first
    assert shown == {
        "int": "1",
        "uint": "18446744073709551615",
        "float": "1.5",
        "dictionary": "x",
        "binary": "ok",
        "uuid": "cc/part.parquet#0",
        "struct": '{"a":1}',
        "struct of bytes": """{"a":"b'\\\\xff'"}""",
        "list": '["x","y"]',
        "null": "cc/part.parquet#0",
        "time": "1970-01-01 00:00:00.000000",
    }


# Text from several places: JSON and Parquet alike.

SHAPES = st.lists(
    st.fixed_dictionaries(
        {
            "title": st.none() | st.sampled_from(["", "t", "中"]),
            "body": st.none() | st.sampled_from(["", "b", "two\nlines"]),
            "messages": st.none()
            | st.lists(
                st.none() | st.fixed_dictionaries({"content": st.none() | st.sampled_from(["", "m"])}), max_size=3
            ),
            "parts": st.none() | st.lists(st.none() | st.sampled_from(["", "p"]), max_size=3),
        }
    ),
    min_size=1,
    max_size=5,
)
KIND = pa.schema(
    [
        ("title", pa.string()),
        ("body", pa.string()),
        ("messages", pa.list_(pa.struct([("content", pa.string())]))),
        ("parts", pa.list_(pa.string())),
    ]
)


@given(
    SHAPES,
    st.lists(st.sampled_from(["title", "body", "messages[].content", "parts[]"]), min_size=1, max_size=4, unique=True),
)
@settings(deadline=None)
def test_parquet_and_json_give_the_same_texts(records: list[dict[str, Any]], paths: list[str]) -> None:
    columns = Columns(tuple(paths))
    from_json = parse(*(orjson.dumps(record) for record in records), columns=columns)
    table = pa.RecordBatch.from_pylist(records, KIND)
    from_parquet = parse_table(columns, **dict(zip(table.schema.names, table.columns, strict=True)))
    assert texts(from_parquet) == texts(from_json)
    assert errors(from_parquet) == errors(from_json)
    assert from_parquet.documents.rows.tolist() == from_json.documents.rows.tolist()


def test_several_text_columns_are_joined_in_their_order() -> None:
    line = b'{"b":"2","a":"1","m":[{"c":"3"},{"c":null},{"x":0},7,{"c":"4"}]}'
    assert texts(parse(line, columns=Columns(("a", "m[].c", "b")))) == ["1\n3\n4\n2"]
    assert errors(parse(line, columns=Columns(("x", "y.z", "a[]", "a.b")))) == {0: "no_text"}
    assert errors(parse(line, columns=Columns(("a", "m")))) == {0: "wrong_type"}


@pytest.mark.parametrize(
    "line",
    [
        b'{"text":"first","text":"last"}',
        b'{"te\\u0078t":"first","text":"last"}',
        b'{"m":{"text":1,"text":2},"text":"a"}',
    ],
)
def test_a_line_in_which_readers_could_take_another_text_is_dead(line: bytes) -> None:
    assert errors(parse(line)) == {0: "repeated_key"}


def test_a_key_of_the_text_may_stand_in_several_objects_and_in_the_text() -> None:
    assert texts(parse(b'{"text":"say \\"text\\"","m":{"text":"b"},"n":["text"]}')) == ['say "text"']


@pytest.mark.parametrize("record", [{"a": [1, None, "x"]}, {"a": None}, {}, [], None, "a", {"a": {"b": 1}}])
def test_a_path_that_leads_nowhere_has_no_pieces_and_null_is_none(record: Any) -> None:
    assert pieces(record, "a.b[].c") == []
    assert None not in pieces(record, "a[]")


# Sources.


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://www.example.com/a?b#c", "example.com"),
        ("http://news.bbc.co.uk/", "bbc.co.uk"),
        ("http://a.b.c.example/x", "c.example"),
        ("http://example/", "example"),
        ("http://localhost:8080/", "localhost"),
        ("http://co.uk/", "co.uk"),
        ("http://user:p@ss@shop.example.com:8443/x", "example.com"),
        ("HTTPS://WWW.Example.COM", "example.com"),
        ("http://www.example.com./", "example.com"),
        ("http://192.0.2.7/x", "192.0.2.7"),
        ("http://192.0.2.7.:80/x", "192.0.2.7"),
        ("http://[2001:DB8::1]:8080/x", "2001:db8::1"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
        ("//cdn.example.com/lib.js", "example.com"),
        ("www.example.com/redirect?to=http://other.org/", "example.com"),
        ("https://web.archive.org/web/2020/http://other.org/", "archive.org"),
        ("http://example.com?x=a@b.org", "example.com"),
        ("http://example.com#http://b.org", "example.com"),
        ("  http://example.com/", "example.com"),
        ("http://www.例子.中国/路径", "例子.中国"),
        ("http://www.gov.cn/", "www.gov.cn"),
        ("http://blog.sina.com.cn/", "sina.com.cn"),
        ("", UNKNOWN_SOURCE),
        (None, UNKNOWN_SOURCE),
        ("/a/path", UNKNOWN_SOURCE),
        ("http:///x", UNKNOWN_SOURCE),
        ("http://.", UNKNOWN_SOURCE),
        ("http://...:80/", UNKNOWN_SOURCE),
    ],
)
def test_the_source_of_a_url_is_its_registrable_domain(url: str | None, source: str) -> None:
    assert domain_of_url(url) == source


@given(st.text(max_size=40) | st.from_regex(r"(https?:)?//[a-z0-9.@:\[\]-]{0,20}(/.*)?", fullmatch=True))
@settings(deadline=None)
def test_every_url_has_a_source_that_is_not_empty(url: str) -> None:
    assert domain_of_url(url)


@given(st.from_regex(r"[a-z0-9-]{1,8}(\.[a-z0-9-]{1,8}){0,3}", fullmatch=True))
@settings(deadline=None)
def test_the_registrable_domain_of_a_registrable_domain_is_itself(host: str) -> None:
    once = registrable_domain(host)
    assert registrable_domain(once) == once == registrable_domain(host.upper()) == registrable_domain(host + ".")
    assert host == once or host.endswith("." + once)


SOURCED = [
    b'{"text":"a","source":"s","url":"http://w.example.com/"}',
    b'{"text":"b","source":""}',
    b'{"text":"c","source":5}',
]


@pytest.mark.parametrize(
    ("origin", "columns", "sources"),
    [
        ("auto", ALL, ["s", UNKNOWN_SOURCE, "5"]),
        ("column", ALL, ["s", UNKNOWN_SOURCE, "5"]),
        ("url", ALL, ["example.com", UNKNOWN_SOURCE, UNKNOWN_SOURCE]),
        ("path", ALL, ["cc", "cc", "cc"]),
        ("auto", Columns(("text",), None, None, "url"), ["example.com", UNKNOWN_SOURCE, UNKNOWN_SOURCE]),
        ("auto", Columns(("text",)), ["cc", "cc", "cc"]),
        ("column", Columns(("text",)), [UNKNOWN_SOURCE] * 3),
    ],
)
def test_the_source_comes_from_where_it_was_asked_for(origin: str, columns: Columns, sources: list[str]) -> None:
    assert parse(*SOURCED, columns=columns, source_from=origin).documents.source.to_pylist() == sources


@pytest.mark.parametrize(
    ("path", "source"), [("wiki/a/b.jsonl", "wiki"), ("wiki.zh.jsonl.gz", "wiki"), ("wiki", "wiki")]
)
def test_a_path_names_its_first_folder_or_its_file(path: str, source: str) -> None:
    assert source_of_path(path) == source


def test_the_best_of_the_usual_names_is_recognised_and_none_is_refused_with_what_there_is() -> None:
    assert recognise(["body", "content", "uuid", "doc_id", "uri", "url"], "s") == Columns(
        ("content",), "doc_id", None, "url"
    )
    with pytest.raises(UsageError, match=r"part\.jsonl: no column .* it has: words, n"):
        recognise(["words", "n"], "part.jsonl")
