"""Writers of output parts: same records, same bytes; a file is made with the first record and never left half."""

import bz2
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd

from models.containers import open_container
from models.lines import line_ends
from models.shard import Container

_STEP = 1 << 20
_TABLE_ROWS = 1 << 14


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


def _compressor(container: Container, gzip_level: int) -> _Compressor:
    if container == "gzip":
        # zlib writes the header without time, name and host.
        return zlib.compressobj(gzip_level, wbits=31)
    if container == "zstd":
        return zstd.ZstdCompressor(level=3)
    if container == "bz2":
        return bz2.BZ2Compressor(9)
    return _Plain()


class LineWriter:
    """Writes lines in a container, in steps of fixed size, so that the bytes do not depend on how the lines came."""

    def __init__(
        self, path: Path, container: Container, gzip_level: int, encoding: str = "utf-8", is_marked: bool = True
    ) -> None:
        self.path = path
        self.records = 0
        self._container, self._encoding = container, encoding
        # What was read as utf-16, its byte order unsaid, needs a byte order mark; utf-16-le and -be have none.
        mark = "\ufeff".encode(encoding) if is_marked and encoding.startswith("utf-16") else b""
        self._file = path.open("wb")
        self._compressor = _compressor(container, gzip_level)
        self._waiting = bytearray(mark)

    def write(self, lines: Sequence[bytes], records: int) -> None:
        """Write bytes that hold ``records`` whole lines."""
        self.records += records
        for line in lines:
            self._waiting += line
        whole = len(self._waiting) // _STEP * _STEP
        for start in range(0, whole, _STEP):
            self._file.write(self._compressor.compress(bytes(self._waiting[start : start + _STEP])))
        del self._waiting[:whole]

    def close(self) -> None:
        self._file.write(self._compressor.compress(bytes(self._waiting)))
        self._file.write(self._compressor.flush())
        self._file.close()

    def recount(self) -> int:
        """Return how many lines the closed file holds."""
        count, tail = 0, 0
        with self.path.open("rb") as file:
            stream = open_container(file, self._container)
            while data := stream.read(_STEP):
                ends = line_ends(data, self._encoding)
                count += len(ends)
                tail = len(data) - int(ends[-1]) if len(ends) else tail + len(data)
        return count + (tail > 0)

    def abandon(self) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)


class RowWriter:
    """Writes Parquet row groups in the schema of the input; the codec is the input's."""

    def __init__(self, path: Path, schema: pa.Schema, codec: str, store_schema: bool) -> None:
        self.path = path
        self.records = 0
        # Spark and others write files without an Arrow schema; theirs stay so.
        self._writer = pq.ParquetWriter(path, schema, store_schema=store_schema, **_codec(codec))

    def write(self, batch: pa.RecordBatch) -> None:
        """Write one row group."""
        self.records += len(batch)
        self._writer.write_table(pa.Table.from_batches([batch]), row_group_size=max(1, len(batch)))

    def close(self) -> None:
        self._writer.close()

    def recount(self) -> int:
        """Return how many rows the closed file holds."""
        return int(pq.read_metadata(self.path).num_rows)

    def abandon(self) -> None:
        # Closing a ParquetWriter leaves a readable, shorter file; it must not be taken for a whole one.
        self._writer.close()
        self.path.unlink(missing_ok=True)


def _codec(name: str) -> dict[str, Any]:
    known = {"SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4", "UNCOMPRESSED"}
    codec = name if name in known else "ZSTD"
    levels: Mapping[str, int] = {"ZSTD": 1, "GZIP": 1, "BROTLI": 1}
    return {"compression": "NONE" if codec == "UNCOMPRESSED" else codec, "compression_level": levels.get(codec)}


class TableWriter:
    """Writes rows given as dictionaries as Parquet, in row groups of a fixed number of rows."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.records = 0
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="ZSTD", compression_level=3)
        self._rows: list[dict[str, Any]] = []

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        self.records += len(rows)
        self._rows += rows
        while len(self._rows) >= _TABLE_ROWS:
            self._write_group(self._rows[:_TABLE_ROWS])
            del self._rows[:_TABLE_ROWS]

    def _write_group(self, rows: list[dict[str, Any]]) -> None:
        self._writer.write_table(pa.Table.from_pylist(rows, self._schema), row_group_size=_TABLE_ROWS)

    def close(self) -> None:
        if self._rows:
            self._write_group(self._rows)
        self._writer.close()

    def recount(self) -> int:
        """Return how many rows the closed file holds."""
        return int(pq.read_metadata(self.path).num_rows)

    def abandon(self) -> None:
        self._writer.close()
        self.path.unlink(missing_ok=True)
