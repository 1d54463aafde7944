"""Redaction: no part of a value survives, and nothing else changes."""

import itertools
import json
import string
from typing import Any

import orjson
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from models.columns import pieces
from models.redaction import Redaction, label, pseudonym, redact, redact_pieces, replace_strings, union
from models.view import fold_term

LENGTH = 30
SPANS = st.lists(
    st.tuples(st.integers(0, LENGTH), st.integers(0, LENGTH)).map(
        lambda ends: Redaction(min(ends), max(ends), f"[{min(ends)}-{max(ends)}]")
    ),
    max_size=8,
)


def covered(spans: list[Redaction]) -> set[int]:
    return {at for span in spans for at in range(span.start, span.end)}


@given(SPANS)
@settings(deadline=None)
def test_a_union_covers_exactly_what_its_spans_cover_in_order_and_without_overlap(spans: list[Redaction]) -> None:
    merged = union(spans)
    assert covered(merged) == covered(spans)
    assert all(span.start < span.end for span in merged)
    assert all(one.end <= two.start for one, two in itertools.pairwise(merged))


@given(SPANS, st.randoms(use_true_random=False))
@settings(deadline=None)
def test_a_union_does_not_depend_on_the_order_of_its_spans(spans: list[Redaction], chance: Any) -> None:
    shuffled = list(spans)
    chance.shuffle(shuffled)
    assert union(shuffled) == union(spans) == union(union(spans))


@given(SPANS)
@settings(deadline=None)
def test_the_longest_of_merged_spans_names_them_all(spans: list[Redaction]) -> None:
    for one in union(spans):
        inside = [span for span in spans if one.start <= span.start < span.end <= one.end]
        longest = max(span.end - span.start for span in inside)
        assert one.placeholder in {span.placeholder for span in inside if span.end - span.start == longest}


@given(SPANS)
@settings(deadline=None)
def test_no_character_of_any_value_survives_and_every_other_one_does(spans: list[Redaction]) -> None:
    # Each character stands for its place; placeholders hold none of them.
    text = "".join(chr(0x4E00 + at) for at in range(LENGTH))
    redacted = redact(text, union(spans))
    kept = [ord(char) - 0x4E00 for char in redacted if ord(char) >= 0x4E00]
    assert kept == [at for at in range(LENGTH) if at not in covered(spans)]


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(2, 5), (4, 8)], "01[b]89"),
        ([(2, 8), (4, 6)], "01[a]89"),
        ([(2, 8), (2, 4), (6, 8)], "01[a]89"),
        ([(2, 5), (5, 8)], "01[a][b]89"),
        ([(0, 10)], "[a]"),
        ([(3, 3)], "0123456789"),
        ([], "0123456789"),
    ],
)
def test_overlapping_nested_and_adjacent_spans(spans: list[tuple[int, int]], expected: str) -> None:
    named = [Redaction(*span, f"[{name}]") for span, name in zip(spans, string.ascii_lowercase, strict=False)]
    assert redact("0123456789", union(named)) == expected


@given(st.lists(st.text(st.sampled_from("ab\n中"), max_size=6), min_size=1, max_size=5), SPANS)
@settings(deadline=None)
def test_pieces_lose_exactly_the_characters_that_their_joined_text_loses(
    texts: list[str], spans: list[Redaction]
) -> None:
    marked, at = [], 0
    for text in texts:
        marked.append("".join(chr(0x4E00 + at + offset) for offset in range(len(text))))
        at += len(text) + 1
    merged = union(spans)
    redacted = redact_pieces(marked, merged)
    assert len(redacted) == len(texts)
    for before, after in zip(marked, redacted, strict=True):
        kept = [char for char in after if char >= "\u4e00"]
        assert kept == [char for char in before if ord(char) - 0x4E00 not in covered(merged)]


def test_pieces_that_no_span_reaches_over_are_redacted_as_their_joined_text() -> None:
    texts, spans = ["one two", "", "three"], [Redaction(4, 7, "[N]"), Redaction(9, 14, "[M]")]
    assert redact_pieces(texts, spans) == ["one [N]", "", "[M]"]
    assert "\n".join(redact_pieces(texts, spans)) == redact("\n".join(texts), spans)


def test_a_span_over_a_border_is_cut_out_of_both_pieces() -> None:
    assert redact_pieces(["call 138", "0013 now"], [Redaction(5, 13, "[P]")]) == ["call [P]", "[P] now"]


# In JSON text.

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
STRINGS = st.text(max_size=8)
SPACE = st.text(st.sampled_from(" \t\r"), max_size=2)


@st.composite
def literals(draw: st.DrawFn, text: str) -> str:
    """Write a string as JSON, each character plain or escaped in one of the ways there are."""
    parts = []
    for char in text:
        units = char.encode("utf-16-be")
        escaped = "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
        ways = [escaped, escaped.upper().replace("\\U", "\\u")]
        if char >= " " and char not in '"\\':
            ways.append(char)
        if char in '"\\/\n\t\r\b\f':
            ways.append("\\" + {"\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f"}.get(char, char))
        parts.append(draw(st.sampled_from(ways)))
    return '"' + "".join(parts) + '"'


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Write a value as JSON with white space and escapes wherever they may stand."""
    if isinstance(value, str):
        return draw(literals(value))
    if isinstance(value, Members):
        parts = [f"{draw(SPACE)}{draw(literals(k))}{draw(SPACE)}:{draw(SPACE)}{draw(written(v))}" for k, v in value]
        return "{" + f"{draw(SPACE)},".join(parts) + draw(SPACE) + "}"
    if isinstance(value, dict):
        return draw(written(Members(value.items())))
    if isinstance(value, list):
        parts = [draw(SPACE) + draw(written(item)) for item in value]
        return "[" + f"{draw(SPACE)},".join(parts) + draw(SPACE) + "]"
    return json.dumps(value)


class Members(list[tuple[str, Any]]):
    """An object's members in order; keys may repeat."""


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, Members]:
    """Return a line and what it says: texts at ``text``, ``a.b`` and ``messages[].content`` among others, keys repeated."""
    members = Members()
    others = st.tuples(st.sampled_from(["id", "texts", "", "中", "content"]) | st.text(max_size=3), VALUES)
    members += draw(st.lists(others.filter(lambda pair: pair[0] not in ("text", "a", "messages")), max_size=3))
    for _ in range(draw(st.integers(0, 2))):
        members.append(("text", draw(STRINGS)))
    if draw(st.booleans()):
        members.append(("a", Members([("x", draw(VALUES)), ("b", draw(STRINGS))])))
    if draw(st.booleans()):
        message = st.none() | st.just([]) | STRINGS.map(lambda text: Members([("role", "u"), ("content", text)]))
        members.append(("messages", draw(st.lists(message, max_size=3))))
    members = Members(draw(st.permutations(members)))
    return draw(SPACE) + draw(written(members)) + draw(SPACE), members


PATHS = ("text", "a.b", "messages[].content")


@given(objects(), st.data())
@settings(deadline=None)
def test_replacing_strings_changes_them_and_nothing_else(made: tuple[str, Members], data: st.DataObject) -> None:
    line, _ = made
    record = orjson.loads(line)
    old = [piece for path in PATHS for piece in pieces(record, path)]
    assume(all(isinstance(piece, str) for piece in old))
    new = [data.draw(STRINGS, label="new") for _ in old]
    replaced = replace_strings(line, PATHS, new)
    again = orjson.loads(replaced)
    assert [piece for path in PATHS for piece in pieces(again, path)] == new
    # Putting marks in place of the values leaves one and the same line, before and after: nothing else changed.
    marks = [f"mark {number}" for number in range(len(old))]
    assert replace_strings(replaced, PATHS, marks) == replace_strings(line, PATHS, marks)
    if new == old:
        assert again == record


@given(objects())
@example(('{"text":"first", "text" : "last"}', Members()))
@settings(deadline=None)
def test_the_values_replaced_are_those_that_parsers_take(made: tuple[str, Members]) -> None:
    line, _ = made
    record = orjson.loads(line)
    count = len(pieces(record, "text"))
    replaced = replace_strings(line, ["text"], ["new"] * count)
    assert orjson.loads(replaced) == record | ({"text": "new"} if count else {})


@pytest.mark.parametrize(
    ("line", "new", "expected"),
    [
        ('{"text":"a"}', "b", '{"text":"b"}'),
        ('{ "x" : 1.50 , "text"\t:\r"\\u4e2d", "y":1e5}', "[X]", '{ "x" : 1.50 , "text"\t:\r"[X]", "y":1e5}'),
        ('{"te\\u0078t":"a"}', "b", '{"te\\u0078t":"b"}'),
        ('{"text":"\\u4e2d 1"}', "中 [P]", '{"text":"\\u4e2d [P]"}'),
        ('{"text":"中 1"}', "中 [P]", '{"text":"中 [P]"}'),
        ('{"text":"1\\"}"}', 'q"\n', '{"text":"q\\"\\n"}'),
        ('{"o":{"text":"inner"},"text":"outer"}', "new", '{"o":{"text":"inner"},"text":"new"}'),
        ('{"l":["text","text"],"text":"x"}', "new", '{"l":["text","text"],"text":"new"}'),
    ],
)
def test_the_line_keeps_its_form(line: str, new: str, expected: str) -> None:
    assert replace_strings(line, ["text"], [new]) == expected


def test_paths_are_replaced_in_the_order_of_the_paths_and_not_of_the_line() -> None:
    line = '{"b":"B","m":[{"c":"C"},{"c":null},null,{"c":"D"}],"a":"A"}'
    replaced = replace_strings(line, ["a", "m[].c", "b"], ["1", "2", "3", "4"])
    assert replaced == '{"b":"4","m":[{"c":"2"},{"c":null},null,{"c":"3"}],"a":"1"}'


@pytest.mark.parametrize("new", [[], ["1", "2"]])
def test_another_number_of_replacements_than_values_is_refused(new: list[str]) -> None:
    with pytest.raises(ValueError, match="1 values for"):
        replace_strings('{"text":"a"}', ["text"], new)


# Labels and pseudonyms.


@given(st.binary(min_size=1, max_size=40), st.text(max_size=20))
@settings(deadline=None)
def test_a_pseudonym_is_ten_letters(key: bytes, value: str) -> None:
    word = pseudonym(key, "personal.email", value)
    assert len(word) == 10
    assert set(word) <= set(string.ascii_lowercase)


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20))
@settings(deadline=None)
def test_equal_values_have_equal_pseudonyms_and_others_other_ones(one: str, two: str) -> None:
    same = fold_term(one) == fold_term(two)
    assert (pseudonym(b"k", "c", one) == pseudonym(b"k", "c", two)) == same


def test_a_pseudonym_depends_on_key_and_category() -> None:
    words = {pseudonym(key, category, "13800138000") for key in (b"one", b"two") for category in ("phone", "card")}
    assert len(words) == 4
    assert pseudonym(b"one", "phone", "１３８\u200b00138000") in words


def test_a_label_is_the_kind_in_capitals() -> None:
    assert (label("personal.bank_card"), label("A.1.f")) == ("BANK_CARD", "A.1.F")
