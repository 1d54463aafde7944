"""Parquet files: opening, and telling damage from input errors."""

import contextlib
import hashlib
import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

# What pyarrow raises for content that it cannot parse. It raises OSError too, for bad content and failed reads alike;
# the watched file below tells them apart.
PARSE_ERRORS = (
    pa.ArrowInvalid,
    pa.ArrowNotImplementedError,
    pa.ArrowIndexError,
    pa.ArrowTypeError,
    OSError,
    ValueError,
)

PARQUET_MAGIC = (b"PAR1", b"PARE")
"""What a Parquet file starts with, the second with an encrypted footer."""

_TAIL = 8
_SIGNATURE = 28
"""Bytes of nonce and tag behind the metadata in a signed footer."""


class Unreadable(Exception):  # noqa: N818 - it is a state of the data
    """The content cannot be parsed; ``detail`` says why, without the content."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class _Watched(io.RawIOBase):
    """A file that remembers the error with which reading it failed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int | None = -1, /) -> bytes:
        try:
            return self._file.read(-1 if size is None else size)
        except BaseException as error:
            self.error = error
            raise


class ParquetReader:
    """An open Parquet file whose parse errors are :class:`Unreadable` and whose input errors are themselves."""

    def __init__(self, file: BinaryIO) -> None:
        self._watched = _Watched(file)
        with self.parsing():
            self._parquet = pq.ParquetFile(
                pa.PythonFile(self._watched, mode="r"), buffer_size=1 << 20, page_checksum_verification=True
            )
            self.metadata = self._parquet.metadata
            self.schema_arrow: pa.Schema = self._parquet.schema_arrow

    @contextlib.contextmanager
    def parsing(self) -> Iterator[None]:
        try:
            yield
        except PARSE_ERRORS as error:
            if self._watched.error is not None:
                raise self._watched.error from None
            raise Unreadable(str(error).split("\n", 1)[0][:200]) from None

    def batches(self, group: int, rows: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        """Read one row group in batches of at most ``rows`` rows."""
        with self.parsing():
            batches = self._parquet.iter_batches(
                batch_size=rows, row_groups=[group], columns=columns, use_threads=False
            )
        while True:
            with self.parsing():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch


@contextlib.contextmanager
def open_parquet(file: BinaryIO) -> Iterator[ParquetReader]:
    """Open a Parquet file.

    Raises:
        Unreadable: here or when reading batches, if its content cannot be parsed.
    """
    file.seek(0)
    parquet = ParquetReader(file)
    # A signed footer means that columns may be encrypted (Parquet Modular Encryption, "plaintext footer"). Looking at the
    # metadata of such a column ends the process in pyarrow 25, without an exception.
    file.seek(-8, io.SEEK_END)
    if int.from_bytes(file.read(4), "little") == parquet.metadata.serialized_size + _SIGNATURE:
        raise Unreadable("encrypted, with a plain footer")
    yield parquet


def footer_checksum(file: BinaryIO, size: int) -> bytes:
    """Return the SHA-256 of a Parquet file's footer, which says what the bytes of its row groups mean."""
    file.seek(size - _TAIL)
    length = int.from_bytes(file.read(4), "little")
    file.seek(size - _TAIL - length)
    return hashlib.sha256(file.read(length + _TAIL)).digest()


def row_group_range(group: Any, size: int) -> tuple[int, int]:
    """Return the bytes of a file of ``size`` bytes that a row group takes, half open.

    Raises:
        Unreadable: if they are not in the file.
    """
    begin, end = size, 0
    for index in range(group.num_columns):
        column = group.column(index)
        at = column.data_page_offset
        if column.has_dictionary_page and column.dictionary_page_offset:
            at = min(at, column.dictionary_page_offset)
        begin, end = min(begin, at), max(end, at + column.total_compressed_size)
    if begin < 0 or end > size or end < begin:
        if not group.num_columns:
            return 0, 0
        raise Unreadable(f"a row group at bytes {begin} to {end} of {size}")
    return begin, end
