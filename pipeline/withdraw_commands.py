"""``winnow withdraw`` and ``winnow query``: take something out of a corpus, and say whether it is in it."""

import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from models.errors import UsageError
from pipeline.command_options import JsonOption, Output, corpus_at, day

if TYPE_CHECKING:
    from models.withdrawals import Target
    from pipeline.corpus import Corpus

CANNOT_TELL = 6
"""Exit code of an answer that is neither yes nor no, here as of ``winnow assess``."""

app = typer.Typer(no_args_is_help=True, help="Withdraw works, persons, sources, pages and records from a corpus.")
out = Console(highlight=False, soft_wrap=True)

WorkOption = Annotated[str | None, typer.Option("--work", help="Id of a registered work.")]
SubjectOption = Annotated[
    str | None,
    typer.Option("--subject", help="An address or number of a person; - asks for it, or reads it from standard input."),
]
SourceOption = Annotated[str | None, typer.Option("--source", help="Key of a source, as the tables show it.")]
UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="A page, all below a folder (https://HOST/FOLDER/*), or a HOST with those below it."),
]
RecordOption = Annotated[
    str | None,
    typer.Option("--record", help="A record's id, SHARD#POSITION, or sha256:HEX of a text for all its copies."),
]
KeyOption = Annotated[str | None, typer.Option("--key-env", help="Variable with the key that runs use, for --subject.")]


@app.command("add")
def withdraw_add(
    output: Output,
    basis: Annotated[
        str, typer.Option(help="complaint, refusal, takedown, erasure, licence, order or other.", show_default=False)
    ],
    by: Annotated[str, typer.Option(help="Who decided.", show_default=False)],
    work: WorkOption = None,
    subject: SubjectOption = None,
    source: SourceOption = None,
    url: UrlOption = None,
    record: RecordOption = None,
    received: Annotated[
        str | None, typer.Option(help="Date on which it was asked for; default is today in UTC.")
    ] = None,
    decided: Annotated[str | None, typer.Option(help="Date of the decision; default is today in UTC.")] = None,
    reason: Annotated[str, typer.Option(help="A reference, or a few words; kept in the ledger alone.")] = "",
    key_env: KeyOption = None,
) -> None:
    """Withdraw something: in force from the next run on, which takes it out of what earlier nights brought too."""
    from models.ledger import add
    from models.withdrawals import BASES, Withdrawal

    corpus = corpus_at(output)
    if basis not in BASES:
        raise UsageError(f"--basis {basis}: there are {', '.join(BASES)}")
    dates = _past("--received", received), _past("--decided", decided)
    if dates[0] > dates[1]:
        raise UsageError(
            f"--received {dates[0]} is after --decided {dates[1]}; give both, in the order in which they were"
        )
    target = _target(corpus, work, subject, source, url, record, key_env)
    entry = add(corpus.store, Withdrawal("", target, basis, *dates, by, reason))
    lines = (
        f"{entry.id}: {target.kind} {target.shown} is withdrawn ({basis}, received {entry.received}); nothing has left the corpus yet",
        "next: the next winnow run takes it out of the current release, whichever night brought it, and drops what comes later; "
        "then winnow gc deletes it from earlier releases",
        f"to see now which records are meant: winnow query {output} with the same option; if it finds none, look for a misspelling, and "
        f"take this back with: winnow withdraw lift {output} {entry.id} --by … --reason …",
    )
    for line in lines:
        out.print(line, markup=False)


@app.command("list")
def withdraw_list(output: Output, as_json: JsonOption = False) -> None:
    """Say what was withdrawn, since which release, how many records it took, and how many days after it was asked for."""
    from pipeline.withdrawals import standings

    for each in standings(corpus_at(output)):
        row = each.facts()
        if as_json:
            out.print(json.dumps(row, ensure_ascii=False, sort_keys=True), markup=False)
            continue
        days = f"as of {row['as_of']}, before it was received" if row["days"] is None else f"{row['days']} days"
        effect = f"{row['records']:,} records, since release {row['release']} ({days})" if each.effect else "no run yet"
        ended = f"; lifted {row['lifted']} by {row['lifted_by']}" if row["lifted"] else ""
        told = f" [{row['reason']}]" if row["reason"] else ""
        out.print(
            f"{row['id']}  {row['state']}: {row['kind']} {row['shown']}; {row['basis']}, received {row['received']}, decided "
            f"{row['decided']} by {row['by']}{told}; {effect}{ended}",
            markup=False,
        )


@app.command("lift")
def withdraw_lift(
    output: Output,
    name: Annotated[str, typer.Argument(metavar="ID", help="Such as W0001.")],
    by: Annotated[str, typer.Option(help="Who decided.", show_default=False)],
    reason: Annotated[str, typer.Option(help="A reference, or a few words.", show_default=False)],
    decided: Annotated[str | None, typer.Option(help="Date of the decision; default is today in UTC.")] = None,
) -> None:
    """Take a withdrawal back: what is still among the inputs comes back with the next run."""
    from models.ledger import lift

    entry = lift(corpus_at(output).store, name, _past("--decided", decided), by, reason)
    out.print(f"{entry.id} is lifted; the next run brings back what only it held back", markup=False)


def _past(option: str, given: str | None) -> str:
    found = day(option, given)
    # Where clocks are ahead of UTC it may be a day later there.
    if date.fromisoformat(found) > datetime.now(UTC).date() + timedelta(days=1):
        raise UsageError(f"{option} {given}: that day is still to come; how long things took would be told wrongly")
    return found


def query(
    output: Output,
    work: WorkOption = None,
    subject: SubjectOption = None,
    source: SourceOption = None,
    url: UrlOption = None,
    record: RecordOption = None,
    key_env: KeyOption = None,
    index: Annotated[
        list[Path] | None,
        typer.Option(
            "--index", help="Index that the runs use, to say whether it has the work at all; may be given twice."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a work, person, source, page or record is used in the current release, where, and why not.

    Exit code 6 if that cannot be told, because nothing looked for it.
    """
    from pipeline.query import query as ask
    from pipeline.query import said

    corpus = corpus_at(output)
    answer = ask(corpus, _target(corpus, work, subject, source, url, record, key_env), index or ())
    if as_json:
        out.print(json.dumps(answer.facts(), ensure_ascii=False, sort_keys=True), markup=False)
    else:
        for line in said(answer):
            out.print(line, markup=False)
    if answer.is_used is None:
        raise typer.Exit(CANNOT_TELL)


def _target(
    corpus: "Corpus",
    work: str | None,
    subject: str | None,
    source: str | None,
    url: str | None,
    record: str | None,
    key_env: str | None,
) -> "Target":
    from models.keys import key_from, key_id
    from pipeline.targets import target_of

    held = corpus.manifest()["job"]["key"] if corpus.number else None
    if key_env and held is not None and key_id(key_from(key_env)) != held:
        raise UsageError(
            f"the key in {key_env} is not that of the runs that made this corpus"
            + ("" if held else ", which had none (key_env of the run file)")
            + "; nothing would be found by it"
        )
    named = {"work": work, "subject": _asked(subject), "source": source, "url": url, "record": record}
    return target_of(named, key_env)


def _asked(subject: str | None) -> str | None:
    """Return a value that is better not given on a command line, where other users of the machine see it."""
    if subject != "-":
        return subject
    return str(typer.prompt("Subject", hide_input=True)) if sys.stdin.isatty() else sys.stdin.readline().strip()
