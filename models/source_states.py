"""The states of all sources, judged chunk by chunk: the file that release maps into memory, and the table with every figure."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.audits import AUDITED, CONFIRMED, Audited, Evidences
from models.digest import digest_of_file
from models.errors import ConservationError
from models.intervals import Calibration, Floats, share_by_characters
from models.job import Job
from models.overrides import read_in_force
from models.policy import Calibrated, Sources
from models.removals import REASONS, WAS, Watched, read_before, watch
from models.source_reading import SourceReading
from models.source_rule import BASES as BY_FIGURES
from models.source_rule import BLACKLISTED, HOLD, Audit, Blacklist, Counts, Evidence, Judgement, judge
from models.sources import STATES, SourceStates, StatesByName, source_keys
from models.store import Store, scratch_file
from models.summing import GroupWriter, Sums
from models.tally import COUNTS, DISTINCT, STRATA

FEW = 100_000
"""Up to so many sources that are not as most are looked up by name: a table of them is made anew for every segment."""

BY_VERDICTS = ("lower_ppm", "upper_ppm", *AUDITED, *CONFIRMED, "deff_thousandths", "mark")
"""Columns of judged sources that only the interval reading has: verdicts that count by stratum, and those of them that found a risk; the
limits of the share, of a million and rounded outward, or null; the design effect; number of the ledger's entry that alone holds the source on the
blacklist, or null."""

MILLION = 1_000_000

BASES = (*BY_FIGURES, *REASONS)
"""By code: what the state of a judged source rests on."""

MOVES = pa.schema(
    [("source", pa.string()), ("reason", pa.string()), *((n, pa.int64()) for n in ("removed", "removed_of", *WAS))]
)
"""One row a source that moved, or of which nearly all is removed, held or only told of: the reason, one of
:data:`models.removals.REASONS`, its counts, and those that it was compared with, null if there were none. Sorted by source."""


def judged_schema(sources: Sources) -> pa.Schema:
    """Return the columns of the table of judged sources: states and bases by code, shares of a million."""
    names = (
        *counted_of(sources),
        *("state", "basis", "estimate_ppm"),
        *WAS,
        *(BY_VERDICTS if sources.reading == "interval" else ()),
    )
    return pa.schema([("source", pa.string()), *((name, pa.int64()) for name in names)])


def counted_of(sources: Sources) -> tuple[str, ...]:
    """Return what is known of every source before it is judged: counts, and over whole sources which kind of count it is."""
    return (*COUNTS, "counted") if sources.sketched else COUNTS


def add_before(sums: Sums, job: Job, store: Store) -> None:
    """Add what the last release counted of sources, as :data:`models.removals.WAS`; a source that is in it alone has no ``records`` then."""
    before = read_before(store, job.before)
    if not before.sources:
        return
    with pq.ParquetFile(store.local(before.sources)) as file:
        for batch in file.iter_batches(columns=["source", "removed", "removed_of"]):
            table = pa.Table.from_batches([batch]).rename_columns(["source", *WAS])
            sums.add(table.filter(pc.is_valid(table[WAS[1]])))


def write_states(
    sums: Sums, evidences: Evidences, job: Job, store: Store, folder: Path
) -> tuple[SourceStates | StatesByName, tuple[str, str, str], dict[str, int]]:
    """Judge every source, what people decided before what the figures say.

    Args:
        sums: :func:`counted_of` all sources, and :data:`models.removals.WAS`.

    Returns:
        The states, the names of state file, table and moves (see :data:`MOVES`), and how many sources have each state.

    Raises:
        ConservationError: if a source has records and no distinct ones, or the other way round.
    """
    policy = job.policy.sources
    otherwise = STATES.index(policy.otherwise)
    keys, codes, names = [], [], [pa.array([], pa.string())]
    with scratch_file(folder) as path, scratch_file(folder) as moves_path:
        writer, moves = (
            GroupWriter(path, judged_schema(policy)),
            GroupWriter(moves_path, MOVES.with_metadata(policy.in_metadata)),
        )
        for chunk, judged, told in _judged(sums, evidences, job, store):
            moves.write(told)
            keys.append(source_keys(chunk["source"]))
            codes.append(judged)
            names += chunk["source"].filter(pa.array(judged != otherwise)).chunks
            writer.write(chunk)
        writer.close()
        moves.close()
        table, moved = (f"states/{digest_of_file(each)}.parquet" for each in (path, moves_path))
        store.create_once(table, path)
        store.create_once(moved, moves_path)
    every = np.concatenate(codes)
    states = SourceStates.of_keys(np.concatenate(keys), every, otherwise)
    counts = {
        STATES[code]: count for code, count in enumerate(np.bincount(every, minlength=len(STATES)).tolist()) if count
    }
    file = keep(store, folder, "states", ".arrow", states.write)
    if len(states.keys) <= FEW:
        return StatesByName(pa.concat_arrays(names), every[every != otherwise], otherwise), (file, table, moved), counts
    return states, (file, table, moved), counts


def _judged(
    sums: Sums, evidences: Evidences, job: Job, store: Store
) -> Iterator[tuple[pa.Table, npt.NDArray[np.uint8], pa.Table]]:
    """Give the rows of the table, the codes of their states, and what is to be told of removals."""
    policy, decided = job.policy.sources, read_in_force(store, job.overrides, job.reading.keys is not None)
    before = read_before(store, job.before)
    calibrated = tuple(each for each in policy.calibration if each.epoch in ("", job.epoch))
    marked = {source: mark.entry for source, mark in evidences.marks.items() if mark.entry}
    marks = pa.array(list(marked), pa.string()), np.array([*marked.values(), 0], np.int64)
    for summed in sums.chunks():
        is_lost = pc.xor(pc.is_null(summed["records"]), pc.is_null(summed["distinct"]))
        if len(wrong := summed["source"].filter(is_lost)):
            raise ConservationError(f"source {wrong[0].as_py()}: tallies and sketches do not fit; run again")
        chunk = summed.filter(pc.is_valid(summed["records"]))
        sources = chunk["source"]
        entries = marks[1][pc.fill_null(pc.index_in(sources, value_set=marks[0]), -1).to_numpy()]
        calibration = calibration_of(sources, calibrated)
        now, since = (evidence_of(chunk, each, policy, calibration) for each in (evidences.now, evidences.since))
        found = judge(now, policy, before=Blacklist(entries > 0, since))
        watched = watch(chunk, found.state, before, policy)
        is_held = watched.trips & (policy.removals.then == "hold")
        state = decided.over(sources, np.where(is_held, np.uint8(HOLD), found.state))
        basis = np.where(is_held, watched.reason + np.uint8(len(BY_FIGURES)), found.basis)
        columns: dict[str, npt.NDArray[Any] | pa.Array] = {"state": state, "basis": basis}
        columns |= {
            name: pa.array(was, mask=~is_held | (watched.was[1] == 0))
            for name, was in zip(WAS, watched.was, strict=True)
        }
        columns["estimate_ppm"] = _shares(found.interval.share, np.rint)
        if policy.reading == "interval":
            columns |= _by_verdicts(now, since, found, entries, policy)
        for name, column in columns.items():
            columns[name] = column if isinstance(column, pa.Array) else pa.array(column.astype(np.int64))
        schema = judged_schema(policy)
        counts = [chunk["source"], *(chunk[name] for name in counted_of(policy))]
        yield (
            pa.Table.from_arrays([*counts, *(columns[name] for name in schema.names[len(counts) :])], schema=schema),
            state,
            _told(chunk, watched),
        )


def _told(chunk: pa.Table, watched: Watched) -> pa.Table:
    """Return the rows of :data:`MOVES` of a chunk."""
    at = np.flatnonzero(watched.trips)
    was = (pa.array(each[at], mask=watched.was[1][at] == 0) for each in watched.was)
    some = chunk.take(pa.array(at))
    return pa.Table.from_arrays(
        [some["source"], pa.array(REASONS).take(pa.array(watched.reason[at])), some["removed"], some["records"], *was],
        schema=MOVES,
    )


def evidence_of(chunk: pa.Table, audited: Audited, reading: SourceReading, calibration: Calibration | None) -> Evidence:
    """Return what is known of sources: their counts, and the verdicts on them.

    Args:
        chunk: ``source`` and :data:`models.tally.COUNTS`.
    """
    count = {name: chunk[name].to_numpy() for name in DISTINCT}
    verdicts = audited.of(chunk["source"])
    cluster = np.full(len(chunk), float(reading.records_per_cluster))
    if verdicts is None:
        return Evidence(count["distinct"], count["unlawful"], cluster=cluster, calibration=calibration)
    sizes, characters = (
        np.stack([high, low, whole - high - low], axis=1)
        for high, low, whole in (
            (count["unlawful"], count["low"], count["distinct"]),
            (count["unlawful_characters"], count["low_characters"], count["characters"]),
        )
    )
    return Evidence(
        count["distinct"],
        count["unlawful"],
        share_by_characters(characters, *verdicts),
        cluster,
        audit=Audit(sizes, *verdicts),
        calibration=calibration,
    )


def calibration_of(sources: pa.ChunkedArray, calibrated: tuple[Calibrated, ...]) -> Calibration | None:
    """Return the calibration that holds for each source, arrays of shape (sources,); 0 of 0 for those that have none."""
    if not calibrated:
        return None
    counts = np.zeros((4, len(sources)), np.int64)
    for each in reversed(calibrated):
        parts = (
            ".*" if part == "*" else "." if part == "?" else re.escape(part)
            for part in re.split(r"([*?])", each.sources)
        )
        fits = pc.match_substring_regex(sources, f"(?s)^{''.join(parts)}$").to_numpy()
        counts[:, fits] = np.array([[each.caught], [each.unlawful], [each.passed], [each.lawful]])
    return Calibration(*counts)


def _by_verdicts(
    now: Evidence, since: Evidence, found: Judgement, entries: Counts, policy: Sources
) -> dict[str, Counts | pa.Array]:
    """Return :data:`BY_VERDICTS` of sources; for those that left the blacklist, of the verdicts that let them."""
    columns: dict[str, Counts | pa.Array] = {}
    none = np.zeros((len(found.state), len(STRATA)), np.int64)
    for names, of in ((AUDITED, "audited"), (CONFIRMED, "unlawful")):
        all_of, new = (none if each.audit is None else getattr(each.audit, of) for each in (now, since))
        counted = np.where(found.released[:, None], new, all_of)
        columns |= {name: counted[:, at] for at, name in enumerate(names)}
    is_known = found.basis != BY_FIGURES.index("detector")
    low, high = _shares(found.interval.low, np.floor), _shares(found.interval.high, np.ceil)
    columns["lower_ppm"] = pa.array(low.astype(np.int64), mask=~is_known)
    columns["upper_ppm"] = pa.array(high.astype(np.int64), mask=~is_known)
    effect = 1 + (policy.records_per_cluster - 1) * policy.correlation
    columns["deff_thousandths"] = np.full(len(entries), round(effect * 1000), np.int64)
    alone = np.zeros(len(entries), np.bool_)
    if entries.any():
        # Only named where it makes the difference: so the run after the one that marked a source says the same.
        alone = (entries > 0) & ~found.released & (judge(now, policy).state != BLACKLISTED)
    columns["mark"] = pa.array(entries, mask=~alone)
    return columns


def state_by_figures(
    table: pa.Table, reading: SourceReading, calibrated: tuple[Calibrated, ...]
) -> npt.NDArray[np.uint8]:
    """Return the codes of the states that the figures of a table of sources say, without what was decided before or by people.

    Args:
        table: rows of :data:`models.outcome.SOURCES` that have a state.
        calibrated: those that hold for the epoch of its release.
    """
    verdicts = [
        np.stack([pc.fill_null(table[name], 0).to_numpy() for name in names], axis=1) for names in (AUDITED, CONFIRMED)
    ]
    audited = Audited(table["source"].combine_chunks(), verdicts[0], verdicts[1])
    evidence = evidence_of(table, audited, reading, calibration_of(table["source"], calibrated))
    return judge(evidence, reading).state


def _shares(shares: Floats, rounded: np.ufunc) -> Floats:
    """Return shares of a million; nothing of nothing is 0."""
    return np.where(np.isnan(shares), 0.0, rounded(shares * MILLION))
