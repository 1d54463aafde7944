"""The reading of the five per cent rule: every choice that TC260-003, 5.1 a, leaves open, in one object, and in words."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple

from pydantic import Field, model_validator

from models.reading_words import reading_words
from models.strict import Cluster, Quantile, Share, Strict

Use = Literal["hold", "collect", "allow"]
"""What an undecided source is good for: nothing, to be collected and judged further, or to be trained on as well."""


class Counted(NamedTuple):
    """What a policy counts of a source: the findings that make a record unlawful, and within what exact duplicates count once.

    Attributes:
        categories: as the policy names them: sets, globs or ids.
        at_least_score: of such a finding, as a decimal.
    """

    categories: tuple[str, ...]
    at_least_score: str
    duplicates: str


class Removals(Strict):
    """What is watched of removals: records that the rules quarantine or drop for what was found in them, whatever the state of their source.

    A source *moved* if its removal rate is further from that of the last release than ``intervals`` times what their two intervals allow
    (:func:`models.intervals.moved`), and by ``least`` at least. Nearly *all* of it is removed if the lower limit of its rate is ``nearly_all`` or more.

    Attributes:
        then: what becomes of such a source. ``tell``: the report names it. ``hold``: it is on hold until a person acknowledges it. ``tell``,
            because a hold depends on the last release, so that nights in another order would not end in the same tables.
        intervals: how many times the interval of the difference at ``z_clean`` a rate has to move.
        least: how far it has to move at all; in a large source the smallest drift is sure.
        nearly_all: the rate from which on nearly all is removed.
        one_cause: if a single term or rule alone causes more than this share of all removals of the corpus, the report names it.
    """

    then: Literal["tell", "hold"] = "tell"
    intervals: Quantile = Fraction(3)
    least: Share = Fraction(2, 100)
    nearly_all: Share = Fraction(95, 100)
    one_cause: Share = Fraction(1, 2)


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
        removals: sources of which suddenly more or less is removed, or nearly all, and what alone removes much.
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
    removals: Removals = Removals()

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
    def parameters(self) -> dict[str, Any]:
        """The reading as JSON values, exact; :class:`SourceReading` takes them back."""
        return {name: _exact(getattr(self, name)) for name in SourceReading.model_fields}

    @property
    def words(self) -> str:
        """The reading in words, to be printed beside every table, with these parameters."""
        return self.words_in("en")

    def words_in(self, language: str, counted: Counted | None = None) -> str:
        """Return the reading in words of a language of :data:`models.reading_words.LANGUAGES`.

        Args:
            counted: what a policy counts; without it, what the rule names and no more.
        """
        said = reading_words(language)
        basics = {
            "limit": percent(self.limit),
            "numerator": said.between.join(counted.categories) if counted else "UNLAWFUL29",
            "within": said.within[counted.duplicates] if counted else "",
        }
        removals = said.removals.format(
            moved=_number(self.removals.intervals),
            least_move=percent(self.removals.least),
            nearly=percent(self.removals.nearly_all),
            cause=percent(self.removals.one_cause),
            clean=_number(self.z_clean),
            then=said.then[self.removals.then],
        )
        if self.reading == "literal":
            scored = said.scored.format(score=counted.at_least_score) if counted else ""
            return said.literal.format(**basics, scored=scored, min_records=self.min_records, removals=removals)
        sure = math.erf(float(self.z_clean) / math.sqrt(2))
        return said.interval.format(
            **basics,
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
            timing=said.timing[self.latest_batch],
            watch=said.watch[self.watch_use],
            insufficient=said.insufficient[self.on_insufficient],
            removals=removals,
        )


def words_of(policy: Mapping[str, Any], language: str) -> str:
    """Return the reading of a release in words; ``policy`` as its manifest has it."""
    counted = Counted(**policy["counted"]) if "counted" in policy else None
    return SourceReading.model_validate(policy["parameters"]).words_in(language, counted)


def percent(share: Fraction) -> str:
    """Return a share as a percentage, exactly if that has few decimals."""
    return f"{_number(share * 100)}%"


def _number(value: Fraction) -> str:
    return f"{float(value):.12g}"


def _exact(value: Any) -> Any:
    """Return settings as JSON values, exact numbers as text."""
    if isinstance(value, Strict):
        value = dict(value)
    if isinstance(value, dict):
        return {name: _exact(each) for name, each in value.items()}
    return str(value) if isinstance(value, Fraction) else value
