"""``winnow review``: samples for people and held-out detectors, and what comes back from them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from models.errors import UsageError
from pipeline.command_options import JsonOption, Output, corpus_at

if TYPE_CHECKING:
    from models.review_import import Imported
    from models.reviews import Reviews
    from pipeline.corpus import Corpus
    from pipeline.review_package import Packaged
    from pipeline.review_sample import Wanted

app = typer.Typer(
    no_args_is_help=True, help="Draw samples for people to judge, bring in their verdicts, test what was kept."
)
out = Console(highlight=False, soft_wrap=True)

FormOption = Annotated[str, typer.Option("--format", help="Of the package: jsonl or csv.")]


@app.command("sample")
def review_sample(
    output: Output,
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            help="human: 4,000 records of all that was kept. technical: a tenth of it, by a held-out detector. sources: 400 of each source.",
            show_default=False,
        ),
    ],
    salt: Annotated[
        str,
        typer.Option(
            help="Secret that decides the draw: 16 random bytes or more, the same for every sample.", show_default=False
        ),
    ],
    to: Annotated[Path | None, typer.Option("--to", help="New folder for the package: texts, restricted.")] = None,
    source: Annotated[list[str] | None, typer.Option("--source", help="Only this source; may be given again.")] = None,
    size: Annotated[
        int, typer.Option(help="Records, of each source with --for sources; 0 for the usual number.", min=0)
    ] = 0,
    form: FormOption = "jsonl",
    blind: Annotated[
        bool, typer.Option("--blind", help="People do not see the source. What detectors found they never see.")
    ] = False,
    policy: Annotated[
        str | None, typer.Option(help="For sources: the policy of the release, if it does not ship.")
    ] = None,
    detector: Annotated[
        Path | None, typer.Option("--detector", help="For technical: run file whose taggers and policy judge.")
    ] = None,
    new_series: Annotated[
        str,
        typer.Option("--new-series", metavar="REASON", help="Why another salt takes over; everything is drawn anew."),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Draw records of the current release, the same ones whatever the cuts, engine or workers, and pack them for people."""
    from models.reviews import HUMAN, SOURCES, TECHNICAL
    from models.strict import near_miss
    from pipeline.review_sample import Wanted

    purposes = (HUMAN, TECHNICAL, SOURCES)
    if purpose not in purposes:
        raise UsageError(f"--for {purpose}: there are {', '.join(purposes)}{near_miss(purpose, purposes)}")
    _check_options(
        purpose,
        {
            "--to": (to is not None, (HUMAN, SOURCES)),
            "--source": (bool(source), (SOURCES,)),
            "--size": (bool(size), (HUMAN, SOURCES)),
            "--blind": (blind, (HUMAN, SOURCES)),
            "--policy": (policy is not None, (SOURCES,)),
            "--detector": (detector is not None, (TECHNICAL,)),
        },
    )
    corpus = corpus_at(output)
    today = datetime.now(UTC).date().isoformat()
    wanted = Wanted(purpose, salt, new_series, today, size, tuple(source or ()), policy or "", blind)
    with corpus.store.in_use():
        if purpose == TECHNICAL:
            _technical(corpus, wanted, detector, as_json)
        else:
            _for_people(corpus, wanted, to, form, as_json)


def _check_options(purpose: str, given: dict[str, tuple[bool, tuple[str, ...]]]) -> None:
    for option, (is_given, purposes) in given.items():
        if is_given and purpose not in purposes:
            raise UsageError(f"{option} is for {' and '.join(purposes)}, not for --for {purpose}; leave it out")


def _for_people(corpus: "Corpus", wanted: "Wanted", to: Path | None, form: str, as_json: bool) -> None:
    from models.review_standing import curve_in_words, operating_curve, sources_of, standing
    from models.reviews import HUMAN
    from pipeline.review_package import place_for
    from pipeline.review_sample import HUMAN_SIZE, sample

    if to is None:
        raise UsageError("where to? name a new folder that only those who judge can read: --to FOLDER")
    found = sample(corpus, wanted, place_for(to, form, corpus))
    facts = standing(found.reviews, found.sample)
    is_whole = facts["drawn"] == facts["population"]
    curve = operating_curve(facts["drawn"]) if wanted.purpose == HUMAN and not is_whole else None
    if as_json:
        package = None if found.package is None else {"folder": str(found.package.folder), "tasks": found.package.tasks}
        out.print(_json(facts | {"package": package, "curve": curve}), markup=False)
        return
    what = "all that was kept" if wanted.purpose == HUMAN else f"{sources_of(found.sample):,} sources"
    earlier = f", {facts['asked_earlier']:,} of them asked before" if facts["asked_earlier"] else ""
    out.print(
        f"{found.sample.entry}: {facts['drawn']:,} of {facts['population']:,} records of {what} in release {facts['release']}, "
        f"{facts['tasks']:,} texts{earlier}",
        markup=False,
    )
    for line in _packaged(found.package):
        out.print(line, markup=False)
    if curve is not None:
        for line in curve_in_words(curve):
            out.print(line, markup=False)
        if facts["drawn"] < HUMAN_SIZE:
            out.print(f"the rule asks for {HUMAN_SIZE:,} records (TC260-003, 9.2 a); this is a trial", markup=False)
    elif wanted.purpose == HUMAN:
        out.print("every record is in the sample, so its share is no estimate", markup=False)


def _packaged(package: "Packaged | None") -> Iterator[str]:
    if package is None:
        yield "every text was asked before, so there is no new package"
        return
    yield f"{package.tasks:,} texts to judge in {package.folder}: restricted, before redaction; two people judge each, alone"
    if package.long:
        yield f"{package.long:,} of them are longer than a cell of a spreadsheet: edit them elsewhere, or take --format jsonl"


def _technical(corpus: "Corpus", wanted: "Wanted", detector: Path | None, as_json: bool) -> None:
    from pipeline.config import make_job, read_run_file
    from pipeline.review_detector import check_technically

    if detector is None:
        raise UsageError("--for technical: name the run file of a detector that did not filter: --detector RUNFILE")
    found = check_technically(corpus, wanted, make_job(read_run_file(detector)))
    facts = dict(found.facts)
    if as_json:
        out.print(_json(facts | {"entry": found.entry}), markup=False)
        return
    for line in _check_in_words(found.entry, facts):
        out.print(line, markup=False)


def _check_in_words(entry: str, facts: dict[str, Any]) -> Iterator[str]:
    said = "passed" if facts["passed"] else "NOT passed"
    yield (
        f"{entry}: technical, release {facts['release']}: {facts['bad']:,} bad of {facts['checked']:,} checked, {facts['allowed']:,} allowed "
        f"(98 %): {said}; drawn from {facts['population']:,} records that were kept"
    )
    for category, count in facts["by_category"].items():
        yield f"  {category}: {count:,}"
    yield f"  detector: {_taggers(facts['detector']['taggers'])}, policy {facts['detector']['policy']}"
    yield f"  filter: {_taggers(facts['filter']['taggers'])}"


def _taggers(taggers: dict[str, str]) -> str:
    return ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(taggers.items()))


@app.command("import")
def review_import(
    output: Output,
    files: Annotated[list[Path], typer.Argument(help="Packages that came back, filled in.", show_default=False)],
    partial: Annotated[
        bool, typer.Option("--partial", help="Tasks may be missing; the sample waits for them.")
    ] = False,
    replace: Annotated[
        str, typer.Option(metavar="REASON", help="Why verdicts take the place of others by the same people.")
    ] = "",
    annotators: Annotated[
        Path | None, typer.Option("--annotators", help="CSV: name, qualified_until; nobody else may judge.")
    ] = None,
    adjudicate: Annotated[
        Path | None, typer.Option("--adjudicate", help="New folder for the texts on which two people differ.")
    ] = None,
    form: FormOption = "jsonl",
    as_json: JsonOption = False,
) -> None:
    """Check what came back from people and enter their verdicts, all or nothing."""
    from models.review_files import read_answers
    from models.review_import import Terms, import_answers, read_register
    from models.review_standing import standing
    from models.taxonomy import load_taxonomy
    from pipeline.review_adjudicate import adjudicate as pack
    from pipeline.review_package import place_for

    corpus = corpus_at(output)
    place = None if adjudicate is None else place_for(adjudicate, form, corpus)
    answers = [read_answers(path) for path in files]
    taxonomy = corpus.manifest()["job"]["policy"]["taxonomy"]
    terms = Terms(
        load_taxonomy(taxonomy),
        datetime.now(UTC).date().isoformat(),
        partial,
        replace,
        None if annotators is None else read_register(annotators),
    )
    done = import_answers(corpus.store, corpus.store.scratch, answers, terms)
    package = None if place is None else pack(done.reviews, answers, done.answered, place, taxonomy)
    facts = [standing(done.reviews, done.reviews.samples[name]) for name in done.samples]
    if as_json:
        folder = None if package is None else {"folder": str(package.folder), "tasks": package.tasks}
        out.print(
            _json({"entry": done.entry or None, "new": done.fresh, "samples": facts, "package": folder}), markup=False
        )
        return
    out.print(_entered(done), markup=False)
    for each in facts:
        for line in _in_words(each):
            out.print(line, markup=False)
    disputed = sum(done.reviews.is_disputed(task) for task in done.answered)
    if package is not None:
        out.print(f"{package.tasks:,} texts for a third person in {package.folder}: restricted", markup=False)
    elif disputed:
        out.print(
            f"{disputed:,} texts are for a third person: the same command with --adjudicate FOLDER packs them",
            markup=False,
        )


def _entered(done: "Imported") -> str:
    return (
        f"{done.entry}: {done.fresh:,} verdicts entered"
        if done.entry
        else "every verdict was there already; nothing was entered"
    )


@app.command("status")
def review_status(output: Output, as_json: JsonOption = False) -> None:
    """Say of every sample what was drawn, what is open, how far people agree, and which tests are passed."""
    from models.reviews import read_reviews

    reviews = read_reviews(corpus_at(output).store)
    if not reviews.samples and not reviews.checks and not as_json:
        out.print(f"no sample yet; draw one with: winnow review sample {output} --for human …", markup=False)
    for kind, facts in _standings(reviews):
        if as_json:
            out.print(_json(facts), markup=False)
            continue
        for line in _in_words(facts) if kind == "sample" else _check_in_words(facts["entry"], facts):
            out.print(line, markup=False)


def _standings(reviews: "Reviews") -> Iterator[tuple[str, dict[str, Any]]]:
    from models.review_standing import standing

    for entry in reviews.entries:
        if entry.id in reviews.samples:
            yield "sample", standing(reviews, reviews.samples[entry.id])
        elif entry.id in reviews.checks:
            # Who reads a report must not learn what will be drawn.
            yield "check", {key: value for key, value in entry.facts.items() if key != "salt"} | {"entry": entry.id}


def _in_words(facts: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{facts['sample']}: {facts['purpose']}, release {facts['release']}, series {facts['series']}: {facts['drawn']:,} of "
        f"{facts['population']:,} records, {facts['tasks']:,} texts: {facts['final']:,} final, {facts['disputed']:,} for a third person, "
        f"{facts['open']:,} open"
    )
    for each in facts["agreement"]:
        value = "undefined: both said one word throughout" if each["kappa"] is None else f"{each['kappa']:.3f}"
        one, other = each["people"]
        yield f"  {one} and {other}: the same on {each['same']:,} of {each['records']:,}, Cohen's kappa {value}"
    if facts["seconds"]:
        yield "  seconds a text: " + ", ".join(f"{name} {value:,}" for name, value in facts["seconds"].items())
    if facts["purpose"] == "human":
        said = {True: "passed", False: "NOT passed", None: "open until every text is final"}[facts["passed"]]
        yield f"  {facts['bad']:,} bad so far, {facts['allowed']:,} allowed (96 %): {said}"
    elif not facts["complete"]:
        yield f"  {facts['unlawful']:,} unlawful so far; it counts for its sources when every text is final"
    else:
        yield f"  {facts['unlawful']:,} unlawful; counts for its sources from the next run on"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
