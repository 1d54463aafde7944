"""Where a sample stands: what is open, how far people agree, and whether its test is passed."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow.compute as pc

from models.agreement import kappa, percentile
from models.operating import chance_of_passing, most_allowed, most_that_shows
from models.reviews import ADJUDICATION, HUMAN, LABEL, UNFIT, UNLAWFUL, Reviews, Said, Sample, person_key

MOST_BAD = Fraction(4, 100)
"""Of the test by people of the whole corpus: 96 % must be qualified (TC260-003, 9.2 a)."""

CURVE = (0.03, 0.035, 0.04, 0.045, 0.05)
"""True shares for which the operating curve is told."""


@dataclass(frozen=True)
class Agreement:
    """How far two people agree on what both judged.

    Attributes:
        people: their names.
        records: that both judged.
        same: of them, on how many they said the same.
        kappa: Cohen's; None where it is undefined, see :func:`models.agreement.kappa`.
    """

    people: tuple[str, str]
    records: int
    same: int
    kappa: Fraction | None

    def facts(self) -> dict[str, Any]:
        value = None if self.kappa is None else round(float(self.kappa), 4)
        return {"people": list(self.people), "records": self.records, "same": self.same, "kappa": value}


def agreements(reviews: Reviews, tasks: Iterable[str]) -> list[Agreement]:
    """Return the agreement of every two people who judged one of some tasks, by their names."""
    pairs: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    names: dict[str, str] = {}
    for task in sorted(tasks):
        labels = {person_key(each.person): each for each in reviews.said(task, LABEL)}
        names.update((key, each.person) for key, each in labels.items())
        for one, other in itertools.combinations(sorted(labels), 2):
            pairs.setdefault((one, other), Counter())[labels[one].verdict, labels[other].verdict] += 1
    return [
        Agreement(
            (names[one], names[other]),
            sum(counts.values()),
            sum(count for (a, b), count in counts.items() if a == b),
            kappa(counts),
        )
        for (one, other), counts in sorted(pairs.items())
    ]


def seconds_taken(said: Iterable[Said]) -> list[int]:
    """Return the seconds that people took, where both times were noted."""
    return [each.ended - each.started for each in said if each.started is not None and each.ended is not None]


def standing(reviews: Reviews, sample: Sample) -> dict[str, Any]:
    """Return where a sample stands, as JSON values.

    ``passed`` is None where there is nothing to pass or not every task is final. Bad are ``unlawful`` and ``unfit`` records: the 96 % count all
    31 risks.
    """
    tasks = sorted(sample.tasks)
    finals = {task: final for task in tasks if (final := reviews.final(task)) is not None}
    said = [each for task in tasks for role in (LABEL, ADJUDICATION) for each in reviews.said(task, role)]
    disputed = sum(reviews.is_disputed(task) for task in tasks)
    times = seconds_taken(said)
    facts: dict[str, Any] = {
        "sample": sample.entry,
        "purpose": sample.purpose,
        "release": sample.facts["release"],
        "series": sample.facts["series"],
        "drawn_on": sample.facts["drawn"],
        "population": sample.facts["population"],
        "drawn": len(sample.table),
        "tasks": len(tasks),
        "asked_earlier": len(sample.tasks & sample.earlier),
        "verdicts": len(said),
        "final": len(finals),
        "disputed": disputed,
        "open": len(tasks) - len(finals) - disputed,
        "complete": len(finals) == len(tasks),
        "agreement": [each.facts() for each in agreements(reviews, tasks)],
        "seconds": {f"p{share}": percentile(times, share) for share in (10, 50, 90)} if times else None,
        "passed": None,
    }
    named = sample.table["task"].to_pylist()
    words = Counter(finals[task].verdict for task in named if task in finals)
    facts["unlawful"], facts["unfit"] = words[UNLAWFUL], words[UNFIT]
    if sample.purpose == HUMAN:
        facts["allowed"] = most_allowed(len(named), MOST_BAD)
        facts["bad"] = words[UNLAWFUL] + words[UNFIT]
        facts["passed"] = facts["bad"] <= facts["allowed"] if facts["complete"] else None
    else:
        facts["strata"] = _strata(sample)
    return facts


def _strata(sample: Sample) -> dict[str, dict[str, int]]:
    counted = sample.table.group_by(["source", "stratum"], use_threads=False).aggregate([("content", "count")])
    found: dict[str, dict[str, int]] = {}
    for row in counted.sort_by([("source", "ascending"), ("stratum", "ascending")]).to_pylist():
        found.setdefault(row["source"], {})[row["stratum"]] = row["content_count"]
    return found


def operating_curve(records: int) -> dict[str, Any]:
    """Return how the test by people decides on so many records: the most bad ones that pass, the chance to pass by true share, and the most that
    show a share of at most 4 % with one-sided confidence of 95 %."""
    most = most_allowed(records, MOST_BAD)
    return {
        "records": records,
        "allowed": most,
        "passes": {f"{share:.1%}": chance_of_passing(most, records, share) for share in CURVE},
        "shows": most_that_shows(records, float(MOST_BAD), 0.05),
    }


def curve_in_words(curve: dict[str, Any]) -> Sequence[str]:
    """Say an operating curve in lines."""
    chances = ", ".join(f"{share} passes {chance:.1%}" for share, chance in curve["passes"].items())
    shows = curve["shows"]
    told = f"{shows:,} or fewer" if shows >= 0 else "not even none"
    return (
        f"the test passes with {curve['allowed']:,} bad of {curve['records']:,} or fewer (96 %); a true share of bad records of {chances}",
        f"to show at most 4 % with one-sided confidence of 95 % takes {told}",
    )


def sources_of(sample: Sample) -> int:
    """Return how many sources were drawn from."""
    return int(pc.count_distinct(sample.table["source"]).as_py())
