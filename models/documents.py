"""Documents: one batch of records in canonical columns, with the views that all taggers share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.columns import flatten
from models.errors import UsageError
from models.view import View, safe_view


@dataclass(frozen=True)
class Documents:
    """``n`` records that could be read; dead letters are not among them.

    Attributes:
        rows: int64, shape (n,): the number of each record in its split, ascending.
        id: string array without nulls; the record's own id, or ``<shard>#<position>``.
        text: string array without nulls; several text columns or messages are joined by a line feed.
        source: string array without nulls.
        url: string array, null where the record has none.
        provenance: string arrays with nulls by names of :data:`models.evidence.EVIDENCE`; only columns that the shard has.
    """

    rows: npt.NDArray[np.int64]
    id: pa.Array
    text: pa.Array
    source: pa.Array
    url: pa.Array
    provenance: Mapping[str, pa.Array] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, texts: Sequence[str], ids: Sequence[str] | None = None) -> "Documents":
        """Return documents from plain texts, as in a notebook or a test."""
        names = ids if ids is not None else [str(i) for i in range(len(texts))]
        return cls(
            np.arange(len(texts), dtype=np.int64),
            pa.array(names, pa.string()),
            pa.array(texts, pa.string()),
            pa.array([""] * len(texts), pa.string()),
            pa.nulls(len(texts), pa.string()),
        )

    @classmethod
    def from_table(
        cls,
        table: pa.RecordBatch | pa.Table,
        *,
        text: str = "text",
        id: str | None = None,  # noqa: A002 - the column's name, as everywhere
        source: str | None = None,
        url: str | None = None,
    ) -> "Documents":
        """Return documents from a table or batch of a pipeline or notebook of the reader's own; row numbers are the table's.

        Args:
            text, id, source, url: columns, or paths such as ``meta.url``.

        Raises:
            UsageError: if a column is missing, or a text is null: it would pass for one in which nothing was found.
        """
        count = len(table)
        for path in (text, id, source, url):
            if path is not None and path.split(".")[0].removesuffix("[]") not in table.schema.names:
                raise UsageError(f"column {path!r} is not there; there are {', '.join(table.schema.names)}")
        texts = flatten(table, text)
        if texts.null_count:
            row = pc.index(pc.is_null(texts), True).as_py()
            raise UsageError(f"column {text!r}: row {row} has no text; fill it or take the row out before tagging")
        return cls(
            np.arange(count, dtype=np.int64),
            pc.fill_null(flatten(table, id), "") if id else pa.array([str(row) for row in range(count)], pa.string()),
            texts,
            pc.fill_null(flatten(table, source), "") if source else pa.array([""] * count, pa.string()),
            flatten(table, url) if url else pa.nulls(count, pa.string()),
        )

    @cached_property
    def safe(self) -> View:
        """The safe view of ``text``, made on first use."""
        return safe_view(self.text)

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Code points of each text, shape (n,)."""
        lengths: npt.NDArray[np.int64] = pc.utf8_length(self.text).to_numpy(zero_copy_only=False).astype(np.int64)
        return lengths

    def only(self, row: int) -> "Documents":
        """Return the documents with record number ``row`` of this batch alone."""
        evidence = {name: array.slice(row, 1) for name, array in self.provenance.items()}
        name, text, source, url = (array.slice(row, 1) for array in (self.id, self.text, self.source, self.url))
        return Documents(self.rows[row : row + 1], name, text, source, url, evidence)

    def take(self, places: Sequence[int], rows: Sequence[int]) -> "Documents":
        """Return the documents at some places of this batch, under other row numbers."""
        at = pa.array(places, pa.int64())
        evidence = {name: array.take(at) for name, array in self.provenance.items()}
        name, text, source, url = (array.take(at) for array in (self.id, self.text, self.source, self.url))
        return Documents(np.array(rows, np.int64), name, text, source, url, evidence)
