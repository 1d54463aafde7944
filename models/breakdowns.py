"""Breakdowns of segments and of the whole corpus: those of splits put together, without more of them in memory than a row group.

A segment of the catalogue has one file, a row group after another in the order of its splits, so that those of splits that were not
released again are copied from the segment that they stood in. The table of a release is the sum over all segments.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.breakdown import COUNTS, DOOR_OF, KEYS, SCHEMA, TWIN, totals
from models.catalogue import Catalogue, Segment, SegmentRef
from models.errors import ConservationError
from models.store import Store
from models.summing import GROUP, GroupWriter, Sums

ROWS = pa.schema([("row", pa.int64()), *SCHEMA])
"""Columns of a segment's file: the number of the split in the segment, and its breakdown."""


class _Reader:
    """The file of a segment; rows of a split are read when they are asked for, and the last row group is held."""

    def __init__(self, path: Path) -> None:
        self._file = pq.ParquetFile(path)
        rows = self._file.read(columns=["row"])["row"].to_numpy()
        self._starts = np.searchsorted(rows, np.arange(rows[-1] + 2 if len(rows) else 1))
        self._group = functools.lru_cache(maxsize=1)(self._file.read_row_group)

    def pieces(self, split: int) -> Iterator[pa.Table]:
        """Give the rows of a split, in order."""
        if split + 1 >= len(self._starts):
            return
        at, stop = int(self._starts[split]), int(self._starts[split + 1])
        while at < stop:
            group, first = divmod(at, GROUP)
            piece = self._group(group).slice(first, stop - at)
            yield piece.select(SCHEMA.names)
            at += len(piece)


def write_breakdown(
    fresh: Mapping[int, Callable[[], pa.Table]],
    kept: Mapping[int, tuple[Segment, int]],
    catalogue: Catalogue,
    path: Path,
) -> None:
    """Write the file of a segment.

    Args:
        fresh: gives the breakdown of a split that was released, by number in the segment; they are asked for one after another.
        kept: where the others stood in the catalogue.

    Raises:
        ConservationError: if the catalogue has no breakdown of a split that it has the release of.
    """
    refs = {Path(ref.name).name: ref for ref in catalogue.segments}
    readers: dict[str, _Reader] = {}
    writer = GroupWriter(path, ROWS)
    for number in sorted({*fresh, *kept}):
        pieces: Iterable[pa.Table]
        if number in fresh:
            pieces = [fresh[number]()]
        else:
            segment, row = kept[number]
            ref = refs[segment.path.name]
            if not ref.breakdown:
                raise ConservationError(f"{ref.name}: no breakdown of its splits; start a new output")
            if ref.name not in readers:
                readers = {ref.name: _Reader(catalogue.local(ref.breakdown))}  # segments come in order
            pieces = readers[ref.name].pieces(row)
        for piece in pieces:
            rows = pa.array(np.full(len(piece), number, np.int64))
            writer.write(piece.add_column(0, ROWS.field("row"), rows))
    writer.close()


def keep_total(
    catalogue: Catalogue, counts: Mapping[str, int], store: Store, folder: Path, rows: int | None = None
) -> str:
    """Add up the breakdowns of all segments, and return the name of the table.

    Args:
        counts: of the corpus, which the table must add up to.
        rows: see :class:`models.summing.Sums`.

    Raises:
        ConservationError: if it does not.
    """
    given = {} if rows is None else {"rows": rows}
    with Sums(dict.fromkeys(COUNTS, "sum"), folder, keys=KEYS, **given) as sums:
        for ref in catalogue.segments:
            for table in _of_segment(catalogue, ref):
                sums.add(table)

        def write(path: Path) -> None:
            writer = GroupWriter(path, SCHEMA)
            doors = dict.fromkeys(DOOR_OF.values(), 0)
            for chunk in sums.chunks():
                for action, (records, _, _) in totals([chunk], "action").items():
                    doors[DOOR_OF[action]] += records
                writer.write(chunk)
            writer.close()
            if wrong := [door for door in doors if doors[door] != counts[door]]:
                raise ConservationError(
                    f"breakdown: {doors[wrong[0]]} records {wrong[0]}, {counts[wrong[0]]} of the corpus; run again"
                )

        return keep(store, folder, "catalogues", ".breakdown.parquet", write)


def _of_segment(catalogue: Catalogue, ref: SegmentRef) -> Iterator[pa.Table]:
    """Give the breakdown of a segment. Of a twin, whose records another shard has, all are duplicates."""
    twins = np.array([bool(twin) for twin in catalogue.read(ref).columns("twin")["twin"]])
    with pq.ParquetFile(catalogue.local(ref.breakdown)) as file:
        for batch in file.iter_batches(batch_size=GROUP):
            table = pa.Table.from_batches([batch])
            is_twin = twins[table["row"].to_numpy()]
            if not is_twin.any():
                yield table.select(SCHEMA.names)
                continue
            repeated = pc.equal(table["dimension"], "duplicates").to_numpy()
            yield table.filter(pa.array(~(is_twin & repeated))).select(SCHEMA.names)
            # Records without a source are duplicates of none: no tally counts them.
            told = pc.and_(pc.equal(table["dimension"], "action"), pc.not_equal(table["source"], "")).to_numpy()
            own = table.filter(pa.array(is_twin & told)).select(SCHEMA.names)
            for name, value in (("dimension", "duplicates"), ("value", TWIN)):
                at = SCHEMA.get_field_index(name)
                own = own.set_column(at, SCHEMA.field(at), pa.repeat(pa.scalar(value), len(own)))
            yield own
