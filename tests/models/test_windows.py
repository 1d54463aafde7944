"""Windows: nothing is left out, nothing is torn that fits."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from models.view import View, safe_view
from models.windows import Letters, Marks, windows_of

TEXT = st.text(st.sampled_from("abZ09.,_</s> \n\t\0\x7f中文かな한글éЖ\u200b\U0001f600𠀀"), max_size=80)
SIZES = st.tuples(st.integers(1, 20), st.integers(1, 20)).map(lambda pair: (max(pair), min(pair)))


def view_of(texts: list[str]) -> View:
    return safe_view(pa.array(texts, pa.string()))


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


def test_letters_are_counted_by_script() -> None:
    view = view_of(["abc 中文。", "かな漢", "Привет été 한국", "12 😀"])
    counts = Letters.of(view).counts(view.bounds[:-1], view.bounds[1:] - 1)
    assert counts["Latn"].tolist() == [3, 0, 3, 0]
    assert counts["Hani"].tolist() == [2, 1, 0, 0]
    assert counts["Zzzz"].tolist() == [0, 2, 8, 0]


@given(st.lists(st.booleans(), max_size=300))
def test_marks_before_a_place_are_counted_up_to_the_end(flags: list[bool]) -> None:
    places = np.arange(len(flags) + 1)
    assert Marks.of(np.array(flags, bool)).before(places).tolist() == [sum(flags[:place]) for place in places]
