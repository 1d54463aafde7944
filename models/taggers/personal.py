"""``personal``: data that names or reaches a person, found by Presidio's recognisers in windows that a native gate opens.

Presidio over every record runs at 0.4 MB/s and finds nothing beside a Han character, since ``\\b`` sees no boundary there. So the
gate (:mod:`models.taggers.personal_gate`) scans the safe view for anchors, and only the recognisers that an anchor announces run,
only on a small window, in which compatibility forms are folded, what draws nothing is left out, and characters of scripts without
spaces become line feeds one to one: a boundary, but none of the separators that a number may hold. Offsets go back to the
original exactly. No matched value leaves this module but as a keyed hash.

Scores are Presidio's where it has a recogniser; a cue word within 20 characters adds 0.35, as Presidio's enhancer does, and an
address that is no person's is held at 0.3 or below. The recognisers are called without Presidio's engine: that takes 71 µs for a
window on a blank pipeline against 14 µs, and looks for cues in the lemmas of one language.
"""

import bisect
import functools
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version as version_of
from typing import Any, ClassVar, NamedTuple

import regex  # type: ignore[import-untyped]
from presidio_analyzer import Pattern, PatternRecognizer
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    CryptoRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    PhoneRecognizer,
    UsSsnRecognizer,
)

from models.columns import suffixes
from models.digest import digest_of
from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED, Finding, Findings
from models.identity_numbers import COMMON_ISSUERS, MOBILE_PREFIXES, card_issuer, is_luhn, is_resident_id
from models.keys import key_from, key_id
from models.taggers.personal_gate import Gate, Window
from models.taggers.personal_phone import ABROAD, Plan, check_regions, numbers_in, plans
from models.taggers.personal_values import CUES, NEAR, Match, canonical_value, score, settled
from models.view import View, fold_keeping_case

# No word boundaries: only a letter or digit of ASCII next to a number, or one digit and a point, make it part of something else.
_BEFORE, _AFTER = r"(?<![0-9A-Za-z])(?<!(?<![0-9])[0-9]\.)", r"(?![0-9A-Za-z])"
_GAP = "[ .·-]?"
_MOBILE = rf"{_BEFORE}(?<!\+)(?:(?:\+|00)?86\)?[ -]?)?(?:%s){_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_AFTER}"
# Scripts that put no space between words, and their punctuation: Thai to Myanmar, Khmer, Hangul, kana, Han.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f"
    r"\U0001f200-\U0001f2ff\U00020000-\U0003ffff]"
)
# Every form of IPv6 has this.
_COLONS = re.compile("::|[0-9A-Fa-f]:[0-9A-Fa-f]{1,4}:")


@dataclass(frozen=True)
class Personal:
    """Finds the kinds of personal data named in ``entities``; a finding's category is ``personal.<entity>``.

    Attributes:
        entities: what to look for, of :data:`ENTITIES`.
        phone_regions: regions (ISO 3166-1 alpha-2) as in which a telephone number without calling code is read.
        key_env: environment variable that holds the key of ``value_hmac``; None for no hashes.
        max_windows: windows of one record; a record with more is not looked at and gets one ``unscanned`` finding.

    Raises:
        UsageError: if an entity or region does not exist, naming the nearest that does.
    """

    name: ClassVar[str] = "personal"
    version: ClassVar[int] = 2
    identifiers: ClassVar[bool] = True
    paths: ClassVar[tuple[str, ...]] = ()

    entities: tuple[str, ...] = (
        "email",
        "phone",
        "bank_card",
        "ip",
        "iban",
        "us_ssn",
        "crypto",
        "mac",
        "cn_resident_id",
        "cn_mobile",
    )
    phone_regions: tuple[str, ...] = ("CN", "US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
    key_env: str | None = None
    max_windows: int = 10_000

    def __post_init__(self) -> None:
        for entity in self.entities:
            if entity not in ENTITIES:
                near = get_close_matches(entity, ENTITIES, 1, 0)[0]
                raise UsageError(f"personal: entities: no entity {entity!r}; did you mean {near!r}?")
        check_regions(self.phone_regions)

    @property
    def digest(self) -> str:
        """Digest of configuration, versions and the key's id, not of the key or its variable's name.

        Raises:
            UsageError: if the key's variable is not set, or holds too short a key.
        """
        return digest_of(
            {
                "tagger": self.name,
                "version": self.version,
                "entities": sorted(set(self.entities)),
                "phone_regions": list(self.phone_regions),
                "max_windows": self.max_windows,
                "key": key_id(key_from(self.key_env)),
                "libraries": {name: version_of(name) for name in ("presidio-analyzer", "phonenumbers", "tldextract")},
            }
        )

    def load(self) -> None:
        """Build gate and recognisers.

        Raises:
            UsageError: if the key's variable is not set, or holds too short a key.
        """
        key_from(self.key_env)
        _recognisers(self.entities, self.phone_regions)

    def tag(self, documents: Documents) -> Findings:
        """Return the personal data of every record.

        Raises:
            UsageError: if the key's variable is not set, or holds too short a key.
        """
        key, recognisers = key_from(self.key_env), _recognisers(self.entities, self.phone_regions)
        found = []
        for row, windows in sorted(recognisers.gate.windows(documents.safe).items()):
            if len(windows) > self.max_windows:
                found.append(Finding(row, self.name, UNSCANNED, "max_windows", 1.0))
                continue
            text: str = documents.text[row].as_py()
            for match in settled(_matches(recognisers, documents.safe, row, text, windows)):
                category = f"personal.{match.kind}"
                hashed = (
                    None
                    if key is None
                    else _hashed(key, category, canonical_value(match.kind, match.value, match.region))
                )
                place = (match.start, match.end, match.view, hashed)
                found.append(Finding(row, self.name, category, match.rule, match.score, *place))
        return Findings.of(len(documents), found)


class Checked(PatternRecognizer):  # type: ignore[misc]  # Presidio is untyped
    """Patterns whose matches count only if a check of the letters and digits holds; the score is the pattern's."""

    def __init__(self, entity: str, check: Callable[[str], bool], patterns: Sequence[Any]) -> None:
        super().__init__(supported_entity=entity, patterns=list(patterns))
        self._check = check

    def validate_result(self, pattern_text: str) -> bool | None:
        """Return None for a match that holds, so that it keeps its score, and False for one that does not."""
        return None if self._check(re.sub(r"[^0-9A-Za-z]", "", pattern_text)) else False


@functools.lru_cache(maxsize=1 << 12)
def _has_public_suffix(domain: str) -> bool:
    return bool(suffixes()(domain).fqdn)


class OfflineEmail(EmailRecognizer):  # type: ignore[misc]  # Presidio is untyped
    """Presidio's addresses, with the public suffix list that tldextract brings along: Presidio's own would fetch a newer one."""

    def validate_result(self, pattern_text: str) -> bool:
        """Tell whether the domain ends in a public suffix; what stands before it may be the path of a URL."""
        return _has_public_suffix(pattern_text.rpartition("@")[2])


class AnyCaseCrypto(CryptoRecognizer):  # type: ignore[misc]  # Presidio is untyped
    """Presidio's addresses, and those of BIP 173 in capitals, as QR codes hold them."""

    def validate_result(self, pattern_text: str) -> bool:
        """Tell whether the checksum holds."""
        return bool(super().validate_result(pattern_text.lower() if pattern_text.startswith("BC1") else pattern_text))


class Found(NamedTuple):
    """What a recogniser found in a window: half-open span, score, and the name of the pattern."""

    start: int
    end: int
    score: float
    rule: str


class Shape(NamedTuple):
    """One pattern of a recogniser of Presidio, compiled as Presidio does."""

    recogniser: Any
    expression: Any
    score: float
    name: str

    def find(self, text: str) -> Iterator[Found]:
        """Return what Presidio's analysis would, without the explanations that it writes for each match and the clock it minds."""
        for match in self.expression.finditer(text):
            value = match[0]
            if not value or self.recogniser.invalidate_result(value):
                continue
            valid = self.recogniser.validate_result(value)
            score = self.score if valid is None else float(valid)
            if score > 0:
                yield Found(match.start(), match.end(), score, self.name)


def shapes_of(recogniser: Any) -> tuple[Shape, ...]:
    """Return the patterns of a recogniser of Presidio.

    Raises:
        TypeError: if the recogniser does more than to match and check them, as that of IBANs does.
    """
    if type(recogniser).analyze is not PatternRecognizer.analyze:
        raise TypeError(f"{type(recogniser).__name__} looks at matches in its own way")
    flags = recogniser.global_regex_flags
    return tuple(Shape(recogniser, regex.compile(p.regex, flags), p.score, p.name) for p in recogniser.patterns)


def find_shapes(shapes: Sequence[Shape], text: str) -> list[Found]:
    """Return what the patterns of one recogniser find, without what lies in another find of the same or a higher score."""
    kept: list[Found] = []
    found = sorted({each for shape in shapes for each in shape.find(text)}, key=lambda f: (f.start, -f.end, -f.score))
    for each in found:
        if not any(other.end >= each.end and other.score >= each.score for other in kept):
            kept.append(each)
    return kept


Finder = Callable[[str], Sequence[Found]]
"""Finds the values of one kind in a window."""


def _finder(recogniser: Any) -> Finder:
    if isinstance(recogniser, IbanRecognizer):
        return functools.partial(_analyzed, recogniser)
    return functools.partial(find_shapes, shapes_of(recogniser))


def _analyzed(recogniser: Any, text: str) -> list[Found]:
    """Return what a recogniser's own analysis finds."""
    results = recogniser.analyze(text, [])
    return [Found(r.start, r.end, r.score, r.analysis_explanation.pattern_name) for r in results]


def _address_finder(recogniser: Any) -> Finder:
    shapes = shapes_of(recogniser)
    dotted = tuple(shape for shape in shapes if shape.name == "IPv4")
    return lambda text: find_shapes(shapes if _COLONS.search(text) else dotted, text)


class Recognisers(NamedTuple):
    """What runs for a configuration: the gate, what finds each kind, and the plan of each phone region."""

    gate: Gate
    by_kind: dict[str, list[Finder]]
    phones: dict[str, Plan | None]


def _bank_cards() -> list[Any]:
    four = r"[0-9]{4}"
    shapes = {
        "contiguous": "[0-9]{12,19}",
        "groups of four": rf"{four}(?P<gap>[ .·-]){four}(?P=gap){four}(?P=gap){four}",
        "groups of four and three": rf"{four}(?P<gap>[ .·-]){four}(?P=gap){four}(?P=gap){four}(?P=gap)[0-9]{{3}}",
        "six and thirteen": "[0-9]{6}[ -][0-9]{13}",
    }

    def patterns(kind: str, stated: float) -> list[Any]:
        return [Pattern(f"{kind} card, {name}", _BEFORE + shape + _AFTER, stated) for name, shape in shapes.items()]

    def common(number: str) -> bool:
        return card_issuer(number) in COMMON_ISSUERS and is_luhn(number)

    def other(number: str) -> bool:
        return card_issuer(number) not in {*COMMON_ISSUERS, None} and is_luhn(number)

    return [
        CreditCardRecognizer(),
        Checked("BANK_CARD", common, patterns("Common", 0.8)),
        Checked("BANK_CARD", other, patterns("Other", 0.3)),
    ]


def _ibans() -> list[Any]:
    lower = r"(?<![A-Za-z0-9])([a-z]{2}[0-9]{2}[a-z0-9]{8,24})([a-z0-9]{4})?([a-z0-9]{1,3})?(?![A-Za-z0-9])"
    return [IbanRecognizer(patterns=[*IbanRecognizer.PATTERNS, Pattern("IBAN lower case", lower, 0.5)])]


def _resident_ids() -> list[Any]:
    pattern = Pattern("Resident ID", rf"{_BEFORE}[0-9]{{6}}[ -]?[0-9]{{8}}[ -]?[0-9]{{3}}[0-9Xx]{_AFTER}", 0.9)
    return [Checked("CN_RESIDENT_ID", is_resident_id, [pattern])]


def _mobiles() -> list[Any]:
    known = Pattern("Mobile, known prefix", _MOBILE % "|".join(sorted(MOBILE_PREFIXES)), 0.6)
    other = Pattern("Mobile, other prefix", _MOBILE % "1[3-9][0-9]", 0.3)
    return [Checked("CN_MOBILE", lambda _number: True, [known, other])]


_BUILD: dict[str, Callable[[], list[Any]]] = {
    "email": lambda: [OfflineEmail()],
    "phone": list,
    "bank_card": _bank_cards,
    "ip": lambda: [IpRecognizer()],
    "iban": _ibans,
    "us_ssn": lambda: [UsSsnRecognizer()],
    "crypto": lambda: [AnyCaseCrypto()],
    "mac": lambda: [MacAddressRecognizer()],
    "cn_resident_id": _resident_ids,
    "cn_mobile": _mobiles,
}

ENTITIES = tuple(_BUILD)
"""The kinds of personal data there are."""


@functools.lru_cache(maxsize=4)
def _recognisers(entities: tuple[str, ...], phone_regions: tuple[str, ...]) -> Recognisers:
    # They log matched text: Presidio what it cannot validate, tldextract what it looks up.
    for logger in ("presidio-analyzer", "tldextract"):
        logging.getLogger(logger).setLevel(logging.CRITICAL + 1)
    known = plans(phone_regions)
    return Recognisers(
        Gate(entities, known, CUES["phone"]),
        {
            kind: [(_address_finder if kind == "ip" else _finder)(recogniser) for recogniser in _BUILD[kind]()]
            for kind in entities
        },
        {plan.region: plan for plan in known} | {ABROAD: None},
    )


def _matches(recognisers: Recognisers, view: View, row: int, text: str, windows: list[Window]) -> Iterator[Match]:
    """Return what the recognisers find in the windows of one record, each value that touches an anchor."""
    windows = sorted(windows)
    first, last = int(view.bounds[row]), int(view.bounds[row + 1]) - 1
    spans = view.spans(row, [(window.start, window.end) for window in windows])
    for window, (start, end) in zip(windows, spans, strict=True):
        # Both forms fold one code point to one and leave out the same, so a place in one is a place in the other.
        folded, kept = fold_keeping_case(text[start:end])
        seen = view.data[window.start : window.end].decode()
        if len(seen) == window.end - window.start:
            lefts = [low - window.start for low, _ in window.anchors]
            rights = [high - window.start for _, high in window.anchors]
        else:
            lefts = [_length(view.data, window.start, low) for low, _ in window.anchors]
            rights = [_length(view.data, window.start, high) for _, high in window.anchors]
        left_of = view.data[max(first, window.start - 4 * NEAR) : window.start].decode(errors="ignore")
        right_of = view.data[window.end : min(last, window.end + 4 * NEAR)].decode(errors="ignore")
        for low, high, stated, rule, region in _results(recognisers, window, folded):
            nearest = bisect.bisect_right(rights, low)  # the first anchor that ends behind the value's start
            if nearest == len(lefts) or lefts[nearest] >= high:
                continue
            before = (left_of + seen[:low])[-NEAR:]
            after = (seen[high:] + right_of)[:NEAR]
            value = folded[low:high]
            left, right = start + int(kept[low]), start + int(kept[high - 1]) + 1
            yield Match(
                left,
                right,
                window.kind,
                score(window.kind, value, stated, before, after),
                rule,
                "raw" if text[left:right] == value else view.name,
                value,
                region,
            )


def _results(recognisers: Recognisers, window: Window, folded: str) -> Iterator[tuple[int, int, float, str, str]]:
    """Return span in the window, score, rule and region of what the recognisers of a window's kind find."""
    blanked = folded if folded.isascii() else _UNSPACED.sub("\n", folded)
    for region in window.regions:
        for start, end in numbers_in(blanked, recognisers.phones[region]):
            # The matcher takes along the bracket that opens a remark of which the number is the end.
            value = blanked[start:end]
            yield (
                start + (value.startswith("(") and ")" not in value),
                end,
                PhoneRecognizer.SCORE,
                f"Phone {region}",
                region,
            )
    for finder in recognisers.by_kind[window.kind]:
        for found in finder(blanked):
            yield *found, ""


def _length(data: bytes, start: int, end: int) -> int:
    return len(data[start:end].decode(errors="ignore")) if end > start else 0


def _hashed(key: bytes, category: str, value: str) -> str:
    return hmac.digest(key, f"{category}\0{value}".encode(), hashlib.sha256).hex()[:32]
