"""The ``winnow`` command."""

import functools
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models.errors import NO_ROOM, UsageError, WinnowError, way_out
from pipeline import document_commands, review_commands, source_commands, withdraw_commands
from pipeline.beam_options import read_beam_options
from pipeline.config import RunFile, Settings, absolute, from_options, read_run_file
from pipeline.engines import check_workers
from pipeline.index_commands import index_app
from pipeline.model_commands import app as model_app

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Screen training corpora: tag every record, keep, redact, quarantine or drop it by policy, and say why.",
)
out = Console(highlight=False, soft_wrap=True)


def _show_version(wanted: bool) -> None:
    if wanted:
        out.print(f"winnow {version('winnow-corpus')}")
        raise typer.Exit


@app.callback()
def _common(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and leave.")
    ] = False,
) -> None:
    pass


Shards = Annotated[
    list[str] | None,
    typer.Argument(help="A run file (.yaml), shards (files, folders, globs), or both: then instead of its inputs."),
]
OutputOption = Annotated[str | None, typer.Option("--output", "-o", help="Folder of the corpus.")]
TextOption = Annotated[list[str] | None, typer.Option("--text", help="Text column, if not recognised.")]
IdOption = Annotated[str | None, typer.Option("--id", help="Id column.")]
SourceOption = Annotated[str | None, typer.Option("--source", help="Source column.")]
UrlOption = Annotated[str | None, typer.Option("--url", help="URL column.")]
EncodingOption = Annotated[str | None, typer.Option(help="Encoding of JSONL: utf-8, gb18030, utf-16.")]
PolicyOption = Annotated[str | None, typer.Option(help="Shipped policy or path of one.")]
RootOption = Annotated[str | None, typer.Option("--input-root", help="Shards are named by their path below it.")]
WorkersOption = Annotated[int | None, typer.Option(help="Processes; default is one a core.")]
AsOfOption = Annotated[str | None, typer.Option(help="The date that comparisons use; default is today in UTC.")]
SampleOption = Annotated[str | None, typer.Option(help="Try the run on a share of the records: 1%.")]
LimitOption = Annotated[int, typer.Option(help="Try the run on the first N records.", min=0)]
ExactOption = Annotated[bool, typer.Option("--exact", help="Shards that are not named leave the corpus.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
LogOption = Annotated[bool, typer.Option("--log-json", help="Structured logs on standard error, in place of progress.")]
RunnerOption = Annotated[str | None, typer.Option("--runner", help="Engine: local, prism, flink or dataflow.")]
BeamOption = Annotated[
    list[str] | None,
    typer.Option("--beam", metavar="NAME=VALUE", help="Any pipeline option of Beam or its runner, by its name."),
]


def _settings(
    shards: list[str] | None,
    output: str | None,
    text: list[str] | None,
    record_id: str | None,
    source: str | None,
    url: str | None,
    encoding: str | None,
    policy: str | None,
    input_root: str | None,
    workers: int | None,
    as_of: str | None,
    exact: bool,
    runner: str | None = None,
    beam: list[str] | None = None,
) -> Settings:
    given: dict[str, Any] = {
        "runner": runner,
        "beam": read_beam_options(beam or ()) or None,
        "output": output,
        "encoding": encoding,
        "policy": policy,
        "input_root": input_root,
        "workers": workers,
        "as_of": as_of,
        "exact": exact or None,
    }
    if not shards:
        raise UsageError("name a run file, or shards and an output: winnow run SHARDS… -o OUT")
    if shards[0].endswith((".yaml", ".yml")):
        settings = read_run_file(Path(shards[0]))
        changed = {name: value for name, value in given.items() if value is not None}
        if text or record_id or source or url:
            raise UsageError("columns stand in the run file; --text, --id, --source and --url are for runs without one")
        if shards[1:]:
            changed["inputs"] = tuple(absolute(shard, Path.cwd()) for shard in shards[1:])
        for name in ("output", "input_root", "policy"):  # relative to here, unlike what stands in the run file
            if name in changed and (name != "policy" or changed[name].endswith((".yaml", ".yml"))):
                changed[name] = absolute(changed[name], Path.cwd())
        file = from_options({"inputs": settings.file.inputs, "output": settings.file.output} | changed).file
        if "beam" in changed:  # added to those of the run file
            changed["beam"] = settings.file.beam | changed["beam"]
        merged = settings.file.model_copy(update={name: getattr(file, name) for name in changed})
        check_workers(merged.runner, workers)
        return Settings(merged, settings.folder, settings.name)
    if output is None:
        raise UsageError("where to? name an output folder: -o OUT")
    if text:
        given["columns"] = {"text": tuple(text), "id": record_id, "source": source, "url": url}
    elif record_id or source or url:
        raise UsageError("--id, --source and --url go with --text: name the text column too")
    check_workers(runner or "local", workers)
    return from_options(given | {"inputs": tuple(shards)})


def _run(
    settings: Settings,
    until: str,
    to_publish: bool,
    sample: str | None,
    limit: int,
    quiet: bool,
    log_json: bool,
    name: str | None = None,
) -> None:
    from pipeline.corpus import Corpus
    from pipeline.launch import launch, prepare
    from pipeline.progress import Shown
    from pipeline.summary import show_notices, show_result
    from transforms.logs import log_notice, log_to_stderr
    from transforms.pool import warm_up

    warm_up()
    run = prepare(settings, sample_ppm=_ppm(sample), limit=limit, until=until, name=name)
    if log_json:
        log_to_stderr()
    with Shown(quiet or log_json):
        result = launch(run, to_publish=to_publish, say=out.print)
    show_result(out, run, result)
    if result.published is not None:
        show_notices(Corpus(run.job.root), functools.partial(log_notice, run.name) if log_json else None)


def _submit(settings: Settings, sample: str | None, limit: int, name: str | None, dry_run: Path | None) -> None:
    from pipeline.dataflow import write_dry_run
    from pipeline.launch import leave, prepare

    run = prepare(settings, sample_ppm=_ppm(sample), limit=limit, name=name)
    if dry_run is not None:
        if run.engine.name != "dataflow":
            raise UsageError("--dry-run is for --runner dataflow; elsewhere try a run with --sample or --limit")
        for path in write_dry_run(run, dry_run):
            out.print(f"wrote {path}", markup=False)
        return
    leave(run)
    out.print(
        f"run {run.name} is submitted; follow it with: winnow status {run.job.root} --run {run.name}", markup=False
    )


def _ppm(sample: str | None) -> int:
    if sample is None:
        return 1_000_000
    try:
        share = Fraction(sample.strip().removesuffix("%")) / (100 if sample.strip().endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"--sample {sample}: say a share such as 1% or 0.01") from None
    if not 0 < share <= 1:
        raise UsageError(f"--sample {sample}: must be over 0 and at most 100%")
    return max(1, int(share * 1_000_000))


@app.command()
def run(
    shards: Shards = None,
    output: OutputOption = None,
    text: TextOption = None,
    record_id: IdOption = None,
    source: SourceOption = None,
    url: UrlOption = None,
    encoding: EncodingOption = None,
    policy: PolicyOption = None,
    input_root: RootOption = None,
    workers: WorkersOption = None,
    as_of: AsOfOption = None,
    sample: SampleOption = None,
    limit: LimitOption = 0,
    exact: ExactOption = False,
    dry_run: Annotated[
        Path | None,
        typer.Option("--dry-run", help="Dataflow: write job and pipeline into this folder, submit nothing."),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Submit and leave; follow with winnow status, then winnow publish --run.")
    ] = False,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Stop before publishing.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Name of this run, never used before.")] = None,
    quiet: QuietOption = False,
    log_json: LogOption = False,
    runner: RunnerOption = None,
    beam: BeamOption = None,
) -> None:
    """Screen shards and publish a release.

    Without a run file, columns are recognised by their usual names, and the shipped policy and taggers are used.
    """
    settings = _settings(
        shards, output, text, record_id, source, url, encoding, policy, input_root, workers, as_of, exact, runner, beam
    )
    if dry_run is not None or detach:
        _submit(settings, sample, limit, name, dry_run)
    else:
        _run(settings, "release", not no_publish, sample, limit, quiet, log_json, name)


def _add_stage(name: str, until: str, said: str) -> None:
    """Add the command of a stage, which takes what ``run`` takes and stops after it."""

    @app.command(name, help=said)
    def stage(
        shards: Shards = None,
        output: OutputOption = None,
        text: TextOption = None,
        record_id: IdOption = None,
        source: SourceOption = None,
        url: UrlOption = None,
        encoding: EncodingOption = None,
        policy: PolicyOption = None,
        input_root: RootOption = None,
        workers: WorkersOption = None,
        as_of: AsOfOption = None,
        sample: SampleOption = None,
        limit: LimitOption = 0,
        exact: ExactOption = False,
        quiet: QuietOption = False,
        log_json: LogOption = False,
        runner: RunnerOption = None,
        beam: BeamOption = None,
    ) -> None:
        settings = _settings(
            shards,
            output,
            text,
            record_id,
            source,
            url,
            encoding,
            policy,
            input_root,
            workers,
            as_of,
            exact,
            runner,
            beam,
        )
        _run(settings, until, False, sample, limit, quiet, log_json)


_add_stage("plan", "plan", "Hash and cut shards, and say what a run would read; nothing is tagged or written out.")
_add_stage("tag", "tag", "Plan and tag; layers are kept for the run that follows.")
_add_stage("judge", "judge", "Plan, tag and judge sources; say what a release would rewrite.")
_add_stage("release", "release", "Everything but publishing; the same as: winnow run --no-publish.")


JsonOption = Annotated[bool, typer.Option("--json", help="Say it for programs.")]
Output = Annotated[str, typer.Argument(help="Folder of the corpus, or gs://BUCKET/FOLDER.")]
ReleaseOption = Annotated[
    int | None, typer.Option("--release", help="Number of the release; default is the current one.")
]
RunOption = Annotated[str | None, typer.Option("--run", help="Name of a finished run; default is the last.")]


@app.command()
def publish(output: Output, run: RunOption = None) -> None:
    """Publish what a run --no-publish made, unless that was done before."""
    from pipeline.corpus import Corpus
    from pipeline.publish import publish as publish_outcome
    from pipeline.summary import show_notices
    from pipeline.waiting import waiting

    corpus = Corpus(absolute(output, Path.cwd()))
    corpus.check_exists()
    with corpus.store.in_use():
        _, outcome, started = waiting(corpus, run)
        published = publish_outcome(corpus, outcome, started)
    out.print(f"release {published.number} is {'in' if published.is_new else 'up to date in'} {output}", markup=False)
    show_notices(corpus)


@app.command()
def status(
    output: Output,
    run: RunOption = None,
    watch: Annotated[
        float, typer.Option(help="Say it again every so many seconds until the run has ended.", min=0)
    ] = 0,
    patience: Annotated[
        float, typer.Option(help="Stop watching a run that has given no sign of life for so many seconds.", min=1)
    ] = 3600,
    as_json: JsonOption = False,
) -> None:
    """Say where the last run stands, on whatever engine, from any machine that sees the output."""
    from pipeline.corpus import Corpus
    from pipeline.status import ENDED, in_words
    from pipeline.status import status as look

    corpus = Corpus(absolute(output, Path.cwd()))
    seen: dict[str, float] = {}
    while True:
        found = look(corpus, run, seen)
        if as_json:
            out.print(json.dumps(asdict(found), ensure_ascii=False, sort_keys=True), markup=False)
        else:
            for line in in_words(found):
                out.print(line, markup=False)
        if not watch or found.state in ENDED:
            break
        if found.silent > patience:
            raise WinnowError(
                f"run {found.run} has given no sign of life for {found.silent:,.0f} s; it is watched no more"
            )
        time.sleep(watch)
    if found.state == "failed":
        raise typer.Exit(1)


@app.command()
def check(
    shards: Shards = None,
    output: OutputOption = None,
    text: TextOption = None,
    record_id: IdOption = None,
    source: SourceOption = None,
    url: UrlOption = None,
    encoding: EncodingOption = None,
    policy: PolicyOption = None,
    input_root: RootOption = None,
    workers: WorkersOption = None,
    as_of: AsOfOption = None,
    exact: ExactOption = False,
    runner: RunnerOption = None,
    beam: BeamOption = None,
) -> None:
    """Check a run file, its policy, lists, inputs and output, without running it."""
    from pipeline.check import check as check_settings

    settings = _settings(
        shards, output, text, record_id, source, url, encoding, policy, input_root, workers, as_of, exact, runner, beam
    )
    for line in check_settings(settings):
        out.print(line, markup=False)


@app.command()
def assess(
    source: Annotated[
        str,
        typer.Option(
            "--source",
            metavar="SOURCE",
            help="Key of the source that all of the probe counts for, as the tables would show it: news.example, dataset:PUBLISHER/NAME.",
            show_default=False,
        ),
    ],
    shards: Shards = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="Corpus whose ledger is to have the result; made if there is none."),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who answers for it, by name; goes with --output.")] = None,
    text: TextOption = None,
    record_id: IdOption = None,
    url: UrlOption = None,
    encoding: EncodingOption = None,
    policy: PolicyOption = None,
    input_root: RootOption = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say from a probe whether a source may be collected.

    Ends with 0 if it may, 5 if not, 6 if that is undecided; with 2 if the command cannot be used as given, 1 if something failed.
    """
    from pipeline.assess import EXIT_CODES, assess_probe, in_lines
    from pipeline.assess import as_json as for_programs

    if not shards:
        raise UsageError("name the probe: winnow assess SHARDS… --source KEY")
    with tempfile.TemporaryDirectory() as nowhere:
        settings = _settings(
            shards, nowhere, text, record_id, None, url, encoding, policy, input_root, None, as_of, exact=False
        )
        done = assess_probe(settings, source, output, by)
    if as_json:
        out.print(json.dumps(for_programs(done), ensure_ascii=False, sort_keys=True), markup=False)
    else:
        for line in in_lines(done):
            out.print(line, markup=False)
    if code := EXIT_CODES[done.found.decision]:
        raise typer.Exit(code)


@app.command()
def estimate(
    run: Annotated[Path | None, typer.Argument(help="A run file; its shards are only listed.")] = None,
    size: Annotated[str | None, typer.Option("--bytes", help="Suppose so much input instead: 5GB, 100TB.")] = None,
    form: Annotated[str, typer.Option("--format", help="Of supposed input: parquet, jsonl, jsonl.gz.")] = "parquet",
    shard_size: Annotated[str, typer.Option(help="Of supposed shards.")] = "1GB",
    cores: Annotated[int, typer.Option(help="Cores that work at once.", min=1)] = 64,
    core_hour: Annotated[float | None, typer.Option(help="Price of a core-hour.", min=0)] = None,
    gb_month: Annotated[float | None, typer.Option(help="Price of a gigabyte stored for a month.", min=0)] = None,
    thousand_operations: Annotated[float | None, typer.Option(help="Price of 1,000 requests.", min=0)] = None,
    new: Annotated[float, typer.Option(help="Share of the corpus that a night adds.", min=0, max=1)] = 0.01,
    changed: Annotated[float, typer.Option(help="Share of splits that a new list changes.", min=0, max=1)] = 0.01,
    dense: Annotated[bool, typer.Option("--dense", help="Text full of personal values, 300 in a MB.")] = False,
    many_terms: Annotated[bool, typer.Option("--many-terms", help="A list of 10,000 terms.")] = False,
    list_seconds: Annotated[float, typer.Option(help="Seconds to list 1,000 names.", min=0)] = 0.2,
) -> None:
    """Say what a run would take: core-hours, hours, objects, requests, cost.

    It goes by what stages were measured to take, on the machine and date that it names. Prices are yours to give.
    """
    from pipeline.estimate import DEFAULT_TAGGERS, Means, in_words, inputs_of, supposed, taggers_of

    if (run is None) == (size is None):
        raise UsageError("name a run file, or suppose an input: winnow estimate --bytes 100TB --format jsonl.gz")
    settings = None if run is None else read_run_file(run)
    split_size = RunFile.model_fields["split_size"].default
    inputs = inputs_of(settings) if settings is not None else [supposed(size or "", form, shard_size, split_size)]
    terms, density = "10,000 terms" if many_terms else "illustrative", "dense" if dense else "ordinary"
    prices = core_hour, gb_month, thousand_operations
    taggers = DEFAULT_TAGGERS if settings is None else taggers_of(settings)
    means = Means(cores, taggers, terms, density, new, changed, list_seconds, *prices)  # type: ignore[arg-type]
    for line in in_words(inputs, means):
        out.print(line, markup=False)


@app.command()
def report(
    output: Output,
    release: ReleaseOption = None,
    run: Annotated[str | None, typer.Option("--run", help="Of the release as which this run was published.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="Write the page there instead of saying where it is.")] = None,
    language: Annotated[str, typer.Option("--language", help="Of the page: en or zh.")] = "en",
) -> None:
    """Say where a release's report is, or write a copy of it."""
    from pipeline.corpus import Corpus
    from pipeline.report import PAGES, copy_of
    from pipeline.waiting import published_as, waiting

    corpus = Corpus(absolute(output, Path.cwd()))
    if run is not None:
        if release is not None:
            raise UsageError("--release and --run are two ways to name a release; give one")
        release = published_as(corpus, waiting(corpus, run).outcome) or None
        if release is None:
            raise UsageError(
                f"{output}: run {run} is not published; publish it with: winnow publish {output} --run {run}"
            )
    if language not in PAGES:
        raise UsageError(f"--language {language}: reports are written in {', '.join(PAGES)}")
    found = corpus.release(release)
    if to is None:
        out.print(found.where(PAGES[language]), markup=False)
    else:
        to.write_bytes(copy_of(found.read(PAGES[language])))


@app.command()
def verify(
    output: Output,
    release: ReleaseOption = None,
    is_waiting: Annotated[bool, typer.Option("--waiting", help="What waits to be published, not a release.")] = False,
    run: RunOption = None,
) -> None:
    """Derive every count and state of a release again from its files."""
    from pipeline.corpus import Corpus, why_purged
    from pipeline.report import form
    from pipeline.verify import verify as verify_release
    from pipeline.verify import verify_waiting
    from pipeline.verify_figures import is_other_version
    from pipeline.waiting import waiting

    corpus = Corpus(absolute(output, Path.cwd()))
    if is_waiting or run is not None:
        if release is not None:
            raise UsageError("--release names what is published, --waiting and --run what is not; give one")
        corpus.check_exists()
        with corpus.store.in_use():
            found = waiting(corpus, run)
            faults = list(verify_waiting(corpus, found))
        said = f"run {found.run} is as it says: {found.outcome.counts['read']:,} records"
    else:
        faults = list(verify_release(corpus, release))
        found_release = corpus.release(release)
        manifest = found_release.manifest
        for path, stone in found_release.purged.items():
            out.print(f"{path}: purged by {why_purged(stone)}", markup=False)
        if not is_other_version(manifest) and manifest["form"] != form():
            out.print("its notices and reports are not made again: other code or words made them", markup=False)
        if is_other_version(manifest):
            made_by = manifest["job"]["version"]
            out.print(
                f"its notices, reports and sources.csv are not made again: winnow {made_by} wrote them", markup=False
            )
        said = f"release {manifest['release']} is as it says: {len(manifest['files'])} files, {manifest['counts']['read']:,} records"
    for fault in faults:
        out.print(fault, markup=False)
    if faults:
        raise typer.Exit(1)
    out.print(said, markup=False)


@app.command()
def explain(
    output: Output,
    record: Annotated[str, typer.Argument(help="A record's id, or SHARD#POSITION.")],
    release: ReleaseOption = None,
    index: Annotated[
        list[Path] | None, typer.Option("--index", help="Index of works, to say their titles; may be given twice.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say why a record is where it is."""
    from models.fingerprint_index import open_index
    from pipeline.corpus import Corpus
    from pipeline.explain import explain as find
    from pipeline.explain import in_words

    corpus = Corpus(absolute(output, Path.cwd()))
    manifest = corpus.manifest(release)
    found = list(find(corpus, record, release))
    titles = {work: title for folder in index or () for work, title in open_index(folder).titles.items()}
    if not found:
        raise WinnowError(f"no record {record!r} in release {manifest['release']}; ids are compared exactly")
    for each in found:
        if as_json:
            out.print(json.dumps(asdict(each), ensure_ascii=False, sort_keys=True), markup=False)
        else:
            for line in in_words(each, manifest, titles):
                out.print(line, markup=False)


@app.command()
def files(
    output: Output,
    place: Annotated[str, typer.Argument(help="clean, quarantine, dead, audit, or all.")] = "clean",
    release: ReleaseOption = None,
) -> None:
    """List the files of a release, one a line, by their full paths."""
    from models.parts import PLACES
    from pipeline.corpus import Corpus

    if place not in (*PLACES, "all"):
        raise UsageError(f"{place}: there are {', '.join(PLACES)}, and all")
    corpus = Corpus(absolute(output, Path.cwd()))
    found = corpus.release(release)
    for file in found.manifest["files"]:
        if place in ("all", file["path"].split("/")[0]) and file["path"] not in found.purged:
            out.print(found.where(file["path"]), markup=False)


@app.command()
def gc(
    output: Output,
    keep: Annotated[int, typer.Option(help="Releases to keep, the current one among them.", min=1)] = 3,
    grace: Annotated[float, typer.Option(help="Days for which unnamed objects stay.", min=0)] = 7.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    ended: Annotated[
        list[str] | None, typer.Option("--ended", metavar="RUN", help="This run is dead, do not wait for it.")
    ] = None,
) -> None:
    """Delete old releases and what no kept release names."""
    from pipeline.corpus import Corpus
    from pipeline.gc import collect, give_up

    corpus = Corpus(absolute(output, Path.cwd()))
    give_up(corpus, ended or ())
    done = collect(corpus, keep, grace, is_trial=dry_run)
    said = "would go" if dry_run else "gone"
    names = ", ".join(str(number) for number in done.releases) or "none"
    held = f", {done.withdrawn:,} of them with withdrawn text" if done.withdrawn else ""
    out.print(f"releases {said}: {names}; objects {said}: {done.objects:,} ({done.bytes / 1e6:.1f} MB){held}")


@app.command()
def artefact(
    folder: Annotated[Path, typer.Argument(help="Folder of a list or registry.")],
    kind: Annotated[
        str | None, typer.Option(help="lexicon, blocked or provenance; kept from before if not given, else lexicon.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What it is; kept from before if not given.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Under what terms it may be used; kept from before if not given.")
    ] = None,
) -> None:
    """Describe a folder of terms, of blocked addresses or of sources, with checksums; say so again after each change."""
    from pipeline.artefact_kinds import describe_folder

    out.print(describe_folder(folder, kind, title, licence), markup=False)


app.add_typer(index_app, name="index")
app.add_typer(model_app, name="model")
app.add_typer(withdraw_commands.app, name="withdraw")
app.add_typer(source_commands.app, name="source")
app.add_typer(review_commands.app, name="review")
app.command("query")(withdraw_commands.query)
app.command("document")(document_commands.document)


def main() -> None:
    """Run the command; errors that a person can mend are said in one line each, without a traceback."""
    try:
        app()
    except WinnowError as error:
        # Beam adds the name of the step to messages that pass through it.
        said = re.sub(r" \[while running '[^']*'\]", "", str(error))
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"winnow: {said}", markup=False)
        sys.exit(error.exit_code)
    except OSError as error:
        advice = f". {way_out(error)}, and say the command again" if error.errno in NO_ROOM else ""
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"winnow: {error}{advice}", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
