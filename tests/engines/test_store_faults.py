"""A store that fails: answers 429 and 503, cut connections, a launcher that dies, a disk that is full. All end in the undisturbed bytes."""

import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import emulator
import nights
import pytest

from pipeline.corpus import Corpus
from pipeline.verify import verify

pytestmark = pytest.mark.cluster
SEEDS = range(20260301, 20260306)


@dataclass(frozen=True)
class Night:
    """A run that was not disturbed, and what it left."""

    run: Path
    expected: dict[str, str]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("undisturbed")
    shards = nights.write_shards(folder / "in", range(6), 120, bad_from=3)
    run = nights.write_run_file(folder / "night.yaml", shards, folder / "in", split_size="40KB")
    nights.finish(["run", str(run), "-o", str(folder / "out"), *nights.AS_OF])
    return Night(run, nights.contents(folder / "out"))


def check_cloud(night: Night) -> None:
    assert emulator.contents("gs://out/corpus") == night.expected
    assert list(verify(Corpus("gs://out/corpus"))) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_a_store_that_fails_a_third_of_all_requests(
    seed: int, night: Night, proxy: emulator.Proxy, tmp_path: Path
) -> None:
    run = emulator.moved(night.run, tmp_path)
    proxy.fail(1 / 3, seed)
    try:
        nights.finish(["run", str(run), *nights.AS_OF])
    finally:
        failed = proxy.failed
        proxy.fail(0, 0)
    assert failed > 100
    check_cloud(night)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_launcher_that_is_killed_over_an_object_store(
    seed: int, night: Night, proxy: emulator.Proxy, tmp_path: Path
) -> None:
    run, mark = emulator.moved(night.run, tmp_path), uuid.uuid4().hex
    wanted = random.Random(seed).randrange(5, 60)
    process = nights.start(["run", str(run), *nights.AS_OF], mark)
    deadline = time.monotonic() + 240
    made = 0
    while process.poll() is None and made < wanted and time.monotonic() < deadline:
        made = sum(method == "POST" and "/upload/" in path for method, path in list(proxy.seen))
        time.sleep(0.01)
    assert process.poll() is None, f"it ended before {wanted} uploads"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert nights.all_gone(mark) == []
    nights.finish(["run", str(run), *nights.AS_OF])
    check_cloud(night)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a file system of 64 MB")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_disk_that_is_full(seed: int, night: Night, small_disk: Path) -> None:
    """All but a few kilobytes of 64 MB are taken, so that it fills at another place each time; then there is room again."""
    out, ballast = small_disk / "out", small_disk / "ballast"
    room = random.Random(seed).randrange(100_000, 900_000)
    status = os.statvfs(small_disk)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - room)
    said = nights.finish(["run", str(night.run), "-o", str(out), *nights.AS_OF], code=1)
    assert "No space left on device" in said
    assert "Traceback" not in said
    assert not (out / "current").exists()
    ballast.unlink()
    nights.finish(["run", str(night.run), "-o", str(out), *nights.AS_OF])
    assert nights.contents(out) == night.expected
    assert list(verify(Corpus(out))) == []
