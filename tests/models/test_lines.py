"""Lines in blocks: the same lines as the plainest reader finds, whatever the blocks, with overlong ones told apart."""

import hashlib
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import lines as lines_module
from models.lines import Block, Overlong, blocks

MAX = 24
"""The longest line allowed here; a line end may come on top."""
LINE_END = 4

PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\r",
        b"\n\n",
        b" ",
        b"\t",
        b"\0",
        b"a",
        b"{}",
        b"\xff",
        b"\xe4\xb8\xad",
        b"x" * 23,
        b"y" * 60,
        b" " * 40,
    ]
)
DATA = st.lists(PIECES, max_size=14).map(b"".join)
WIDE = st.lists(
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "\r",
            " ",
            "\t",
            "\0",
            "a",
            "中",
            "\u0a0a",
            "\u0d0a",
            "\u2020",
            "\u200a",
            "😀",
            "x" * 12,
            "z" * 40,
        ]
    ),
    max_size=14,
).map("".join)
BLOCKS = st.integers(1, 90)


def reference(data: bytes, position: int, encoding: str, most: int) -> list[tuple[object, ...]]:
    """Return what must be found: position, line and line end of each line, or position, length and hash of an overlong one."""
    if encoding.startswith("utf-16"):
        feed, cut, blank = "\n".encode(encoding), "\r".encode(encoding), {" ", "\t", "\r"}
        units = [data[at : at + 2] for at in range(0, len(data), 2)]
    else:
        feed, cut, blank = b"\n", b"\r", {" ", "\t", "\r"}
        units = [data[at : at + 1] for at in range(len(data))]
    whole: list[list[bytes]] = [[]]
    for unit in units:
        whole[-1].append(unit)
        if unit == feed:
            whole.append([])
    found: list[tuple[object, ...]] = []
    for line in whole:
        raw = b"".join(line)
        if len(raw) > most + LINE_END:
            found.append((position, len(raw), hashlib.sha256(raw).hexdigest()))
        else:
            inner = line[:-1] if line and line[-1] == feed else line
            inner = inner[:-1] if inner and inner[-1] == cut else inner
            text = b"".join(inner).decode(encoding if encoding.startswith("utf-16") else "latin-1", "replace")
            if set(text) - blank:
                found.append((position, b"".join(inner), raw[len(b"".join(inner)) :]))
        position += len(raw)
    return found


def read(data: bytes, position: int, encoding: str, most: int, block: int) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    stream = io.BytesIO(data + b"behind\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", block)
        for part in blocks(stream, position, len(data), encoding, most):
            if isinstance(part, Overlong):
                found.append((part.position, part.length, part.sha256))
                continue
            assert isinstance(part, Block)
            for start, end, following in zip(
                part.starts.tolist(), part.ends.tolist(), part.following.tolist(), strict=True
            ):
                found.append((part.position + start, part.data[start:end], part.data[end:following]))
    assert stream.tell() == len(data)
    return found


@given(DATA, st.integers(0, 1000), BLOCKS)
@example(b"x" * 24 + b"\r\n", 0, 25)  # a block that ends between the two: the line is no longer for that
@example(b"x" * 24 + b"\n", 0, 24)
@example(b"x" * 29 + b"\n" + b"y", 0, 29)
@example(b"\0\0\n", 0, 8)
@settings(deadline=None)
def test_blocks_of_any_size_hold_the_same_lines(data: bytes, position: int, block: int) -> None:
    assert read(data, position, "utf-8", MAX, block) == reference(data, position, "utf-8", MAX)


@given(WIDE, st.integers(0, 1000), BLOCKS, st.sampled_from(["utf-16-le", "utf-16-be"]))
@example("\u2020\u2020\n", 0, 4, "utf-16-le")  # bytes of spaces, but no space
@example("\u0a0a\u0d0a", 0, 2, "utf-16-be")
@settings(deadline=None)
def test_blocks_of_any_size_hold_the_same_lines_of_two_byte_text(
    text: str, position: int, block: int, encoding: str
) -> None:
    data = text.encode(encoding)
    assert read(data, position, encoding, MAX, 2 * block) == reference(data, position, encoding, MAX)


@given(st.binary(max_size=40), st.integers(1, 20), st.sampled_from(["utf-16-le", "utf-16-be"]))
@settings(deadline=None)
def test_two_byte_text_with_half_a_character_at_its_end_loses_nothing(data: bytes, block: int, encoding: str) -> None:
    assert read(data, 0, encoding, 1000, 2 * block) == reference(data, 0, encoding, 1000)


@given(DATA, st.integers(1, 30), st.integers(1, 200))
@settings(deadline=None)
def test_a_stream_that_ends_before_its_planned_end_is_told(data: bytes, block: int, missing: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_module, "BLOCK", block)
        with pytest.raises(EOFError):
            list(blocks(io.BytesIO(data), 0, len(data) + missing, "utf-8", MAX))


def test_an_overlong_line_is_never_held_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "BLOCK", 1000)

    class Endless:
        largest = 0

        def __init__(self) -> None:
            self.left = 5_000_000

        def read(self, size: int) -> bytes:
            self.largest = max(self.largest, size)
            size = min(size, self.left)
            self.left -= size
            return b"x" * size

    stream = Endless()
    (only,) = blocks(stream, 7, 5_000_000, "utf-8", 2000)
    assert only == Overlong(7, 5_000_000, hashlib.sha256(b"x" * 5_000_000).hexdigest())
    assert stream.largest <= 1000


def test_no_bytes_are_no_lines() -> None:
    assert list(blocks(io.BytesIO(b"x\n"), 3, 0, "utf-8", MAX)) == []
