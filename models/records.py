"""The records of a split, in order: the one enumeration that tagging and release share.

An *entry* is a record or a dead letter. Entries are numbered from 0 within their split (their *row*); their *position* in the shard
is a byte offset (JSONL, after decompression) or a row number (Parquet).
"""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.choosing import choose
from models.containers import DamagedError, Reader, open_container
from models.files import Opener, changed, unchanged
from models.lines import Block, Overlong, blocks, line_ends
from models.parquet import ParquetReader, Unreadable, footer_checksum, open_parquet, row_group_range
from models.shard import Columns, Dead, Reading, Shard, Split

Ints = npt.NDArray[np.int64]

_BATCH_BYTES = 4 << 20
_MOST_ROWS = 8192


@dataclass(frozen=True)
class Lines:
    """Some entries of a JSONL split.

    Attributes:
        row: row of the first.
        positions: shape (n,).
        block: the lines; entry ``i`` is ``block.starts[i]`` to ``block.ends[i]``. None if the entry is ``dead``.
        dead: what the single entry is, if it is no line.
    """

    row: int
    positions: Ints
    block: Block | None
    dead: Dead | None = None


@dataclass(frozen=True)
class Rows:
    """Some entries of a Parquet split.

    Attributes:
        row: row of the first.
        positions: shape (n,).
        group: the row group.
        batch: the rows, or None if the single entry is ``dead`` and stands for the whole group.
    """

    row: int
    positions: Ints
    group: int
    batch: pa.RecordBatch | None
    dead: Dead | None = None


class ShardStream:
    """A JSONL shard's bytes, read forward, so that the splits of a compressed shard need one decompression."""

    def __init__(self, reader: Reader, seekable: bool) -> None:
        self._reader = reader
        self._seekable = seekable
        self._at = 0
        self._sha = hashlib.sha256()

    def start(self, position: int) -> None:
        """Go to a position, forward only in compressed shards, and begin a new checksum."""
        if self._seekable:
            self._reader.seek(position)  # type: ignore[attr-defined]
            self._at = position
        while self._at < position:
            if not self.read(min(position - self._at, 1 << 20)):
                raise EOFError("the stream ends before the planned start")
        self._sha = hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._reader.read(size)
        self._at += len(data)
        self._sha.update(data)
        return data

    @property
    def position(self) -> int:
        return self._at

    @property
    def checksum(self) -> str:
        return self._sha.hexdigest()


@contextlib.contextmanager
def open_stream(opener: Opener, shard: Shard) -> Iterator[ShardStream]:
    """Open a JSONL shard for one or more of its splits, in order.

    Raises:
        ShardChangedError: if the file has another size than was planned; on leaving, if it changed meanwhile.
    """
    with unchanged(opener, shard.location) as file:
        if file.seek(0, io.SEEK_END) != shard.size:
            raise changed(shard.location)
        file.seek(0)
        yield ShardStream(open_container(file, shard.container), not shard.container)


def read_lines(stream: ShardStream, split: Split, reading: Reading) -> Iterator[Lines]:
    """Read the entries of a JSONL split.

    Raises:
        ShardChangedError: at the end, if the bytes are not those that were planned; what was read before is void.
    """
    cut, shard = split.cut, split.shard
    row = 0
    try:
        stream.start(cut.start)
        length, tail = cut.stop - cut.start, b""
        for part in blocks(stream, cut.start, length, shard.encoding, reading.max_record_bytes):
            if isinstance(part, Overlong):
                dead = Dead(
                    "too_long", f"{part.length} bytes, allowed are {reading.max_record_bytes}", None, part.sha256
                )
                found = Lines(row, np.array([part.position]), None, dead)
            else:
                if cut.flaw[0]:
                    part, tail = _without_tail(part, shard.encoding, tail)
                found = Lines(row, part.position + part.starts, part)
            found = _chosen(found, split, reading)
            if len(found.positions):
                row += len(found.positions)
                yield found
    except (EOFError, DamagedError):
        raise changed(shard.location) from None
    if stream.checksum != cut.checksum:
        raise changed(shard.location)
    if cut.flaw[0]:
        error, detail = cut.flaw
        dead = Dead(error, detail, tail, hashlib.sha256(tail).hexdigest())
        yield Lines(row, np.array([cut.stop - len(tail)]), None, dead)


def _without_tail(block: Block, encoding: str, tail: bytes) -> tuple[Block, bytes]:
    """Take the last line off a block if it has no line feed: damage cut it short."""
    if not len(block.starts):
        return block, tail
    last = block.data[block.starts[-1] : block.following[-1]]
    if len(line_ends(last, encoding)):
        return block, tail
    return Block(block.data, block.position, block.starts[:-1], block.ends[:-1], block.following[:-1]), last


def _chosen(lines: Lines, split: Split, reading: Reading) -> Lines:
    chosen = _choice(lines.positions, lines.row, split, reading)
    if chosen is None:
        return lines
    block = lines.block
    if block is not None:
        block = Block(block.data, block.position, block.starts[chosen], block.ends[chosen], block.following[chosen])
    return Lines(lines.row, lines.positions[chosen], block, lines.dead)


def _choice(positions: Ints, row: int, split: Split, reading: Reading) -> npt.NDArray[np.bool_] | None:
    """Return which entries are in the sample and within the limit, or None for all."""
    if reading.sample_ppm >= 1_000_000 and split.cut.limit < 0:
        return None
    chosen = sampled(positions, split.shard.path, reading.sample_ppm)
    if split.cut.limit >= 0:
        chosen &= np.cumsum(chosen) + row <= split.cut.limit
    return chosen


def sampled(positions: Ints, path: str, ppm: int) -> npt.NDArray[np.bool_]:
    """Return which positions of a shard are in a sample of ``ppm`` in a million.

    The same on every machine and for any cut: a hash of path and position decides (the finaliser of SplitMix64, Steele et al. 2014).
    """
    seed = int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()[:8], "little")
    mixed = positions.astype(np.uint64) + np.uint64(seed)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    chosen: npt.NDArray[np.bool_] = mixed % np.uint64(1_000_000) < np.uint64(ppm)
    return chosen


def read_rows(opener: Opener, split: Split, reading: Reading, columns: list[str]) -> Iterator[Rows]:
    """Read the entries of a Parquet split in batches of about 4 MB of text.

    A row group that cannot be parsed is one entry. It may come after batches of the same group: it then stands in place of
    them, and its ``row`` says so.

    Args:
        columns: top-level columns to read.

    Raises:
        ShardChangedError: if the bytes are not those that were planned; what was read before is void.
    """
    if split.cut.flaw[0]:
        yield unreadable_shard(split)
        return
    with open_groups(opener, split) as groups:
        row = 0
        for group in groups:
            entries = 0
            try:
                for rows in group.read(row, split, reading, columns, group.batch_rows(split.shard.columns)):
                    yield rows
                    entries += len(rows.positions)
            except Unreadable as error:
                dead = Dead("unreadable", error.detail, None, group.checksum, group.count)
                yield Rows(row, np.array([group.first]), group.index, None, dead)
                entries = 1
            row += entries


def unreadable_shard(split: Split) -> Rows:
    """Return the one entry of a Parquet shard that cannot be opened."""
    error, detail = split.cut.flaw
    return Rows(0, np.array([0]), 0, None, Dead(error, detail, None, split.shard.checksum))


@dataclass(frozen=True)
class Group:
    """One row group of an open file.

    Attributes:
        index: in the file.
        first: number of its first row in the file.
        count: rows.
        checksum: SHA-256 of its bytes.
        facts: its metadata.
    """

    parquet: ParquetReader
    index: int
    first: int
    count: int
    checksum: str
    facts: Any

    def read(self, row: int, split: Split, reading: Reading, columns: list[str] | None, size: int) -> Iterator[Rows]:
        """Read the group's entries, the first of which is ``row``, in batches of ``size`` rows before sampling.

        Raises:
            Unreadable: if it cannot be parsed.
        """
        at = self.first
        for batch in self.parquet.batches(self.index, size, columns):
            positions = np.arange(at, at + len(batch))
            at += len(batch)
            chosen = _choice(positions, row, split, reading)
            if chosen is not None:
                batch, positions = choose(batch, np.flatnonzero(chosen)), positions[chosen]
            if len(positions):
                yield Rows(row, positions, self.index, batch)
                row += len(positions)
        if at != self.first + self.count:
            raise Unreadable(f"{at - self.first} rows instead of {self.count}")

    def batch_rows(self, columns: Columns) -> int:
        """Return how many rows hold about 4 MB of text."""
        names = {path.split(".")[0].removesuffix("[]") for path in columns.text}
        parts = (self.facts.column(index) for index in range(self.facts.num_columns))
        with self.parquet.parsing():
            size = sum(part.total_uncompressed_size for part in parts if part.path_in_schema.split(".")[0] in names)
        return int(max(1, min(_MOST_ROWS, _BATCH_BYTES // max(1, size // max(1, self.count)))))


@contextlib.contextmanager
def open_groups(opener: Opener, split: Split) -> Iterator[Iterator[Group]]:
    """Open a Parquet split and give its row groups.

    Raises:
        ShardChangedError: if the bytes are not those that were planned, or change while they are read.
    """
    location, cut = split.shard.location, split.cut
    with unchanged(opener, location) as file, contextlib.ExitStack() as stack:
        groups: list[Group] = []
        first = cut.first_row
        try:
            parquet = stack.enter_context(open_parquet(file))
            sha = hashlib.sha256(footer_checksum(file, split.shard.size))
            for index in range(cut.start, cut.stop):
                facts = parquet.metadata.row_group(index)
                begin, end = row_group_range(facts, split.shard.size)
                groups.append(Group(parquet, index, first, facts.num_rows, _hash_range(file, begin, end, sha), facts))
                first += facts.num_rows
        except (Unreadable, IndexError):
            raise changed(location) from None
        # Compared before anything is parsed: other bytes may hold other columns.
        if sha.hexdigest() != cut.checksum or file.seek(0, io.SEEK_END) != split.shard.size:
            raise changed(location)
        yield iter(groups)


def _hash_range(file: BinaryIO, begin: int, end: int, total: "hashlib._Hash") -> str:
    """Add a range of the file to a checksum, and return the checksum of the range alone."""
    own = hashlib.sha256()
    file.seek(begin)
    while begin < end and (data := file.read(min(end - begin, 1 << 20))):
        own.update(data)
        total.update(data)
        begin += len(data)
    return own.hexdigest()
