"""Finished runs that wait: each is verified and published by its own name, once, and never instead of another."""

import json
from pathlib import Path

import apache_beam as beam
import pytest
from conftest import Cli, Screen, files, records, write_run_file, write_shard

from models.errors import OutrunError, ToolError, UsageError
from pipeline.build import build
from pipeline.config import read_run_file
from pipeline.corpus import Corpus
from pipeline.engines import LOCAL
from pipeline.gc import collect
from pipeline.launch import prepare
from pipeline.publish import publish
from pipeline.status import status
from pipeline.verify import verify, verify_waiting
from pipeline.waiting import all_waiting, published_as, waiting
from transforms.notes import Notes


def finish(screen: Screen, inputs: Path, out: Path, **options: object) -> str:
    """Run without publishing, and return the run's name."""
    screen(inputs, out, to_publish=False, **options)
    return waiting(Corpus(out)).run


@pytest.mark.parametrize("apart", [False, True])
def test_what_waits_is_verified_as_what_it_will_be(screen: Screen, corpus: Path, tmp_path: Path, apart: bool) -> None:
    out = tmp_path / "out"
    run = finish(screen, corpus, out, **({"restricted": str(tmp_path / "apart")} if apart else {}))
    found = waiting(Corpus(out), run)
    assert not list(verify_waiting(Corpus(out), found))
    assert not Corpus(out).number, "verifying publishes nothing"
    publish(Corpus(out), found.outcome, found.started)
    assert not list(verify(Corpus(out)))
    screen(corpus, tmp_path / "at-once")
    assert files(out) == files(tmp_path / "at-once")


def test_a_damaged_part_is_found_before_it_is_published_and_made_anew(
    screen: Screen, corpus: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "out"
    run = finish(screen, corpus, out)
    part = sorted((out / "store" / "parts").rglob("clean.jsonl"))[0]
    part.chmod(0o644)
    part.write_bytes(part.read_bytes() + b"\n")
    code, said, _ = cli("verify", out, "--run", run)
    assert (code, "content is not what the manifest says" in said) == (1, True)
    part.unlink()
    code, said, _ = cli("verify", out, "--waiting")
    assert (code, ": missing\n" in said) == (1, True)
    again = finish(screen, corpus, out)
    assert again != run
    assert cli("verify", out, "--run", again)[0] == 0


def test_a_run_is_published_by_its_name_whatever_came_after_it(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    out, root = tmp_path / "out", str(tmp_path / "in")
    for number in (1, 2):
        write_shard(tmp_path / "in" / f"{number}.jsonl", records(f"s{number}.example", 30))
    first = finish(screen, tmp_path / "in" / "1.jsonl", out, input_root=root)
    second = finish(screen, tmp_path / "in" / "2.jsonl", out, input_root=root)
    assert {each.run for each in all_waiting(Corpus(out))} == {first, second}
    collect(Corpus(out), 1, 0, is_trial=False)  # keeps what both need
    assert cli("publish", out, "--run", first)[1] == f"release 1 is in {out}\n"
    assert [each["path"] for each in Corpus(out).manifest()["inputs"]] == ["1.jsonl"]
    code, _, said = cli("publish", out, "--run", second)
    assert (code, "release 1 was published since this run started from nothing" in said) == (
        OutrunError.exit_code,
        True,
    )
    assert cli("report", out, "--run", second)[0] == UsageError.exit_code


def test_publishing_again_says_so_and_is_no_error(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    out, root = tmp_path / "out", str(tmp_path / "in")
    write_shard(tmp_path / "in" / "1.jsonl", records("s1.example", 30))
    run = finish(screen, tmp_path / "in", out, input_root=root)
    for said in (f"release 1 is in {out}\n", f"release 1 is up to date in {out}\n"):
        assert cli("publish", out, "--run", run) == (0, said, "")
    write_shard(tmp_path / "in" / "2.jsonl", records("s2.example", 30))
    screen(tmp_path / "in", out, input_root=root)
    assert cli("publish", out, "--run", run) == (0, f"release 1 is up to date in {out}\n", ""), "also after another"
    assert Corpus(out).number == 2
    assert published_as(Corpus(out), waiting(Corpus(out), run).outcome) == 1
    assert cli("report", out, "--run", run)[1] == f"{out}/releases/1/report.html\n"


def test_a_name_is_given_once(screen: Screen, corpus: Path, tmp_path: Path, cli: Cli) -> None:
    run_file = write_run_file(tmp_path / "run.yaml", screen, corpus)
    out = tmp_path / "out"
    arguments = ("run", run_file, "--no-publish", "-q", "--name", "night-1")
    code, said, _ = cli(*arguments)
    assert code == 0
    assert said.endswith(f"not published; publish with: winnow publish {out} --run night-1\n")
    assert cli("verify", out, "--run", "night-1")[0] == 0
    code, _, said = cli(*arguments)
    assert (code, "there was a run night-1 already" in said) == (2, True)
    for name in ("../night", "", "a/b", ".hidden"):
        assert cli("publish", out, "--run", name)[0] == 2
    assert cli("publish", out, "--run", "night-2")[0] == 2


def test_a_submission_that_failed_ends_the_run_and_keeps_its_name(
    screen: Screen, corpus: Path, tmp_path: Path, cli: Cli
) -> None:
    run_file = write_run_file(tmp_path / "run.yaml", screen, corpus)
    nowhere = (
        "job_endpoint=localhost:1",
        "job_server_timeout=2",
        "environment_type=EXTERNAL",
        "environment_config=x:1",
    )
    engine = ("--runner", "flink", *(word for option in nowhere for word in ("--beam", option)))
    for name, how in (("night-1", ()), ("night-2", ("--detach",))):
        code, _, said = cli("run", run_file, "-q", "--name", name, *engine, *how)
        assert (code, "runner flink: the job was not submitted" in said) == (1, True)
        assert status(Corpus(tmp_path / "out"), name).state == "failed"
        assert "there was a run" in cli("run", run_file, "-q", "--name", name)[2]
    assert cli("run", run_file, "-q", "--name", "night-3")[0] == 0


@pytest.mark.parametrize("until", ["plan", "release"])
def test_a_job_whose_run_was_given_up_does_nothing(screen: Screen, corpus: Path, tmp_path: Path, until: str) -> None:
    run = prepare(read_run_file(write_run_file(tmp_path / "run.yaml", screen, corpus)), name="lost", until=until)
    notes = Notes(run.job.root, run.name)
    notes.begin("2026-01-01T00:00:00+00:00", "flink", until, outlives=True)
    notes.end("failed", "Lost")
    pipeline = beam.Pipeline(runner=LOCAL.runner, options=LOCAL.pipeline_options(1))
    build(pipeline, run.in_place())
    with pytest.raises(ToolError, match="run lost was given up"):
        pipeline.run().wait_until_finish()
    assert notes.read("agenda") is None
    assert notes.read("outcome") is None


def test_of_two_that_take_one_name_in_one_second_one_has_it(tmp_path: Path) -> None:
    began = "2026-01-01T00:00:00+00:00"
    Notes(str(tmp_path), "night").begin(began, "local", "release")
    with pytest.raises(UsageError, match="there was a run night already"):
        Notes(str(tmp_path), "night").begin(began, "local", "release")


def test_a_dry_run_is_not_what_is_shown_next(screen: Screen, corpus: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    screen(corpus, out)
    Notes(str(out), "dry").begin("2026-01-01T00:00:00+00:00", "dataflow", "release", outlives=True, is_trial=True)
    assert "published as release 1" in cli("status", out)[1]
    code, said, _ = cli("status", out, "--run", "dry", "--watch", "1")
    assert (code, ": trial" in said) == (0, True)


def test_shards_after_a_run_file_take_the_place_of_its_inputs(
    screen: Screen, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        write_shard(tmp_path / "in" / f"night{number}" / "a.jsonl", records(f"s{number}.example", 30))
    run_file = write_run_file(tmp_path / "run.yaml", screen, tmp_path / "in", input_root=str(tmp_path / "in"))
    monkeypatch.chdir(tmp_path / "in")
    for number in (2, 1):
        assert cli("run", run_file, f"night{number}/*.jsonl", "-q")[0] == 0
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
        assert f"night{number}/a.jsonl" in {each["path"] for each in manifest["inputs"]}
    assert manifest["shards"] == 2
