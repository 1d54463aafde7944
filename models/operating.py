"""Operating characteristics of the interval reading: how often a source of some true share gets which state, by exact binomial sums.

For tables and reports, never for a decision: logarithms may differ in their last bit between machines.
"""

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from models.intervals import is_above, is_within
from models.source_reading import SourceReading

Counts = npt.NDArray[np.int64]

# Standard deviations from the mean beyond which a binomial sum holds nothing that a report could show.
_FAR = 12


def least_blacklisted(audited: npt.ArrayLike, limit: Fraction, z: Fraction) -> Counts:
    """Return the least count of unlawful verdicts at which Wilson's lower limit is over ``limit``, or ``audited + 1`` if none is.

    Args:
        audited: shape (n,), verdicts in one stratum.
        limit, z: as in :func:`models.intervals.is_above`.
    """
    n = np.asarray(audited, np.int64)
    near = _near(n, limit, z, 1)
    above = is_above(np.clip(near, 0, n), n, limit, z) & (near <= n)
    return np.where(above.any(axis=0), np.take_along_axis(near, above.argmax(axis=0)[None], 0)[0], n + 1)


def most_clean(audited: npt.ArrayLike, limit: Fraction, z: Fraction) -> Counts:
    """Return the largest count of unlawful verdicts at which Wilson's upper limit is at most ``limit``, or -1; see :func:`least_blacklisted`."""
    n = np.asarray(audited, np.int64)
    near = _near(n, limit, z, -1)[::-1]
    within = is_within(np.clip(near, 0, n), n, limit, z) & (near >= 0)
    return np.where(within.any(axis=0), np.take_along_axis(near, within.argmax(axis=0)[None], 0)[0], -1)


def chance_of_at_least(count: int, records: int, share: float) -> float:
    """Return the probability that ``count`` or more of ``records`` are unlawful, each with probability ``share``, 0 < share < 1."""
    spread = _FAR * math.sqrt(records * share * (1 - share)) + _FAR
    low, high = max(0, int(records * share - spread)), min(records, int(records * share + spread))
    k = np.arange(low, high + 1)
    first = math.lgamma(records + 1) - math.lgamma(low + 1) - math.lgamma(records - low + 1)
    first += low * math.log(share) + (records - low) * math.log1p(-share)
    steps = np.log((records - k[:-1]) / (k[:-1] + 1)) + math.log(share) - math.log1p(-share)
    chances = np.exp(first + np.append(0.0, np.cumsum(steps)))
    return min(1.0, float(chances[k >= count].sum()))


def most_allowed(records: int, limit: Fraction) -> int:
    """Return the most bad records among ``records`` whose share is not over ``limit``."""
    return math.floor(records * limit)


def chance_of_passing(most: int, records: int, share: float) -> float:
    """Return the probability that at most ``most`` of ``records`` are bad, each with probability ``share``, 0 < share < 1."""
    return 1 - chance_of_at_least(most + 1, records, share)


def most_that_shows(records: int, limit: float, error: float) -> int:
    """Return the most bad records that show a share of at most ``limit``, with a probability of at most ``error`` to say so wrongly; -1 if none does.

    By the exact binomial: the upper limit of Clopper and Pearson (1934), one-sided, is then at most ``limit``.
    """
    most = most_allowed(records, Fraction(limit))
    while most >= 0 and chance_of_passing(most, records, limit) > error:
        most -= 1
    return most


def most_false(audited: Counts, reading: SourceReading) -> tuple[int, float]:
    """Return how many sources have enough verdicts, and how many of these one nightly look is expected to blacklist falsely, at the most.

    Args:
        audited: shape (sources,).
    """
    enough = audited[audited >= reading.min_audited]
    return len(enough), expected_blacklistings(enough, float(reading.limit), reading, reading.z_nightly)


def expected_blacklistings(audited: npt.ArrayLike, share: float, reading: SourceReading, z: Fraction) -> float:
    """Return how many sources one look is expected to blacklist if all had the true share ``share``; with ``share <= limit``, all of them falsely.

    Args:
        audited: shape (sources,): verdicts of each, in one stratum.
        share: between 0 and 1; the limit itself gives the most that can be expected of sources that are not over it.
        reading: limit and least number of verdicts; sources with fewer are not blacklisted.
        z: that of the look.
    """
    n, sources = np.unique(np.asarray(audited, np.int64), return_counts=True)
    least = least_blacklisted(n, reading.limit, z)
    enough = n >= reading.min_audited
    rows = zip(least[enough].tolist(), n[enough].tolist(), sources[enough].tolist(), strict=True)
    return math.fsum(many * chance_of_at_least(count, size, share) for count, size, many in rows)


def _near(n: Counts, limit: Fraction, z: Fraction, side: int) -> Counts:
    """Return counts around that at which a limit of Wilson's interval meets ``limit``, ascending, shape (7, n)."""
    c = n * float(limit)
    arm = float(z) * np.sqrt(n * float(limit * (1 - limit)))
    near: Counts = np.floor(c + side * arm).astype(np.int64) + np.arange(-3, 4)[:, None]
    return near
