"""Packages come back as they went out, and no spreadsheet runs what is in them."""

import csv
import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import UsageError
from models.review_files import cell_value, read_answers, safe_cell, shown_hash, write_tasks

TEXTS = [
    "=1+1",
    "+49 30",
    "-x",
    "@SUM(A1)",
    "＝1",
    "\t=1",
    "'quoted",
    'a,b;c\t"d"',
    "line\nline",
    "cr\r\nlf",
    "",
    "文本，逗号",
    "{}",
    "\0",
]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_goes_out_comes_back(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"tasks.{form}"
    tasks = [{"task": f"t{n}", "text": text, "source": "=cmd"} for n, text in enumerate(TEXTS)]
    write_tasks(path, form, tasks, ("source",))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = read_answers(path)
    assert [row.values["text"] for row in found.rows] == TEXTS
    assert {row.values["source"] for row in found.rows} == {"=cmd"}
    assert not any(row.is_given for row in found.rows)
    assert found.rows[3].place == f"tasks.{form}: {'row 5' if form == 'csv' else 'line 4'}"


def test_no_cell_begins_like_a_formula(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    write_tasks(path, "csv", [{"task": "t", "text": text} for text in TEXTS])
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [
        cell for cell in cells if cell.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n"))
    ]


@given(st.text())
@settings(max_examples=60)
def test_escaping_is_undone(value: str) -> None:
    assert cell_value(safe_cell(value)) == value


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_other_delimiters_and_line_ends_are_taken(tmp_path: Path, delimiter: str) -> None:
    path = tmp_path / "back.csv"
    rows = [["task", "text", "verdict", "annotator"], ["t1", "a\nb", "lawful", " Ann "]]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator="\n").writerows(rows)
    row = read_answers(path).rows[0]
    assert (row.values["text"], row.values["annotator"], row.is_given) == ("a\nb", "Ann", True)
    assert shown_hash("a\r\nb") == shown_hash("a\nb") == shown_hash("a\rb") != shown_hash("a b")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"task": "a", "text": "b", "verdct": "x"}', "line 1: unknown column 'verdct'; did you mean 'verdict'"),
        ('{"task": "a", "verdict": ""}', "line 1: no column text"),
        ('{"task": "a", "text": "b", "verdict": 1}', "verdict: must be text, is int"),
        ('{"task": "a"', "line 1: not JSON"),
        ("task,text,verdict\na,b", "row 2: 2 cells, the first row has 3"),
        ("task,text,verdict,verdict\n", "a column is there twice"),
        ('task,text,verdict\na,"b', "no CSV"),
        ("", "no column task, text, verdict"),
    ],
)
def test_a_broken_file_is_refused_by_place(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "back"
    path.write_text(content, "utf-8")
    with pytest.raises(UsageError) as error:
        read_answers(path)
    assert said in str(error.value)
    path.write_bytes("task,text,verdict\na,中,".encode("gb18030"))
    with pytest.raises(UsageError, match="not UTF-8"):
        read_answers(path)


def test_jsonl_holds_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "tasks.jsonl"
    write_tasks(path, "jsonl", [{"task": "t", "text": "a\u2028b\nc"}])
    lines = path.read_text("utf-8").split("\n")
    assert (len(lines), json.loads(lines[0])["text"]) == (2, "a\u2028b\nc")
