"""The personal tagger on public test data: it must lose nothing that Presidio's own recognisers are tested for.

Reads ``../shared/data/pii`` beside the repository. Absent data is a failure, not a skip. Figures of recall are printed: ``-s``.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import phonenumbers
import pytest
from presidio_analyzer.predefined_recognizers import IbanRecognizer, PhoneRecognizer

from models.documents import Documents
from models.findings import Finding
from models.identity_numbers import is_luhn, is_resident_id
from models.taggers.personal import Personal

pytestmark = pytest.mark.data

# Presidio's recogniser, or its label in the synthetic set: our categories. A mobile number of the mainland is not also a phone.
CATEGORIES = {
    "email": {"personal.email"},
    "credit_card": {"personal.bank_card"},
    "ip": {"personal.ip"},
    "iban": {"personal.iban"},
    "us_ssn": {"personal.us_ssn"},
    "crypto": {"personal.crypto"},
    "mac": {"personal.mac"},
    "phone": {"personal.phone", "personal.cn_mobile"},
}
LABELS = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "credit_card",
    "IP_ADDRESS": "ip",
    "IBAN_CODE": "iban",
    "US_SSN": "us_ssn",
    "PHONE_NUMBER": "phone",
}


@pytest.fixture(scope="session")
def pii() -> Path:
    folder = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "pii"
    if not folder.is_dir():
        pytest.fail("the development data is absent: it belongs in shared/data beside the repository")
    return folder


def rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def tagged(texts: list[str], tagger: Personal) -> list[list[Finding]]:
    found: list[list[Finding]] = [[] for _ in texts]
    for finding in tagger.tag(Documents.of(texts)):
        found[finding.row].append(finding)
    return found


def unit_cases(pii: Path) -> list[tuple[str, dict[str, Any]]]:
    cases = [(row["recognizer"], row["case"]) for row in rows(pii / "presidio_unit_cases.jsonl")]
    return [(name, {"text": case.get("iban"), **case}) for name, case in cases if name in CATEGORIES]


def test_no_expected_position_of_presidios_unit_cases_is_lost(pii: Path) -> None:
    # Leniency 0 takes digits for a number that is not valid, glued to a word; the tagger has libphonenumber's VALID, which is 1.
    cases = [(name, case) for name, case in unit_cases(pii) if case.get("leniency", 1) != 0]
    assert Counter(name for name, _ in cases) == {
        "iban": 330,
        "ip": 113,
        "phone": 23,
        "mac": 20,
        "credit_card": 19,
        "us_ssn": 13,
        "crypto": 10,
        "email": 8,
    }
    lost = []
    for (name, case), found in zip(cases, tagged([case["text"] for _, case in cases], Personal()), strict=True):
        spans = [(finding.start, finding.end) for finding in found if finding.category in CATEGORIES[name]]
        expected = case.get("expected_positions", case.get("expected_res", []))
        whole = all(any(start <= low and end >= high for start, end in spans) for low, high in expected)
        if not whole or len(spans) < case["expected_len"]:
            lost.append((name, case))
    assert lost == []


def test_what_presidios_unit_cases_refuse_is_refused(pii: Path) -> None:
    # Leniency 2 and 3 refuse a number by how its digits are grouped.
    cases = [(n, c) for n, c in unit_cases(pii) if c["expected_len"] == 0 and c.get("leniency", 1) == 1]
    found = tagged([case["text"] for _, case in cases], Personal())
    wrong = [
        (name, case["text"])
        for (name, case), findings in zip(cases, found, strict=True)
        if any(finding.category in CATEGORIES[name] for finding in findings)
    ]
    assert len(cases) > 200
    assert wrong == []


def test_synthetic_sentences_lose_no_email_iban_address_or_ssn(pii: Path) -> None:
    sentences = rows(pii / "presidio_synth_v2.jsonl")
    found = tagged([sentence["text"] for sentence in sentences], Personal())
    total, hit, false = Counter[str](), Counter[str](), Counter[str]()
    for sentence, findings in zip(sentences, found, strict=True):
        findings = [finding for finding in findings if finding.score >= 0.35 or finding.category == "personal.ip"]
        spans = [(span, CATEGORIES[LABELS[span["label"]]]) for span in sentence["spans"] if span["label"] in LABELS]
        for span, categories in spans:
            total[span["label"]] += 1
            hit[span["label"]] += any(overlap(finding, span) and finding.category in categories for finding in findings)
        for finding in findings:
            false[finding.category] += not any(overlap(finding, s) and finding.category in c for s, c in spans)
    print(f"\nsynthetic: found {dict(hit)} of {dict(total)}, false {dict(false)}")
    for label in ("EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "US_SSN"):
        assert hit[label] == total[label]
    assert [total[label] for label in ("EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "US_SSN")] == [49, 21, 14, 16]
    # Stock Presidio at 0.35: cards 105 of 136, telephone numbers 54 of 92 with 20 false.
    assert hit["CREDIT_CARD"] >= 130
    assert hit["PHONE_NUMBER"] >= 54
    assert false["personal.phone"] <= 5
    assert not any(false[category] for category in false if category != "personal.phone")


def overlap(finding: Finding, span: dict[str, Any]) -> bool:
    return finding.start < int(span["end"]) and finding.end > int(span["start"])


def test_identity_numbers_are_judged_as_python_stdnum_does(pii: Path) -> None:
    numbers = rows(pii / "identity_numbers.jsonl")
    checks = {"cn_ric": is_resident_id, "luhn": is_luhn}
    judged = [
        (row["number"], checks[row["type"]](row["number"]), row["valid"]) for row in numbers if row["type"] in checks
    ]
    assert len(judged) == 6
    assert [number for number, ours, theirs in judged if ours != theirs] == []


@pytest.mark.parametrize(("kind", "category"), [("cn_ric", "cn_resident_id"), ("bitcoin", "crypto"), ("mac", "mac")])
def test_valid_identity_numbers_are_found_beside_han(pii: Path, kind: str, category: str) -> None:
    numbers = valid(pii, kind)
    assert numbers
    assert [number for number in numbers if not beside_han(number, category)] == []


def test_ibans_beside_han_lose_none_that_presidio_finds_among_spaces(pii: Path) -> None:
    numbers = valid(pii, "iban")
    stock = IbanRecognizer()
    whole = [
        number
        for number in numbers
        if any((result.start, result.end) == (1, 1 + len(number)) for result in stock.analyze(f" {number} ", []))
    ]
    found = [number for number in numbers if beside_han(number, "iban")]
    print(f"\niban: found {len(found)} of {len(numbers)}, Presidio {len(whole)}")
    assert len(whole) > 60
    assert set(whole) <= set(found)


def valid(pii: Path, kind: str) -> list[str]:
    return [row["number"] for row in rows(pii / "identity_numbers.jsonl") if row["type"] == kind and row["valid"]]


def beside_han(number: str, category: str) -> bool:
    (found,) = tagged([f"号码{number}谢谢"], Personal())
    return (2, 2 + len(number)) in [(f.start, f.end) for f in found if f.category == f"personal.{category}"]


@pytest.mark.parametrize(("form", "least"), [("abroad", 0.99), ("with cue", 0.5), ("formatted", 0.9)])
def test_phones_of_every_region_lose_none_that_presidio_finds(pii: Path, form: str, least: float) -> None:
    examples = [row for row in rows(pii / "phone_examples.jsonl") if row["region"] in phonenumbers.SUPPORTED_REGIONS]
    regions = sorted({row["region"] for row in examples})
    hit, stock_hit, lost = 0, 0, []
    for region in regions:
        tagger = Personal(entities=("phone", "cn_mobile"), phone_regions=(region,))
        stock = PhoneRecognizer(supported_regions=(region,))
        values = [written(row, form) for row in examples if row["region"] == region]
        for value, findings in zip(values, tagged([f"电话{value}。" for value in values], tagger), strict=True):
            ours = any(finding.start <= 2 and finding.end >= 2 + len(value) for finding in findings)
            theirs = any(result.start == 0 and result.end == len(value) for result in stock.analyze(value, []))
            hit, stock_hit = hit + ours, stock_hit + theirs
            # Fewer than seven digits are no candidate: prices and dates would all be.
            if theirs and not ours and sum(map(str.isdigit, value)) >= 7:
                lost.append((region, value))
    print(f"\nphones {form}: {hit} of {len(examples)} in {len(regions)} regions, Presidio {stock_hit}")
    assert lost == []
    assert hit >= least * len(examples)


def written(row: dict[str, Any], form: str) -> str:
    if form == "formatted":
        number = phonenumbers.parse(row["e164"])
        return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))
    return str(row["e164"] if form == "abroad" else row["national"])
