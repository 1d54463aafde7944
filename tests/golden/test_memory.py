"""Memory does not grow with the size of a shard or a line: measured in a process of its own, on 200 MB that is made up."""

import gzip
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MB = 1 << 20
SIZE = 200 * MB
ALLOWED = 100
"""Megabytes that a process may grow by; a record of 16 MB, which is allowed, takes that several times while it is read."""

LINE = b'{"text": "' + b"The river runs past the town. " * 33 + b'"}\n'


def write(path: Path, pieces: int, piece: bytes, end: bytes = b"") -> Path:
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as file:
        for _ in range(pieces):
            file.write(piece)
        file.write(end)
    return path


def read(path: Path) -> dict[str, int]:
    """Plan a shard and read its records as tagging does; return how many entries there were, and how many were dead."""
    from models.files import LocalOpener
    from models.parsing import parse_lines
    from models.planning import plan_shard
    from models.records import open_stream, read_lines
    from models.shard import Reading

    opener, reading = LocalOpener(), Reading()
    shard = plan_shard(opener, str(path.parent), path.name, reading, 64_000_000)
    entries = dead = 0
    with open_stream(opener, shard) as stream:
        for split in shard.splits():
            for lines in read_lines(stream, split, reading):
                parsed = parse_lines(lines, split, reading)
                entries, dead = entries + len(parsed.positions), dead + len(parsed.dead)
    return {"entries": entries, "dead": dead}


def copy(path: Path, container: str) -> dict[str, int]:
    """Write a shard's lines again as release does."""
    from models.writers import LineWriter

    writer = LineWriter(path.with_suffix(".copy"), container, 1)  # type: ignore[arg-type]
    lines = LINE * (MB // len(LINE))
    for _ in range(SIZE // len(lines)):
        writer.write([lines], MB // len(LINE))
    writer.close()
    return {"entries": writer.records, "dead": 0}


WORK: dict[str, Callable[[Path], dict[str, int]]] = {
    "read": read,
    "plain": lambda path: copy(path, ""),
    "gzip": lambda path: copy(path, "gzip"),
}


def grown(work: str, path: Path) -> dict[str, int]:
    """Do the work in a new process, and return what it came to and by how many megabytes its memory grew at most."""
    done = subprocess.run([sys.executable, __file__, work, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(("entries", "dead", "grown"), map(int, done.stdout.split()), strict=True))


@pytest.mark.parametrize("name", ["lines.jsonl", "lines.jsonl.gz"])
def test_reading_a_large_shard_takes_no_more_memory_than_a_small_one(tmp_path: Path, name: str) -> None:
    lines = MB // len(LINE)
    came = grown("read", write(tmp_path / name, SIZE // MB, LINE * lines))
    assert came["entries"] == SIZE // MB * lines
    assert came["dead"] == 0
    assert came["grown"] < ALLOWED


@pytest.mark.parametrize("name", ["line.jsonl", "line.jsonl.gz"])
def test_a_line_of_any_length_is_one_dead_letter_and_takes_no_memory(tmp_path: Path, name: str) -> None:
    came = grown("read", write(tmp_path / name, SIZE // MB, b"a" * MB, b"\n" + LINE))
    assert (came["entries"], came["dead"]) == (2, 1)
    assert came["grown"] < ALLOWED


@pytest.mark.parametrize("container", ["plain", "gzip"])
def test_writing_many_lines_takes_no_more_memory_than_few(tmp_path: Path, container: str) -> None:
    came = grown(container, tmp_path / "lines")
    assert came["entries"] > 200_000
    assert came["grown"] < ALLOWED


def _highest() -> int:
    """Return the most memory that this process had at once, in kilobytes."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


if __name__ == "__main__":
    # What the first blocks need is loaded and allocated before the measurement begins.
    small = write(Path(sys.argv[2]).with_name("small.jsonl.gz"), 1, LINE * 10)
    read(small)
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): forget the highest so far
    before = _highest()
    result = WORK[sys.argv[1]](Path(sys.argv[2]))
    print(result["entries"], result["dead"], (_highest() - before) >> 10)
