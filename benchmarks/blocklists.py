"""Block lists of a million hosts, a million URLs and a million contents: time to load, memory of two processes, time a record.

    python benchmarks/blocklists.py [--entries N] [--pairs N] [--rounds N]

Every thousandth record is planted: its host, URL or content is an entry. Exits with 1 if other records are found than those.
"""

import argparse
import hashlib
import multiprocessing
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import pyarrow as pa

from models.artefact import describe
from models.documents import Documents
from models.taggers.blocked import Blocked

RECORDS = 50_000
PLANTED_EACH = 1000
BATCH = 500

Load = tuple[float, float]


def text(number: int) -> str:
    """Return a text of 1,800 characters, different for each number."""
    return f"page {number}: " + f"words of no interest to anybody, {number} " * 45


def write_lists(folder: Path, entries: int) -> tuple[str, ...]:
    """Write a list of hosts, one of URLs (half of them prefixes) and one of contents, and return their folders."""
    rows: dict[str, Callable[[int], str]] = {
        "hosts": lambda n: f"host\tlisted-{n}.example",
        "urls": lambda n: f"{'prefix' if n % 2 else 'url'}\thttps://pages-{n % 5000}.example/folder/{n}",
        "contents": lambda n: f"content\t{hashlib.sha256(text(n).encode()).hexdigest()}",
    }
    for name, row in rows.items():
        (folder / name).mkdir()
        with (folder / name / "list.tsv").open("w") as file:
            file.write("kind\tvalue\n")
            file.writelines(row(n) + "\n" for n in range(entries))
        describe(
            folder / name,
            kind="blocked",
            version=1,
            names=["list.tsv"],
            title=name,
            licence="none",
            made_with="a benchmark",
        )
    return tuple(str(folder / name) for name in rows)


def records(entries: int) -> Iterator[tuple[Documents, set[int]]]:
    """Give batches of records, and which of them are planted."""
    for first in range(0, RECORDS, BATCH):
        numbers = range(first, first + BATCH)
        planted = {n - first for n in numbers if n % PLANTED_EACH == 0}
        texts, urls = [], []
        for n in numbers:
            kind = n // PLANTED_EACH % 3 if n % PLANTED_EACH == 0 else -1
            texts.append(text(n if kind == 2 else entries + n))
            hosts = {0: f"https://www.listed-{n}.example/a", 1: f"https://pages-{n % 5000}.example/folder/{n}"}
            # Of the others, every second is of a host that has entries, so that its URL is looked at whole.
            other = (
                f"https://pages-{n % 5000}.example/elsewhere/{n}" if n % 2 else f"https://site-{n % 700}.example/{n}"
            )
            urls.append(hosts.get(kind, other))
        yield replace(Documents.of(texts), url=pa.array(urls, pa.string())), planted


def resident() -> float:
    """Return the resident memory of this process in MB."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1000


def work(lists: tuple[str, ...], entries: int, rounds: int, pipe: Connection) -> None:
    """Load the lists, say how long it took and what memory it took, wait for the other process, then tag."""
    before, began = resident(), time.perf_counter()
    tagger = Blocked(lists)
    tagger.load()
    pipe.send((time.perf_counter() - began, resident() - before))
    pipe.recv()
    batches = list(records(entries))
    pipe.send([tagged(tagger, batches) for _ in range(rounds)])


def in_two_processes(lists: tuple[str, ...], entries: int, rounds: int) -> tuple[list[Load], list[float]]:
    """Load the lists in two processes at once, and tag in both."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    processes = [context.Process(target=work, args=(lists, entries, rounds, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for _, theirs in pipes:
        theirs.close()  # so that a process that ended is noticed
    loads: list[Load] = [ours.recv() for ours, _ in pipes]
    for ours, _ in pipes:
        ours.send(None)
    took = [each for ours, _ in pipes for each in ours.recv()]
    for process in processes:
        process.join()
    return loads, took


def tagged(tagger: Blocked, batches: list[tuple[Documents, set[int]]]) -> float:
    """Return CPU microseconds a record; exits if other records are found than the planted ones."""
    began = time.process_time()
    found = [{each.row for each in tagger.tag(documents)} for documents, _ in batches]
    took = time.process_time() - began
    if found != [planted for _, planted in batches]:
        sys.exit("other records were found than those that were planted")
    return 1e6 * took / RECORDS


def said(name: str, values: list[float], unit: str) -> str:
    return f"{name}: {statistics.median(values):,.1f} {unit} ({min(values):,.1f} to {max(values):,.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=1_000_000, help="of each of the three lists")
    parser.add_argument("--pairs", type=int, default=2, help="of processes, one pair after another")
    parser.add_argument("--rounds", type=int, default=3, help="of tagging, in each process")
    options = parser.parse_args()
    if options.entries < RECORDS:
        parser.error(f"--entries: at least {RECORDS:,}, so that what is planted is there")
    with tempfile.TemporaryDirectory() as folder:
        lists = write_lists(Path(folder), options.entries)
        size = sum((Path(each) / "list.tsv").stat().st_size for each in lists)
        print(f"{3 * options.entries:,} entries, {size / 1e6:.0f} MB as TSV; load average {os.getloadavg()[0]:.1f}")
        loads, took = [], []
        for _ in range(options.pairs):
            more_loads, more_took = in_two_processes(lists, options.entries, options.rounds)
            loads, took = loads + more_loads, took + more_took
        print(said("load, two processes at once", [seconds for seconds, _ in loads], "s"))
        print(said("resident memory of each", [megabytes for _, megabytes in loads], "MB"))
        print(said("CPU a record", took, "µs"))


if __name__ == "__main__":
    main()
