"""Planning, catalogue, judging and concluding at a million splits and ten million sources, and at a tenth of it.

    python benchmarks/scale.py [FOLDER] [--splits 1000000] [--sources 10000000] [--duplicates split|source]

The functions are those of a run; shards, receipts of tagging and receipts of release are made up, so no text is read. Four splits
a shard, about forty sources a split: some by Zipf's law (a source's frequency goes as one over its rank), the others in that
split alone. What takes time is told apart: making things up does not count. With ``--duplicates source`` every record has a
hash, of the larger half of sources one record in four a text that stands in other splits too; no source comes near the limit, so none
is counted anew.

Exits with 1 if the full size takes over 11 times as long as the tenth, or a process more than 6 GB.
"""

import argparse
import functools
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from memory import anonymous
from rich.console import Console
from rich.table import Table

from models.agenda import Pack, settle, tag_tasks
from models.breakdown import SCHEMA as BREAKDOWN
from models.breakdown import batch_of
from models.bundle import bundle
from models.catalogue import TOTALS, Catalogue
from models.digest import digest_of
from models.job import Job
from models.judging import judge_sources, release_tasks
from models.layer import Known
from models.outcome import conclude, conclude_segment
from models.parts import PartFile
from models.release_pass import Released
from models.release_split import keep_receipt
from models.shard import Columns, Cut, Shard, Split
from models.sketch_files import ROWS, gather, mark_of, rows_of
from models.sketches import order_of
from models.store import LocalStore
from models.tag_pass import LayerRef, Tagged
from models.tally import COUNTS
from models.verdicts import DOORS
from pipeline.config import from_options, make_job

MOST_TIME, MOST_MEMORY = 11.0, 6e9
PER_SHARD, SPLIT_BYTES = 4, 64_000_000
ZIPF, SHARDS_A_TASK = 36, 64
POLICY = "cn-tc260-003"
LARGE_RANK = 100
"""Rank of the large source that is recalled."""

PARTS = ("settle", "tag tasks", "bundles", "judge", "release tasks", "segments", "conclude")


class Step(NamedTuple):
    """One night: CPU-seconds by part, peak of anonymous memory, what was written to the store, and what was touched."""

    name: str
    seconds: dict[str, float]
    peak: int
    objects: int
    bytes: int
    tagged: int
    released: int
    segments: int
    rewritten: int
    sources: int


class Unsynced(LocalStore):
    """A store for what is made up: the disk is not waited for."""

    def create_once(self, name: str, file: Path) -> str:
        (self._root / name).parent.mkdir(parents=True, exist_ok=True)
        file.replace(self._root / name)
        return Path(name).stem


class Counted(LocalStore):
    """A store that counts what is written to it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.objects = self.bytes = 0

    def create_once(self, name: str, file: Path) -> str:
        if not self.exists(name):
            self.objects, self.bytes = self.objects + 1, self.bytes + file.stat().st_size
        return super().create_once(name, file)


# What is made up


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea, Flood 2014): numbers that look random, the same each time."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))


def _names(letter: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    digits = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 8, "0")
    return pc.binary_join_element_wise(letter, digits, ".example", "")


@dataclass(frozen=True)
class World:
    """What texts would be found to hold.

    Attributes:
        splits, sources: of the first night.
        bad: by number of shard, a source of which it has very many records, all unlawful.
    """

    splits: int
    sources: int
    bad: dict[int, str] = field(default_factory=dict)

    def shard(self, job: Job, number: int) -> Shard:
        """Return a shard; those of one day follow each other."""
        per_day = max(1, self.splits // PER_SHARD // 100)
        path = f"crawl/{number // per_day:05}/part-{number % per_day:05}.jsonl"
        cuts = tuple(
            Cut(at * SPLIT_BYTES, (at + 1) * SPLIT_BYTES, 0, 20_000, _hex(number * PER_SHARD + at))
            for at in range(PER_SHARD)
        )
        columns = Columns(("text",), "id", "source", None)
        size = PER_SHARD * SPLIT_BYTES
        return Shard("in", path, size, _hex(number, 1), "jsonl", "", "utf-8", columns, cuts, "", job.reading.digest)

    def tallies(self, numbers: Sequence[int]) -> tuple[pa.Table, list[int]]:
        """Return the tallies of splits, given by their numbers, under each other, and where each begins."""
        at = np.array(numbers, np.uint64)
        draws = _mixed(at[:, None] * np.uint64(64) + np.arange(ZIPF, dtype=np.uint64))
        heads = max(2, self.sources * 3 // 5)
        ranks = np.exp(draws / 2.0**64 * np.log(heads)).astype(np.int64)
        rows = np.repeat(np.arange(len(at)), ZIPF)
        pairs = np.unique(rows * (1 << 32) + ranks.reshape(-1))
        tail = max(1, self.sources // 2 // self.splits)
        own = (at[:, None].astype(np.int64) * tail + np.arange(tail)).reshape(-1)
        row = np.concatenate([pairs >> 32, np.repeat(np.arange(len(at)), tail)])
        source = pa.concat_arrays([_names("s", pairs & 0xFFFFFFFF), _names("t", own)])
        late = [
            (at, self.bad[number // PER_SHARD]) for at, number in enumerate(numbers) if number // PER_SHARD in self.bad
        ]
        row = np.concatenate([row, np.array([at for at, _ in late], np.int64)])
        source = pa.concat_arrays([source, pa.array([name for _, name in late], pa.string())])
        order = np.argsort(row, kind="stable")
        row, source, is_late = row[order], source.take(pa.array(order)), order >= len(order) - len(late)
        starts = np.searchsorted(row, np.arange(len(at) + 1))
        noise = _mixed(at[row] * np.uint64(1009) + (np.arange(len(row)) - starts[row]).astype(np.uint64))
        records = (1 + noise % np.uint64(60)).astype(np.int64)
        # One source in a thousand has nothing lawful, from the first night on.
        marks = pc.equal(pc.utf8_slice_codeunits(source, 5, 9), "0777").to_numpy(zero_copy_only=False)
        records = np.where(is_late, 1_000_000_000, records)
        unlawful = np.where(marks | is_late, records, 0)
        none = np.zeros(len(records), np.int64)
        counts = [records, unlawful, records, unlawful, none, records * 900, unlawful * 900, none]
        return pa.table({"source": source, **dict(zip(COUNTS, counts, strict=True))}), starts.tolist()

    def sketches(self, splits: npt.NDArray[np.uint64], table: pa.Table, row: npt.NDArray[np.int64], k: int) -> pa.Table:
        """Return the sketches of splits under each other.

        Args:
            splits: see :func:`models.sketch_files.mark_of`.
            table, row: their tallies, and the number of the split of each.
        """
        ranks = pc.utf8_slice_codeunits(table["source"], 1, 9).cast(pa.int64()).to_numpy().astype(np.uint64)
        is_head = pc.starts_with(table["source"], "s").to_numpy(zero_copy_only=False)
        records, unlawful = (table[name].to_numpy() for name in ("records", "unlawful"))
        kept = np.minimum(records, k + 1)
        at_row = np.repeat(np.arange(len(table)), kept)
        at = (np.arange(len(at_row)) - np.repeat(np.cumsum(kept) - kept, kept)).astype(np.uint64)
        own = _mixed((splits[row] ^ _mixed(ranks))[at_row] + at)
        shared = _mixed(ranks[at_row] * np.uint64(4099) + at)
        hashes = np.where(is_head[at_row] & (at % np.uint64(4) == 0), shared, own)
        # Of very many records the least hashes lie close together.
        step = (np.uint64(2**64 - 1) // records.astype(np.uint64))[at_row]
        hashes = np.where(records[at_row] > k + 1, at * step + own % step, hashes)
        hashes = hashes[order_of(at_row, hashes)]
        strata = np.where(unlawful > 0, 0, 2).astype(np.uint8)[at_row]
        offsets = pa.array(np.concatenate([[0], np.cumsum(kept)]), pa.int32())
        values = (hashes, strata, np.full(len(hashes), 900, np.int32))
        lists = (pa.ListArray.from_arrays(offsets, pa.array(each)) for each in values)
        return pa.Table.from_arrays(
            [table["source"].combine_chunks(), pa.array(splits[row], pa.uint64()), *lists], schema=ROWS
        )


def _hex(*parts: int) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


_NUMBERS: dict[str, int] = {}
"""Number of each split by the checksum of its cut."""


@dataclass
class Bench:
    """A corpus at one size, and the nights that are measured on it."""

    world: World
    job: Job
    folder: Path
    index: str = ""
    base: int = 0
    changed_list: bool = False
    steps: list[Step] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = Counted(self.folder / "store")
        self.store.prepare()
        self.k = self.job.policy.sources.sketched

    def night(self, name: str, shards: Iterable[Shard]) -> Step:
        """Do what a run does between planning and publishing."""
        clock, job, means = _Clock(), self.job, (self.job, self.store, self.folder)
        packs = [Pack.of(some) for some in _batches(shards, SHARDS_A_TASK)]
        objects, size = self.store.objects, self.store.bytes
        with _watched() as peak:
            with clock("settle"):
                before = Catalogue.open(self.store, self.index)
                agenda = settle(packs, before, job, False, self.store, self.folder)
                del packs
            bundles = []
            tagged = 0
            tasks = clock.timed("tag tasks", tag_tasks(agenda, job, self.store))
            for number, some in itertools.groupby(tasks, lambda task: task.segment):
                receipts = self._tagged([split for task in some for split, _ in task.splits])
                tagged += len(receipts)
                with clock("bundles"):
                    bundles.append(bundle(number, receipts, self.store, self.folder, self.k))
                for passing in {each.sketch for each in receipts} - {bundles[-1].sketch, ""}:
                    self.store.delete(passing)  # what gc does in time
            with clock("judge"):
                judged = judge_sources(agenda, bundles, *means)
            concluded = []
            due = clock.timed("release tasks", release_tasks(judged, agenda, job, self.store))
            for number, some in itertools.groupby(due, lambda task: task.segment):
                released = self._released([(split, digest) for task in some for split, _, digest in task.splits])
                with clock("segments"):
                    concluded.append(conclude_segment(agenda, judged, number, released, *means))
            with clock("conclude"):
                outcome = conclude(agenda, judged, concluded, self.base, *means)
        after = Catalogue.open(self.store, outcome.index)
        names = {ref.name for ref in before.segments}
        step = Step(
            name,
            clock.seconds,
            peak[0],
            self.store.objects - objects,
            self.store.bytes - size,
            tagged,
            judged.splits,
            len(after.segments),
            sum(ref.name not in names for ref in after.segments),
            pq.read_metadata(self.store.local(outcome.sources)).num_rows,
        )
        self.index, self.base = outcome.index, self.base + 1
        self.steps.append(step)
        return step

    def _tagged(self, splits: Sequence[Split]) -> list[Tagged]:
        numbers = [_NUMBERS[split.cut.checksum] for split in splits]
        table, starts = self.world.tallies(numbers)
        counts = np.add.reduceat(table["records"].to_numpy(), starts[:-1]).tolist()
        receipts = []
        for at, split in enumerate(splits):
            tally = table.slice(starts[at], starts[at + 1] - starts[at])
            digest = split.digest(self.job.reading)
            # The new list finds something else in one split of a hundred.
            salt = int(self.changed_list and numbers[at] % 100 == 0)
            known = Known(_hex(numbers[at], 2 + salt), (("lexicon", "A.1.a"),), ())
            layers = (LayerRef(f"layers/{digest[:2]}/{digest}.arrow", self.job.wanted),)
            entries = counts[at]
            receipts.append(
                Tagged(digest, layers, known, tally, entries, {}, 0, entries * 900, {}, tuple(self.job.wanted))
            )
        if self.k:
            self._sketch(splits, receipts, table, starts)
        return receipts

    def _sketch(self, splits: Sequence[Split], receipts: list[Tagged], table: pa.Table, starts: Sequence[int]) -> None:
        """Keep the sketches of splits in two objects: a run has one a split, of which making them up would take most of the time."""
        marks = np.array([mark_of(split.digest(self.job.reading)) for split in splits], np.uint64)
        rows = self.world.sketches(marks, table, np.repeat(np.arange(len(splits)), np.diff(starts)), self.k)
        for at, some in ((0, marks[: len(marks) // 2]), (-1, marks[len(marks) // 2 :])):
            half = rows_of(rows, some.tolist())
            sketch = gather([half], self.k, Unsynced(self.folder / "store"), self.folder)
            receipts[at] = replace(receipts[at], sketch=sketch)

    def _released(self, due: Sequence[tuple[Split, str]]) -> dict[str, Released]:
        table, starts = self.world.tallies([_NUMBERS[split.cut.checksum] for split, _ in due])
        records = np.add.reduceat(table["records"].to_numpy(), starts[:-1]).tolist()
        zeros = pa.array(np.zeros(len(table), np.int64))
        doors = pa.table({"source": table["source"], DOORS[0]: table["records"], **dict.fromkeys(DOORS[1:], zeros)})
        found, made_up = {}, Unsynced(self.folder / "store")
        for at, (split, digest) in enumerate(due):
            own = doors.slice(starts[at], starts[at + 1] - starts[at])
            count = records[at]
            counts = dict.fromkeys(TOTALS, 0) | {"read": count, "clean": count}
            files = tuple(
                PartFile(
                    place, f"{split.name}.jsonl", f"parts/{digest[:2]}/{digest}/{place}", 60_000_000, digest, count
                )
                for place in ("clean", "audit")
            )
            reasons = {"A.1.a\tquarantine": 12, "personal.email\tredact": 80}
            released = Released(digest, files, counts, own, reasons, {})
            same = {"language": "en", "batch": batch_of(split.shard.path), "dimension": "action", "value": "keep"}
            columns = {"source": own["source"], **{name: [said] * len(own) for name, said in same.items()}}
            columns |= {"records": own[DOORS[0]], "characters": own[DOORS[0]], "findings": zeros[: len(own)]}
            keep_receipt(released, pa.table(columns).cast(BREAKDOWN), made_up, self.folder)
            found[split.digest(self.job.reading)] = released
        return found


def _batches(shards: Iterable[Shard], size: int) -> Iterator[list[Shard]]:
    shards = iter(shards)
    while some := list(itertools.islice(shards, size)):
        yield some


# Measuring


class _Clock:
    """CPU-seconds by part, user and system: others may use the machine meanwhile."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.seconds[part] += time.process_time() - start

    def timed(self, part: str, items: Iterable[Any]) -> Iterator[Any]:
        """Give items, and count the time that it takes to make them."""
        items = iter(items)
        while True:
            with self(part):
                item = next(items, None)
            if item is None:
                return
            yield item


@contextmanager
def _watched() -> Iterator[list[int]]:
    """Give the peak of this process's anonymous memory, once the block has ended."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            peak[0] = max(peak[0], anonymous(_pid()))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield peak
    done.set()
    thread.join()


def _pid() -> int:
    return int(Path("/proc/self").readlink().name)


def policy_of(duplicates: str, folder: Path) -> str:
    """Return the shipped policy, or the path of one that counts otherwise."""
    if duplicates == "split":
        return POLICY
    text = (Path(__file__).resolve().parents[1] / "configs" / "policies" / f"{POLICY}.yaml").read_text("utf-8")
    path = folder / "policy.yaml"
    path.write_text(text.replace("\n  min_records:", f"\n  duplicates: {duplicates}\n  min_records:"), "utf-8")
    return str(path)


def measure(splits: int, sources: int, duplicates: str, folder: Path, say: Callable[[str], None]) -> list[Step]:
    """Do the nights at one size."""
    given = {"inputs": ("in",), "output": str(folder), "as_of": "2026-01-02", "source_from": "auto"}
    given["policy"] = policy_of(duplicates, folder)
    job = make_job(from_options(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}}))
    assert bool(job.policy.sources.sketched) == (duplicates == "source")
    world = World(splits, sources)
    bench = Bench(world, job, folder)
    first = splits // PER_SHARD

    def shards(start: int, count: int) -> Iterator[Shard]:
        for number in range(start, start + count):
            shard = world.shard(job, number)
            _NUMBERS.update((cut.checksum, number * PER_SHARD + at) for at, cut in enumerate(shard.cuts))
            yield shard

    def report(step: Step) -> None:
        said = ", ".join(f"{part} {seconds:.1f}" for part, seconds in step.seconds.items())
        say(
            f"{splits:,}: {step.name}: {sum(step.seconds.values()):.1f} s ({said}), {step.peak / 1e9:.2f} GB, {step.objects:,} objects, "
            f"{step.bytes / 1e6:,.0f} MB, {step.tagged:,} tagged, {step.released:,} released, {step.rewritten:,} of {step.segments:,} "
            f"segments, {step.sources:,} sources"
        )

    more = max(1, first // 100)
    report(bench.night("first night", shards(0, first)))
    report(bench.night("a night with 1 % more", shards(first, more)))
    small = _names("t", np.array([splits // 3 * max(1, sources // 2 // splits)]))[0].as_py()
    large = _names("s", np.array([LARGE_RANK]))[0].as_py()
    for name, source, at in (("recall of a small source", small, 0), ("recall of a large source", large, 1)):
        world.bad[first + more + at] = source
        report(bench.night(name, shards(first + more + at, 1)))
    bench.changed_list = True
    job.__dict__["wanted"] = {name: digest_of(digest) for name, digest in job.wanted.items()}
    report(bench.night("weekly list change", []))
    return bench.steps


def shown(name: str, tenth: list[Step], full: list[Step]) -> Table:
    """Return what came out as a table: every night at both sizes."""
    table = Table("night", *("CPU-seconds", "times the tenth", "peak, GB", "objects", "MB written"), title=name)
    for name_of in ("tagged", "released", "segments", "rewritten", "sources"):
        table.add_column(name_of, justify="right")
    for small, large in zip(tenth, full, strict=True):
        for step in (small, large):
            seconds = sum(step.seconds.values())
            ratio = f"{seconds / sum(small.seconds.values()):.1f}" if step is large else ""
            figures = (step.tagged, step.released, step.segments, step.rewritten, step.sources)
            table.add_row(
                step.name,
                f"{seconds:.1f}",
                ratio,
                f"{step.peak / 1e9:.2f}",
                f"{step.objects:,}",
                f"{step.bytes / 1e6:,.0f}",
                *(f"{figure:,}" for figure in figures),
            )
    return table


def apart(splits: int, sources: int, duplicates: str, folder: Path) -> list[Step]:
    """Measure one size in a process of its own."""
    command = [sys.executable, __file__, str(folder), "--splits", str(splits), "--sources", str(sources), "--one"]
    command += ["--duplicates", duplicates]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.read())
    if process.returncode:
        raise SystemExit(f"{splits:,} splits: failed with {process.returncode}")
    return [Step(*each) for each in facts]


def faults(tenth: list[Step], full: list[Step]) -> Iterator[str]:
    """Give what is not as it must be."""
    small, large = (sum(sum(step.seconds.values()) for step in steps) for steps in (tenth, full))
    if large > MOST_TIME * small:
        yield f"all nights together take {large / small:.1f} times as long at ten times the size; allowed are {MOST_TIME:g}"
    if (peak := max(step.peak for step in full)) > MOST_MEMORY:
        yield f"the process took {peak / 1e9:.1f} GB, allowed are {MOST_MEMORY / 1e9:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path(tempfile.gettempdir()), help="default is %(default)s"
    )
    parser.add_argument("--splits", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=10_000_000)
    parser.add_argument("--duplicates", choices=("split", "source"), default="split", help="default is %(default)s")
    parser.add_argument("--one", action="store_true", help="only this size, figures as JSON")
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    if options.one:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="winnow-scale-") as name:
            steps = measure(
                options.splits,
                options.sources,
                options.duplicates,
                Path(name),
                functools.partial(print, file=sys.stderr, flush=True),
            )
        json.dump(steps, sys.stdout)
        return
    tenth, full = (
        apart(options.splits // part, options.sources // part, options.duplicates, options.folder) for part in (10, 1)
    )
    Console(width=160).print(shown(f"{options.splits:,} splits and a tenth of it", tenth, full))
    if options.output:
        facts = {"tenth": [each._asdict() for each in tenth], "full": [each._asdict() for each in full]}
        options.output.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    sys.exit("\n".join(faults(tenth, full)) or None)  # an empty string would be a failure


if __name__ == "__main__":
    main()
