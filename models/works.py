"""Works to register: read from JSON Lines, Parquet, or a folder of text files with a table.

A work has ``id`` and ``text``, and may have ``title``, ``holder``, ``licence`` and ``claim``, see
:data:`models.fingerprint_index.CLAIMS`; other columns are not looked at. In a folder the table is ``works.csv`` or ``works.tsv``,
with a header line, and the text of a work is in ``<id>.txt``, or in the file that the column ``file`` names.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from models.errors import UsageError
from models.fingerprint_index import CLAIMS
from models.strict import near_miss

_TABLES = ("works.csv", "works.tsv")
_SAID = ("title", "holder", "licence", "claim")
_ROWS = 64  # of a Parquet file at a time: works are long


@dataclass(frozen=True)
class Work:
    """A work and what is said of it."""

    id: str
    text: str
    title: str = ""
    holder: str = ""
    licence: str = ""
    claim: str = "reserved"


def read_works(path: Path) -> Iterator[Work]:
    """Give the works of a file or folder.

    Raises:
        UsageError: naming file and line, if there is none, or a work has no id, no text or an unknown claim.
    """
    if path.is_dir():
        yield from _of_folder(path)
    elif not path.is_file():
        raise UsageError(f"{path}: no file or folder there; check the path")
    elif path.suffix == ".parquet":
        yield from _of_parquet(path)
    elif path.suffix == ".jsonl":
        yield from _of_lines(path)
    else:
        raise UsageError(f"{path}: works are read from .jsonl, .parquet, or a folder of text files with works.csv")


def _of_lines(path: Path) -> Iterator[Work]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            place = f"{path}: line {number}"
            try:
                row = orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise UsageError(f"{place}: not JSON: {error}") from None
            if not isinstance(row, dict):
                raise UsageError(f"{place}: not an object; a work is one with id and text")
            yield _work(row, place)


def _of_parquet(path: Path) -> Iterator[Work]:
    try:
        file = pq.ParquetFile(path)
        names = [name for name in ("id", "text", *_SAID) if name in file.schema_arrow.names]
        number = 0
        for batch in file.iter_batches(batch_size=_ROWS, columns=names):
            for row in batch.to_pylist():
                yield _work(row, f"{path}: row {number}")
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise UsageError(f"{path}: cannot be read as Parquet: {error}") from None


def _of_folder(folder: Path) -> Iterator[Work]:
    tables = [folder / name for name in _TABLES if (folder / name).is_file()]
    if len(tables) != 1:
        raise UsageError(
            f"{folder}: has {'both' if tables else 'no'} works.csv or works.tsv; it needs one, with a header"
        )
    table = tables[0]
    # Only those of the table are read, so a text that it forgets would be forgotten.
    seen: set[Path] = set()
    with table.open(encoding="utf-8-sig", newline="") as file:
        # There are no quotes in TSV: a title may begin with one.
        rows = (
            csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if table.suffix == ".tsv"
            else csv.DictReader(file)
        )
        try:
            for row in rows:
                place = f"{table}: line {rows.line_num}"
                path = folder / (row.get("file") or f"{row.get('id')}.txt")
                try:
                    text = path.read_bytes().decode("utf-8-sig")
                except UnicodeDecodeError:
                    raise UsageError(f"{path}: not UTF-8; save the file as UTF-8") from None
                except OSError as error:
                    raise UsageError(f"{place}: {path}: cannot be read: {error.strerror}; check the name") from None
                seen.add(path.resolve())
                yield _work({**row, "text": text}, place)
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError(f"{table}: not a table in UTF-8: {error}") from None
    if left := sorted(path.name for path in folder.glob("*.txt") if path.resolve() not in seen):
        raise UsageError(
            f"{table}: says nothing of {', '.join(left[:5])}; add a line for each text, or remove the text"
        )


def _work(row: Mapping[str, Any], place: str) -> Work:
    for name in ("id", "text"):
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise UsageError(f"{place}: a work needs {name}, a string that is not empty")
    said = {name: row[name] for name in _SAID if row.get(name) not in (None, "")}
    for name, value in said.items():
        if not isinstance(value, str):
            raise UsageError(f"{place}: {name} must be a string, is {value!r}")
    if (claim := said.get("claim", "reserved")) not in CLAIMS:
        raise UsageError(
            f"{place}: no claim is called {claim!r}{near_miss(claim, CLAIMS)}; there are: {', '.join(CLAIMS)}"
        )
    return Work(row["id"], row["text"], **said)
