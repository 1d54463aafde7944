"""Adding up by source, or by more keys, what does not fit into memory: sorted runs on disk, merged range by range of keys."""

import bisect
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ipc

from models.store import named_if_full

How = Literal["sum", "min", "max"]

ROWS = 1 << 20
"""Rows that wait in memory before they become a run; and about as many are merged at a time."""

GROUP = 1 << 17
"""Rows of a row group of tables that are written as a stream."""


class OnDisk:
    """A folder for sorted runs while a context lasts.

    Args:
        folder: on this machine; runs lie in its ``tmp``, where gc finds those of a process that was killed.
        prefix: of the folder's name.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        place = folder / "tmp"
        place.mkdir(parents=True, exist_ok=True)
        self._folder = tempfile.TemporaryDirectory(dir=place, prefix=prefix)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()


class Sums(OnDisk):
    """Adds up columns by keys, which are strings; all of it in memory only while it is small.

    Nulls count for nothing: a column that a key has no value of is null in the result.

    Args:
        how: each column and how its values come together; all are associative, so the order of what is added does not matter.
        folder: see :class:`OnDisk`.
        rows: see :data:`ROWS`.
        keys: columns by which is added up; the result is sorted by them.
    """

    def __init__(
        self, how: Mapping[str, How], folder: Path, *, rows: int = ROWS, keys: Sequence[str] = ("source",)
    ) -> None:
        super().__init__(folder, "sums-")
        self._how = dict(how)
        self._keys = tuple(keys)
        self._rows = rows
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._runs: list[Path] = []
        self._schema = pa.schema(
            [*((name, pa.string()) for name in self._keys), *((name, pa.int64()) for name in self._how)]
        )

    def add(self, table: pa.Table) -> None:
        """Add rows; columns that the table lacks are null."""
        columns = [
            table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
            for field in self._schema
        ]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self._schema))
        self._count += len(table)
        if self._count >= self._rows:
            self._spill()

    def chunks(self) -> Iterator[pa.Table]:
        """Give the sums, sorted by keys; no key stands in two chunks. Chunks have no certain size."""
        if not self._runs:
            yield self._reduce(self._waiting)
            return
        if self._count:
            self._spill()
        runs = [_Run(path, self._keys) for path in self._runs]
        bounds = [*_bounds(runs, self._rows), None]
        starts = [0] * len(runs)
        for bound in bounds:
            ends = [len(run.table) if bound is None else run.find(bound) for run in runs]
            pieces = [run.table.slice(a, b - a) for run, a, b in zip(runs, starts, ends, strict=True) if b > a]
            starts = ends
            if pieces:
                yield self._reduce(pieces)

    def _spill(self) -> None:
        table = self._reduce(self._waiting)
        self._waiting, self._count = [], 0
        path = Path(self._folder.name) / f"{len(self._runs)}.arrow"
        with named_if_full(path.parent), pa.OSFile(str(path), "wb") as file, ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        self._runs.append(path)

    def _reduce(self, tables: list[pa.Table]) -> pa.Table:
        table = pa.concat_tables([self._schema.empty_table(), *tables])
        grouped = table.group_by(list(self._keys), use_threads=False).aggregate(list(self._how.items()))
        grouped = grouped.select([*self._keys, *(f"{name}_{how}" for name, how in self._how.items())])
        order = [(name, "ascending") for name in self._keys]
        return grouped.rename_columns(self._schema.names).sort_by(order).cast(self._schema).combine_chunks()


Key = tuple[bytes, ...]
"""The keys of a row, in the order in which Arrow sorts strings."""


class _Run:
    """A sorted run, mapped into memory."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self.table = ipc.open_file(pa.memory_map(str(path))).read_all().combine_chunks()
        self._columns = [self.table[name] for name in keys]

    def find(self, key: Key) -> int:
        """Return the number of rows before a key."""
        return bisect.bisect_left(range(len(self.table)), key, key=self._key)

    def sample(self, count: int) -> list[Key]:
        at = np.linspace(0, len(self.table) - 1, count).astype(np.int64)
        columns = (column.take(pa.array(at)).to_pylist() for column in self._columns)
        return [tuple(each.encode() for each in key) for key in zip(*columns, strict=True)]

    def _key(self, row: int) -> Key:
        return tuple(column[row].as_py().encode() for column in self._columns)


def _bounds(runs: list[_Run], rows: int) -> list[Key]:
    """Return keys between which all runs together have about so many rows; that changes chunks, never sums."""
    total = sum(len(run.table) for run in runs)
    every = 64
    samples = sorted(key for run in runs for key in run.sample(max(2, every * len(run.table) // rows)))
    step = max(1, len(samples) * rows // total)
    return sorted(set(samples[step::step]))


class GroupWriter:
    """Writes a Parquet table from chunks of any size: row groups are always as long, so the bytes do not depend on them."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._length = 0
        self._schema = schema
        self.rows = 0

    def write(self, table: pa.Table) -> None:
        # There may be many of a few rows each, mostly of the right types: casting them all would take longer than writing.
        self._waiting.append(table if table.schema.equals(self._schema) else table.cast(self._schema))
        self.rows += len(table)
        self._length += len(table)
        if self._length >= GROUP:
            whole = pa.concat_tables(self._waiting)
            full = len(whole) // GROUP * GROUP
            self._put(whole.slice(0, full))
            self._waiting, self._length = [whole.slice(full)], self._length - full

    def close(self) -> None:
        self._put(pa.concat_tables([self._schema.empty_table(), *self._waiting]))
        self._writer.close()

    def _put(self, table: pa.Table) -> None:
        if len(table):
            self._writer.write_table(table.combine_chunks(), row_group_size=GROUP)
