"""Evaluation of category models: what a model finds in labelled text, and what it flags in benign text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.category_model import CategoryModel
from models.training_data import Example

Flags = npt.NDArray[np.bool_]


def measure(model: CategoryModel, examples: Sequence[Example]) -> dict[str, Any]:
    """Return the figures of a model on labelled records, as its tagger would flag them at a score of 0.5.

    Returns:
        ``records``, ``risky``; ``at_threshold`` and ``at_even_odds`` (detection at 1/2, whatever the threshold), each with what
        :func:`confusion` gives for *has a risk or not*; ``labels``, the same for each label at the threshold.
    """
    margins = model.record_margins([each.text for each in examples])
    threshold = np.array([label.threshold for label in model.facts.labels.values()])
    found = margins >= threshold
    has = np.array([[label in each.labels for label in model.labels] for each in examples], bool).reshape(found.shape)
    risky = _any(has)
    return {
        "records": len(examples),
        "risky": int(risky.sum()),
        "at_threshold": confusion(risky, _any(found)),
        "at_even_odds": confusion(risky, _any(margins >= 0)),
        "labels": {label: confusion(has[:, place], found[:, place]) for place, label in enumerate(model.labels)},
    }


def measure_benign(model: CategoryModel, examples: Sequence[Example]) -> dict[str, Any]:
    """Return how many records without any risk are flagged at a score of 0.5, and at even odds."""
    margins = model.record_margins([each.text for each in examples])
    threshold = np.array([label.threshold for label in model.facts.labels.values()])
    flagged, even = (int((margins >= each).any(axis=1).sum()) for each in (threshold, 0))
    return {
        "records": len(examples),
        "flagged": flagged,
        "share": _ratio(flagged, len(examples)),
        "flagged_at_even_odds": even,
    }


def confusion(has: Flags, found: Flags) -> dict[str, Any]:
    """Return counts and rates of a yes-or-no decision; macro-F1 is the mean of the F1 of both answers (Yang and Liu 1999).

    A rate without a case is 0.
    """
    right, wrong, missed = int((has & found).sum()), int((~has & found).sum()), int((has & ~found).sum())
    rest = len(has) - right - wrong - missed
    yes, no = _ratio(2 * right, 2 * right + wrong + missed), _ratio(2 * rest, 2 * rest + wrong + missed)
    return {
        "found": right,
        "false": wrong,
        "missed": missed,
        "precision": _ratio(right, right + wrong),
        "recall": _ratio(right, right + missed),
        "f1": yes,
        "macro_f1": round((yes + no) / 2, 4),
    }


def _any(flags: Flags) -> Flags:
    return np.asarray(flags.any(axis=1), bool)


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0
