"""What each engine costs over the bare loop, over one corpus: CPU-milliseconds per MB of UTF-8 text of the whole job.

CPU of every process of the job counts, also of the job server, the cluster and its workers; of the emulated object store it does not,
for a real one does not run here. A job has a fixed cost too (start of the engine, imports): it is the same whatever the size.

    python benchmarks/engines.py [FOLDER]          # needs what make tools and make flink fetch
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from corpus import FOLDER, make, parse_size
from rich.console import Console
from rich.table import Table
from stages import adopt_orphans, children, cpu, spent, spent_since, turned

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "engines"), str(TESTS / "golden")]

import emulator  # noqa: E402
import nights  # noqa: E402
from cluster import Cluster  # noqa: E402
from rows import EXTERNAL, LOCAL, PROCESS, REFERENCE, Row  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
STORE = replace(LOCAL[0], name=f"{LOCAL[0].name}, object store")
ROWS = (REFERENCE, *LOCAL, EXTERNAL, PROCESS, STORE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="of corpora; default is %(default)s")
    parser.add_argument("--size", default="60MB", help="text of the corpus")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="a row besides the bare loop, by the begin of its name"
    )
    options = parser.parse_args()
    corpus = make(options.folder, parse_size(options.size), "jsonl")
    megabytes = json.loads((corpus / "facts.json").read_text("utf-8"))["total"] / 1e6
    adopt_orphans()
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as name, ExitStack() as stack:
        place = Path(name)
        shards = [str(path) for path in sorted(corpus.iterdir()) if path.suffix != ".json"]
        run = nights.write_run_file(place / "run.yaml", shards, corpus, split_size="10MB")
        # The same run file for all, so that a ratio is of one job done in two ways.
        jobs: dict[str, Callable[[Path], float]] = {"bare loop": lambda _: spent("loop", corpus, 0, run_file=run)}
        for row in _wanted((REFERENCE, *LOCAL), options.only):
            jobs[row.name] = lambda out, row=row: _launched(row, run, out)  # type: ignore[misc]
        if rows := _wanted((EXTERNAL, PROCESS), options.only):
            cluster = stack.enter_context(_cluster(place))
            for row in rows:
                jobs[row.name] = lambda out, row=row: _launched(row, run, out, cluster)  # type: ignore[misc]
        if _wanted((STORE,), options.only):
            cloud = stack.enter_context(_cloud(place, run))
            jobs[STORE.name] = lambda out: _launched(STORE, cloud(out), out, of_run=True)
        if len(jobs) == 1:
            parser.error(f"--only: no row begins so; there are {', '.join(row.name for row in ROWS)}")
        used: dict[str, list[float]] = {name: [] for name in jobs}
        for number in range(options.rounds):
            for name, job in turned(list(jobs.items()), number):
                with tempfile.TemporaryDirectory(prefix="out-", dir=place) as out:
                    used[name].append(1000 * job(Path(out) / "out") / megabytes)
                print(f"round {number + 1}, {name}: {used[name][-1]:.0f} ms/MB", file=sys.stderr, flush=True)
    _show(used, megabytes)


def _wanted(rows: tuple[Row, ...], only: list[str] | None) -> list[Row]:
    return [row for row in rows if only is None or row.name.startswith(tuple(only))]


def _show(used: dict[str, list[float]], megabytes: float) -> None:
    table = Table("", "CPU-ms/MB", "range", "over the bare loop", "CPU-s over it", title=f"{megabytes:.0f} MB")
    for name, rounds in used.items():
        pairs = list(zip(rounds, used["bare loop"], strict=True))
        ratio, more = (statistics.median(values) for values in zip(*((a / b, a - b) for a, b in pairs), strict=True))
        middle, spread = statistics.median(rounds), f"{min(rounds):.1f} to {max(rounds):.1f}"
        table.add_row(name, f"{middle:.1f}", spread, f"{ratio:.2f}", f"{more * megabytes / 1000:.1f}")
    Console(width=110).print(table)


def _launched(row: Row, run: Path, out: Path, cluster: Cluster | None = None, *, of_run: bool = False) -> float:
    """Return CPU-seconds of a run, those of the cluster's processes included."""
    before, of_cluster, besides = cpu(), _of(cluster), children()
    arguments = row.arguments(run, out)
    nights.finish(
        [word for word in arguments if word not in ("-o", str(out))] if of_run else arguments, within=row.within
    )
    return spent_since(before, besides) + _of(cluster) - of_cluster


def _of(cluster: Cluster | None) -> float:
    """Return CPU-seconds of the cluster's processes, those that ended under a parent that lives included."""
    total = 0
    for pid in cluster.processes() if cluster is not None else ():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


@contextmanager
def _cluster(place: Path) -> Iterator[Cluster]:
    (place / "cluster").mkdir()
    os.environ |= {"WINNOW_FLINK_STATE": str(place / "cluster"), "WINNOW_PYTHON": sys.executable}
    cluster = Cluster()
    cluster.up()
    try:
        yield cluster
    finally:
        cluster.down()


@contextmanager
def _cloud(place: Path, run: Path) -> Iterator[Callable[[Path], Path]]:
    """Start the emulator with the inputs in it; give what makes a run file with an output of its own."""
    with emulator.emulated(place) as proxy:
        os.environ |= emulator.environment(proxy, place / "cache")
        from google.cloud import storage

        for bucket in ("in", "out", "private"):
            storage.Client().create_bucket(bucket)

        def of(out: Path) -> Path:
            below = out.parent.name
            places = {"output": f"gs://out/{below}", "restricted": f"gs://private/{below}"}
            return emulator.moved(run, place, **places)

        yield of
        for name in ("STORAGE_EMULATOR_HOST", "WINNOW_CACHE"):
            del os.environ[name]


if __name__ == "__main__":
    main()
