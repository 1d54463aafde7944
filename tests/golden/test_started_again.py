"""A job that an engine starts again, at any point: the run is the same run, whatever happened meanwhile."""

import errno
from pathlib import Path

import apache_beam as beam
import pytest
from conftest import Screen, records, write_shard

from models.errors import InputOutputError
from models.outcome import Outcome
from models.store import LocalStore
from pipeline.build import Run, build
from pipeline.corpus import Corpus
from pipeline.engines import LOCAL
from pipeline.publish import publish
from pipeline.verify import verify
from transforms.notes import Notes
from transforms.trying import tried_each


def execute(run: Run) -> None:
    """Execute the graph as an engine does, which begins nothing."""
    pipeline = beam.Pipeline(runner=LOCAL.runner, options=LOCAL.pipeline_options(1))
    build(pipeline, run.in_place())
    pipeline.run().wait_until_finish()


def begin(run: Run) -> Notes:
    notes = Notes(run.job.root, run.name)
    notes.begin("2026-01-01T00:00:00+00:00", "flink", run.until)
    return notes


def test_a_job_that_is_started_again_after_its_end_says_the_same(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    run = screen.prepare(corpus, tmp_path / "out")
    notes = begin(run)
    execute(run)
    outcome = notes.read("outcome")
    assert outcome["work"]["tagged"] > 0
    execute(run)
    assert notes.read("outcome") == outcome
    assert list(notes.errors()) == []


def test_a_shard_that_arrives_before_a_job_is_started_again_waits_for_the_next_run(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run = screen.prepare(corpus, out)
    notes = begin(run)
    execute(run)
    shards = notes.read("plan")["shards"]
    write_shard(corpus / "arrived.jsonl", records("late.example", 30))
    execute(run)
    assert notes.read("plan")["shards"] == shards
    outcome = Outcome.from_dict(notes.read("outcome"))
    assert publish(Corpus(out), outcome, "2026-01-01T00:00:00+00:00").number == 1
    assert list(verify(Corpus(out))) == []
    assert Corpus(out).manifest()["shards"] == shards
    screen(corpus, out)
    assert Corpus(out).manifest()["shards"] == shards + 1


@pytest.mark.parametrize("folder", ["agendas", "tagged", "states", "catalogues"])
def test_a_step_that_fails_for_a_moment_is_tried_again_whether_it_is_pooled_or_not(
    folder: str, screen: Screen, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([True, True])
    plain = LocalStore.create_once

    def fail_twice(store: LocalStore, name: str, file: Path) -> str:
        if name.startswith(f"{folder}/") and next(failures, False):
            raise OSError(errno.EIO, "not now")
        return plain(store, name, file)

    monkeypatch.setattr(LocalStore, "create_once", fail_twice)
    assert screen(corpus, tmp_path / "out").published
    assert not next(failures, False), "nothing was written there"


def test_a_step_that_goes_on_failing_says_what_and_how_often(
    screen: Screen, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LocalStore.create_once

    def fail(store: LocalStore, name: str, file: Path) -> str:
        if name.startswith("states/"):
            raise OSError(errno.EIO, "never")
        return plain(store, name, file)

    monkeypatch.setattr(LocalStore, "create_once", fail)
    with pytest.raises(InputOutputError, match=r"judge: sources: .*never \(tried 3 times\)"):
        screen(corpus, tmp_path / "out")


def test_what_was_given_before_an_error_is_not_given_again() -> None:
    failures = iter([2, 2])

    def make():  # type: ignore[no-untyped-def]
        fail_at = next(failures, None)
        for number in range(5):
            if number == fail_at:
                raise OSError(errno.EIO, "not now")
            yield number

    assert list(tried_each("tag", "agenda", make)) == [0, 1, 2, 3, 4]
