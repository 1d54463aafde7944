"""Tallies: per-source counts of a split, in integers, that add up in any order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.findings import ERROR, Finding
from models.layer import Merged
from models.policy import Decider
from models.removals import is_removed, may_be_removed

DISTINCT = ("distinct", "unlawful", "low", "characters", "unlawful_characters", "low_characters")
"""Counts of records after removing exact duplicates."""
ALL_RECORDS = ("records", "removed")
"""Counts of records with their duplicates."""
COUNTS = (*ALL_RECORDS, *DISTINCT)
SCHEMA = pa.schema([pa.field("source", pa.string()), *(pa.field(n, pa.int64()) for n in COUNTS)])

STRATA = ("high", "low", "unflagged")
"""Of what detectors found in a record, by code: a finding that makes it unlawful; one of the same kinds, but of a lower score; none."""


@dataclass(frozen=True)
class Tally:
    """Counts by source.

    ``+`` is associative and commutative with :meth:`zero`, so Beam may add in any order.

    Attributes:
        table: one row a source, sorted by source: ``records`` read; how many of these are ``removed`` by the rules, see
            :mod:`models.removals`; ``distinct`` of them after removing exact duplicates (equal
            text of one source) within each split; how many of the distinct are ``unlawful``, which is the stratum ``high``, and how many
            are of the stratum ``low``; code points of the distinct, and of these.
    """

    table: pa.Table

    @classmethod
    def zero(cls) -> "Tally":
        return cls(SCHEMA.empty_table())

    def __add__(self, other: "Tally") -> "Tally":
        return total([self, other])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and self.table.equals(other.table)

    __hash__ = None  # type: ignore[assignment]


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    table = pa.concat_tables([SCHEMA.empty_table(), *(tally.table for tally in tallies)])
    return Tally(sum_by_source(table, COUNTS))


def sum_by_source(table: pa.Table, counts: Sequence[str]) -> pa.Table:
    """Add up rows of equal source; the result is sorted by source."""
    summed = table.group_by("source", use_threads=False).aggregate([(name, "sum") for name in counts])
    summed = summed.select(["source", *(f"{name}_sum" for name in counts)]).rename_columns(["source", *counts])
    fields = [pa.field("source", pa.string()), *(pa.field(name, pa.int64()) for name in counts)]
    return summed.sort_by("source").cast(pa.schema(fields)).combine_chunks()


def tally(known: Merged, decider: Decider) -> Tally:
    """Count the records of a split by source; dead letters have none and are not counted here."""
    records = known.records
    alive = is_counted(records).to_numpy()
    if not alive.any():
        return Tally.zero()
    characters = records["characters"].to_numpy().astype(np.int64)
    table = pa.table(
        {
            "source": records["source"].cast(pa.string()),
            "content": records["content"],
            "stratum": strata(known, decider),
            "characters": characters,
            "removed": removed(known, decider).astype(np.int64),
        }
    ).filter(pa.array(alive))
    # Equal texts have equal lengths and findings; the worst of them only says so without relying on it.
    distinct = table.group_by(["source", "content"], use_threads=False).aggregate(
        [("stratum", "min"), ("characters", "max"), ("content", "count"), ("removed", "sum")]
    )
    stratum, length = distinct["stratum_min"].to_numpy(), distinct["characters_max"].to_numpy()
    high, low = ((stratum == code).astype(np.int64) for code in (0, 1))
    rows = pa.table(
        {
            "source": distinct["source"],
            "records": distinct["content_count"].cast(pa.int64()),
            "removed": distinct["removed_sum"],
            "distinct": np.ones(len(distinct), np.int64),
            "unlawful": high,
            "low": low,
            "characters": length,
            "unlawful_characters": high * length,
            "low_characters": low * length,
        }
    )
    return Tally(sum_by_source(rows, COUNTS))


def is_counted(records: pa.Table) -> pa.ChunkedArray:
    """Tell which entries are counted: dead letters have no source, and purged records, which are counted apart, have none either."""
    return pc.and_(pc.is_null(records["error"]), pc.is_valid(records["source"]))


def strata(known: Merged, decider: Decider) -> npt.NDArray[np.uint8]:
    """Return the stratum of every entry, index in :data:`STRATA`, shape (n,)."""
    codes = np.full(len(known.records), len(STRATA) - 1, np.uint8)
    findings = known.findings.filter(_may_be_unlawful(known.findings, decider))
    for row, found in by_row(findings):
        codes[row] = not decider.unlawful(found)
    return codes


def removed(known: Merged, decider: Decider) -> npt.NDArray[np.bool_]:
    """Return whether the rules quarantine or drop each entry, whatever the state of its source; shape (n,). Dead letters are none."""
    flags = np.zeros(len(known.records), np.bool_)
    found = known.findings
    looked_at = found.filter(may_be_removed(found, decider))["row"].unique()
    broken = found.filter(pc.equal(found["category"], ERROR))["row"].unique()
    # All findings of those records: a rule may want several before it acts.
    found = found.filter(pc.and_(pc.is_in(found["row"], looked_at), pc.invert(pc.is_in(found["row"], broken))))
    lengths = known.records["characters"].to_numpy()
    for row, each in by_row(found):
        flags[row] = is_removed(decider, int(lengths[row]), each)
    return np.asarray(flags & pc.is_null(known.records["error"]).to_numpy())


def _may_be_unlawful(findings: pa.Table, decider: Decider) -> pa.ChunkedArray:
    """Tell the findings of a kind that counts as unlawful if its score is high enough: whatever has one is of the first two strata."""
    categories = findings["category"].unique().to_pylist()
    wanted = [each for each in categories if each != ERROR and decider.unlawful([Finding(0, "", each, "", 1.0)])]
    return pc.is_in(findings["category"], pa.array(wanted, pa.string()))


def by_row(findings: pa.Table) -> list[tuple[int, list[Finding]]]:
    """Group findings by record, in row order; errors of taggers are left out."""
    groups: list[tuple[int, list[Finding]]] = []
    for values in zip(*(column.to_pylist() for column in findings.columns), strict=True):
        finding = Finding(*values)
        if finding.category == ERROR:
            continue
        if not groups or groups[-1][0] != finding.row:
            groups.append((finding.row, []))
        groups[-1][1].append(finding)
    return groups
