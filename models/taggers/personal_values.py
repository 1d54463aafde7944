"""What can be said of matched values without their recognisers: score, canonical form, and which of two overlapping ones holds."""

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from models.identity_numbers import COMMON_ISSUERS, card_issuer
from models.taggers.personal_phone import canonical

NEAR = 20
"""Characters before and behind a value in which a cue word counts."""

_BOOST, _CUED_LEAST = 0.35, 0.4
_HARMLESS = 0.3
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_VERSION = re.compile(r"(?:\bv|\bver\.?|version|release|firmware|build|版本|固件)[ :：]{0,2}$")
_OCTETS = re.compile(r"\d+\.\d+\.\d+\.\d+")

_CUE_WORDS = {
    "email": "e-?mail|mail|contact|邮箱|邮件|信箱|邮址|联系",
    "phone": "phone|tele?(?![a-z])|telephone|mobile|cell|call|dial|number|fax|contact|whatsapp|hotline|office|desk|sms|text me"
    "|电话|手机|热线|座机|传真|致电|拨打|联系|咨询|客服|来电|号码",
    "bank_card": "card|visa|master|amex|account|acct|debit|credit|bank|卡号|银行|账号|帐号|账户|帐户|开户|信用卡|借记卡|储蓄卡|汇款|转账",
    "ip": "ip(?:v4|v6)?(?![a-z])|host|server|client|address|地址|登录|主机",
    "iban": "iban|bank|account|transaction|transfer|账号|帐号|汇款|银行",
    "us_ssn": "ssns?(?![a-z])|social|security|ssid|社会安全|社保",
    "crypto": "wallet|btc|bitcoin|crypto|address|钱包|比特币|地址",
    "mac": "mac(?![a-z])|hardware|physical|ethernet|wifi|bssid|网卡|物理地址",
    "cn_resident_id": "id(?![a-z])|identity|identification|passport|身份|证件|居住证|证号|公民|永居",
    "cn_mobile": "phone|tel(?![a-z])|mobile|cell|call|contact|whatsapp|wechat|sms|fax"
    "|电话|手机|热线|致电|拨打|联系|咨询|客服|来电|号码|微信|短信|支付宝",
}
CUES = {kind: re.compile(rf"(?<![a-z])(?:{words})") for kind, words in _CUE_WORDS.items()}
"""Words, as the safe view shows them, that announce a value of a kind."""


class Match(NamedTuple):
    """A value found in a record: span in code points of the original, and the value, which must not leave the tagger.

    Attributes:
        region: of a telephone number, whose plan it was found by.
    """

    start: int
    end: int
    kind: str
    score: float
    rule: str
    view: str
    value: str
    region: str


def score(kind: str, value: str, stated: float, before: str, after: str) -> float:
    """Return how surely a value is what its recogniser claims.

    Args:
        value: as matched.
        stated: the recogniser's score.
        before, after: what stands next to the value in the safe view, at most :data:`NEAR` characters.
    """
    if kind == "bank_card":
        # One random number in ten has Luhn's digit: without an issuer's digits and length that alone says little.
        stated = min(stated, 0.8 if card_issuer(re.sub(r"\D", "", value)) in COMMON_ISSUERS else _HARMLESS)
    if kind == "phone" and value.startswith("+"):
        stated = max(stated, 0.6)
    if kind == "ip" and _is_harmless(value, before, after):
        return min(stated, _HARMLESS)
    if CUES[kind].search(before) or CUES[kind].search(after):
        stated = max(stated + _BOOST, _CUED_LEAST)
    return min(stated, 1.0)


def _is_harmless(value: str, before: str, after: str) -> bool:
    """Tell whether an address is no person's: not of the public network, or a version number that looks like one."""
    address = _interface(value).ip
    if isinstance(address, ipaddress.IPv6Address):
        return not address.is_global or ("::" in value and address not in _GLOBAL_UNICAST)
    octets = _OCTETS.match(value)
    single = octets is not None and all(len(octet) == 1 for octet in octets[0].split("."))
    follows = re.match(r"\.\d", after) is not None or re.search(r"\d\.$", before) is not None
    return not address.is_global or single or follows or _VERSION.search(before) is not None


@functools.lru_cache(maxsize=1 << 12)
def _interface(value: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    return ipaddress.ip_interface(value)


def canonical_value(kind: str, value: str, region: str) -> str:
    """Return one form for all ways to write a value, so that equal values have equal hashes."""
    match kind:
        case "phone":
            return canonical(value, region)
        case "cn_mobile":
            return re.sub(r"\D", "", value)[-11:]
        case "bank_card" | "us_ssn":
            return re.sub(r"\D", "", value)
        case "ip":
            return str(_interface(value))
        case "mac":
            return re.sub(r"[^0-9a-f]", "", value.lower())
        case "iban" | "cn_resident_id":
            return re.sub(r"[^0-9A-Z]", "", value.upper())
        case "crypto":
            return value.lower() if value[:3].lower() == "bc1" else value
    return value.lower()


# What is likelier a part or another reading of what: a telephone number within a card number is none.
_YIELDS = {
    "phone": {"cn_mobile", "cn_resident_id", "bank_card", "iban", "crypto", "ip", "mac", "us_ssn"},
    "us_ssn": {"iban", "bank_card", "cn_resident_id", "crypto"},
    "bank_card": {"cn_resident_id", "iban"},
}


def settled(matches: Iterable[Match]) -> list[Match]:
    """Return matches in text order, without those that lie in another of their kind or in one of a kind they yield to."""
    kept: list[Match] = []
    # Whatever holds a match is met before it: it starts earlier or ends later or, on the same span, yields to fewer kinds.
    reaching: list[Match] = []
    for match in sorted(
        set(matches), key=lambda m: (m.start, -m.end, len(_YIELDS.get(m.kind, ())), -m.score, m.kind, m.rule)
    ):
        reaching = [other for other in reaching if other.end > match.start]
        if not any(_covers(other, match) for other in reaching):
            kept.append(match)
        reaching.append(match)
    return kept


def _covers(other: Match, match: Match) -> bool:
    if other.end < match.end:
        return False
    if other.kind == match.kind:
        return other.score >= match.score
    return other.kind in _YIELDS.get(match.kind, ()) and other.score >= 0.5
