"""Choosing rows of Arrow batches: of any type, and without a trace of the rows that were not chosen."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def choose(batch: pa.RecordBatch, rows: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Return some rows of a batch, in ascending order.

    A dictionary keeps the values of rows that are gone, and Parquet writes dictionaries whole: text that was dropped or
    quarantined would stand in the clean file. So they are made anew from the chosen rows.
    """
    columns = [_without_others(_take(column, rows)) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _take(column: pa.Array, rows: npt.NDArray[np.int64]) -> pa.Array:
    try:
        return column.take(pa.array(rows))
    except pa.ArrowNotImplementedError:
        # Arrow cannot take from views of strings, but it can join slices of them.
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        return pa.concat_arrays([column.slice(run[0] if len(run) else 0, len(run)) for run in runs])


def _without_others(column: pa.Array) -> pa.Array:
    return column.cast(_plain(column.type)).cast(column.type) if _has_dictionary(column.type) else column


def _has_dictionary(kind: pa.DataType) -> bool:
    inner = (kind.field(index).type for index in range(kind.num_fields))
    return pa.types.is_dictionary(kind) or any(_has_dictionary(each) for each in inner)


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type with the values in place of every dictionary in it."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if not _has_dictionary(kind):
        return kind
    if pa.types.is_map(kind):
        return pa.map_(*(field.with_type(_plain(field.type)) for field in (kind.key_field, kind.item_field)))
    fields = [kind.field(index) for index in range(kind.num_fields)]
    fields = [field.with_type(_plain(field.type)) for field in fields]
    if pa.types.is_struct(kind):
        return pa.struct(fields)
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(fields[0], kind.list_size)
    return (pa.large_list if pa.types.is_large_list(kind) else pa.list_)(fields[0])
