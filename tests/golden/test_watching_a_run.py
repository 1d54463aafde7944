"""What can be seen of a run from outside: its status in the store, its logs, its metrics."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import nights
import pytest
from conftest import MAIL, MOBILE, Cli, Screen, write_run_file, write_shard

from models.errors import WinnowError
from pipeline.build import build
from pipeline.config import read_run_file
from pipeline.corpus import Corpus
from pipeline.launch import prepare
from pipeline.status import in_words, status
from transforms.notes import Notes


@pytest.mark.parametrize(
    ("stage", "seen"), [("plan", []), ("tag", ["tag"]), ("judge", ["tag"]), ("release", ["tag", "release"])]
)
def test_a_stage_that_was_asked_for_is_finished(
    stage: str, seen: list[str], cli: Cli, everyday_corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert cli(stage, everyday_corpus, "-o", out)[0] == 0
    found = status(Corpus(out))
    assert (found.state, [each.stage for each in found.stages]) == ("finished", seen)
    assert all(each.done == each.of > 0 and each.bytes_done == each.bytes_of > 0 for each in found.stages)


def test_a_published_run_says_its_release(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        extra = write_shard(tmp_path / f"more{number}" / f"more{number}.jsonl", [{"id": "a", "text": f"only {number}"}])
        inputs = (extra, "--input-root", tmp_path)
        assert cli("run", *inputs, "-o", out, "--name", f"night-{number}")[0] == 0
    assert (status(Corpus(out)).state, status(Corpus(out)).release) == ("published", 2)
    assert status(Corpus(out), "night-1").release == 1
    code, said, _ = cli("status", out, "--json")
    assert (code, json.loads(said)["release"]) == (0, 2)
    assert "published as release 1" in cli("status", out, "--run", "night-1")[1]
    assert "no run night-3 was started here" in cli("status", out, "--run", "night-3")[2]


def test_a_failed_run_says_why(cli: Cli, tmp_path: Path) -> None:
    write_shard(tmp_path / "in" / "a.jsonl", [b"{\n"] * 200)
    assert cli("run", tmp_path / "in", "-o", tmp_path / "out", "--text", "text")[0] != 0
    found = status(Corpus(tmp_path / "out"))
    assert found.state == "failed"
    assert "dead letters" in found.errors[0]
    code, said, _ = cli("status", tmp_path / "out", "--watch", "1")
    assert code == 1
    assert "error: 200 of 200 entries are dead letters" in said


def test_a_run_that_was_killed_stays_where_it_was(tmp_path: Path) -> None:
    shards = nights.write_shards(tmp_path / "in", range(6), 400)
    run = nights.write_run_file(tmp_path / "night.yaml", shards, tmp_path / "in", split_size="20KB")
    out = tmp_path / "out"
    process = nights.start(["run", str(run), "-o", str(out), *nights.AS_OF])
    deadline = time.monotonic() + 120
    seen = []
    while process.poll() is None and time.monotonic() < deadline:
        if (out / "store" / "runs").is_dir() and list((out / "store" / "runs").glob("*/started.json")):
            found = status(Corpus(out))
            seen.append(found)
            if found.stages and 0 < found.stages[0].done < found.stages[0].of:
                break
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert seen[-1].state == "tagging"
    assert sorted({each.state for each in seen}, key=["planning", "tagging"].index) == [
        each for each in ("planning", "tagging") if each in {s.state for s in seen}
    ]
    time.sleep(1.1)
    after = status(Corpus(out))
    assert (after.run, after.state) == (seen[-1].run, "tagging")
    assert after.stages[0].done >= seen[-1].stages[0].done
    assert after.silent >= 1
    assert "last sign of it" in list(in_words(after))[-1]
    nights.finish(["run", str(run), "-o", str(out), *nights.AS_OF])
    assert status(Corpus(out)).state == "published"


def test_logs_are_json_with_the_runs_name_and_no_text(everyday_corpus: Path, tmp_path: Path) -> None:
    command = [
        nights.WINNOW,
        "run",
        str(everyday_corpus),
        "-o",
        str(tmp_path / "out"),
        "--log-json",
        "--name",
        "logged",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert {line["run"] for line in lines} == {"logged"}
    assert [line["event"] for line in lines[:1] + lines[-1:]] == ["started", "published"]
    by_event = {event: [line for line in lines if line["event"] == event] for event in ("tag", "release")}
    counts = Corpus(tmp_path / "out").manifest()["counts"]
    assert sum(line["records"] + line["dead"] for line in by_event["tag"]) == counts["read"]
    for door in ("clean", "quarantined", "dropped", "dead"):
        assert sum(line[door] for line in by_event["release"]) == counts[door]
    assert not any(word in done.stderr for word in (MAIL, MOBILE, "weather", "wheel"))


def test_beam_counts_what_passed(screen: Screen, everyday_corpus: Path, tmp_path: Path) -> None:
    run = prepare(read_run_file(write_run_file(tmp_path / "run.yaml", screen, everyday_corpus, workers=1)))
    Notes(run.job.root, run.name).begin("2026-01-01T00:00:00+00:00", "local", "release")
    pipeline = beam.Pipeline(runner=run.engine.runner, options=run.engine.pipeline_options(1))
    build(pipeline, replace(run, workers=0))
    result = pipeline.run()
    result.wait_until_finish()
    found = result.metrics().query(beam.metrics.MetricsFilter().with_namespace("winnow"))
    counters = {each.key.metric.name: each.committed for each in found["counters"]}
    outcome = Notes(run.job.root, run.name).read("outcome")
    assert counters["tag_records"] + counters["tag_dead"] == outcome["counts"]["read"]
    assert {door: counters[f"release_{door}"] for door in ("clean", "quarantined", "dropped", "dead")} == {
        door: outcome["counts"][door] for door in ("clean", "quarantined", "dropped", "dead")
    }
    assert counters["tag_findings_lexicon"] > 0
    assert counters["tag_findings_personal"] > 0
    assert counters["tag_dead_bad_json"] > 0
    assert counters["tag_splits"] == counters["release_splits"] == outcome["work"]["splits"]
    assert counters["tag_bytes"] > 0
    (spread,) = [each.committed for each in found["distributions"] if each.key.metric.name == "tag_split_milliseconds"]
    assert spread.count == counters["tag_splits"]


def test_a_worker_with_other_code_or_another_output_refuses(
    screen: Screen, everyday_corpus: Path, tmp_path: Path
) -> None:
    run = prepare(read_run_file(write_run_file(tmp_path / "run.yaml", screen, everyday_corpus, workers=1)))
    pipeline = beam.Pipeline(runner=run.engine.runner, options=run.engine.pipeline_options(1))
    build(pipeline, replace(run, workers=0))
    with pytest.raises(Exception, match="does not see the output"):
        pipeline.run().wait_until_finish()
    notes = Notes(run.job.root, run.name)
    notes.write("started", {"started": "", "engine": "flink", "until": "release", "code": "other"})
    with pytest.raises(WinnowError, match="has other code of Winnow than the launcher"):
        notes.check_here()
