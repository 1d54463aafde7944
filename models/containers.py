"""Decompression that is bounded, that tells damage from input errors, and that gives what came before the damage."""

import bz2
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from backports import zstd
from isal import isal_zlib

from models.shard import Container

_CHUNK = 1 << 16
# Given out by one call into a decompressor. Always the same, so that where damage strikes does not depend on how one reads:
# the second reading must get exactly as far as the first.
_STEP = 1 << 16

# A stream that has become both huge and far larger than any text compresses is taken for a bomb. Gzip ends at 1032 to 1,
# and the most repetitive logs reach about 100 to 1.
BOMB_BYTES = 1 << 30
BOMB_RATIO = 250


class DamagedError(Exception):
    """The container's content ends here, by an error class and what the decompressor said."""

    def __init__(self, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.error = error
        self.detail = detail


class Reader(Protocol):
    """A stream of bytes that is read forward."""

    def read(self, size: int) -> bytes: ...


class _Member(Protocol):
    """One gzip member, zstd frame or bz2 stream, as ``bz2.BZ2Decompressor`` has it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _GzipMember:
    """Gives isal's zlib object the interface of the others."""

    def __init__(self) -> None:
        self._object = isal_zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def needs_input(self) -> bool:
        return not self._object.unconsumed_tail and not self._full

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)

    _full = False

    def decompress(self, data: bytes, max_length: int) -> bytes:
        out: bytes = self._object.decompress(self._object.unconsumed_tail + data, max_length)
        # A full output may have more behind it although all input is taken.
        self._full = len(out) == max_length
        return out


_MEMBERS: dict[Container, Callable[[], _Member]] = {
    "gzip": _GzipMember,
    "zstd": zstd.ZstdDecompressor,
    "bz2": bz2.BZ2Decompressor,
}
_ISAL_ERROR: Any = isal_zlib.error  # its stub takes the class for an instance
_ERRORS = (_ISAL_ERROR, zstd.ZstdError, ValueError, EOFError)


class Decompressed:
    """The content of a compressed file, several members or frames one after another as one.

    ``read`` raises :class:`DamagedError` when nothing more can be had: ``truncated``, ``corrupt`` or ``bomb``. What could be
    decompressed before is returned first. Errors of reading the file raise as they are.
    """

    def __init__(self, file: BinaryIO, container: Container) -> None:
        self._file = file
        self._new = _MEMBERS[container]
        self._padded = container == "gzip"
        self._member = self._new()
        self._fresh = True
        self._pending = b""
        self._ready = b""
        self._taken = 0
        self._given = 0
        self._damage: DamagedError | None = None

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes, empty only at the good end."""
        parts: list[bytes] = []
        missing = size
        while missing:
            if not self._ready:
                try:
                    step = self._step() if self._damage is None else None
                except DamagedError as damage:
                    self._damage, step = damage, None
                if step is None:
                    break
                self._ready = step
            part, self._ready = self._ready[:missing], self._ready[missing:]
            parts.append(part)
            missing -= len(part)
        if self._damage and missing == size:
            raise self._damage
        return b"".join(parts)

    def _step(self) -> bytes | None:
        """Return some bytes (perhaps none yet), or None at the end."""
        if self._member.eof:
            self._pending = self._member.unused_data
            self._member, self._fresh = self._new(), True
        data = b""
        if self._member.needs_input:
            data, self._pending = self._pending or self._read(), b""
            if self._fresh and self._padded:
                data = self._skip_padding(data)
            if not data:
                if self._fresh:
                    return None
                raise DamagedError("truncated", "the file ends before its compressed content does")
        self._fresh = self._fresh and not data
        try:
            out = self._member.decompress(data, _STEP)
        except OSError as error:
            # bz2 raises OSError for bad data; no file is read in this call.
            raise DamagedError("corrupt", str(error)) from None
        except _ERRORS as error:
            raise DamagedError("corrupt", str(error)) from None
        self._given += len(out)
        if self._given > BOMB_BYTES and self._given > BOMB_RATIO * self._taken:
            raise DamagedError("bomb", f"{self._taken} bytes became {self._given} and more")
        return out

    def _read(self) -> bytes:
        data = self._file.read(_CHUNK)
        self._taken += len(data)
        return data

    def _skip_padding(self, data: bytes) -> bytes:
        # RFC 1952 writers pad with zeros after the last member, on tapes for instance.
        while data and not data.strip(b"\0"):
            data = self._read()
        return data.lstrip(b"\0")


def open_container(file: BinaryIO, container: Container) -> Reader:
    """Return the content of an open file."""
    return Decompressed(file, container) if container else file


def container_of(head: bytes) -> Container:
    """Return the container that the first bytes of a file announce (RFC 1952, RFC 8878, bzip2)."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or (
        len(head) > 3 and head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
    ):
        return "zstd"
    if head.startswith(b"BZh"):
        return "bz2"
    return ""
