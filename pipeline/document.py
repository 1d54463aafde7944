"""Documents of a release: which there are, and how each is put together from what was gathered."""

from collections.abc import Mapping, Sequence
from typing import Any

from models.instruments import Answer, Instrument
from pipeline.document_clauses import clauses_document
from pipeline.document_diversity import diversity_document
from pipeline.document_facts import Gathered
from pipeline.document_form import Document, Part, Phrase, said
from pipeline.document_statement import statement_document
from pipeline.report_words import Words

KINDS = ("clauses", "diversity", "statement")
FORMAT = 1
SOURCES_SHOWN = 100
"""Sources that a statement names; the others stand in the table."""


def make(
    kind: str, gathered: Gathered, instrument: Instrument, answers: Mapping[str, Answer], language: str, root: str
) -> Document:
    """Return a document.

    Args:
        kind: one of :data:`KINDS`.
        answers: of people, by clause.
        language: one of :data:`pipeline.report_words.LANGUAGES`.
        root: of the corpus, as the reader of the document knows it.
    """
    words = said(language)
    lead, parts, facts = _made(kind, gathered, instrument, answers, words)
    manifest, job = gathered.facts.manifest, gathered.facts.job
    policy = job["policy"]
    values = {
        "corpus": root,
        "release": str(manifest["release"]),
        "as_of": manifest["as_of"],
        "policy": f"{policy['name']} {policy['version']}",
        "instrument": instrument.name.zh if language == "zh" else instrument.name.en,
        "run": manifest["run"],
        "sha256": gathered.sha256,
        "version": f"winnow {job['version']}",
    }
    return Document(
        language,
        words.plain(f"title.{kind}", n=str(manifest["release"])),
        [(words.plain(f"id.{key}"), value) for key, value in values.items()],
        lead,
        _warnings(kind, gathered, instrument, words),
        parts,
        words.plain("footer", version=job["version"]),
        {
            "format": FORMAT,
            "document": kind,
            **{key: value for key, value in values.items() if key != "instrument"},
            **facts,
        },
    )


def _made(
    kind: str, gathered: Gathered, instrument: Instrument, answers: Mapping[str, Answer], words: Words
) -> tuple[Sequence[Phrase], Sequence[Part], Mapping[str, Any]]:
    if kind == "clauses":
        return clauses_document(gathered, instrument, answers, words)
    return (diversity_document if kind == "diversity" else statement_document)(gathered, words)


def _warnings(kind: str, gathered: Gathered, instrument: Instrument, words: Words) -> list[Phrase]:
    facts = gathered.facts
    found = []
    if sample := facts.job["sample"]:
        found.append(Phrase(words.template("warn.sample"), {"sample": sample}))
    if facts.job["policy"]["basis"] == "detector":
        found.append(Phrase(words.template("warn.basis")))
    if missing := sum(not names for names in facts.coverage.values()):
        found.append(Phrase(words.template("warn.uncovered"), {"missing": missing, "all": len(facts.coverage)}))
    if unread := [text.name for text in instrument.texts if text.read == "unread"]:
        found.append(Phrase(words.template("warn.unread"), {"texts": ", ".join(unread)}))
    if kind == "clauses" and any(instrument.read_of(clause) == "second_hand" for clause in instrument.clauses):
        found.append(Phrase(words.template("warn.second_hand")))
    return found
