"""Fates: what became of the records that the policy had something to say of, by category and by rule.

A rule asks for an action; the strictest that was asked for is what happens to the record. So a record whose e-mail address a rule wanted
to redact may lie in quarantine, address and all, because of its source. What is told to people must be the second.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from models.findings import Finding
from models.policy import Reason
from models.purge import PURGE
from models.tagging import IDENTIFIERS
from models.verdicts import Outcome
from models.withdrawals import REASON

WITHDRAWN = REASON.rstrip(":")
"""Stands for all withdrawals: of these there may be any number."""


def fates_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count records by what was found in them, or else condemned them, and by what became of them: as ``category\\tfate``.

    The fate is ``keep``, ``redact``, ``quarantine``, ``drop`` or ``dead``. A record counts once for each category. One that was redacted
    for other values counts as kept in a category of which something is left in it. Records that died (on redaction, in a tagger) have no reasons any more,
    but those of withdrawals: they are told among dead letters alone.
    """
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update(f"{category}\t{fate}" for category, fate in _became(outcome).items())
    return dict(sorted(counts.items()))


def applied_of(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """Count the records that each rule applied to, whichever decided: as ``rule\\taction\\ttagger``, keys as those of the flow."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.purge:
            counts[f"{PURGE}\t{outcome.action}\tblocked"] += 1
            continue
        said = {(_rule(each), each.action, each.finding.tagger if each.finding else "") for each in outcome.reasons}
        counts.update("\t".join(each) for each in said)
    return dict(sorted(counts.items()))


def _became(outcome: Outcome) -> dict[str, str]:
    if outcome.purge:
        return {PURGE: outcome.action}
    became = dict.fromkeys(map(_category, outcome.reasons), outcome.action)
    if outcome.action == "redact":
        cut = _cut(each.finding for each in outcome.reasons if each.finding is not None and each.action == "redact")
        left = [each for each in outcome.reasons if each.action != "redact" and not _is_cut(each.finding, cut)]
        became |= dict.fromkeys(map(_category, left), "keep")
    return became


def _cut(findings: Iterable[Finding]) -> list[tuple[int, float]]:
    """Return the passages that are taken out for findings, see :func:`models.verdicts.redactions`: one without a place takes all of the text."""
    spans: list[tuple[int, float]] = []
    for start, end in sorted(
        (0, math.inf) if each.start == each.end else (each.start, each.end)
        for each in findings
        if each.view not in IDENTIFIERS
    ):
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], end)
        else:
            spans.append((start, end))
    return spans


def _is_cut(finding: Finding | None, cut: Sequence[tuple[int, float]]) -> bool:
    """Tell whether what was found lies in a passage that was taken out."""
    if finding is None or finding.start == finding.end or finding.view in IDENTIFIERS:
        return False
    return any(start <= finding.start and finding.end <= end for start, end in cut)


def _category(reason: Reason) -> str:
    return reason.finding.category if reason.finding is not None else _rule(reason)


def _rule(reason: Reason) -> str:
    return WITHDRAWN if reason.policy_rule.startswith(REASON) else reason.policy_rule
