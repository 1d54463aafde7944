"""Causes of removals: what a record was quarantined or dropped for, where one term or one rule of the policy alone would have been enough reason.

A list that somebody got wrong, or a rule that fires on a template of a large site, shows in that it alone removes much.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from models.intervals import wilson
from models.verdicts import Outcome

REMOVED, RULE, TERM = "removed", "rule", "term"
"""First words of keys: all removed records, those that one rule of the policy alone removes (``rule⇥ID``), and those that the findings of one term,
label or work of a detector alone do (``term⇥TAGGER⇥RULE``)."""

MOST = 256
"""Terms that a receipt names, those with most records. What is left out is less than a 256th of a split's removals each."""
_HELD = 100_000
SHOWN = 20
"""Causes that are named, those with most records."""

_ACTIONS = ("quarantine", "drop")
_LISTS = "lexicon"


def causes_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count the records of a split that were removed for what was found in them, by what alone removed them; keys as :data:`RULE` and its neighbours.

    The state of a source, withdrawals and purges are no such cause.
    """
    counts: Counter[str] = Counter()
    terms: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.error:
            continue
        found = [r for r in outcome.reasons if r.action in _ACTIONS and r.finding is not None]
        if not found:
            continue
        counts[REMOVED] += 1
        if len(rules := {each.policy_rule for each in found}) == 1:
            counts[f"{RULE}\t{rules.pop()}"] += 1
        if len(named := {(r.finding.tagger, r.finding.rule) for r in found if r.finding}) == 1:
            terms["\t".join((TERM, *named.pop()))] += 1
    first = sorted(terms.items(), key=lambda item: (-item[1], item[0]))[:MOST]
    return dict(sorted({**counts, **dict(first)}.items()))


class Causes:
    """Causes on their way through the splits, bounded; what is held longer than it is wanted has the fewest records."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, counts: Mapping[str, int]) -> None:
        self._counts.update(counts)
        if len(self._counts) > 2 * _HELD:
            self._counts = Counter(dict(self._ordered()[:_HELD]))

    @property
    def removed(self) -> int:
        return self._counts[REMOVED]

    def most(self) -> list[list[Any]]:
        """Return those with most records: rule or term, tagger (empty for rules), id, records."""
        named = [(key.split("\t"), count) for key, count in self._ordered() if key != REMOVED][:SHOWN]
        return [
            [RULE, "", parts[1], count] if parts[0] == RULE else [TERM, parts[1], term_id(parts[1], parts[2]), count]
            for parts, count in named
        ]

    def _ordered(self) -> list[tuple[str, int]]:
        return sorted(self._counts.items(), key=lambda item: (item[0] != REMOVED, -item[1], item[0]))


def term_id(tagger: str, rule: str) -> str:
    """Return what a report may call the rule of a finding: of a list it is the term itself, so that stands as 12 digits of its SHA-256.

    Whoever has the list finds it by these, or by the rows of ``breakdown.parquet`` whose dimension is ``rule``.
    """
    return f"sha256:{hashlib.sha256(rule.encode()).hexdigest()[:12]}" if tagger == _LISTS else rule


@dataclass(frozen=True)
class Alone:
    """A term or rule that alone causes more of the removals than a share, for sure.

    Attributes:
        kind: :data:`RULE` or :data:`TERM`.
        tagger: whose term it is, empty for rules.
        records: that it alone removes.
        removed: of how many.
    """

    kind: str
    tagger: str
    id: str
    records: int
    removed: int


def alone(most: Iterable[Iterable[Any]], removed: int, share: Fraction, z: Fraction) -> list[Alone]:
    """Return the causes of which the lower limit of the share is over ``share``: one of three removals is no news.

    Args:
        most: see :meth:`Causes.most`.
        removed: all removals.
    """
    rows = [Alone(kind, tagger, name, records, removed) for kind, tagger, name, records in most]
    return [each for each in rows if float(wilson(each.records, each.removed, float(z)).low) > float(share)]
