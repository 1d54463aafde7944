"""CPU-milliseconds per MB of UTF-8 text, by stage and for the whole job, and Beam against the same functions in a bare loop.

User and system time, children included, not wall time: other work on the machine disturbs it less. Whatever is compared runs side
by side in one go, in rounds; the table shows the median and the range over the rounds.

    python benchmarks/stages.py [FOLDER]          # as made by benchmarks/corpus.py; missing corpora are made
"""

import argparse
import contextlib
import ctypes
import functools
import itertools
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
from corpus import FOLDER, FORMATS, PACKAGES, make, parse_size
from rich.console import Console
from rich.table import Table

from models.agenda import settle, tag_tasks
from models.artefact import describe
from models.bundle import bundle
from models.catalogue import Catalogue
from models.documents import Documents
from models.files import LocalOpener
from models.findings import Findings
from models.job import Job
from models.judging import judge_sources, release_tasks
from models.language import languages
from models.layer import LayerBuilder
from models.outcome import Outcome, conclude, conclude_segment
from models.parsing import Parsed
from models.planning import plan_shard
from models.policy import Decider
from models.release_pass import release_digest
from models.release_split import release_split
from models.shard import Shard
from models.sources import SourceStates
from models.store import LocalStore, scratch_file
from models.tag_pass import Tagged, _mask, _parsed, read_merged, tag_split
from models.taggers import Tagger
from models.taggers.lexicon import Lexicon
from models.taggers.personal import Personal
from models.tagging import tag_identifiers
from models.tally import tally
from models.view import fold_term, safe_view
from pipeline.config import from_options, make_job, make_taggers, read_run_file

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
HOUBB, COMMENTS = DATA / "lists" / "houbb_zh.jsonl", DATA / "harm" / "cold_train.jsonl"
AIM, AIM_WITH_CATEGORY = 25.0, 12.0
"""MB/s and core for the whole job without and with ``category``."""
BEAM_AIM = 0.10
"""What Beam may cost on top of a bare loop."""

_PR_SET_CHILD_SUBREAPER = 36


class Figure(NamedTuple):
    """CPU-milliseconds per MB over the rounds."""

    name: str
    rounds: list[float]

    def row(self) -> tuple[str, ...]:
        middle = statistics.median(self.rounds)
        return self.name, f"{middle:.2f}", f"{min(self.rounds):.2f} to {max(self.rounds):.2f}", f"{1000 / middle:.0f}"

    def facts(self) -> dict[str, Any]:
        return {"median": statistics.median(self.rounds), "rounds": self.rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="of corpora; default is %(default)s")
    parser.add_argument("--size", default="200MB", help="text of the whole jobs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["stages", "jobs"], help="one of the two tables")
    parser.add_argument("--format", choices=[*FORMATS], action="append", help="of the whole jobs; default is all")
    parser.add_argument("--output", type=Path, help="write the figures there as JSON")
    parser.add_argument("--run", choices=["beam", "loop", "imports"], help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--taggers", default="", help=argparse.SUPPRESS)
    parser.add_argument("--run-file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run_once(options.run, options.folder, options.workers, options.taggers, options.run_file)
        return
    corpora = {form: make(options.folder, parse_size(options.size), form) for form in FORMATS}
    facts: dict[str, Any] = {}
    if options.only != "jobs":
        facts["stages"] = show("by stage", measure_stages(corpora, options.rounds))
    if options.only != "stages":
        chosen = {form: corpora[form] for form in options.format or FORMATS}
        figures = measure_jobs(chosen, options.rounds)
        facts["jobs"] = show("whole job", figures)
        say_aims(chosen, {figure.name: figure for figure in figures})
    if options.output:
        options.output.write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def show(title: str, figures: list[Figure]) -> dict[str, Any]:
    table = Table("", "CPU-ms/MB", "range", "MB/s and core", title=title)
    for figure in figures:
        table.add_row(*figure.row())
    Console(width=110).print(table)
    return {figure.name: figure.facts() for figure in figures}


def say_aims(corpora: dict[str, Path], figures: dict[str, Figure]) -> None:
    for form in corpora:
        middle = statistics.median(figures[f"{form}: Beam, in place"].rounds)
        print(f"{form}: {1000 / middle:.1f} MB/s and core with lists and personal data")
        for kind, aim in (("all but category", AIM), ("everything", AIM_WITH_CATEGORY)):
            whole = statistics.median(figures[f"{form}: in place, {kind}"].rounds)
            print(f"{form}: {1000 / whole:.1f} MB/s and core with {kind}; aim {aim:g}")
        pairs = zip(figures[f"{form}: Beam, in place"].rounds, figures[f"{form}: bare loop"].rounds, strict=True)
        ratios = [beam / loop for beam, loop in pairs]
        print(
            f"{form}: Beam to bare loop {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}); "
            f"aim at most {1 + BEAM_AIM:g}"
        )


# By stage


def cpu() -> float:
    """Return CPU-seconds of this process and of children that ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


def measure_stages(corpora: dict[str, Path], rounds: int) -> list[Figure]:
    """Measure every stage over the first shard of each corpus."""
    with tempfile.TemporaryDirectory(prefix="winnow-bench-") as name:
        place = Path(name)
        stages = list(_stages({form: _bench(form, corpora[form], place) for form in FORMATS}, place))
        figures = {stage.name: Figure(stage.name, []) for stage in stages}
        for number in range(rounds + 1):
            for stage in stages:
                with stage.prepare() as argument:
                    before = cpu()
                    stage.work(argument)
                    used = cpu() - before
                if number:  # the first round loads and warms
                    figures[stage.name].rounds.append(1000 * used / stage.megabytes)
        return list(figures.values())


class Stage(NamedTuple):
    """Something to measure; what ``prepare`` does is not."""

    name: str
    megabytes: float
    prepare: Callable[[], Any]
    work: Callable[[Any], object]


class Bench(NamedTuple):
    """One shard of a format, planned, parsed and tagged."""

    shard: Shard
    job: Job
    parsed: list[Parsed]
    receipts: list[Tagged]
    store: LocalStore
    megabytes: float


def _bench(form: str, corpus: Path, place: Path) -> Bench:
    path = corpus / f"shard-000{FORMATS[form]}"
    job = _job(str(path), str(place / form))
    shard = plan_shard(LocalOpener(), str(corpus), path.name, job.reading, job.split_size)
    store = LocalStore(place / form)
    store.prepare()
    splits = shard.splits()
    parsed = [part for split in splits for part in _parsed(split, job, LocalOpener(), None)]
    receipts = [tag_split(s, (), job, LocalOpener(), store, place, _ignore, None) for s in splits]
    size = sum(pc.sum(pc.binary_length(part.documents.text)).as_py() for part in parsed)
    return Bench(shard, job, parsed, receipts, store, size / 1e6)


def _job(inputs: str, output: str) -> Job:
    return make_job(from_options({"inputs": (inputs,), "output": output, "as_of": "2026-01-01"}))


def _ignore(_place: str, _count: int) -> None:
    pass


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield None


def _stages(benches: dict[str, Bench], place: Path) -> Iterator[Stage]:
    for form, bench in benches.items():
        plan = functools.partial(_plan, bench)
        yield Stage(f"plan {form}", bench.megabytes, _nothing, plan)
    for form, bench in benches.items():
        yield Stage(f"read and parse {form}", bench.megabytes, _nothing, functools.partial(_read, bench))
    bench = benches["parquet"]
    documents = [part.documents for part in bench.parsed]
    size = bench.megabytes
    yield Stage("safe view", size, _nothing, lambda _: [safe_view(each.text) for each in documents])
    for each in documents:
        each.safe  # noqa: B018 - made here so that no tagger pays for it
        each.lengths  # noqa: B018
    lists = {"illustrative": bench.job.taggers[0], "10,000 terms": Lexicon((str(_long_list(place)),))}
    for name, lexicon in lists.items():
        yield Stage(f"lexicon, {name}", size, _nothing, functools.partial(_tag, lexicon, documents))
    # Manuals are full of addresses and numbers; comments of a forum show what ordinary text costs.
    yield Stage("personal", size, _nothing, functools.partial(_tag, Personal(), documents))
    comments = [orjson.loads(line)["text"] for line in COMMENTS.read_bytes().splitlines()]
    ordinary = [Documents.of(comments[start : start + 4096]) for start in range(0, len(comments), 4096)]
    for each in ordinary:
        each.safe  # noqa: B018
    megabytes = sum(len(text.encode()) for text in comments) / 1e6
    yield Stage("personal, comments of a forum", megabytes, _nothing, functools.partial(_tag, Personal(), ordinary))
    others = {
        "category": _CATEGORY,
        "fingerprint": _FINGERPRINT,
        "provenance": _registry(place),
        "blocked": _blocklist(place),
    }
    for name, settings in others.items():
        (tagger,) = make_taggers({name: settings}, Path.cwd(), "bench", None, "2026-01-01")
        yield Stage(name, size, _nothing, functools.partial(_tag, tagger, documents))
        if name == "category":
            yield Stage(f"{name}, comments of a forum", megabytes, _nothing, functools.partial(_tag, tagger, ordinary))
    yield Stage("languages", size, _nothing, lambda _: [languages(each.text) for each in documents])
    yield Stage("ids, URLs and sources looked at", size, _nothing, functools.partial(_identifiers, bench))
    findings = [_findings(bench.job.taggers, each) for each in documents]
    yield Stage("content hashes and layer", size, functools.partial(_folder, place), _Layers(bench, findings))
    yield Stage("merge, receipt and tally", size, _nothing, functools.partial(_tally, bench))
    for form, bench in benches.items():
        yield Stage(
            f"release {form}, reading and writing",
            bench.megabytes,
            functools.partial(_folder, place),
            functools.partial(_release, bench),
        )


_CATEGORY = {"models": ["zh-discrimination-demo", "en-abuse-demo"]}
_FINGERPRINT = {"indexes": ["illustrative"]}


def _registry(place: Path) -> dict[str, Any]:
    """Return a registry in which the corpus's sources are; they are found so that the tagger has to look at what they need."""
    folder = place / "registry"
    folder.mkdir(exist_ok=True)
    sources = "".join(f"  - {{key: {name}, kind: open, licence: CC-BY-4.0}}\n" for name in PACKAGES)
    (folder / "sources.yaml").write_text(f"sources:\n{sources}", "utf-8")
    describe(folder, kind="provenance", version=1, names=["sources.yaml"], title="", licence="", made_with="")
    return {"registry": [str(folder)]}


def _blocklist(place: Path) -> dict[str, Any]:
    """Return a list of 100,000 made-up hosts, some prefixes and contents, none of which the corpus has."""
    folder = place / "blocked"
    folder.mkdir(exist_ok=True)
    rows = [f"host\thost{number}.example" for number in range(100_000)]
    rows += [f"prefix\thttps://site{number}.example/a/b" for number in range(1000)]
    rows += [f"content\t{number:064x}" for number in range(1000)]
    (folder / "list.tsv").write_text("kind\tvalue\n" + "\n".join(rows) + "\n", "utf-8")
    describe(folder, kind="blocked", version=1, names=["list.tsv"], title="bench", licence="", made_with="")
    return {"lists": [str(folder)]}


def _all_taggers(place: Path, *, category: bool) -> dict[str, Any]:
    default = {"lexicon": {"lists": ["illustrative"]}, "personal": {}}
    found = default | {"fingerprint": _FINGERPRINT, "provenance": _registry(place), "blocked": _blocklist(place)}
    return found | ({"category": _CATEGORY} if category else {})


def _plan(bench: Bench, _: None) -> None:
    plan_shard(LocalOpener(), bench.shard.root, bench.shard.path, bench.job.reading, bench.job.split_size)


def _read(bench: Bench, _: None) -> None:
    for split in bench.shard.splits():
        for _part in _parsed(split, bench.job, LocalOpener(), None):
            pass


def _tag(tagger: Tagger, documents: list[Documents], _: None) -> None:
    for each in documents:
        tagger.tag(each)


def _identifiers(bench: Bench, _: None) -> None:
    masked: dict[str, str] = {}
    for part in bench.parsed:
        tag_identifiers(part.documents, bench.job.taggers, bench.shard.path)
        _mask(part.documents, bench.job, masked)


def _findings(taggers: tuple[Tagger, ...], documents: Documents) -> Findings:
    return Findings.concat([tagger.tag(documents) for tagger in taggers])


@contextlib.contextmanager
def _folder(place: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=place) as name:
        yield Path(name)


class _Layers(NamedTuple):
    """Builds and writes the layer of a shard whose findings are there."""

    bench: Bench
    findings: list[Findings]

    def __call__(self, folder: Path) -> None:
        builder = LayerBuilder()
        for part, found in zip(self.bench.parsed, self.findings, strict=True):
            builder.add(part, found, part.documents.source)
        layer = builder.build("", "", {})
        with scratch_file(folder) as path:
            layer.write(path)
            LocalStore(folder).create_once("layer", path)


def _tally(bench: Bench, _: None) -> None:
    for split, receipt in zip(bench.shard.splits(), bench.receipts, strict=True):
        merged = read_merged(receipt.layers, split, bench.job, bench.store)
        merged.digest  # noqa: B018 - part of every receipt
        tally(merged, Decider(bench.job.policy))


def _release(bench: Bench, folder: Path) -> None:
    states = SourceStates(*_no_states())
    # Layers are read from their own store; parts and receipts go to a new one.
    store = LocalStore(folder / "store")
    store.prepare()
    shutil.copytree(bench.store.root, folder / "store", dirs_exist_ok=True, copy_function=os.link)
    places = ("clean", "quarantine", "dead", "audit")
    for split, receipt in zip(bench.shard.splits(), bench.receipts, strict=True):
        digest = release_digest(split.digest(bench.job.reading), receipt.known, bench.job, states)
        release_split(
            split,
            receipt.layers,
            bench.job,
            states,
            LocalOpener(),
            dict.fromkeys(places, store),
            dict.fromkeys(places, folder),
            digest,
            None,
        )


def _no_states() -> tuple[Any, Any]:
    return pa.array([], pa.uint64()).to_numpy(), pa.array([], pa.uint8()).to_numpy()


def _long_list(place: Path) -> Path:
    """Make a list of 10,000 terms of at least three characters, taken evenly from a public one."""
    folder = place / "houbb"
    folder.mkdir()
    terms = {fold_term(orjson.loads(line)["term"]).strip() for line in HOUBB.read_bytes().splitlines()}
    long = sorted(term for term in terms if len(term) >= 3 and not set(term) & set('\t\n#"'))
    chosen = [long[number * len(long) // 10_000] for number in range(10_000)]
    lines = ["term\tcategory\tlevel", *(f"{term}\tA.1.a\tpossible" for term in chosen)]
    (folder / "terms.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    describe(folder, kind="lexicon", version=1, names=["terms.tsv"], title="", licence="Apache-2.0", made_with="")
    return folder


# Whole jobs


def measure_jobs(corpora: dict[str, Path], rounds: int) -> list[Figure]:
    """Measure whole jobs, each in a process of its own, by turns."""
    adopt_orphans()
    cores = os.cpu_count() or 1
    kinds = {
        "bare loop": ("loop", 0, ""),
        "Beam, in place": ("beam", 0, ""),
        f"Beam, {cores} workers": ("beam", cores, ""),
        "in place, all but category": ("beam", 0, "most"),
        "in place, everything": ("beam", 0, "all"),
    }
    sizes = {form: json.loads((corpora[form] / "facts.json").read_text())["total"] / 1e6 for form in corpora}
    figures = {f"{form}: {kind}": Figure(f"{form}: {kind}", []) for form in corpora for kind in kinds}
    # The functions of transforms import Beam, so that the bare loop pays for that too; here it is by itself.
    imports = Figure("of which imports", [])
    for number in range(rounds):
        any_form = next(iter(corpora))
        imports.rounds.append(1000 * spent("imports", corpora[any_form], 0) / sizes[any_form])
        for form in corpora:
            for kind, (how, workers, taggers) in turned(list(kinds.items()), number):
                used = spent(how, corpora[form], workers, taggers)
                figures[f"{form}: {kind}"].rounds.append(1000 * used / sizes[form])
    return [*figures.values(), imports]


def adopt_orphans() -> None:
    """Let orphans come to this process, so that no worker's time is lost."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def turned(items: list[Any], number: int) -> list[Any]:
    """Let another one begin each round."""
    return items[number % len(items) :] + items[: number % len(items)]


def spent(how: str, corpus: Path, workers: int, taggers: str = "", run_file: Path | None = None) -> float:
    """Return CPU-seconds of a whole job in a process of its own; see :func:`run_once`."""
    before, besides = cpu(), children()
    command = [sys.executable, __file__, str(corpus), "--run", how, "--workers", str(workers), "--taggers", taggers]
    command += [] if run_file is None else ["--run-file", str(run_file)]
    subprocess.run(command, check=True, cwd=Path.cwd())
    return spent_since(before, besides)


def children() -> frozenset[int]:
    """Return the children of this process, adopted ones too."""
    lists = [path.read_text() for path in Path("/proc/self/task").glob("*/children")]
    return frozenset(int(pid) for text in lists for pid in text.split())


def spent_since(before: float, besides: frozenset[int] = frozenset()) -> float:
    """Return CPU-seconds spent since :func:`cpu` gave ``before``, once the last child has ended but those ``besides``: services go on."""
    while waited := children() - besides:
        for pid in waited:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
    return cpu() - before


def run_once(how: str, corpus: Path, workers: int, taggers: str, run_file: Path | None = None) -> None:
    """Do a whole job up to its outcome, by Beam's graph or with the graph's functions in a loop.

    Args:
        run_file: what the job is; its outcome is then published too, as a run of the command does.
    """
    import transforms.release
    import transforms.tag  # noqa: F401
    from pipeline.corpus import Corpus
    from pipeline.launch import launch, prepare
    from pipeline.publish import publish

    if how == "imports":
        return
    with tempfile.TemporaryDirectory(prefix="winnow-bench-", dir=corpus.parent) as output:
        given: dict[str, Any] = {"inputs": (str(corpus),), "output": output, "as_of": "2026-01-01"}
        if taggers:
            given["taggers"] = _all_taggers(Path(output), category=taggers == "all")
        settings = from_options(given)
        if run_file is not None:
            found = read_run_file(run_file)
            settings = replace(found, file=found.file.model_copy(update={"output": output, "as_of": date(2026, 1, 1)}))
        run = prepare(settings)
        if how == "beam":
            launch(replace(run, workers=workers), to_publish=run_file is not None)
        else:
            outcome = bare_loop(run)
            if run_file is not None:
                publish(Corpus(run.job.root), outcome, datetime.now(UTC).isoformat())


def bare_loop(run: Any) -> Outcome:
    """Do what the graph does, one call after another, and return what it came to."""
    from transforms.plan import named_shards, plan_task, plan_tasks
    from transforms.release import release_task
    from transforms.tag import tag_task
    from transforms.workspace import workspace

    job, space = run.job, workspace(run.job)
    means = job, space.store, space.scratch
    tasks = plan_tasks(named_shards(run.patterns, job, run.input_root), job, run.input_root, run.base)
    packs = [plan_task(task, (job, run.input_root), _ignore) for task in tasks]
    agenda = settle(packs, Catalogue.empty(), job, False, space.store, space.scratch)
    todo = tag_tasks(agenda, job, space.store)
    tagged = itertools.groupby((each for task in todo for each in _receipts(tag_task(task, job, _ignore))), _first)
    bundles = [
        bundle(number, [each for _, each in receipts], space.store, space.scratch) for number, receipts in tagged
    ]
    judged = judge_sources(agenda, bundles, *means)
    tasks = release_tasks(judged, agenda, job, space.store)
    released = itertools.groupby(
        (each for task in tasks for each in _receipts(release_task(task, job, _ignore))), _first
    )
    concluded = [
        conclude_segment(agenda, judged, number, dict(each for _, each in receipts), *means)
        for number, receipts in released
    ]
    return conclude(agenda, judged, concluded, 0, *means)


def _receipts(measured: list[Any]) -> Iterator[Any]:
    return (each.receipt for each in measured)


def _first(receipt: tuple[int, Any]) -> int:
    return receipt[0]


if __name__ == "__main__":
    main()
