"""``category``: prohibited categories, found by fastText classifiers in windows of the safe view.

Each model looks at the windows written in its scripts. For each of its labels the worst window of a record is told: its score, and
its place in the original. What models are, and what a score means, stands in :mod:`models.category_model`.
"""

import threading
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from models.category_model import CategoryModel, WindowScores, decisive_digest, load_model, model_artefact, read_facts
from models.digest import digest_of
from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED, Finding, Findings
from models.windows import WindowedView


@dataclass(frozen=True)
class Category:
    """Finds what ``models``, each the folder of a ``category`` artefact, were trained to tell.

    Attributes:
        models: folders, addresses, or names of shipped models.
        unknown_language: what to do with a record of whose letters more than half are of scripts that no model was trained for:
            ``scan`` shows it to all models all the same, ``unscanned`` says so in a finding, on which the policy decides.
        lowest_score: findings below it are not told; policies act from 0.5 on.

    Raises:
        UsageError: if a value is not one of these.
    """

    name: ClassVar[str] = "category"
    version: ClassVar[int] = 2
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ("models",)

    models: tuple[str, ...]
    unknown_language: Literal["scan", "unscanned"] = "scan"
    lowest_score: float = 0.5

    def __post_init__(self) -> None:
        if self.unknown_language not in ("scan", "unscanned"):
            raise UsageError(f"unknown_language: {self.unknown_language!r} is neither scan nor unscanned")
        if not (isinstance(self.lowest_score, (int, float)) and 0 < self.lowest_score <= 1):
            raise UsageError(f"lowest_score: {self.lowest_score!r} is no number over 0 and up to 1")

    @property
    def digest(self) -> str:
        """Digest of settings and of what decides the models' scores, not of where they lie."""
        models = [decisive_digest(model_artefact(folder)) for folder in self.models]
        settings = {"unknown_language": self.unknown_language, "lowest_score": repr(float(self.lowest_score))}
        return digest_of({"tagger": self.name, "version": self.version, "models": models, **settings})

    def load(self) -> None:
        with _LOADING:
            digest = self.digest
            if self.models not in _LOADED or _LOADED[self.models][0] != digest:
                models = [load_model(model_artefact(folder)) for folder in self.models]
                names = [model.facts.name for model in models]
                if len(set(names)) != len(names):
                    raise UsageError(
                        f"taggers.category.models: two models are called alike ({', '.join(names)}); rename one"
                    )
                _LOADED[self.models] = digest, models

    def covers(self) -> dict[str, tuple[str, ...]]:
        """Return the risks that models have labels for, with the models' names."""
        covered: dict[str, list[str]] = {}
        for folder in self.models:
            facts = read_facts(model_artefact(folder))
            for risk in sorted({risk for label in facts.labels.values() for risk in label.risks}):
                covered.setdefault(risk, []).append(facts.name)
        return {risk: tuple(names) for risk, names in covered.items()}

    def tag(self, documents: Documents) -> Findings:
        if self.models not in _LOADED:
            self.load()
        models, text = _LOADED[self.models][1], WindowedView(documents.safe)
        unknown = _in_unknown_script(text, models)
        is_shown = self.unknown_language == "scan"
        found = [] if is_shown else [self._declined(row) for row in np.flatnonzero(unknown).tolist()]
        for model in models:
            scores = model.scores(text, unknown if is_shown else None)
            found += self._worst(documents, model, scores)
        return Findings.of(len(documents), found)

    def _declined(self, row: int) -> Finding:
        return Finding(row, self.name, UNSCANNED, "no model for its script", 1.0)

    def _worst(self, documents: Documents, model: CategoryModel, scores: WindowScores) -> list[Finding]:
        """Return a finding for each record, label and risk: the first of the windows with the highest score."""
        view, windows, found = documents.safe, scores.windows, []
        place, label = np.nonzero(scores.score >= self.lowest_score)
        rows, score = windows.rows[scores.at[place]], scores.score[place, label]
        order = np.lexsort((place, -score, label, rows))
        is_worst = np.ones(len(order), bool)
        is_worst[1:] = (np.diff(rows[order]) != 0) | (np.diff(label[order]) != 0)
        worst = order[is_worst]
        at = scores.at[place[worst]]
        kinds = [(f"{model.facts.name}/{name}", model.facts.labels[name].risks) for name in model.labels]
        told = (rows[worst], label[worst], score[worst], windows.opens[at], windows.closes[at], at)
        for row, which, value, start, end, window in zip(*(each.tolist() for each in told), strict=True):
            if row in view.removed:  # the original has more code points than the view
                span = int(windows.starts[window]), int(windows.ends[window])
                [(start, end)] = view.spans(row, [span])
            rule, risks = kinds[which]
            found += [Finding(row, self.name, risk, rule, value, start, end, view.name) for risk in risks]
        return found


def _in_unknown_script(text: WindowedView, models: list[CategoryModel]) -> npt.NDArray[np.bool_]:
    """Return which records have most of their letters in scripts of no model, shape (records,)."""
    counts = text.letters.counts(text.view.bounds[:-1], text.view.bounds[1:] - 1)
    known = set().union(*(model.facts.scripts for model in models))
    mine = sum((counts[script] for script in known), np.zeros(len(text.view.bounds) - 1, np.int64))
    return mine * 2 < sum(counts.values())


_LOADED: dict[tuple[str, ...], tuple[str, list[CategoryModel]]] = {}
"""By folders: the models that were loaded from them last, and their digest; a process may outlive a model's weights."""
_LOADING = threading.Lock()
