"""Fingerprints: CPU per MB, an index of a million through Beam, one of ten million by size, time and shared memory.

    python benchmarks/fingerprint.py [FOLDER]     # of corpora as made by benchmarks/corpus.py; missing ones are made

Works are random letters, 100,000 each: their fingerprints are as many and as different as those of prose. Exits with 1 if Beam does not
find exactly the records in which passages of works were planted.
"""

import argparse
import json
import multiprocessing
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from corpus import FOLDER, make, parse_size
from rich.console import Console
from rich.table import Table

from models.documents import Documents
from models.fingerprint_build import build_index
from models.fingerprint_index import FILES, open_index
from models.taggers.fingerprint import Fingerprint
from models.view import safe_view
from models.works import Work
from pipeline.config import from_options
from pipeline.launch import launch, prepare

LETTERS = 100_000
"""Of a work; some 6,000 fingerprints."""
EACH = 6_060
SIZE = 20_000_000
"""Bytes of text that are tagged."""
BATCH = 500
PLANTED, PASSAGE = 200, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="of corpora; default is %(default)s")
    parser.add_argument("--small", type=int, default=1_000_000, help="fingerprints of the index that Beam uses")
    parser.add_argument("--large", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    texts = read_texts(options.folder)
    facts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, count in (("small", options.small), ("large", options.large)):
            index = Path(scratch) / name
            facts[name] = in_process(measure_build, index, count)
            facts[name]["tag"] = in_process(measure_tagging, index, texts, options.rounds)
            facts[name]["shared"] = measure_sharing(index, texts)
        faults, facts["beam"] = run_beam(Path(scratch), texts)
    show(facts)
    if options.output:
        options.output.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    sys.exit("\n".join(faults))


def read_texts(folder: Path) -> list[str]:
    """Return texts of the corpus, some of every source, until there are SIZE bytes."""
    texts: list[str] = []
    size = 0
    for path in sorted(make(folder, parse_size("200MB"), "parquet").glob("*.parquet")):
        for text in pq.read_table(path, columns=["text"])["text"].to_pylist():
            if size >= SIZE:
                return texts
            texts.append(text)
            size += len(text.encode())
    return texts


def works(count: int) -> Iterator[Work]:
    draw = np.random.default_rng(7)
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
    for number in range(-(-count // EACH)):
        yield Work(f"work-{number:06}", letters[draw.integers(0, 26, LETTERS)].tobytes().decode(), f"Work {number}")


def in_process(measure: Callable[..., dict[str, Any]], *values: Any) -> dict[str, Any]:
    """Call a function in a process of its own, whose peak memory is its own, too."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, values)


def measure_build(index: Path, count: int) -> dict[str, Any]:
    # The peak of a new process is at first that of the one that started it.
    Path("/proc/self/clear_refs").write_text("5", "utf-8")
    before = _peak_mb()
    began = time.perf_counter(), time.process_time()
    build_index(works(count), index)
    seconds, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    peak = _peak_mb()
    found = open_index(index)
    return {
        "fingerprints": len(found.hashes),
        "works": len(found.works),
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_mb": peak,
        "before_mb": before,
        "bytes": sum((index / name).stat().st_size for name in FILES),
    }


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text("utf-8")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def measure_tagging(index: Path, texts: list[str], rounds: int) -> dict[str, Any]:
    """Return CPU-milliseconds per MB of tagging, without the view, which all taggers share."""
    tagger = Fingerprint((str(index),))
    tagger.load()
    batches = [Documents.of(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
    mb = sum(len(text.encode()) for text in texts) / 1e6
    views, tags = [], []
    for _ in range(rounds):
        began = time.process_time()
        for batch in batches:
            safe_view(batch.text)
        views.append((time.process_time() - began) * 1000 / mb)
        assert all(len(batch.safe.data) for batch in batches)
        began = time.process_time()
        found = sum(len(tagger.tag(batch)) for batch in batches)
        tags.append((time.process_time() - began) * 1000 / mb)
    return {"mb": mb, "view": views, "tag": tags, "findings": found}


def measure_sharing(index: Path, texts: list[str]) -> list[dict[str, float]]:
    """Return resident and proportional memory of the index's maps in two processes that have both tagged with it."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    queue: Any = context.Queue()
    processes = [context.Process(target=tag_and_look, args=(index, texts, barrier, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    looked = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    return looked


def tag_and_look(index: Path, texts: list[str], barrier: Any, queue: Any) -> None:
    tagger = Fingerprint((str(index),))
    tagger.load()
    for start in range(0, len(texts), BATCH):
        tagger.tag(Documents.of(texts[start : start + BATCH]))
    barrier.wait()
    sums = {"maps_rss_mb": 0.0, "maps_pss_mb": 0.0, "maps_private_mb": 0.0, "whole_pss_mb": 0.0}
    named = {
        "Rss": "maps_rss_mb",
        "Pss": "maps_pss_mb",
        "Private_Clean": "maps_private_mb",
        "Private_Dirty": "maps_private_mb",
    }
    is_ours = False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        word, _, rest = line.partition(" ")
        if not word.endswith(":"):
            is_ours = str(index) in line
            continue
        field = word[:-1]
        if is_ours and field in named:
            sums[named[field]] += int(rest.split()[0]) * 1024 / 1e6
        if field == "Pss":
            sums["whole_pss_mb"] += int(rest.split()[0]) * 1024 / 1e6
    queue.put(sums)
    barrier.wait()  # neither leaves before both have looked


def run_beam(scratch: Path, texts: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Screen texts, in some of which a passage of a work stands, with the small index by the pipeline itself."""
    draw = random.Random(3)
    chosen = list(works(EACH * 10))
    planted = {number: draw.choice(chosen) for number in sorted(draw.sample(range(len(texts)), PLANTED))}
    shard = scratch / "shard.jsonl"
    with shard.open("w", encoding="utf-8") as file:
        for number, text in enumerate(texts):
            if work := planted.get(number):
                start = draw.randrange(LETTERS - PASSAGE)
                passage = work.text[start : start + PASSAGE].upper()
                cut = len(text) // 2
                text = text[:cut] + " “" + " ".join(re.findall(".{1,7}", passage)) + "” " + text[cut:]
            file.write(json.dumps({"id": str(number), "text": text, "source": "bench.example"}) + "\n")
    settings = from_options(
        {
            "inputs": (str(shard),),
            "output": str(scratch / "out"),
            "taggers": {"fingerprint": {"indexes": [str(scratch / "small")]}},
            "workers": 2,
            "split_size": 4_000_000,
        }
    )
    began = time.perf_counter()
    launch(prepare(settings), to_publish=True)
    seconds = time.perf_counter() - began
    found = {}
    for path in (scratch / "out").rglob("audit/**/*.parquet"):
        for row in pq.read_table(path).to_pylist():
            for reason in row["reasons"] or ():
                if reason["policy_rule"] == "copyright-run":
                    found[row["id"]] = reason["rule"]
    wanted = {str(number): work.id for number, work in planted.items()}
    faults = [
        f"record {name}: planted {wanted.get(name)}, found {found.get(name)}"
        for name in sorted(wanted.keys() ^ found.keys())
    ]
    faults += [
        f"record {name}: planted {work}, found {found[name]}"
        for name, work in wanted.items()
        if found.get(name, work) != work
    ]
    return faults, {"seconds": seconds, "records": len(texts), "planted": len(wanted), "found": len(found)}


def show(facts: dict[str, Any]) -> None:
    table = Table("", "small", "large", title="fingerprint")

    def add(name: str, tell: Callable[[dict[str, Any]], str]) -> None:
        table.add_row(name, tell(facts["small"]), tell(facts["large"]))

    add("fingerprints", lambda f: f"{f['fingerprints']:,} of {f['works']:,} works")
    add("build, seconds (CPU)", lambda f: f"{f['seconds']:.1f} ({f['cpu_seconds']:.1f})")
    add("build, peak memory", lambda f: f"{f['peak_mb']:.0f} MB, {f['before_mb']:.0f} before")
    add("on disk", lambda f: f"{f['bytes'] / 1e6:.1f} MB, {f['bytes'] / f['fingerprints']:.1f} bytes each")
    add("tagging, CPU-ms/MB", lambda f: _spread(f["tag"]["tag"]))
    add("view, CPU-ms/MB", lambda f: _spread(f["tag"]["view"]))
    add("index resident in each of two", lambda f: " and ".join(f"{p['maps_rss_mb']:.0f}" for p in f["shared"]) + " MB")
    add("its share of each (Pss)", lambda f: " and ".join(f"{p['maps_pss_mb']:.0f}" for p in f["shared"]) + " MB")
    add("of it private", lambda f: " and ".join(f"{p['maps_private_mb']:.1f}" for p in f["shared"]) + " MB")
    Console(width=110).print(table)
    beam = facts["beam"]
    print(
        f"Beam: {beam['found']} of {beam['planted']} planted records found among {beam['records']:,}, {beam['seconds']:.0f} s"
    )


def _spread(rounds: list[float]) -> str:
    return f"{statistics.median(rounds):.2f} ({min(rounds):.2f} to {max(rounds):.2f})"


if __name__ == "__main__":
    main()
