"""Where text, id, source and URL stand in a record, for JSON objects and Arrow tables alike."""

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import tldextract

from models.errors import UsageError
from models.evidence import EVIDENCE, recognise_evidence
from models.shard import Columns

USUAL = {
    "text": ("text", "content", "contents", "body", "raw_content"),
    "id": ("id", "doc_id", "document_id", "uuid"),
    "source": ("source", "domain", "host"),
    "url": ("url", "uri"),
}
"""Names by which columns are recognised, the best first."""

BY_RECORD = {"url": USUAL["url"], **{name: each.usual for name, each in EVIDENCE.items()}}
"""What every record of JSON Lines is asked for by its usual names, wherever in the shard it stands: that by which it can be refused or found.

Not the text, of which the whole shard has one; not the source, for one way of naming sources holds for a whole shard; and not the id, for
withdrawals and reviews may already name the record by its place.
"""

UNKNOWN_SOURCE = "(unknown)"
"""Source key of records that name none."""

# What may stand before the authority (RFC 3986, 3 and 4.2); a scheme further back belongs to another URL in the query.
_SCHEME = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?//")


def recognise(names: Iterable[str], shard: str) -> Columns:
    """Return the canonical columns among a shard's column names.

    Raises:
        UsageError: if none looks like text.
    """
    there = list(names)
    found = {role: next((name for name in usual if name in there), None) for role, usual in USUAL.items()}
    text = found["text"]
    if text is None:
        raise UsageError(
            f"{shard}: no column is called {', '.join(USUAL['text'])}; it has: {', '.join(there) or 'none'}. "
            "Name the text column in a run file (columns: {text: …}) or with --text"
        )
    return Columns((text,), found["id"], found["source"], found["url"], recognise_evidence(there))


@functools.cache
def steps(path: str) -> tuple[tuple[str, bool], ...]:
    """Return the fields of a path, each with whether every element of a list is meant."""
    return tuple((part.removesuffix("[]"), part.endswith("[]")) for part in path.split("."))


def pieces(record: Any, path: str) -> list[Any]:
    """Return the values that a path leads to in a JSON value; empty where it leads nowhere."""
    fields = steps(path)
    if len(fields) == 1 and not fields[0][1] and isinstance(record, dict):
        value = record.get(path)  # nearly all paths are plain names, and this is done for every record
        return [] if value is None else [value]
    values = [record]
    for name, every in fields:
        values = [value[name] for value in values if isinstance(value, dict) and value.get(name) is not None]
        if every:
            values = [item for value in values if isinstance(value, list) for item in value if item is not None]
    return values


def scalar(value: Any) -> str | None:
    """Return an id, source or URL as text; None for null."""
    if value is None or isinstance(value, str):
        return value
    return orjson.dumps(value, default=str).decode()


def flatten(table: pa.RecordBatch | pa.Table, path: str) -> pa.Array:
    """Return the strings that a path leads to, one string or null a row, elements of lists joined by a line feed."""
    first, *rest = steps(path)
    array = table[first[0]]
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    return _strings(array, first[1], rest)


def _strings(array: pa.Array, every: bool, rest: Sequence[tuple[str, bool]]) -> pa.Array:
    if not every:
        if not rest:
            return plain_strings(array)
        (name, more), *beyond = rest
        return _strings(pc.struct_field(array, name), more, beyond)
    # Strings of all elements in one array, then joined per row; null elements do not count.
    inner = pc.list_flatten(array)
    parents = pc.list_parent_indices(array)
    strings = _strings(inner, False, rest) if not rest else _strings(pc.struct_field(inner, rest[0][0]), *_tail(rest))
    kept = pc.is_valid(strings)
    groups: list[list[bytes]] = [[] for _ in range(len(array))]
    # As bytes: they may be no UTF-8.
    found = strings.filter(kept).cast(pa.binary()).to_pylist()
    for parent, string in zip(parents.filter(kept).to_pylist(), found, strict=True):
        groups[parent].append(string)
    return plain_strings(pa.array([b"\n".join(group) if group else None for group in groups], pa.binary()))


def _tail(rest: Sequence[tuple[str, bool]]) -> tuple[bool, Sequence[tuple[str, bool]]]:
    return rest[0][1], rest[1:]


def plain_strings(array: pa.Array) -> pa.Array:
    """Return any array as plain strings: encodings of strings decoded, other scalars as JSON would show them.

    Bytes are taken over as they are and need checking.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return plain_strings(array.dictionary_decode())
    if pa.types.is_string(kind):
        return array
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_binary(kind):
        return pa.Array.from_buffers(pa.string(), len(array), array.buffers(), offset=array.offset)
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return plain_strings(array.cast(pa.binary()))
    return array.cast(pa.string())


def is_textual(kind: pa.DataType) -> bool:
    """Tell whether a type holds strings, or bytes that may be strings."""
    if pa.types.is_dictionary(kind):
        return is_textual(kind.value_type)
    return any(
        test(kind)
        for test in (
            *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
            *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
        )
    )


def leaf_type(schema: pa.Schema, path: str) -> pa.DataType | None:
    """Return the type that a path leads to, or None where it leads nowhere."""
    kind: pa.DataType | None = None
    for name, every in steps(path):
        if kind is None:
            index = schema.get_field_index(name)
            if index < 0:
                return None
            kind = schema.field(index).type
        else:
            if not pa.types.is_struct(kind) or kind.get_field_index(name) < 0:
                return None
            kind = kind.field(name).type
        if every:
            if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
                return None
            kind = kind.value_type
    return kind


@functools.cache
def suffixes() -> tldextract.TLDExtract:
    """Return the public suffix list bundled with tldextract; nothing is fetched and nothing cached on disk."""
    return tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


@functools.lru_cache(maxsize=1 << 13)
def registrable_domain(host: str) -> str:
    """Return the registrable domain of a host (Public Suffix List as bundled), or the host where it has none.

    A top-level domain that the list does not know is a suffix by itself: the list's default rule ``*``.
    """
    found = suffixes()(host)
    if found.top_domain_under_public_suffix:
        return str(found.top_domain_under_public_suffix).lower()
    host = host.lower().rstrip(".")
    labels = host.split(".")
    is_address = ":" in host or all(label.isdigit() for label in labels)
    return host if is_address or found.suffix else ".".join(labels[-2:])


def domain_of_url(url: str | None) -> str:
    """Return the registrable domain of a URL, or :data:`UNKNOWN_SOURCE`."""
    if not url:
        return UNKNOWN_SOURCE
    rest = _SCHEME.sub("", url, count=1)
    authority = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0].rsplit("@", 1)[-1]
    host = authority.split("]")[0].lstrip("[") if authority.startswith("[") else authority.split(":", 1)[0]
    return registrable_domain(host) or UNKNOWN_SOURCE
