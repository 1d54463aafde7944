"""Removals: records that the rules quarantine or drop for what was found in them; and sources of which suddenly more or less is removed.

The state of a source has no part in it: of a blacklisted source all records go to quarantine, and that says nothing of what is in them. What people
withdrew has no part in it either.

A run compares each source with the last release, of which it knows the counts: see :class:`models.source_reading.Removals`. In the policy's
``then: hold`` a source that moved is on hold from then on, whatever its later counts, until a person acknowledges it as it is; that holds for the
figures that were seen, and the next comparison is with these.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from models.addressed import keep_json
from models.findings import Finding
from models.intervals import Flags, design_effect, moved, wilson
from models.policy import Decider
from models.source_reading import SourceReading
from models.source_rule import Codes, Counts
from models.sources import HOLD, STATES
from models.store import Store
from models.tagging import IDENTIFIERS

BEFORE = "agendas/before"
"""Folder of the store with what runs compare sources with: a run's own business, which goes when the run has ended."""

MOVED, NEARLY_ALL = "moved", "nearly-all-removed"
REASONS = (MOVED, NEARLY_ALL)
"""By code: why a source is on hold until somebody acknowledges it; stands as ``basis`` in tables and in the ledger."""

NOTHING = 255
"""In place of such a code."""

WAS = ("was_removed", "was_removed_of")
"""Columns of tables: the counts that a source was compared with, null if it was not there."""


def is_removed(decider: Decider, length: int, findings: Sequence[Finding]) -> bool:
    """Return whether the rules quarantine or drop a record, whatever the state of its source.

    Args:
        length: code points of the original text.
        findings: all of the record; none that says that a tagger failed.
    """
    verdict = decider.decide(length, findings)
    if verdict.action != "redact":
        return verdict.action != "keep"
    # An id or URL that would need redaction is needed whole: see models.verdicts.
    return any(
        r.finding is not None and r.action == "redact" and r.finding.view in IDENTIFIERS for r in verdict.reasons
    )


def may_be_removed(findings: pa.Table, decider: Decider) -> pa.ChunkedArray:
    """Tell the findings without which no record is removed: only records that have one need be looked at."""
    pairs = findings.group_by(["tagger", "category"], use_threads=False).aggregate([]).to_pylist()
    named = pc.binary_join_element_wise(
        findings["tagger"].cast(pa.string()), findings["category"].cast(pa.string()), "\t"
    )
    removing, redacting = (
        pc.is_in(
            named,
            pa.array(
                [f"{p['tagger']}\t{p['category']}" for p in pairs if may(p["tagger"], p["category"])], pa.string()
            ),
        )
        for may in (decider.may_remove, decider.may_redact)
    )
    whole = pc.or_(
        pc.is_in(findings["view"].cast(pa.string()), pa.array(IDENTIFIERS, pa.string())),
        pc.less_equal(findings["end"], findings["start"]),
    )
    return pc.or_(removing, pc.and_(redacting, whole))


@dataclass(frozen=True)
class Held:
    """A source that is on hold for its removals, by the ledger.

    Attributes:
        entry: number of the entry that says so.
        basis: one of :data:`REASONS`.
        was: the counts that it was compared with, or none.
    """

    entry: int
    basis: str
    was: tuple[int, int] | None


@dataclass(frozen=True)
class Seen:
    """The counts of a source that a person acknowledged last, and by which entry of the ledger."""

    entry: int
    removed: int
    removed_of: int


@dataclass(frozen=True)
class Before:
    """What a run compares sources with.

    Attributes:
        release: number of the last release, 0 for none.
        sources: name in the store of its table of sources, empty for none.
        held: sources on hold for their removals, by name.
        seen: what people acknowledged, by name of the source.
    """

    release: int = 0
    sources: str = ""
    held: Mapping[str, Held] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)


def keep_before(before: Before, store: Store, folder: Path) -> str:
    """Write what a run compares with, and return its name in the store; empty if that is nothing."""
    return keep_json(store, folder, BEFORE, asdict(before)) if before != Before() else ""


def read_before(store: Store, name: str) -> Before:
    """Read what :func:`keep_before` wrote; the empty name is nothing."""
    return _read(store.local(name)) if name else Before()


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> Before:
    facts = orjson.loads(path.read_bytes())
    held = {
        source: Held(each["entry"], each["basis"], None if each["was"] is None else tuple(each["was"]))
        for source, each in facts["held"].items()
    }
    return Before(
        facts["release"], facts["sources"], held, {source: Seen(**each) for source, each in facts["seen"].items()}
    )


@dataclass(frozen=True)
class Watched:
    """What came of comparing sources; arrays of shape (sources,).

    Attributes:
        reason: index in :data:`REASONS`, or :data:`NOTHING`.
        was: the counts that each was compared with: removed, and of how many; 0 of 0 for none.
    """

    reason: Codes
    was: tuple[Counts, Counts]

    @property
    def trips(self) -> Flags:
        return np.asarray(self.reason != NOTHING)


def watch(chunk: pa.Table, states: Codes, before: Before, reading: SourceReading) -> Watched:
    """Compare sources with the last release, or with what a person acknowledged since.

    Sources that are on hold or blacklisted by their figures are not looked at: none of their records is used. Whether a source is held is the
    policy's ``then`` to say.

    Args:
        chunk: ``source``, ``records``, ``removed`` and :data:`WAS`, which is null for sources that the last release does not have.
        states: of the sources by their figures.
    """
    removals, z = reading.removals, float(reading.z_clean)
    effect = design_effect(np.full(len(chunk), float(reading.records_per_cluster)), float(reading.correlation))
    now = chunk["removed"].to_numpy(), chunk["records"].to_numpy()
    removed, of = (pc.fill_null(chunk[name], 0).to_numpy().copy() for name in WAS)
    reason = np.full(len(chunk), NOTHING, np.uint8)
    accepted = np.zeros(len(chunk), np.bool_)
    still: list[tuple[int, Held]] = []
    for at, source in _rows_of(chunk["source"], {*before.held, *before.seen}):
        held, seen = before.held.get(source), before.seen.get(source)
        if seen is not None:
            low = wilson(seen.removed, seen.removed_of, z, effect[at]).low
            accepted[at] = low >= float(removals.nearly_all)
            if held is not None and seen.entry > held.entry:
                # The release has it as it was when it was held; what counts is what was seen.
                removed[at], of[at] = seen.removed, seen.removed_of
        if held is not None and (seen is None or seen.entry < held.entry):
            still.append((at, held))
    far = moved((removed, of), now, z, float(removals.intervals), effect)
    far &= _by_least(removed, of, *now, removals.least.numerator, removals.least.denominator)
    all_of = (wilson(*now, z, effect).low >= float(removals.nearly_all)) & ~accepted
    reason[all_of] = REASONS.index(NEARLY_ALL)
    reason[far] = REASONS.index(MOVED)
    for at, held in still:
        reason[at] = REASONS.index(held.basis)
        removed[at], of[at] = held.was or (0, 0)
    reason[states >= STATES.index(HOLD)] = NOTHING
    return Watched(reason, (removed, of))


def _rows_of(sources: pa.ChunkedArray, wanted: set[str]) -> list[tuple[int, str]]:
    """Return the places of some sources, of which there are few, with their names."""
    if not wanted:
        return []
    at = np.flatnonzero(pc.is_in(sources, value_set=pa.array(sorted(wanted), pa.string())).to_numpy())
    return list(zip(at.tolist(), sources.take(pa.array(at)).to_pylist(), strict=True))


def _by_least(
    was: Counts, was_of: Counts, removed: Counts, of: Counts, numerator: int, denominator: int
) -> npt.NDArray[np.bool_]:
    """Return where two shares are ``numerator / denominator`` apart or more, exactly: products of counts pass 64 bits."""
    found = np.zeros(len(of), np.bool_)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.abs(removed / of - was / was_of) >= 0.999 * numerator / denominator
    for at in np.flatnonzero(near & (of > 0) & (was_of > 0)).tolist():
        k, n, i, m = (int(each[at]) for each in (removed, of, was, was_of))
        found[at] = abs(k * m - i * n) * denominator >= numerator * n * m
    return found
