"""The document on diversity: clean records by language, kind and origin, and how evenly sources share them (TC260-003, 5.1 b)."""

from fractions import Fraction
from typing import Any

from models.composition import Part as Made
from models.source_registry import KINDS, ORIGINS
from pipeline.document_facts import Chosen, Gathered
from pipeline.document_form import Badge, Block, Cell, Listed, Name, Paragraph, Part, Phrase, Table
from pipeline.report_markup import exact_percent, percent
from pipeline.report_words import REPORT, Words


def diversity_document(gathered: Gathered, words: Words) -> tuple[list[Phrase], list[Part], dict[str, Any]]:
    """Return lead, parts and facts of the document."""
    made, judged, chosen = gathered.facts.composition, gathered.facts.judged, gathered.chosen
    few = [each for each in judged if made.languages.get(each, Made()).sources < chosen.least_sources]
    lead = Phrase(
        words.template("diversity.lead"),
        {
            "sources": made.whole.sources,
            "records": made.whole.records,
            "languages": len(judged),
            "least": chosen.least_sources,
            "few": ", ".join(few) or words.plain("none"),
        },
    )
    refused = [
        Phrase(words.template("diversity.refused"), {"n": n, "state": state}) for state, n in made.refused.items() if n
    ]
    named = sorted({*made.languages, *judged}, key=lambda each: (-_part(gathered, each).records, each))
    languages = Table(
        [
            words.plain(f"diversity.{key}")
            for key in ("language", "type", "result", "sources", "records", "characters", "largest", "hhi")
        ],
        [
            *(_language(each, _part(gathered, each), each in judged, chosen, words) for each in named),
            _numbers(made.whole, [words.plain("diversity.all"), words.plain("text"), ""]),
        ],
    )
    parts = [
        Part("languages", words.plain("diversity.languages"), [_rule(gathered, words), languages, Listed(refused)]),
        Part("kinds", words.plain("diversity.kinds"), [_groups(gathered, "kind", words), _registry(words)]),
        Part("origins", words.plain("diversity.origins"), [*_origins(gathered, words), _registry(words)]),
    ]
    facts = {
        "chosen": _chosen(chosen),
        "judged": list(judged),
        "too_few": few,
        "languages": {each: part_facts(_part(gathered, each)) for each in named},
        "whole": part_facts(made.whole),
        "refused": dict(made.refused),
    }
    return [lead], parts, facts


def _part(gathered: Gathered, language: str) -> Made:
    return gathered.facts.composition.languages.get(language, Made())


def language_name(code: str, words: Words) -> list[Cell]:
    """Return a language by its name and its code."""
    known = Words(words.language, REPORT)
    name = known.name(f"language.{code}", "")
    return [*([name] if name else []), Name(code or "–")]


def _language(code: str, part: Made, is_judged: bool, chosen: Chosen, words: Words) -> list[Cell | list[Cell]]:
    if not is_judged:
        result: Cell = words.plain("diversity.not_asked")
    elif part.sources >= chosen.least_sources:
        result = Badge("s-met", words.plain("diversity.enough"))
    else:
        result = Badge("s-not_met", words.plain("diversity.few"))
    return _numbers(part, [language_name(code, words), words.plain("text"), result])


def _numbers(part: Made, first: list[Cell | list[Cell]]) -> list[Cell | list[Cell]]:
    largest: list[Cell] = [percent(part.largest[1], part.records)]
    largest += [Name(part.largest[0])] if part.largest[0] else []
    return [*first, part.sources, part.records, part.characters, largest, _decimal(part.concentration)]


def _decimal(share: Fraction) -> str:
    """Return a share with four decimals, rounded down."""
    return f"{share.numerator * 10_000 // share.denominator / 10_000:.4f}"


def _rule(gathered: Gathered, words: Words) -> Paragraph:
    chosen = gathered.chosen
    if chosen.languages:
        values: dict[str, str | int] = {"least": chosen.least_sources, "languages": ", ".join(chosen.languages)}
        return Paragraph(Phrase(words.template("diversity.rule_named"), values))
    values = {"least": chosen.least_sources, "share": exact_percent(chosen.least_share)}
    return Paragraph(Phrase(words.template("diversity.rule"), values))


def _registry(words: Words) -> Paragraph:
    return Paragraph(Phrase(words.template("diversity.registry")), is_note=True)


def _groups(gathered: Gathered, by: str, words: Words) -> Table:
    """Return the table of kinds or origins, by language."""
    values = KINDS if by == "kind" else ORIGINS
    named = list(gathered.facts.composition.languages.items())
    parts = [(language_name(code, words), part) for code, part in named]
    parts.append(([words.plain("diversity.all")], gathered.facts.composition.whole))
    rows: list[list[Cell | list[Cell]]] = []
    for language, part in parts:
        found = part.kinds if by == "kind" else part.origins
        for value in values:
            if value in found:
                sources, records, characters = found[value]
                share = percent(records, part.records)
                rows.append([language, words.plain(f"{by}.{value}"), sources, records, characters, share])
    head = [words.plain(f"diversity.{key}") for key in ("language", by, "sources", "records", "characters", "share")]
    return Table(head, rows)


def _origins(gathered: Gathered, words: Words) -> list[Block]:
    whole, band = gathered.facts.composition.whole, gathered.chosen.band
    table = _groups(gathered, "origin", words)
    if band is None:
        return [table, Paragraph(Phrase(words.template("diversity.no_band")))]
    foreign, unknown = whole.of_origin("foreign")[1], whole.of_origin("unknown")[1]
    least, most = band
    if unknown or not whole.records:
        result = words.plain("diversity.unknown_origin", n=unknown)
    else:
        is_inside = least <= Fraction(foreign, whole.records) <= most
        result = words.plain("diversity.inside" if is_inside else "diversity.outside")
    values: dict[str, str | int] = {"share": percent(foreign, whole.records), "result": result}
    values |= {"least": exact_percent(least), "most": exact_percent(most)}
    return [table, Paragraph(Phrase(words.template("diversity.in_band"), values))]


def part_facts(part: Made) -> dict[str, Any]:
    """Return what programs are told of a part; shares are fractions."""
    return {
        "sources": part.sources,
        "records": part.records,
        "characters": part.characters,
        "largest": {"source": part.largest[0], "records": part.largest[1]},
        "concentration": str(part.concentration),
        **{
            name: {value: dict(zip(("sources", "records", "characters"), sums, strict=True)) for value, sums in found}
            for name, found in (("kinds", sorted(part.kinds.items())), ("origins", sorted(part.origins.items())))
        },
    }


def _chosen(chosen: Chosen) -> dict[str, Any]:
    return {
        "least_sources": chosen.least_sources,
        "least_share": str(chosen.least_share),
        "languages": list(chosen.languages),
        "band": [str(each) for each in chosen.band] if chosen.band else None,
    }
