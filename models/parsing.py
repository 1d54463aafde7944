"""Entries to documents: what is a record, and what is a dead letter and why."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from models.columns import BY_RECORD, UNKNOWN_SOURCE, domain_of_url, flatten, leaf_type, pieces, scalar, steps
from models.documents import Documents
from models.records import Lines, Rows
from models.shard import Columns, Dead, Reading, Split
from models.source_keys import keys_of


@dataclass(frozen=True)
class Parsed:
    """Entries after parsing.

    Attributes:
        row: row of the first entry.
        positions: shape (n,).
        documents: the records among the entries.
        dead: the others, by row.
    """

    row: int
    positions: npt.NDArray[np.int64]
    documents: Documents
    dead: dict[int, Dead]


class _NotARecord(Exception):  # noqa: N818 - it is a state of the data
    def __init__(self, error: str, detail: str) -> None:
        super().__init__(error)
        self.error, self.detail = error, detail


def parse_lines(lines: Lines, split: Split, reading: Reading) -> Parsed:
    """Parse JSONL entries."""
    dead: dict[int, Dead] = {}
    rows: list[int] = []
    values: list[tuple[str | None, ...]] = []
    later: dict[int, dict[str, str]] = {}
    columns = split.shard.columns
    paths = [columns.id, columns.source, columns.url, *_more(columns)]
    usual = _usual(columns)
    others = frozenset(usual)
    if lines.dead is not None:
        dead[lines.row] = lines.dead
    if lines.block is not None:
        data, encoding = lines.block.data, split.shard.encoding
        starts, ends = lines.block.starts.tolist(), lines.block.ends.tolist()
        for row, (start, end) in enumerate(zip(starts, ends, strict=True), lines.row):
            try:
                text, record = parse_line(data[start:end], encoding, columns, reading)
                values.append((text, *[_one(record, path) for path in paths]))
                # Hardly a record has any of these names, and this is done for each.
                if not others.isdisjoint(record):
                    later[len(rows)] = _by_usual_names(record, usual)
                rows.append(row)
            except _NotARecord as error:
                raw = data[start:end]
                dead[row] = Dead(error.error, error.detail, raw, hashlib.sha256(raw).hexdigest())
    found = list(zip(*values, strict=True)) if values else [()] * _width(split)
    arrays = tuple(pa.array(list(column), pa.string()) for column in found)
    more = {
        role: pa.array([later.get(place, {}).get(role) for place in range(len(rows))], pa.string())
        for role in sorted({role for each in later.values() for role in each})
    }
    return _parsed(lines, np.array(rows, np.int64), arrays, dead, split, reading, more)


def _filled(own: pa.Array, later: pa.Array) -> pa.Array:
    """Return what stands at a path, and the other where that is nothing or blank."""
    is_blank = pc.equal(pc.utf8_trim_whitespace(pc.fill_null(own, "")), "")
    return pc.if_else(pc.and_(is_blank, pc.is_valid(later)), later, own)


@functools.cache
def _usual(columns: Columns) -> Mapping[str, str]:
    """Return the names by which a record may have what it has nothing of at the paths, the best first, and what each stands for."""
    if not columns.by_record:
        return {}
    paths = set(columns.paths)
    return {name: role for role, names in BY_RECORD.items() for name in names if name not in paths}


def _by_usual_names(record: dict[str, Any], usual: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, role in usual.items():
        value = scalar(record.get(name))
        if value is not None and value.strip() and role not in found:
            found[role] = value
    return found


def _width(split: Split) -> int:
    return 4 + len(_more(split.shard.columns))


def _more(columns: Columns) -> list[str]:
    """Return the paths of what is read besides text, id, source and URL."""
    return [path for _, path in (*columns.provenance, *columns.keys)]


def parse_line(line: bytes, encoding: str, columns: Columns, reading: Reading) -> tuple[str, dict[str, Any]]:
    """Return the text of one line, and the object that it is.

    The grammar is RFC 8259 as orjson reads it: no NaN, no lone surrogates, at most 1024 levels; the last of equal keys counts.
    """
    if len(line) > reading.max_record_bytes:
        raise _NotARecord("too_long", f"{len(line)} bytes, allowed are {reading.max_record_bytes}")
    record = parse_json(line, encoding)
    if not isinstance(record, dict):
        raise _NotARecord("wrong_type", f"{type(record).__name__} instead of an object")
    if _may_repeat(line, columns) and _repeats(line.decode(encoding), columns):
        raise _NotARecord(
            "repeated_key", "a key of the text occurs twice in one object; readers differ on which counts"
        )
    found = [piece for path in columns.text for piece in pieces(record, path)]
    if not found:
        raise _NotARecord("no_text", f"nothing at {', '.join(columns.text)}")
    for piece in found:
        if not isinstance(piece, str):
            raise _NotARecord("wrong_type", f"{type(piece).__name__} instead of text")
    return "\n".join(found) if len(found) > 1 else found[0], record


@functools.cache
def _keys(columns: Columns) -> frozenset[str]:
    return frozenset(name for path in columns.text for name, _ in steps(path))


@functools.cache
def _quoted(columns: Columns) -> tuple[bytes, ...]:
    return tuple(f'"{name}"'.encode() for name in sorted(_keys(columns)))


def _may_repeat(line: bytes, columns: Columns) -> bool:
    """Tell whether a key of the text could stand in a line twice, in plain letters or as escapes."""
    return b"\\u00" in line or b"\0" in line or any(line.count(key) > 1 for key in _quoted(columns))


def _repeats(line: str, columns: Columns) -> bool:
    keys = _keys(columns)
    repeated = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        names = [name for name, _ in pairs if name in keys]
        repeated = repeated or len(names) > len(set(names))

    try:
        json.loads(line, object_pairs_hook=look)
    except (RecursionError, ValueError):
        return True  # deeper than Python goes, or an integer longer than it reads: in doubt no record
    return repeated


def parse_json(line: bytes, encoding: str) -> Any:
    """Return the JSON value of a line, or raise what makes it a dead letter."""
    if encoding == "utf-8":
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError as error:
            try:
                line.decode()
            except UnicodeDecodeError as cause:
                raise _bad_encoding(cause) from None
            raise _NotARecord("bad_json", _without_text(error)) from None
    try:
        text = line.decode(encoding)
    except UnicodeDecodeError as cause:
        raise _bad_encoding(cause) from None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _NotARecord("bad_json", _without_text(error)) from None


def _bad_encoding(error: UnicodeDecodeError) -> _NotARecord:
    return _NotARecord("bad_encoding", f"not {error.encoding}: {error.reason} at byte {error.start} of the line")


def _without_text(error: orjson.JSONDecodeError) -> str:
    # orjson's messages hold a place and a reason, never text of the line.
    return str(error)[:200]


def _one(record: Any, path: str | None) -> str | None:
    if path is None:
        return None
    found = pieces(record, path)
    return scalar(found[0]) if found else None


def parse_rows(rows: Rows, split: Split, reading: Reading) -> Parsed:
    """Parse Parquet entries."""
    columns = split.shard.columns
    if rows.batch is None:
        assert rows.dead is not None
        return _parsed(rows, np.zeros(0, np.int64), _nothing(split), {rows.row: rows.dead}, split, reading)
    batch = rows.batch
    text = flatten(batch, columns.text[0])
    if len(columns.text) > 1:
        others = [flatten(batch, path) for path in columns.text[1:]]
        nothing = functools.reduce(pc.and_, [pc.is_null(each) for each in (text, *others)])
        # pyarrow 25 leaves out a row whose values are all null, so that every later text stands in another's place.
        text = pc.if_else(nothing, "", text)
        text = pc.binary_join_element_wise(text, *others, "\n", null_handling="skip")
        text = pc.if_else(nothing, pa.scalar(None, pa.string()), text)
    kept, dead = _check_texts(text, batch, rows.row, reading, columns)
    rest = [_column(batch, path) for path in (columns.id, columns.source, columns.url, *_more(columns))]
    arrays = tuple(array.take(pa.array(kept)) for array in (text, *rest))
    return _parsed(rows, kept + rows.row, arrays, dead, split, reading)


def _nothing(split: Split) -> tuple[pa.Array, ...]:
    return tuple(pa.array([], pa.string()) for _ in range(_width(split)))


def _column(batch: pa.RecordBatch, path: str | None) -> pa.Array:
    if path is None or leaf_type(batch.schema, path) is None:
        return pa.nulls(len(batch), pa.string())
    kind = leaf_type(batch.schema, path)
    if pa.types.is_nested(kind):
        top = steps(path)[0][0]
        return pa.array([scalar(_one({top: _python(value)}, path)) for value in batch[top]], pa.string())
    strings = flatten(batch, path)
    return strings if _valid(strings) else _valid_or_null(strings)


def _python(value: pa.Scalar) -> Any:
    """Return a value as Python's, or None where it has none: no UTF-8, a time out of its range."""
    try:
        return value.as_py()
    except (ValueError, OverflowError, KeyError):
        return None


def _valid(strings: pa.Array) -> bool:
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _valid_or_null(strings: pa.Array) -> pa.Array:
    valid = [strings[i].as_py() if _valid(strings.slice(i, 1)) else None for i in range(len(strings))]
    return pa.array(valid, pa.string())


def _check_texts(
    text: pa.Array, batch: pa.RecordBatch, first: int, reading: Reading, columns: Columns
) -> tuple[npt.NDArray[np.int64], dict[int, Dead]]:
    """Return which entries are records, and why the others are not."""
    dead: dict[int, Dead] = {}
    good = np.ones(len(text), bool)
    sizes = pc.fill_null(pc.binary_length(text), 0).to_numpy(zero_copy_only=False)

    def bury(row: int, error: str, detail: str) -> None:
        raw = row_as_json(batch, row)
        whole = hashlib.sha256(raw).hexdigest()
        dead[first + row] = Dead(error, detail, raw if len(raw) <= reading.max_record_bytes else None, whole)
        good[row] = False

    for row in np.flatnonzero(pc.is_null(text).to_numpy(zero_copy_only=False)).tolist():
        bury(row, "no_text", f"nothing at {', '.join(columns.text)}")
    for row in np.flatnonzero(sizes > reading.max_record_bytes).tolist():
        bury(row, "too_long", f"{sizes[row]} bytes, allowed are {reading.max_record_bytes}")
    if not _valid(text):
        for row in np.flatnonzero(good).tolist():
            if not _valid(text.slice(row, 1)):
                bury(row, "bad_encoding", "not utf-8")
    return np.flatnonzero(good), dead


def row_as_json(batch: pa.RecordBatch, row: int) -> bytes:
    """Return a row as JSON, for dead letters."""
    values = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            values[name] = column[row].as_py()
        except (ValueError, OverflowError, KeyError):
            # Not UTF-8, or a time, duration or time zone that Python has no value for.
            values[name] = _raw_text(column.slice(row, 1))
    return orjson.dumps(values, default=repr, option=orjson.OPT_NON_STR_KEYS)


def _raw_text(value: pa.Array) -> str:
    """Return an array of one value as some text; its buffers in hexadecimal if Arrow has none for it."""
    for kind in (pa.binary(), pa.string()):
        try:
            found = value.cast(kind)[0].as_py()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            continue
        return found.decode("utf-8", "backslashreplace") if isinstance(found, bytes) else str(found)
    whole = pa.concat_arrays([value])
    return " ".join(buffer.to_pybytes().hex() for buffer in whole.buffers() if buffer is not None)


def _parsed(
    entries: Lines | Rows,
    rows: npt.NDArray[np.int64],
    arrays: tuple[pa.Array, ...],
    dead: dict[int, Dead],
    split: Split,
    reading: Reading,
    later: Mapping[str, pa.Array] = MappingProxyType({}),
) -> Parsed:
    """Return entries with their columns.

    Args:
        later: URL and provenance of records that have nothing of them at the paths.
    """
    text, ids, sources, urls, *more = arrays
    if "url" in later:
        urls = _filled(urls, later["url"])
    if ids.null_count:
        derived = [f"{split.shard.path}#{entries.positions[row - entries.row]}" for row in rows.tolist()]
        ids = pc.coalesce(ids, pa.array(derived, pa.string()))
    names = [name for name, _ in split.shard.columns.provenance]
    provenance = dict(zip(names, more, strict=False))
    provenance |= {
        role: _filled(provenance[role], array) if role in provenance else array
        for role, array in later.items()
        if role != "url"
    }
    named = dict(zip([name for name, _ in split.shard.columns.keys], more[len(names) :], strict=True))
    documents = Documents(rows, ids, text, _sources(sources, urls, named, split, reading), urls, provenance)
    return Parsed(entries.row, entries.positions, documents, dead)


def _sources(sources: pa.Array, urls: pa.Array, named: dict[str, pa.Array], split: Split, reading: Reading) -> pa.Array:
    if reading.keys is not None:
        return keys_of(named, urls, reading.keys)
    columns, origin = split.shard.columns, reading.source_from
    if is_source_in_path(columns, reading):
        return pa.array([source_of_path(split.shard.path)] * len(sources), pa.string())
    if origin == "column" or (origin == "auto" and columns.source is not None):
        blank = pc.fill_null(pc.equal(sources, ""), True)
        return pc.if_else(blank, UNKNOWN_SOURCE, sources)
    return pa.array([domain_of_url(url) for url in urls.to_pylist()], pa.string())


def is_source_in_path(columns: Columns, reading: Reading) -> bool:
    """Tell whether a shard's records have their source from its path."""
    nowhere_else = columns.source is None and columns.url is None
    return reading.source_from == "path" or (reading.source_from == "auto" and nowhere_else)


def source_of_path(path: str) -> str:
    """Return the source that a shard's path names: its first folder, or its file name up to the first dot."""
    first, slash, _ = path.partition("/")
    return first if slash else first.split(".", 1)[0]
