"""What commands on a corpus share: its place, the form of the answer, days."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import UsageError
from pipeline.config import absolute

if TYPE_CHECKING:
    from pipeline.corpus import Corpus

Output = Annotated[str, typer.Argument(help="Folder of the corpus, or gs://BUCKET/FOLDER.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Say it for programs.")]


def corpus_at(output: str) -> "Corpus":
    """Return the corpus at a place as it was given on the command line.

    Raises:
        UsageError: if there is none.
    """
    from pipeline.corpus import Corpus

    corpus = Corpus(absolute(output, Path.cwd()))
    corpus.check_exists()
    return corpus


def day(option: str, given: str | None) -> str:
    """Return the day that an option names, ISO 8601, or today in UTC if it is not given.

    Raises:
        UsageError: if it is no day.
    """
    if given is None:
        return datetime.now(UTC).date().isoformat()
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError:
        raise UsageError(f"{option} {given}: say a date such as 2026-11-01") from None
