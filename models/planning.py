"""Cutting shards into splits."""

import contextlib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import orjson
import pyarrow as pa

from models.columns import USUAL, is_textual, leaf_type, pieces, recognise
from models.containers import DamagedError, Reader, container_of, open_container
from models.errors import UsageError
from models.files import Opener, unchanged
from models.lines import line_ends
from models.parquet import PARQUET_MAGIC, Unreadable, footer_checksum, open_parquet, row_group_range
from models.shard import SOURCE_KEYS, Columns, Container, Cut, Reading, Shard, pinned

_CHUNK = 1 << 20
_COMPRESSED = (".gz", ".zst", ".bz2")

_RECOGNISED_IN = 100

BOMB_LINES = 64
"""A line of a compressed shard longer than so many times the longest allowed record is taken for a bomb."""


def plan_shard(
    opener: Opener,
    root: str,
    path: str,
    reading: Reading,
    split_size: int,
    known: Shard | None = None,
    generation: str = "",
) -> Shard:
    """Hash a shard and cut it into splits.

    Args:
        known: the shard of that path in the catalogue; if it was read in the same way and has the same content, its cuts stay.
        generation: of the object as it was listed; one that is known needs no reading.

    Raises:
        UsageError: if the shard has no column to take text from.
        ShardChangedError: if it is written meanwhile.
    """
    location = pinned(f"{root.rstrip('/')}/{path}", generation)
    same = known if known is not None and known.reading == reading.digest else None
    if same is not None and generation and (same.root, same.generation) == (root, generation):
        return same
    with unchanged(opener, location) as file:
        if same is not None:
            checksum, size = _hash(file)
            if (checksum, size) == (same.checksum, same.size):
                return replace(same, root=root, generation=generation)
            file.seek(0)
        head = file.read(8)
        file.seek(0)
        shard = _plan(file, head, root, path, reading, split_size)
    _check_origin(shard.columns, reading, location)
    return replace(shard, reading=reading.digest, generation=generation)


def _check_origin(columns: Columns, reading: Reading, location: str) -> None:
    origin = reading.source_from
    if (origin == "url" and columns.url is None) or (origin == "column" and columns.source is None):
        raise UsageError(
            f"{location}: source_from: {origin}, but no {origin.replace('column', 'source')} column is known"
        )


def _plan(file: BinaryIO, head: bytes, root: str, path: str, reading: Reading, split_size: int) -> Shard:
    if head[:4] in PARQUET_MAGIC or path.endswith(".parquet"):
        return _plan_parquet(file, root, path, reading, split_size)
    container = container_of(head)
    if head and not container and path.endswith(_COMPRESSED) and not head.lstrip().startswith(b"{"):
        return _unreadable(file, root, path, reading, f"neither {path.rsplit('.', 1)[1]} nor JSON lines")
    return _plan_jsonl(file, root, path, reading, split_size, container)


def _lacks(columns: Columns, has: Callable[[str], bool]) -> tuple[str, ...]:
    mapped = {"id": columns.id, "source": columns.source, "url": columns.url, **dict(columns.provenance)}
    mapped |= {f"{SOURCE_KEYS}.{name}": path for name, path in columns.keys}
    return tuple(role for role, path in mapped.items() if path is not None and not has(path))


def peek_columns(
    opener: Opener, root: str, path: str, reading: Reading, generation: str = ""
) -> tuple[Columns, tuple[str, ...]]:
    """Return the columns of a shard from its first bytes, and which are mapped but not there, as planning would find them.

    Args:
        generation: of the object as it was listed.

    Raises:
        UsageError: if it has no column to take text from.
    """
    location = f"{root.rstrip('/')}/{path}"
    with opener.open(pinned(location, generation)) as file:
        head = file.read(8)
        file.seek(0)
        if head[:4] in PARQUET_MAGIC or path.endswith(".parquet"):
            with contextlib.suppress(Unreadable), open_parquet(file) as parquet:
                columns = reading.over(lambda: recognise(parquet.schema_arrow.names, location))
                _check_columns(parquet.schema_arrow, columns, location)
                _check_origin(columns, reading, location)
                return columns, _lacks(columns, lambda path: leaf_type(parquet.schema_arrow, path) is not None)
            return reading.over(Columns), ()
        cutter = _Cutter(open_container(file, container_of(head)), reading, 1, False)
        with contextlib.suppress(DamagedError):
            cutter.start(cutter.stream.read(_CHUNK))
        columns = reading.over(lambda: cutter.columns(location))
        _check_origin(columns, reading, location)
        return columns, cutter.lacks(columns)


def _hash(file: BinaryIO) -> tuple[str, int]:
    sha, size = hashlib.sha256(), 0
    while block := file.read(_CHUNK):
        sha.update(block)
        size += len(block)
    return sha.hexdigest(), size


class _Hashing:
    """A file that is hashed as it is read forward."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha = hashlib.sha256()
        self.size = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self.sha.update(data)
        self.size += len(data)
        return data


def _unreadable(file: BinaryIO, root: str, path: str, reading: Reading, detail: str) -> Shard:
    """Return a shard whose whole content is one dead letter."""
    checksum, size = _hash(file)
    cut = Cut(0, 0, 0, 0, hashlib.sha256().hexdigest(), ("unreadable", detail))
    return Shard(root, path, size, checksum, "jsonl", "", "utf-8", reading.over(Columns), (cut,))


def _plan_jsonl(file: BinaryIO, root: str, path: str, reading: Reading, split_size: int, container: Container) -> Shard:
    hashing = _Hashing(file)
    stream = open_container(hashing, container)  # type: ignore[arg-type]
    cutter = _Cutter(stream, reading, split_size, bool(container))
    cuts = tuple(cutter.cuts())
    while hashing.read(_CHUNK):
        pass  # what lies behind damage is part of the shard's content too
    columns = reading.over(lambda: cutter.columns(f"{root.rstrip('/')}/{path}"))
    return Shard(
        root,
        path,
        hashing.size,
        hashing.sha.hexdigest(),
        "jsonl",
        container,
        cutter.encoding,
        columns,
        cuts,
        lacks=cutter.lacks(columns),
    )


@dataclass
class _Cutter:
    """Cuts a stream of lines; its state is where it stands."""

    stream: Reader
    reading: Reading
    split_size: int
    compressed: bool
    encoding: str = ""
    head: bytes = b""
    has_head: bool = False
    skips: bool = False

    def cuts(self) -> Iterator[Cut]:
        start = position = lines = 0
        sha = hashlib.sha256()
        line_start = 0
        flaw = ("", "")
        first, made = True, 0
        while True:
            try:
                data = self._read_units()
                self._check_line(position + len(data) - line_start if b"\n" not in data else 0)
            except DamagedError as damage:
                flaw = (damage.error, damage.detail)
                break
            if first:
                mark = self.start(data)
                start = position = line_start = mark
                data, first = data[mark:], False
                if mark and not data:
                    continue
            elif not self.has_head:
                self._extend_head(data)
            if not data:
                break
            ends = line_ends(data, self.encoding)
            done = 0
            while position + len(data) - start >= self.split_size:
                reached = ends[ends > max(done, start + self.split_size - position - 1)]
                if not len(reached):
                    break
                end = int(reached[0])
                sha.update(data[done:end])
                lines += int(((ends > done) & (ends <= end)).sum())
                yield Cut(start, position + end, 0, lines, sha.hexdigest())
                made += 1
                start, lines, done, sha = position + end, 0, end, hashlib.sha256()
            sha.update(data[done:])
            lines += int((ends > done).sum())
            if len(ends):
                line_start = position + int(ends[-1])
            position += len(data)
        if position > start or flaw[0] or not made:
            tail = line_start < position and not flaw[0]
            yield Cut(start, position, 0, lines + tail, sha.hexdigest(), flaw)

    def _read_units(self) -> bytes:
        data = self.stream.read(_CHUNK)
        if len(data) % 2 and self.reading.encoding.startswith("utf-16"):
            with contextlib.suppress(DamagedError):
                data += self.stream.read(1)
        return data

    def _check_line(self, length: int) -> None:
        most = BOMB_LINES * self.reading.max_record_bytes
        if self.compressed and length > most:
            raise DamagedError("bomb", f"a line of more than {most} bytes")

    def start(self, data: bytes) -> int:
        """Settle the encoding, keep the head for recognising columns, and return the length of the byte order mark."""
        encoding = self.reading.encoding
        mark = 0
        if encoding == "utf-8" and data.startswith(b"\xef\xbb\xbf"):
            mark = 3
        elif encoding.startswith("utf-16") and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            mark = 2
            encoding = "utf-16-le" if data[:2] == b"\xff\xfe" else "utf-16-be"
        elif encoding == "utf-16":
            # JSON begins with a character of ASCII (RFC 4627, section 3).
            encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
        self.encoding = encoding
        self._extend_head(data[mark:])
        return mark

    def _extend_head(self, data: bytes) -> None:
        """Add to the head until it has a whole line, which may be longer than what is read at once.

        A line that is too long to be a record says nothing of columns; were the head to end in it, the others would lose theirs.
        """
        self.head += data
        ends = line_ends(self.head, self.encoding)
        if self.skips:
            self.head = self.head[int(ends[0]) :] if len(ends) else b""
            self.skips, ends = not len(ends), ends[1:]
        if len(ends):
            self.has_head = True
        elif len(self.head) > self.reading.max_record_bytes:
            self.head, self.skips = b"", True

    def columns(self, location: str) -> Columns:
        """Return the columns recognised in the first objects of the shard; plain ``text`` if there are none.

        Several, for a record may leave out what it has nothing for; of the usual names for text the most frequent one counts. Refusals
        stand on few records, and those may come later: URL and provenance are looked up in each record too.
        """
        records = list(self._records())
        counts = Counter(name for record in records for name in record)
        text = max(USUAL["text"], key=lambda name: counts[name])
        names = [name for name in counts if name == text or name not in USUAL["text"]]
        return replace(recognise(names, location) if records else Columns(), by_record=True)

    def lacks(self, columns: Columns) -> tuple[str, ...]:
        """Return the roles that are mapped to a column which the first objects do not have; none if there are no objects."""
        records = list(self._records())
        return _lacks(columns, lambda path: any(pieces(record, path) for record in records)) if records else ()

    def _records(self) -> Iterator[dict[str, Any]]:
        """Give the first objects of the head."""
        start, seen = 0, 0
        for end in [*line_ends(self.head, self.encoding).tolist(), len(self.head)]:
            record = _json(self.head[start:end], self.encoding)
            start = end
            if isinstance(record, dict):
                yield record
                seen += 1
            if seen == _RECOGNISED_IN:
                break


def _json(line: bytes, encoding: str) -> Any:
    try:
        return orjson.loads(line if encoding == "utf-8" else line.decode(encoding))
    except ValueError:
        return None


def _plan_parquet(file: BinaryIO, root: str, path: str, reading: Reading, split_size: int) -> Shard:
    location = f"{root.rstrip('/')}/{path}"
    checksum, size = _hash(file)
    columns, lacks = reading.over(Columns), tuple[str, ...]()
    try:
        with open_parquet(file) as parquet:
            columns = reading.over(lambda: recognise(parquet.schema_arrow.names, location))
            _check_columns(parquet.schema_arrow, columns, location)
            lacks = _lacks(columns, lambda path: leaf_type(parquet.schema_arrow, path) is not None)
            cuts = tuple(_cut_row_groups(file, parquet.metadata, size, split_size))
    except Unreadable as error:
        cuts = (Cut(0, 0, 0, 0, hashlib.sha256().hexdigest(), ("unreadable", error.detail)),)
    return Shard(root, path, size, checksum, "parquet", "", "", columns, cuts, lacks=lacks)


def _check_columns(schema: pa.Schema, columns: Columns, location: str) -> None:
    for path in columns.text:
        kind = leaf_type(schema, path)
        if kind is None or not is_textual(kind):
            said = "there is none" if kind is None else f"it is {kind}"
            raise UsageError(
                f"{location}: text column {path!r}: {said}, expected strings; the shard has: "
                + ", ".join(f"{part.name}: {part.type}" for part in schema)
            )


def _cut_row_groups(file: BinaryIO, metadata: Any, size: int, split_size: int) -> Iterator[Cut]:
    start = first_row = rows = taken = 0
    footer = footer_checksum(file, size)
    sha = hashlib.sha256(footer)
    for group in range(metadata.num_row_groups):
        begin, end = row_group_range(metadata.row_group(group), size)
        file.seek(begin)
        left = end - begin
        while left and (block := file.read(min(left, _CHUNK))):
            sha.update(block)
            left -= len(block)
        rows += metadata.row_group(group).num_rows
        taken += end - begin
        if taken >= split_size or group == metadata.num_row_groups - 1:
            yield Cut(start, group + 1, first_row, rows, sha.hexdigest())
            start, first_row, rows, taken, sha = group + 1, first_row + rows, 0, 0, hashlib.sha256(footer)
    if not metadata.num_row_groups:
        yield Cut(0, 0, 0, 0, sha.hexdigest())
