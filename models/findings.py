"""Findings: what taggers claim about records."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("tagger", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
        pa.field("view", pa.string(), nullable=False),
        pa.field("value_hmac", pa.string()),
    ]
)

ERROR = "error"
"""Category of the finding that stands for a tagger that raised on a record; the record is dead."""
COPYRIGHT = "copyright."
"""What categories of findings of works begin with; their rule is the work's id."""
UNSCANNED = "unscanned"
"""Category of the finding by which a tagger declines a record (work budget, no model for the language)."""


class Finding(NamedTuple):
    """One claim of one tagger on one record.

    Attributes:
        row: the record's place in the batch that was tagged.
        tagger: name of the tagger.
        category: what it is: a risk of the taxonomy (``A.1.f``), ``personal.*``, ``copyright.*``, :data:`UNSCANNED` or :data:`ERROR`.
        rule: which term, pattern or label of the tagger.
        score: probability that the claim holds, 0 to 1; of ``copyright.<claim>`` it is containment, the share of the record that
            the work has, too.
        start, end: half-open span in code points of the original text; equal when the claim is about the whole record.
        view: the view that matched, ``raw`` or ``safe``.
        value_hmac: keyed hash of the matched value, or None without a key. Never the value.
    """

    row: int
    tagger: str
    category: str
    rule: str
    score: float
    start: int = 0
    end: int = 0
    view: str = "raw"
    value_hmac: str | None = None


@dataclass(frozen=True)
class Findings:
    """The findings of one or more taggers over ``length`` records.

    ``length`` says how many records were looked at, so that a tagger that skipped some cannot pass for one that found nothing.
    """

    length: int
    table: pa.Table = field(repr=False)

    @classmethod
    def of(cls, length: int, findings: Iterable[Finding]) -> "Findings":
        """Return findings in record order; the order of one record's findings is kept."""
        ordered = sorted(findings, key=lambda finding: finding.row)
        columns = zip(*ordered, strict=True) if ordered else [[] for _ in SCHEMA]
        arrays = [pa.array(list(column), part.type) for column, part in zip(columns, SCHEMA, strict=True)]
        return cls(length, pa.Table.from_arrays(arrays, schema=SCHEMA))

    @classmethod
    def concat(cls, parts: Iterable["Findings"]) -> "Findings":
        """Return the findings of several taggers over the same records, in record order."""
        parts = list(parts)
        lengths = {part.length for part in parts}
        if len(lengths) > 1:
            raise ValueError(f"findings over different numbers of records: {sorted(lengths)}")
        table = pa.concat_tables([part.table for part in parts]) if parts else SCHEMA.empty_table()
        order = pc.sort_indices(table["row"]) if len(table) else pa.array([], pa.int64())
        return cls(lengths.pop() if lengths else 0, table.take(order))

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Finding]:
        return iter([Finding(*values) for values in zip(*(c.to_pylist() for c in self.table.columns), strict=True)])
