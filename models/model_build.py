"""Making a category model from data: parts kept apart, trained, calibrated, measured, and written as an artefact."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from models.artefact import Artefact, describe
from models.category_model import CARD, FACTS, FORMAT, KIND, METRICS, WEIGHTS, CategoryModel, looks_at_any
from models.errors import UsageError
from models.evaluation import measure, measure_benign
from models.model_card import card
from models.training import calibrated, facts_of, fit
from models.training_data import Example, Options, Removed, distinct, held_out

Parts = dict[str, Sequence[Example]]


@dataclass(frozen=True)
class TrainingSet:
    """What a model is made from. No text of a later part may be in an earlier one; :func:`build_model` sees to it.

    Attributes:
        train: labelled records.
        negatives: benign text to train on beside them.
        dev: labelled records for the slopes, also measured on; empty to hold out a tenth of ``train``.
        benign: text without risk, by name, on which the threshold is chosen.
        test: labelled records by name, measured on only.
        benign_test: text without risk by name, measured on only.
    """

    train: Sequence[Example]
    benign: Parts
    negatives: Sequence[Example] = ()
    dev: Sequence[Example] = ()
    test: Parts = field(default_factory=dict)
    benign_test: Parts = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A model and what is known of it: ``metrics`` is a JSON value."""

    model: CategoryModel
    metrics: dict[str, Any]


def build_model(data: TrainingSet, options: Options, *, refuse_leaks: bool = False) -> Built:
    """Train, choose the threshold, measure.

    Args:
        data: its parts may overlap.
        options: of the training.
        refuse_leaks: whether text in two parts is an error; otherwise it is taken out of the earlier one, and counted.

    Raises:
        UsageError: if there is no benign text, a part of it has nothing left or nothing in the model's scripts, no labelled record is
            left, or text is in two parts and that is to be refused.
    """
    if not data.benign:
        raise UsageError(
            "no benign text to choose the threshold on; a threshold from the training distribution flags too much of any other text"
        )
    measured = _named("test", data.test) | _named("benign-test", data.benign_test)
    benign = {name: distinct(part, measured) for name, part in data.benign.items()}
    chosen_on = measured | _named("benign", {name: part for name, (part, _) in benign.items()})
    dev, of_dev = distinct(data.dev, measured)
    later: Parts = chosen_on | {"dev": dev}
    train, of_train = distinct(data.train, later)
    negatives, of_negatives = distinct(data.negatives, later | {"train": train})
    removed = {"train": of_train, "negatives": of_negatives, "dev": of_dev}
    removed |= {f"benign {name}": counts for name, (_, counts) in benign.items()}
    if refuse_leaks:
        _refuse(removed)
    _check_benign(chosen_on, removed, options)
    if not dev:
        train, dev = held_out(train)
    if not train or not dev:
        raise UsageError(
            "no records left to train on, or none held out; give more data, or data that the test parts do not hold"
        )
    model = calibrated(
        fit([*train, *negatives], options),
        dev,
        {name: part for name, (part, _) in benign.items()},
        options.most_flagged,
    )
    metrics = {
        "trained_on": {
            "records": len(train),
            "negatives": len(negatives),
            "removed": {name: asdict(each) for name, each in removed.items()},
        },
        "threshold_chosen_on": {name: measure_benign(model, part) for name, (part, _) in benign.items()},
        "dev": measure(model, dev),
        "test": {name: measure(model, distinct(part, {})[0]) for name, part in data.test.items()},
        "benign_test": {name: measure_benign(model, distinct(part, {})[0]) for name, part in data.benign_test.items()},
    }
    return Built(model, metrics)


def _named(kind: str, parts: Parts) -> Parts:
    return {f"{kind} {name}": part for name, part in parts.items()}


def _check_benign(parts: Parts, removed: dict[str, Removed], options: Options) -> None:
    """Refuse benign text of which the model would look at nothing: it flags none of it at any threshold, and that says nothing."""
    for name, part in parts.items():
        if not name.startswith("benign"):
            continue
        if not part:
            leaked = removed[name].leaked if name in removed else {}
            holders = ", ".join(later for later, count in leaked.items() if count)
            raise UsageError(
                f"{name}: {f'all of its text is in {holders} too, and left out' if holders else 'has no records'}; give text of its own"
            )
        if not looks_at_any(facts_of(options), [each.text for each in part]):
            raise UsageError(
                f"{name}: none of its {len(part):,} records is written in the script of {', '.join(options.languages)}, so the model would "
                "look at none; give text of the model's languages"
            )


def _refuse(removed: dict[str, Any]) -> None:
    leaks = [
        f"{count:,} of {part} in {later}"
        for part, each in removed.items()
        for later, count in each.leaked.items()
        if count
    ]
    if leaks:
        raise UsageError(
            f"the same text is in two parts: {'; '.join(leaks)}; take it out, or have it taken out (--leakage remove)"
        )


def write_model(folder: Path, built: Built, options: Options, data_digests: dict[str, str]) -> Artefact:
    """Write a model as an artefact into a folder that is new or empty.

    Args:
        folder: where to.
        built: what to write.
        options: that it was built with.
        data_digests: SHA-256 of each file of data, by its name.

    Raises:
        UsageError: if the folder has something in it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: there is something already; name a new folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    metrics = built.metrics | {"data": data_digests}
    built.model.save_weights(folder / WEIGHTS)
    (folder / FACTS).write_text(_json(built.model.facts.model_dump(mode="json")), "utf-8")
    (folder / METRICS).write_text(_json(metrics), "utf-8")
    (folder / CARD).write_text(card(built.model.facts, metrics, options), "utf-8")
    return describe(
        folder,
        kind=KIND,
        version=FORMAT,
        names=[WEIGHTS, FACTS, METRICS, CARD],
        title=options.title,
        licence=options.licence,
        made_with=f"winnow model train, fasttext-community {version('fasttext-community')}",
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=False) + "\n"
