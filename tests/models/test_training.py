"""Training: each text once and on one side, the same bytes each time, and a threshold that benign text has chosen."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_models import BAD, GOOD, OTHER, build, example, make_model, options, training_set, varied

from models.category_model import model_artefact, read_facts
from models.digest import digest_of_file
from models.errors import UsageError
from models.evaluation import confusion, measure_benign
from models.model_build import TrainingSet, build_model, write_model
from models.model_card import card
from models.strict import load_yaml, parse
from models.training import calibrated, lowest_threshold, slope
from models.training_data import Example, Options, distinct, held_out, key_of, read_benign, read_examples

PLACE = st.integers(-40, 40).map(lambda number: number / 4)


def test_two_trainings_give_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    fitting = options().fitting.model_dump() | {"seed": 1}
    folders = [make_model(tmp_path / "a"), make_model(tmp_path / "b"), make_model(tmp_path / "c", fitting=fitting)]
    first, second, third = ([digest_of_file(path) for path in sorted(Path(each).iterdir())] for each in folders)
    assert first == second
    assert first != third


def test_texts_that_differ_in_case_width_signs_and_spaces_only_are_one() -> None:
    same = ["Ａ badword!", "a BADWORD", "a bad\u200bword…"]
    assert len({key_of(each) for each in same}) == 1
    assert key_of("a bad world") != key_of(same[0])
    assert key_of("!!") != key_of("??")


@given(
    st.lists(st.tuples(st.sampled_from(["a", "A", "b", "b!", "c"]), st.booleans())), st.lists(st.sampled_from("abcd"))
)
def test_every_example_is_kept_or_counted_and_none_is_kept_twice_or_beside_a_later_part(
    given_texts: list[tuple[str, bool]], held: list[str]
) -> None:
    examples = [example(text, *(["insult"] if is_bad else [])) for text, is_bad in given_texts]
    later = [example(text) for text in held]
    kept, removed = distinct(examples, {"test": later})
    assert len(kept) + removed.exact + removed.normalised + removed.leaked["test"] == len(examples)
    keys = [each.key for each in kept]
    assert len(set(keys)) == len(keys)
    assert not set(keys) & {each.key for each in later}
    assert {each.key for each in examples} == set(keys) | (
        {each.key for each in examples} & {each.key for each in later}
    )


def test_a_text_is_held_out_wherever_it_stands() -> None:
    examples = varied(GOOD, 300)
    train, out = held_out(examples)
    assert 10 < len(out) < 60
    assert sorted(train + out) == sorted(examples)
    again = held_out(examples[::-1])[1]
    assert sorted(again) == sorted(out)


@given(st.lists(PLACE | st.just(float("-inf")), min_size=1), st.fractions(0, 1))
def test_the_threshold_is_the_lowest_step_that_keeps_to_the_share(margins: list[float], most: Fraction) -> None:
    values = np.array(margins)
    threshold = lowest_threshold(values, most)
    assert (values[values > -np.inf] >= threshold).sum() <= most * len(values)
    if threshold > -np.inf:
        assert (values >= threshold - 2e-4).sum() > most * len(values)


@given(st.lists(PLACE, min_size=20, max_size=40), st.lists(PLACE, min_size=20, max_size=40))
def test_the_slope_lies_in_its_bounds_and_fits_better_than_its_neighbours(yes: list[float], no: list[float]) -> None:
    x = np.array([*yes, *no])
    y = np.array([True] * len(yes) + [False] * len(no))
    weight = np.where(y, 0.5 / len(yes), 0.5 / len(no))

    def loss(value: float) -> float:
        return float((weight * np.logaddexp(0, np.where(y, -1, 1) * value * x)).sum())

    best = slope(x, y)
    assert 0.05 <= best <= 5
    assert all(loss(best) <= loss(other) + 1e-6 for other in np.linspace(0.05, 5, 30))


def test_no_more_benign_text_is_flagged_than_was_allowed_where_the_threshold_was_chosen() -> None:
    built = build(most_flagged="2/100")
    [chosen] = built.metrics["threshold_chosen_on"].values()
    assert chosen["records"] == 100
    assert chosen["flagged"] <= 2
    assert built.metrics["dev"]["at_threshold"]["recall"] > 0.9
    assert measure_benign(built.model, varied(OTHER, 50))["flagged"] <= 2


def test_text_of_a_later_part_is_taken_out_and_counted_or_refused() -> None:
    data = training_set()
    leaked = TrainingSet([*data.train, *data.benign["books"][:3]], data.benign, dev=list(data.train[:5]))
    built = build_model(leaked, options())
    assert built.metrics["trained_on"]["removed"]["train"]["leaked"] == {"benign books": 3, "dev": 5}
    assert built.metrics["trained_on"]["records"] == len(data.train) - 5
    with pytest.raises(UsageError, match="3 of train in benign books; 5 of train in dev"):
        build_model(leaked, options(), refuse_leaks=True)


def test_a_model_without_benign_text_or_examples_of_a_label_is_refused() -> None:
    with pytest.raises(UsageError, match="no benign text to choose the threshold on"):
        build_model(TrainingSet(training_set().train, {}), options())
    with pytest.raises(UsageError, match="no example of none"):
        build_model(TrainingSet(varied(BAD, 50, "insult"), training_set().benign), options())


def test_benign_text_that_says_nothing_of_the_threshold_is_refused_by_name() -> None:
    data, english = training_set(), [example(f"a line of plain English, number {n}") for n in range(40)]
    books = data.benign["books"]
    for said, benign, benign_test in (
        ("benign books: all of its text is in benign-test pages too", {"books": books}, {"pages": books}),
        ("benign books: all of its text is in", {"books": books, "more": english}, {"pages": books}),
        ("benign empty: has no records", {"books": books, "empty": []}, {}),
        ("benign-test empty: has no records", {"books": books}, {"empty": []}),
        ("benign english: none of its 40 records is written in the script of zh", {"english": english}, {}),
        ("benign-test english: none of its 40 records", {"books": books}, {"english": english}),
    ):
        parts = TrainingSet(data.train, benign, benign_test=benign_test)
        with pytest.raises(UsageError, match=said):
            build_model(parts, options(languages=["zh"]))


def test_no_threshold_is_chosen_on_what_the_model_passes_over() -> None:
    data = training_set()
    with pytest.raises(UsageError, match="benign others: the model looks at none of its 1 records"):
        calibrated(build().model, data.train, data.benign | {"others": [example("строка по-русски")]}, Fraction(1, 2))


def test_records_that_a_model_passes_over_do_not_let_more_of_the_others_be_flagged() -> None:
    data = training_set()
    passed_over = [example(f"{n} строка по-русски") for n in range(300)]

    def threshold(benign: list[Example]) -> float:
        model = build_model(TrainingSet(data.train, {"books": benign}), options(most_flagged="5/100")).model
        return model.facts.labels["insult"].threshold

    hard = [example(f"{bad}，{other}{chr(0x4E00 + n)}") for n in range(5) for bad in BAD for other in OTHER]
    assert threshold([*hard, *passed_over]) == threshold(hard) > 0


def test_a_model_that_finds_nothing_at_the_threshold_is_refused() -> None:
    strongest = TrainingSet(
        training_set().train, {"bad": [example(f"{bad * 3}{chr(0x4E00 + n)}") for bad in BAD for n in range(9)]}
    )
    with pytest.raises(UsageError, match="no held-out record is found either"):
        build_model(strongest, options())


def test_a_folder_with_something_in_it_is_not_written_into(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="there is something already"):
        write_model(tmp_path, build(), options(), {})


def test_the_card_says_what_is_not_covered_and_every_figure_that_was_measured(tmp_path: Path) -> None:
    folder = Path(make_model(tmp_path / "model", limits=["It knows four sentences."]))
    page = (folder / "card.md").read_text("utf-8")
    metrics = json.loads((folder / "metrics.json").read_text("utf-8"))
    assert "covers 1 of the 31 risks" in page
    assert "no label for: A.1.a, A.1.b" in page
    assert "A.4.c Infringing the right to reputation 侵害他人名誉权" in page
    assert "- It knows four sentences." in page
    assert "- It judges each window of 32 code points as a whole" in page
    assert f"| {metrics['dev']['records']} |" in page
    assert str(metrics["dev"]["labels"]["insult"]["recall"]) in page


@pytest.mark.parametrize("name", ["zh-discrimination-demo", "en-abuse-demo"])
def test_the_card_of_a_shipped_model_is_made_of_its_figures_and_options(name: str) -> None:
    root = Path(__file__).resolve().parents[2]
    folder, path = root / "configs/models" / name, root / f"benchmarks/model_options/{name}.yaml"
    facts, metrics = read_facts(model_artefact(folder)), json.loads((folder / "metrics.json").read_text("utf-8"))
    said = card(facts, metrics, parse(Options, load_yaml(path), str(path)))
    assert said == (folder / "card.md").read_text("utf-8")


def test_a_record_has_the_labels_whose_rules_hold_and_one_without_any_is_refused_by_line(tmp_path: Path) -> None:
    rules = {
        "insult": {"risks": ["A.4.c"], "when": [{"label": 1, "topic": ["a", "b"]}, {"klass": "rude"}]},
        "hate": {"risks": ["A.2.i"], "when": {"klass": "rude"}},
    }
    wanted = options(labels=rules, none={"when": {"label": 0}})
    path = tmp_path / "data.jsonl"
    rows = [{"label": 1, "topic": "b"}, {"klass": "rude"}, {"label": 0}]
    path.write_text("".join(json.dumps({"text": "t"} | row) + "\n" for row in rows), "utf-8")
    assert [each.labels for each in read_examples(path, wanted)] == [("insult",), ("insult", "hate"), ()]
    for row, said in (
        ({"label": True, "topic": "a"}, "line 1: no label's rule holds"),
        ({"label": 1, "topic": "c"}, "line 1"),
    ):
        path.write_text(json.dumps({"text": "t"} | row) + "\n", "utf-8")
        with pytest.raises(UsageError, match=said):
            read_examples(path, wanted)


@pytest.mark.parametrize(
    ("line", "said"), [("{", "line 2: not JSON"), ("[]", "line 2: no text"), ('{"text": 1}', "line 2: no text")]
)
def test_a_line_that_is_no_record_is_refused_by_its_number(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "benign.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n", "utf-8")
    with pytest.raises(UsageError, match=said):
        read_benign(path)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_confusion_counts_every_record_once(pairs: list[tuple[bool, bool]]) -> None:
    has, found = (np.array(column) for column in zip(*pairs, strict=True))
    said = confusion(has, found)
    assert said["found"] + said["missed"] == has.sum()
    assert said["found"] + said["false"] == found.sum()
    assert 0 <= said["macro_f1"] <= 1
    assert confusion(has, has)["f1"] == (1 if has.any() else 0)
