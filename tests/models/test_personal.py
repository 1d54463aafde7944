"""The personal tagger: every kind beside every script, exact offsets, bounded work, no value and no socket let out."""

import hashlib
import hmac
import logging
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    UsSsnRecognizer,
)

from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED, Finding
from models.identity_numbers import is_luhn, resident_check
from models.taggers import personal_gate
from models.taggers.personal import ENTITIES, OfflineEmail, Personal, _ibans, find_shapes, shapes_of
from models.taggers.personal_gate import digit_groups
from models.taggers.personal_phone import MIN_DIGITS, Plan, numbers_in, plans
from models.taggers.personal_values import CUES, Match, canonical_value, settled

# Made up, or printed as an example in the documents of those who assign them. Kind, and a value that is one token.
VALUES = [
    ("email", "zhang.san+list@example.com"),
    ("email", "a@xn--d1acufc.xn--p1ai"),
    ("phone", "(415) 555-0132"),
    ("phone", "+44 20 7946 0123"),
    ("phone", "030-90182-1234"),
    ("phone", "010-62781234"),
    ("bank_card", "4111111111111111"),
    ("bank_card", "5555-5555-5555-4444"),
    ("bank_card", "6222021234567890128"),
    ("bank_card", "6222 0212 3456 7890 128"),
    ("bank_card", "622202 1234567890128"),
    ("ip", "9.10.11.12"),
    ("ip", "2400:c401::5054:ff:fe1b:b031"),
    ("iban", "DE89370400440532013000"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("us_ssn", "219-09-9999"),
    ("crypto", "16Yeky6GMjeNkAiNcBY7ZhrLoMSgg1BoyZ"),
    ("crypto", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"),
    ("crypto", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    ("mac", "00:1A:2B:3C:4D:5E"),
    ("mac", "0012.3456.789a"),
    ("cn_resident_id", "11010519491231002X"),
    ("cn_resident_id", "810000199408230021"),
    ("cn_resident_id", "911124198108030024"),
    ("cn_mobile", "13800138000"),
    ("cn_mobile", "138-0013-8000"),
    ("cn_mobile", "+86 13800138000"),
]


def full_width(text: str) -> str:
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "full-width": full_width,
    "one zero-width inside": lambda value: value[:3] + "\u200b" + value[3:],
    "full-width with a joiner inside": lambda value: full_width(value[:5]) + "\u2060" + full_width(value[5:]),
}
PLACES = {
    "alone": ("", ""),
    "in English": ("please note ", ", thanks"),
    "beside Han": ("请记下", "谢谢"),
    "beside kana": ("これは", "です"),
    "beside Hangul": ("여기", "입니다"),
    "in full-width brackets": ("见（", "）。"),
    "after a zero-width": ("记\u200b", "\u200b谢"),
}


def tagged(text: str, tagger: Personal | None = None) -> list[Finding]:
    return list((tagger or Personal()).tag(Documents.of([text])))


def spans(text: str, kind: str) -> list[tuple[int, int]]:
    return [(finding.start, finding.end) for finding in tagged(text) if finding.category == f"personal.{kind}"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_every_kind_is_found_in_every_form_at_exactly_its_span(kind: str, value: str, form: str, place: str) -> None:
    before, after = PLACES[place]
    written = FORMS[form](value)
    assert (len(before), len(before) + len(written)) in spans(before + written + after, kind)


def test_every_kind_has_values() -> None:
    assert {kind for kind, _ in VALUES} == set(ENTITIES) == set(Personal().entities) == set(CUES)


_MIXED = st.text(
    st.one_of(st.sampled_from("的一是 了。，ab C-d(:\n\t\u200b１é😀"), st.characters(exclude_categories=["Cs", "Nd"])),
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(before=_MIXED, after=_MIXED, planted=st.sampled_from(VALUES), form=st.sampled_from(sorted(FORMS)))
def test_a_planted_value_is_found_at_exactly_its_span(
    before: str, after: str, planted: tuple[str, str], form: str
) -> None:
    kind, value = planted
    written = FORMS[form](value)
    # Han next to the value: what else may touch it without becoming a part of it differs by kind.
    text = f"{before}记{written}谢{after}"
    start = len(before) + 1
    assert (start, start + len(written)) in spans(text, kind)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.one_of(_MIXED, st.sampled_from([f"记{value}谢" for _, value in VALUES])), max_size=8))
def test_findings_of_a_record_do_not_depend_on_its_neighbours(texts: list[str]) -> None:
    documents = Documents.of(texts)
    tagger = Personal()
    together = [tuple(finding) for finding in tagger.tag(documents)]
    alone = [(row, *tuple(finding)[1:]) for row in range(len(texts)) for finding in tagger.tag(documents.only(row))]
    assert together == alone


def test_offsets_hold_behind_removed_and_astral_characters() -> None:
    text = "😀\u200b𠀀" * 50 + "邮箱zhangsan@example.com联系，卡号4111111111111111谢谢" * 3
    found = [text[finding.start : finding.end] for finding in tagged(text)]
    assert found == ["zhangsan@example.com", "4111111111111111"] * 3


def test_a_zero_width_behind_a_value_is_not_part_of_it() -> None:
    assert spans("号码138\u200b00138000\u200b。", "cn_mobile") == [(2, 14)]


def test_view_tells_whether_folding_was_needed() -> None:
    views = [finding.view for finding in tagged("13800138000，１３８００１３８００１")]
    assert views == ["raw", "safe"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("电话13800138000", "cn_mobile"),
        ("手機：13800138000", "cn_mobile"),
        ("Phone 415-555-0132", "phone"),
        ("卡号4111111111111111", "bank_card"),
        ("SSN 219-09-9999", "us_ssn"),
        ("ip 9.10.11.12", "ip"),
    ],
)
def test_a_cue_word_raises_the_score(text: str, kind: str) -> None:
    value = text[next(place for place, char in enumerate(text) if char.isdigit()) :]
    far = text[: -len(value)] + "无关文字" * 6 + value

    def score(written: str) -> float:
        return max(finding.score for finding in tagged(written) if finding.category == f"personal.{kind}")

    assert score(text) > score(far) == score(f"记下{value}谢谢")


@pytest.mark.parametrize(
    "text",
    [
        "192.168.0.1",
        "my ip 127.0.0.1",
        "fe80::1",
        "version 12.34.56.78",
        "版本：12.34.56.78",
        "1.2.3.4",
        "12.34.56.78.9",
        "::1",
    ],
)
def test_an_address_of_no_person_stays_low(text: str) -> None:
    findings = tagged(text)
    assert findings
    assert max(finding.score for finding in findings) <= 0.301


@pytest.mark.parametrize(
    "text",
    [
        "FF:FF:FF:FF:FF:FF",
        "00:00:00:00:00:00",
        "11/02/2006 - 8",
        "2022-11-04 17:11:05",
        "2004-2005",
        "14.98-19.98",
        "1,234,567,890",
        "0.13800138000",
        "no. 4111111111111112",
        "订单号 20221104171105123456",
        "11010519491231003X",
        "abc13800138000",
        "13800138000123",
        "@someone and 转发@张三：",
        "std::cout << x::y",
        "Ratio 1:2:3:4",
        "",
        "\u200b",
        " ",
    ],
)
def test_what_only_looks_like_personal_data_is_not_found(text: str) -> None:
    assert tagged(text) == []


def test_a_longer_reading_wins() -> None:
    # Of Gansu, so that it has UnionPay's leading digits, and with Luhn's digit by chance.
    bodies = (f"62010119900101{serial:03}" for serial in range(1, 999))
    number = next(body + resident_check(body) for body in bodies if is_luhn(body + resident_check(body)))
    assert [finding.category for finding in tagged(f"号码 {number}")] == ["personal.cn_resident_id"]
    assert [finding.category for finding in tagged("DE89 3704 0044 0532 0130 00")] == ["personal.iban"]
    assert [finding.category for finding in tagged("call 13800138000")] == ["personal.cn_mobile"]


def test_settling_keeps_the_surer_of_two_on_one_span() -> None:
    def match(start: int, end: int, kind: str, score: float) -> Match:
        return Match(start, end, kind, score, "rule", "raw", "", "")

    whole, part = match(0, 10, "email", 0.5), match(2, 9, "email", 0.5)
    assert settled([part, whole, whole]) == [whole]
    surer = match(2, 9, "email", 0.9)
    assert settled([surer, whole]) == [whole, surer]
    phone, weak = match(0, 9, "phone", 0.4), match(0, 9, "us_ssn", 0.05)
    assert settled([phone, weak]) == [weak, phone]
    assert settled([phone, match(0, 9, "us_ssn", 0.5)]) == [match(0, 9, "us_ssn", 0.5)]


# --- keys -----------------------------------------------------------------------------------------------------------------


def test_without_a_key_there_are_no_hashes() -> None:
    assert [finding.value_hmac for finding in tagged("13800138000")] == [None]


def test_equal_values_have_equal_hashes_however_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_TEST_KEY", "a secret of sixteen bytes")
    tagger = Personal(key_env="WINNOW_TEST_KEY")
    text = "13800138000，+86 138-0013-8000，１３８\u200b００１３８０００，13800138001"
    first, second, third, other = (finding.value_hmac for finding in tagged(text, tagger))
    expected = hmac.new(b"a secret of sixteen bytes", b"personal.cn_mobile\x0013800138000", hashlib.sha256).hexdigest()[
        :32
    ]
    assert first == second == third == expected
    assert other != first


@pytest.mark.parametrize(
    ("kind", "ways"),
    [
        ("email", ["A.B@Example.com", "a.b@example.com"]),
        ("bank_card", ["4111 1111 1111 1111", "4111-1111-1111-1111"]),
        ("ip", ["2001:DB8:0::1", "2001:db8::1"]),
        ("iban", ["DE89 3704 0044 0532 0130 00", "de89370400440532013000"]),
        ("us_ssn", ["219-09-9999", "219099999"]),
        ("crypto", ["BC1QW5", "bc1qw5"]),
        ("mac", ["00:1A:2B:3C:4D:5E", "001a.2b3c.4d5e"]),
        ("cn_resident_id", ["110105 19491231 002x", "11010519491231002X"]),
    ],
)
def test_canonical_values(kind: str, ways: list[str]) -> None:
    assert len({canonical_value(kind, way, "") for way in ways}) == 1


def test_a_phone_number_is_one_value_with_and_without_calling_code() -> None:
    assert (
        canonical_value("phone", "+1 415 555 0132", "ZZ")
        == canonical_value("phone", "(415) 555-0132", "US")
        == "+14155550132"
    )
    assert canonical_value("phone", "no number", "US") == ""


def test_a_missing_key_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WINNOW_TEST_KEY", raising=False)
    tagger = Personal(key_env="WINNOW_TEST_KEY")
    for use in (tagger.load, lambda: tagger.digest, lambda: tagger.tag(Documents.of(["x"]))):
        with pytest.raises(UsageError, match=r"WINNOW_TEST_KEY \(key_env\) is not set; export"):
            use()


def test_the_digest_holds_the_keys_id_and_nothing_holds_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = Personal(key_env="WINNOW_TEST_KEY")
    monkeypatch.setenv("WINNOW_TEST_KEY", "a secret of sixteen bytes")
    one = tagger.digest
    tagger.load()
    tagger.tag(Documents.of(["13800138000"]))
    assert b"a secret of sixteen bytes" not in pickle.dumps(tagger)
    assert "a secret of sixteen bytes" not in repr(tagger)
    monkeypatch.setenv("WINNOW_TEST_KEY", "another secret, also long")
    assert tagger.digest != one
    monkeypatch.setenv("WINNOW_OTHER_NAME", "a secret of sixteen bytes")
    assert Personal(key_env="WINNOW_OTHER_NAME").digest == one


# --- configuration --------------------------------------------------------------------------------------------------------


def test_mistakes_name_the_nearest_that_exists() -> None:
    with pytest.raises(UsageError, match="no entity 'e-mail'; did you mean 'email'"):
        Personal(entities=("e-mail",))
    with pytest.raises(UsageError, match="no region 'cn'; did you mean 'CN'"):
        Personal(phone_regions=("cn",))


def test_any_change_of_configuration_changes_the_digest() -> None:
    taggers = [
        Personal(),
        Personal(entities=("email",)),
        Personal(phone_regions=("CN",)),
        Personal(max_windows=5),
    ]
    assert len({tagger.digest for tagger in taggers}) == len(taggers)
    assert Personal().digest == Personal(entities=ENTITIES[::-1]).digest


def test_only_the_entities_asked_for_are_found() -> None:
    text = "，".join(value for _, value in VALUES)
    for kind in ENTITIES:
        found = {finding.category for finding in tagged(text, Personal(entities=(kind,)))}
        assert found == {f"personal.{kind}"}


def test_nothing_asked_nothing_found() -> None:
    assert tagged("13800138000 a@example.com", Personal(entities=())) == []


def test_a_region_is_read_as_configured() -> None:
    text = "My Japanese number is 0120-123-456"
    assert [tagged(text, Personal(phone_regions=regions)) for regions in ((), ("US",))] == [[], []]
    found = tagged(text, Personal(phone_regions=("JP",)))
    assert [(finding.start, finding.end) for finding in found] == [(22, 34)]
    assert [finding.rule for finding in tagged("+81 90 1234 5678", Personal(phone_regions=()))] == ["Phone ZZ"]


def test_it_survives_pickling() -> None:
    tagger = pickle.loads(pickle.dumps(Personal()))
    assert tagger == Personal()
    assert len(tagged("13800138000", tagger)) == 1


# --- bounds ---------------------------------------------------------------------------------------------------------------


def test_a_record_with_too_many_windows_is_declined_and_its_neighbours_are_not() -> None:
    many = "13800138000，" * 11
    findings = list(Personal(max_windows=10).tag(Documents.of(["13800138000", many, "13800138000"])))
    assert [(finding.row, finding.category) for finding in findings] == [
        (0, "personal.cn_mobile"),
        (1, UNSCANNED),
        (2, "personal.cn_mobile"),
    ]
    assert [(finding.start, finding.end) for finding in findings if finding.category == UNSCANNED] == [(0, 0)]


@pytest.mark.parametrize(
    "unit",
    [
        "a@b.",
        "a" * 50 + "@",
        "1",
        "1 ",
        "12 ",
        "1234 ",
        "138 ",
        "1.2.3.4.",
        "::",
        "a:",
        "00:",
        "DE89",
        "bc1q",
        "1-",
        "(4) ",
        "x1",
        "é@é",
    ],
)
def test_no_window_is_longer_than_the_bound(unit: str) -> None:
    text = unit * (20_000 // len(unit))
    recorded = personal_gate.Gate(ENTITIES, plans(Personal().phone_regions), CUES["phone"]).windows(
        Documents.of([text]).safe
    )
    longest = max((window.end - window.start for windows in recorded.values() for window in windows), default=0)
    assert longest <= 1024 + 8
    tagged(text)


def test_a_long_value_is_not_cut_by_its_window() -> None:
    address = "a" * 64 + "@" + ".".join(["b" * 60] * 3) + ".example.com"
    assert spans(f"mail {address} now", "email") == [(5, 5 + len(address))]
    assert spans(f"邮箱{address}联系", "email") == [(2, 2 + len(address))]


def test_values_in_a_row_are_all_found() -> None:
    text = " ".join(["13800138000", "4111111111111111", "415-555-0132"] * 40)
    found = [text[finding.start : finding.end] for finding in tagged(text)]
    for value in ("13800138000", "4111111111111111", "415-555-0132"):
        assert found.count(value) == 40
    addresses = ";".join(f"user{number}@example.com" for number in range(200))
    assert len(spans(addresses, "email")) == 200


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789 -./a,", max_size=40), min_size=1, max_size=6))
def test_digit_groups_are_those_of_a_plain_loop(texts: list[str]) -> None:
    data = b"\xff".join(text.encode() for text in texts) + b"\xff"
    expected = []
    start, last, count = -1, -1, 0
    for place, byte in enumerate(data):
        if chr(byte) not in "0123456789":
            continue
        between = data[last + 1 : place]
        if last < 0 or len(between) > 6 or any(other not in b" -./" for other in between):
            expected.append((start, last + 1, count))
            start, count = place, 0
        last, count = place, count + 1
    expected = [group for group in [*expected, (start, last + 1, count)] if group[2] >= 7]
    assert list(zip(*(np.asarray(column).tolist() for column in digit_groups(data)), strict=True)) == expected


def test_a_plan_allows_what_its_region_dials() -> None:
    def plan(region: str) -> Plan:
        return plans((region,))[0]

    assert plan("US").allows("4155550132")
    assert plan("US").allows("14155550132")
    assert not plan("US").allows("1155550132")
    assert plan("DE").allows("03090182123")
    assert not plan("DE").allows("3090182123")
    assert plan("DE").allows("0014155550132")
    assert plan("BR").allows("01511984565666")  # the carrier's 15 is taken out
    assert len(plans(("US", "CA"))) == 1


# --- leaks ----------------------------------------------------------------------------------------------------------------


def test_no_value_is_in_a_finding_or_a_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_TEST_KEY", "a secret of sixteen bytes")
    values = [*(value for _, value in VALUES), "XX00 zzzz 1234 5678 9012", "DE89 3704 0044 0532 0130 0É"]
    with caplog.at_level(logging.DEBUG):
        findings = tagged("，".join(values), Personal(key_env="WINNOW_TEST_KEY"))
    written = caplog.text + "".join(
        f"{finding.rule}{finding.category}{finding.view}{finding.value_hmac}" for finding in findings
    )
    for value in values:
        assert value not in written
        assert canonical_value("email", value, "") not in written


def test_no_socket_is_opened_and_no_cache_is_written(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "def refuse(event, args):\n"
        "    if event.startswith('socket.') or event == 'urllib.Request':\n"
        "        print('refused', event); sys.stdout.flush(); import os; os._exit(3)\n"
        "from models.taggers.personal import Personal\n"
        "from models.documents import Documents\n"
        "sys.addaudithook(refuse)\n"
        "tagger = Personal(); tagger.load()\n"
        "found = tagger.tag(Documents.of(['a@example.com b@example.co.uk c@nowhere.invalidsuffix +86 13800138000']))\n"
        "print(len(found))\n"
    )
    environment = {"HOME": str(tmp_path), "TLDEXTRACT_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin"}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert (ran.returncode, ran.stdout.split()) == (0, ["3"]), ran.stderr
    assert not list(tmp_path.iterdir())


# Short cuts: each must find what the library finds by itself

WRITTEN = [
    "call (010) 6552 9988 or 0755-8888 7777 ext 12, 400-820-8820",
    "+86 10 6552 9988, 0049 30 901820, tel 020 7946 0018 x123, 0171 555 0100x9",
    "0x02000013 0x0 0x1000>; 12.188217 -3.703125l q0.125 0.96875",
    "30 901820/030 901821; 512-795-8536 (030) 901820 (mobile) 1/2/2023 10:00",
    "a1 01 05 07 19 e 01/04050100.xhp (0xx11) 5555-1234 0 2008-10-04 23:00",
    "电话\n01065529988\n传真 0xx11 5555 1234#5 555.123.4567 2128765432,12",
    "8 (495) 123-45-67 1 800 555 0199~7 00 00964419734: 10 192 1 0 2880 2872 135 3",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_the_plan_turns_away_nothing_that_the_matcher_would_find(text: str) -> None:
    regions = ("CN", "US", "GB", "DE", "FR", "IL", "IN", "CA", "BR")
    for plan in plans(regions):
        stock = [(m.start, m.end) for m in phonenumbers.PhoneNumberMatcher(text, plan.region)]
        assert list(numbers_in(text, plan)) == stock, plan.region


@given(st.text(alphabet="0123456789+-./() xX#~,;eat\n电", max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_plan_turns_away_nothing_whatever_is_written(text: str) -> None:
    for plan in plans(("CN", "DE", "BR")):
        stock = [(m.start, m.end) for m in phonenumbers.PhoneNumberMatcher(text, plan.region)]
        kept = [span for span in stock if sum(c.isdigit() for c in text[slice(*span)]) >= MIN_DIGITS]
        assert [span for span in numbers_in(text, plan) if span in kept] == kept


@pytest.mark.parametrize(
    "recogniser",
    [OfflineEmail(), IpRecognizer(), MacAddressRecognizer(), UsSsnRecognizer(), CreditCardRecognizer()],
)
def test_the_patterns_find_what_the_recogniser_does(recogniser: Any) -> None:
    text = (
        "a.b@example.org,c@d.invalid 8.8.8.8/24 ::1 fe80::1%eth0 2001:db8::8.8.8.8 1:2:3:4:5:6:7:8 12:34:56:78:9a:bc:de "
        "00:1B:44:11:3A:B7 4111 1111 1111 1111 4111111111111112 078-05-1120 219 09 9999 DE89 3704 0044 0532 0130 00 999.1.1.1"
    )
    shapes = shapes_of(recogniser)
    stock = {(r.start, r.end, r.score) for r in recogniser.analyze(text, [])}
    assert stock
    assert {found[:3] for found in find_shapes(shapes, text)} == stock


def test_a_recogniser_with_a_way_of_its_own_is_not_taken_apart() -> None:
    with pytest.raises(TypeError, match="IbanRecognizer"):
        shapes_of(_ibans()[0])


@pytest.mark.parametrize("behind", ["", " EUR 20", " BIC CAIXESBB", " 12 May", " 100", "人民币", " PLN, 1 2 3", "\n4"])
@pytest.mark.parametrize(
    "number",
    [
        "ES91 2100 0418 4502 0005 1332",
        "ES9121000418450200051332",
        "AT611904300234573201",
        "PL61109010140000071219812874",
        "BE68539007547034",
        "SE4550000000058398257466",
        "DE89 3704 0044 0532 0130 00",
        "GB82 WEST 1234 5698 7654 32",
        "NO9386011117947",
    ],
)
def test_an_iban_ends_where_its_checksum_says(number: str, behind: str) -> None:
    findings = list(Personal(entities=("iban",)).tag(Documents.of([f"账号 {number}{behind}"])))
    assert [(f.start, f.end, f.category) for f in findings] == [(3, 3 + len(number), "personal.iban")]


@pytest.mark.parametrize("text", ["000 7 301 123-45-67", "000 1 506-233-5678"])
def test_a_region_with_another_prefix_for_abroad_is_read_as_the_matcher_does(text: str) -> None:
    (plan,) = plans(("KE",))
    stock = [(m.start, m.end) for m in phonenumbers.PhoneNumberMatcher(text, "KE")]
    assert list(numbers_in(text, plan)) == stock != []
