"""The reading of the five per cent rule: every choice that TC260-003, 5.1 a, leaves open, in one object, and in words."""

import math
from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from models.strict import Cluster, Quantile, Share, Strict

Use = Literal["hold", "collect", "allow"]
"""What an undecided source is good for: nothing, to be collected and judged further, or to be trained on as well."""


class SourceReading(Strict):
    """How a source's counts become a state; see :mod:`models.source_rule`.

    Attributes:
        reading: ``literal``: what detectors found is taken at its word. ``interval``: verdicts of humans decide, with an interval.
        limit: a share over it, strictly, is over the limit.
        leave_limit: a blacklisted source leaves the list only if the upper limit of new data is at most this, or by hand.
        z_clean: quantile of the limits that make a source ``clean``, and of those that are shown.
        z_review: quantile of the lower limit that blacklists in a review that is made once.
        z_nightly: the same for a decision made every night, where each night is another chance of a mistake.
        min_records: distinct records from which on the literal reading blacklists.
        min_audited: verdicts below which a source is ``insufficient``.
        small_stratum: the largest part of a source that may go without a verdict.
        least_informative: sensitivity + specificity - 1 below which a classifier is refused.
        correlation: between records of one page template or cluster of near duplicates, for the design effect.
        records_per_cluster: how many records such a cluster has on average; nothing measures that, so 1 unless somebody knows better.
        latest_batch: whether the state is the worse of all counts and those of the latest batch. ``ignore``, because ``worst`` cuts the usable
            among clean sources from 83 to 55 % and raises false blacklistings from 1.3 to 8.1 of 600 in 30 nights (docs/source-rule.md).
        watch_use, on_insufficient: what such sources are good for.
    """

    reading: Literal["literal", "interval"] = "literal"
    limit: Share = Fraction(5, 100)
    leave_limit: Share = Fraction(4, 100)
    z_clean: Quantile = Fraction("1.96")
    z_review: Quantile = Fraction("1.96")
    z_nightly: Quantile = Fraction(3)
    min_records: int = Field(100, ge=1)
    min_audited: int = Field(400, ge=1)
    small_stratum: Share = Fraction(1, 100)
    least_informative: Share = Fraction(3, 10)
    correlation: Share = Fraction(2, 10)
    records_per_cluster: Cluster = Fraction(1)
    latest_batch: Literal["worst", "ignore"] = "ignore"
    watch_use: Use = "hold"
    on_insufficient: Use = "hold"

    @model_validator(mode="after")
    def _check(self) -> "SourceReading":
        if not 0 < self.leave_limit <= self.limit < 1:
            raise ValueError(
                f"leave_limit, limit: 0 < leave_limit <= limit < 1 must hold; they are {self.leave_limit} and {self.limit}"
            )
        if self.least_informative == 0:
            raise ValueError("least_informative: must be over 0; a classifier that says nothing corrects nothing")
        return self

    @property
    def words(self) -> str:
        """The reading in words, to be printed beside every table, with these parameters."""
        if self.reading == "literal":
            return _LITERAL.format(limit=percent(self.limit), min_records=self.min_records)
        sure = math.erf(float(self.z_clean) / math.sqrt(2))
        return _INTERVAL.format(
            limit=percent(self.limit),
            leave=percent(self.leave_limit),
            sure=f"{100 * sure:.4g}%",
            side=f"{50 * (1 - sure):.3g}%",
            clean=_number(self.z_clean),
            smallest=math.ceil(self.z_clean**2 * (1 - self.limit) / self.limit),
            review=_number(self.z_review),
            nightly=_number(self.z_nightly),
            min_audited=self.min_audited,
            small=percent(self.small_stratum),
            correlation=_number(self.correlation),
            example=_number(1 + 19 * self.correlation),
            least=_number(self.least_informative),
            timing=_TIMING[self.latest_batch],
            watch=_WATCH[self.watch_use],
            insufficient=_INSUFFICIENT[self.on_insufficient],
        )


def percent(share: Fraction) -> str:
    """Return a share as a percentage, exactly if that has few decimals."""
    return f"{_number(share * 100)}%"


def _number(value: Fraction) -> str:
    return f"{float(value):.12g}"


_LITERAL = """\
- **Unit.** Record, after removing exact duplicates, before any content filter.
- **Numerator.** Record with at least one finding of UNLAWFUL29.
- **Basis.** Detectors, taken at their word: nobody audited the figure, and no allowance is made for their errors.
- **States.** `blacklisted`: unlawful / distinct > {limit}, strictly, from {min_records} distinct records on; `hold`: the same with fewer; `clean`: otherwise.
"""

_TIMING = {
    "worst": "source state = worst of {cumulative since last review, latest batch}",
    "ignore": "source state = that of all counts since last review",
}
_WATCH = {
    "hold": "may be used only if policy says `watch_use: allow`; default hold",
    "collect": "may be collected, not trained on: policy says `watch_use: collect`",
    "allow": "may be used: policy says `watch_use: allow`",
}
_INSUFFICIENT = {
    "hold": "Not usable, not blacklisted.",
    "collect": "May be collected, not trained on; not blacklisted.",
    "allow": "Usable by policy, not blacklisted.",
}

_INTERVAL = """\
- **Source key.** open/commercial: (publisher, dataset, version). self_collected and URL-pointer sets: registrable domain (eTLD+1, pinned PSL) by default, host or path prefix by override for shared hosting (blogs, CDNs, user-generated platforms). user_input: product/tenant. Roll-ups reported at every level; a decision at a parent never clears a child whose own state is worse.
- **Unit.** Record, after exact de-duplication, *before* any content filter. Also report share by characters; if the two lie on different sides of {limit}, state is at most `watch`.
- **Numerator.** Record contains ≥1 confirmed UNLAWFUL29 risk. Blocked information is outside: any hit drops the record and is counted apart.
- **Timing.** `pre` on a probe; `post` on each batch; {timing}. Detector change → new epoch, old counts not merged: all records are sorted into strata anew, verdicts stay with their records.
- **Estimate.** Two-phase: detectors scan everything and split each source into strata h (e.g. flagged-high, flagged-low, unflagged); a deterministic hash sample in each stratum is judged by humans (two annotators + adjudication). p̂ = Σ W_h·k_h/n_h.
- **Interval.** Per stratum Wilson (l_h, u_h); MOVER: L = p̂ − √Σ[W_h(p̂_h−l_h)]², U = p̂ + √Σ[W_h(u_h−p̂_h)]², {sure} two-sided ({side} per side, z={clean}). With a single stratum this *is* the Wilson interval. With m records per near-duplicate or page-template cluster divide n by DEFF = 1+(m−1)·ICC (ICC {correlation}, m 20 → {example}).
- **States.**
  - `insufficient`: audited n < {min_audited}, or any stratum with W_h >{small} has no audit. {insufficient}
  - `clean`: U ≤ {limit}. → collect/train allowed.
  - `blacklisted`: L > {limit} (L at z={review} for a one-off review, z={nightly} for the automatic nightly decision). → neither; future records of that source are quarantined. Between the two, state is `watch/hold`: the source is not used either way, only the permanent mark waits. Left only by `manual` or U ≤ {leave} on new data: by verdicts that came since.
  - `watch`: otherwise. Sub-flag `hold` if p̂ > {limit} (literal reading: exceeds) → not trained on; if p̂ ≤ {limit} → {watch}.
  - `manual`: a signed override with reason, reviewer, expiry.
- **n_min.** {min_audited}; {smallest} is the smallest n at which zero hits gives Wilson upper ≤{limit}.
- **Classifiers.** Where nobody has audited, Rogan–Gladen from calibrated Se and Sp is triage: the state stays `insufficient`, `watch` or `hold`, with basis `rogan-gladen`; refused if Se+Sp−1 < {least}.
"""
