"""``winnow model``: category models trained and evaluated."""

import json
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Train and evaluate models for the tagger `category`.")
out = Console(highlight=False, soft_wrap=True)

OptionsFile = Annotated[Path, typer.Option("--options", help="YAML: name, licence, languages, label map, fitting.")]
Files = list[Path] | None


@app.command()
def train(
    data: Annotated[list[Path], typer.Argument(help="Labelled records, JSON Lines.")],
    to: Annotated[Path, typer.Option("--output", "-o", help="Folder of the model, new or empty.")],
    options_file: OptionsFile,
    benign: Annotated[
        list[Path], typer.Option(help="Text without risk, unlike the data: the threshold is chosen on it.")
    ],
    negatives: Annotated[Files, typer.Option(help="Text without risk to train on as well.")] = None,
    dev: Annotated[Files, typer.Option(help="Labelled records held out; default is a tenth of the data.")] = None,
    test: Annotated[Files, typer.Option(help="Labelled records, only measured on.")] = None,
    benign_test: Annotated[Files, typer.Option(help="Text without risk, only measured on.")] = None,
    leakage: Annotated[str, typer.Option(help="What to do with text in two parts: remove or refuse.")] = "remove",
) -> None:
    """Train a model. The same data and options give the same bytes."""
    from models.digest import digest_of_file
    from models.model_build import TrainingSet, build_model, write_model
    from models.strict import load_yaml, parse
    from models.training_data import Options, read_benign, read_examples

    if leakage not in ("remove", "refuse"):
        raise UsageError(f"--leakage {leakage}: say remove or refuse")
    options = parse(Options, load_yaml(options_file), str(options_file))
    everything = [*data, *benign, *(negatives or ()), *(dev or ()), *(test or ()), *(benign_test or ())]
    names = _names(everything)

    def labelled(files: Files) -> dict[str, Any]:
        return {names[file]: read_examples(file, options) for file in files or ()}

    def harmless(files: Files) -> dict[str, Any]:
        return {names[file]: read_benign(file, options.text) for file in files or ()}

    def joined(parts: dict[str, Any]) -> list[Any]:
        return [each for part in parts.values() for each in part]

    parts = TrainingSet(
        joined(labelled(data)),
        harmless(benign),
        joined(harmless(negatives)),
        joined(labelled(dev)),
        labelled(test),
        harmless(benign_test),
    )
    built = build_model(parts, options, refuse_leaks=leakage == "refuse")
    made = write_model(to, built, options, {names[file]: digest_of_file(file) for file in everything})
    for part, removed in built.metrics["trained_on"]["removed"].items():
        leaked = ", ".join(f"{count:,} also in {later}" for later, count in removed["leaked"].items() if count)
        out.print(
            f"{part}: {removed['exact']:,} exact and {removed['normalised']:,} normalised duplicates left out"
            f"{f'; {leaked}, left out' if leaked else ''}",
            markup=False,
        )
    _say(built.metrics["dev"], "held out")
    for name, figures in built.metrics["benign_test"].items():
        out.print(f"benign {name}: {figures['flagged']:,} of {figures['records']:,} flagged", markup=False)
    out.print(f"{to}: digest {made.digest[:12]}; read {to / 'card.md'}", markup=False)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Folder of a model, or the name of a shipped one.")],
    data: Annotated[Files, typer.Argument(help="Labelled records, JSON Lines.")] = None,
    options_file: Annotated[
        Path | None, typer.Option("--options", help="As in training: which record has which label.")
    ] = None,
    benign: Annotated[Files, typer.Option(help="Text without risk.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Say it for programs.")] = False,
) -> None:
    """Say how well a model does on other data: at its threshold, and at even odds."""
    from models.category_model import load_model, model_artefact
    from models.evaluation import measure, measure_benign
    from models.strict import load_yaml, parse
    from models.training_data import Options, read_benign, read_examples
    from pipeline.config import shipped_or_own

    if not data and not benign:
        raise UsageError("nothing to evaluate on; name labelled data, or --benign text")
    if data and options_file is None:
        raise UsageError("which record has which label? name the options file: --options OPTIONS.yaml")
    loaded = load_model(model_artefact(shipped_or_own(model, Path.cwd(), "models")))
    options = None if options_file is None else parse(Options, load_yaml(options_file), str(options_file))
    if options is not None and (unknown := set(options.labels) - set(loaded.labels)):
        raise UsageError(
            f"{options_file}: the model has no label {', '.join(sorted(unknown))}; it has {', '.join(loaded.labels)}"
        )
    names = _names([*(data or ()), *(benign or ())])
    text = options.text if options else "text"
    figures = {names[file]: measure(loaded, read_examples(file, options)) for file in data or () if options}
    harmless = {names[file]: measure_benign(loaded, read_benign(file, text)) for file in benign or ()}
    if as_json:
        out.print(json.dumps({"data": figures, "benign": harmless}, ensure_ascii=False, sort_keys=True), markup=False)
        return
    for name, each in figures.items():
        _say(each, name)
    for name, each in harmless.items():
        out.print(
            f"benign {name}: {each['flagged']:,} of {each['records']:,} flagged ({each['share']:.2%})", markup=False
        )


def _names(files: list[Path]) -> dict[Path, str]:
    """Return a name for each file, no two the same: its own, after as many of its folders as tell it from the others."""
    places = [(file.parent.resolve() / file.name).parts[1:] for file in files]  # a link keeps its name
    names = {}
    for file, place in zip(files, places, strict=True):
        others = {other for other in places if other != place}
        length = next(n for n in count(1) if place[-n:] not in {other[-n:] for other in others})
        names[file] = "/".join(place[-length:])
    return names


def _say(figures: dict[str, Any], name: str) -> None:
    at, even = figures["at_threshold"], figures["at_even_odds"]
    out.print(
        f"{name}: {figures['records']:,} records, {figures['risky']:,} with a risk; at the threshold precision {at['precision']:.3f}, "
        f"recall {at['recall']:.3f}, macro-F1 {at['macro_f1']:.3f}; at even odds macro-F1 {even['macro_f1']:.3f}",
        markup=False,
    )
    for label, each in figures["labels"].items():
        count = each["found"] + each["missed"]
        out.print(
            f"  {label}: {count:,} records, precision {each['precision']:.3f}, recall {each['recall']:.3f}",
            markup=False,
        )
