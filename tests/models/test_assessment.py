"""Assessments as a function of counts: what each reading makes of a probe, and of what was decided before."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from models.assessment import Assessment, History, Probe, assess
from models.intervals import Calibration
from models.source_reading import SourceReading

INTERVAL = SourceReading(reading="interval")


def probe(distinct: int, unlawful: int, **more: Any) -> Probe:
    names = ("low", "unscanned", "characters", "unlawful_characters", "low_characters", "purged", "otherwise")
    counts: dict[str, Any] = {"read": distinct, "distinct": distinct, "unlawful": unlawful, **dict.fromkeys(names, 0)}
    empty = {name: {} for name in ("errors", "risks", "blocked", "actions", "blocked_actions")}
    return Probe("s", (("p", "0", 1),), **(counts | empty | more))


def told(found: Assessment) -> tuple[str, str, str]:
    return found.state, found.basis, found.decision


@pytest.mark.parametrize(
    ("given", "reading", "state", "decision"),
    [
        (probe(100, 5), SourceReading(), "clean", "allowed"),
        (probe(100, 6), SourceReading(), "blacklisted", "not allowed"),
        (probe(99, 6), SourceReading(), "hold", "not allowed"),
        (probe(100, 5), SourceReading(limit=Fraction(4, 100)), "blacklisted", "not allowed"),
        # A dead letter is not qualified, and is one of the probe's records.
        (probe(99, 5, errors={"bad_json": 1}), SourceReading(), "blacklisted", "not allowed"),
        (probe(100, 5, unscanned=1), SourceReading(), "insufficient", "undecided"),
        (probe(100, 4, unscanned=1), SourceReading(), "clean", "allowed"),
        (probe(100, 6, unscanned=1), SourceReading(), "blacklisted", "not allowed"),
        # All of it must be purged: nothing of nothing is not clean.
        (probe(0, 0, purged=9), SourceReading(), "insufficient", "undecided"),
        # What detectors found decides nothing in the other reading, unless the policy says what is undecided may be collected.
        (probe(10_000, 0), INTERVAL, "insufficient", "undecided"),
        (probe(10_000, 0), SourceReading(reading="interval", on_insufficient="collect"), "insufficient", "allowed"),
    ],
)
def test_the_policy_s_reading_decides(given: Probe, reading: SourceReading, state: str, decision: str) -> None:
    assert told(assess(given, reading)) == (state, "detector", decision)


def test_an_override_decides_in_place_of_the_figures() -> None:
    found = assess(probe(100, 90), SourceReading(), history=History(True, ("D0007", "clean")))
    assert told(found) == ("clean", "override D0007", "allowed")
    found = assess(probe(100, 0), INTERVAL, history=History(override=("D0007", "hold")))
    assert told(found) == ("hold", "override D0007", "not allowed")


@pytest.mark.parametrize(
    ("unlawful", "own", "above", "expected"),
    [
        (0, None, "hold", ("hold", "override D0001 of code.example", "not allowed")),
        (90, None, "hold", ("blacklisted", "detector", "not allowed")),
        (90, None, "blacklisted", ("blacklisted", "override D0001 of code.example", "not allowed")),
        (0, "clean", "watch", ("watch", "override D0001 of code.example", "undecided")),
        (0, "hold", "hold", ("hold", "override D0007", "not allowed")),
        (0, "blacklisted", "hold", ("blacklisted", "override D0007", "not allowed")),
    ],
)
def test_a_decision_on_what_a_source_lies_in_condemns_where_it_is_worse(
    unlawful: int, own: str | None, above: str, expected: tuple[str, str, str]
) -> None:
    history = History(override=None if own is None else ("D0007", own), above=("D0001 of code.example", above))
    assert told(assess(probe(100, unlawful), SourceReading(), history=history)) == expected


def test_a_blacklisted_source_comes_back_by_the_reading_s_own_rule() -> None:
    assert told(assess(probe(100, 1), SourceReading(), history=History(True)))[0] == "clean"
    assert told(assess(probe(100, 1), INTERVAL, history=History(True))) == ("blacklisted", "detector", "not allowed")


def test_limits_hold_the_share_and_are_rounded_outwards() -> None:
    found = assess(probe(400, 11), SourceReading())
    # Wilson, z = 1.96: 0.0154235 to 0.0485660
    assert (found.estimate, found.limits, found.sampling) == (27_500, None, (15_423, 48_566))
    assert assess(probe(0, 0, purged=1), SourceReading()).estimate is None


def test_a_calibrated_classifier_orders_the_work_and_allows_nothing() -> None:
    errors = [np.array([each]) for each in (170, 200, 1940, 2000)]
    found = assess(probe(10_000, 545), INTERVAL, Calibration(*errors))
    assert told(found)[1:] == ("rogan-gladen", "undecided")
    # The worked example of the rule: 5.45 % flagged, Se 0.85, Sp 0.97.
    assert found.estimate == 29_878
    assert found.limits is not None
    assert found.limits[0] < found.estimate < found.limits[1]
