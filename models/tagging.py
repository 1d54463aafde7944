"""Running taggers over documents, so that one record that breaks a tagger costs that record alone."""

import functools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hyperscan import HyperscanError

from models.documents import Documents
from models.errors import ToolError, WinnowError
from models.findings import ERROR, SCHEMA, UNSCANNED, Finding, Findings
from models.taggers import Tagger

IDENTIFIERS = ("id", "url", "source")
"""Views of findings that are not on the text; such a finding cannot be cut out of the record."""

# These say nothing about the record: the machine, a file or the program is at fault, and a retry may succeed.
NOT_THE_RECORD = (OSError, MemoryError, ImportError, WinnowError, SystemError, NameError, HyperscanError)

MOST_FINDINGS = 10_000
"""Findings of one tagger that are kept of one record; a record with more is also ``unscanned``."""


@functools.lru_cache(maxsize=64)
def ensure_loaded(tagger: Tagger, digest: str) -> None:
    """Load a tagger, once a process.

    Raises:
        ToolError: if it is not the one that the run began with: its findings would be kept under a wrong name.
    """
    tagger.load()
    if tagger.digest != digest:
        raise ToolError(f"tagger {tagger.name}: its list, model or key changed since the run began; run again")


def tag(documents: Documents, taggers: Sequence[Tagger]) -> Findings:
    """Return every tagger's findings, in record order, and within a record in the order of the taggers.

    A tagger that raises on the batch is asked again for each record alone; a record on which it still raises gets a finding of
    category ``error`` whose rule is the exception's name.

    Raises:
        ToolError: if a tagger breaks its contract.
    """
    parts = [_isolated(tagger, documents) for tagger in taggers]
    return Findings.concat(parts) if parts else Findings.of(len(documents), [])


def tag_identifiers(documents: Documents, taggers: Sequence[Tagger], shard: str) -> Findings:
    """Return what the taggers that screen identifiers find in ids, URLs and sources; ``view`` names the field.

    Offsets are code points of that field. Ids that only say a record's place in the shard are not looked at.
    """
    screening = [tagger for tagger in taggers if tagger.identifiers]
    found = []
    for field in IDENTIFIERS:
        array = pc.fill_null(getattr(documents, field), "")
        if field == "id":
            array = pc.if_else(_is_derived(array, f"{shard}#"), "", array)
        table = _tag_values(array, screening).table
        found.append(table.set_column(SCHEMA.get_field_index("view"), SCHEMA.field("view"), _all(field, table)))
    return Findings.concat([Findings(len(documents), table) for table in found])


def _tag_values(values: pa.Array, taggers: Sequence[Tagger]) -> Findings:
    """Tag strings of which many are equal, each once: a batch has few sources."""
    encoded = values.dictionary_encode()
    table = tag(Documents.of(encoded.dictionary.to_pylist()), taggers).table
    if not len(table):
        return Findings(len(values), table)
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    found = table["row"].to_numpy()
    counts = (starts[1:] - starts[:-1])[found]
    rows = np.concatenate([order[starts[code] : starts[code + 1]] for code in found.tolist()])
    at = np.repeat(np.arange(len(found)), counts)
    by_row = np.argsort(rows, kind="stable")
    return Findings(
        len(values), table.take(pa.array(at[by_row])).set_column(0, SCHEMA.field(0), pa.array(rows[by_row]))
    )


def _is_derived(ids: pa.Array, prefix: str) -> pa.Array:
    """Tell which ids are only places: byte offsets from 13 gigabytes on look like mobile numbers."""
    place = pc.utf8_slice_codeunits(ids, len(prefix))
    return pc.and_(pc.starts_with(ids, prefix), pc.ascii_is_decimal(place))


def _all(field: str, table: pa.Table) -> pa.Array:
    return pa.array([field] * len(table), pa.string())


def _isolated(tagger: Tagger, documents: Documents) -> Findings:
    try:
        return _checked(tagger, documents)
    except NOT_THE_RECORD:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it becomes a dead letter that names it
        if len(documents) == 1:
            return Findings.of(1, [Finding(0, tagger.name, ERROR, type(error).__name__, 1.0)])
    alone = []
    for row in range(len(documents)):
        alone += [finding._replace(row=row) for finding in _isolated(tagger, documents.only(row))]
    return Findings.of(len(documents), alone)


def _checked(tagger: Tagger, documents: Documents) -> Findings:
    findings = tagger.tag(documents)
    if findings.length != len(documents):
        raise ToolError(
            f"tagger {tagger.name}: findings over {findings.length} records, given were {len(documents)}; "
            "records would pass untagged. Mend the tagger"
        )
    if not findings.table.schema.equals(SCHEMA):
        raise ToolError(f"tagger {tagger.name}: findings have other columns than models.findings.SCHEMA")
    if not len(findings):
        return findings
    _check_values(tagger.name, findings, documents)
    return _within_budget(tagger.name, findings)


def _within_budget(name: str, findings: Findings) -> Findings:
    """Keep the first findings of a record that has more than anyone can use, and say that it was not scanned to its end."""
    rows = findings.table["row"].to_numpy()
    if len(rows) <= MOST_FINDINGS:
        return findings
    first = np.searchsorted(rows, rows, side="left")
    kept = np.arange(len(rows)) - first < MOST_FINDINGS
    if kept.all():
        return findings
    cut = np.unique(rows[~kept]).tolist()
    rest = Findings(findings.length, findings.table.filter(pa.array(kept)))
    said = [Finding(row, name, UNSCANNED, f"more than {MOST_FINDINGS} findings", 1.0) for row in cut]
    return Findings.concat([rest, Findings.of(findings.length, said)])


def _check_values(name: str, findings: Findings, documents: Documents) -> None:
    rows, start, end, score = (findings.table[part].to_numpy() for part in ("row", "start", "end", "score"))
    if rows.min() < 0 or rows.max() >= len(documents):
        raise ToolError(f"tagger {name}: a finding on a record that is not in the batch")
    if (start < 0).any() or (end < start).any() or (end > documents.lengths[rows]).any():
        raise ToolError(f"tagger {name}: a span outside its text")
    if not ((score >= 0) & (score <= 1)).all():
        raise ToolError(f"tagger {name}: a score outside 0 to 1")
    if pc.any(pc.invert(pc.equal(findings.table["tagger"], name))).as_py():
        raise ToolError(f"tagger {name}: a finding in another tagger's name")
    if not (np.diff(rows) >= 0).all():
        raise ToolError(f"tagger {name}: findings are not in record order")
