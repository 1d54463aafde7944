"""One gzip shard of 5 GB of text: many parts, a run that is killed in the middle, and what it then does again.

    python benchmarks/huge.py [FOLDER] [--size 5GB]

The text is comments of a forum, repeated with a counter; one worker, for a compressed shard is one task. The first run is killed,
with all that it started, when half of the layers are there; the second must tag only what is missing. Exits with 1 if a split
is tagged twice, if the release is not as it says, or if a process takes 1 GB or more.
"""

import argparse
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import orjson
from corpus import CORPORA, parse_size
from memory import MOST, PAUSE, anonymous, descendants
from rich.console import Console
from rich.table import Table

COMMENTS = CORPORA.parent / "harm" / "cold_train.jsonl"
CHUNK = 4 << 20


class Seen(NamedTuple):
    """What was seen of a run.

    Attributes:
        code: how it ended.
        layers, receipts: in the store at its end.
        launcher, worker: peaks of anonymous memory in bytes.
    """

    code: int
    layers: int
    receipts: int
    launcher: int
    worker: int
    seconds: float


def make(path: Path, size: int) -> int:
    """Write a shard of so many bytes of lines, and return how many lines it has."""
    texts = [orjson.loads(line)["text"] for line in COMMENTS.read_bytes().splitlines()]
    written = lines = 0
    with gzip.open(path, "wb", 1) as file:
        waiting = bytearray()
        while written < size:
            text = "\n".join(texts[(lines * 7 + at) % len(texts)] for at in range(24))
            line = orjson.dumps({"id": f"r{lines}", "source": f"s{lines % 5000}.example", "text": f"{text}\n[{lines}]"})
            waiting += line + b"\n"
            written += len(line) + 1
            lines += 1
            if len(waiting) >= CHUNK:
                file.write(waiting)
                waiting.clear()
        file.write(waiting)
    return lines


def watch(shard: Path, output: Path, stop: Callable[[int], bool]) -> Seen:
    """Run the command until it ends, or kill it and all that it started when ``stop`` of the number of layers says so."""
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", str(shard), "-o", str(output)]
    started = time.monotonic()
    process = subprocess.Popen(
        [*command, "--workers", "1", "--quiet"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    launcher = worker = 0
    while process.poll() is None:
        launcher = max(launcher, anonymous(process.pid))
        worker = max([worker, *map(anonymous, descendants(process.pid))])
        if stop(len(files(output, "layers"))):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(PAUSE)
    found = (len(files(output, name)) for name in ("layers", "receipts"))
    return Seen(process.returncode, *found, launcher, worker, time.monotonic() - started)


def files(output: Path, kind: str) -> dict[str, int]:
    """Return the store's objects of a kind with their inodes."""
    folder = output / "store" / kind
    return {path.name: path.stat().st_ino for path in folder.rglob("*") if path.is_file()} if folder.is_dir() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()), help="default is %(default)s"
    )
    parser.add_argument("--size", default="5GB", help="of the lines, uncompressed; default is %(default)s")
    options = parser.parse_args()
    size = parse_size(options.size)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="winnow-huge-") as name:
        shard, output = Path(name) / "in" / "huge.jsonl.gz", Path(name) / "out"
        shard.parent.mkdir()
        lines = make(shard, size)
        half = size // 64_000_000 // 2
        killed = watch(shard, output, lambda layers: layers >= half)
        before = files(output, "layers")
        whole = watch(shard, output, lambda _: False)
        after = files(output, "layers")
        manifest = json.loads((output / "manifest.json").read_text("utf-8"))
        packed = shard.stat().st_size
        check = [sys.executable, "-c", "from pipeline.cli import main; main()", "verify", str(output)]
        verified = subprocess.run(check, stdout=subprocess.DEVNULL, check=False).returncode == 0
    table = Table("run", "ended", "layers", "releases", "launcher, MB", "worker, MB", "seconds")
    for which, seen in (("killed", killed), ("the same again", whole)):
        peaks = (f"{peak / 1e6:.0f}" for peak in (seen.launcher, seen.worker))
        table.add_row(which, str(seen.code), str(seen.layers), str(seen.receipts), *peaks, f"{seen.seconds:.0f}")
    console = Console(width=120)
    console.print(f"{size / 1e9:g} GB of lines, {lines:,} of them, in a gzip file of {packed / 1e6:,.0f} MB")
    console.print(table)
    work, counts = manifest["work"], manifest["counts"]
    console.print(
        f"second run: tagged {work['tagged']} of {work['splits']} splits, released {work['released']}; {counts}"
    )
    faults = {
        "the first run was not killed in the middle": killed.code != -signal.SIGKILL
        or not 0 < len(before) < len(after),
        "a layer was made anew": any(after.get(layer) != inode for layer, inode in before.items()),
        "records are missing": counts["read"] != lines,
        "the release is not as it says": not verified,
        "a process took 1 GB or more": max(killed.worker, whole.worker, killed.launcher, whole.launcher) >= MOST,
    }
    sys.exit("\n".join(fault for fault, is_so in faults.items() if is_so) or None)  # an empty message would fail


if __name__ == "__main__":
    main()
