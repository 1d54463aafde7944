"""Decompression: whole when the file is, damage always told, never taken for an end, never mixed up with input errors."""

import bz2
import gzip
import io
import os
import random
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from models import containers
from models.containers import DamagedError, Decompressed, container_of, open_container
from models.shard import Container

COMPRESS: dict[Container, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 6, mtime=0),
    "zstd": lambda data: zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1}),
    "bz2": bz2.compress,
}
EVERY = pytest.mark.parametrize("container", list(COMPRESS))
KINDS = st.sampled_from(list(COMPRESS))
ZSTD_SKIPPABLE = b"\x50\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"skipped"


class Dripping(io.BytesIO):
    """A file that gives at most ``step`` bytes a read, as a pipe or an object store may."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step if size is None or size < 0 else min(size, self._step))


def drain(data: bytes, container: Container, size: int = 1 << 20, step: int = 1 << 20) -> tuple[bytes, str]:
    """Return what can be read, and the error class that ended it, or nothing."""
    reader, parts = Decompressed(Dripping(data, step), container), []
    try:
        while part := reader.read(size):
            assert len(part) <= size
            parts.append(part)
    except DamagedError as damage:
        with pytest.raises(DamagedError, match=damage.error):
            reader.read(1)
        return b"".join(parts), damage.error
    assert reader.read(size) == b""
    return b"".join(parts), ""


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@given(KINDS, st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.integers(1, 400), st.integers(1, 400))
@settings(deadline=None)
def test_members_one_after_another_are_one_stream_however_it_is_read(
    container: Container, parts: list[bytes], size: int, step: int
) -> None:
    data = b"".join(map(COMPRESS[container], parts))
    assert drain(data, container, size, step) == (b"".join(parts), "")


@EVERY
@pytest.mark.parametrize("size", [1, 65535, 65536, 65537, 1 << 20])
def test_content_larger_than_every_buffer_comes_whole(container: Container, size: int) -> None:
    content = (noise(150_000) + b"a" * 400_000) * (1 if size > 1 else 0) + noise(70_000)
    assert drain(COMPRESS[container](content), container, size, 4099) == (content, "")


@EVERY
@given(cut=st.integers(0, 10**9), size=st.integers(1, 5000), step=st.integers(1, 300))
@settings(deadline=None, max_examples=60)
def test_a_truncated_stream_is_never_taken_for_its_end(container: Container, cut: int, size: int, step: int) -> None:
    content = b"".join(b"%d\n" % n for n in range(700))
    whole = COMPRESS[container](content)
    got, error = drain(whole[: 1 + cut % (len(whole) - 1)], container, size, step)
    assert error == "truncated"
    assert content.startswith(got)


@EVERY
def test_what_stands_before_a_truncation_is_given_first(container: Container) -> None:
    content = noise(1_500_000)
    whole = COMPRESS[container](content)
    got, error = drain(whole[: len(whole) * 9 // 10], container)
    assert error == "truncated"
    assert content.startswith(got)
    # bz2 gives nothing of a block before its end; 900 kB is the longest block.
    assert len(got) > (800_000 if container == "bz2" else 1_200_000)


@EVERY
def test_a_truncated_second_member_keeps_the_first(container: Container) -> None:
    data = COMPRESS[container](b"first\n") + COMPRESS[container](noise(100))[:-3]
    got, error = drain(data, container)
    assert (got[:6], error) == (b"first\n", "truncated")


@EVERY
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(2_000, 200_000), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_how_one_reads_does_not_change_how_far_damage_lets_one_read(
    container: Container, seed: int, sizes: list[int]
) -> None:
    """The second reading of a damaged shard must get exactly as far as the first."""
    chance = random.Random(seed)
    content = b"".join(b"line %d\n" % chance.randrange(10**6) for _ in range(8_000)) + b"z" * 200_000
    data = bytearray(COMPRESS[container](content))
    data[chance.randrange(10, len(data))] ^= 1 << chance.randrange(8)
    first, error = drain(bytes(data), container)
    reader, got = Decompressed(io.BytesIO(bytes(data)), container), b""
    while len(got) < len(first):
        part = reader.read(min(sizes[len(got) % len(sizes)], len(first) - len(got)))
        assert part
        got += part
    assert got == first
    assert error or got == content


@pytest.mark.parametrize("place", [-8, -5, -4, -1])
def test_a_wrong_gzip_checksum_or_length_is_corrupt(place: int) -> None:
    data = bytearray(COMPRESS["gzip"](b"hello\n" * 30_000))
    data[place] ^= 1
    got, error = drain(bytes(data), "gzip")
    assert error == "corrupt"
    assert (b"hello\n" * 30_000).startswith(got)
    assert len(got) >= 65536


@EVERY
def test_a_flipped_byte_is_corrupt_and_not_passed_on_as_content(container: Container) -> None:
    content = noise(400)
    good = COMPRESS[container](content)
    for place in range(len(good) - 12, len(good)):
        data = bytearray(good)
        data[place] ^= 0xFF
        _, error = drain(bytes(data), container)
        assert error in ("corrupt", "truncated"), place


@EVERY
def test_garbage_behind_the_content_is_damage_and_the_content_is_kept(container: Container) -> None:
    got, error = drain(COMPRESS[container](b"content\n") + b"<html>not found</html>", container)
    assert (got, error != "") == (b"content\n", True)


@pytest.mark.parametrize(("zeros", "step"), [(1, 1), (511, 1), (511, 7), (65536, 999), (200_000, 1 << 20)])
def test_zeros_behind_or_between_gzip_members_are_padding(zeros: int, step: int) -> None:
    member = COMPRESS["gzip"](b"x" * 1000)
    assert drain(member + bytes(zeros) + member + bytes(zeros), "gzip", step=step) == (b"x" * 2000, "")


def test_zstd_skippable_frames_are_skipped() -> None:
    frame = COMPRESS["zstd"](b"content")
    assert drain(ZSTD_SKIPPABLE + frame + ZSTD_SKIPPABLE + frame, "zstd") == (b"content" * 2, "")
    assert container_of(ZSTD_SKIPPABLE) == "zstd"


@EVERY
def test_members_without_content_are_no_end(container: Container) -> None:
    empty = COMPRESS[container](b"")
    assert drain(empty * 3 + COMPRESS[container](b"there") + empty, container) == (b"there", "")


@EVERY
def test_a_bomb_is_told_and_what_came_before_is_bounded(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "BOMB_BYTES", 1 << 20)
    got, error = drain(COMPRESS[container](bytes(8 << 20)), container)
    assert error == "bomb"
    assert len(got) <= 2 << 20


def test_a_bomb_in_many_small_members_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte of the file counts once, though what follows a member is given to the decompressor again."""
    monkeypatch.setattr(containers, "BOMB_BYTES", 1 << 20)
    data = COMPRESS["gzip"](bytes(200_000)) * 100
    got, error = drain(data, "gzip")
    assert error == "bomb"
    assert len(got) <= containers.BOMB_RATIO * len(data) + (1 << 16)


@EVERY
def test_much_content_that_is_only_well_compressed_is_no_bomb(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "BOMB_BYTES", 1 << 16)
    content = b"".join(noise(40, seed) * 20 for seed in range(2000))
    assert drain(COMPRESS[container](content), container) == (content, "")


@EVERY
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_an_error_of_reading_the_file_stays_itself(container: Container, failing: int) -> None:
    class Failing(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads == failing:
                raise OSError(5, "Input/output error")
            return super().read(1000)

    reader = Decompressed(Failing(COMPRESS[container](noise(10_000))), container)
    with pytest.raises(OSError, match="Input/output error"):
        while reader.read(1 << 16):
            pass


@given(KINDS, st.binary(max_size=400))
@settings(deadline=None, max_examples=200)
def test_any_bytes_end_well_or_as_damage(container: Container, data: bytes) -> None:
    drain(data, container)
    head = COMPRESS[container](b"")[:4]
    drain(head + data, container)


def test_a_file_says_by_its_first_bytes_what_it_is() -> None:
    assert {name: container_of(make(b"x")[:8]) for name, make in COMPRESS.items()} == {n: n for n in COMPRESS}
    assert [container_of(head) for head in (b"", b"\x1f", b'{"a":1}', b"PAR1", b"\x28\xb5\x2f")] == [""] * 5


def test_a_plain_file_is_its_own_content() -> None:
    file = io.BytesIO(os.urandom(10))
    assert open_container(file, "") is file
