"""Releasing JSONL: the lines of each door as they were read, redacted ones changed in the redacted strings alone."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
import orjson

from models.columns import pieces
from models.parsing import parse_lines
from models.records import Lines, ShardStream, read_lines
from models.redaction import redact_pieces, replace_strings
from models.release_pass import ReleasePass
from models.shard import Dead
from models.verdicts import CLEAN, QUARANTINE
from models.verdicts import DEAD as DEAD_DOOR
from models.writers import LineWriter


def release_lines(release: ReleasePass, stream: ShardStream) -> None:
    """Write the parts of a JSONL split."""
    for lines in read_lines(stream, release.split, release.job.reading):
        count = len(lines.positions)
        doors = release.begin(lines.row, lines.positions)
        _note_ids(release, lines)
        redacted = _redact(release, lines)
        if lines.block is not None:
            _write(release, lines, doors == CLEAN, "clean", redacted)
            _write(release, lines, doors == QUARANTINE, "quarantine", {})
        for entry in np.flatnonzero(doors == DEAD_DOOR).tolist():
            release.write_dead(lines.row + entry, _dead(lines, entry))
        release.end(lines.row, count)


def _line(lines: Lines, entry: int) -> bytes:
    assert lines.block is not None
    return lines.block.data[lines.block.starts[entry] : lines.block.ends[entry]]


def _dead(lines: Lines, entry: int) -> Dead:
    if lines.dead is not None:
        return lines.dead
    raw = _line(lines, entry)
    return Dead("", "", raw, hashlib.sha256(raw).hexdigest())


def _only(lines: Lines, entries: list[int]) -> Lines:
    """Return some entries of a block as lines of their own; their rows are counted from 0."""
    block = lines.block
    assert block is not None
    part = type(block)(block.data, block.position, block.starts[entries], block.ends[entries], block.following[entries])
    return Lines(0, lines.positions[entries], part)


def _note_ids(release: ReleasePass, lines: Lines) -> None:
    """Read the ids of the entries that the audit will name."""
    outcomes = release.verdicts.outcomes
    count = len(lines.positions)
    named = [entry for entry in range(count) if lines.row + entry in outcomes]
    if lines.block is None or not named:
        return
    parsed = parse_lines(_only(lines, named), release.split, release.job.reading)
    release.note([lines.row + named[at] for at in parsed.documents.rows.tolist()], parsed.documents)


def _redact(release: ReleasePass, lines: Lines) -> dict[int, bytes]:
    """Return the redacted lines by entry; those that cannot be redacted well are dead from now on."""
    rows = release.redacting(lines.row, len(lines.positions))
    if not rows:
        return {}
    entries = [row - lines.row for row in rows]
    parsed = parse_lines(_only(lines, entries), release.split, release.job.reading)
    documents = parsed.documents
    texts, replaced = [], {}
    for row, entry, text in zip(rows, entries, documents.text.to_pylist(), strict=True):
        spans = release.redactions(row, text)
        try:
            line, new = _redact_line(release, _line(lines, entry), spans)
        except (ValueError, RecursionError, IndexError) as error:
            release.bury(row, "redaction_failed", type(error).__name__)
            line, new = b"", ""
        texts.append(new)
        replaced[entry] = line
    release.check_redacted(replace(documents, rows=np.array(rows, np.int64)), texts)
    return replaced


def _redact_line(release: ReleasePass, line: bytes, spans: list) -> tuple[bytes, str]:  # type: ignore[type-arg]
    """Return the redacted line and its text, after making sure that nothing else changed."""
    shard = release.split.shard
    encoding, paths = shard.encoding, shard.columns.text
    written = line.decode(encoding)
    record = orjson.loads(written)
    old = [piece for path in paths for piece in pieces(record, path)]
    new = redact_pieces(old, spans)
    redacted = replace_strings(written, paths, new)
    again = orjson.loads(redacted)
    if [piece for path in paths for piece in pieces(again, path)] != new or again.keys() != record.keys():
        raise ValueError("the line does not hold the redacted text")
    return redacted.encode(encoding), "\n".join(new)


def _write(
    release: ReleasePass, lines: Lines, chosen: npt.NDArray[np.bool_], place: str, replaced: dict[int, bytes]
) -> None:
    entries = np.flatnonzero(chosen)
    if not len(entries):
        return
    shard, level = release.split.shard, release.job.output.gzip_level
    is_marked = release.job.reading.encoding == "utf-16"
    make = partial(
        LineWriter, container=shard.container, gzip_level=level, encoding=shard.encoding, is_marked=is_marked
    )
    writer = release.parts.writer(place, make)
    writer.write(list(_runs(lines, entries, replaced)), len(entries))


def _runs(lines: Lines, entries: npt.NDArray[np.int64], replaced: dict[int, bytes]) -> Iterator[bytes]:
    """Give the entries' lines with their line feeds, neighbours in one piece."""
    block = lines.block
    assert block is not None
    starts, following = block.starts[entries], block.following[entries]
    changed = np.isin(entries, np.fromiter(replaced, np.int64, len(replaced)))
    breaks = np.flatnonzero((starts[1:] != following[:-1]) | changed[1:] | changed[:-1]) + 1
    first = 0
    for last in [*breaks.tolist(), len(entries)]:
        if changed[first]:
            entry = int(entries[first])
            yield replaced[entry] + block.data[block.ends[entry] : block.following[entry]]
        else:
            yield block.data[starts[first] : following[last - 1]]
        first = last
