"""The safe view on published test data: Unicode's normalisation tests and broken UTF-8."""

import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from models.safe_table import REMOVED, safe_table
from models.view import View, fold_term, safe_view

UTF8 = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "robustness" / "utf8"

pytestmark = pytest.mark.data


def normalisation_tests() -> list[list[str]]:
    """Return the five columns of NormalizationTest.txt: source, NFC, NFD, NFKC, NFKD."""
    lines = (UTF8 / "NormalizationTest.txt").read_text("utf-8").splitlines()
    rows = [line.split("#")[0].split(";")[:5] for line in lines if line and line[0] not in "#@"]
    return [["".join(chr(int(code, 16)) for code in column.split()) for column in row] for row in rows]


def check_offsets(view: View, row: int, text: str) -> None:
    folded = view.text(row)
    places, at = [], int(view.bounds[row])
    for char in folded:
        places.append(at)
        at += len(char.encode())
    offsets = view.offsets(row, places)
    table = safe_table()
    assert [chr(table[ord(text[offset])]) for offset in offsets] == list(folded)
    assert offsets == [place for place, char in enumerate(text) if table[ord(char)] != REMOVED]


def test_offsets_are_exact_on_every_form_of_every_normalisation_test() -> None:
    texts = [text for row in normalisation_tests() for text in row]
    assert len(texts) > 90_000
    view = safe_view(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        check_offsets(view, row, text)


def test_a_single_code_point_folds_like_its_single_compatibility_form() -> None:
    rows = [row for row in normalisation_tests() if len(row[0]) == 1 == len(row[3])]
    assert len(rows) > 1_000
    differing = [row[0] for row in rows if fold_term(row[0]) != fold_term(row[3])]
    # The builder's Unicode may be older than the file's: what it did not know stays as it is.
    assert [char for char in differing if unicodedata.category(char) != "Cn"] == []


@pytest.mark.parametrize("name", ["UTF-8-test_kuhn.txt", "utf8_seq_0-0xffff_asis.txt", "utf8tests.bin"])
def test_what_can_be_decoded_of_hostile_files_is_folded_with_exact_offsets(name: str) -> None:
    text = (UTF8 / name).read_bytes().decode("utf-8", "replace")
    lines = text.split("\n")
    view = safe_view(pa.array([text, *lines], pa.string()))
    for row, line in enumerate([text, *lines]):
        check_offsets(view, row, line)
