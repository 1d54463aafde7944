"""Peak anonymous memory of each process of a job, at two sizes of corpus: it must be bounded, and not grow with the corpus.

    python benchmarks/memory.py [FOLDER]          # as made by benchmarks/corpus.py; missing corpora are made

Exits with 1 if a process takes 1 GB or more, or over 10 % more for the larger corpus than for the smaller.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from corpus import FOLDER, make, parse_size
from rich.console import Console
from rich.table import Table

SIZES = ("200MB", "1GB")
FORMATS = ("parquet", "jsonl")
MOST = 1e9
"""Bytes of anonymous memory allowed to each process."""
GROWTH = 0.10
"""How much more a process may take at the larger size."""
PAUSE = 0.1
"""Seconds between two looks."""


class Peak(NamedTuple):
    """Peaks of one job in bytes: of the launcher, and of the largest of its descendants."""

    launcher: int
    worker: int
    seconds: float

    @property
    def largest(self) -> int:
        return max(self.launcher, self.worker)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="of corpora; default is %(default)s")
    parser.add_argument("--format", choices=FORMATS, action="append", help="default is all")
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    table = Table("format", "size", "launcher, MB", "largest worker, MB", "seconds", title="peak anonymous memory")
    facts: dict[str, dict[str, Peak]] = {}
    for form in options.format or FORMATS:
        peaks = facts.setdefault(form, {})
        for size in SIZES:
            peaks[size] = peak = watch(make(options.folder, parse_size(size), form))
            table.add_row(form, size, f"{peak.launcher / 1e6:.0f}", f"{peak.worker / 1e6:.0f}", f"{peak.seconds:.0f}")
    Console(width=100).print(table)
    if options.output:
        facts_out = {form: {size: peak._asdict() for size, peak in peaks.items()} for form, peaks in facts.items()}
        options.output.write_text(json.dumps(facts_out, indent=1) + "\n", "utf-8")
    faults = [fault for form, peaks in facts.items() for fault in faults_of(form, peaks)]
    sys.exit("\n".join(faults) or None)  # an empty message would fail


def faults_of(form: str, peaks: dict[str, Peak]) -> list[str]:
    """Return what is wrong with the peaks of one format."""
    small, large = (peaks[size] for size in SIZES)
    faults = [
        f"{form} {size}: a process took {peak.largest / 1e6:.0f} MB, allowed are {MOST / 1e6:.0f}"
        for size, peak in peaks.items()
        if peak.largest >= MOST
    ]
    for name, before, after in (
        ("launcher", small.launcher, large.launcher),
        ("largest worker", small.worker, large.worker),
    ):
        if after > before * (1 + GROWTH):
            faults.append(
                f"{form}: the {name} took {after / 1e6:.0f} MB at {SIZES[1]} and {before / 1e6:.0f} MB at {SIZES[0]}, "
                f"{100 * after / before - 100:.0f} % more; allowed are {100 * GROWTH:.0f} %"
            )
    return faults


def watch(corpus: Path) -> Peak:
    """Run the command on a corpus with a worker a core, and look at its processes while it runs."""
    command = [sys.executable, "-c", "from pipeline.cli import main; main()", "run", str(corpus), "--quiet"]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="winnow-memory-", dir=corpus.parent) as output:
        process = subprocess.Popen([*command, "-o", output], stdout=subprocess.DEVNULL)
        launcher = worker = 0
        while process.poll() is None:
            launcher = max(launcher, anonymous(process.pid))
            worker = max([worker, *map(anonymous, descendants(process.pid))])
            time.sleep(PAUSE)
    if process.returncode:
        raise SystemExit(f"{corpus.name}: the job failed with {process.returncode}")
    return Peak(launcher, worker, time.monotonic() - started)


def descendants(pid: int) -> list[int]:
    """Return all processes that a process started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            parents.setdefault(_parent(int(entry)), []).append(int(entry))
    found, waiting = [], [pid]
    while waiting:
        children = parents.get(waiting.pop(), [])
        found += children
        waiting += children
    return found


def _parent(pid: int) -> int:
    try:
        # The name stands in brackets and may hold anything; state and parent follow it.
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def anonymous(pid: int) -> int:
    """Return the anonymous memory of a process in bytes, 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8", "replace")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssAnon:")), 0)


if __name__ == "__main__":
    main()
