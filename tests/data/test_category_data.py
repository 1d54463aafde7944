"""The category tagger on real text: what it tells is what fastText's own predictions would have it tell."""

import json
from pathlib import Path

import fasttext
import numpy as np
import pytest

from models.category_model import WEIGHTS, load_model, model_artefact
from models.documents import Documents
from models.tokens import token_texts
from models.windows import WindowedView

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
CONFIGS = Path(__file__).resolve().parents[2] / "configs/models"
FILES = [
    "corpora/c4_zh_sample/lines.jsonl",
    "corpora/dolma_cc_sample/docs.jsonl",
    "harm/cold_dev.jsonl",
    "harm/davidson.jsonl",
]

pytestmark = pytest.mark.data


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("name", ["zh-discrimination-demo", "en-abuse-demo"])
def test_what_is_found_is_what_fasttext_finds(file: str, name: str) -> None:
    model, weights = load_model(model_artefact(CONFIGS / name)), fasttext.load_model(str(CONFIGS / name / WEIGHTS))
    text = WindowedView(Documents.of([json.loads(line)["text"] for line in (DATA / file).open("rb")][:5000]).safe)
    windows = text.windows(model.facts.size, model.facts.stride)
    margins = model.margins(text, windows, np.arange(len(windows)))
    threshold = np.array([label.threshold for label in model.facts.labels.values()])
    found = []
    for texts in token_texts(text.view, windows.starts, windows.ends):
        for labels, values in zip(*weights.f.multilinePredict(texts, -1, 0.0, "strict"), strict=True):
            told = dict(zip(labels, values.tolist(), strict=True))
            detected = min(max(1 - told.pop("__label__none"), 1e-5), 1 - 1e-5)
            named = np.array([told[f"__label__{label}"] for label in model.labels])
            is_named = named >= min(named.max(), detected / 3)
            found.append(np.where(is_named, np.log(detected / (1 - detected)), -np.inf) >= threshold)
    assert np.array_equal(margins >= threshold, np.array(found))
