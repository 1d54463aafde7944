"""``winnow document``: documents of a release for auditors and supervisors."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from models.errors import UsageError
from pipeline.command_options import Output, corpus_at

_INSTRUMENT = "tc260-003"


def document(
    output: Output,
    kind: Annotated[str, typer.Option("--kind", help="clauses, diversity or statement.", show_default=False)],
    release: Annotated[int | None, typer.Option(help="Number of the release; default is the current one.")] = None,
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    form: Annotated[str, typer.Option("--format", help="md, html or json.")] = "md",
    to: Annotated[Path | None, typer.Option("--to", help="File to write; default is standard output.")] = None,
    answers: Annotated[Path | None, typer.Option(help="clauses: YAML file with what people say of clauses.")] = None,
    languages: Annotated[
        str | None,
        typer.Option(help="Languages that the corpus is meant to be of: zh,en; default is those with --least-share."),
    ] = None,
    least_share: Annotated[str, typer.Option(help="Of clean records, from which on a language is asked about.")] = "1%",
    least_sources: Annotated[int, typer.Option(help="So many sources of a language are several.", min=1)] = 2,
    foreign: Annotated[
        str | None, typer.Option(help="Band of the share of foreign records: 0%-30%; default is none.")
    ] = None,
) -> None:
    """Write a document of a release: what it shows of each clause of TC260-003, how diverse it is, or what a supervisor asks."""
    from models.instruments import load_instrument, read_answers
    from models.strict import near_miss
    from pipeline.document import KINDS, SOURCES_SHOWN, make
    from pipeline.document_facts import Chosen, gather
    from pipeline.document_form import FORMATS, write
    from pipeline.report_words import LANGUAGES

    for option, given, known in (("--kind", kind, KINDS), ("--lang", lang, LANGUAGES), ("--format", form, FORMATS)):
        if given not in known:
            raise UsageError(f"{option} {given}: there are {', '.join(known)}{near_miss(given, known)}")
    if answers is not None and kind != "clauses":
        raise UsageError("--answers: people answer for clauses; it goes with --kind clauses")
    instrument = load_instrument(_INSTRUMENT)
    said = read_answers(answers, instrument) if answers is not None else {}
    chosen = Chosen(
        least_sources,
        _share("--least-share", least_share),
        tuple(each.strip() for each in languages.split(",") if each.strip()) if languages else (),
        _band(foreign) if foreign else None,
    )
    corpus = corpus_at(output)
    gathered = gather(corpus, corpus.release(release), chosen, SOURCES_SHOWN)
    text = write(make(kind, gathered, instrument, said, lang, output), form)
    if to is None:
        typer.echo(text, nl=False)
    else:
        to.write_text(text, "utf-8")


def _share(option: str, given: str) -> Fraction:
    try:
        share = Fraction(given.strip().removesuffix("%")) / (100 if given.strip().endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise UsageError(f"{option} {given}: say a share such as 1% or 0.01") from None
    if not 0 <= share <= 1:
        raise UsageError(f"{option} {given}: must lie between 0 and 100%")
    return share


def _band(given: str) -> tuple[Fraction, Fraction]:
    least, mark, most = given.partition("-")
    if not mark:
        raise UsageError(f"--foreign {given}: say a band such as 0%-30%")
    band = _share("--foreign", least), _share("--foreign", most)
    if band[0] > band[1]:
        raise UsageError(f"--foreign {given}: the band begins above its end; swap the two")
    return band
