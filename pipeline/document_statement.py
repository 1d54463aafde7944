"""The statement on training data: source, scale, type and rules of a release, as a supervisor asks for them."""

from fractions import Fraction
from typing import Any

from pipeline.document_diversity import language_name
from pipeline.document_facts import Gathered
from pipeline.document_form import Badge, Cell, Listed, Name, Paragraph, Part, Phrase, Table
from pipeline.report_markup import exact_percent, percent
from pipeline.report_words import REPORT, Words, rule_names

_COUNTS = ("read", "clean", "redacted", "quarantined", "dropped", "dead")
_SLOTS = ("provider", "labelling", "period", "contracts", "algorithm", "contact")


def statement_document(gathered: Gathered, words: Words) -> tuple[list[Phrase], list[Part], dict[str, Any]]:
    """Return lead, parts and facts of the document."""
    facts = gathered.facts
    whole, counts = facts.composition.whole, facts.manifest["counts"]
    values: dict[str, str | int] = {key: counts[key] for key in ("read", "clean", "redacted")}
    lead = Phrase(
        words.template("statement.lead"), {**values, "characters": whole.characters, "sources": whole.sources}
    )
    parts = [
        _origin(gathered, words),
        _scale(gathered, words),
        _type(gathered, words),
        _rules(gathered, words),
        _mechanism(gathered, words),
        Part(
            "fill",
            words.plain("statement.fill"),
            [Listed([Phrase(words.template(f"statement.slot.{slot}") + ": ____") for slot in _SLOTS])],
        ),
    ]
    findings, characters = gathered.personal
    told = {
        "counts": dict(counts),
        "shards": facts.manifest["shards"],
        "bytes": sum(each["size"] for each in facts.manifest["inputs"]),
        "sources": whole.sources,
        "characters": whole.characters,
        "top_sources": list(gathered.top),
        "languages": {code: part.records for code, part in facts.composition.languages.items()},
        "personal": {"findings": findings, "characters": characters} if facts.uses("personal") else None,
        "policy": dict(facts.job["policy"]),
        "taggers": dict(facts.job["taggers"]),
        "coverage": {risk: list(names) for risk, names in facts.coverage.items()},
    }
    return [lead], parts, told


def _origin(gathered: Gathered, words: Words) -> Part:
    report = Words(words.language, REPORT)
    head = [words.plain(f"statement.{key}") for key in ("source", "state")]
    head += [words.plain(f"diversity.{key}") for key in ("kind", "origin")]
    head += [words.plain("statement.licence")] + [words.plain(f"diversity.{key}") for key in ("records", "characters")]
    rows: list[list[Cell]] = [
        [
            Name(row["source"]),
            Badge(row["state"] or "", report.name(f"state.{row['state']}", row["state"] or "–")),
            words.plain(f"kind.{row['kind']}"),
            words.plain(f"origin.{row['origin']}"),
            Name(row["licence"]) if row["licence"] else "–",
            row["clean"],
            row["characters"],
        ]
        for row in gathered.top
    ]
    blocks: list[Any] = [Paragraph(Phrase(words.template("statement.why"))), Table(head, rows)]
    if gathered.rest > 0:
        blocks.append(Paragraph(Phrase(words.template("statement.rest"), {"n": gathered.rest})))
    return Part(
        "origin",
        words.plain("statement.origin"),
        [*blocks, Paragraph(Phrase(words.template("statement.sources_of")), is_note=True)],
    )


def _scale(gathered: Gathered, words: Words) -> Part:
    manifest = gathered.facts.manifest
    rows: list[list[Cell]] = [
        [words.plain("statement.shards"), manifest["shards"]],
        [words.plain("statement.bytes"), sum(each["size"] for each in manifest["inputs"])],
        *([words.plain(f"statement.{key}"), manifest["counts"][key]] for key in _COUNTS),
        [words.plain("statement.characters"), gathered.facts.composition.whole.characters],
    ]
    head = [words.plain("statement.what"), words.plain("statement.how_many")]
    return Part("scale", words.plain("statement.scale"), [Table(head, rows)])


def _type(gathered: Gathered, words: Words) -> Part:
    made = gathered.facts.composition
    head = [words.plain(f"diversity.{key}") for key in ("language", "sources", "records", "characters", "share")]
    rows: list[list[Cell | list[Cell]]] = [
        [
            language_name(code, words),
            part.sources,
            part.records,
            part.characters,
            percent(part.records, made.whole.records),
        ]
        for code, part in made.languages.items()
    ]
    findings, characters = gathered.personal
    density = f"{findings * 1_000_000 // characters / 1000:.3f}" if characters else "–"
    values: dict[str, str | int] = {"findings": findings, "characters": characters, "density": density}
    is_looked_for = gathered.facts.uses("personal")
    said = (
        Phrase(words.template("statement.personal"), values)
        if is_looked_for
        else Phrase(words.template("statement.no_personal"))
    )
    modality = Paragraph(Phrase(words.template("statement.modality")))
    return Part("type", words.plain("statement.type"), [modality, Table(head, rows), Paragraph(said)])


def _rules(gathered: Gathered, words: Words) -> Part:
    report = Words(words.language, REPORT)
    policy = gathered.facts.job["policy"]
    names = rule_names(policy, words.language)
    rows: list[list[Cell]] = [
        [Name(rule["id"]), names[rule["id"]], rule["clause"] or "–", report.name(f"action.{rule['action']}", "")]
        for rule in policy["rules"]
    ]
    head = [words.plain(f"statement.{key}") for key in ("rule", "what", "clause", "action")]
    values = {"name": policy["name"], "version": policy["version"], "instrument": policy["instrument"] or "–"}
    limit = {
        "limit": exact_percent(Fraction(str(policy["limit"]))),
        "reading": report.name(f"sources.{policy['reading']}", policy["reading"]),
    }
    basis = report.name(f"sources.{policy['basis']}", policy["basis"])
    return Part(
        "rules",
        words.plain("statement.rules"),
        [
            Paragraph(Phrase(words.template("statement.policy"), values)),
            Paragraph(Phrase(words.template("statement.limit"), {**limit, "basis": basis})),
            Table(head, rows),
            Paragraph(Phrase(words.template("statement.labelling")), is_note=True),
        ],
    )


def _mechanism(gathered: Gathered, words: Words) -> Part:
    facts = gathered.facts
    rows: list[list[Cell]] = [[Name(tagger), Name(digest)] for tagger, digest in sorted(facts.job["taggers"].items())]
    covered = sum(bool(names) for names in facts.coverage.values())
    values: dict[str, str | int] = {"covered": covered, "all": len(facts.coverage)}
    return Part(
        "mechanism",
        words.plain("statement.mechanism"),
        [
            Paragraph(Phrase(words.template("statement.how"))),
            Table([words.plain("statement.detector"), words.plain("statement.digest")], rows),
            Paragraph(Phrase(words.template("statement.coverage"), values)),
        ],
    )
