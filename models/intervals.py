"""Intervals for the share of unlawful records: from verdicts, from verdicts in strata, and from a classifier with known errors.

All functions work on arrays of any size, element by element, so that sources can be judged in chunks. They use nothing but sums,
products, quotients and square roots of 64-bit floats in a fixed order, which IEEE 754 rounds in one way: the same bits on every machine.
Counts are taken as integers below 2**53.

Sources of the formulas:

- Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.
- MOVER, the method of variance estimates recovery: Newcombe (1998), Statistics in Medicine 17; Zou and Donner (2008), the same, 27.
- Rogan and Gladen (1978), "Estimating prevalence from the results of a screening test", American Journal of Epidemiology 107.
- Kish (1965), "Survey Sampling": the design effect of clusters.
"""

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

# A comparison whose sides differ by less than this part of themselves is done again in fractions: far more than rounding can be.
_DOUBT = 1e-9


class Interval(NamedTuple):
    """Shares from 0 to 1, arrays of one shape; ``low <= share <= high``, and where nothing is known NaN between 0 and 1."""

    share: Floats
    low: Floats
    high: Floats


class Corrected(NamedTuple):
    """As :class:`Interval`, with the standard error of the share and whether the classifier was refused."""

    share: Floats
    low: Floats
    high: Floats
    error: Floats
    refused: Flags


class Calibration(NamedTuple):
    """What a classifier did on records with verdicts; numbers, or arrays with one element a source.

    Rates do not carry over from one kind of source or language to another: calibrate on records like those that are judged.

    Attributes:
        caught, unlawful: of how many unlawful records it flagged how many; sensitivity is their quotient.
        passed, lawful: of how many lawful records it left alone how many; specificity is their quotient.
    """

    caught: npt.ArrayLike
    unlawful: npt.ArrayLike
    passed: npt.ArrayLike
    lawful: npt.ArrayLike


def wilson(unlawful: npt.ArrayLike, records: npt.ArrayLike, z: float, effect: npt.ArrayLike = 1.0) -> Interval:
    """Return Wilson's score interval (1927); the arguments are broadcast against each other.

    Args:
        unlawful, records: counts, ``0 <= unlawful <= records``. No record at all: NaN from 0 to 1.
        z: quantile of the normal distribution, over 0; 1.96 for 95 % on two sides.
        effect: design effect, 1 or more; the interval is that of ``records / effect`` records with the same share.

    Raises:
        ValueError: if counts are negative or more are unlawful than there are.
    """
    k, n, effect = np.broadcast_arrays(_count(unlawful), _count(records), np.asarray(effect, np.float64))
    _check(k, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, size, square = k / n, n / effect, z * z
        spread = 1 + square / size
        middle = (share + square / (2 * size)) / spread
        half = z * np.sqrt(share * (1 - share) / size + square / (4 * size * size)) / spread
        low = np.where(k == 0, 0.0, np.minimum(np.maximum(middle - half, 0.0), share))
        high = np.where(k == n, 1.0, np.maximum(np.minimum(middle + half, 1.0), share))
    return Interval(share, np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0))


def mover(
    sizes: npt.ArrayLike, unlawful: npt.ArrayLike, audited: npt.ArrayLike, z: float, effect: npt.ArrayLike = 1.0
) -> Interval:
    """Return the interval for a share over strata: Wilson in each, put together by squares of their arms (MOVER).

    With weights ``w`` and Wilson's limits ``l`` and ``u`` of each stratum's share ``p``: ``P = sum w p``,
    ``L = P - sqrt(sum (w (p - l))**2)``, ``U = P + sqrt(sum (w (u - p))**2)``. With one stratum this is Wilson's interval.
    A stratum without a verdict may be anything: ``L`` takes it as lawful and ``U`` as unlawful throughout, the share as the others.
    There is no correction for auditing a large part of a stratum, so the interval is then too wide.

    Args:
        sizes: shape (..., strata): records of each stratum; weights are their parts of the sum.
        unlawful, audited: shape (..., strata): verdicts, and how many of these are unlawful.
        z: as in :func:`wilson`.
        effect: shape (...), design effect.

    Returns:
        Shape (...).

    Raises:
        ValueError: as :func:`wilson`, or if more were audited than there are.
    """
    size, k, n = np.broadcast_arrays(_count(sizes), _count(unlawful), _count(audited))
    if (n > size).any():
        raise ValueError("more records audited than the stratum has; count verdicts of this source and stratum only")
    each = wilson(k, n, z, np.asarray(effect, np.float64)[..., None])
    whole, seen, share, below, above = (np.zeros(size.shape[:-1]) for _ in range(5))
    # Added up one stratum after the other: numpy's own sums have an order that depends on the machine.
    for h in range(size.shape[-1]):
        whole = whole + size[..., h]
    with np.errstate(divide="ignore", invalid="ignore"):
        for h in range(size.shape[-1]):
            weight = size[..., h] / whole
            known = n[..., h] > 0
            p, low, high = (np.where(known, limit[..., h], 0.0) for limit in each)
            seen = seen + np.where(known, weight, 0.0)
            share = share + weight * p
            below = below + np.square(weight * (p - low))
            above = above + np.square(weight * (high - p))
        known = seen > 0
        estimate = np.where(known, np.minimum(share / seen, 1.0), np.nan)
        # Rounding may leave a sum of weights next to 1 instead of 1, which must not make an arm.
        unseen = np.where(seen < 1 - 1e-12, 1 - seen, 0.0)
        low = np.minimum(np.maximum(share - np.sqrt(below), 0.0), estimate)
        high = np.maximum(np.minimum(share + np.sqrt(above) + unseen, 1.0), estimate)
    return Interval(estimate, np.where(known, low, 0.0), np.where(known, high, 1.0))


def moved(
    before: tuple[npt.ArrayLike, npt.ArrayLike],
    now: tuple[npt.ArrayLike, npt.ArrayLike],
    z: float,
    times: float = 1.0,
    effect: npt.ArrayLike = 1.0,
) -> Flags:
    """Return where two shares are further apart than ``times`` what their intervals allow.

    With Wilson's limits ``l`` and ``u`` of each share, the allowance of ``p > q`` is ``sqrt((p - l_p)**2 + (u_q - q)**2)``, the arms that face
    each other (Newcombe 1998, method 10, which is MOVER of a difference). So ``times = 1`` tells where the interval of the difference does not hold
    0. Where there was no record before, or is none now, nothing moved.

    Args:
        before, now: counts, of how many records how many have what is counted.
        z, effect: as in :func:`wilson`.

    Raises:
        ValueError: as :func:`wilson`.
    """
    (was, was_low, was_high), (share, low, high) = (wilson(*counts, z, effect) for counts in (before, now))
    with np.errstate(invalid="ignore"):
        rises = share > was
        own = np.where(rises, share - low, high - share)
        other = np.where(rises, was_high - was, was - was_low)
        allowed = np.sqrt(np.square(own) + np.square(other))
        return np.asarray(np.abs(share - was) > times * allowed)


def rogan_gladen(
    flagged: npt.ArrayLike,
    records: npt.ArrayLike,
    calibration: Calibration,
    z: float,
    least: float = 0.3,
    effect: npt.ArrayLike = 1.0,
) -> Corrected:
    """Return the share that a classifier's flags stand for, corrected for its errors (Rogan and Gladen 1978); arguments are broadcast.

    With the apparent share ``a``, sensitivity ``Se``, specificity ``Sp`` and ``J = Se + Sp - 1``: ``p = (a + Sp - 1) / J``, held between
    0 and 1. The standard error is theirs, ``sqrt(a(1-a)/n + p**2 Se(1-Se)/n_Se + (1-p)**2 Sp(1-Sp)/n_Sp) / J``. The limits put the arms of
    Wilson's intervals of ``a``, ``Se`` and ``Sp`` in the place of the three variances, as MOVER does: ``p +- z * error`` has no width if no
    calibration record was judged wrongly, and is too short below where ``p`` is near 0.

    Args:
        flagged, records: counts of a source.
        calibration: counts, of records that are not among these.
        z: as in :func:`wilson`.
        least: where ``J`` is below, or nothing was calibrated, the classifier says next to nothing and is refused: NaN from 0 to 1.
        effect: design effect of the source's records.

    Raises:
        ValueError: as :func:`wilson`.
    """
    apparent = wilson(flagged, records, z, effect)
    size = _count(records) / np.asarray(effect, np.float64)
    caught, passed = (
        wilson(calibration.caught, calibration.unlawful, z),
        wilson(calibration.passed, calibration.lawful, z),
    )
    a, se, sp = np.broadcast_arrays(apparent.share, caught.share, passed.share)
    with np.errstate(divide="ignore", invalid="ignore"):
        informed = se + sp - 1
        # As written, 0.8 + 0.5 - 1 is a hair below 0.3.
        refused = ~(informed >= least - 1e-12) | np.isnan(a)
        p = np.minimum(np.maximum((a + sp - 1) / informed, 0.0), 1.0)
        chance = a * (1 - a) / size
        chance = chance + np.square(p) * (se * (1 - se) / _count(calibration.unlawful))
        chance = chance + np.square(1 - p) * (sp * (1 - sp) / _count(calibration.lawful))
        # More sensitivity means fewer unlawful records behind the same flags, so its arms change sides.
        below = np.square(a - apparent.low) + np.square(p * (caught.high - se))
        below = below + np.square((1 - p) * (sp - passed.low))
        above = np.square(apparent.high - a) + np.square(p * (se - caught.low))
        above = above + np.square((1 - p) * (passed.high - sp))
        low, high = np.maximum(p - np.sqrt(below) / informed, 0.0), np.minimum(p + np.sqrt(above) / informed, 1.0)
        error = np.sqrt(chance) / informed
    return Corrected(
        np.where(refused, np.nan, p),
        np.where(refused, 0.0, low),
        np.where(refused, 1.0, high),
        np.where(refused, np.nan, error),
        refused,
    )


def design_effect(cluster: npt.ArrayLike, correlation: float) -> Floats:
    """Return by how much clusters shrink a sample (Kish 1965): ``1 + (m - 1) * correlation``.

    Args:
        cluster: ``m``, mean records of a cluster such as a page template or near duplicates; 1 or more.
        correlation: within clusters, from 0 to 1.

    Raises:
        ValueError: if one is outside.
    """
    m = np.asarray(cluster, np.float64)
    if not (m >= 1).all() or not 0 <= correlation <= 1:
        raise ValueError("a cluster has 1 record or more, and the correlation lies between 0 and 1")
    return np.asarray(1 + (m - 1) * correlation, np.float64)


def share_by_characters(characters: npt.ArrayLike, audited: npt.ArrayLike, unlawful: npt.ArrayLike) -> Floats:
    """Return the estimated share of a source's characters that lie in unlawful records, a ratio estimate in each stratum.

    Args:
        characters: shape (sources, strata): of all distinct records.
        audited, unlawful: shape (sources, strata): of the audited records, and of those with a confirmed risk.

    Returns:
        Shape (sources,), weighted by characters; NaN if a stratum that has some has none audited.
    """
    size, n, k = _count(characters), _count(audited), _count(unlawful)
    whole, found = np.zeros(len(size)), np.zeros(len(size))
    with np.errstate(divide="ignore", invalid="ignore"):
        for h in range(size.shape[1]):
            whole = whole + size[:, h]
            part = size[:, h] * (k[:, h] / n[:, h])
            found = found + np.where(size[:, h] > 0, part, 0.0)
        return np.asarray(found / whole, np.float64)


def is_above(
    unlawful: npt.ArrayLike, records: npt.ArrayLike, limit: Fraction, z: Fraction, effect: npt.ArrayLike = 1.0
) -> Flags:
    """Return whether Wilson's lower limit is over ``limit``, strictly and without rounding; arguments as in :func:`wilson`.

    ``L > c`` says the same as ``k > c n`` and ``(k - c n)**2 > effect * z**2 * c (1 - c) * n``, which has no root and is compared in
    fractions wherever floats leave a doubt.

    Raises:
        ValueError: as :func:`wilson`, or if the limit is not between 0 and 1.
    """
    side, order = _scored(unlawful, records, limit, z, effect)
    return np.asarray((side > 0) & (order > 0))


def is_within(
    unlawful: npt.ArrayLike, records: npt.ArrayLike, limit: Fraction, z: Fraction, effect: npt.ArrayLike = 1.0
) -> Flags:
    """Return whether Wilson's upper limit is at most ``limit``, without rounding; see :func:`is_above`. Never without a record."""
    side, order = _scored(unlawful, records, limit, z, effect)
    return np.asarray((side < 0) & (order >= 0))


def _scored(
    unlawful: npt.ArrayLike, records: npt.ArrayLike, limit: Fraction, z: Fraction, effect: npt.ArrayLike
) -> tuple[Floats, Floats]:
    """Return the sign of ``k - c n``, and that of its square less what the limit would have to be away."""
    if not 0 < limit < 1 or z <= 0:
        raise ValueError("the limit must lie between 0 and 1, and z over 0")
    k, n, effect = np.broadcast_arrays(_count(unlawful), _count(records), np.asarray(effect, np.float64))
    _check(k, n)
    off = k - float(limit) * n
    square, needed = np.square(off), effect * float(z * z * limit * (1 - limit)) * n
    order = np.asarray(np.sign(square - needed))
    doubtful = (np.abs(square - needed) <= _DOUBT * needed) & (n > 0)
    for at in zip(*np.nonzero(doubtful), strict=True) if doubtful.ndim else [()] if doubtful else []:
        exact = (Fraction(int(k[at])) - limit * int(n[at])) ** 2
        least = Fraction(float(effect[at])) * z * z * limit * (1 - limit) * int(n[at])
        order[at] = (exact > least) - (exact < least)
    return np.sign(off), order


def _count(count: npt.ArrayLike) -> Floats:
    return np.asarray(count, np.float64)


def _check(part: Floats, whole: Floats) -> None:
    if not ((part >= 0) & (part <= whole)).all():
        raise ValueError("counts must not be negative, and not more records unlawful than there are")
