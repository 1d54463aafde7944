"""Releasing Parquet: the rows of each door with all their columns, redacted ones changed in the text alone."""

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from models.choosing import choose
from models.columns import pieces, steps
from models.documents import Documents
from models.files import Opener
from models.parquet import Unreadable
from models.parsing import parse_rows, row_as_json
from models.records import Group, Rows, open_groups, unreadable_shard
from models.redaction import redact_pieces
from models.release_pass import ReleasePass
from models.shard import Dead
from models.verdicts import CLEAN, QUARANTINE
from models.verdicts import DEAD as DEAD_DOOR
from models.writers import RowWriter

_GROUP_CHARACTERS = 16 << 20
_GROUP_ROWS = 1 << 16
_GROUP_BYTES = 64 << 20


class UnreadableGroup(Exception):  # noqa: N818 - it is a state of the data
    """A row group whose text could be read turned out to have other columns that cannot; the pass starts again without it."""

    def __init__(self, group: int, detail: str) -> None:
        super().__init__(f"row group {group}: {detail}")
        self.group, self.detail = group, detail


def release_rows(release: ReleasePass, opener: Opener, unreadable: dict[int, str]) -> None:
    """Write the parts of a Parquet split.

    Row groups of the output are cut by the input's row groups and the characters in them, never by how batches came.

    Args:
        unreadable: row groups found unreadable in an earlier try, with the reason: their records are dead.

    Raises:
        UnreadableGroup: if another one is.
    """
    if release.split.cut.flaw[0]:
        _bury(release, unreadable_shard(release.split))
        return
    with open_groups(opener, release.split) as groups:
        for group in groups:
            for rows in _entries(release, group, unreadable):
                if rows.batch is None:
                    _bury(release, rows)
                else:
                    _release_batch(release, rows, rows.batch, group)


def _entries(release: ReleasePass, group: Group, unreadable: dict[int, str]) -> Iterator[Rows]:
    """Give the group's entries as tagging saw them."""
    first, after, errors, characters = _entries_of_group(release, group)
    positions = release.known.records["position"].to_numpy()[first:after]
    if errors == ["unreadable"] and len(positions) == 1 and positions[0] == group.first:
        yield Rows(first, positions, group.index, None, Dead("", "", None, group.checksum, group.count))
    elif group.index in unreadable:
        for row in range(first, after):
            release.bury(row, "unreadable", unreadable[group.index])
            dead = Dead("", "", None, group.checksum)
            yield Rows(row, positions[row - first : row - first + 1], group.index, None, dead)
    else:
        by_text = group.count * _GROUP_CHARACTERS // max(1, characters)
        by_bytes = group.count * _GROUP_BYTES // max(1, group.facts.total_byte_size)
        size = max(1, min(_GROUP_ROWS, by_text, by_bytes))
        try:
            yield from group.read(first, release.split, release.job.reading, None, size)
        except Unreadable as error:
            raise UnreadableGroup(group.index, error.detail) from None


def _entries_of_group(release: ReleasePass, group: Group) -> tuple[int, int, list[str | None], int]:
    """Return the group's first row and the one after its last, their errors, and their characters."""
    records = release.known.records
    positions = records["position"].to_numpy()
    first, after = np.searchsorted(positions, [group.first, group.first + group.count])
    part = records.slice(first, after - first)
    errors = part["error"].cast(pa.string()).to_pylist() if after - first == 1 else []
    return int(first), int(after), errors, int(part["characters"].to_numpy().sum())


def _bury(release: ReleasePass, rows: Rows) -> None:
    assert rows.dead is not None
    release.begin(rows.row, rows.positions)
    release.write_dead(rows.row, rows.dead)
    release.end(rows.row, 1)


def _release_batch(release: ReleasePass, rows: Rows, batch: pa.RecordBatch, group: Group) -> None:
    doors = release.begin(rows.row, rows.positions)
    named = [row - rows.row for row in range(rows.row, release.row) if row in release.verdicts.outcomes]
    clean = batch
    if named:
        parsed = parse_rows(
            Rows(0, rows.positions[named], rows.group, choose(batch, np.array(named))),
            release.split,
            release.job.reading,
        )
        release.note([rows.row + named[at] for at in parsed.documents.rows.tolist()], parsed.documents)
        clean = _redact(release, rows, batch, named, parsed.documents)
    codec = group.facts.column(0).compression if group.facts.num_columns else ""
    has_schema = b"ARROW:schema" in (group.parquet.metadata.metadata or {})
    make = partial(RowWriter, schema=batch.schema, codec=codec, store_schema=has_schema)
    for door, place, source in ((CLEAN, "clean", clean), (QUARANTINE, "quarantine", batch)):
        chosen = np.flatnonzero(doors == door)
        if len(chosen):
            release.parts.writer(place, make).write(choose(source, chosen))
    for entry in np.flatnonzero(doors == DEAD_DOOR).tolist():
        raw = row_as_json(batch, entry)
        release.write_dead(rows.row + entry, Dead("", "", raw, hashlib.sha256(raw).hexdigest()))
    release.end(rows.row, len(rows.positions))


def _redact(
    release: ReleasePass, rows: Rows, batch: pa.RecordBatch, named: list[int], documents: Documents
) -> pa.RecordBatch:
    """Return the batch with redacted texts; records that cannot be redacted well are dead from now on."""
    wanted = set(release.redacting(rows.row, len(rows.positions)))
    at = {rows.row + named[place]: index for index, place in enumerate(documents.rows.tolist())}
    paths = release.split.shard.columns.text
    chosen = []
    for row in at:
        if row in wanted and _is_replaceable(batch, paths, row - rows.row):
            chosen.append(row)
        elif row in wanted:
            release.bury(row, "redaction_failed", "a value beside the text cannot be written again")
    if not chosen:
        return batch
    places = [at[row] for row in chosen]
    redacted = documents.take(places, chosen)
    spans = [release.redactions(row, text) for row, text in zip(chosen, redacted.text.to_pylist(), strict=True)]
    columns = {name: batch[name] for name in batch.schema.names}
    texts: list[list[str]] = [[] for _ in chosen]
    old = [[_pieces(batch, path, row - rows.row) for path in paths] for row in chosen]
    new = [redact_pieces([p for part in parts for p in part], span) for parts, span in zip(old, spans, strict=True)]
    for number, path in enumerate(paths):
        values = {}
        for index, row in enumerate(chosen):
            before = sum(len(part) for part in old[index][:number])
            here = new[index][before : before + len(old[index][number])]
            texts[index] += here
            values[row - rows.row] = here
        top = steps(path)[0][0]
        columns[top] = _replace(columns[top], path, values)
    release.check_redacted(redacted, ["\n".join(parts) for parts in texts])
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=batch.schema)


def _is_replaceable(batch: pa.RecordBatch, paths: Sequence[str], entry: int) -> bool:
    """Tell whether the columns of the text can be taken to Python and back: a time in nanoseconds, for one, cannot."""
    for top in {steps(path)[0][0] for path in paths}:
        column = batch[top]
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        try:
            if not pa.array([column[entry].as_py()], kind).equals(column.slice(entry, 1).cast(kind)):
                return False
        except (ValueError, TypeError, OverflowError, KeyError, pa.ArrowException):
            return False
    return True


def _pieces(batch: pa.RecordBatch, path: str, entry: int) -> list[str]:
    """Return the pieces of text at a path of one row."""
    top = steps(path)[0][0]
    return [_text(piece) for piece in pieces({top: batch[top][entry].as_py()}, path)]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _replace(column: pa.Array, path: str, values: dict[int, list[str]]) -> pa.Array:
    """Return a column with the strings at a path replaced in some rows; the others, which Python may not hold, stay."""
    kind = column.type
    parts, at = [], 0
    for entry, texts in sorted(values.items()):
        row = [_put(column[entry].as_py(), steps(path), iter(texts))]
        encoded = pa.types.is_dictionary(kind)
        new = pa.array(row, kind.value_type).dictionary_encode().cast(kind) if encoded else pa.array(row, kind)
        parts += [column.slice(at, entry - at), new]
        at = entry + 1
    return pa.concat_arrays([*parts, column.slice(at)])


def _put(value: Any, path: Sequence[tuple[str, bool]], texts: Iterator[str]) -> Any:
    """Return a value of Python's with the strings at a path replaced in order; ``path[0]`` names the value itself."""
    (_, every), *rest = path
    if value is None:
        return None
    if every:
        inner = [("", False), *rest]
        return [_put(item, inner, texts) for item in value]
    if not rest:
        new = next(texts)
        return new.encode() if isinstance(value, bytes) else new
    return {**value, rest[0][0]: _put(value.get(rest[0][0]), rest, texts)}
