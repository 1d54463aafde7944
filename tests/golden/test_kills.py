"""Runs that are killed and started again end in the bytes of a run that nothing disturbed.

The stage under way is told from outside, by what lies in the store. Tag and release are killed once so many layers or receipts
are there, publish once so many files are staged; judge and publish last milliseconds, so the run is stopped and continued in
small steps (SIGSTOP, SIGCONT) until it stands in them. Where a kill fell is looked up after death, when nothing moves any more;
one that came too late is repeated.

Seeds come from ``WINNOW_KILL_SEED`` (20260101 by default) and stand in the table that is printed.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nights
import pytest

from pipeline.corpus import Corpus
from pipeline.verify import verify

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("WINNOW_KILL_SEED", "20260101"))
STAGES = ("plan", "tag", "judge", "release", "publish", "done")
KILLS = [(stage, SEED + 10 * number + each) for number, stage in enumerate(STAGES[1:5]) for each in range(5)]
ATTEMPTS = 8
STEP = 0.002
FINE_STEP = 0.0004


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
    """A run to kill.

    Attributes:
        before: output to start from, or None for none.
        run: the run file.
        expected: output of the same run, undisturbed.
        contents: what is in it.
        steps: how many steps its judge takes.
    """

    before: Path | None
    run: Path
    expected: Path
    contents: dict[str, str]
    steps: int


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


def signal_group(process: "subprocess.Popen[str]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


class Stepper:
    """Lets a run go on in small steps, and counts those that begin in judge."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.steps = 0

    def hold(self) -> None:
        signal_group(self._process, signal.SIGSTOP)
        time.sleep(FINE_STEP)

    def go(self, stage: str) -> None:
        self.steps += stage == "judge"
        signal_group(self._process, signal.SIGCONT)
        time.sleep(FINE_STEP if stage == "publish" else STEP)


def copy(before: Path | None, output: Path) -> None:
    shutil.rmtree(output, ignore_errors=True)
    if before is not None:
        subprocess.run(["cp", "-a", str(before), str(output)], check=True)


def totals(night: Night) -> tuple[int, int, int, int]:
    """Return the layers and receipts when the night begins, and when it is done."""
    start = (0, 0) if night.before is None else tuple(count(night.before / "store" / n) for n in ("layers", "receipts"))
    end = tuple(count(night.expected / "store" / name) for name in ("layers", "receipts"))
    return (*start, *end)  # type: ignore[return-value]


def kill_in(
    stage: str, dice: random.Random, night: Night, output: Path, steps: int, haste: float = 1
) -> tuple[Seen, int]:
    """Start the night and kill it in a stage, at a place that the dice choose; return where it died, and its steps there.

    Args:
        steps: how many there are to choose from in judge.
        haste: from 1 down to 0: how much of the other stages to leave the dice.
    """
    copy(night.before, output)
    known, number = runs(output), 0 if night.before is None else 1
    first_layer, first_receipt, last_layer, last_receipt = totals(night)
    goal = {
        "tag": first_layer + 1 + int((last_layer - first_layer - 1) * haste * dice.random()),
        "release": first_receipt + int((last_receipt - first_receipt + 1) * haste * dice.random()),
        # Beyond all files: the release in its place, before the pointer moves.
        "publish": int(1.3 * haste * dice.random() * sum(1 for _ in (night.expected / "current").resolve().rglob("*"))),
    }
    last_step = int(steps * dice.random())
    wait = dice.random() * 0.03 * haste
    mark = uuid.uuid4().hex
    process = nights.start(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
    stepper = Stepper(process)
    while process.poll() is None:
        seen = look(output, known, last_layer, number)
        if STAGES.index(seen.stage) > STAGES.index(stage):
            break
        if stage in ("tag", "release"):
            if seen.stage == stage and (seen.layers if stage == "tag" else seen.receipts) >= goal[stage]:
                time.sleep(wait)
                break
        elif seen.layers >= last_layer - 2 and (stage == "judge" or seen.receipts >= last_receipt - 2):
            stepper.hold()
            seen = look(output, known, last_layer, number)
            if seen.stage == stage and (
                seen.staged >= goal[stage] if stage == "publish" else stepper.steps >= last_step
            ):
                break
            stepper.go(seen.stage)
            continue
        time.sleep(STEP)
    signal_group(process, signal.SIGKILL)
    process.communicate()
    assert not nights.all_gone(mark), "processes outlived the kill of their group"
    return look(output, known, last_layer, number), stepper.steps


def rehearse(night: Night, output: Path) -> int:
    """Run the night in steps to its end, and return how many its judge took."""
    copy(night.before, output)
    known, number = runs(output), 0 if night.before is None else 1
    *_, last_layer, last_receipt = totals(night)
    process = nights.start(["run", str(night.run), "-o", str(output), *nights.AS_OF])
    stepper = Stepper(process)
    while process.poll() is None:
        seen = look(output, known, last_layer, number)
        if seen.stage == "done":
            break
        if seen.layers < last_layer - 2 or (seen.stage == "release" and seen.receipts < last_receipt - 2):
            time.sleep(STEP)
            continue
        stepper.hold()
        stepper.go(look(output, known, last_layer, number).stage)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    assert nights.contents(output) == night.contents
    return stepper.steps


def make_night(folder: Path, before: Path | None, run: Path, name: str) -> Night:
    expected = folder / name
    copy(before, expected)
    nights.finish(["run", str(run), "-o", str(expected), *nights.AS_OF])
    nights.finish(["verify", str(expected)])
    night = Night(before, run, expected, nights.contents(expected), 0)
    return Night(before, run, expected, night.contents, rehearse(night, folder / "rehearsal"))


@pytest.fixture(scope="module")
def all_nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Night, Night]:
    """Return two nights: the first of a corpus, and a second on which a source turns bad, so that the first is recalled."""
    folder = tmp_path_factory.mktemp("kills")
    shards = nights.write_shards(folder / "in", range(18), 120, bad_from=6)
    whole = nights.write_run_file(folder / "whole.json.yaml", shards, folder / "in", split_size="20KB")
    half = nights.write_run_file(folder / "half.json.yaml", shards[:6], folder / "in", split_size="20KB")
    early = folder / "early"
    nights.finish(["run", str(half), "-o", str(early), *nights.AS_OF])
    first = make_night(folder, None, whole, "first")
    second = make_night(folder, early, whole, "second")
    layers = count(first.expected / "store" / "layers")
    assert layers >= 30
    assert count(second.expected / "store" / "receipts") > layers, "nothing was recalled"
    return first, second


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return what prints a row of the table, whatever pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def show(row: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{row}", end=" ", flush=True)

    show("stage    seed      night   tries  killed at")
    return show


def check_resumed(night: Night, output: Path) -> None:
    """Start the same command again, and compare."""
    mark = uuid.uuid4().hex
    nights.finish(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
    check_done(night, output, mark)


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


@pytest.mark.parametrize(("stage", "seed"), KILLS)
def test_a_killed_run_resumes_to_the_undisturbed_bytes(
    stage: str, seed: int, all_nights: tuple[Night, Night], tmp_path: Path, table: Callable[[str], None]
) -> None:
    night, output, dice = all_nights[seed % 2], tmp_path / "out", random.Random(seed)
    steps = night.steps
    for attempt in range(1, ATTEMPTS + 1):
        died, made = kill_in(stage, dice, night, output, steps, haste=1 - (attempt - 1) / ATTEMPTS)
        if died.stage == stage:
            break
        steps = min(steps, made) * 3 // 4  # it came too late: judge took so many steps this time
    else:
        pytest.fail(f"no kill fell into {stage} in {ATTEMPTS} attempts (seed {seed}); the last fell into {died}")
    table(f"{stage:8} {seed}  {'second' if night.before else 'first':6}  {attempt:5}  {died.where}")
    check_resumed(night, output)


def test_what_kills_leave_behind_is_collected(all_nights: tuple[Night, Night], tmp_path: Path) -> None:
    night, output = all_nights[0], tmp_path / "out"
    kill_in("release", random.Random(SEED), night, output, 0, haste=0.5)
    scratch = output / "store" / "tmp"
    (scratch / "left").write_text("over")
    check_resumed(night, output)
    nights.finish(["gc", str(output), "--grace", "0"])
    assert not [path for path in scratch.rglob("*") if path.is_file()]
    assert nights.contents(output) == night.contents
    assert list(verify(Corpus(output))) == []
    assert "nothing to do" in nights.finish(["run", str(night.run), "-o", str(output), *nights.AS_OF])


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def workers_of(mark: str) -> list[int]:
    """Return the pool's workers: children of the fork server."""
    found = []
    for pid in nights.processes(mark):
        try:
            if b"forkserver" in Path(f"/proc/{parent_of(pid)}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("stage", "seed"), [("tag", SEED), ("tag", SEED + 1), ("release", SEED + 2), ("release", SEED + 3)]
)
def test_a_run_recovers_from_a_killed_worker(
    stage: str, seed: int, all_nights: tuple[Night, Night], tmp_path: Path, table: Callable[[str], None]
) -> None:
    night, output, dice = all_nights[seed % 2], tmp_path / "out", random.Random(seed)
    first_layer, first_receipt, last_layer, last_receipt = totals(night)
    tries = 0
    for _ in range(ATTEMPTS):
        tries += 1
        copy(night.before, output)
        known, number, mark = runs(output), 0 if night.before is None else 1, uuid.uuid4().hex
        share = 0.1 + 0.5 * dice.random()
        process = nights.start(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
        victim = 0
        while process.poll() is None and not victim:
            seen = look(output, known, last_layer, number)
            done = {
                "tag": (seen.layers - first_layer) / (last_layer - first_layer),
                "release": (seen.receipts - first_receipt) / (last_receipt - first_receipt),
            }[stage]
            there = workers_of(mark) if seen.stage == stage and done >= share else []
            if there:
                victim = dice.choice(there)
                os.kill(victim, signal.SIGKILL)
                seen = look(output, known, last_layer, number)
            time.sleep(STEP)
        said = process.communicate(timeout=120)[0]
        assert process.returncode == 0, said
        if victim and seen.stage == stage:
            break
    else:
        pytest.fail(f"no worker was killed in {stage} in {ATTEMPTS} attempts")
    table(f"{stage:8} {seed}  {'second' if night.before else 'first':6}  {tries:5}  one worker, {seen.where}")
    check_done(night, output, mark)


def test_workers_go_with_their_launcher(all_nights: tuple[Night, Night], tmp_path: Path) -> None:
    night, output, mark = all_nights[0], tmp_path / "out", uuid.uuid4().hex
    process = nights.start(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
    while process.poll() is None and not (count(output / "store" / "layers") and workers_of(mark)):
        time.sleep(STEP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not nights.all_gone(mark), "workers outlived their launcher"
    check_resumed(night, output)
