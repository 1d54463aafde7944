"""Garbage collection: what a kept release or a finished run names stays, everything else goes, and never beside a run."""

import os
import shutil
import time
from pathlib import Path

import pytest
from conftest import Cli, Screen, objects, records, write_shard

from models.errors import InputOutputError, UsageError
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.gc import DAY, collect
from pipeline.publish import publish
from pipeline.verify import verify
from pipeline.waiting import waiting
from transforms.notes import Notes


def three_releases(screen: Screen, tmp_path: Path, **options: object) -> Path:
    """Make three releases, each of which writes the one shard anew."""
    out = tmp_path / "out"
    for number in range(3):
        write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 30 + number, unlawful=1))
        screen(tmp_path / "in", out, **options)
    assert Corpus(out).number == 3
    return out


def test_old_releases_go_and_the_others_stay_as_they_say(screen: Screen, tmp_path: Path) -> None:
    out = three_releases(screen, tmp_path)
    before = objects(out)
    trial = collect(Corpus(out), 2, 0, is_trial=True)
    assert objects(out) == before
    done = collect(Corpus(out), 2, 0, is_trial=False)
    assert done == trial
    assert done.releases == (1,)
    assert 0 < len(before) - len(objects(out)) <= done.objects
    for number in (2, 3):
        assert not list(verify(Corpus(out), number))
    with pytest.raises(UsageError, match="no release 1 here"):
        Corpus(out).manifest(1)
    assert not screen(tmp_path / "in", out).published.is_new


def test_what_is_young_stays(screen: Screen, tmp_path: Path) -> None:
    out = three_releases(screen, tmp_path)
    before = objects(out)
    assert collect(Corpus(out), 1, 1, is_trial=False).objects == 0
    assert objects(out) == before


def test_a_finished_run_that_waits_to_be_published_keeps_its_objects(screen: Screen, tmp_path: Path) -> None:
    out = three_releases(screen, tmp_path)
    write_shard(tmp_path / "in" / "b.jsonl", records("t.example", 30))
    screen(tmp_path / "in", out, to_publish=False)
    collect(Corpus(out), 1, 0, is_trial=False)
    _, outcome, started = waiting(Corpus(out))
    assert publish(Corpus(out), outcome, started).number == 4
    assert not list(verify(Corpus(out)))


def test_nothing_is_deleted_beside_a_run(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    out = three_releases(screen, tmp_path)
    before = objects(out)
    with LocalStore(out / "store").in_use():
        code, _, said = cli("gc", out, "--grace", "0")
    assert code == 2
    assert "a run is under way" in said
    assert objects(out) == before


@pytest.mark.parametrize("way", ["ended by hand", "silent for two days", "finished"])
def test_nothing_is_deleted_beside_a_run_that_nobody_watches(
    way: str, screen: Screen, tmp_path: Path, cli: Cli
) -> None:
    """A detached job, or one whose launcher was killed: it holds no lease."""
    out = three_releases(screen, tmp_path)
    notes = Notes(str(out), "left-alone")
    notes.begin("2026-01-01T00:00:00+00:00", "dataflow", "release", outlives=True)
    before = objects(out)
    code, _, said = cli("gc", out, "--grace", "0", "--keep", "1")
    assert code == 2
    assert "run left-alone on dataflow has not ended, as far as is known: planning" in said
    assert f"winnow gc {out} --ended left-alone" in said
    assert objects(out) == before
    more = []
    if way == "ended by hand":
        more = ["--ended", "left-alone"]
    elif way == "finished":
        notes.write("outcome", Notes(str(out), waiting_or_last(out)).read("outcome"))
    else:
        long_ago = time.time() - 2 * DAY
        os.utime(out / "store" / "runs" / "left-alone" / "started.json", (long_ago, long_ago))
    assert cli("gc", out, "--grace", "0", "--keep", "1", *more)[0] == 0
    assert objects(out) != before


def waiting_or_last(out: Path) -> str:
    return max(path.parent for path in (out / "store" / "runs").glob("*/outcome.json")).name


def test_a_dry_run_and_a_run_of_this_machine_are_not_waited_for(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    out = three_releases(screen, tmp_path)
    Notes(str(out), "dry").begin("2026-01-01T00:00:00+00:00", "dataflow", "release", outlives=True, is_trial=True)
    Notes(str(out), "killed").begin("2026-01-01T00:00:00+00:00", "local", "release")
    assert cli("gc", out, "--grace", "0")[0] == 0


@pytest.mark.parametrize(
    "what", ["parts/*/*/*/clean.jsonl", "catalogues/*.*", "catalogues/segments/*.arrow", "layers/*/*.arrow"]
)
def test_what_went_before_a_run_was_published_is_named_with_the_remedy(
    what: str, screen: Screen, tmp_path: Path
) -> None:
    write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 30))
    out = tmp_path / "out"
    screen(tmp_path / "in", out, to_publish=False)
    _, outcome, started = waiting(Corpus(out))
    for path in (out / "store").glob(what):
        path.unlink()
    with pytest.raises(InputOutputError, match=r"is gone, which is .*run again, which makes it anew"):
        publish(Corpus(out), outcome, started)
    assert Corpus(out).number == 0
    assert screen(tmp_path / "in", out).published.number == 1
    assert not list(verify(Corpus(out)))


def test_what_lies_apart_goes_too(screen: Screen, tmp_path: Path) -> None:
    apart = tmp_path / "apart"
    out = three_releases(screen, tmp_path, restricted=str(apart))
    held = len(list((apart / "store").rglob("*.jsonl")))
    collect(Corpus(out), 1, 0, is_trial=False)
    assert 0 < len(list((apart / "store").rglob("*.jsonl"))) < held
    assert [path.name for path in (apart / "releases").iterdir()] == ["3"]
    assert not list(verify(Corpus(out)))


def test_a_receipt_without_its_parts_is_not_believed(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    """As after a deletion that was cut short, or a disk that lost files."""
    out, again = tmp_path / "out", tmp_path / "again"
    screen(corpus, out, to_publish=False)
    shutil.rmtree(out / "store" / "parts")
    screen(corpus, out)
    assert not list(verify(Corpus(out)))
    screen(corpus, again)
    assert {name for name in objects(out) if "runs/" not in name} >= {n for n in objects(again) if "runs/" not in n}


def test_a_folder_that_is_no_corpus_is_named(tmp_path: Path, cli: Cli) -> None:
    code, _, said = cli("gc", tmp_path / "nothing")
    assert code == 2
    assert "no corpus here" in said
