"""What is drawn of a release: one pass over its layers and audit, which hold hashes and no text; then the text of what was drawn alone."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.catalogue import Catalogue, Row
from models.documents import Documents
from models.drawing import Bottom, Draws, Histogram, cut, cut_by_stratum, draws, record_values
from models.layer import Merged
from models.ledger import read_ledger
from models.policy import Decider
from models.rereading import by_split, extents, read_again
from models.store import Store
from models.tally import STRATA, strata
from models.withdrawals import InForce
from pipeline.corpus import Corpus, Release
from pipeline.query import merged_of, withdrawn_in
from transforms.workspace import shard_opener

Mask = npt.NDArray[np.bool_]

_PLACE = ("content", "source", "record", "shard", "position")


@dataclass(frozen=True)
class Known:
    """What is known of a split of a release.

    Attributes:
        open: shape (n,): records that may be drawn: no dead letters, nothing purged or withdrawn, by now.
    """

    row: Row
    merged: Merged
    open: Mask


class Drawer:
    """Draws from a release.

    Args:
        salt: key of draws, see :func:`models.drawing.check_salt`.
    """

    def __init__(self, corpus: Corpus, release: Release, salt: bytes) -> None:
        self._store, self._salt = corpus.store, salt
        self.catalogue = Catalogue.open(self._store, release.manifest["catalogue"]["index"])
        self._in_force = InForce({each.id: each.target for each in read_ledger(self._store) if each.in_force})

    def records(self, size: int) -> tuple[pa.Table, int]:
        """Draw ``size`` records of the clean door, or all if there are not so many; see :data:`models.reviews.DRAWN`.

        Returns:
            what was drawn, and how many records it was drawn from.
        """
        bottom, population = Bottom(size, (), (), _PLACE), 0
        for known, rows in self._clean():
            population += int(rows.sum())
            bottom.add(self._places(known, rows, self._record_draws(known, rows)))
        found = bottom.table()
        return (_nothing() if found is None else cut(found, size)), population

    def sources(self, size: int, decider: Decider, wanted: Collection[str] = ()) -> tuple[pa.Table, int]:
        """Draw ``size`` distinct records of each source, divided over its strata, whatever door they left by.

        Args:
            wanted: sources; all if none are named.

        Returns:
            what was drawn, and how many records it was drawn from, equal ones counted each.
        """
        bottom, population = Bottom(size, ("source", "stratum"), ("content",), ("content", "shard", "position")), 0
        names = pa.array(sorted(wanted), pa.string())
        for known in self._known(wanted):
            if known.row.split.shard.twin:
                continue  # its records count where its twin has them
            rows = known.open
            if wanted:
                own = pc.is_in(known.merged.records["source"].cast(pa.string()), value_set=names)
                rows = rows & own.to_numpy(zero_copy_only=False)
            if not rows.any():
                continue
            population += int(rows.sum())
            contents = known.merged.records["content"].filter(pa.array(rows)).to_pylist()
            table = self._places(known, rows, draws(self._salt, contents))
            bottom.add(table.append_column("stratum", pa.array(strata(known.merged, decider)[rows], pa.uint8())))
        found = bottom.table()
        if found is None:
            return _nothing(), population
        drawn = cut_by_stratum(found, size)
        words = pa.array(STRATA, pa.string()).take(drawn["stratum"])
        return drawn.set_column(drawn.schema.get_field_index("stratum"), "stratum", words), population

    def histogram(self) -> Histogram:
        """Return where the draws of the records of the clean door lie."""
        found = Histogram()
        for known, rows in self._clean():
            found.add(self._record_draws(known, rows))
        return found

    def below(self, bound: int) -> Iterator[pa.Table]:
        """Give the records of the clean door with a draw below a bound, by split."""
        for known, rows in self._clean():
            table = self._places(known, rows, self._record_draws(known, rows))
            yield table.filter(pa.array(table["draw"].to_numpy() < np.uint64(bound)))

    def _known(self, wanted: Collection[str] = ()) -> Iterator[Known]:
        for row in self.catalogue.rows():
            if wanted and not {*row.known.sources} & {*wanted}:
                continue
            merged = merged_of(row, self._store)
            records = merged.records
            is_open = pc.and_(pc.is_null(records["error"]), pc.is_valid(records["source"])).to_numpy().copy()
            is_open[list(withdrawn_in(row, merged, self._in_force))] = False
            yield Known(row, merged, is_open)

    def _clean(self) -> Iterator[tuple[Known, Mask]]:
        for known in self._known():
            rows = known.open & _is_clean(known, self._store)
            if rows.any():
                yield known, rows

    def _record_draws(self, known: Known, rows: Mask) -> Draws:
        return draws(self._salt, record_values(known.merged.records.filter(pa.array(rows))))

    def _places(self, known: Known, rows: Mask, draw: Draws) -> pa.Table:
        records = known.merged.records.filter(pa.array(rows))
        long = extents(known.merged, known.row.split)[rows]
        return pa.table(
            {
                "source": records["source"].cast(pa.string()),
                "content": records["content"],
                "record": records["id"],
                "draw": pa.array(draw),
                "shard": pa.repeat(pa.scalar(known.row.split.shard.path), len(records)),
                "position": records["position"],
                "bytes": pa.array(long),
            }
        ).combine_chunks()


def _nothing() -> pa.Table:
    fields = {"source": pa.string(), "content": pa.binary(16), "record": pa.binary(8), "draw": pa.uint64()}
    fields |= {"shard": pa.string(), "position": pa.int64(), "bytes": pa.int64(), "bound": pa.uint64()}
    return pa.schema(fields).empty_table()


def _is_clean(known: Known, store: Store) -> Mask:
    """Tell which entries of a split left by the clean door, from the audit."""
    positions = known.merged.records["position"].to_numpy()
    audit = next((part for part in known.row.release.files if part.place == "audit"), None)
    if audit is None:
        return np.zeros(len(positions), np.bool_)
    with store.fetched(audit.object) as path:
        table = pq.read_table(path, columns=["position", "door"])
    at = np.searchsorted(table["position"].to_numpy(), positions, side="right") - 1
    clean: Mask = pc.equal(table["door"], "clean").to_numpy()[at]
    return clean


def documents_of(catalogue: Catalogue, rows: pa.Table) -> Iterator[tuple[str, list[int], Documents]]:
    """Give the records of places, read from their shards as they were before any redaction: shard, positions, documents.

    Only splits that hold some are read.

    Args:
        rows: ``shard``, ``position``, ``content`` and ``bytes`` (see :func:`models.rereading.extents`) of records.

    Raises:
        ShardChangedError: if a record is not what it was.
    """
    opener = shard_opener()
    rows = rows.select(["shard", "position", "content", "bytes"]).sort_by([("shard", "ascending")]).combine_chunks()
    names = rows["shard"].to_numpy(zero_copy_only=False)
    starts = np.flatnonzero(np.append(True, names[1:] != names[:-1])) if len(rows) else np.zeros(0, np.int64)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(rows)], strict=True):
        here = rows.slice(start, end - start)
        path = here["shard"][0].as_py()
        shard = catalogue.shard(path)
        assert shard is not None  # it was drawn from this catalogue
        splits = shard.splits()
        wanted = by_split(splits, here["position"], here["content"])
        longest = pc.max(here["bytes"]).as_py()
        for positions, documents in read_again(splits, wanted, longest, opener):
            yield path, positions, documents
