"""CPU-milliseconds per MB of text of Winnow and of other tools, side by side on the same records.

    python benchmarks/peers/run.py PYTHON [--size 40MB] [--rounds 3]      # PYTHON of the peers' environment (make peers)

User and system time of each process and its children, its start included; what starting alone costs is measured on a hundredth of the
text and taken off. Records are those of ``benchmarks/corpus.py``. A peer does less than Winnow: what each does stands in the table.
"""

import argparse
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from corpus import FOLDER, make, parse_size
from rich.console import Console
from rich.table import Table
from stages import adopt_orphans, cpu, spent_since

ONE = Path(__file__).with_name("one.py")


class Contender(NamedTuple):
    """A tool, what it does, and the command that does it to a shard with a folder to write to; ``share`` of the text."""

    name: str
    does: str
    command: list[str]
    share: int = 1


def contenders(python: str, run_file: Path) -> list[Contender]:
    def winnow(*options: str) -> list[str]:
        code = "from pipeline.cli import main; main()"
        return [sys.executable, "-c", code, "run", *options, "--workers", "1", "--quiet"]

    return [
        Contender(
            "Winnow, everything",
            "all taggers, decisions, redaction, audit, sources, release",
            winnow(str(run_file), "{shard}", "-o", "{folder}"),
        ),
        Contender(
            "Winnow, default",
            "lists and personal data, decisions, redaction, audit, sources, release",
            winnow("{shard}", "-o", "{folder}"),
        ),
        Contender("datatrove", "addresses replaced", [python, str(ONE), "datatrove", "{shard}", "{folder}"]),
        Contender("dolma", "addresses and numbers tagged", [python, str(ONE), "dolma", "{shard}", "{folder}"]),
        Contender(
            "Presidio",
            "personal data tagged, default recognisers, blank pipeline",
            [python, str(ONE), "presidio", "{shard}", "{folder}"],
            8,
        ),
    ]


def measure(contender: Contender, shard: Path) -> float:
    """Return CPU-seconds of one run."""
    with tempfile.TemporaryDirectory(prefix="winnow-peers-") as name:
        words = [word.format(shard=shard, folder=str(Path(name) / "out")) for word in contender.command]
        before = cpu()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{contender.name} failed: {done.stderr[-2000:]}")
        return spent_since(before)


def cut(lines: list[bytes], path: Path, size: int) -> float:
    """Write the first lines with so many bytes of text, and return the MB of text."""
    path.parent.mkdir(parents=True)
    total = 0
    with path.open("wb") as file:
        for line in lines:
            total += len(json.loads(line)["text"].encode())
            file.write(line)
            if total >= size:
                break
    return total / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("python", help="of the peers' environment")
    parser.add_argument("--run-file", type=Path, default=Path("examples/run.yaml"), help="default is %(default)s")
    parser.add_argument(
        "--size",
        default="40MB",
        help="of text; what starting costs, some seconds, is only taken off well if it is little beside this",
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    adopt_orphans()
    size = parse_size(options.size)
    corpus = make(FOLDER, parse_size("200MB"), "jsonl")
    with (corpus / "shard-000.jsonl").open("rb") as file:
        lines = list(itertools.islice(file, size // 1000))
    found = contenders(options.python, options.run_file)
    with tempfile.TemporaryDirectory(prefix="winnow-peers-") as name:
        rounds: dict[str, list[float]] = {each.name: [] for each in found}
        shards = {}
        for share in {each.share for each in found}:
            for part, divisor in (("whole", share), ("start", share * 100)):
                path = Path(name) / f"{part}-{share}" / "shard.jsonl"
                shards[part, share] = path, cut(lines, path, size // divisor)
        for number in range(options.rounds):
            for each in found:
                (whole, megabytes), (start, least) = shards["whole", each.share], shards["start", each.share]
                used = measure(each, whole) - measure(each, start)
                rounds[each.name].append(1000 * used / (megabytes - least))
                print(f"round {number + 1}, {each.name}: {rounds[each.name][-1]:.0f} ms/MB", file=sys.stderr)
        shutil.rmtree(name, ignore_errors=True)
    table = Table("", "does", "CPU-ms/MB", "range", "MB/s and core", "times the first")
    first = statistics.median(rounds[found[0].name])
    for each in found:
        middle = statistics.median(rounds[each.name])
        table.add_row(
            each.name,
            each.does,
            f"{middle:.0f}",
            f"{min(rounds[each.name]):.0f} to {max(rounds[each.name]):.0f}",
            f"{1000 / middle:.1f}",
            f"{middle / first:.1f}",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
