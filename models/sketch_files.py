"""Sketches of splits as they lie in the store: one object a split while it is tagged, then one a segment of the catalogue.

Both are Arrow IPC files, uncompressed so that judging maps them into memory, and named by their content, which is compared before
anything rests on it. They hold no text: of some records of a split the first half of the content hash, the stratum and the length.
"""

import hashlib
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.addressed import keep
from models.digest import digest_of_file
from models.errors import ConservationError
from models.policy import SKETCH as FORMAT
from models.sketches import Sketch
from models.store import Store

ROWS = pa.schema(
    [
        ("source", pa.string()),
        ("split", pa.uint64()),
        ("hashes", pa.list_(pa.uint64())),
        ("strata", pa.list_(pa.uint8())),
        ("characters", pa.list_(pa.int32())),
    ]
)
"""One row a source and split, sorted by these: the records of a :class:`models.sketches.Sketch`, by hash. ``split`` is the number of
:func:`mark_of`. The schema's metadata say ``format`` and ``k``."""

FOLDER = "sketches"


def mark_of(split: str) -> int:
    """Return the number by which a split is told from others of its segment: the first 8 bytes of its digest."""
    return int(split[:16], 16)


def keep_split(sketch: Sketch, split: str, store: Store, folder: Path) -> str:
    """Write the sketch of one split and return its name in the store; empty if the split has no record.

    Args:
        split: digest of the split.
    """
    if not len(sketch.sources):
        return ""
    offsets = pa.array(np.concatenate([[0], np.cumsum(sketch.counts)]), pa.int32())
    values = (pa.array(getattr(sketch, name)) for name in ("hashes", "strata", "characters"))
    columns = [
        sketch.sources,
        pa.array(np.full(len(sketch.sources), mark_of(split), np.uint64)),
        *(pa.ListArray.from_arrays(offsets, each) for each in values),
    ]
    return _keep(pa.Table.from_arrays(columns, schema=ROWS), sketch.k, store, folder)


def gather(tables: Iterable[pa.Table], k: int, store: Store, folder: Path) -> str:
    """Write the rows of several splits as one object and return its name; empty if there are none.

    Args:
        tables: see :data:`ROWS`; those of one split stand in one of them.
    """
    table = pa.concat_tables([ROWS.empty_table(), *tables])
    if not len(table):
        return ""
    return _keep(table.sort_by([("source", "ascending"), ("split", "ascending")]), k, store, folder)


def read_split(name: str, k: int, store: Store) -> pa.Table:
    """Read the rows of an object that is wanted once; the empty name has none. See :func:`read_rows`."""
    if not name:
        return ROWS.empty_table()
    try:
        data = store.read(name)
    except FileNotFoundError:
        raise _damaged(name) from None
    return _checked(pa.BufferReader(data), hashlib.sha256(data).hexdigest(), name, k)


def read_rows(name: str, k: int, store: Store) -> pa.Table:
    """Map the rows of an object into memory; the empty name has none.

    Raises:
        ConservationError: if it is missing, not what its name says, or of another format or size.
    """
    if not name:
        return ROWS.empty_table()
    try:
        path = store.local(name)
        digest = digest_of_file(path)
    except FileNotFoundError:
        raise _damaged(name) from None
    return _checked(pa.memory_map(str(path)), digest, name, k)


def is_as_named(name: str, store: Store) -> bool:
    """Tell whether an object is there and holds what its name says."""
    try:
        with store.fetched(name) as path:
            return digest_of_file(path) == PurePosixPath(name).stem
    except FileNotFoundError:
        return False


def _checked(source: pa.NativeFile, digest: str, name: str, k: int) -> pa.Table:
    if digest != PurePosixPath(name).stem:
        raise _damaged(name)
    table = ipc.open_file(source).read_all()
    said = table.schema.metadata
    if (int(said[b"format"]), int(said[b"k"])) != (FORMAT, k):
        raise ConservationError(
            f"{name}: a sketch of format {said[b'format'].decode()} up to {said[b'k'].decode()} records, expected {FORMAT} and {k}"
        )
    return table.replace_schema_metadata(None)


def _damaged(name: str) -> ConservationError:
    return ConservationError(
        f"{name}: missing, or not what its name says; set exact_up_to in the policy to another number, which makes all sketches anew"
    )


def rows_of(table: pa.Table, splits: Collection[int]) -> pa.Table:
    """Return the rows of some splits, given by :func:`mark_of`."""
    return table.filter(pc.is_in(table["split"], value_set=pa.array(sorted(splits), pa.uint64())))


def _keep(table: pa.Table, k: int, store: Store, folder: Path) -> str:
    table = table.replace_schema_metadata({"format": str(FORMAT), "k": str(k)})

    def write(path: Path) -> None:
        with pa.OSFile(str(path), "wb") as file, ipc.new_file(file, table.schema) as writer:
            # One batch, so that the bytes do not depend on how the rows came.
            writer.write_table(table.combine_chunks())

    return keep(store, folder, FOLDER, ".arrow", write)
