"""The clause-by-clause table: of each clause of an instrument what the release shows, and what people say."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from models.clauses import Evidence, Shown, concluded, overall, show
from models.instruments import NOT_MET, NOT_SHOWN, OPEN, STATUSES, Answer, Clause, Instrument
from pipeline.document_facts import Gathered
from pipeline.document_form import Badge, Cell, Name, Paragraph, Part, Phrase, Signatures, Table
from pipeline.report_words import REPORT, Words

_GROUPS = (("must", "musts"), ("should", "shoulds"), ("note", "notes"))


def clauses_document(
    gathered: Gathered, instrument: Instrument, answers: Mapping[str, Answer], words: Words
) -> tuple[list[Phrase], list[Part], dict[str, Any]]:
    """Return lead, parts and facts of the document."""
    shown = {clause.id: show(clause, gathered.facts) for clause in instrument.clauses}
    statuses = {name: concluded(each.status, answers.get(name)) for name, each in shown.items()}
    parts = [_summary(instrument, statuses, words)]
    for chapter in instrument.chapters:
        rows = [
            _row(clause, instrument, shown[clause.id], statuses[clause.id], answers.get(clause.id), words)
            for clause in instrument.clauses
            if clause.chapter == chapter.id
        ]
        head = [words.plain(f"clauses.{key}") for key in ("no", "clause", "asks", "status", "evidence")]
        title = f"{chapter.id} {chapter.zh if words.language == 'zh' else chapter.en}"
        parts.append(Part(f"c{chapter.id}", title, [Table(head, rows)]))
    lines = [each.zh if words.language == "zh" else each.en for each in instrument.signatures]
    columns = [words.plain(f"clauses.sign.{key}") for key in ("who", "name", "signature", "date")]
    parts.append(Part("signatures", words.plain("clauses.signatures"), [Signatures(lines, columns)]))
    facts = {
        "instrument": instrument.id,
        "instrument_version": instrument.version,
        "overall": overall(instrument, statuses),
        "clauses": [
            _facts(clause, instrument, shown[clause.id], statuses[clause.id], answers.get(clause.id))
            for clause in instrument.clauses
        ],
        "texts": [{"name": text.name, "read": text.read} for text in instrument.texts],
    }
    return _lead(instrument, statuses, words), parts, facts


def _lead(instrument: Instrument, statuses: Mapping[str, str], words: Words) -> list[Phrase]:
    must = [statuses[clause.id] for clause in instrument.clauses if clause.modality == "must"]
    failed, undecided = must.count(NOT_MET), must.count(NOT_SHOWN) + must.count(OPEN)
    conclusion = overall(instrument, statuses)
    lead = [Phrase(words.template(f"overall.{conclusion}"), {"n": failed, "open": undecided})]
    if conclusion == "open" and failed:
        lead.append(Phrase(words.template("overall.not_met"), {"n": failed}))
    return lead


def _summary(instrument: Instrument, statuses: Mapping[str, str], words: Words) -> Part:
    counts = Counter[tuple[str, str]]((clause.modality, statuses[clause.id]) for clause in instrument.clauses)
    head = [words.plain("clauses.status"), *(words.plain(f"clauses.{key}") for _, key in _GROUPS)]
    rows: list[list[Cell]] = [
        [_badge(status, words), *(counts[modality, status] for modality, _ in _GROUPS)] for status in STATUSES
    ]
    rule = Paragraph(Phrase(words.template("clauses.rule")), is_note=True)
    return Part("summary-table", words.plain("clauses.summary"), [Table(head, rows), rule])


def _badge(status: str, words: Words) -> Badge:
    return Badge(f"s-{status}", words.plain(f"status.{status}"))


def _row(
    clause: Clause, instrument: Instrument, shown: Shown, status: str, answer: Answer | None, words: Words
) -> list[Cell | list[Cell]]:
    asks: list[Cell] = [Phrase(clause.zh if words.language == "zh" else clause.en)]
    read = instrument.read_of(clause)
    marks = [f"{clause.clause}", words.plain(f"modality.{clause.modality}")]
    marks += [] if read == "primary" else [words.plain(f"read.{read}")]
    evidence: list[Cell] = [_phrase(each, words) for each in shown.evidence]
    if answer is not None:
        evidence.append(
            Phrase(
                words.template("clauses.answer"),
                {
                    "by": Name(answer.by),
                    "day": answer.day.isoformat(),
                    "status": words.plain(f"status.{answer.status}"),
                    "evidence": Name(answer.evidence),
                },
            )
        )
        if status != answer.status:
            evidence.append(Phrase(words.template("clauses.outranked")))
    elif status in (OPEN, NOT_SHOWN):
        evidence.append(Phrase(words.template("clauses.fill")))
    return [clause.id, list[Cell](marks), asks, _badge(status, words), evidence]


def _phrase(each: Evidence, words: Words) -> Phrase:
    template = words.template(f"evidence.{each.key}")
    values = {key: _value(key, value, words) for key, value in each.values.items()}
    if each.where:
        template += " " + words.template("where")
        values["where"] = Name(each.where)
    return Phrase(template, values)


def _value(key: str, value: str | int, words: Words) -> str | int:
    if key == "kind":
        return words.name(f"kind.{value}", str(value))
    report = Words(words.language, REPORT)
    if key == "state":
        return report.name(f"state.{value}", str(value))
    if key in ("reading", "basis"):
        return report.name(f"sources.{value}", str(value))
    return value


def _facts(clause: Clause, instrument: Instrument, shown: Shown, status: str, answer: Answer | None) -> dict[str, Any]:
    return {
        "id": clause.id,
        "clause": clause.clause,
        "modality": clause.modality,
        "read": instrument.read_of(clause),
        "asks": {"en": clause.en, "zh": clause.zh},
        "shown": shown.status,
        "status": status,
        "evidence": [{"says": each.key, **each.values, "where": each.where} for each in shown.evidence],
        "answer": answer.model_dump(mode="json") if answer else None,
    }
