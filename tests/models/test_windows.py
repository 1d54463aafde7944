"""Windows and tokens: nothing is left out, nothing is torn that fits, and a window knows nothing but itself."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.view import View, safe_view
from models.windows import Letters, spaced_tokens, token_texts, windows_of

TEXT = st.text(st.sampled_from("abZ09.,_</s> \n\t\0\x7f中文かな한글éЖ\u200b\U0001f600𠀀"), max_size=80)
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda pair: (max(pair), min(pair)))


def view_of(texts: list[str]) -> View:
    return safe_view(pa.array(texts, pa.string()))


def tokens_of(view: View, size: int, stride: int) -> list[bytes]:
    windows = windows_of(view, size, stride)
    return [text for piece in token_texts(view, windows.starts, windows.ends) for text in piece]


@given(st.lists(TEXT, max_size=5), SIZES)
def test_windows_are_runs_of_a_record_and_every_short_run_lies_whole_in_one(
    texts: list[str], sizes: tuple[int, int]
) -> None:
    size, stride = sizes
    view = view_of(texts)
    windows = windows_of(view, size, stride)
    for row in range(len(texts)):
        whole, low = view.text(row), int(view.bounds[row])
        mine = slice(int(windows.first[row]), int(windows.first[row + 1]))
        assert set(windows.rows[mine].tolist()) <= {row}
        spans = list(zip(windows.starts[mine].tolist(), windows.ends[mine].tolist(), strict=True))
        places = [(len(view.data[low:a].decode()), len(view.data[low:b].decode())) for a, b in spans]
        assert all(0 < end - start <= size for start, end in places)
        short = min(len(whole), max(1, size - stride))
        for start in range(len(whole) - short + 1 if whole else 0):
            assert any(a <= start and start + short <= b for a, b in places)


@given(st.lists(TEXT, min_size=1, max_size=5), SIZES)
def test_tokens_of_a_record_do_not_depend_on_its_neighbours(texts: list[str], sizes: tuple[int, int]) -> None:
    together = [window.split() for window in tokens_of(view_of(texts), *sizes)]
    assert together == [window.split() for text in texts for window in tokens_of(view_of([text]), *sizes)]


@given(TEXT)
def test_tokens_are_the_text_with_digits_as_noughts_and_other_white_space(text: str) -> None:
    view = view_of([text])
    joined = b"".join(tokens_of(view, 1000, 1000)).decode()
    expected = "".join("0" if char in "0123456789" else char for char in view.text(0) if char > " " and char != "\x7f")
    assert "".join(joined.split()) == "".join(expected.split())


@given(TEXT)
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


def test_letters_are_counted_by_script() -> None:
    view = view_of(["abc 中文。", "かな漢", "Привет été 한국", "12 😀"])
    counts = Letters.of(view).counts(view.bounds[:-1], view.bounds[1:] - 1)
    assert counts["Latn"].tolist() == [3, 0, 3, 0]
    assert counts["Hani"].tolist() == [2, 1, 0, 0]
    assert counts["Zzzz"].tolist() == [0, 2, 8, 0]
