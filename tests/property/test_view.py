"""The safe view over all of Unicode: one code point to one or none, and every offset leads back to where it came from."""

import io
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import view as view_module
from models.build_safe_table import main as build_table
from models.safe_table import REMOVED, TABLE, case_keeping_table, safe_table
from models.view import View, fold_keeping_case, fold_term, safe_view

SURROGATES = range(0xD800, 0xE000)
ALL = [chr(code) for code in range(0x110000) if code not in SURROGATES]
ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u200e\u202e\u2066\u034f\u180e\u3164\u115f\u2800"
SELECTORS = "\ufe00\ufe0f\U000e0100\U000e01ef"
# Alphabets that meet every branch: ASCII, removed, folded one to one, lengthened by NFKC, of every UTF-8 length.
CHARACTERS = st.one_of(
    st.sampled_from("aZ0 \n"),
    st.sampled_from(ZERO_WIDTH + SELECTORS),
    st.sampled_from("ＡｚＺ１漢語國ßﬁ①ǅİ㎏Ⅷ　ﾊﾞ龍龙"),
    st.characters(exclude_categories=("Cs",)),
)
TEXTS = st.text(CHARACTERS, max_size=30)


def view_of(*texts: str) -> View:
    return safe_view(pa.array(texts, pa.string()))


def starts(view: View, row: int) -> list[int]:
    """Return the byte position of every character of a record's view, and of its end."""
    at, found = int(view.bounds[row]), []
    for char in view.text(row):
        found.append(at)
        at += len(char.encode())
    return [*found, at]


def slow_view(text: str) -> list[tuple[str, int]]:
    """Return what the table says of each code point, one by one: the plainest way to make the view."""
    table = safe_table()
    folded = ((int(table[ord(char)]), at) for at, char in enumerate(text))
    return [(chr(code), at) for code, at in folded if code != REMOVED]


def pieces_of_all() -> Iterator[list[str]]:
    for first in range(0, len(ALL), 1 << 16):
        yield ALL[first : first + (1 << 16)]


def test_every_code_point_becomes_one_code_point_or_none_and_keeps_its_place() -> None:
    """Each stands alone between two that stay, in a record of its own."""
    table = safe_table()
    for chars in pieces_of_all():
        view = view_of(*(f"a{char}b" for char in chars))
        joined, at = [], 0
        for row, char in enumerate(chars):
            code = int(table[ord(char)])
            joined.append("ab" if code == REMOVED else f"a{chr(code)}b")
            if code == REMOVED:
                assert view.removed[row].tolist() == [1]
            else:
                assert row not in view.removed
            at += len(joined[-1].encode()) + 1
            assert view.bounds[row + 1] == at
        assert view.data == b"".join(text.encode() + b"\xff" for text in joined)


def test_every_view_character_of_all_unicode_in_one_record_leads_back_to_its_own_code_point() -> None:
    for chars in pieces_of_all():
        text = "".join(chars)
        view, expected = view_of(text), slow_view(text)
        assert view.text(0) == "".join(char for char, _ in expected)
        offsets = view.offsets(0, starts(view, 0)[:-1])
        assert offsets == [at for _, at in expected]
        assert offsets == sorted(set(offsets))


@given(st.lists(TEXTS, max_size=8))
@settings(deadline=None)
def test_offsets_are_exact_in_any_text_beside_any_neighbours(texts: list[str]) -> None:
    view = view_of(*texts)
    assert len(view.bounds) == len(texts) + 1
    for row, text in enumerate(texts):
        expected = slow_view(text)
        assert view.text(row) == "".join(char for char, _ in expected)
        places = starts(view, row)
        offsets = view.offsets(row, places)
        assert offsets[:-1] == [at for _, at in expected]
        assert offsets == sorted(set(offsets))
        assert offsets[-1] <= len(text)
        assert (view.rows(places) == row).all()


@given(st.lists(TEXTS, min_size=1, max_size=8), st.integers(1, 40))
@settings(deadline=None)
def test_the_view_does_not_depend_on_how_the_batch_is_cut_into_pieces(texts: list[str], size: int) -> None:
    whole = view_of(*texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(view_module, "_PIECE_BYTES", size)
        cut = view_of(*texts)
    assert (cut.data, cut.bounds.tolist()) == (whole.data, whole.bounds.tolist())
    assert {row: gone.tolist() for row, gone in cut.removed.items()} == {
        row: gone.tolist() for row, gone in whole.removed.items()
    }


@given(st.lists(TEXTS, min_size=2, max_size=6), st.integers(0, 5), st.integers(0, 6))
@settings(deadline=None)
def test_the_view_of_a_slice_is_that_of_its_texts(texts: list[str], first: int, count: int) -> None:
    array = pa.array(texts, pa.string()).slice(min(first, len(texts)), count)
    assert safe_view(array).data == view_of(*array.to_pylist()).data


@given(TEXTS)
@settings(deadline=None)
def test_a_folded_term_is_the_view_of_its_text(text: str) -> None:
    assert fold_term(text) == view_of(text).text(0)
    assert fold_term(text) == view_of(text, "國").text(0)


@given(TEXTS)
@settings(deadline=None)
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold_term(fold_term(text)) == fold_term(text)


def test_folding_settles_for_every_code_point() -> None:
    for table in (safe_table(), case_keeping_table()):
        stays = table[table != REMOVED]
        assert (table[stays] == stays).all()


@given(TEXTS)
@settings(deadline=None)
def test_folding_that_keeps_case_removes_the_same_and_knows_every_place(text: str) -> None:
    folded, kept = fold_keeping_case(text)
    assert kept.tolist() == [at for _, at in slow_view(text)]
    assert len(folded) == len(kept)
    assert fold_term(folded) == fold_term(text)


@given(TEXTS, st.data())
@settings(deadline=None)
def test_spans_hold_exactly_the_originals_of_their_characters(text: str, data: st.DataObject) -> None:
    view, expected = view_of("前", text, "後"), slow_view(text)
    if not expected:
        return
    places = starts(view, 1)
    hits, wanted = [], []
    for _ in range(data.draw(st.integers(1, 3))):
        first = data.draw(st.integers(0, len(expected) - 1))
        last = data.draw(st.integers(first, len(expected) - 1))
        hits.append((places[first], places[last + 1]))
        wanted.append((expected[first][1], expected[last][1] + 1))
    assert view.spans(1, hits) == wanted


@pytest.mark.parametrize(
    ("text", "term", "span"),
    [
        ("ab", "ab", (0, 2)),
        ("\u200bab\u200b", "ab", (1, 3)),
        ("a\u200b\u200bb", "ab", (0, 4)),
        ("\u200b\u200ba\u200bb\u200b\u200b", "ab", (2, 5)),
        ("中\ufe0f文\U000e0100", "中文", (0, 3)),
        ("\U0001f600\u200d中\u200d文", "中文", (2, 5)),
        ("b\u200b", "b", (0, 1)),
    ],
)
def test_a_span_takes_along_what_was_removed_inside_it_and_nothing_removed_at_its_edges(
    text: str, term: str, span: tuple[int, int]
) -> None:
    view = view_of("x\u200bx", text)
    at = view.data.index(term.encode(), int(view.bounds[1]))
    assert view.spans(1, [(at, at + len(term.encode()))]) == [span]


def test_zero_width_characters_and_variation_selectors_are_removed() -> None:
    assert all(fold_term(char) == "" for char in ZERO_WIDTH + SELECTORS)
    assert all(fold_term(char) == "" for char in ALL if unicodedata.category(char) == "Cf")


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("ＡＢＣ１２３＠", "abc123@"),
        ("ﾊﾟ", "パ"),
        ("FALUN Ünlü", "falun ünlü"),
        ("漢語國龍臺灣", "汉语国龙台湾"),
        ("①Ⅴℌ", "1vh"),
        ("㎏", "㎏"),
        ("ß", "ß"),
        ("\u3000\u00a0", "  "),
        ("ΣςΑ", "σσα"),
    ],
)
def test_full_width_traditional_and_capital_forms_fold_and_what_would_grow_stays(written: str, folded: str) -> None:
    assert fold_term(written) == folded


def test_no_folding_makes_a_line_feed_or_a_surrogate() -> None:
    table = safe_table()
    assert np.flatnonzero(table == ord("\n")).tolist() == [ord("\n")]
    assert np.flatnonzero((table >= 0xD800) & (table < 0xE000)).tolist() == list(SURROGATES)


def test_ascii_folds_as_the_table_says() -> None:
    """The fast path for ASCII takes another way than the table."""
    text = "".join(map(chr, range(128)))
    assert view_of(text).text(0) == view_of(text, "國").text(0) == "".join(char for char, _ in slow_view(text))


@pytest.mark.parametrize("texts", [(), ("",), ("", "", ""), ("\u200b",), ("", "\u200b\u200b", "a", "")])
def test_records_may_be_empty_before_and_after_folding(texts: Sequence[str]) -> None:
    view = view_of(*texts)
    assert [view.text(row) for row in range(len(texts))] == [fold_term(text) for text in texts]


def test_the_table_is_what_its_builder_builds(tmp_path: Path) -> None:
    build_table(tmp_path / "built.npz")
    built, kept = (np.load(io.BytesIO(path.read_bytes())) for path in (tmp_path / "built.npz", TABLE))
    assert sorted(built.files) == sorted(kept.files)
    for name in kept.files:
        assert np.array_equal(built[name], kept[name]), name


def test_the_tables_cannot_be_changed_by_who_uses_them() -> None:
    for table in (safe_table(), case_keeping_table()):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 1
