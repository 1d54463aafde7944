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
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nights
import pytest
from watching import STAGES, Night, Seen, check_done, copy, count, look, printed, runs, totals, two_nights

from pipeline.corpus import Corpus
from pipeline.verify import verify

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("WINNOW_KILL_SEED", "20260101"))
KILLS = [(stage, SEED + 10 * number + each) for number, stage in enumerate(STAGES[1:5]) for each in range(5)]
ATTEMPTS = 8
STEP = 0.002
FINE_STEP = 0.0004


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


@pytest.fixture(scope="module")
def all_nights(tmp_path_factory: pytest.TempPathFactory) -> list[Night]:
    """Return the two nights, with the steps of their judges."""
    folder = tmp_path_factory.mktemp("kills")
    return [replace(night, steps=rehearse(night, folder / "rehearsal")) for night in two_nights(folder)]


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return printed(request, "stage    seed      night   tries  killed at")


def check_resumed(night: Night, output: Path) -> None:
    """Start the same command again, and compare."""
    mark = uuid.uuid4().hex
    nights.finish(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
    check_done(night, output, mark)


@pytest.mark.parametrize(("stage", "seed"), KILLS)
def test_a_killed_run_resumes_to_the_undisturbed_bytes(
    stage: str, seed: int, all_nights: list[Night], tmp_path: Path, table: Callable[[str], None]
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


def test_what_kills_leave_behind_is_collected(all_nights: list[Night], tmp_path: Path) -> None:
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
    stage: str, seed: int, all_nights: list[Night], tmp_path: Path, table: Callable[[str], None]
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


def test_workers_go_with_their_launcher(all_nights: list[Night], tmp_path: Path) -> None:
    night, output, mark = all_nights[0], tmp_path / "out", uuid.uuid4().hex
    process = nights.start(["run", str(night.run), "-o", str(output), *nights.AS_OF], mark)
    while process.poll() is None and not (count(output / "store" / "layers") and workers_of(mark)):
        time.sleep(STEP)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not nights.all_gone(mark), "workers outlived their launcher"
    check_resumed(night, output)
