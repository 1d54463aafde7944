"""Roll-ups: what sources come to together at every level above them, by :func:`models.source_keys.parents_of`.

A level has no state of its own: it says the worst of what lies in it, so that nothing above ever clears what is worse below.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.source_keys import parents_of
from models.sources import STATES
from models.store import Store
from models.summing import GroupWriter, How, Sums
from models.verdicts import DOORS

_COUNTS = ("read", "removed", "removed_of", "distinct", "unlawful", "characters", "unlawful_characters", *DOORS)
_OF_STATE = tuple(f"sources_{state}" for state in STATES)

ROLLUPS = pa.schema(
    [
        ("key", pa.string()),
        ("worst", pa.string()),
        ("own", pa.string()),
        ("sources", pa.int64()),
        *((name, pa.int64()) for name in (*_OF_STATE, *_COUNTS)),
    ]
)
"""One row a key that something lies in, sorted by key: the worst state of what lies in it and of itself; the state of the source of that very key, null if there
is none; how many sources, and how many of each state; and the sums of their counts, see :data:`models.outcome.SOURCES`."""


def keep_rollups(sources: str, has_levels: bool, reading: Mapping[str, str], store: Store, folder: Path) -> str:
    """Write the roll-ups of a table of sources, and return their name in the store.

    Args:
        sources: name of the table.
        has_levels: whether keys of sources say what lies above them, which they do where a run names sources by rules.
        reading: of the rule in words, for the metadata of the schema.
    """

    def write(path: Path) -> None:
        names = ("sources", *_OF_STATE, *_COUNTS)
        how: dict[str, How] = {"worst": "max", "own": "max", "below": "sum", **dict.fromkeys(names, "sum")}
        with Sums(how, folder, keys=("key",)) as sums:
            if has_levels:
                for table in _rows(store.local(sources)):
                    sums.add(table)
            writer = GroupWriter(path, ROLLUPS.with_metadata(reading))
            for chunk in sums.chunks():
                writer.write(_finished(chunk))
            writer.close()

    return keep(store, folder, "catalogues", ".rollups.parquet", write)


def _rows(path: Path) -> Iterator[pa.Table]:
    """Give for every source a row for each key above it, and one for its own."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1 << 16, columns=["source", "state", *_COUNTS]):
            table = pa.Table.from_batches([batch])
            names = table["source"].to_pylist()
            keys = [(key, at) for at, name in enumerate(names) for key in (name, *parents_of(name))]
            if not keys:
                continue
            at = np.array([row for _, row in keys], np.int64)
            is_own = np.append(True, at[1:] != at[:-1])
            state = pc.index_in(table["state"], value_set=pa.array(STATES)).take(pa.array(at)).combine_chunks()
            columns = {name: table[name].take(pa.array(at)) for name in _COUNTS}
            columns |= {
                name: pc.fill_null(pc.equal(state, code), False).cast(pa.int64()) for code, name in enumerate(_OF_STATE)
            }
            yield pa.table(
                {
                    "key": pa.array([key for key, _ in keys], pa.string()),
                    "worst": state.cast(pa.int64()),
                    "own": pc.if_else(pa.array(is_own), state, pa.scalar(None, state.type)).cast(pa.int64()),
                    "below": pa.array((~is_own).astype(np.int64)),
                    "sources": pa.array(np.ones(len(at), np.int64)),
                    **columns,
                }
            )


def _finished(sums: pa.Table) -> pa.Table:
    """Return the rows of keys in which another source lies than that of the very name."""
    above = sums.filter(pc.greater(sums["below"], 0))
    states = pa.array(STATES)
    for name in ("worst", "own"):
        above = above.set_column(above.schema.get_field_index(name), name, states.take(above[name].combine_chunks()))
    return above.select(ROLLUPS.names).cast(ROLLUPS)
