"""Receipts of tagged splits, gathered by segment and kept in the store, so that no process has to hold those of all splits."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
from pyarrow import ipc

from models.addressed import keep
from models.catalogue import kinds_json, layers_json
from models.sketch_files import gather, read_split
from models.store import Store
from models.tag_pass import LayerRef, Tagged
from models.tally import COUNTS

RECEIPTS = pa.schema(
    [
        *((name, pa.string()) for name in ("split", "known", "kinds", "layers", "errors", "withdrawn", "languages")),
        *((name, pa.int64()) for name in ("entries", "lost", "characters", "dead", "counted", "purged", "fresh")),
    ]
)
"""One row a split, by digest. ``counted`` is how many records its tally has, ``purged`` how many it leaves out, ``fresh`` whether the
catalogue lacks findings of it."""

_TALLIES = pa.schema([("row", pa.int64()), ("source", pa.string()), *((name, pa.int64()) for name in COUNTS)])


@dataclass(frozen=True)
class Bundle:
    """The receipts of one segment of the agenda, in the store.

    Attributes:
        number: of the segment in the agenda.
        name: in the store.
        sketch: of its splits, name in the store, see :mod:`models.sketch_files`; empty for none.
    """

    number: int
    name: str
    sketch: str = ""


def bundle(number: int, receipts: Iterable[Tagged], store: Store, folder: Path, k: int = 0) -> Bundle:
    """Keep the receipts of a segment; they may come in any order, and one may come twice.

    Args:
        k: of the sketches of its splits, 0 if there are none.
    """
    by_split = {receipt.split: receipt for receipt in receipts}
    ordered = [by_split[split] for split in sorted(by_split)]
    counts = pa.concat_tables([_TALLIES.empty_table().drop_columns(["row"]), *(each.tally for each in ordered)])
    lengths = [len(each.tally) for each in ordered]
    tallies = counts.add_column(0, "row", pa.array(np.repeat(np.arange(len(ordered)), lengths), pa.int64()))
    tallied = np.zeros(len(ordered), np.int64)
    np.add.at(tallied, tallies["row"].to_numpy(), tallies["records"].to_numpy())
    rows = pa.Table.from_pylist(
        [_facts(each, counted) for each, counted in zip(ordered, tallied.tolist(), strict=True)], RECEIPTS
    )

    def write(path: Path) -> None:
        options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1))
        with path.open("wb") as file:
            for table in (rows, tallies.cast(_TALLIES)):
                with ipc.new_stream(file, table.schema, options=options) as writer:
                    writer.write_table(table.combine_chunks())

    name = keep(store, folder, "tagged", ".arrow", write)
    sketches = (read_split(each.sketch, k, store) for each in ordered)
    return Bundle(number, name, gather(sketches, k, store, folder) if k else "")


def _facts(receipt: Tagged, counted: int) -> dict[str, Any]:
    return {
        "split": receipt.split,
        "known": receipt.known.digest,
        "kinds": kinds_json(receipt.known),
        "layers": orjson.dumps(layers_json(receipt.layers)).decode(),
        "errors": orjson.dumps(dict(receipt.errors), option=orjson.OPT_SORT_KEYS).decode(),
        "withdrawn": orjson.dumps(dict(receipt.withdrawn), option=orjson.OPT_SORT_KEYS).decode(),
        "languages": orjson.dumps(dict(receipt.languages), option=orjson.OPT_SORT_KEYS).decode(),
        "entries": receipt.entries,
        "lost": receipt.lost,
        "characters": receipt.characters,
        "dead": receipt.dead,
        "counted": counted,
        "purged": receipt.purged,
        "fresh": int(bool(receipt.fresh)),
    }


class Receipts:
    """A bundle that is read.

    Attributes:
        columns: of :data:`RECEIPTS`.
        tallies: ``row``, ``source`` and :data:`models.tally.COUNTS`.
    """

    def __init__(self, columns: dict[str, list[Any]], tallies: pa.Table) -> None:
        self.columns = columns
        self.tallies = tallies

    @cached_property
    def rows(self) -> dict[str, int]:
        """Number of the row of each split by its digest."""
        return {split: row for row, split in enumerate(self.columns["split"])}

    def layers(self, row: int) -> tuple[LayerRef, ...]:
        return tuple(LayerRef(name, taggers) for name, taggers in orjson.loads(self.columns["layers"][row]))

    def moved(self, to: npt.NDArray[np.int64]) -> pa.Table:
        """Return the tallies with other row numbers; those of a negative number are left out."""
        rows = to[self.tallies["row"].to_numpy()]
        return self.tallies.set_column(0, "row", pa.array(rows)).filter(pa.array(rows >= 0))


NOTHING = Receipts({name: [] for name in RECEIPTS.names}, _TALLIES.empty_table())


def read_bundle(store: Store, name: str) -> Receipts:
    """Read a bundle by its name in the store; the empty name has no receipts."""
    return _read(store.local(name)) if name else NOTHING


@functools.lru_cache(maxsize=2)
def _read(path: Path) -> Receipts:
    with pa.OSFile(str(path), "rb") as file:
        rows = ipc.open_stream(file).read_all()
        tallies = ipc.open_stream(file).read_all()
    return Receipts({name: rows[name].to_pylist() for name in rows.column_names}, tallies)
