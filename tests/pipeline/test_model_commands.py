"""``winnow model``: training and evaluating through the command line."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from models.errors import UsageError
from pipeline.cli import app

GOOD = ["今天天气很好我们去公园", "火车三点钟开请准时", "the weather is fine and we walk"]
BAD = ["你这个坏蛋真讨厌", "讨厌的坏蛋滚出去", "you nasty fool go away now"]
OPTIONS = {
    "name": "mine",
    "title": "Mine",
    "licence": "CC0-1.0",
    "languages": ["zh", "en"],
    "labels": {"insult": {"risks": ["A.4.c"], "when": {"label": 1}}},
    "none": {"when": {"label": 0}},
    "fitting": {"dimensions": 4, "ngrams": 2, "buckets": 500, "epochs": 30},
}


def lines(texts: list[str], label: int, count: int) -> str:
    return "".join(
        json.dumps({"text": f"{texts[n % 3]} {chr(0x4E00 + n)}", "label": label}) + "\n" for n in range(count)
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.jsonl").write_text(lines(BAD, 1, 120) + lines(GOOD, 0, 120), "utf-8")
    books = ["书店里有很多新书", "图书馆九点开门", "a shop that sells old books"]
    (tmp_path / "benign.jsonl").write_text(lines(books, 0, 60), "utf-8")
    (tmp_path / "options.yaml").write_text(yaml.safe_dump(OPTIONS), "utf-8")
    return tmp_path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["model", *arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_model_is_trained_evaluated_and_not_written_over(folder: Path) -> None:
    training = ["train", "train.jsonl", "-o", "mine", "--options", "options.yaml", "--benign", "benign.jsonl"]
    run(*training)
    metrics = json.loads((folder / "mine/metrics.json").read_text("utf-8"))
    assert sorted(metrics["data"]) == ["benign.jsonl", "train.jsonl"]
    said = json.loads(
        run("evaluate", "./mine", "train.jsonl", "--options", "options.yaml", "--benign", "benign.jsonl", "--json")
    )
    assert said["benign"]["benign.jsonl"]["records"] == 60
    assert said["data"]["train.jsonl"]["labels"]["insult"]["recall"] > 0.9
    with pytest.raises(UsageError, match="there is something already"):
        run(*training)


def test_files_of_one_name_in_folders_of_one_name_are_all_used(folder: Path) -> None:
    for part, texts in (("a", "train.jsonl"), ("b", "train.jsonl"), ("c", "benign.jsonl"), ("d", "benign.jsonl")):
        (folder / part / "x").mkdir(parents=True)
        every = (folder / texts).read_text("utf-8").splitlines(keepends=True)
        (folder / part / "x/d.jsonl").write_text("".join(every[part in "bd" :: 2]), "utf-8")
    data, benign = ["a/x/d.jsonl", "b/x/d.jsonl"], ["c/x/d.jsonl", "d/x/d.jsonl"]
    given_benign = [word for each in benign for word in ("--benign", each)]
    run("train", *data, "-o", "mine", "--options", "options.yaml", *given_benign)
    metrics = json.loads((folder / "mine/metrics.json").read_text("utf-8"))
    assert sorted(metrics["data"]) == [*data, *benign]
    assert metrics["trained_on"]["records"] + metrics["dev"]["records"] > 200, "half of the data"
    assert sorted(metrics["threshold_chosen_on"]) == benign
    tested = json.loads(run("evaluate", "./mine", *data, "--options", "options.yaml", *given_benign, "--json"))
    assert [sorted(tested[part]) for part in ("data", "benign")] == [data, benign]


def test_mistakes_are_named(folder: Path) -> None:
    with pytest.raises(UsageError, match="nothing to evaluate on"):
        run("evaluate", "zh-discrimination-demo")
    with pytest.raises(UsageError, match="--options"):
        run("evaluate", "zh-discrimination-demo", "train.jsonl")
    with pytest.raises(UsageError, match="the model has no label insult"):
        run("evaluate", "zh-discrimination-demo", "train.jsonl", "--options", "options.yaml")
    wrong = {"insult": {"risks": ["A.4.z"], "when": {"label": 1}}}
    for changed, said in (
        ({"colour": 1}, "unknown key 'colour'"),
        ({"labels": wrong}, r"options.yaml: labels.insult.risks: 'A.4.z' is no risk of tc260-003"),
        ({"stride": 400}, "options.yaml: stride: 400 is over the size 256"),
    ):
        (folder / "options.yaml").write_text(yaml.safe_dump(OPTIONS | changed), "utf-8")
        with pytest.raises(UsageError, match=said):
            run("train", "train.jsonl", "-o", "x", "--options", "options.yaml", "--benign", "benign.jsonl")
        assert not (folder / "x").exists()
