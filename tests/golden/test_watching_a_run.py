"""What can be seen of a run from outside: its status in the store, its logs, its metrics."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import nights
import pytest
from conftest import MAIL, MOBILE, Cli, Screen, records, write_run_file, write_shard

from models.agenda import Agenda
from models.errors import ToolError, UsageError, WinnowError
from models.store import Entry, LocalStore
from pipeline.build import build
from pipeline.config import read_run_file
from pipeline.corpus import Corpus
from pipeline.launch import launch, prepare
from pipeline.status import in_words, status
from transforms.code import code_digest, libraries
from transforms.conclude import Conclude
from transforms.judge import Judge
from transforms.metrics import Count
from transforms.notes import Notes
from transforms.tag import TagSplits


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
    assert "error: DeadLetterLimitError: 200 of 200 entries are dead letters" in said


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
    notices = [line for line in lines if line["event"] == "notice"]
    assert ["one source here, (personal)" in line["notice"] for line in notices] == [True]
    assert [line["event"] for line in lines[:1] + lines[-2:]] == ["started", "published", "notice"]
    by_event = {event: [line for line in lines if line["event"] == event] for event in ("tag", "release")}
    counts = Corpus(tmp_path / "out").manifest()["counts"]
    assert sum(line["records"] + line["dead"] for line in by_event["tag"]) == counts["read"]
    for door in ("clean", "quarantined", "dropped", "dead"):
        assert sum(line[door] for line in by_event["release"]) == counts[door]
    (metrics,) = [line for line in lines if line["event"] == "metrics"]
    counted = {
        name for stage, some in by_event.items() for line in some for name in line if f"{stage}_{name}" in metrics
    }
    assert counted >= {"records", "dead", "bytes", "findings_personal", "clean", "quarantined"}
    for stage, some in by_event.items():
        for name in counted & some[0].keys():
            assert metrics[f"{stage}_{name}"] == sum(line.get(name, 0) for line in some), f"{stage}_{name}"
        spread = metrics[f"{stage}_split_milliseconds"]
        assert spread["count"] == metrics[f"{stage}_splits"] == len(some)
        assert 0 <= spread["min"] <= spread["max"] <= spread["sum"]
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
    for given, said in (
        ({"code": "other", "libraries": libraries()}, "has other code of Winnow than the launcher"),
        ({"code": code_digest(), "libraries": libraries() | {"pyarrow": "9.9"}}, r"pyarrow [0-9.]+ instead of 9\.9"),
        ({"code": code_digest(), "libraries": libraries() | {"more": "1"}}, "more none instead of 1"),
    ):
        (tmp_path / "out" / "store" / "runs" / run.name / "started.json").unlink(missing_ok=True)
        notes.write("started", {"started": "", "engine": "flink", "until": "release"} | given)
        with pytest.raises(WinnowError, match=said):
            notes.check_here()


@pytest.mark.parametrize("step", ["Judge", "Conclude", "Count", "Bundle"])
def test_a_step_without_a_pool_looks_at_its_code_too(
    step: str, screen: Screen, everyday_corpus: Path, tmp_path: Path
) -> None:
    run = prepare(read_run_file(write_run_file(tmp_path / "run.yaml", screen, everyday_corpus, workers=1)))
    job, notes = run.job, Notes(run.job.root, "never-begun")
    nothing: Any = None
    steps: dict[str, Callable[[], object]] = {
        "Judge": lambda: Judge(job, notes, nothing)._judge([], Agenda("", "", 0, 0, 0)),
        "Conclude": lambda: Conclude(job, run.base, notes, nothing, nothing)._segment((0, []), nothing, nothing),
        "Count": lambda: list(Count("tag", notes, dict).process([])),
        "Bundle": lambda: TagSplits(job, notes, 1, 1.0)._bundle((0, [])),
    }
    with pytest.raises(UsageError, match="does not see the output"):
        steps[step]()


def test_what_decides_bytes_is_compared() -> None:
    wanted = {
        "python",
        "pyarrow",
        "hyperscan",
        "presidio-analyzer",
        "phonenumbers",
        "fasttext-community",
        "numpy",
        "orjson",
    }
    assert wanted <= libraries().keys()
    assert "none" not in libraries().values()


def test_a_step_that_fails_notes_the_class_of_any_exception_and_none_of_its_words(tmp_path: Path) -> None:
    notes = Notes(str(tmp_path), "run")
    notes.begin("2026-01-01T00:00:00+00:00", "flink", "release")
    with pytest.raises(ValueError, match="secret"), notes.step():
        int("a secret of a record")
    (noted,) = notes.errors()
    assert (noted.error, noted.as_ours) == ("ValueError", None)
    assert "secret" not in noted.message
    assert "raised at golden/test_watching_a_run.py:" in noted.message


def test_only_its_launcher_says_that_a_run_has_failed(cli: Cli, tmp_path: Path) -> None:
    """An engine tries again what failed; and what no step noted has failed all the same."""
    corpus = Corpus(tmp_path / "out")
    for run, error in (("tried-again", ToolError("no progress")), ("unseen", None)):
        notes = Notes(corpus.root, run)
        notes.begin("2026-01-01T00:00:00+00:00", "flink", "release", outlives=True)
        with contextlib.suppress(ToolError), notes.step():
            if error:
                raise error
        assert status(corpus, run).state == "planning"
        notes.end("failed", "ToolError")
        assert status(corpus, run).state == "failed"
        code, said, _ = cli("status", corpus.root, "--run", run, "--watch", "1")
        assert (code, "ToolError" in said) == (1, True)


def test_a_run_that_fell_silent_is_not_watched_for_ever(cli: Cli, tmp_path: Path) -> None:
    notes = Notes(str(tmp_path / "out"), "run")
    notes.begin("2026-01-01T00:00:00+00:00", "flink", "release", outlives=True)
    long_ago = time.time() - 7200
    os.utime(tmp_path / "out" / "store" / "runs" / "run" / "started.json", (long_ago, long_ago))
    code, _, said = cli("status", tmp_path / "out", "--watch", "1")
    assert (code, "no sign of life" in said) == (1, True)


def test_status_lists_only_folders_that_lack_something(
    screen: Screen, everyday_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    screen(everyday_corpus, out, until="tag")
    listed: list[str] = []
    plain = LocalStore.list

    def note(store: LocalStore, prefix: str) -> Iterator[Entry]:
        listed.append(prefix)
        return plain(store, prefix)

    monkeypatch.setattr(LocalStore, "list", note)
    seen: dict[str, float] = {}
    first = status(Corpus(out), None, seen)
    assert first.stages[0].done == first.stages[0].of == len(seen) > 1
    of_layers = [prefix for prefix in listed if prefix.startswith("layers")]
    assert sorted(of_layers) == sorted({name.rpartition("/")[0] for name in seen})
    listed.clear()
    assert replace(status(Corpus(out), None, seen), silent=0) == replace(first, silent=0)
    assert not [prefix for prefix in listed if prefix.startswith("layers")], (
        "what was seen once is not looked for again"
    )


def test_a_run_that_lost_the_race_says_who_goes_on(screen: Screen, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / "in" / f"{name}.jsonl", records(f"{name}.example", 30))
    out, root = tmp_path / "out", str(tmp_path / "in")
    loser = screen.prepare(tmp_path / "in" / "a.jsonl", out, input_root=root)
    screen(tmp_path / "in" / "b.jsonl", out, input_root=root)
    result = launch(loser, to_publish=True, say=screen.said.append)
    assert result.published is not None
    assert result.published.number == 2
    found = status(Corpus(out), loser.name)
    assert (found.state, found.again) == ("outrun", f"{loser.name}-again")
    assert status(Corpus(out), found.again).state == "published"
    assert f"as run {loser.name}-again" in screen.said[-1]
