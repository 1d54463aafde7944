"""The checks of identity numbers, on numbers that are made up or printed in the standards."""

import pytest

from models.identity_numbers import (
    MOBILE_PREFIXES,
    card_issuer,
    is_bank_card,
    is_luhn,
    is_mobile,
    is_resident_id,
    resident_check,
)


@pytest.mark.parametrize(
    "number",
    [
        "11010519491231002X",  # the example of GB 11643
        "11010519491231002x",
        "44011320141005001x",
        "810000199408230021",
        "830000199201300022",
        "82000019910910002" + resident_check("82000019910910002"),
        "911124198108030024",
        "91112419810803002" + resident_check("91112419810803002"),
    ],
)
def test_resident_ids_of_every_kind_are_valid(number: str) -> None:
    assert is_resident_id(number)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("110105194912310021", "check character"),
        ("99010519491231" + "002" + resident_check("99010519491231002"), "province behind the 9"),
        ("16010519491231" + "002" + resident_check("16010519491231002"), "province"),
        ("81010519491231" + "002" + resident_check("81010519491231002"), "a permit's region is 810000"),
        ("11010519490229" + "002" + resident_check("11010519490229002"), "29 February of a common year"),
        ("11010517491231" + "002" + resident_check("11010517491231002"), "century"),
        ("11010519491231002", "length"),
        ("1101051949123１002X", "full-width digit"),
        ("", "empty"),
    ],
)
def test_what_breaks_one_rule_is_no_resident_id(number: str, why: str) -> None:
    assert not is_resident_id(number), why


def test_any_changed_digit_breaks_a_resident_id() -> None:
    valid = "11010519491231002X"
    for place in range(17):
        others = (valid[:place] + digit + valid[place + 1 :] for digit in "0123456789" if digit != valid[place])
        assert not any(is_resident_id(other) for other in others)


def test_mobile_needs_a_prefix_in_use() -> None:
    assert is_mobile("13800138000")
    assert not is_mobile("12800138000")
    assert not is_mobile("1380013800")
    assert not is_mobile("138001380000")
    assert not is_mobile("1380013800x")
    # 52 of the 70 prefixes 13x to 19x, as libphonenumber 9.0.43 has them.
    assert len(MOBILE_PREFIXES) == 52


def test_luhn() -> None:
    assert is_luhn("49927398716")
    assert not is_luhn("4992739871")
    assert not is_luhn("0")
    assert not is_luhn("")
    assert not is_luhn("4992 739871")
    # The check digit finds every single changed digit.
    for place in range(16):
        number = "4111111111111111"
        others = (number[:place] + digit + number[place + 1 :] for digit in "0123456789" if digit != number[place])
        assert not any(is_luhn(other) for other in others)


@pytest.mark.parametrize(
    ("number", "network"),
    [
        ("6222021234567890128", "unionpay"),
        ("6222021234567890", "unionpay"),
        ("4111111111111111", "visa"),
        ("5555555555554444", "mastercard"),
        ("2221000000000009", "mastercard"),
        ("371449635398431", "amex"),
        ("30569309025904", "diners"),
        ("3530111333300000", "jcb"),
        ("6011111111111117", "discover"),
        ("2200000000000004", "mir"),
        ("122000000000003", "uatp"),
        ("6759649826438453", "maestro"),
        ("9558801234567890123", "domestic"),
        ("371449635398431" + "0", None),
        ("411111111111", None),
        ("7111111111111111", None),
        ("", None),
    ],
)
def test_issuer_by_leading_digits_and_length(number: str, network: str | None) -> None:
    assert card_issuer(number) == network


def test_bank_card_needs_issuer_and_check_digit() -> None:
    assert is_bank_card("4111111111111111")
    assert is_bank_card("6222021234567890128")
    assert not is_bank_card("4111111111111112")
    assert not is_bank_card("7111111111111114")
