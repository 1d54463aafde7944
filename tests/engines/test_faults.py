"""Whatever is killed on a cluster, a run ends in the bytes of a run that nothing disturbed.

After the death of a task manager or of a worker the job goes on by itself; after that of the job manager or of the launcher the
same command is given again. Moments are chosen by seed and told by what lies in the store; a kill that came too late is
repeated. Seeds come from ``WINNOW_KILL_SEED`` (20260101 by default) and stand in the table that is printed.
"""

import os
import random
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import nights
import pytest
from cluster import Cluster, running
from rows import EXTERNAL, PROCESS
from watching import Night, Seen, check_done, copy, look, printed, runs, totals, two_nights

pytestmark = pytest.mark.cluster

SEED = int(os.environ.get("WINNOW_KILL_SEED", "20260101"))
ATTEMPTS = 5
STEP = 0.002
VICTIMS = {
    "task manager": EXTERNAL,
    "worker of the pool": EXTERNAL,
    "worker process": PROCESS,
    "job manager": EXTERNAL,
    "launcher": EXTERNAL,
}
KILLS = [(victim, SEED + 10 * number + each) for each in range(5) for number, victim in enumerate(VICTIMS)]

cluster = pytest.fixture(scope="module")(running)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Night, Night]:
    return two_nights(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Callable[[str], None]:
    return printed(request, "| killed | seed | night | tries | when |")


def kill(victim: str, dice: random.Random, cluster: Cluster, launcher: "subprocess.Popen[str]") -> None:
    if victim == "launcher":
        os.killpg(launcher.pid, signal.SIGKILL)
    elif victim == "job manager":
        os.kill(cluster.pid("jobmanager"), signal.SIGKILL)
    elif victim == "task manager":
        os.kill(cluster.pid(f"taskmanager-{dice.choice((1, 2))}"), signal.SIGKILL)
    else:
        os.kill(dice.choice(cluster.workers()), signal.SIGKILL)


def start_and_kill(
    victim: str, dice: random.Random, night: Night, output: Path, cluster: Cluster, mark: str
) -> tuple["subprocess.Popen[str]", Seen]:
    """Start the night, kill the victim at a place that the dice choose, and return the launcher and that place."""
    copy(night.before, output)
    known, number = runs(output), 0 if night.before is None else 1
    first_layer, first_receipt, last_layer, last_receipt = totals(night)
    stage, share = dice.choice(("tag", "release")), 0.9 * dice.random()
    row = VICTIMS[victim]
    launcher = nights.start(row.arguments(night.run, output), mark, within=row.within)
    while launcher.poll() is None:
        seen = look(output, known, last_layer, number)
        goal = {
            "tag": seen.layers - first_layer > share * (last_layer - first_layer),
            "release": seen.receipts - first_receipt >= share * (last_receipt - first_receipt),
        }
        if seen.stage == stage and goal[stage]:
            kill(victim, dice, cluster, launcher)
            return launcher, look(output, known, last_layer, number)
        time.sleep(STEP)
    said = launcher.communicate()[0]
    assert launcher.returncode == 0, said
    return launcher, look(output, known, last_layer, number)


@pytest.mark.parametrize(("victim", "seed"), KILLS)
def test_a_kill_on_the_cluster_changes_nothing(
    victim: str,
    seed: int,
    both: tuple[Night, Night],
    tmp_path: Path,
    cluster: Cluster,
    table: Callable[[str], None],
) -> None:
    night, output, dice, mark = both[seed % 2], tmp_path / "out", random.Random(seed), uuid.uuid4().hex
    for attempt in range(1, ATTEMPTS + 1):  # noqa: B007 - it stands in the table
        cluster.up()
        cluster.wait_idle()
        launcher, at = start_and_kill(victim, dice, night, output, cluster, mark)
        if at.stage in ("tag", "judge", "release"):
            break
    else:
        pytest.fail(f"no kill came in time in {ATTEMPTS} attempts (seed {seed})")
    if victim == "job manager":
        cluster.up()  # what keeps services up would not wait either
    said = launcher.communicate(timeout=300)[0]
    if victim in ("launcher", "job manager"):
        assert launcher.returncode != 0, said
        said = VICTIMS[victim].finish(night.run, output, mark)
    else:
        assert launcher.returncode == 0, said
    table(f"| {victim} | {seed} | {'second' if night.before else 'first'} | {attempt} | {at.stage}: {at.where} |")
    cluster.wait_idle()
    check_done(night, output, mark)
