"""Readers while releases are published, and two runs at once over one output."""

import glob
import os
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import nights
import pytest
from conftest import Screen, records, write_shard

from pipeline.config import from_options
from pipeline.corpus import Corpus
from pipeline.launch import launch, prepare
from pipeline.verify import verify


def listing(manifest: dict[str, Any]) -> frozenset[str]:
    """Return a release's clean files, as its manifest lists them."""
    files = manifest["files"]
    return frozenset(file["path"].removeprefix("clean/") for file in files if file["path"].startswith("clean/"))


class Reader(threading.Thread):
    """Lists and reads ``clean`` over and over, until told to stop.

    Attributes:
        seen: every listing that a plain glob gave.
        resolved: every listing of the folder that ``clean`` led to, with the number of its release.
        broken: files that were not whole.
    """

    def __init__(self, output: Path) -> None:
        super().__init__(daemon=True)
        self._output = output
        self._over = threading.Event()
        self.seen: list[frozenset[str]] = []
        self.resolved: list[tuple[int, frozenset[str]]] = []
        self.broken: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._over.is_set():
                self._look()
                time.sleep(0.01)
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.error = error

    def _look(self) -> None:
        clean = self._output / "clean"
        found = glob.glob(str(clean / "**"), recursive=True)
        names = (os.path.relpath(path, clean) for path in found if path.endswith((".jsonl", ".gz", ".parquet")))
        self.seen.append(frozenset(names))
        folder = clean.resolve()
        paths = [path for path in folder.rglob("*") if path.is_file()]
        self.resolved.append((int(folder.parent.name), frozenset(str(path.relative_to(folder)) for path in paths)))
        self.broken += [str(path) for path in paths if not nights.is_whole(path)]

    def stop(self) -> None:
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize("is_flat", [True, False], ids=["flat", "nested"])
def test_a_reader_sees_one_release_each_time(tmp_path: Path, screen: Screen, is_flat: bool) -> None:
    shards = [Path(path) for path in nights.write_shards(tmp_path / "in", range(9), 20, subfolders=not is_flat)]
    shards += [
        write_shard(tmp_path / "in" / f"small-{number}.jsonl", records("small.example", 5, first=number * 5))
        for number in range(3)
    ]
    output = tmp_path / "out"
    choices = [shards, shards[:7], shards[3:], [*shards[:2], *shards[6:]]]
    options = {"input_root": str(tmp_path / "in"), "max_dead": {"at_least": 1000}, "exact": True}
    screen(choices[0], output, **options)
    reader = Reader(output)
    reader.start()
    try:
        for turn in range(1, 13):
            screen(choices[turn % 4], output, **options, policy="minimal" if turn % 3 == 2 else str(screen.policy))
    finally:
        reader.stop()
    corpus = Corpus(output)
    released = {number: listing(corpus.manifest(number)) for number in corpus.numbers()}
    assert list(released) == list(range(1, 14))
    assert all(released[number] == names for number, names in reader.resolved)
    assert len({number for number, _ in reader.resolved}) > 5, (
        "the reader saw too few releases for the test to mean much"
    )
    assert not reader.broken
    if is_flat:
        # One folder is listed in one go. Below subfolders a plain glob goes back to the link for each of them; a reader of
        # several folders resolves ``clean`` first, as above.
        assert set(reader.seen) <= set(released.values())


def start(shards: list[str], output: Path, root: Path, mark: str) -> "subprocess.Popen[str]":
    return nights.start(["run", *shards, "-o", str(output), "--input-root", str(root), *nights.AS_OF], mark)


def end(process: "subprocess.Popen[str]") -> str:
    said = process.communicate(timeout=180)[0]
    assert process.returncode == 0, said
    return said


def paths_in(output: Path, number: int) -> set[str]:
    return set(Corpus(output).catalogue(number).paths)


def test_two_runs_at_once_over_different_shards_lose_nothing(tmp_path: Path) -> None:
    root, output, mark = tmp_path / "in", tmp_path / "out", uuid.uuid4().hex
    shards = nights.write_shards(root, range(6), 100)
    loser = start(shards[:3], output, root, mark)
    while not list(output.glob("store/runs/*/plan.json")):
        assert loser.poll() is None
        time.sleep(0.005)
    # It has read the base that it starts from. So that it surely loses, it sleeps until the other has published.
    os.killpg(loser.pid, signal.SIGSTOP)
    won = end(start(shards[3:], output, root, mark))
    os.killpg(loser.pid, signal.SIGCONT)
    lost = end(loser)
    assert "release 1 is in" in won
    assert "planning again" not in won
    assert "release 1 was published since this run started from nothing; planning again" in lost
    assert "release 2 is in" in lost
    assert not nights.all_gone(mark)
    corpus = Corpus(output)
    assert list(corpus.numbers()) == [1, 2]
    assert corpus.manifest()["base"] == 1
    assert paths_in(output, 1) == {Path(path).name for path in shards[3:]}
    assert paths_in(output, 2) == {Path(path).name for path in shards}
    assert list(verify(corpus)) == []
    alone = tmp_path / "alone"
    given = {"output": str(alone), "input_root": str(root), "as_of": nights.AS_OF[1], "workers": 1}
    for part in (shards[3:], shards[:3]):
        launch(prepare(from_options(given | {"inputs": tuple(part)})), to_publish=True)
    assert nights.contents(output) == nights.contents(alone)


def test_two_runs_at_once_over_the_same_shards_make_one_release(tmp_path: Path) -> None:
    root, output, mark = tmp_path / "in", tmp_path / "out", uuid.uuid4().hex
    shards = nights.write_shards(root, range(6), 100)
    both = [start(shards, output, root, mark) for _ in range(2)]
    said = [end(process) for process in both]
    assert not nights.all_gone(mark)
    assert list(Corpus(output).numbers()) == [1]
    assert paths_in(output, 1) == {Path(path).name for path in shards}
    assert sum("nothing to do" in each for each in said) == 1
    assert sum("release 1 is in" in each for each in said) == 1
    assert list(verify(Corpus(output))) == []


def test_runs_from_one_base_make_releases_in_a_row_and_each_adds_its_shard(tmp_path: Path, screen: Screen) -> None:
    """Four launches from one base, in threads of one process each behind the same lock: four releases, in a row."""
    output, options = tmp_path / "out", {"input_root": str(tmp_path / "in")}
    shards = [write_shard(tmp_path / "in" / f"s{n}.jsonl", records(f"s{n}.example", 12)) for n in range(4)]
    runs = [prepare(screen.settings(shard, output, **options)) for shard in shards]
    for number, run in enumerate(runs, 1):  # all were prepared from the same base: all but the first plan again
        result = launch(run, to_publish=True, say=screen.said.append)
        assert result.published is not None
        assert result.published.number == number
    assert len(screen.said) == 3
    assert all("planning again" in said for said in screen.said)
    assert paths_in(output, 4) == {f"s{n}.jsonl" for n in range(4)}
