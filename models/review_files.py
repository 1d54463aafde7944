"""Files that go to people and come back: tasks as JSON Lines or CSV, safe to open in a spreadsheet."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models.errors import UsageError
from models.strict import near_miss

FILLED = ("verdict", "category", "annotator", "reviewer", "started_at", "ended_at")
"""Columns that people fill in."""
COLUMNS = ("task", "source", "label_1", "label_2", "text", *FILLED, "note")
"""Columns that a file may have: ``task``, ``text`` and those that are filled in always, ``note`` is read past."""

FORMATS = ("jsonl", "csv")

LONGEST_CELL = 32_767
"""Characters of a cell of Excel (its specifications and limits); longer ones are cut."""

# What starts a formula, or hides that one starts (OWASP, CSV Injection), in half and full width; the mark itself, so that it can be undone.
_ESCAPED = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n", "'")
_MARK = "'"


def safe_cell(value: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: an apostrophe stands before what could be one."""
    return _MARK + value if value.startswith(_ESCAPED) else value


def cell_value(cell: str) -> str:
    """Undo :func:`safe_cell`."""
    return cell[1:] if cell.startswith(_MARK) else cell


def shown_hash(text: str) -> bytes:
    """Return the 16 bytes by which it is told that a text came back unchanged; line ends do not count, which spreadsheets change."""
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).digest()[:16]


def write_tasks(path: Path, form: str, tasks: Iterable[Mapping[str, str]], extra: Sequence[str] = ()) -> None:
    """Write tasks with empty columns to be filled in, for the owner alone to read.

    Args:
        form: one of :data:`FORMATS`.
        tasks: ``task``, ``text`` and the extra columns of each.
        extra: of :data:`COLUMNS`.
    """
    names = [name for name in COLUMNS if name in ("task", "text", *FILLED, *extra)]
    with open(path, "w", encoding="utf-8-sig" if form == "csv" else "utf-8", newline="", opener=_private) as file:
        if form == "csv":
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(names)
            writer.writerows([safe_cell(task.get(name, "")) for name in names] for task in tasks)
        else:
            file.writelines(
                json.dumps({n: task.get(n, "") for n in names}, ensure_ascii=False) + "\n" for task in tasks
            )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(frozen=True)
class Answer:
    """A row that came back.

    Attributes:
        place: file and line or row, for messages.
        values: by name of :data:`COLUMNS`; empty where nothing was filled in.
    """

    place: str
    values: Mapping[str, str]

    @property
    def is_given(self) -> bool:
        return bool(self.values["verdict"])


@dataclass(frozen=True)
class Answers:
    """A file that came back.

    Attributes:
        sha256: of its bytes.
    """

    name: str
    sha256: str
    rows: tuple[Answer, ...]


def read_answers(path: Path) -> Answers:
    """Read a file that came back, JSON Lines or CSV by what it begins with.

    Raises:
        UsageError: if it cannot be read, lacks a column or has one too many.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8; save it as CSV UTF-8, or as it came") from None
    rows = _json_rows(path.name, text) if text.lstrip()[:1] == "{" else _csv_rows(path.name, text)
    return Answers(path.name, hashlib.sha256(data).hexdigest(), tuple(rows))


def _json_rows(name: str, text: str) -> Iterator[Answer]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{name}: line {number}"
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{place}: not JSON ({error.msg}); leave one object a line") from None
        if not isinstance(row, dict):
            raise UsageError(f"{place}: no JSON object; leave one object a line")
        _check_columns(place, list(row))
        yield Answer(place, {key: _plain(place, key, row.get(key)) for key in COLUMNS})


def _plain(place: str, key: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{place}: {key}: must be text, is {type(value).__name__}; put it in quotes")
    return value if key == "text" else value.strip()


def _csv_rows(name: str, text: str) -> Iterator[Answer]:
    head = text[: text.find("\n") if "\n" in text else None]
    delimiter = max((",", ";", "\t"), key=head.count)
    csv.field_size_limit(1 << 30)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [each.strip() for each in next(reader, [])]
        _check_columns(f"{name}: first row", header)
        for number, row in enumerate(reader, 2):
            if not any(row):
                continue
            place = f"{name}: row {number}"
            if len(row) != len(header):
                raise UsageError(f"{place}: {len(row)} cells, the first row has {len(header)}; save the table whole")
            values = {key: cell_value(cell) for key, cell in zip(header, row, strict=True)}
            yield Answer(place, {key: _plain(place, key, values.get(key)) for key in COLUMNS})
    except csv.Error as error:
        raise UsageError(f"{name}: no CSV ({error}); save it as it came") from None


def _check_columns(place: str, names: Sequence[str]) -> None:
    for each in names:
        if each not in COLUMNS:
            raise UsageError(f"{place}: unknown column {each!r}{near_miss(each, COLUMNS)}")
    if missing := [each for each in ("task", "text", "verdict") if each not in names]:
        raise UsageError(f"{place}: no column {', '.join(missing)}; leave the columns of the package in the file")
    if len(set(names)) < len(names):
        raise UsageError(f"{place}: a column is there twice; leave the columns of the package as they came")
