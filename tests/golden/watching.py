"""What the store says about a run under way, and nights to disturb: for the tests of kills, here and on clusters."""

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nights
import pytest

from pipeline.corpus import Corpus
from pipeline.verify import verify

STAGES = ("plan", "tag", "judge", "release", "publish", "done")


@dataclass(frozen=True)
class Seen:
    """What the store says about a run."""

    stage: str
    layers: int
    receipts: int
    where: str
    staged: int = 0


@dataclass(frozen=True)
class Night:
    """A run to disturb.

    Attributes:
        before: output to start from, or None for none.
        run: the run file.
        expected: output of the same run, undisturbed.
        contents: what is in it.
        steps: how many steps its judge takes, where that was tried.
    """

    before: Path | None
    run: Path
    expected: Path
    contents: dict[str, str]
    steps: int = 0


def count(folder: Path) -> int:
    try:
        return sum(len(os.listdir(entry.path)) for entry in os.scandir(folder))
    except FileNotFoundError:
        return 0


def runs(output: Path) -> set[str]:
    folder = output / "store" / "runs"
    return set(os.listdir(folder)) if folder.is_dir() else set()


def look(output: Path, known: set[str], total: int, number: int) -> Seen:
    """Return where the run stands that is not among the known ones.

    Args:
        total: layers that are there when tagging is done.
        number: of the release that it starts from.
    """
    store = output / "store"
    layers, receipts = count(store / "layers"), count(store / "receipts")
    new = sorted(runs(output) - known)
    notes = set(os.listdir(store / "runs" / new[-1])) if new else set()
    link = output / "current"
    current = int(link.readlink().name) if link.is_symlink() else 0
    scratch = os.listdir(store / "tmp") if (store / "tmp").is_dir() else []
    if current > number:
        return Seen("done", layers, receipts, "")
    if "outcome.json" in notes:
        staged = sum(len(files) for name in scratch for _, _, files in os.walk(store / "tmp" / name))
        is_placed = (output / "releases" / str(number + 1)).exists()
        where = "release in its place, pointer not moved" if is_placed else f"{staged} files staged"
        return Seen("publish", layers, receipts, where, 1 << 30 if is_placed else staged)
    if "judge.json" in notes:
        return Seen("release", layers, receipts, f"{receipts} receipts, {len(scratch)} scratch files")
    if "plan.json" in notes and layers >= total:
        where = f"{len(os.listdir(store / 'states')) if (store / 'states').is_dir() else 0} state files"
        return Seen("judge", layers, receipts, f"all {layers} layers, {where}")
    where = f"{layers} of {total} layers, {len(scratch)} scratch files"
    return Seen("tag" if "plan.json" in notes else "plan", layers, receipts, where)


def copy(before: Path | None, output: Path) -> None:
    shutil.rmtree(output, ignore_errors=True)
    if before is not None:
        subprocess.run(["cp", "-a", str(before), str(output)], check=True)


def totals(night: Night) -> tuple[int, int, int, int]:
    """Return the layers and receipts when the night begins, and when it is done."""
    start = (0, 0) if night.before is None else tuple(count(night.before / "store" / n) for n in ("layers", "receipts"))
    end = tuple(count(night.expected / "store" / name) for name in ("layers", "receipts"))
    return (*start, *end)  # type: ignore[return-value]


def undisturbed(folder: Path, before: Path | None, run: Path, name: str) -> Night:
    expected = folder / name
    copy(before, expected)
    nights.finish(["run", str(run), "-o", str(expected), *nights.AS_OF])
    nights.finish(["verify", str(expected)])
    return Night(before, run, expected, nights.contents(expected))


def two_nights(folder: Path) -> tuple[Night, Night]:
    """Return two nights: the first of a corpus, and a second on which a source turns bad, so that the first is recalled."""
    shards = nights.write_shards(folder / "in", range(18), 120, bad_from=6)
    whole = nights.write_run_file(folder / "whole.json.yaml", shards, folder / "in", split_size="20KB")
    half = nights.write_run_file(folder / "half.json.yaml", shards[:6], folder / "in", split_size="20KB")
    early = folder / "early"
    nights.finish(["run", str(half), "-o", str(early), *nights.AS_OF])
    first = undisturbed(folder, None, whole, "first")
    second = undisturbed(folder, early, whole, "second")
    layers = count(first.expected / "store" / "layers")
    assert layers >= 30
    assert count(second.expected / "store" / "receipts") > layers, "nothing was recalled"
    return first, second


def check_done(night: Night, output: Path, mark: str) -> None:
    assert not nights.all_gone(mark), "processes outlived their run"
    assert nights.contents(output) == night.contents
    assert list(verify(Corpus(output))) == []
    assert sorted(os.listdir(output)) == sorted(os.listdir(night.expected)), "something is left at the root"
    assert sorted(os.listdir(output / "releases")) == sorted(os.listdir(night.expected / "releases"))
    release = (output / "current").resolve()
    listed = sorted(str(path.relative_to(release)) for path in release.rglob("*"))
    beside = (night.expected / "current").resolve()
    assert listed == sorted(str(path.relative_to(beside)) for path in beside.rglob("*")), (
        "something is left in the release"
    )


def printed(request: pytest.FixtureRequest, head: str) -> Callable[[str], None]:
    """Print the head of a table, and return what prints its rows, whatever pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(row: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{row}", end=" ", flush=True)

    show(head)
    return show
