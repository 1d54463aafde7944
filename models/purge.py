"""Purging: a record of which nothing may be kept but the hash of its content, whatever else is known of it.

A finding of category :data:`PURGE` outranks every other, a tagger that raised on the record, the policy and its source's state: the
record is dropped. Its text, id, source, URL and other findings go into no layer, audit, tally, quarantine or dead letter.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.findings import Finding, Findings
from models.url_marks import SIZE

PURGE = "blocked.purge"
EARLIER = "an earlier list"
"""In place of a list's title where the list has let a record go that its layers do not know any more."""


def purged_rows(findings: pa.Table) -> dict[int, str]:
    """Return the rows that are to be purged, each with the rule of its (first) finding: the title of a list."""
    found = findings.filter(pc.equal(findings["category"], PURGE))
    rows = zip(reversed(found["row"].to_pylist()), reversed(found["rule"].to_pylist()), strict=True)
    return dict(sorted(rows))


def emptied_rows(records: pa.Table) -> set[int]:
    """Return the rows of a layer's records that were purged when it was made: no dead letters, and yet without a source."""
    emptied = pc.and_(pc.is_null(records["error"]), pc.is_null(records["source"])).to_numpy()
    return set(np.flatnonzero(emptied).tolist())


def still_purged(rows: Iterable[int]) -> pa.Table:
    """Return findings by which rows stay purged that no list purges any more: what a layer lacks, nobody may take for clean."""
    return Findings.of(0, [Finding(row, "blocked", PURGE, EARLIER, 1.0) for row in rows]).table


def without_purged(records: pa.Table, findings: pa.Table, rows: Iterable[int]) -> tuple[pa.Table, pa.Table]:
    """Return what is known of a split with all but position and content hash of some rows taken out.

    Args:
        records: see :data:`models.layer.RECORDS`; row ``i`` of it is row ``i`` of the split.
        findings: see :data:`models.findings.SCHEMA`; of the rows, only those by which they are purged stay.
    """
    purged = np.array(sorted(set(rows)), np.int64)
    if not len(purged):
        return records, findings
    is_purged = np.zeros(len(records), bool)
    is_purged[purged] = True
    mask = pa.array(is_purged)
    emptied = {
        "source": None,
        "id": bytes(8),
        "url": bytes(SIZE),
        "under": None,
        "characters": 0,
        "detail": None,
        "language": None,
    }
    for name, value in emptied.items():
        at = records.schema.get_field_index(name)
        field = records.schema.field(at)
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        column = pc.if_else(mask, pa.scalar(value, plain), records[name].cast(plain))
        records = records.set_column(
            at, field, column.cast(field.type) if plain == field.type else pc.dictionary_encode(column)
        )
    others = pc.and_(pc.is_in(findings["row"], pa.array(purged)), pc.not_equal(findings["category"], PURGE))
    return records, findings.filter(pc.invert(others))
