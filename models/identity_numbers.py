"""Checks of numbers that identify people: pure functions of the compact number, no clock, no table on disk.

Sources: GB 11643-1999 (citizen identity number, check character by ISO 7064 MOD 11-2), ISO/IEC 7812-1 (card numbers, Luhn's check
digit in annex B), the numbering plan of the mainland's mobile networks as libphonenumber 9.0.43 knows it.
"""

import datetime

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"

# Divisions of the first level by GB/T 2260, with Taiwan, Hong Kong and Macau; 83 is the residence permit's code for Taiwan.
_PROVINCES = frozenset(
    str(code)
    for first, last in ((11, 15), (21, 23), (31, 37), (41, 46), (50, 54), (61, 65), (71, 71), (81, 83))
    for code in range(first, last + 1)
)

MOBILE_PREFIXES = frozenset(
    str(number)
    for first, last in (
        (130, 139),
        (145, 145),
        (147, 147),
        (150, 153),
        (155, 159),
        (162, 162),
        (165, 167),
        (170, 173),
        (175, 178),
        (180, 189),
        (190, 193),
        (195, 199),
    )
    for number in range(first, last + 1)
)
"""Three-digit prefixes that mainland mobile networks have been given. The list grows: an unknown one is less sure, not wrong."""

# Issuer ranges: network, first and last leading digits (of equal length), lengths. The first row that fits names the network.
_ISSUERS: tuple[tuple[str, str, str, range | tuple[int, ...]], ...] = (
    ("unionpay", "62", "62", range(16, 20)),
    ("unionpay", "81", "81", range(16, 20)),
    ("visa", "4", "4", (13, 16, 18, 19)),
    ("mastercard", "51", "55", (16,)),
    ("mastercard", "2221", "2720", (16,)),
    ("mir", "2200", "2204", range(16, 20)),
    ("amex", "34", "34", (15,)),
    ("amex", "37", "37", (15,)),
    ("jcb", "3528", "3589", range(16, 20)),
    ("jcb", "1800", "1800", (15,)),
    ("jcb", "2131", "2131", (15,)),
    ("diners", "300", "305", range(14, 20)),
    ("diners", "3095", "3095", range(14, 20)),
    ("diners", "36", "36", range(14, 20)),
    ("diners", "38", "39", range(14, 20)),
    ("discover", "6011", "6011", range(16, 20)),
    ("discover", "644", "649", range(16, 20)),
    ("discover", "65", "65", range(16, 20)),
    ("maestro", "50", "50", range(12, 20)),
    ("maestro", "56", "58", range(12, 20)),
    ("maestro", "60", "69", range(12, 20)),
    ("uatp", "1", "1", (15,)),
    ("domestic", "9", "9", range(16, 20)),
)

COMMON_ISSUERS = frozenset({"unionpay", "visa", "mastercard", "amex", "jcb", "diners", "discover", "mir"})
"""Networks whose leading digits and lengths say something; the others' ranges are so wide that only a cue word tells."""


def is_resident_id(number: str) -> bool:
    """Tell whether 18 characters are a resident identity number of China.

    Holds for citizens (GB 11643), for residence permits of people from Hong Kong, Macau and Taiwan (810000, 820000, 830000) and
    for the foreign permanent resident's card of 2023 (``9``, province, country, then as GB 11643). The birth date must be a day
    of the calendar between 1800 and 2099; whether it is past is not asked, since that would need the clock.
    """
    if len(number) != 18 or not number.isascii() or not number[:17].isdigit():
        return False
    province = number[1:3] if number[0] == "9" else number[:2]
    if province not in _PROVINCES or (province in ("81", "82", "83") and number[0] != "9" and number[2:6] != "0000"):
        return False
    return _is_day(number[6:14]) and resident_check(number[:17]) == number[17].upper()


def resident_check(body: str) -> str:
    """Return the check character of the first 17 digits of a resident identity number (ISO 7064 MOD 11-2)."""
    return _CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]


def is_mobile(number: str) -> bool:
    """Tell whether 11 digits have the form of a mainland mobile number and a prefix that is in use."""
    return len(number) == 11 and number.isascii() and number.isdigit() and number[:3] in MOBILE_PREFIXES


def is_luhn(number: str) -> bool:
    """Tell whether the last of at least two digits is Luhn's check digit of the others (ISO/IEC 7812-1, annex B)."""
    if len(number) < 2 or not number.isascii() or not number.isdigit():
        return False
    plain = sum(int(digit) for digit in number[-1::-2])
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (plain + doubled) % 10 == 0


def card_issuer(number: str) -> str | None:
    """Return the network whose leading digits and lengths a card number has, or None. Luhn's digit is not looked at."""
    for network, first, last, lengths in _ISSUERS:
        if first <= number[: len(first)] <= last and len(number) in lengths:
            return network
    return None


def is_bank_card(number: str) -> bool:
    """Tell whether digits have an issuer's leading digits, one of its lengths and Luhn's check digit."""
    return card_issuer(number) is not None and is_luhn(number)


def _is_day(digits: str) -> bool:
    if digits[:2] not in ("18", "19", "20"):
        return False
    try:
        datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return False
    return True
