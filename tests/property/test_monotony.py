"""Invariant 5, Monotony: one more finding never makes a verdict milder."""

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from models.findings import Finding, Findings
from models.policy import ACTIONS, Decider, Policy, load_policy
from models.strict import parse

CATEGORIES = [
    "A.1.a",
    "A.1.f",
    "A.3.a",
    "A.5.b",
    "personal.email",
    "personal.bank_card",
    "unscanned",
    "blocked.host",
    "copyright.reserved",
    "x",
]
SHARES = st.sampled_from([0, 0.1, 0.4, 0.5, "1/3", 0.8, 1])
SOURCE_ACTIONS = st.sampled_from(["keep", "quarantine", "drop"])
STATES = st.sampled_from(["", "hold", "blacklisted"])
LENGTHS = st.integers(0, 5000)


@st.composite
def matches(draw: st.DrawFn) -> dict[str, Any]:
    optional = {
        "tagger": st.sampled_from(["*", "lexicon", "p*"]),
        "at_least_score": SHARES,
        "at_least_span": st.integers(1, 3),
        "at_least_count": st.integers(1, 4),
        "at_least_per_1000_chars": st.sampled_from([0.1, "1/3", 1, 5.5, 1000]),
    }
    globs = st.sampled_from([*CATEGORIES, "A.*", "A.1.*", "personal.*", "UNLAWFUL29", "LEXICON17", "*", "?"])
    category = draw(st.lists(globs, min_size=1, max_size=3))
    return {"category": category} | draw(st.fixed_dictionaries({}, optional=optional))


@st.composite
def deciders(draw: st.DrawFn) -> Decider:
    rules: list[dict[str, Any]] = []
    for name in draw(st.lists(st.sampled_from(string.ascii_lowercase), min_size=1, max_size=6, unique=True)):
        rule = {"id": name, "match": draw(matches()), "action": draw(st.sampled_from(ACTIONS))}
        if rule["action"] == "redact":
            rule["redact"] = {"with": draw(st.sampled_from(["placeholder", "pseudonym"]))}
        rules.append(rule)
    sources = {
        "reading": "literal",
        "basis": "detector",
        "unlawful": {"categories": draw(matches())["category"], "at_least_score": draw(SHARES)},
        "limit": "5/100",
        "min_records": 100,
        "blacklisted": draw(SOURCE_ACTIONS),
        "hold": draw(SOURCE_ACTIONS),
    }
    facts = {"policy": "p", "version": "1", "taxonomy": "tc260-003", "sources": sources, "rules": rules}
    return Decider(parse(Policy, facts, "policy.yaml"))


FINDINGS = st.builds(
    Finding,
    row=st.just(0),
    tagger=st.sampled_from(["lexicon", "personal", "category"]),
    category=st.sampled_from(CATEGORIES),
    rule=st.just("r"),
    score=st.sampled_from([0.0, 0.1, 1 / 3, 0.4, 0.5, 0.8, 1.0]) | st.floats(0, 1),
    start=st.just(0),
    end=st.integers(0, 4),
)
SEVERAL = st.lists(FINDINGS, max_size=8)


def strictness(action: str) -> int:
    return ACTIONS.index(action)


@given(deciders(), LENGTHS, SEVERAL, FINDINGS, st.integers(0, 8), STATES)
def test_one_more_finding_never_makes_a_verdict_milder(
    decider: Decider, length: int, findings: list[Finding], more: Finding, place: int, state: str
) -> None:
    before = decider.decide(length, findings, state)
    after = decider.decide(length, [*findings[:place], more, *findings[place:]], state)
    assert strictness(after.action) >= strictness(before.action)
    missing = list(before.reasons)
    for reason in after.reasons:
        if reason in missing:
            missing.remove(reason)
    assert not missing, "a reason was lost"


@given(deciders(), SEVERAL, FINDINGS)
def test_one_more_finding_never_makes_an_unlawful_record_lawful(
    decider: Decider, findings: list[Finding], more: Finding
) -> None:
    assert decider.unlawful([*findings, more]) >= decider.unlawful(findings)
    assert decider.unlawful(findings) == any(decider.unlawful([each]) for each in findings)


@given(st.floats(0.5, 1), st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_weak_findings_beside_a_sure_one_change_nothing(sure: float, others: list[float]) -> None:
    """Random policies seldom have several findings of the kinds that count, so this one is asked apart."""
    decider = Decider(load_policy("cn-tc260-003"))
    assert decider.unlawful([Finding(0, "lexicon", "A.1.a", "", score) for score in (sure, *others)])


@given(st.sampled_from(["cn-tc260-003", "minimal"]), LENGTHS, st.lists(FINDINGS, max_size=30), FINDINGS)
def test_the_shipped_policies_are_monotone(name: str, length: int, findings: list[Finding], more: Finding) -> None:
    decider = Decider(load_policy(name))
    before, after = decider.decide(length, findings), decider.decide(length, [*findings, more])
    assert strictness(after.action) >= strictness(before.action)


@given(deciders(), LENGTHS, SEVERAL, STATES)
def test_a_source_state_and_a_higher_score_never_make_a_verdict_milder(
    decider: Decider, length: int, findings: list[Finding], state: str
) -> None:
    before = strictness(decider.decide(length, findings).action)
    surer = [finding._replace(score=1.0) for finding in findings]
    assert strictness(decider.decide(length, findings, state).action) >= before
    assert strictness(decider.decide(length, surer).action) >= before


@given(deciders(), LENGTHS, SEVERAL)
def test_a_longer_span_never_makes_a_verdict_milder(decider: Decider, length: int, findings: list[Finding]) -> None:
    # A claim about the whole record becomes one about a part, which may be redacted instead.
    longer = [finding._replace(end=finding.end + 1) if finding.end else finding for finding in findings]
    before, after = decider.decide(length, findings), decider.decide(length, longer)
    assert strictness(after.action) >= strictness(before.action)


@given(deciders(), LENGTHS, SEVERAL, st.randoms())
def test_the_order_of_findings_does_not_change_the_action(
    decider: Decider, length: int, findings: list[Finding], random: Any
) -> None:
    shuffled = random.sample(findings, len(findings))
    assert decider.decide(length, shuffled).action == decider.decide(length, findings).action


@given(deciders(), LENGTHS, SEVERAL, STATES)
def test_a_verdict_is_the_same_before_and_after_findings_are_stored(
    decider: Decider, length: int, findings: list[Finding], state: str
) -> None:
    stored = list(Findings.of(1, findings))
    before, after = decider.decide(length, findings, state), decider.decide(length, stored, state)
    assert after.action == before.action
    assert [reason[:2] for reason in after.reasons] == [reason[:2] for reason in before.reasons]


@given(deciders(), LENGTHS, SEVERAL, STATES)
def test_a_verdict_is_its_strictest_reason_and_reasons_go_from_strict_to_mild(
    decider: Decider, length: int, findings: list[Finding], state: str
) -> None:
    verdict = decider.decide(length, findings, state)
    levels = [strictness(reason.action) for reason in verdict.reasons]
    assert levels == sorted(levels, reverse=True)
    assert strictness(verdict.action) == max(levels, default=0)
