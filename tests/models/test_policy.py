"""What a policy decides, why, in which order, and what changes its digests."""

import copy
import math
import pickle
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from models.errors import UsageError
from models.findings import ERROR, UNSCANNED, Finding, Findings
from models.policy import Calibrated, Decider, Policy, Reason, Verdict, load_policy
from models.source_reading import SourceReading
from models.strict import parse
from models.taxonomy import load_taxonomy

SHIPPED = ("cn-tc260-003", "minimal")
SOURCES = {
    "reading": "literal",
    "basis": "detector",
    "unlawful": {"categories": ["UNLAWFUL29"], "at_least_score": 0.5},
    "limit": "5/100",
    "min_records": 100,
    "blacklisted": "quarantine",
    "hold": "quarantine",
}


def rule(name: str, category: str, action: str, **match: Any) -> dict[str, Any]:
    redact = {"redact": {"with": "pseudonym"}} if action == "redact" else {}
    return {"id": name, "match": {"category": [category], **match}, "action": action, **redact}


def policy(*rules: dict[str, Any], **sources: Any) -> Policy:
    return parse(Policy, facts(*rules, **sources), "policy.yaml")


def facts(*rules: dict[str, Any], **sources: Any) -> dict[str, Any]:
    return {"policy": "p", "version": "1", "taxonomy": "tc260-003", "sources": SOURCES | sources, "rules": list(rules)}


def found(category: str, score: float = 1.0, tagger: str = "t", span: tuple[int, int] = (0, 1)) -> Finding:
    return Finding(0, tagger, category, "r", score, *span)


def names(verdict: Verdict) -> list[str]:
    return [reason.policy_rule for reason in verdict.reasons]


def test_what_no_rule_matches_is_kept() -> None:
    decider = Decider(policy(rule("a", "A.1.*", "drop")))
    assert decider.decide(10, []) == Verdict("keep", ())
    assert decider.decide(10, [found("A.2.a"), found("personal.email")]) == Verdict("keep", ())


@pytest.mark.parametrize(
    "only", [{"at_least_score": "1/2"}, {"at_least_count": 2}, {"at_least_per_1000_chars": "1/10"}]
)
def test_a_rule_for_some_unscanned_records_leaves_the_others_in_quarantine(only: dict[str, Any]) -> None:
    finding = found(UNSCANNED, span=(0, 0))
    assert Decider(policy(rule("a", UNSCANNED, "keep"))).decide(10, [finding]).action == "keep"
    assert Decider(policy(rule("a", UNSCANNED, "keep", **only))).decide(10, [finding, finding]).action == "quarantine"


def test_the_strictest_action_wins_and_every_reason_is_kept_in_the_fixed_order() -> None:
    rules = [rule("k", "x.*", "keep"), rule("r", "x.*", "redact"), rule("q1", "x.1", "quarantine"), rule("q2", "x.*", "quarantine")]  # fmt: skip
    first, second = found("x.2", span=(5, 6)), found("x.1", span=(1, 2))
    verdict = Decider(policy(*rules)).decide(10, [first, second], "hold")
    assert verdict.action == "quarantine"
    assert verdict.reasons == (
        Reason("source:hold", "quarantine", None),
        Reason("q1", "quarantine", second),
        Reason("q2", "quarantine", first),
        Reason("q2", "quarantine", second),
        Reason("r", "redact", first),
        Reason("r", "redact", second),
        Reason("k", "keep", first),
        Reason("k", "keep", second),
    )


def test_the_tagger_glob_narrows_a_rule() -> None:
    decider = Decider(policy(rule("a", "x", "drop", tagger="lex*")))
    assert decider.decide(10, [found("x", tagger="lexicon")]).action == "drop"
    assert decider.decide(10, [found("x", tagger="category")]).action == "keep"


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1, 0.123456789])
def test_a_score_meets_its_own_value_before_and_after_it_was_stored_as_float32(threshold: float) -> None:
    decider = Decider(policy(rule("a", "x", "drop", at_least_score=threshold), unlawful={"categories": ["x"], "at_least_score": threshold}))  # fmt: skip
    fresh = found("x", threshold)
    (stored,) = Findings.of(1, [fresh])
    under = found("x", float(np.nextafter(np.float32(threshold), np.float32(0))))
    for finding, action in ((fresh, "drop"), (stored, "drop"), (under, "keep")):
        assert decider.decide(10, [finding]).action == action
        assert decider.unlawful([finding]) == (action == "drop")


def test_every_float64_score_is_compared_as_the_float32_it_is_stored_as() -> None:
    for threshold in (0.8, 0.5, 0.1, 0.4):
        decider = Decider(policy(rule("a", "x", "drop", at_least_score=threshold)))
        exact = np.float32(threshold)
        border = (float(exact) + float(np.nextafter(exact, np.float32(0)))) / 2
        for score in (border, math.nextafter(border, 0), math.nextafter(border, 1)):
            assert (decider.decide(1, [found("x", score)]).action == "drop") == bool(np.float32(score) >= exact)


def test_a_score_that_is_no_number_counts_as_a_hit() -> None:
    assert (
        Decider(policy(rule("a", "x", "drop", at_least_score=0.5))).decide(1, [found("x", math.nan)]).action == "drop"
    )


def test_a_count_is_of_matching_findings_only() -> None:
    decider = Decider(policy(rule("a", "x", "drop", at_least_count=3, at_least_score=0.5)))
    assert decider.decide(10, [found("x")] * 2 + [found("x", 0.4), found("y")]).action == "keep"
    verdict = decider.decide(10, [found("x")] * 3 + [found("x", 0.4)])
    assert names(verdict) == ["a"] * 3


@pytest.mark.parametrize(("length", "action"), [(2000, "drop"), (2001, "keep"), (0, "drop")])
def test_density_counts_matched_findings_per_1000_code_points(length: int, action: str) -> None:
    decider = Decider(policy(rule("a", "x", "drop", at_least_per_1000_chars=1.5)))
    assert decider.decide(length, [found("x")] * 3).action == action


@pytest.mark.parametrize("state", ["blacklisted", "hold", "watch", "insufficient"])
@pytest.mark.parametrize("action", ["keep", "quarantine", "drop"])
def test_the_state_of_a_source_acts_on_its_records(state: str, action: str) -> None:
    decider = Decider(policy(rule("a", "x", "keep"), **{state: action}))
    assert decider.decide(10, [], state) == Verdict(action, (Reason(f"source:{state}", action, None),))
    assert decider.decide(10, [], "").action == "keep"


def test_what_a_policy_allows_of_undecided_sources_does_not_act_and_the_calibration_counts() -> None:
    read = policy(
        rule("a", "x", "keep"), **INTERVAL, watch_use="allow", on_insufficient="allow", calibration=[CALIBRATED]
    ).sources
    assert read.actions == {"blacklisted": "quarantine", "hold": "quarantine"}
    assert read.acting.tolist() == [False, False, False, True, True]
    assert read.otherwise == "insufficient"
    again = SourceReading.model_validate(read.parameters)
    assert all(getattr(again, name) == getattr(read, name) for name in SourceReading.model_fields)
    assert read.calibration == tuple(map(Calibrated.model_validate, [each.model_dump() for each in read.calibration]))


def test_an_unknown_source_state_is_refused() -> None:
    with pytest.raises(ValueError, match="'balcklisted' has no action; known: blacklisted, hold, watch, insufficient"):
        Decider(policy(rule("a", "x", "keep"))).decide(10, [], "balcklisted")


def test_a_failed_tagger_is_not_the_policys_business() -> None:
    decider = Decider(policy(rule("a", "*", "keep")))
    for _ in range(2):
        with pytest.raises(ValueError, match="tagger 't' failed"):
            decider.decide(10, [found(ERROR)])
        with pytest.raises(ValueError, match="tagger 't' failed"):
            decider.unlawful([found("A.1.a"), found(ERROR)])


def test_unlawful_is_any_finding_of_the_29_risks_of_enough_score() -> None:
    decider = Decider(policy(rule("a", "x", "keep")))
    for risk in load_taxonomy().ids:
        assert decider.unlawful([found("x"), found(risk, 0.5)]) == (not risk.startswith("A.5"))
        assert not decider.unlawful([found(risk, 0.49)] * 9)
    assert not decider.unlawful([])


def test_redaction_says_what_stands_in_place_of_the_span() -> None:
    plain = rule("b", "y", "redact") | {"redact": {"with": "placeholder"}}
    decider = Decider(policy(rule("a", "x", "redact"), plain, rule("c", "x", "quarantine")))
    modes = {}
    for reason in decider.decide(10, [found("x"), found("y")]).reasons:
        if reason.action == "redact":
            modes[reason.policy_rule] = decider.redaction(reason)
        else:
            with pytest.raises(ValueError, match="c: its action is quarantine, not redact"):
                decider.redaction(reason)
    assert modes == {"a": "pseudonym", "b": "placeholder"}


def test_a_claim_about_the_whole_record_cannot_be_redacted_and_is_quarantined() -> None:
    verdict = Decider(policy(rule("a", "x", "redact"))).decide(10, [found("x", span=(0, 0)), found("x", span=(2, 4))])
    assert [(reason.action, reason.finding.start) for reason in verdict.reasons if reason.finding] == [
        ("quarantine", 0),
        ("redact", 2),
    ]


def test_a_decider_travels_to_workers() -> None:
    decider = Decider(load_policy("minimal"))
    expected = decider.decide(10, [found("A.1.a")])
    assert pickle.loads(pickle.dumps(decider)).decide(10, [found("A.1.a")]) == expected


INTERVAL = {"reading": "interval", "basis": "audit"}
CALIBRATED = {"caught": 85, "unlawful": 100, "passed": 970, "lawful": 1000, "set": "0f" * 32}
BASE = facts(
    rule("a", "A.1.*", "quarantine", at_least_score=0.5), rule("b", "personal.*", "redact", at_least_count=2), blacklisted="drop"
)  # fmt: skip
Change = Callable[[dict[str, Any]], Any]
DIGESTS = ("digest", "counting_digest", "tallying_digest", "judging_digest")


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda p: p["rules"][0].update(title="x", clause="y"), set()),
        (lambda p: p.update(policy="x", version="2", instrument="z"), set()),
        (lambda p: p["rules"][0]["match"].update(at_least_score="1/2", at_least_count=1), set()),
        (lambda p: p["rules"].reverse(), {"digest"}),
        (lambda p: p["rules"][0].update(id="z"), {"digest"}),
        (lambda p: p["rules"][0].update(action="drop"), {"digest"}),
        (lambda p: p["rules"][1]["redact"].update({"with": "placeholder"}), {"digest"}),
        (lambda p: p["rules"][0]["match"].update(category=["A.2.*"]), {"digest", "tallying_digest"}),
        (lambda p: p["rules"][0]["match"].update(tagger="lexicon"), {"digest", "tallying_digest"}),
        (lambda p: p["rules"][0]["match"].update(at_least_score=0.6), {"digest", "tallying_digest"}),
        (lambda p: p["rules"][0]["match"].update(at_least_count=2), {"digest", "tallying_digest"}),
        (lambda p: p["rules"][0]["match"].update(at_least_per_1000_chars=0.1), {"digest", "tallying_digest"}),
        (lambda p: p["sources"].update(blacklisted="quarantine"), {"digest", "judging_digest"}),
        (lambda p: p["sources"].update(hold="keep"), {"digest", "judging_digest"}),
        (lambda p: p["sources"].update(limit=0.05), set()),
        (lambda p: p["sources"].update(limit=0.04), {"judging_digest"}),
        (lambda p: p["sources"].update(min_records=101), {"judging_digest"}),
        (lambda p: p["sources"].update(duplicates="split"), set()),
        # What is counted of each split is made anew; how a state comes of it is as before.
        (lambda p: p["sources"].update(duplicates="source"), {"tallying_digest"}),
        (lambda p: p["sources"].update(removals={"then": "hold"}), {"judging_digest"}),
        (lambda p: p["sources"].update(removals={"then": "tell", "intervals": "3.0"}), set()),
        (lambda p: p["sources"].update(watch="drop"), {"digest", "judging_digest"}),
        (lambda p: p["sources"].update(on_insufficient="collect"), {"judging_digest"}),
        (lambda p: p["sources"].update(INTERVAL), {"digest", "judging_digest"}),
        (lambda p: p["sources"].update(INTERVAL, on_insufficient="allow"), {"digest", "judging_digest"}),
        (lambda p: p["sources"]["unlawful"].update(at_least_score=0.6), {"counting_digest", "tallying_digest"}),
        (lambda p: p["sources"]["unlawful"].update(categories=["LEXICON17"]), {"counting_digest", "tallying_digest"}),
        (lambda p: p["sources"]["unlawful"].update(categories=sorted(load_taxonomy().expand(["UNLAWFUL29"]))), set()),
    ],
)
def test_a_digest_changes_with_what_it_names_and_with_nothing_else(change: Change, changed: set[str]) -> None:
    other = copy.deepcopy(BASE)
    change(other)
    old, new = parse(Policy, BASE, "f"), parse(Policy, other, "f")
    assert {name for name in DIGESTS if getattr(old, name) != getattr(new, name)} == changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["rules"][1].update(id="a"), "f: rules[1].id: 'a' is given twice"),
        (lambda p: p["rules"][0].update(id="source:hold"), "f: rules[0].id: must match "),
        (lambda p: p["rules"][0].update(action="redact"), "f: rules[0]: action: redact and the key 'redact' must stand"),
        (lambda p: p["rules"][1].update(action="keep"), "f: rules[1]: action: redact and the key 'redact' must stand"),
        (lambda p: p["rules"][1].update(action="qarantine"), "f: rules[1].action: must be 'keep', 'redact', 'quarantine' or 'drop'"),
        (lambda p: p["rules"][0]["match"].update(at_lest_score=1), "f: rules[0].match: unknown key 'at_lest_score'; did you mean 'at_least_score'?"),
        (lambda p: p["rules"][0]["match"].update(at_most_score=1), "f: rules[0].match: unknown key 'at_most_score'"),
        (lambda p: p["rules"][0]["match"].update(at_least_count=0), "f: rules[0].match.at_least_count: must be at least 1"),
        (lambda p: p["rules"][0]["match"].update(at_least_count=True), "f: rules[0].match.at_least_count: must be a whole number"),
        (lambda p: p["rules"][0]["match"].update(at_least_score=50), "f: rules[0].match.at_least_score: must lie between 0 and 1"),
        (lambda p: p["rules"][0]["match"].update(at_least_per_1000_chars=0), "f: rules[0].match.at_least_per_1000_chars: must be over 0"),
        (lambda p: p["rules"][0]["match"].update(category=["A.6.*"]), "f: rules[0].match.category: 'A.6.*' names no risk of tc260-003"),
        (lambda p: p["rules"][0]["match"].update(category=["[!A]*"]), "f: rules[0].match.category[0]: '[!A]*' may use the wildcards * and ? only"),
        (lambda p: p["rules"][0]["match"].update(category="A.1.*"), "f: rules[0].match.category: must be a list, is the text 'A.1.*'"),
        (lambda p: p["sources"]["unlawful"].update(categories=["UNLAWFUL92"]), "f: sources.unlawful.categories: 'UNLAWFUL92' names no risk of tc260-003; did you mean 'UNLAWFUL29'?"),
        (lambda p: p["sources"].update(blacklisted="redact"), "f: sources.blacklisted: must be 'keep', 'quarantine' or 'drop'"),
        (lambda p: p["sources"].update(limit="5 %"), "f: sources.limit: must be a number such as 0.5 or 5/100, is the text '5 %'"),
        (lambda p: p["sources"].update(reading="intervall"), "f: sources.reading: must be 'literal' or 'interval', is the text 'intervall'; did you mean 'interval'?"),
        (lambda p: p["sources"].update(reading="interval"), "f: sources: reading, basis: interval goes with basis: audit, not with detector"),
        (lambda p: p["sources"].update(basis="audit"), "f: sources: reading, basis: literal goes with basis: detector"),
        (lambda p: p["sources"].update(latest_batch="worst"), "f: sources: latest_batch: 'worst' would depend on the order of nights"),
        (lambda p: p["sources"].pop("min_records"), "f: sources: min_records: the literal reading needs it"),
        (lambda p: p["sources"].update(exact_up_to=2000), "f: sources: exact_up_to: within splits all records are counted"),
        (lambda p: p["sources"].update(duplicates="source", exact_up_to=99), "f: sources: exact_up_to, min_records: a source of 100 records must"),
        (lambda p: p["sources"].update(calibration=[CALIBRATED]), "f: sources: calibration: the literal reading takes detectors at their word"),
        (lambda p: p["sources"].update(INTERVAL, calibration=[CALIBRATED | {"caught": 101}]), "f: sources.calibration[0]: caught, passed: no more can be caught"),
        (lambda p: p["sources"].update(INTERVAL, calibration=[CALIBRATED | {"set": "x"}]), "f: sources.calibration[0].set: must match"),
        (lambda p: p["sources"].update(INTERVAL, records_per_cluster=0.5), "f: sources.records_per_cluster: must be 1 or more"),
        (lambda p: p["sources"].update(INTERVAL, watch="redact"), "f: sources.watch: must be 'keep', 'quarantine' or 'drop'"),
        (lambda p: p["sources"].update(INTERVAL, leave_limit=0.06), "f: sources: leave_limit, limit: 0 < leave_limit <= limit < 1"),
        (lambda p: p.update(taxonomy="tc260"), "f: taxonomy: taxonomies: there is no 'tc260'; did you mean 'tc260-003'?"),
        (lambda p: p.update(version=2024.1), "f: version: must be text, is the number 2024.1; put it in quotes"),
        (lambda p: p.update(rules=[]), "f: rules: must have at least 1 entries"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_policy_names_its_place(change: Change, message: str) -> None:
    wrong = copy.deepcopy(BASE)
    change(wrong)
    with pytest.raises(UsageError) as caught:
        parse(Policy, wrong, "f")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(message)


def test_mistakes_between_rules_are_one_per_line() -> None:
    with pytest.raises(UsageError) as caught:
        policy(rule("a", "A.6.*", "keep"), rule("a", "UNLAWFUL92", "keep"))
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "rules[1].id",
        "rules[0].match.category",
        "rules[1].match.category",
    ]


def test_a_policy_is_loaded_by_shipped_name_or_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(BASE), "utf-8")
    assert load_policy(str(path)) == parse(Policy, BASE, "f")
    assert [load_policy(name).name for name in SHIPPED] == list(SHIPPED)
    with pytest.raises(UsageError, match="there is no 'cn-tc260-03'; did you mean 'cn-tc260-003'"):
        load_policy("cn-tc260-03")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_policy("./minimal.yaml")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_read_the_five_percent_rule_literally(name: str) -> None:
    sources = load_policy(name).sources
    assert (sources.reading, sources.basis, sources.limit, sources.min_records) == (
        "literal",
        "detector",
        Fraction(1, 20),
        100,
    )
    assert sources.actions == dict.fromkeys(("blacklisted", "hold", "watch", "insufficient"), "quarantine")
    assert sources.otherwise == "clean"
    assert sources.unlawful.categories == ("UNLAWFUL29",)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_policies_say_what_they_are(name: str) -> None:
    text = (Path(__file__).parents[2] / "configs" / "policies" / f"{name}.yaml").read_text("utf-8")
    header = re.match(r"(#.*\n)+", text)
    assert header
    assert "ngineering reading" in header[0]
    assert "not legal advice" in header[0]


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("risk", sorted(load_taxonomy().expand(["UNLAWFUL29"])))
def test_shipped_policies_quarantine_every_unlawful_risk(name: str, risk: str) -> None:
    decider = Decider(load_policy(name))
    assert decider.decide(100, [found(risk, 0.5)]).action == "quarantine"
    assert decider.decide(100, [found(risk, 0.4)]).action == "keep"


CN = Decider(load_policy("cn-tc260-003"))


def test_every_risk_is_matched_by_a_rule_of_the_chinese_policy() -> None:
    assert len(load_taxonomy().ids) == 31
    assert all(CN.decide(100, [found(risk)]).reasons for risk in load_taxonomy().ids)


def test_every_rule_of_the_chinese_policy_has_its_clause() -> None:
    assert all(re.fullmatch(r"TC260-003:\d\.\d( [a-d]\d?)?", rule.clause) and rule.title for rule in CN.policy.rules)


def test_the_chinese_policy_drops_blocked_information_only() -> None:
    assert [rule.id for rule in CN.policy.rules if rule.action == "drop"] == ["blocked"]
    assert CN.decide(100, [found("blocked.host", 0.1, span=(0, 0))]).action == "drop"


@pytest.mark.parametrize(
    ("findings", "action", "rules"),
    [
        ([found("A.5.a")], "keep", ["quality"]),
        ([found(UNSCANNED, span=(0, 0))], "quarantine", ["unscanned"]),
        ([found("provenance.licence", span=(0, 0))], "quarantine", ["provenance"]),
        ([found("A.3.a", span=(0, 0))], "quarantine", ["commerce", "intellectual-property"]),
        ([found("personal.email")], "redact", ["personal"]),
        ([found("personal.ip", 0.4), found("personal.mac", 0.3)], "keep", []),
        ([found("personal.bank_card")], "redact", ["personal", "personal-sensitive"]),
        ([found("personal.resident_id")], "redact", ["personal", "personal-sensitive"]),
        ([found("personal.email")] * 19, "redact", ["personal"] * 19),
        ([found("personal.email")] * 20, "quarantine", ["personal-bulk"] * 20 + ["personal"] * 20),
        ([found("personal.passport")] * 9, "redact", ["personal"] * 9 + ["personal-sensitive"] * 9),
    ],
)
def test_the_chinese_policy_decides(findings: list[Finding], action: str, rules: list[str]) -> None:
    verdict = CN.decide(1000, findings)
    assert (verdict.action, names(verdict)) == (action, rules)


def test_the_chinese_policy_quarantines_ten_sensitive_values() -> None:
    verdict = CN.decide(1000, [found("personal.passport")] * 10)
    assert (verdict.action, names(verdict)[0]) == ("quarantine", "personal-sensitive-bulk")


def test_personal_values_do_not_count_towards_the_five_percent() -> None:
    assert not CN.unlawful([found("personal.resident_id")] * 50)
    assert CN.unlawful([found("A.4.f", 0.5)])
