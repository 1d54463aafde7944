"""Kinds of artefacts that ``winnow artefact`` describes: folders of files that a person writes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.artefact import Artefact, describe, read_description
from models.errors import UsageError
from models.strict import near_miss


@dataclass(frozen=True)
class Kind:
    """What the files of a kind look like.

    Attributes:
        endings: of its files.
        needs: what a person should put there, for messages.
        summary: reads the files, so that mistakes are told at once, and says what they hold.
    """

    endings: tuple[str, ...]
    needs: str
    summary: Callable[[Artefact], str]


def _lexicon(artefact: Artefact) -> str:
    from models.taggers.lexicon import read_terms

    terms = read_terms(artefact)
    return f"{len(terms):,} distinct terms in {len({term.category for term in terms})} categories"


def _blocked(artefact: Artefact) -> str:
    from models.blocklist import read_blocklist

    lists = read_blocklist([artefact])
    counts = ", ".join(f"{count:,} {kind}" for kind, count in lists.counts.items() if count)
    return f"{len(lists):,} entries ({counts or 'none'}), {int(lists.purges.sum()):,} of them purge"


def _provenance(artefact: Artefact) -> str:
    from models.source_registry import read_registry

    entries = read_registry(artefact)
    return f"{len(entries):,} entries of {len({entry.key for entry in entries}):,} sources"


KINDS = {
    "lexicon": Kind((".tsv",), "a list has the columns term, category and level", _lexicon),
    "blocked": Kind((".tsv",), "a list has the columns kind and value, and if wanted class and reference", _blocked),
    "provenance": Kind((".yaml", ".yml", ".csv", ".parquet"), "a registry has a source a row", _provenance),
}
"""By name: kinds whose files are written by hand; models and indexes are described by what makes them."""


def describe_folder(folder: Path, kind: str | None, title: str | None, licence: str | None) -> str:
    """Describe a folder, and say what it holds.

    Args:
        kind, title, licence: kept from the description that is there where not given; a new folder is a lexicon.

    Raises:
        UsageError: if there are no such files, or with what is wrong in them.
    """
    known = read_description(folder)
    name = kind or known.get("kind", "lexicon")
    if name not in KINDS:
        raise UsageError(f"--kind {name}: no such kind of files{near_miss(name, KINDS)}")
    form = KINDS[name]
    files = sorted(path.name for path in folder.glob("*") if path.suffix in form.endings)
    if not files:
        raise UsageError(f"{folder}: no {' or '.join(form.endings)} file there; {form.needs}")
    made = describe(
        folder,
        kind=name,
        version=1,
        names=files,
        title=title or known.get("title", folder.resolve().name),
        licence=licence or known.get("licence", "not stated"),
        made_with="winnow artefact",
    )
    return f"{folder}: {form.summary(made)}, digest {made.digest[:12]}"
