"""Telephone numbers as libphonenumber's matcher finds them, and which regions' numbering plans are worth asking.

The matcher takes about 0.1 ms a window and region, most digits on the web are no number of any plan, and a plan is a regular
expression. What the plans turn away the matcher would not have found.
"""

import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import phonenumbers

from models.errors import UsageError

MIN_DIGITS, MAX_DIGITS = 7, 17
"""Digits of a number as written: the shortest that is looked at, and the longest (15 by E.164 and a dialling prefix)."""

ABROAD = "ZZ"
"""libphonenumber's name for no region: only numbers with ``+`` and a calling code."""

_KINDS = (
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
)
_FIRST_GROUP_ONLY = re.compile(r"\(?\\1\)?")
_ABROAD = re.compile(r"[1-9]\d{6,14}")
_INTERNATIONAL = re.compile(r"(?:00|011|810|0)[1-9]\d{6,14}")


class Format(NamedTuple):
    """How numbers that begin so and have this shape are written: always with the national prefix, or not."""

    leading: re.Pattern[str] | None
    shape: re.Pattern[str]
    prefixed: bool


@dataclass(frozen=True)
class Plan:
    """The numbers of one calling code as dialled in one region.

    Attributes:
        number: every valid number, without prefixes.
        code: the calling code, in digits.
        prefix: what may be dialled before a number within the region, and what libphonenumber puts in its place.
        abroad: what is dialled before a calling code.
    """

    region: str
    number: re.Pattern[str]
    code: str
    prefix: re.Pattern[str] | None
    instead: str | None
    abroad: re.Pattern[str] | None
    formats: tuple[Format, ...]

    def allows(self, digits: str) -> bool:
        """Tell whether digits may be a number of this plan: with or without calling code and national prefix, or dialled abroad."""
        if self.number.fullmatch(digits) and self._stands_bare(digits):
            return True
        if self.prefix is not None and self._national(digits, self.prefix):
            return True
        if digits.startswith(self.code):
            rest = digits[len(self.code) :]
            if self.number.fullmatch(rest) or (self.prefix is not None and self._national(rest, self.prefix)):
                return True
        abroad = self.abroad and self.abroad.match(digits)
        return bool(abroad and (_INTERNATIONAL.fullmatch(digits) or _ABROAD.fullmatch(digits, abroad.end())))

    def _stands_bare(self, digits: str) -> bool:
        """Tell whether a valid number is written without its national prefix; the matcher refuses it where it must not be."""
        for form in self.formats:
            if (form.leading is None or form.leading.match(digits)) and form.shape.fullmatch(digits):
                return not form.prefixed
        return True

    def _national(self, digits: str, prefix: re.Pattern[str]) -> bool:
        found = prefix.match(digits)
        if found is None:
            return False
        rest = digits[found.end() :]
        if self.instead is not None and found.groups() and found.groups()[-1] is not None:
            rest = found.expand(self.instead) + rest
        return self.number.fullmatch(rest) is not None


_PLAIN = re.compile(r"[0-9 ./()\[\]-]*")


class _Matcher(phonenumbers.PhoneNumberMatcher):
    """libphonenumber's matcher, which asks the plan before it parses a candidate in full."""

    def __init__(self, text: str, plan: Plan) -> None:
        super().__init__(text, plan.region)
        self._plan = plan

    def _parse_and_verify(self, candidate: str, offset: int) -> Any:
        return super()._parse_and_verify(candidate, offset) if self._is_likely(candidate) else None

    def _is_likely(self, candidate: str) -> bool:
        # What follows a single x can only be an extension, and two of them stand for a carrier.
        head, x, rest = candidate.partition("x")
        if x and rest.startswith(("x", "X")):
            return True
        return _PLAIN.fullmatch(head) is None or self._plan.allows(re.sub("[^0-9]", "", head))


def numbers_in(text: str, plan: Plan | None) -> Iterator[tuple[int, int]]:
    """Return the half-open spans of the valid telephone numbers of a text as in a plan's region; abroad if there is no plan."""
    matcher = phonenumbers.PhoneNumberMatcher(text, ABROAD) if plan is None else _Matcher(text, plan)
    return ((match.start, match.end) for match in matcher)


def check_regions(regions: tuple[str, ...]) -> None:
    """Raise UsageError if libphonenumber has no plan for a region."""
    for region in regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            near = get_close_matches(region.upper(), phonenumbers.SUPPORTED_REGIONS, 1, 0)
            raise UsageError(f"personal: phone_regions: no region {region!r}; did you mean {near[0]!r}?")


def _metadata(region: str) -> Any:
    # Every supported region has metadata; Any, because half of its optional fields are never absent.
    return phonenumbers.PhoneMetadata.metadata_for_region(region)


@functools.lru_cache(maxsize=8)
def plans(regions: tuple[str, ...]) -> tuple[Plan, ...]:
    """Return the plans of the regions; regions that share calling code and dialling prefixes are one plan."""
    found: dict[tuple[object, ...], Plan] = {}
    for region in regions:
        metadata = _metadata(region)
        key = (metadata.country_code, metadata.international_prefix, metadata.national_prefix_for_parsing)
        if key not in found:
            found[key] = _plan(region, metadata)
    return tuple(found.values())


def canonical(text: str, region: str) -> str:
    """Return a number found in a region's text in E.164 form, or its digits if it cannot be parsed."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return re.sub(r"\D", "", text)
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def is_international(digits: str) -> bool:
    """Tell whether digits are a calling code and a valid number of it."""
    for length in (1, 2, 3):
        number = _numbers().get(int(digits[:length]))
        if number is not None and number.fullmatch(digits[length:]):
            return True
    return False


def _plan(region: str, metadata: Any) -> Plan:
    def compiled(pattern: str | None) -> re.Pattern[str] | None:
        return re.compile(pattern) if pattern else None

    # The matcher asks the calling code's main region how its numbers are written.
    main = _metadata(phonenumbers.region_code_for_country_code(metadata.country_code))
    return Plan(
        region,
        _numbers()[metadata.country_code],
        str(metadata.country_code),
        compiled(metadata.national_prefix_for_parsing),
        metadata.national_prefix_transform_rule,
        compiled(metadata.international_prefix),
        tuple(_format(form) for form in main.number_format),
    )


def _format(form: Any) -> Format:
    leading = form.leading_digits_pattern
    rule = form.national_prefix_formatting_rule
    prefixed = (
        bool(rule) and not form.national_prefix_optional_when_formatting and not _FIRST_GROUP_ONLY.fullmatch(rule)
    )
    return Format(re.compile(leading[-1]) if leading else None, re.compile(form.pattern), prefixed)


@functools.cache
def _numbers() -> dict[int, re.Pattern[str]]:
    """Return, for each calling code, its valid numbers: all types of all regions that share it."""
    patterns: dict[int, dict[str, None]] = defaultdict(dict)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        metadata = _metadata(region)
        for kind in _KINDS:
            described = getattr(metadata, kind)
            if described is not None and described.national_number_pattern:
                patterns[metadata.country_code][f"(?:{described.national_number_pattern})"] = None
    return {code: re.compile("|".join(found)) for code, found in patterns.items()}
