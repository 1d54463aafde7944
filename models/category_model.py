"""Category models: the folder in which a trained classifier lies, and its scores for windows of text.

An artefact of kind ``category``, format 1, has these files:

- ``weights.bin``: a supervised fastText model with the loss ``softmax``; loading it runs no code of the file.
- ``model.json``: labels with the risks they stand for, thresholds and slopes, languages, windows (:class:`Facts`).
- ``metrics.json``: what was measured and on what (:mod:`models.evaluation`); ``card.md`` says the same for people.

A window is first *detected*: ``m`` is the logit of 1 - p(none), where ``none`` is the label of text without any risk. If it is, it is
*named*: by every label that has a third or more of 1 - p(none), or the most probable one. The score for a label is Platt's sigmoid (Platt 1999,
"Probabilistic outputs for support vector machines") held at one point: ``1 / (1 + exp(-slope * (m - threshold)))``. So 0.5 stands at the
threshold, which was chosen on benign text, and the slope was fitted on held-out text.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import fasttext
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field, model_validator

from models.artefact import Artefact, read_artefact
from models.digest import digest_of
from models.errors import InputOutputError, UsageError
from models.linear_scorer import LinearScorer
from models.strict import Strict, load_yaml, parse
from models.taxonomy import load_taxonomy
from models.view import safe_view
from models.weights_file import check_whole
from models.windows import WindowedView, Windows

KIND = "category"
FORMAT = 1
WEIGHTS, FACTS, METRICS, CARD = "weights.bin", "model.json", "metrics.json", "card.md"
NONE = "none"
"""Label of text without any risk."""

SCRIPTS_OF = {
    "zh": "Hani",
    "en": "Latn",
    "de": "Latn",
    "es": "Latn",
    "fr": "Latn",
    "it": "Latn",
    "pt": "Latn",
    "nl": "Latn",
}
"""Languages that models can be trained for, and the script (ISO 15924) by which their text is told."""

# A model looks at a window if at least one letter in four is of a script it was trained for.
_LEAST_SHARE = 4
# fastText adds as much to every probability, so nothing under it can be told apart.
_LEAST = 1e-5
# Of a detected window's probability, what a label must have to name it.
_NAMING_SHARE = 1 / 3
# Scores are rounded down to this many parts, so that 0.5 is reached at the threshold and never before.
_STEPS = 10_000

# Texts measured in one go.
_BATCH = 1000

Scores = npt.NDArray[np.float64]
Language = Literal["zh", "en", "de", "es", "fr", "it", "pt", "nl"]


def check_stride(size: int, stride: int) -> None:
    """Refuse windows, in code points, that leave text between them; ValueError."""
    if stride > size:
        raise ValueError(f"stride: {stride} is over the size {size}; text between windows would go unseen")


class Label(Strict):
    """A label of the training data: its risks, and where and how steeply its score passes 0.5.

    Attributes:
        risks: ids of the taxonomy that a finding of this label claims.
        threshold: logit of the detection at which the score is 0.5.
        slope: change of the score's logit per unit of the detection's logit, over 0.
    """

    risks: tuple[str, ...] = Field(min_length=1)
    threshold: float = 0.0
    slope: float = Field(1.0, gt=0)


class Facts(Strict):
    """``model.json``: what weights need to become findings.

    Attributes:
        name: the model's own name; findings say ``<name>/<label>`` as their rule.
        taxonomy: whose risks the labels name.
        labels: by label, in the order in which scores are given.
        languages: ISO 639-1 codes of the languages it was trained on.
        size, stride: of windows, in code points of the safe view.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    taxonomy: str = "tc260-003"
    labels: dict[str, Label] = Field(min_length=1)
    languages: tuple[Language, ...] = Field(min_length=1)
    size: int = Field(256, ge=16)
    stride: int = Field(208, ge=1)

    @model_validator(mode="after")
    def _check(self) -> "Facts":
        check_stride(self.size, self.stride)
        if NONE in self.labels:
            raise ValueError(f"labels: {NONE!r} is the label of text without any risk")
        return self

    @property
    def scripts(self) -> frozenset[str]:
        """The scripts of its languages."""
        return frozenset(SCRIPTS_OF[language] for language in self.languages)


@dataclass(frozen=True)
class WindowScores:
    """Scores of the windows that a model looked at: ``score[i, j]`` is that of window ``at[i]`` for label ``j``, 0 if not named so."""

    windows: Windows
    at: npt.NDArray[np.int64]
    score: Scores

    def by_record(self, count: int) -> Scores:
        """Return each record's highest score for each label, shape (count, labels)."""
        best = np.zeros((count, self.score.shape[1]))
        np.maximum.at(best, self.windows.rows[self.at], self.score)
        return best


class CategoryModel:
    """Loaded weights with their facts. Threads may score at once: a prediction keeps its state to itself."""

    def __init__(self, facts: Facts, weights: Any, scorer: LinearScorer | None = None) -> None:
        self.facts = facts
        self.labels = tuple(facts.labels)
        self._weights = weights
        known = [label.removeprefix("__label__") for label in weights.labels]
        if set(known) != {*self.labels, NONE}:
            raise ValueError(
                f"the weights have the labels {sorted(known)}, {FACTS} has {sorted(self.labels)} and {NONE}"
            )
        self._none, self._places = known.index(NONE), [known.index(label) for label in self.labels]
        self._scorer = LinearScorer(weights) if scorer is None else scorer
        self._threshold = np.array([label.threshold for label in facts.labels.values()])
        self._slope = np.array([label.slope for label in facts.labels.values()])

    def with_facts(self, facts: Facts) -> "CategoryModel":
        """Return the same weights with other thresholds or slopes."""
        return CategoryModel(facts, self._weights, self._scorer)

    def save_weights(self, path: Path) -> None:
        """Write the weights; InputOutputError if not all of them could be written, of which fastText says nothing."""
        self._weights.save_model(str(path))
        try:
            check_whole(path)
        except ValueError as error:
            raise InputOutputError(f"{path}: not written whole ({error}); is the disk full? Make room") from None

    def scores(self, text: WindowedView, anyway: npt.NDArray[np.bool_] | None = None) -> WindowScores:
        """Return the scores of all windows in which the model's scripts are used, and of all windows of some records.

        Args:
            text: the safe view of a batch.
            anyway: shape (records,); whose windows are looked at whatever their script.
        """
        windows, at = _looked_at(self.facts, text, anyway)
        margins = self.margins(text, windows, at)
        with np.errstate(over="ignore"):
            score = 1 / (1 + np.exp(-self._slope * (margins - self._threshold)))
        return WindowScores(windows, at, np.floor(score * _STEPS + 1e-9) / _STEPS)

    def record_margins(self, texts: Sequence[str]) -> Scores:
        """Return the highest logit of detection of each text's windows, for each label that names one, shape (texts, labels)."""
        best = np.full((len(texts), len(self.labels)), -np.inf)
        for start in range(0, len(texts), _BATCH):
            text = _windowed(texts[start : start + _BATCH])
            windows, at = _looked_at(self.facts, text)
            np.maximum.at(best, windows.rows[at] + start, self.margins(text, windows, at))
        return best

    def margins(self, text: WindowedView, windows: Windows, at: npt.NDArray[np.int64]) -> Scores:
        """Return the logit of detection of windows for each label that names them, else minus infinity, shape (len(at), labels).

        A window of which the model knows no word and no run of words has minus infinity, too.
        """
        logits, known = self._scorer.logits(text.tokens, windows.starts[at], windows.ends[at])
        odds = np.exp(logits - logits.max(axis=1, initial=-np.inf, keepdims=True))
        chances = odds / odds.sum(axis=1, keepdims=True) + _LEAST
        detected = np.clip(1 - chances[:, self._none], _LEAST, 1 - _LEAST)
        named = chances[:, self._places]
        enough = np.minimum(named.max(axis=1), _NAMING_SHARE * detected)
        margin = np.log(detected / (1 - detected))
        return np.where((named >= enough[:, None]) & known[:, None], margin[:, None], -np.inf)


def looks_at_any(facts: Facts, texts: Sequence[str]) -> bool:
    """Tell whether any window of any text is in a script of a model."""
    return any(
        len(_looked_at(facts, _windowed(texts[start : start + _BATCH]))[1]) for start in range(0, len(texts), _BATCH)
    )


def _windowed(texts: Sequence[str]) -> WindowedView:
    return WindowedView(safe_view(pa.array(texts, pa.string())))


def _looked_at(
    facts: Facts, text: WindowedView, anyway: npt.NDArray[np.bool_] | None = None
) -> tuple[Windows, npt.NDArray[np.int64]]:
    windows = text.windows(facts.size, facts.stride)
    counts = text.letters.counts(windows.starts, windows.ends)
    mine = sum(counts[script] for script in facts.scripts)
    wanted = mine * _LEAST_SHARE >= np.maximum(1, sum(counts.values()))
    if anyway is not None:
        wanted |= anyway[windows.rows]
    return windows, np.flatnonzero(wanted)


def model_artefact(folder: str | Path) -> Artefact:
    """Return the verified artefact of a model.

    Raises:
        UsageError: if it is missing, broken, or of a format that this version does not read.
    """
    artefact = read_artefact(folder, KIND)
    if artefact.format != FORMAT:
        raise UsageError(
            f"{folder}: format {artefact.format} of {KIND} models is not read here, only {FORMAT}; train it anew"
        )
    if missing := {WEIGHTS, FACTS} - set(artefact.files):
        raise UsageError(f"{folder}: artefact.json does not list {', '.join(sorted(missing))}; train the model anew")
    return artefact


def decisive_digest(artefact: Artefact) -> str:
    """Return the digest of what decides scores: a word changed in the card makes no finding another one."""
    return digest_of({"format": artefact.format, "files": {name: artefact.files[name] for name in (WEIGHTS, FACTS)}})


def read_facts(artefact: Artefact) -> Facts:
    """Return the facts of a model.

    Raises:
        UsageError: if ``model.json`` is not as it must be, or names a risk that its taxonomy has not.
    """
    path = artefact.folder / FACTS
    facts = parse(Facts, load_yaml(path), str(path))  # JSON is YAML
    known = set(load_taxonomy(facts.taxonomy).ids)
    for name, label in facts.labels.items():
        for risk in label.risks:
            if risk not in known:
                raise UsageError(f"{path}: labels.{name}: {risk!r} is no risk of {facts.taxonomy}")
    return facts


_LOADING = threading.Lock()


def load_model(artefact: Artefact) -> CategoryModel:
    """Load a model.

    Raises:
        UsageError: if weights and facts cannot be read or do not belong together.
    """
    facts, path = read_facts(artefact), artefact.folder / WEIGHTS
    try:
        check_whole(path)
        with _LOADING:
            weights = fasttext.load_model(str(path))
        return CategoryModel(facts, weights)
    except ValueError as error:
        raise UsageError(f"{path}: {error}; copy the folder again, or train the model anew") from None
