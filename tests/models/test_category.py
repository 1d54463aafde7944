"""The category tagger: the worst window is told where it stands, by models that read its script, at their thresholds."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import BAD, GOOD, OTHER, make_model

from models.artefact import describe
from models.category_model import FACTS, WEIGHTS, load_model, model_artefact
from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED, Finding
from models.taggers.category import Category
from models.windows import WindowedView

SIZE = 32
FILLER = "".join(GOOD[:2]) * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(make_model(tmp_path_factory.mktemp("models") / "small"))


@pytest.fixture(scope="module")
def tagger(folder: Path) -> Category:
    return Category((str(folder),))


def found(tagger: Category, *texts: str) -> list[Finding]:
    return list(tagger.tag(Documents.of(texts)))


def described(folder: Path) -> None:
    names = ["card.md", "metrics.json", FACTS, WEIGHTS]
    describe(folder, kind="category", version=1, names=names, title="", licence="", made_with="a test")


def copy_of(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


@given(st.integers(0, 200), st.sampled_from(["", "\u200b", "\ufe0f\u200b"]))
@settings(deadline=None, max_examples=40)
def test_the_span_is_a_window_of_the_original_that_holds_what_was_planted(tagger: Category, at: int, gap: str) -> None:
    insult = gap.join(BAD[0] * 4)
    text = FILLER[:at] + insult + FILLER[at:]
    [finding] = found(tagger, text)
    assert finding.category == "A.4.c"
    assert finding.rule == "small/insult"
    shown = text[finding.start : finding.end].replace("\u200b", "").replace("\ufe0f", "")
    assert len(shown) <= SIZE
    assert sum(char in BAD[0] for char in shown) > len(shown) / 2


def test_a_long_record_scores_as_its_worst_window(tagger: Category) -> None:
    mild, strong = (
        found(tagger, FILLER + BAD[0] * 4 + FILLER),
        found(tagger, FILLER + BAD[0] * 4 + FILLER + BAD[1] * 4 + FILLER),
    )
    assert len(mild) == len(strong) == 1
    assert strong[0].score >= mild[0].score
    assert found(tagger, FILLER) == []


def test_a_score_reaches_half_exactly_where_detection_reaches_the_threshold(folder: Path) -> None:
    model = load_model(model_artefact(folder))
    texts = [*BAD, *GOOD, *OTHER, *(f"{bad}{good * 3}" for bad in BAD for good in GOOD), "坏 天", "fool weather park"]
    margins = model.record_margins(texts)[:, 0]
    scores = model.scores(WindowedView(Documents.of(texts).safe)).by_record(len(texts))[:, 0]
    assert {bool(each) for each in scores >= 0.5} == {True, False}
    assert np.array_equal(scores >= 0.5, margins >= model.facts.labels["insult"].threshold)
    order = np.argsort(margins)
    assert (np.diff(scores[order]) >= 0).all()


def test_a_model_looks_only_at_windows_in_its_scripts(tmp_path: Path) -> None:
    english = Category((make_model(tmp_path / "english", languages=["en"]),), unknown_language="unscanned")
    texts = BAD[0], BAD[2], f"{FILLER} {BAD[2]} {BAD[2]}"
    told = [(each.row, each.category) for each in found(english, *texts)]
    assert told == [(0, UNSCANNED), (1, "A.4.c"), (2, UNSCANNED), (2, "A.4.c")]


@pytest.mark.parametrize("text", ["Привет, как дела", "안녕하세요 여러분", "สวัสดีครับ ab", "これはほんのひらがなです"])
def test_records_in_scripts_of_no_model_are_declined_if_so_told(folder: Path, text: str) -> None:
    [finding] = found(Category((str(folder),), unknown_language="unscanned"), "天气 weather 12", text, "", "12:30 !?")
    assert (finding.row, finding.category) == (1, UNSCANNED)
    assert UNSCANNED not in [each.category for each in found(Category((str(folder),)), text)]


def test_the_card_is_no_part_of_the_digest_and_the_weights_are(folder: Path, tagger: Category, tmp_path: Path) -> None:
    copy = copy_of(folder, tmp_path / "copy")
    (copy / "card.md").write_text("another word", "utf-8")
    described(copy)
    assert Category((str(copy),)).digest == tagger.digest
    facts = json.loads((copy / FACTS).read_text("utf-8"))
    facts["labels"]["insult"]["threshold"] += 1
    (copy / FACTS).write_text(json.dumps(facts), "utf-8")
    described(copy)
    assert Category((str(copy),)).digest != tagger.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": {"rude": {"risks": ["A.4.c"]}}}, "the weights have the labels"),
        ({"labels": {"insult": {"risks": ["A.9.z"]}}}, r"model.json: labels.insult: 'A.9.z' is no risk of tc260-003"),
        ({"stride": 64}, "stride: 64 is over the size 32"),
        ({"languages": ["xx"]}, "model.json: languages"),
        ({"colour": 1}, "unknown key 'colour'"),
    ],
)
def test_facts_that_do_not_fit_are_refused_by_name(
    folder: Path, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    copy = copy_of(folder, tmp_path / "copy")
    facts = json.loads((copy / FACTS).read_text("utf-8"))
    (copy / FACTS).write_text(json.dumps(facts | change), "utf-8")
    described(copy)
    with pytest.raises(UsageError, match=said):
        Category((str(copy),)).load()


def test_broken_weights_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    copy = copy_of(folder, tmp_path / "copy")
    (copy / WEIGHTS).write_bytes(b"not a model")
    with pytest.raises(UsageError, match=r"weights\.bin: content is not what artefact\.json says"):
        Category((str(copy),)).load()
    described(copy)
    with pytest.raises(UsageError, match=r"weights\.bin: .*train the model anew"):
        Category((str(copy),)).load()


def test_two_models_of_one_name_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two models are called alike"):
        Category((str(folder), str(copy_of(folder, tmp_path / "copy")))).load()


@pytest.mark.parametrize(
    ("field", "value"), [("unknown_language", "skip"), ("lowest_score", 0), ("lowest_score", "high")]
)
def test_settings_that_mean_nothing_are_refused(folder: Path, field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        Category((str(folder),), **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["zh-discrimination-demo", "en-abuse-demo"])
def test_shipped_models_load_and_their_cards_call_them_demonstrations(name: str) -> None:
    shipped = Path(__file__).resolve().parents[2] / "configs/models" / name
    artefact = model_artefact(shipped)
    assert load_model(artefact).facts.name == name
    assert sum((shipped / file).stat().st_size for file in artefact.files) < 2_000_000
    card = (shipped / "card.md").read_text("utf-8")
    assert card.startswith("# Demonstration: ")
    assert "It has no label for: A.1.a" in card
