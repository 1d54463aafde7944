"""States of sources under the five per cent rule, from counts and verdicts, by a :class:`models.source_reading.SourceReading`.

Everything is an array with one element a source, so that sources can be judged in chunks of any size: no source's state depends on
another's. Where the arrays of two chunks are put together the states are, too.

Decisions do not depend on the machine. One stratum, the usual case, is compared in fractions wherever floats leave a doubt, so ``L > limit``
is strict and ``U <= limit`` includes equality, exactly. Over several strata ``L`` and ``U`` hold roots that no fraction has, and are compared
as floats with the same bits everywhere; nearer to the limit than 1e-12 they are neither over nor within, and the source is watched.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.intervals import (
    Calibration,
    Flags,
    Floats,
    Interval,
    design_effect,
    is_above,
    is_within,
    mover,
    rogan_gladen,
)
from models.source_reading import SourceReading
from models.sources import STATES, is_over

CLEAN, INSUFFICIENT, WATCH, HOLD, BLACKLISTED = range(len(STATES))

DETECTOR, ROGAN_GLADEN, AUDIT, MANUAL = range(4)
BASES = ("detector", "rogan-gladen", "audit", "manual")
"""By code: what a state rests on by its figures; see :data:`models.removals.REASONS` for more."""

NOT_MANUAL = 255
"""In an array of overrides: none is in force for this source."""

Codes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]

# Floats of a few operations on shares are far more exact than this.
_TIE = 1e-12


@dataclass(frozen=True)
class Audit:
    """Verdicts of humans on records drawn by hash within strata.

    Attributes:
        sizes: shape (sources, strata): distinct records; 0 where a source has no such stratum.
        audited: shape (sources, strata): records with a final verdict.
        unlawful: shape (sources, strata): those of them with a confirmed risk.
    """

    sizes: Counts
    audited: Counts
    unlawful: Counts


@dataclass(frozen=True)
class Evidence:
    """What is known of sources over some time: since the last review, in the latest batch, or since they were blacklisted.

    Attributes:
        distinct: shape (sources,): records after removing exact duplicates.
        flagged: shape (sources,): those of them with a finding that counts as unlawful.
        by_characters: shape (sources,): estimated share of the characters that lie in unlawful records, NaN if unknown; None for all unknown.
        cluster: shape (sources,): mean records of a page template or cluster of near duplicates; None for 1.
        audit: None if nothing was audited.
        calibration: of the detectors on records like these, by source or for all; None if there is none.
    """

    distinct: Counts
    flagged: Counts
    by_characters: Floats | None = None
    cluster: Floats | None = None
    audit: Audit | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Blacklist:
    """What was decided before.

    Attributes:
        marked: shape (sources,): whether a source is blacklisted.
        since: what came in since then, for these sources; other sources' counts are not looked at. None if nothing did.
    """

    marked: Flags
    since: Evidence | None = None


@dataclass(frozen=True)
class Judgement:
    """One element a source.

    Attributes:
        state: code, see :data:`STATES`.
        basis: code, see :data:`BASES`.
        interval: the share and its limits at ``z_clean`` that the basis gives, of all counts, or for a source that left the list of the new
            ones. On the basis of detectors it is their raw share, and from 0 to 1: nothing is known of their errors.
        released: whether the source left the blacklist by its new data; counts begin anew with these.
        collect, train: whether more may be collected, and whether what was collected may be trained on.
    """

    state: Codes
    basis: Codes
    interval: Interval
    released: Flags
    collect: Flags
    train: Flags


def judge(
    evidence: Evidence,
    reading: SourceReading,
    *,
    latest: Evidence | None = None,
    before: Blacklist | None = None,
    manual: Codes | None = None,
    look: Literal["nightly", "review"] = "nightly",
    stage: Literal["pre", "post"] = "post",
) -> Judgement:
    """Return the state of each source.

    The literal reading looks at ``evidence`` and ``manual`` alone: a source goes and comes as its share does.

    Args:
        evidence: all that came in since the last review, in the present epoch of detectors.
        reading: all parameters.
        latest: the latest batch alone. It counts where it has enough verdicts of its own to be judged, else it says nothing.
        before: which sources are blacklisted; they stay so unless new data clear them.
        manual: shape (sources,): the state that an override in force gives, or :data:`NOT_MANUAL`.
        look: ``nightly`` for a decision that is made again and again, ``review`` for one made once; the quantile differs.
        stage: ``pre`` for a probe before collection. Nothing that is trained on has been verified then, so ``train`` is false.

    Raises:
        ValueError: if counts contradict each other.
    """
    if reading.reading == "literal":
        state = literal(evidence, reading)
        basis = np.full(state.shape, DETECTOR, np.uint8)
        interval, released = _raw(evidence), np.zeros(state.shape, np.bool_)
    else:
        state, basis, interval = _assess(evidence, reading, look)
        released = np.zeros(state.shape, np.bool_)
        if before is not None:
            if before.since is not None:
                released = before.marked & _is_cleared(before.since, reading)
                anew = _assess(before.since, reading, look)
                state, basis = (np.where(released, new, old) for new, old in zip(anew[:2], (state, basis), strict=True))
                interval = Interval(*(np.where(released, new, old) for new, old in zip(anew[2], interval, strict=True)))
            state = np.where(before.marked & ~released, np.uint8(BLACKLISTED), state)
        if latest is not None and reading.latest_batch == "worst":
            newest, on, _ = _assess(latest, reading, look)
            state = np.where((on == AUDIT) & (newest != INSUFFICIENT), np.maximum(state, newest), state)
    if manual is not None:
        basis = np.where(manual == NOT_MANUAL, basis, np.uint8(MANUAL))
        state = np.where(manual == NOT_MANUAL, state, manual)
    collect, train = (uses(reading, gate)[state] for gate in ("collect", "train"))
    return Judgement(state, basis, interval, released, collect, train & (stage == "post"))


def literal(evidence: Evidence, reading: SourceReading) -> Codes:
    """Return the states of the literal reading: over the limit if more than ``limit`` of the distinct records are flagged, in integers.

    ``blacklisted`` from ``min_records`` distinct records on, ``hold`` below; otherwise ``clean``, however small the source.
    """
    over = is_over(evidence.flagged, evidence.distinct, reading.limit)
    codes = np.where(over, np.where(evidence.distinct >= reading.min_records, BLACKLISTED, HOLD), CLEAN)
    return codes.astype(np.uint8)


def _assess(evidence: Evidence, reading: SourceReading, look: str) -> tuple[Codes, Codes, Interval]:
    """Return state, basis and interval from one set of counts: by verdicts, else by a calibrated classifier, else nothing."""
    effect = _effect(evidence, reading)
    states: Codes = np.full(evidence.distinct.shape, INSUFFICIENT, np.uint8)
    bases: Codes = np.full(evidence.distinct.shape, DETECTOR, np.uint8)
    shown = _raw(evidence)
    limit = float(reading.limit)
    if evidence.calibration is not None:
        *known, _, refused = rogan_gladen(
            evidence.flagged,
            evidence.distinct,
            evidence.calibration,
            float(reading.z_clean),
            float(reading.least_informative),
            effect,
        )
        # Only verdicts can make a source clean or blacklisted; a classifier can say which to look at first.
        triage = np.where(known[0] > limit, HOLD, np.where(known[2] > limit, WATCH, INSUFFICIENT))
        states = np.where(refused, states, triage).astype(np.uint8)
        bases = np.where(refused, bases, ROGAN_GLADEN).astype(np.uint8)
        shown = Interval(*(np.where(refused, old, new) for old, new in zip(shown, known, strict=True)))
    if evidence.audit is not None:
        audit = evidence.audit
        estimate = mover(audit.sizes, audit.unlawful, audit.audited, float(reading.z_clean), effect)
        judged = _by_verdicts(evidence, audit, estimate.share, reading, look, effect)
        has = audit.audited.sum(axis=1) > 0
        states = np.where(has, judged, states).astype(np.uint8)
        bases = np.where(has, AUDIT, bases).astype(np.uint8)
        shown = Interval(*(np.where(has, new, old) for new, old in zip(estimate, shown, strict=True)))
    return states, bases, shown


def _by_verdicts(
    evidence: Evidence, audit: Audit, share: Floats, reading: SourceReading, look: str, effect: Floats
) -> Codes:
    z = reading.z_nightly if look == "nightly" else reading.z_review
    limit = float(reading.limit)
    above, within = (
        _is_above(audit, reading.limit, z, effect),
        _is_within(audit, reading.limit, reading.z_clean, effect),
    )
    if evidence.by_characters is not None:
        # Too little is sure where the two shares say different things: neither clean nor marked for good.
        split = (share > limit) != (evidence.by_characters > limit)
        split &= ~np.isnan(evidence.by_characters)
        above, within = above & ~split, within & ~split
    between = np.where(share > limit, HOLD, WATCH)
    states = np.where(above, BLACKLISTED, np.where(within, CLEAN, between))
    return np.where(_is_sufficient(audit, reading), states, INSUFFICIENT).astype(np.uint8)


def _is_sufficient(audit: Audit, reading: SourceReading) -> Flags:
    enough = audit.audited.sum(axis=1) >= reading.min_audited
    whole = audit.sizes.sum(axis=1, keepdims=True)
    unseen = (audit.audited == 0) & is_over(
        audit.sizes, np.broadcast_to(whole, audit.sizes.shape), reading.small_stratum
    )
    return np.asarray(enough & ~unseen.any(axis=1))


def _is_cleared(since: Evidence, reading: SourceReading) -> Flags:
    """Return whether new data alone are enough and have an upper limit within the lower of the two limits."""
    if since.audit is None:
        return np.zeros(since.distinct.shape, np.bool_)
    effect = _effect(since, reading)
    within = _is_within(since.audit, reading.leave_limit, reading.z_clean, effect)
    return np.asarray(within & _is_sufficient(since.audit, reading))


def _is_above(audit: Audit, limit: Fraction, z: Fraction, effect: Floats) -> Flags:
    low = mover(audit.sizes, audit.unlawful, audit.audited, float(z), effect).low
    single, k, n = _single(audit)
    return np.where(single, is_above(k, n, limit, z, effect), low > float(limit) + _TIE)


def _is_within(audit: Audit, limit: Fraction, z: Fraction, effect: Floats) -> Flags:
    high = mover(audit.sizes, audit.unlawful, audit.audited, float(z), effect).high
    single, k, n = _single(audit)
    return np.where(single, is_within(k, n, limit, z, effect), high <= float(limit) - _TIE)


def _single(audit: Audit) -> tuple[Flags, Counts, Counts]:
    """Return which sources have one stratum, with all verdicts and the unlawful ones; 0 for the others."""
    single = (audit.sizes > 0).sum(axis=1) == 1
    k, n = audit.unlawful.sum(axis=1), audit.audited.sum(axis=1)
    return np.asarray(single), np.where(single, k, 0), np.where(single, n, 0)


def _effect(evidence: Evidence, reading: SourceReading) -> Floats:
    cluster = np.ones(evidence.distinct.shape) if evidence.cluster is None else evidence.cluster
    return design_effect(cluster, float(reading.correlation))


def _raw(evidence: Evidence) -> Interval:
    with np.errstate(divide="ignore", invalid="ignore"):
        share = evidence.flagged / evidence.distinct
    return Interval(share, np.zeros(share.shape), np.ones(share.shape))


def uses(reading: SourceReading, gate: str) -> Flags:
    """Return for each state, by code, whether a gate is open: ``collect`` or ``train``."""
    enough = {"allow", gate}
    undecided = [reading.on_insufficient in enough, reading.watch_use in enough]
    return np.array([True, *undecided, False, False])
