"""Source registries: who a source is, by what right it is used, and from when until when.

A registry is an artefact of kind ``provenance`` with YAML files (a list of mappings under ``sources``), CSV files (RFC 4180, a header
line) or Parquet files, all with the fields of :class:`Entry`. A source may have several entries whose periods do not overlap.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import yaml

from models.artefact import Artefact
from models.errors import UsageError
from models.parquet import PARSE_ERRORS
from models.strict import load_yaml, near_miss

KINDS = ("open", "self_collected", "commercial", "user_input", "synthetic", "unknown")
"""How a source was come by (TC260-003, 5.1 c1 to c4); the text knows no synthetic corpora."""
ORIGINS = ("domestic", "foreign", "unknown")
ENDINGS = (".yaml", ".yml", ".csv", ".parquet")
REFERENCES = (
    *("publisher", "licence", "contract", "assurance", "authorisation", "crawl_record", "robots"),
    *("consent_basis", "consent_ref", "separate_consent"),
)
"""Fields of an entry that are plain text: who, by what licence, and references to what proves it."""
FIELDS = ("key", "kind", *REFERENCES, "origin", "evidence", "valid_from", "valid_until")

_MOST_MISTAKES = 20


class Entry(NamedTuple):
    """A source for a period.

    Attributes:
        key: of the source, as the corpus names it.
        kind: one of :data:`KINDS`.
        origin: one of :data:`ORIGINS`.
        evidence: addresses of what proves it; in CSV separated by white space.
        valid_from, valid_until: ISO 8601, both days inclusive; empty for no limit.
        references: by name of :data:`REFERENCES`; only those given.
    """

    key: str
    kind: str
    origin: str
    evidence: tuple[str, ...]
    valid_from: str
    valid_until: str
    references: Mapping[str, str]


@dataclass(frozen=True)
class Selected:
    """What a date selects of registries.

    Attributes:
        valid: by key, the entry that is valid.
        ended: by key of a source without a valid entry, ``valid_until`` if its last one has ended, ``valid_from`` if it has yet to begin.
        id: tells selections apart, where whoever selected gave one.
    """

    valid: Mapping[str, Entry]
    ended: Mapping[str, str]
    id: object = None


def select(entries: Iterable[Entry], as_of: str) -> Selected:
    """Return the entries that are valid on a date, ISO 8601, and of the other sources why they have none."""
    valid: dict[str, Entry] = {}
    ended: dict[str, str] = {}
    for entry in entries:
        if entry.valid_from and as_of < entry.valid_from:
            ended.setdefault(entry.key, "valid_from")
        elif entry.valid_until and as_of > entry.valid_until:
            ended[entry.key] = "valid_until"
        else:
            valid[entry.key] = entry
    return Selected(valid, {key: why for key, why in ended.items() if key not in valid})


def read_registry(artefact: Artefact) -> list[Entry]:
    """Return the entries of a registry, in the order of its files.

    Raises:
        UsageError: with every mistake, up to 20, each with file, line and remedy.
    """
    found: list[Entry] = []
    mistakes: list[str] = []
    periods: dict[str, list[tuple[Entry, str]]] = {}
    for name in sorted(artefact.files):
        is_empty = True
        for place, row in _rows(artefact.folder / name):
            is_empty = False
            try:
                entry = _entry(row)
                _check_overlap(entry, periods.setdefault(entry.key, []), place)
                found.append(entry)
            except ValueError as error:
                mistakes += [f"{place}: {line}" for line in str(error).splitlines()]
                if len(mistakes) >= _MOST_MISTAKES:
                    raise UsageError("\n".join(mistakes[:_MOST_MISTAKES])) from None
        if is_empty:
            mistakes.append(
                f"{artefact.folder / name}: holds no source; enter one, or take the file out of the registry"
            )
    if mistakes:
        raise UsageError("\n".join(mistakes))
    return found


def _check_overlap(entry: Entry, others: list[tuple[Entry, str]], place: str) -> None:
    for other, where in others:
        begins = max(entry.valid_from, other.valid_from)
        ends = min(entry.valid_until or "9999-12-31", other.valid_until or "9999-12-31")
        if begins <= ends:
            raise ValueError(
                f"key: {entry.key!r} is given twice for one day, first at {where}; let the one end before the other begins"
            )
    others.append((entry, place))


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the rows of a file with their places."""
    if path.suffix == ".csv":
        yield from _csv_rows(path)
    elif path.suffix in (".yaml", ".yml"):
        yield from _yaml_rows(path)
    elif path.suffix == ".parquet":
        try:
            table = pq.read_table(path)
        except PARSE_ERRORS as error:
            raise UsageError(f"{path}: not Parquet: {str(error).splitlines()[0]}") from None
        for number, row in enumerate(table.to_pylist(), 1):
            yield f"{path}: row {number}", row
    else:
        raise UsageError(f"{path}: a registry is YAML, CSV or Parquet ({', '.join(ENDINGS)}); rename or convert it")


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header: list[str] | None = None
            for cells in reader:
                place = f"{path}: line {reader.line_num}"
                if not cells:
                    continue
                if header is None:
                    header = cells
                    if len(set(header)) < len(header):
                        raise UsageError(f"{place}: a column is given twice")
                elif len(cells) != len(header):
                    raise UsageError(
                        f"{place}: {len(cells)} cells, the header has {len(header)}; quote commas in values"
                    )
                else:
                    yield place, {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    except UnicodeDecodeError:
        raise UsageError(f"{path}: not UTF-8; save the file as UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path}: line {reader.line_num}: {error}") from None


def _yaml_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    data = load_yaml(path)
    if not isinstance(data, dict) or list(data) != ["sources"] or not isinstance(data["sources"], list):
        raise UsageError(f"{path}: must be a list of mappings under the one key 'sources'")
    # Read once more for the lines alone, which plain values do not have.
    tree = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    assert tree is not None
    for node, row in zip(tree.value[0][1].value, data["sources"], strict=True):
        place = f"{path}: line {node.start_mark.line + 1}"
        if not isinstance(row, dict):
            raise UsageError(f"{place}: must be a mapping of keys to values")
        yield place, row


def _entry(row: Mapping[str, Any]) -> Entry:
    """Return a row as an entry.

    Raises:
        ValueError: with every mistake, one a line.
    """
    mistakes = [f"unknown key {str(key)!r}{near_miss(str(key), FIELDS)}" for key in row if key not in FIELDS]
    row = {key: value for key, value in row.items() if value is not None and key in FIELDS}
    evidence = row.get("evidence", ())
    evidence = evidence.split() if isinstance(evidence, str) else evidence
    if not isinstance(evidence, (list, tuple)) or not all(isinstance(each, str) for each in evidence):
        mistakes.append("evidence: must be a list of addresses")
        evidence = ()
    if not row.get("key"):
        mistakes.append("key 'key' is missing: the source as the corpus names it")
    for key, known in (("kind", KINDS), ("origin", ORIGINS)):
        value = row.get(key, "unknown" if key == "origin" else None)
        if value is None:
            mistakes.append(f"key {key!r} is missing; say one of {', '.join(known)}")
        elif value not in known:
            mistakes.append(f"{key}: {value!r} is not known{near_miss(str(value), known)}")
    wrong = [key for key in ("key", *REFERENCES) if not isinstance(row.get(key, ""), str)]
    mistakes += [f"{key}: must be text, is {row[key]!r}; put it in quotes" for key in wrong]
    dates = [_date(row, key, mistakes) for key in ("valid_from", "valid_until")]
    if all(dates) and dates[0] > dates[1]:
        mistakes.append(f"valid_until: {dates[1]} is before valid_from, {dates[0]}; swap or mend them")
    if mistakes:
        raise ValueError("\n".join(mistakes))
    references = {key: row[key].strip() for key in REFERENCES if row.get(key, "").strip()}
    return Entry(row["key"], row["kind"], row.get("origin", "unknown"), tuple(evidence), dates[0], dates[1], references)


def _date(row: Mapping[str, Any], key: str, mistakes: list[str]) -> str:
    value = row.get(key, "")
    if isinstance(value, date) and type(value) is date:
        return value.isoformat()
    try:
        return date.fromisoformat(value).isoformat() if value else ""
    except (TypeError, ValueError):
        mistakes.append(f"{key}: must be a day such as 2026-01-31, is {str(value)!r}")
        return ""
