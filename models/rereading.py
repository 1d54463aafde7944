"""Reading some records of a shard again, by their positions, as tagging read them: the text before any redaction."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.choosing import choose
from models.columns import steps
from models.documents import Documents
from models.files import Opener, changed
from models.layer import Merged
from models.parsing import Parsed, parse_lines, parse_rows
from models.records import Lines, Rows, open_stream, read_lines, read_rows
from models.shard import Reading, Split
from models.view import octets

Ints = npt.NDArray[np.int64]


def extents(known: Merged, split: Split) -> Ints:
    """Return how many bytes each entry of a JSONL split takes at most, shape (n,); nothing that a row of Parquet is read by.

    Args:
        known: of the split.
    """
    positions = known.records["position"].to_numpy()
    if split.shard.format == "parquet":
        return np.zeros(len(positions), np.int64)
    found: Ints = np.diff(np.append(positions, max(split.cut.stop, int(positions[-1]) if len(positions) else 0)))
    return found


def read_again(
    splits: Sequence[Split], wanted: Mapping[int, Mapping[int, bytes]], longest: int, opener: Opener
) -> Iterator[tuple[list[int], Documents]]:
    """Give the wanted records of a shard, in its order, as batches of positions and documents.

    Which records a trial run read does not matter here, nor what their sources are: documents have that of the shard's path.

    Args:
        splits: of one shard, by index.
        wanted: content hash (16 bytes) by position, by index of the split.
        longest: bytes of the longest wanted line, see :func:`extents`; longer ones are read past.

    Raises:
        ShardChangedError: if the shard, or one of these records, is not what was tagged.
    """
    reading = Reading(source_from="path", max_record_bytes=max(1, longest))
    with contextlib.ExitStack() as stack:
        stream = None
        for split in splits:
            here = wanted.get(split.index, {})
            if not here:
                continue
            whole = replace(split, cut=replace(split.cut, limit=-1))
            positions = np.array(sorted(here), np.int64)
            if split.shard.format == "parquet":
                parsed = _rows(opener, whole, positions)
            else:
                stream = stream or stack.enter_context(open_stream(opener, split.shard))
                parsed = (
                    parse_lines(_some(lines, at), whole, reading)
                    for lines in read_lines(stream, whole, reading)
                    if lines.block is not None and len(at := np.flatnonzero(np.isin(lines.positions, positions)))
                )
            yield from _checked(parsed, here, split)


def _rows(opener: Opener, split: Split, positions: Ints) -> Iterator[Parsed]:
    reading = Reading(source_from="path", max_record_bytes=1 << 62)
    names = sorted({steps(path)[0][0] for path in split.shard.columns.paths})
    for rows in read_rows(opener, split, reading, names):
        at = np.flatnonzero(np.isin(rows.positions, positions))
        if rows.batch is not None and len(at):
            yield parse_rows(Rows(0, rows.positions[at], rows.group, choose(rows.batch, at)), split, reading)


def _some(lines: Lines, at: Ints) -> Lines:
    """Return some entries of a block as lines of their own, their rows counted from 0."""
    block = lines.block
    assert block is not None
    part = replace(block, starts=block.starts[at], ends=block.ends[at], following=block.following[at])
    return Lines(0, lines.positions[at], part)


def _checked(
    parsed: Iterator[Parsed], here: Mapping[int, bytes], split: Split
) -> Iterator[tuple[list[int], Documents]]:
    left = len(here)
    for each in parsed:
        documents = each.documents
        positions = each.positions[documents.rows].tolist()
        for position, text in zip(positions, octets(documents.text), strict=True):
            if content_hash(text) != here[position]:
                raise changed(split.shard.location)
        left -= len(positions)
        yield positions, replace(documents, rows=np.arange(len(documents), dtype=np.int64))
    if left:
        raise changed(split.shard.location)


def content_hash(text: bytes) -> bytes:
    """Return the hash by which layers know a text."""
    return hashlib.sha256(text).digest()[:16]


def by_split(
    splits: Sequence[Split], positions: pa.ChunkedArray, contents: pa.ChunkedArray
) -> dict[int, dict[int, bytes]]:
    """Return content hashes by position, by index of the split that holds it.

    Args:
        splits: of one shard, by index.
        positions: of records of the shard, int64, shape (n,).
        contents: their content hashes.
    """
    is_parquet = splits[0].shard.format == "parquet"
    starts = np.array([each.cut.first_row if is_parquet else each.cut.start for each in splits], np.int64)
    found: dict[int, dict[int, bytes]] = {}
    at = np.searchsorted(starts, positions.to_numpy(), side="right") - 1
    for place, position, content in zip(at.tolist(), positions.to_pylist(), contents.to_pylist(), strict=True):
        found.setdefault(splits[place].index, {})[position] = content
    return found
