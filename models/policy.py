"""Policies: rules as data, and the verdict they give on one record.

Rules only know "at least" (score, span, count, density), so one more finding never makes a verdict milder. Numbers are exact: a
decimal of the file is a fraction here, and digests hold no floats.
"""

import functools
import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from models.digest import digest_of
from models.errors import UsageError
from models.findings import ERROR, UNSCANNED, Finding
from models.reading_words import LANGUAGES
from models.source_reading import Counted, SourceReading
from models.sources import CLEAN, INSUFFICIENT, STATES
from models.strict import Density, Share, Strict, load_yaml, parse
from models.taxonomy import Glob, load_shipped, load_taxonomy, matches

ACTIONS = ("keep", "redact", "quarantine", "drop")
"""What may become of a record, from mild to strict."""
Mode = Literal["placeholder", "pseudonym"]
_FORMAT = 1  # raise when the same rules are to be decided in another way
SKETCH = 1
"""Version of what is kept of a split to count over whole sources; raise it when that changes, so that all are made anew from layers."""
Count = Annotated[int, Field(strict=True, ge=1)]


class Unlawful(Strict):
    """Which findings make a record count as unlawful for its source: any one of these categories of at least this score."""

    categories: tuple[Glob, ...] = Field(min_length=1)
    at_least_score: Share


SourceAction = Literal["keep", "quarantine", "drop"]


class Calibrated(Strict):
    """What the detectors did on records with verdicts that are like those of some sources; for Rogan-Gladen, which only orders the work.

    Sensitivity is ``caught / unlawful``, specificity ``passed / lawful``. They do not carry over from one kind of text to another, nor from one
    epoch of detectors to the next.

    Attributes:
        sources: keys of the sources that it holds for; the first entry that fits a source counts.
        caught, unlawful: of how many unlawful records they flagged how many.
        passed, lawful: of how many lawful records they left alone how many.
        set: SHA-256 of the calibration set.
        epoch: of the detectors that were calibrated, as the manifest has it; others go without. Empty for whichever there are.
    """

    sources: Glob = "*"
    caught: int = Field(strict=True, ge=0)
    unlawful: Count
    passed: int = Field(strict=True, ge=0)
    lawful: Count
    set: str = Field(pattern=r"^[0-9a-f]{64}$")
    epoch: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    @model_validator(mode="after")
    def _check_counts(self) -> "Calibrated":
        if self.caught > self.unlawful or self.passed > self.lawful:
            raise ValueError("caught, passed: no more can be caught than are unlawful, nor passed than are lawful")
        return self


class Sources(SourceReading):
    """When a source's records are unusable: the reading of the rule, and what it goes by.

    Literal: a source is over the limit if ``unlawful / distinct > limit``, strictly and in integers. Interval: verdicts of people decide.
    """

    reading: Literal["literal", "interval"]
    basis: Literal["detector", "audit"]
    unlawful: Unlawful
    limit: Share
    duplicates: Literal["split", "source"] = "split"
    exact_up_to: int = Field(1024, strict=True, ge=16, le=65_536)
    min_records: Count = 100
    blacklisted: SourceAction
    hold: SourceAction
    watch: SourceAction = "quarantine"
    insufficient: SourceAction = "quarantine"
    calibration: tuple[Calibrated, ...] = ()

    @model_validator(mode="after")
    def _check_reading(self) -> "Sources":
        wrong = []
        if (self.basis == "audit") != (self.reading == "interval"):
            wrong.append(
                f"reading, basis: {self.reading} goes with basis: {_BASIS[self.reading]}, not with {self.basis}; change one of them"
            )
        if self.reading == "literal" and "min_records" not in self.model_fields_set:
            wrong.append(
                "min_records: the literal reading needs it, the least number of distinct records to blacklist on"
            )
        if self.reading == "literal" and self.exact_up_to < self.min_records and self.sketched:
            wrong.append(
                f"exact_up_to, min_records: a source of {self.min_records} records must be counted exactly; set exact_up_to to that or more"
            )
        if self.duplicates == "split" and "exact_up_to" in self.model_fields_set:
            wrong.append(
                "exact_up_to: within splits all records are counted; remove it, or count over whole sources with duplicates: source"
            )
        if self.latest_batch == "worst":
            wrong.append(
                "latest_batch: 'worst' would depend on the order of nights, for batches have no order of their own here; "
                "write 'ignore' or leave it out"
            )
        if self.calibration and self.reading == "literal":
            wrong.append(
                "calibration: the literal reading takes detectors at their word; remove it, or read by interval"
            )
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    @property
    def counted(self) -> Counted:
        """What a record counts for, to be said in words."""
        return Counted(self.unlawful.categories, f"{float(self.unlawful.at_least_score):.12g}", self.duplicates)

    def words_in(self, language: str, counted: Counted | None = None) -> str:
        """Return the reading in words with what this policy counts; see :meth:`models.source_reading.SourceReading.words_in`."""
        return super().words_in(language, counted or self.counted)

    @property
    def in_metadata(self) -> dict[str, str]:
        """The reading in words as the metadata of tables have it: by ``reading.`` and language."""
        return {f"reading.{each}": self.words_in(each) for each in LANGUAGES}

    @property
    def sketched(self) -> int:
        """Up to so many distinct records of a source are counted exactly over all splits; 0 where they are counted within each."""
        return self.exact_up_to if self.duplicates == "source" else 0

    @property
    def actions(self) -> dict[str, str]:
        """The action on a record by the state of its source; other states do not act."""
        acting: dict[str, str] = {"blacklisted": self.blacklisted, "hold": self.hold}
        if self.watch_use != "allow":
            acting["watch"] = self.watch
        if self.on_insufficient != "allow":
            acting["insufficient"] = self.insufficient
        return acting

    @property
    def otherwise(self) -> str:
        """The state of a source of which nothing is known."""
        return INSUFFICIENT if self.reading == "interval" else CLEAN

    @functools.cached_property
    def acting(self) -> npt.NDArray[np.bool_]:
        """Whether each state acts on records, by code."""
        return np.array([state in self.actions for state in STATES])


_BASIS = {"literal": "detector", "interval": "audit"}


class Match(Strict):
    """Which findings a rule counts, and from how many of them on it acts.

    The span is that of a finding in code points, and shorter ones do not count, nor those on the whole record, which have none; the
    density is per 1,000 code points of the record.
    """

    category: tuple[Glob, ...] = Field(min_length=1)
    tagger: Glob = "*"
    at_least_score: Share = Fraction(0)
    at_least_span: Count | None = None
    at_least_count: Count = 1
    at_least_per_1000_chars: Density | None = None

    @property
    def is_unconditional(self) -> bool:
        """Whether one finding of any score and span is enough."""
        thresholds = self.at_least_span, self.at_least_per_1000_chars
        return not self.at_least_score and self.at_least_count == 1 and thresholds == (None, None)

    def is_met(self, count: int, length: int) -> bool:
        """Return whether ``count`` findings, one or more, in ``length`` code points are enough."""
        density = self.at_least_per_1000_chars
        dense = density is None or count * 1000 * density.denominator >= density.numerator * length
        return dense and count >= self.at_least_count


class Redact(Strict):
    """What stands in place of a redacted span."""

    form: Mode = Field(alias="with")


class Rule(Strict):
    """An action on records with enough matching findings. Titles (English, Chinese) and clause explain it and decide nothing."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str = ""
    title_zh: str = ""
    clause: str = ""
    match: Match
    action: Literal["keep", "redact", "quarantine", "drop"]
    redact: Redact | None = None

    @model_validator(mode="after")
    def _check_redact(self) -> "Rule":
        if (self.action == "redact") != (self.redact is not None):
            raise ValueError("action: redact and the key 'redact' must stand together: add the one or remove the other")
        return self


class Policy(Strict):
    """A rule set with its place in the law; see ``configs/policies`` for the file's form."""

    name: str = Field(alias="policy", min_length=1)
    version: str = Field(min_length=1)
    instrument: str = ""
    taxonomy: str
    sources: Sources
    rules: tuple[Rule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> "Policy":
        ids = [rule.id for rule in self.rules]
        mistakes = [f"rules[{n}].id: {each!r} is given twice" for n, each in enumerate(ids) if each in ids[:n]]
        named = [(f"rules[{n}].match.category", rule.match.category) for n, rule in enumerate(self.rules)]
        named += [("sources.unlawful.categories", self.sources.unlawful.categories)]
        for place, names in [("taxonomy", ()), *named]:
            try:
                self._patterns(names)
            except UsageError as error:
                mistakes.append(f"{place}: {error}")
                if place == "taxonomy":
                    break
        if mistakes:
            raise ValueError("\n".join(mistakes))
        return self

    def _patterns(self, names: Iterable[str]) -> tuple[str, ...]:
        return load_taxonomy(self.taxonomy).patterns(names)

    @functools.cached_property
    def digest(self) -> str:
        """Digest of everything that can change a decision: not titles, clauses, the version or comments."""
        rules = [
            [rule.id, rule.action, rule.redact.form if rule.redact else "", self._patterns(rule.match.category)]
            + [str(value) for key, value in rule.match if key != "category"]
            for rule in self.rules
        ]
        acts = {"sources": self.sources.actions}
        if self.sources.otherwise in self.sources.actions:
            acts["otherwise"] = {self.sources.otherwise: self.sources.actions[self.sources.otherwise]}
        return digest_of({"format": _FORMAT, "rules": rules, **acts})

    @functools.cached_property
    def counting_digest(self) -> str:
        """Digest of what makes a record count as unlawful."""
        unlawful = self.sources.unlawful
        return digest_of([self._patterns(unlawful.categories), str(unlawful.at_least_score)])

    @functools.cached_property
    def tallying_digest(self) -> str:
        """Digest of what is counted of a split: what makes a record unlawful, what removes it, and whether there is a sketch."""
        removing = [
            [rule.action == "redact", self._patterns(rule.match.category)]
            + [str(value) for key, value in rule.match if key != "category"]
            for rule in self.rules
            if rule.action != "keep"
        ]
        sketched = [["sketch", SKETCH, self.sources.sketched]] if self.sources.sketched else []
        return digest_of([self.counting_digest, sorted(removing, key=repr), *sketched])

    @functools.cached_property
    def judging_digest(self) -> str:
        """Digest of what makes a source's counts a state, and a state an action."""
        # Said by the digest of what is counted: so a policy without them has the digests that it always had.
        left_out = ("unlawful", "duplicates", "exact_up_to")
        return digest_of({key: str(value) for key, value in self.sources if key not in left_out})


def load_policy(name_or_path: str, copy: Path | None = None) -> Policy:
    """Return a shipped policy (``cn-tc260-003``) or, if the name has a slash or ends in ``.yaml``, that of a file.

    Args:
        copy: of the file on this machine, where the name is an address.

    UsageError if there is none, or with all mistakes of the file.
    """
    path = Path(name_or_path)
    if "/" in name_or_path or path.suffix in (".yaml", ".yml"):
        return parse(Policy, load_yaml(copy or path, name_or_path), name_or_path)
    return parse(Policy, load_shipped("policies", name_or_path), f"{name_or_path}.yaml")


class Reason(NamedTuple):
    """One finding that a rule acted on; for a source's state the rule is ``source:<state>`` and there is no finding."""

    policy_rule: str
    action: str
    finding: Finding | None


class Verdict(NamedTuple):
    """The action on one record and every reason, milder ones too: strictest first, then in the order of rules and findings."""

    action: str
    reasons: tuple[Reason, ...]


class Decider:
    """Decides records by a policy. It remembers which rules look at which category, so keep one for many records."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        names = [policy.sources.unlawful.categories, *(rule.match.category for rule in policy.rules)]
        self._unlawful, *self._patterns = map(load_taxonomy(policy.taxonomy).patterns, names)
        self._least = [_least_score(rule.match.at_least_score) for rule in policy.rules]
        self._least_span = [rule.match.at_least_span or 0 for rule in policy.rules]
        self._unlawful_least = _least_score(policy.sources.unlawful.at_least_score)
        self._modes: dict[str, Mode] = {rule.id: rule.redact.form for rule in policy.rules if rule.redact}
        self._candidates: dict[tuple[str, str], tuple[list[tuple[int, float]], bool]] = {}

    def decide(self, length_in_code_points: int, findings: Sequence[Finding], source_state: str = "") -> Verdict:
        """Return what becomes of one record with all its findings, and why.

        The length is that of the original text; the source state is one of those that act, or empty for no say;
        ValueError for another state, and for a finding by which a tagger failed: the record is dead, not decided.
        """
        matched: dict[int, list[Finding]] = {}
        for finding in findings:
            for place, least in self._look_up(finding)[0]:
                # Written so that a score that is no number counts: in doubt the stricter way.
                if not finding.score < least and finding.end - finding.start >= self._least_span[place]:
                    matched.setdefault(place, []).append(finding)
        if not matched and not source_state and not any(each.category == UNSCANNED for each in findings):
            return Verdict("keep", ())
        reasons = []
        if source_state:
            actions = self.policy.sources.actions
            if source_state not in actions:
                raise ValueError(f"source state {source_state!r} has no action; known: {', '.join(actions)}")
            reasons.append(Reason(f"source:{source_state}", actions[source_state], None))
        for place in sorted(matched):
            rule, found = self.policy.rules[place], matched[place]
            if rule.match.is_met(len(found), length_in_code_points):
                # A claim about the whole record has no span to take out; released as "redacted" it would be untouched.
                whole = "quarantine" if rule.action == "redact" else rule.action
                reasons += [Reason(rule.id, rule.action if f.start < f.end else whole, f) for f in found]
        # What nobody scanned is not clean because a policy forgot to say so, or speaks of some such cases only.
        forgotten = [f for f in findings if f.category == UNSCANNED and not self._always_answers(f)]
        reasons += [Reason(UNSCANNED, "quarantine", f) for f in forgotten]
        reasons.sort(key=lambda reason: -ACTIONS.index(reason.action))
        return Verdict(reasons[0].action if reasons else "keep", tuple(reasons))

    def unlawful(self, findings: Sequence[Finding]) -> bool:
        """Return whether a record with these findings counts as unlawful for its source; ValueError as in ``decide``."""
        return sum(self._look_up(each)[1] and not each.score < self._unlawful_least for each in findings) > 0

    def redaction(self, reason: Reason) -> Mode:
        """Return what replaces the span of a reason whose action is ``redact``; ValueError for other reasons.

        If two reasons name overlapping spans with different modes, ``placeholder`` tells less and should win.
        """
        if reason.action != "redact":
            raise ValueError(f"{reason.policy_rule}: its action is {reason.action}, not redact")
        return self._modes[reason.policy_rule]

    def may_redact(self, tagger: str, category: str) -> bool:
        """Return whether a rule would redact findings of this tagger and category, given enough of them."""
        if category == ERROR:
            return False
        places, _ = self._look_up(Finding(0, tagger, category, "", 1.0))
        return any(self.policy.rules[place].action == "redact" for place, _ in places)

    def may_remove(self, tagger: str, category: str) -> bool:
        """Return whether findings of this tagger and category can send a record to quarantine or drop it, given enough of them."""
        if category == ERROR:
            return False
        places, _ = self._look_up(Finding(0, tagger, category, "", 1.0))
        return category == UNSCANNED or any(
            self.policy.rules[place].action in ("quarantine", "drop") for place, _ in places
        )

    def _always_answers(self, finding: Finding) -> bool:
        return any(self.policy.rules[place].match.is_unconditional for place, _ in self._look_up(finding)[0])

    def _look_up(self, finding: Finding) -> tuple[list[tuple[int, float]], bool]:
        """Return the places of the rules that look at such a finding, each with its least score, and whether it is unlawful."""
        key = tagger, category = finding.tagger, finding.category
        if key not in self._candidates:
            if category == ERROR:
                raise ValueError(f"tagger {tagger!r} failed on the record: it is dead, there is nothing to decide")
            places = [n for n, globs in enumerate(self._patterns) if matches(category, globs)]
            places = [n for n in places if fnmatchcase(tagger, self.policy.rules[n].match.tagger)]
            self._candidates[key] = [(n, self._least[n]) for n in places], matches(category, self._unlawful)
        return self._candidates[key]


def _least_score(threshold: Fraction) -> float:
    """Return the least number that as float32, in which layers keep scores, is not under ``threshold`` as float32.

    So 0.8 meets 0.8 whether it was read back from a layer (0.800000011920929) or comes from the tagger.
    """
    wanted = np.float32(float(threshold))
    middle = (float(wanted) + float(np.nextafter(wanted, np.float32(-1)))) / 2
    return middle if np.float32(middle) >= wanted else math.nextafter(middle, 2)
