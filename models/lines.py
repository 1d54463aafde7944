"""Lines of a byte stream in blocks, no matter how long one of them is."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.containers import Reader

BLOCK = 4 << 20
"""Bytes read at once, an even number; a memory bound, it changes no result."""

_LINE_END = 4
"""Bytes of the longest line end; a line is overlong by itself, not by how it is ended or read."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Some whole lines.

    Attributes:
        data: the bytes.
        position: offset of ``data[0]`` in the shard's (decompressed) bytes.
        starts, ends: shape (n,), offsets in ``data`` of each line that is not blank, without its line feed.
        following: shape (n,), offset in ``data`` behind the line with its line feed.
    """

    data: bytes
    position: int
    starts: Ints
    ends: Ints
    following: Ints


@dataclass(frozen=True)
class Overlong:
    """A line longer than allowed, read past but not kept."""

    position: int
    length: int
    sha256: str


def line_ends(data: bytes, encoding: str) -> Ints:
    """Return the offsets behind every line feed of ``data``, which starts on a character."""
    raw = np.frombuffer(data, np.uint8)
    if not encoding.startswith("utf-16"):
        return np.flatnonzero(raw == 0x0A) + 1
    units = raw[: len(raw) & ~1].view("<u2" if encoding == "utf-16-le" else ">u2")
    return (np.flatnonzero(units == 0x0A) + 1) * 2


def blocks(stream: Reader, position: int, length: int, encoding: str, max_bytes: int) -> Iterator[Block | Overlong]:
    """Read ``length`` bytes of a stream as blocks of lines and overlong lines.

    Args:
        stream: stands at ``position`` of the shard, the start of a line.
        position: becomes part of every block.
        length: how many bytes to read; the stream has them.
        encoding: ``utf-16-le`` and ``utf-16-be`` have two-byte line feeds, all others one byte.
        max_bytes: longer lines are overlong.

    Raises:
        EOFError: if the stream ends early: the shard is not what was planned.
    """
    carry: list[bytes] = []  # pieces of a line that has not ended yet
    carried, rest, left = 0, b"", length
    while left or carry or rest:
        piece = rest or _read(stream, min(BLOCK, left))
        left -= 0 if rest else len(piece)
        rest = b""
        ends = line_ends(piece, encoding) + carried
        reached = carried + len(piece)
        if not left and (not len(ends) or ends[-1] < reached):
            ends = np.append(ends, reached)
        if len(ends):
            data = b"".join([*carry, piece])
            whole = int(ends[-1])
            yield from _lines(data[:whole], ends, position, encoding, max_bytes)
            position, carry = position + whole, [data[whole:]] if whole < reached else []
        elif reached > max_bytes + _LINE_END:
            overlong, rest, left = _skip_line(stream, b"".join([*carry, piece]), left, position, encoding)
            yield overlong
            position, carry = position + overlong.length, []
        else:
            carry.append(piece)
        carried = sum(map(len, carry))
        if not left and not carry and not rest:
            return


def _read(stream: Reader, size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise EOFError("the stream ends before its planned end")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _lines(data: bytes, following: Ints, position: int, encoding: str, max_bytes: int) -> Iterator[Block | Overlong]:
    starts = np.concatenate((np.zeros(1, np.int64), following[:-1]))
    long = np.flatnonzero(following - starts > max_bytes + _LINE_END)
    first = 0
    for index in [*long.tolist(), len(starts)]:
        if index > first:
            yield _block(data, starts[first:index], following[first:index], position, encoding)
        if index < len(starts):
            line = data[starts[index] : following[index]]
            yield Overlong(position + int(starts[index]), len(line), hashlib.sha256(line).hexdigest())
        first = index + 1


def _block(data: bytes, starts: Ints, following: Ints, position: int, encoding: str) -> Block:
    raw = np.frombuffer(data, np.uint8)
    width = 2 if encoding.startswith("utf-16") else 1
    low = 1 if encoding == "utf-16-be" else 0
    ends = following.copy()
    for stop in (0x0A, 0x0D):
        last = np.maximum(ends - width, starts)
        stops = (ends > starts) & (raw[np.minimum(last + low, len(raw) - 1)] == stop)
        if width == 2:
            # Half a character may stand at the end of the shard; it is no part of a line end.
            stops &= (raw[np.minimum(last + 1 - low, len(raw) - 1)] == 0) & ((ends - starts) % 2 == 0)
        ends = np.where(stops, last, ends)
    # A line that starts with something visible is not blank; the few others are looked at one by one.
    visible = raw[np.minimum(starts + low, len(raw) - 1)] > 0x20
    visible &= ends > starts
    for row in np.flatnonzero(~visible & (ends > starts)).tolist():
        line = data[starts[row] : ends[row]]
        visible[row] = bool((line.decode(encoding, "replace") if width == 2 else line.decode("latin-1")).strip(" \t\r"))
    return Block(data, position, starts[visible], ends[visible], following[visible])


def _skip_line(stream: Reader, data: bytes, left: int, position: int, encoding: str) -> tuple[Overlong, bytes, int]:
    """Read past the line that ``data`` begins, and return it with the bytes read beyond it and what is left."""
    sha = hashlib.sha256(data)
    length = len(data)
    while left:
        piece = _read(stream, min(BLOCK, left))
        left -= len(piece)
        ends = line_ends(piece, encoding)
        if len(ends):
            end = int(ends[0])
            sha.update(piece[:end])
            return Overlong(position, length + end, sha.hexdigest()), piece[end:], left
        sha.update(piece)
        length += len(piece)
    return Overlong(position, length, sha.hexdigest()), b"", 0
