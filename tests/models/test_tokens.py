"""Tokens: the same ones for training as text and for scoring as hashes, and none knows its neighbours' records."""

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from models.tokens import Tokens, hash_words, spaced_tokens, token_texts
from models.view import View, safe_view
from models.windows import windows_of

TEXT = st.text(st.sampled_from("abZ09.,_</s> \n\t\0\x7f中文かな한글éЖ\u200b\U0001f600𠀀"), max_size=80)
LONG = st.builds(lambda part, count, rest: part * count + rest, TEXT, st.integers(0, 30), TEXT)
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda pair: (max(pair), min(pair)))


def view_of(texts: list[str]) -> View:
    return safe_view(pa.array(texts, pa.string()))


def tokens_of(view: View, size: int, stride: int) -> list[bytes]:
    windows = windows_of(view, size, stride)
    return [text for piece in token_texts(view, windows.starts, windows.ends) for text in piece]


@given(st.lists(TEXT, min_size=1, max_size=5), SIZES)
@settings(deadline=None)  # the first one reads the table of the safe view
def test_tokens_of_a_record_do_not_depend_on_its_neighbours(texts: list[str], sizes: tuple[int, int]) -> None:
    together = [window.split() for window in tokens_of(view_of(texts), *sizes)]
    assert together == [window.split() for text in texts for window in tokens_of(view_of([text]), *sizes)]


@given(TEXT)
@settings(deadline=None)
def test_tokens_are_the_text_with_digits_as_noughts_and_other_white_space(text: str) -> None:
    view = view_of([text])
    joined = b"".join(tokens_of(view, 1000, 1000)).decode()
    expected = "".join("0" if char in "0123456789" else char for char in view.text(0) if char > " " and char != "\x7f")
    assert "".join(joined.split()) == "".join(expected.split())


@given(TEXT)
@settings(deadline=None)
def test_no_text_can_hold_a_line_feed_or_a_word_of_fasttext(text: str) -> None:
    for token in tokens_of(view_of([f"{text}</s>{text}__label__insult {text}"]), 50, 30):
        assert token.endswith(b"\n")
        assert b"\n" not in token[:-1]
        words = token.split()
        assert b"</s>" not in words
        assert not any(word.startswith(b"__label__") for word in words)


def test_han_characters_and_signs_stand_alone_and_words_stay_whole() -> None:
    spaced, shift = spaced_tokens("你好,world's 第12页".encode())
    assert spaced.decode().split() == ["你", "好", ",", "world", "'", "s", "第", "00", "页"]
    assert len(spaced) == len("你好,world's 第12页".encode()) + shift[-1]


def fnv1a(token: bytes) -> int:
    """Return fastText's hash of a token: FNV-1a of 32 bits, every byte taken with its sign."""
    value = 2166136261
    for byte in token:
        value = (value ^ (byte - 256 if byte > 127 else byte) & 0xFFFFFFFF) * 16777619 & 0xFFFFFFFF
    return value


@given(st.lists(st.binary(min_size=1, max_size=40) | st.binary(min_size=300, max_size=400), max_size=20))
def test_the_low_half_of_a_hash_is_fasttexts(words: list[bytes]) -> None:
    assert [value & 0xFFFFFFFF for value in hash_words(words).tolist()] == [fnv1a(word) for word in words]


@given(st.lists(LONG, min_size=1, max_size=4), SIZES, st.integers(1, 40))
@settings(deadline=None)
def test_tokens_to_score_are_those_to_train_with(texts: list[str], sizes: tuple[int, int], factor: int) -> None:
    view = view_of(texts)
    windows = windows_of(view, sizes[0] * factor, sizes[1] * factor)
    expected = [text.split() for piece in token_texts(view, windows.starts, windows.ends) for text in piece]
    hashes, first = Tokens.of(view).within(windows.starts, windows.ends)
    flat = [word for words in expected for word in [*words, b"</s>"]]
    assert np.diff(first).tolist() == [len(words) + 1 for words in expected]
    assert hashes.tolist() == hash_words(flat).tolist()
