"""A window's logits: those of fastText, whatever the model's options, and bit for bit its own, whatever stands beside it."""

from pathlib import Path
from typing import Any

import fasttext
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import BAD, GOOD, OTHER

from models.category_model import WEIGHTS, CategoryModel, load_model, model_artefact
from models.documents import Documents
from models.linear_scorer import LinearScorer
from models.tokens import token_texts
from models.windows import WindowedView

SHIPPED = ["zh-discrimination-demo", "en-abuse-demo"]
TOLERANCE = 1e-5
"""Of probabilities: fastText adds up hundreds of vectors in 32-bit floats, and adds 1e-5 to each."""
VARIED = (
    *("", " ", "\n\t", "1", "。", "你", "a"),
    *(*BAD, *GOOD, *OTHER),
    *("你是个傻子，滚出我们的国家！", "今天 the weather 很好 and we 去公园 walk，100% sure。"),
    *(
        "You are a stupid idiot and I hate you all.",
        "The committee meets on 12 March 2024 at 09:30.",
        "zzqxv qqqrrw xkcdj",
    ),
    *(
        "Привет, как дела",
        "안녕하세요 여러분",
        "สวัสดีครับ" * 60,
        "これはほんのひらがなです",
        "🙂" * 300,
        "--------" * 100,
    ),
    *("x" * 5000, "不是" * 3000, "</s> __label__none </s>", "ab" * 128 + " " + "cd" * 128, "a\0b\x7fc\u200bd"),
    "一篇很长的文章，" + "讲的是北京的天气和交通。We go by train, 3 times a week. " * 200,
)


@pytest.fixture(scope="module", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> tuple[CategoryModel, Any]:
    folder = Path(__file__).resolve().parents[2] / "configs/models" / request.param
    return load_model(model_artefact(folder)), fasttext.load_model(str(folder / WEIGHTS))


def chances(weights: Any, text: WindowedView, size: int, stride: int) -> list[list[float]]:
    """Return what fastText itself predicts for each window, by its labels; nothing if it knows nothing of it."""
    windows = text.windows(size, stride)
    texts = [each for piece in token_texts(text.view, windows.starts, windows.ends) for each in piece]
    found = []
    for each in texts:
        labels, values = weights.f.multilinePredict([each], -1, 0.0, "strict")
        told = dict(zip(labels[0], values[0].tolist(), strict=True))
        found.append([told[label] for label in weights.labels] if told else [])
    return found


def compare(weights: Any, scorer: LinearScorer, texts: tuple[str, ...], size: int, stride: int) -> None:
    text = WindowedView(Documents.of(texts).safe)
    windows = text.windows(size, stride)
    logits, known = scorer.logits(text.tokens, windows.starts, windows.ends)
    expected = chances(weights, text, size, stride)
    assert known.tolist() == [bool(each) for each in expected]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    ours = odds / odds.sum(axis=1, keepdims=True)
    for mine, theirs in zip(ours[known], [each for each in expected if each], strict=True):
        assert np.abs(mine + 1e-5 - theirs).max() < TOLERANCE


def test_logits_of_shipped_models_are_those_of_fasttext(shipped: tuple[CategoryModel, Any]) -> None:
    model, weights = shipped
    compare(weights, LinearScorer(weights), VARIED, model.facts.size, model.facts.stride)
    compare(weights, LinearScorer(weights), VARIED, 7, 3)


def test_margins_of_shipped_models_are_those_of_fasttext(shipped: tuple[CategoryModel, Any]) -> None:
    model, weights = shipped
    text = WindowedView(Documents.of(VARIED).safe)
    windows = text.windows(model.facts.size, model.facts.stride)
    margins = model.margins(text, windows, np.arange(len(windows)))
    none = weights.labels.index("__label__none")
    for mine, theirs in zip(
        margins.tolist(), chances(weights, text, model.facts.size, model.facts.stride), strict=True
    ):
        detected = min(max(1 - theirs[none], TOLERANCE), 1 - TOLERANCE)
        expected = np.log(detected / (1 - detected))
        # A probability's error is a larger one of its logit where the probability is close to 0 or 1.
        assert max(mine) == pytest.approx(expected, abs=TOLERANCE / detected / (1 - detected))


@pytest.mark.parametrize(
    "options",
    [
        {"wordNgrams": 1},
        {"wordNgrams": 2, "bucket": 1},
        {"wordNgrams": 3, "bucket": 997},
        {"wordNgrams": 6, "bucket": 4096, "minCount": 3},
        {"wordNgrams": 2, "bucket": 500, "minCount": 400},  # the end of a text is no word of it
        {"wordNgrams": 1, "minCount": 400},  # knows one word, and nothing of most texts
    ],
)
def test_logits_are_those_of_fasttext_whatever_it_was_trained_with(tmp_path: Path, options: dict[str, int]) -> None:
    weights = trained(tmp_path, **options)
    assert ("</s>" in weights.words) == (options.get("minCount") != 400)
    compare(weights, LinearScorer(weights), VARIED, 40, 30)


def trained(folder: Path, **options: Any) -> Any:
    text = WindowedView(Documents.of([*BAD, *GOOD, *OTHER, "nasty " * 20]).safe)
    windows = text.windows(40, 30)
    texts = [each for piece in token_texts(text.view, windows.starts, windows.ends) for each in piece]
    labels = ("none", "insult", "other-thing", "more")
    lines = [f"__label__{labels[at % 4]} ".encode() + each for at, each in enumerate(texts * 20)]
    (folder / "train.txt").write_bytes(b"".join(lines))
    settings = {"loss": "softmax", "dim": 5, "epoch": 5, "lr": 0.5, "thread": 1, "seed": 1, "verbose": 0}
    return fasttext.train_supervised(str(folder / "train.txt"), **(settings | options))


@pytest.mark.parametrize(
    ("options", "said"),
    [({"loss": "ova"}, "supervised with loss ova"), ({"minn": 2, "maxn": 3}, "n-grams of characters")],
)
def test_weights_that_training_does_not_make_are_refused(tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        LinearScorer(trained(tmp_path, **options))


TEXT = st.text(st.sampled_from("坏蛋讨厌天气公园 you nasty fool go away.\n0\u200b한"), max_size=120)


@given(st.lists(TEXT | st.sampled_from(VARIED), min_size=1, max_size=5), st.sampled_from(SHIPPED))
@settings(deadline=None, max_examples=60)
def test_a_window_has_the_same_bits_whatever_stands_beside_it(texts: list[str], name: str) -> None:
    model = MODELS.setdefault(name, load_model(model_artefact(CONFIGS / name)))
    together = bits(model, texts)
    assert together == [each for text in texts for each in bits(model, [text])]


CONFIGS = Path(__file__).resolve().parents[2] / "configs/models"
MODELS: dict[str, CategoryModel] = {}


def bits(model: CategoryModel, texts: list[str]) -> list[bytes]:
    text = WindowedView(Documents.of(texts).safe)
    windows = text.windows(model.facts.size, model.facts.stride)
    return [row.tobytes() for row in model.margins(text, windows, np.arange(len(windows)))]
