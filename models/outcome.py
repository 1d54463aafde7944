"""The outcome of a run before it is published: a new catalogue, and the tables that come from it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.agenda import Agenda
from models.catalogue import Catalogue, Row, row_of, write_catalogue
from models.digest import digest_of_file
from models.errors import ConservationError
from models.job import Job
from models.judging import Entries, Judged, check_dead
from models.release_pass import Released
from models.store import Store, scratch_file
from models.tag_pass import Tagged
from models.tally import COUNTS, sum_by_source
from models.verdicts import DOORS

TOTALS = ("read", "clean", "redacted", "quarantined", "dropped", "dead")


@dataclass(frozen=True)
class Outcome:
    """What a run came to; kept as JSON in the store.

    Attributes:
        base: number of the release that the run started from, 0 for none.
        splits, tallies: the new catalogue, names in the store.
        sources: table of sources, name in the store.
        counts: of the corpus.
        work: what this run did: splits tagged and released, records, tagger runs.
        twins: shards with the same content as another.
        gone: shards withdrawn.
        job: see :meth:`models.job.Job.described`.
        restricted: root of quarantine and dead letters, empty where it is the output: that may be moved.
        as_of: the date that comparisons used.
    """

    base: int
    splits: str
    tallies: str
    sources: str
    counts: Mapping[str, int]
    work: Mapping[str, int]
    twins: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]
    job: Mapping[str, Any]
    restricted: str
    as_of: str

    @property
    def catalogue(self) -> dict[str, str]:
        """Names in the store of what a release's manifest calls its catalogue."""
        return {"splits": self.splits, "tallies": self.tallies, "sources": self.sources}

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Outcome":
        twins = tuple((path, twin) for path, twin in facts["twins"])
        return cls(**{**facts, "twins": twins, "gone": tuple(facts["gone"])})


def conclude(
    agenda: Agenda,
    tagged: Sequence[Tagged],
    judged: Judged,
    released: Sequence[tuple[str, Released]],
    catalogue: Catalogue,
    base: int,
    job: Job,
    store: Store,
    folder: Path,
) -> Outcome:
    """Write the new catalogue and the table of sources.

    Args:
        released: digest of a split and its receipt.

    Raises:
        ConservationError: if a release is missing, or counts do not add up, naming split or source.
        DeadLetterLimitError: if the second reading made too many dead letters.
    """
    rows = list(_rows(agenda, tagged, judged, dict(released), catalogue, job))
    for row, _ in rows:
        _check_row(row)
    check_dead(
        [
            Entries(row.split.name, row.entries, row.release.counts["dead"], row.release.errors, row.lost)
            for row, _ in rows
        ],
        job,
    )
    counts = {name: sum(row.release.counts[name] for row, _ in rows) for name in TOTALS}
    table = sources_table(rows, store.local(judged.states.sources))
    with scratch_file(folder) as splits, scratch_file(folder) as tallies, scratch_file(folder) as sources:
        write_catalogue(rows, splits, tallies)
        pq.write_table(table, sources, compression="zstd")
        names = [
            f"catalogues/{digest_of_file(path)}.{kind}.parquet"
            for path, kind in ((splits, "splits"), (tallies, "tallies"), (sources, "sources"))
        ]
        for name, path in zip(names, (splits, tallies, sources), strict=True):
            store.create_once(name, path)
    work = {
        "tagged": sum(1 for receipt in tagged if receipt.fresh),
        "released": len(released),
        "splits": len(rows),
        "new_shards": len(agenda.new),
    }
    return Outcome(
        base,
        names[0],
        names[1],
        names[2],
        counts,
        work,
        agenda.twins,
        agenda.gone,
        job.described(version("winnow-corpus")),
        "" if job.restricted == job.root else job.restricted,
        job.as_of,
    )


def _rows(
    agenda: Agenda,
    tagged: Sequence[Tagged],
    judged: Judged,
    released: Mapping[str, Released],
    catalogue: Catalogue,
    job: Job,
) -> Iterator[tuple[Row, pa.Table]]:
    fresh = {receipt.split: receipt for receipt in tagged}
    due = {wanted for task in judged.tasks for _, _, wanted in task.splits}
    done = {receipt.digest for receipt in released.values()}
    if due != done:
        raise ConservationError(f"{len(due - done)} releases are missing of {len(due)}; run again")
    for shard in agenda.shards:
        for split in shard.splits():
            digest = split.digest(job.reading)
            receipt, row = fresh.get(digest), catalogue.find(digest)
            release = released.get(digest) or (row.release if row is not None else None)
            if release is None:
                raise ConservationError(f"{split.name}: no release; run again")
            if receipt is not None:
                yield row_of(split, receipt, release, job), receipt.tally
            else:
                assert row is not None
                kept = replace(row, split=split, release=release)
                yield kept, catalogue.tally_of(digest)


def _check_row(row: Row) -> None:
    counts = row.release.counts
    out = counts["clean"] + counts["quarantined"] + counts["dropped"] + counts["dead"]
    if not counts["read"] == out == row.entries:
        raise ConservationError(
            f"{row.split.name}: {row.entries} entries tagged, {counts['read']} read again, {out} went out"
        )


def sources_table(rows: Sequence[tuple[Row, pa.Table]], states: Path) -> pa.Table:
    """Return one row a source: counts, doors and state, sorted by source.

    Raises:
        ConservationError: if the doors of a source do not add up to its records.
    """
    empty = pa.schema([("source", pa.string()), *((name, pa.int64()) for name in DOORS)]).empty_table()
    doors = sum_by_source(pa.concat_tables([empty, *(row.release.doors for row, _ in rows)]), DOORS)
    read = pa.schema([("source", pa.string()), ("records", pa.int64())]).empty_table()
    records = sum_by_source(
        pa.concat_tables([read, *(table.select(["source", "records"]) for _, table in rows)]), ("records",)
    )
    judged = pq.read_table(states)
    joined = (
        records.rename_columns(["source", "read"])
        .join(judged, "source", join_type="full outer", use_threads=False)
        .join(doors.filter(pc.not_equal(doors["source"], "")), "source", join_type="full outer", use_threads=False)
        .sort_by("source")
    )
    table = joined.select(["source", "state", "read", *COUNTS[1:], *DOORS])
    for row in table.to_pylist():
        if (row["read"] or 0) != sum(row[name] or 0 for name in DOORS):
            raise ConservationError(f"source {row['source']}: {row['read']} records read, others went out")
    return table.combine_chunks()
