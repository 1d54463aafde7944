"""The guarantee of fingerprints: every shared run of so many bytes of form is found, and nothing beyond what is shared."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.documents import Documents
from models.findings import Finding
from models.fingerprint_build import build_index
from models.fingerprint_form import RowForm
from models.fingerprint_index import open_index
from models.fingerprints import GRAM, GUARANTEE, WINDOW, fingerprints
from models.taggers.fingerprint import Fingerprint
from models.view import safe_view
from models.works import Work

# Few letters, so that windows hold grams with equal keys; a word of each script; and what the form folds or leaves out.
LETTERS = st.sampled_from(
    [
        "a",
        "b",
        "ab",
        "A",
        "Ｂ",
        "é",
        "ﬁ",
        "ß",
        "q7",
        "жй",
        "中",
        "文國",
        "𠀀",
        "が",
        "한",
        " ",
        "，",
        "“",
        "—",
        "\u200b",
        "\n",
    ]
)
MANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
PIECES = st.lists(LETTERS | MANY, max_size=120).map("".join)
VARIED = st.text(
    "abcdefghijklmnopqrstuvwxyz ，中文国家人民的一是在不了有和我他这为之大来以个", min_size=0, max_size=400
)
TEXTS = PIECES | VARIED


def form_of(text: str) -> RowForm:
    return RowForm(safe_view(pa.array([text], pa.string())), 0)


SPARE = "z中y，" * GUARANTEE


def just_enough(text: str) -> str:
    """Return the shortest beginning of a text with the bytes of form that are guaranteed to be found."""
    return next(text[:end] for end in range(len(text) + 1) if len(form_of(text[:end]).data) >= GUARANTEE)


def find(index: Path, text: str) -> list[Finding]:
    return list(Fingerprint((str(index),)).tag(Documents.of([text])))


@given(TEXTS, TEXTS, TEXTS, TEXTS, VARIED)
@settings(deadline=None, max_examples=150)
def test_every_shared_run_of_guaranteed_length_is_found(
    tmp_path_factory: pytest.TempPathFactory, before: str, after: str, start: str, end: str, run: str
) -> None:
    run = just_enough(run + SPARE)
    index = tmp_path_factory.mktemp("index") / "works"
    # Nothing is set aside: one work has each fingerprint.
    build_index([Work("w", before + run + after)], index)
    assert not len(open_index(index).common)
    text = start + run + end
    low, high = len(start), len(start) + len(run)
    found = find(index, text)
    spans = [(each.start, each.end) for each in found]
    assert any(one < high and low < two for one, two in spans), "the shared run was not found"
    # What is missed at either end of the run is shorter than a window and a gram.
    covered = {place for one, two in spans for place in range(max(one, low), min(two, high))}
    assert len(form_of("".join(text[place] for place in range(low, high) if place not in covered)).data) <= 2 * (
        WINDOW + GRAM
    )


@given(TEXTS, TEXTS)
@settings(deadline=None, max_examples=100)
def test_whatever_is_found_is_in_the_work(tmp_path_factory: pytest.TempPathFactory, work: str, text: str) -> None:
    work += "0123456789" * 4
    index = tmp_path_factory.mktemp("index") / "works"
    build_index([Work("w", work)], index, short=True)
    registered = form_of(work).data
    grams = {registered[at : at + GRAM] for at in range(len(registered) - GRAM + 1)}
    for each in find(index, text):
        found = form_of(text[each.start : each.end]).data
        # A span is cut to whole characters, so its first and last gram may be short of some bytes.
        assert all(found[at : at + GRAM] in grams for at in range(len(found) - GRAM + 1))
        assert len(found) >= GRAM - 6


@given(st.lists(TEXTS, min_size=1, max_size=5), st.randoms())
@settings(deadline=None, max_examples=100)
def test_fingerprints_of_a_record_do_not_depend_on_its_neighbours(texts: list[str], random: object) -> None:
    def of(each: list[str]) -> list[list[tuple[int, int]]]:
        found: list[list[tuple[int, int]]] = [[] for _ in each]
        for part in fingerprints(safe_view(pa.array(each, pa.string()))):
            for row, start, value in zip(*(a.tolist() for a in (part.rows, part.starts, part.hashes)), strict=True):
                found[row].append((start, value))
        return found

    assert of(texts) == [of([text])[0] for text in texts]


@given(TEXTS)
@settings(deadline=None, max_examples=100)
def test_fingerprints_leave_no_gap(text: str) -> None:
    size = len(form_of(text).data)
    starts = [
        start for part in fingerprints(safe_view(pa.array([text], pa.string()))) for start in part.starts.tolist()
    ]
    hashes = [
        value for part in fingerprints(safe_view(pa.array([text], pa.string()))) for value in part.hashes.tolist()
    ]
    assert bool(starts) == (size >= GRAM)
    if starts:
        assert starts[0] < WINDOW
        assert size - (starts[-1] + GRAM) < WINDOW
        steps = zip(starts, starts[1:], hashes, hashes[1:], strict=False)
        assert all(two - one <= WINDOW or value == other for one, two, value, other in steps)


@given(TEXTS)
@settings(deadline=None)
def test_the_form_leads_back_to_the_letters_it_is_made_of(text: str) -> None:
    form = form_of(text)
    characters = form.data.decode()
    assert form.characters == len(characters)
    at = 0
    for char in characters:
        size = len(char.encode())
        ((start, end),) = form.spans([(at, at + size)])
        assert end == start + 1
        assert char in form_of(text[start]).data.decode()
        at += size


@given(TEXTS)
@settings(deadline=None)
def test_the_form_of_a_form_is_itself(text: str) -> None:
    once = form_of(text).data.decode()
    assert form_of(once).data.decode() == once
