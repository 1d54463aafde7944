"""The ``winnow`` command."""

import sys
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models.errors import UsageError, WinnowError
from pipeline.config import Settings, from_options, read_run_file

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    help="Screen training corpora: tag every record, keep, redact, quarantine or drop it by policy, and say why.",
)
out = Console(highlight=False, soft_wrap=True)

Shards = Annotated[list[str] | None, typer.Argument(help="A run file (.yaml), or shards: files, folders, globs.")]
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
ModeOption = Annotated[str, typer.Option("--mode", help="in_memory, or multi_processing of Beam.", hidden=True)]


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
) -> Settings:
    given: dict[str, Any] = {
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
    if len(shards) == 1 and shards[0].endswith((".yaml", ".yml")):
        settings = read_run_file(Path(shards[0]))
        changed = {name: value for name, value in given.items() if value is not None}
        if text or record_id or source or url:
            raise UsageError("columns stand in the run file; --text, --id, --source and --url are for runs without one")
        if not changed:
            return settings
        merged = settings.file.model_dump(mode="json", exclude_unset=True) | changed
        return Settings(from_options(merged).file, settings.folder, settings.name)
    if output is None:
        raise UsageError("where to? name an output folder: -o OUT")
    if text:
        given["columns"] = {"text": tuple(text), "id": record_id, "source": source, "url": url}
    elif record_id or source or url:
        raise UsageError("--id, --source and --url go with --text: name the text column too")
    return from_options(given | {"inputs": tuple(shards)})


def _run(
    settings: Settings, until: str, to_publish: bool, sample: str | None, limit: int, quiet: bool, mode: str
) -> None:
    from pipeline.launch import launch, prepare
    from pipeline.progress import Shown
    from pipeline.summary import show_result

    run = prepare(settings, sample_ppm=_ppm(sample), limit=limit, until=until)
    with Shown(quiet):
        result = launch(run, to_publish=to_publish, mode=mode, say=out.print)
    show_result(out, run, result)


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
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Stop before publishing.")] = False,
    quiet: QuietOption = False,
    mode: ModeOption = "in_memory",
) -> None:
    """Screen shards and publish a release.

    Without a run file, columns are recognised by their usual names, and the shipped policy and taggers are used.
    """
    settings = _settings(
        shards, output, text, record_id, source, url, encoding, policy, input_root, workers, as_of, exact
    )
    _run(settings, "release", not no_publish, sample, limit, quiet, mode)


def main() -> None:
    """Run the command; errors that a person can mend are said in one line each, without a traceback."""
    try:
        app(standalone_mode=False)
    except WinnowError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"winnow: {error}", markup=False)
        sys.exit(error.exit_code)
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        import click

        if isinstance(error, click.exceptions.ClickException):
            error.show()
            sys.exit(2)
        if isinstance(error, click.exceptions.Abort):
            sys.exit(1)
        raise


if __name__ == "__main__":
    main()
