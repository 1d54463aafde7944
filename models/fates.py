"""Fates: what became of the records that the policy had something to say of, by category and by rule.

A rule asks for an action; the strictest that was asked for is what happens to the record. So a record whose e-mail address a rule wanted
to redact may lie in quarantine, address and all, because of its source. What is told to people must be the second.
"""

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
    for other values counts as kept in a category of which something is left in it.
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
        cut = [each.finding for each in outcome.reasons if each.finding is not None and each.action == "redact"]
        left = [each for each in outcome.reasons if each.action != "redact" and not _is_cut(each.finding, cut)]
        became |= dict.fromkeys(map(_category, left), "keep")
    return became


def _is_cut(finding: Finding | None, cut: Sequence[Finding]) -> bool:
    """Tell whether what was found lies in a passage that was taken out."""
    if finding is None or finding.start == finding.end or finding.view in IDENTIFIERS:
        return False
    return any(each.start <= finding.start and finding.end <= each.end for each in cut)


def _category(reason: Reason) -> str:
    return reason.finding.category if reason.finding is not None else _rule(reason)


def _rule(reason: Reason) -> str:
    return WITHDRAWN if reason.policy_rule.startswith(REASON) else reason.policy_rule
