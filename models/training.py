"""Training of category models: fastText over windows, thresholds from benign text, slopes from held-out text."""

import random
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from models.category_model import NONE, CategoryModel, Facts, Label
from models.errors import UsageError
from models.tokens import token_texts
from models.training_data import Example, Options
from models.view import safe_view
from models.windows import windows_of

# Thresholds are written with this many steps to the unit.
_STEPS = 10_000
# Fewer records named by a label fit no slope.
_LEAST_TO_FIT = 20
_SLOPES = 0.05, 5.0

Margins = npt.NDArray[np.float64]


def fit(examples: Sequence[Example], options: Options) -> CategoryModel:
    """Return a model trained on examples, with thresholds at even odds and slopes of 1.

    The same examples and options give the same bytes: one thread, fixed seeds. Every window of a record has the record's labels.

    Raises:
        UsageError: if a label, or text without risk, has no example.
    """
    missing = {*options.labels, NONE} - {label for each in examples for label in each.labels or (NONE,)}
    if missing:
        raise UsageError(
            f"no example of {', '.join(sorted(missing))}; give data that has some, or take the label out of the options"
        )
    lines = _lines(examples, options)
    random.Random(options.fitting.seed).shuffle(lines)
    fitting = options.fitting
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        path.write_bytes(b"".join(lines))
        weights: Any = fasttext.train_supervised(
            str(path),
            loss="softmax",
            dim=fitting.dimensions,
            wordNgrams=fitting.ngrams,
            epoch=fitting.epochs,
            lr=fitting.rate,
            bucket=fitting.buckets,
            minCount=fitting.least_count,
            seed=fitting.seed,
            thread=1,
            verbose=0,
        )
    return CategoryModel(facts_of(options), weights)


def facts_of(options: Options) -> Facts:
    """Return the facts of a model before its thresholds and slopes are known."""
    labels = {name: Label(risks=rule.risks) for name, rule in options.labels.items()}
    return Facts(
        name=options.name, labels=labels, languages=options.languages, size=options.size, stride=options.stride
    )


def _lines(examples: Sequence[Example], options: Options) -> list[bytes]:
    view = safe_view(pa.array([each.text for each in examples], pa.string()))
    windows = windows_of(view, options.size, options.stride)
    texts = (text for piece in token_texts(view, windows.starts, windows.ends) for text in piece)
    lines = []
    for row, text in zip(windows.rows.tolist(), texts, strict=True):
        names = " ".join(f"__label__{label}" for label in examples[row].labels or (NONE,))
        lines.append(f"{names} ".encode() + text)
    return lines


def calibrated(
    model: CategoryModel, held_out: Sequence[Example], benign: dict[str, Sequence[Example]], most_flagged: Fraction
) -> CategoryModel:
    """Return the model with one threshold for all labels, chosen on benign text, and each label's slope fitted on held-out text.

    The threshold is the lowest, but not under even odds, at which of no file of benign text more than ``most_flagged`` is flagged. It can be
    raised label by label in ``model.json``.

    Raises:
        UsageError: if the model looks at no record of a file of benign text, or nothing held out is found at that threshold.
    """
    margins = {name: model.record_margins([each.text for each in part]) for name, part in benign.items()}
    threshold = max([0.0, *(_lowest_for(name, each.max(axis=1), most_flagged) for name, each in margins.items())])
    known = model.record_margins([each.text for each in held_out])
    is_risky = np.array([bool(each.labels) for each in held_out], bool)
    if not (known[is_risky] >= threshold).any():
        raise UsageError(
            f"at the threshold that lets {float(most_flagged):.2%} of benign text be flagged, no held-out record is found either; "
            "train with text like that benign text as negatives, or with more data"
        )
    seen = np.concatenate([known, *margins.values()])
    labels = {}
    for place, (name, label) in enumerate(model.facts.labels.items()):
        has = np.zeros(len(seen), bool)
        has[: len(held_out)] = [name in each.labels for each in held_out]
        labels[name] = label.model_copy(
            update={"threshold": threshold, "slope": slope(seen[:, place] - threshold, has)}
        )
    return model.with_facts(model.facts.model_copy(update={"labels": labels}))


def _lowest_for(name: str, margins: Margins, most_flagged: Fraction) -> float:
    # Records that the model passes over, or knows no word of, are never flagged: counted, they would let more of the others be.
    known = margins[margins > -np.inf]
    if not len(known):
        raise UsageError(
            f"benign {name}: the model looks at none of its {len(margins):,} records, or knows no word of them, so no threshold can be chosen on "
            "them; give text in the model's languages, of the kind that it will see"
        )
    return lowest_threshold(known, most_flagged)


def lowest_threshold(margins: Margins, most_flagged: Fraction) -> float:
    """Return the lowest threshold that at most a share of records reaches, in steps of 1/10,000; minus infinity if all may reach it."""
    allowed = int(len(margins) * most_flagged)
    if allowed >= len(margins):
        return float("-inf")
    over = float(np.sort(margins)[::-1][allowed])
    return (np.floor(over * _STEPS) + 1) / _STEPS if over > -np.inf else over


def slope(distances: Margins, has: npt.NDArray[np.bool_]) -> float:
    """Return the slope of Platt's sigmoid through (0, 1/2) that fits best, both kinds of records weighing the same.

    Args:
        distances: of each record from the threshold, in logits; minus infinity where the label does not name it.
        has: whether the record has the label.
    """
    is_named = distances > -np.inf
    x, y = distances[is_named], has[is_named]
    if min(y.sum(), (~y).sum()) < _LEAST_TO_FIT:
        return 1.0
    weight = np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum())
    low, high = _SLOPES
    for _ in range(40):  # the loss is convex, so its derivative has one zero
        middle = (low + high) / 2
        rise = float((weight * (1 / (1 + np.exp(-middle * x)) - y) * x).sum())
        low, high = (low, middle) if rise > 0 else (middle, high)
    return round(low, 4)
