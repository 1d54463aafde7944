"""Estimates: sums of what was measured, that grow with what there is to do."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.errors import UsageError
from models.taggers import BUILT_IN
from pipeline.cli import app
from pipeline.config import from_options, read_run_file
from pipeline.estimate import (
    Input,
    Means,
    estimates,
    in_words,
    inputs_of,
    listing_seconds,
    measured,
    parse_bytes,
    stored_gigabytes,
    supposed,
)
from pipeline.launch import launch, prepare

MEANS = Means(cores=100)
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "corpus"


def test_a_terabyte_takes_ten_times_the_core_hours_and_objects_of_a_tenth() -> None:
    small, large = (estimates([supposed(size, "parquet", "1GB", 64_000_000)], MEANS) for size in ("100GB", "1TB"))
    for one, other in zip(small, large, strict=True):
        assert other.core_hours == pytest.approx(10 * one.core_hours, rel=1e-9)
        assert other.objects == pytest.approx(10 * one.objects, rel=0.1)


def test_the_first_night_is_the_sum_of_the_measured_stages() -> None:
    each = Input("parquet", 10**12, 1000, 16000)
    stages, books = measured()["stages"], measured()["bookkeeping"]
    milliseconds: float = sum(
        float(figures.get("parquet", figures.get("any", 0)))
        for name, figures in stages.items()
        if isinstance(figures, dict) and name != "taggers"
    )
    milliseconds += stages["taggers"]["lexicon"]["illustrative"] + stages["taggers"]["personal"]["ordinary"]
    first = estimates([each], MEANS)[0]
    spread = 16000 * books["spread"] / 3.6e6
    alone = 16000 * (books["new"] + books["all"]) / 3.6e6
    assert first.core_hours == pytest.approx(each.text * milliseconds / 3.6e6 + spread + alone)
    assert first.hours == pytest.approx((first.core_hours - alone) / 100 + alone + 0.2 / 3600)


def test_a_night_costs_by_what_is_new_and_a_list_does_not_cost_a_first_night() -> None:
    each = [supposed("10TB", "jsonl.gz", "1GB", 64_000_000)]
    first, later, listed, policy = estimates(each, MEANS)
    assert later.core_hours < first.core_hours / 50 < listed.core_hours < first.core_hours
    assert policy.core_hours < first.core_hours
    more = estimates(each, replace(MEANS, new=0.1))[1]
    assert more.core_hours > 5 * later.core_hours
    dense = estimates(each, replace(MEANS, density="dense"))
    assert dense[0].core_hours > first.core_hours
    assert dense[2].core_hours == listed.core_hours, "a new list does not run the personal tagger"


def test_a_night_takes_what_its_own_taggers_take() -> None:
    each = Input("parquet", 10**12, 1000, 16000)
    found = measured()["stages"]["taggers"]
    assert set(found) == set(BUILT_IN)

    def more(*taggers: str) -> float:
        """Return milliseconds per MB over a run without taggers."""
        some, none = (estimates([each], replace(MEANS, taggers=names))[0].core_hours for names in (taggers, ()))
        return (some - none) * 3.6e6 / each.text

    view = measured()["stages"]["safe view"]["any"]
    assert more("blocked", "provenance") == pytest.approx(found["blocked"]["any"] + found["provenance"]["any"])
    assert more("category") == pytest.approx(found["category"]["any"] + view)
    assert more("category", "fingerprint") == pytest.approx(
        found["category"]["any"] + found["fingerprint"]["any"] + view
    )
    assert more("mine") == 0
    names = [night.name for night in estimates([each], replace(MEANS, taggers=("category",)))]
    assert "weekly list change" not in names, "a run without lists has no new ones"


def test_taggers_that_nobody_measured_are_named() -> None:
    each = [supposed("1TB", "parquet", "1GB", 64_000_000)]
    said = "\n".join(in_words(each, replace(MEANS, taggers=("category", "mine", "yours"))))
    assert "taggers: category, mine, yours" in said
    assert "not in these figures: mine, yours" in said
    said = "\n".join(in_words(each, replace(MEANS, taggers=tuple(BUILT_IN))))
    assert "not in these figures" not in said


def test_the_command_reckons_with_the_taggers_of_the_run_file(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(
        f"inputs: {EXAMPLES}\noutput: {tmp_path / 'out'}\ntaggers:\n  category: {{models: [zh-discrimination-demo]}}\n  blocked: {{}}\n",
        "utf-8",
    )
    said = CliRunner().invoke(app, ["estimate", str(run)])
    assert said.exit_code == 0, said.output
    assert "taggers: category, blocked\n" in said.output
    assert "weekly list change" not in said.output
    run.write_text(f"inputs: {EXAMPLES}\noutput: {tmp_path / 'out'}\ntaggers:\n  categroy: {{}}\n", "utf-8")
    assert "no tagger is called 'categroy'" in str(CliRunner().invoke(app, ["estimate", str(run)]).exception)


def test_prices_are_applied_where_they_are_given() -> None:
    each = [supposed("1TB", "parquet", "1GB", 64_000_000)]
    assert all(night.cost is None for night in estimates(each, MEANS))
    priced = replace(MEANS, core_hour=0.05, thousand_operations=0.005)
    for night in estimates(each, priced):
        assert night.cost == pytest.approx(night.core_hours * 0.05 + night.operations * 0.000005)
    assert stored_gigabytes(each) == pytest.approx(1000 * measured()["formats"]["written"]["parquet"])


@pytest.mark.parametrize(("text", "size"), [("5GB", 5 * 10**9), ("100TB", 10**14), ("1.5 PB", 15 * 10**14), ("7", 7)])
def test_sizes_are_powers_of_ten(text: str, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "5 parsecs", "-1GB", "0TB", "1e9"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="such as 5GB"):
        parse_bytes(text)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match=r"there are parquet, jsonl, jsonl\.gz"):
        supposed("1TB", "csv", "1GB", 64_000_000)


def test_splits_and_shards_are_those_that_planning_makes(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    line = json.dumps({"text": "The river runs past the town. " * 20}) + "\n"
    for number, lines in enumerate((10, 400, 1000)):
        (folder / f"{number}.jsonl").write_text(line * lines)
    given = {"inputs": (str(folder),), "output": str(tmp_path / "out"), "split_size": 100_000, "workers": 1}
    settings = from_options(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}})
    (each,) = inputs_of(settings)
    plan = launch(prepare(settings, until="plan"), to_publish=False).stages["plan"]
    assert (each.shards, each.size) == (plan["shards"], plan["bytes"])
    assert abs(each.splits - plan["splits"]) <= each.shards


def test_listing_goes_by_pages_of_a_thousand() -> None:
    assert [listing_seconds(count, MEANS) for count in (1, 1000, 1001)] == pytest.approx([0.2, 0.2, 0.4])


def test_the_command_says_it_for_a_run_file_and_for_a_supposed_input(tmp_path: Path) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(f"inputs: {EXAMPLES}\noutput: {tmp_path / 'out'}\n", "utf-8")
    listed = inputs_of(read_run_file(run))
    said = CliRunner().invoke(app, ["estimate", str(run), "--core-hour", "0.05", "--thousand-operations", "0.005"])
    assert said.exit_code == 0, said.output
    assert all(f"{each.format}: " in said.output for each in listed)
    assert "weekly list change" in said.output
    assert not (tmp_path / "out").exists()
    said = CliRunner().invoke(app, ["estimate", "--bytes", "1PB", "--format", "jsonl.gz"])
    assert "gzip: 1,000,000.0 GB in 1,000,000 shards" in said.output


def test_the_command_wants_one_of_the_two() -> None:
    for arguments in ([], ["run.yaml", "--bytes", "1TB"]):
        assert isinstance(CliRunner().invoke(app, ["estimate", *arguments]).exception, UsageError)
