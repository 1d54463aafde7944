"""How a report says by which reading of the rule its sources were judged: in a line, in sentences, and in full."""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models.audits import AUDITED
from models.operating import most_false
from models.source_reading import SourceReading, words_of
from models.taxonomy import load_taxonomy, matches
from pipeline.report_markup import Markup, exact_percent, fill, joined
from pipeline.report_words import Words

Coverage = Mapping[str, Sequence[str]]
"""What looks for each risk, see :func:`models.coverage.coverage`."""


def reading_line(policy: Mapping[str, Any], said: Words) -> Markup:
    """Return how the rule was read and what the figures rest on; it stands with every table of sources."""
    more = f"sources.{policy['basis']}_more"
    return fill(
        '<p class="reading">{line}</p>',
        line=said(
            "sources.reading",
            reading=said.name(f"sources.{policy['reading']}", policy["reading"]),
            basis=said.name(f"sources.{policy['basis']}", policy["basis"]),
            more=said.name(more, ""),
        ),
    )


def rule_told(
    sources: pa.Table, policy: Mapping[str, Any], limit: Fraction, coverage: Coverage | None, said: Words
) -> Markup:
    """Return how states come about, what counts, the reading in full, and by the interval reading how many false marks to expect."""
    told = [
        _rule(policy, limit, said),
        _expected(sources, policy, limit, said),
        *_counts(policy, coverage, said),
        _counting(policy, said),
    ]
    full = _in_full(words_of(policy, said.language), said) if "parameters" in policy else Markup("")
    return fill("{told}{full}", told=joined(fill("<p>{each}</p>\n", each=each) for each in told), full=full)


def _rule(policy: Mapping[str, Any], limit: Fraction, said: Words) -> Markup:
    if policy["reading"] != "interval":
        return said("sources.rule", limit=exact_percent(limit), least=policy["min_records"])
    return said("sources.by_verdicts", limit=exact_percent(limit), least=policy["parameters"]["min_audited"])


def false_blacklistings(sources: pa.Table, policy: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return of how many sources with enough verdicts how many are expected to be blacklisted falsely, at the most; None where that cannot be told.

    By the literal reading it cannot: it hangs on the errors of the detectors on these very sources, which nobody has measured.
    """
    if policy["reading"] != "interval":
        return None
    audited = sum(pc.fill_null(sources[name], 0).to_numpy() for name in AUDITED)
    count, false = most_false(audited, SourceReading.model_validate(policy["parameters"]))
    return {"sources": count, "at_most": false}


def _expected(sources: pa.Table, policy: Mapping[str, Any], limit: Fraction, said: Words) -> Markup:
    expected = false_blacklistings(sources, policy)
    if expected is None:
        return said("sources.expected_unknown")
    return said(
        "sources.expected",
        sources=expected["sources"],
        limit=exact_percent(limit),
        false=f"{expected['at_most']:.2g}",
    )


def _counts(policy: Mapping[str, Any], coverage: Coverage | None, said: Words) -> list[Markup]:
    """Return what counts towards the limit, and of how much of that nothing looks for; nothing for a release that does not say it."""
    if "counted" not in policy:
        return []
    taxonomy, counted = load_taxonomy(policy.get("taxonomy", "tc260-003")), policy["counted"]
    named = [
        f"{each} ({', '.join(taxonomy.sets[each])})" if each in taxonomy.sets else each
        for each in counted["categories"]
    ]
    told = [said("sources.counts", categories=", ".join(named), score=counted["at_least_score"])]
    patterns = taxonomy.patterns(counted["categories"])
    looked_for = [bool(names) for risk, names in (coverage or {}).items() if matches(risk, patterns)]
    if policy["reading"] != "interval" and not all(looked_for):
        told.append(said("sources.uncovered", missing=looked_for.count(False), all=len(looked_for)))
    return told


def _counting(policy: Mapping[str, Any], said: Words) -> Markup:
    """Return within what exact duplicates count once, and how sure the numbers of distinct records are."""
    if not policy.get("exact_up_to"):
        return said("sources.duplicates.split")
    return said("sources.duplicates.source", k=f"{policy['exact_up_to']:,}")


def _in_full(words: str, said: Words) -> Markup:
    """Return the reading in words, in the page's language, to be opened."""
    return fill(
        '<details><summary>{title}</summary><ul class="words">{items}</ul></details>',
        title=said("sources.words"),
        items=joined(
            fill(
                "<li{inner}>{line}</li>",
                inner=Markup(' class="inner"') if line.startswith(" ") else Markup(""),
                line=_styled(line.strip().removeprefix("- ")),
            )
            for line in words.splitlines()
        ),
    )


_STYLES = {"**": "b", "*": "em", "`": "code"}


def _styled(line: str) -> Markup:
    """Return a line of the reading with its bold, emphasised and literal words as markup."""
    parts = re.split(r"(\*\*|\*|`)(.+?)\1", line)
    plain, marks, inside = parts[::3], parts[1::3], parts[2::3]
    styled = [
        fill(f"<{_STYLES[mark]}>{{text}}</{_STYLES[mark]}>", text=text)
        for mark, text in zip(marks, inside, strict=True)
    ]
    return joined(
        [fill("{text}", text=plain[0]), *(fill("{a}{b}", a=a, b=b) for a, b in zip(styled, plain[1:], strict=True))]
    )
