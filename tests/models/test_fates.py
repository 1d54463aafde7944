"""What became of records is told by their fate, not by what a rule asked for."""

from collections.abc import Sequence

from models.fates import applied_of, fates_of
from models.findings import Finding
from models.policy import Reason
from models.verdicts import CLEAN, DEAD, DROPPED, QUARANTINE, Outcome

DOORS = {"keep": CLEAN, "redact": CLEAN, "quarantine": QUARANTINE, "drop": DROPPED}


def found(category: str, start: int, end: int, view: str = "raw") -> Finding:
    return Finding(0, "personal", f"personal.{category}", "pattern", 1.0, start, end, view)


def became(action: str, reasons: Sequence[Reason]) -> dict[str, int]:
    return fates_of([Outcome(DOORS[action], action, reasons)])


MAIL = Reason("personal", "redact", found("email", 0, 9))
HELD, DROP = Reason("source:hold", "quarantine", None), Reason("source:hold", "drop", None)


def test_a_value_that_a_rule_wanted_to_redact_counts_where_its_record_went() -> None:
    assert became("redact", [MAIL]) == {"personal.email\tredact": 1}
    assert became("quarantine", [HELD, MAIL]) == {"personal.email\tquarantine": 1, "source:hold\tquarantine": 1}
    assert became("drop", [DROP, HELD, MAIL]) == {"personal.email\tdrop": 1, "source:hold\tdrop": 1}


def test_a_record_counts_once_for_a_category_however_often_it_was_found() -> None:
    again = Reason("personal-bulk", "quarantine", found("email", 20, 29))
    assert became("quarantine", [again, MAIL]) == {"personal.email\tquarantine": 1}


def test_what_stays_in_a_redacted_record_counts_as_kept() -> None:
    phone = Reason("noted", "keep", found("phone", 20, 29))
    assert became("redact", [MAIL, phone]) == {"personal.email\tredact": 1, "personal.phone\tkeep": 1}
    # One address was cut out, one is left; and one that two rules speak of is gone.
    assert became("redact", [MAIL, Reason("noted", "keep", found("email", 20, 29))]) == {"personal.email\tkeep": 1}
    assert became("redact", [MAIL, Reason("noted", "keep", found("email", 2, 9))]) == {"personal.email\tredact": 1}
    # A claim on the whole record, and one on its id, lie in no passage of the text.
    assert became("redact", [MAIL, Reason("noted", "keep", found("ip", 0, 0))])["personal.ip\tkeep"] == 1
    assert became("redact", [MAIL, Reason("noted", "keep", found("ip", 0, 4, "id"))])["personal.ip\tkeep"] == 1
    assert became("keep", [phone]) == {"personal.phone\tkeep": 1}


def test_withdrawals_are_one_category_and_one_rule_however_many_there_are() -> None:
    reasons = [Reason(f"withdrawn:W{n:04}", "drop", None) for n in range(1, 40)]
    outcomes = [Outcome(DROPPED, "drop", reasons), Outcome(DEAD, "dead", reasons[:1], error="bad_json")]
    assert fates_of(outcomes) == {"withdrawn\tdead": 1, "withdrawn\tdrop": 1}
    assert applied_of(outcomes) == {"withdrawn\tdrop\t": 2}


def test_a_rule_applied_whether_or_not_it_decided_and_a_purge_is_one() -> None:
    outcomes = [
        Outcome(QUARANTINE, "quarantine", [HELD, MAIL, MAIL]),
        Outcome(CLEAN, "redact", [MAIL]),
        Outcome(DROPPED, "drop", purge="a list"),
    ]
    assert applied_of(outcomes) == {
        "blocked.purge\tdrop\tblocked": 1,
        "personal\tredact\tpersonal": 2,
        "source:hold\tquarantine\t": 1,
    }
    assert fates_of(outcomes)["blocked.purge\tdrop"] == 1
