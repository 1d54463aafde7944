"""The cluster of deploy/flink, seen from outside: its services, its workers, and its jobs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rows import FLINK, IN_CLUSTER

_ASK = "import sys, urllib.request; print(urllib.request.urlopen(f'http://127.0.0.1:8081{sys.argv[1]}', timeout=10).read().decode())"


class Cluster:
    """What deploy/flink/up starts, its state in ``WINNOW_FLINK_STATE``."""

    def __init__(self) -> None:
        self._state = Path(os.environ["WINNOW_FLINK_STATE"])

    def up(self) -> None:
        """Start what does not run."""
        self._script("up")
        self._mark = f"WINNOW_FLINK_MARK={(self._state / 'mark').read_text()}".encode()

    def down(self) -> None:
        self._script("down")

    def _script(self, name: str) -> None:
        # Into a file: the services keep what they inherit open.
        with (self._state / f"{name}.said").open("w+") as said:
            done = subprocess.run([FLINK / name], stdout=said, stderr=said, check=False, timeout=180)
            said.seek(0)
            assert done.returncode == 0, said.read()

    def pid(self, name: str) -> int:
        """Return the process of a service."""
        rows = [row.split() for row in (self._state / "pids").read_text().splitlines()]
        return [int(pid) for service, pid in rows if service == name][-1]

    def processes(self) -> dict[int, str]:
        """Return the command line of every process that the cluster started."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if self._mark in (folder / "environ").read_bytes().split(b"\0"):
                        found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                except OSError:
                    continue
        return found

    def workers(self) -> list[int]:
        """Return the processes that run our code: the pool's children, or what boot started."""
        return [
            pid
            for pid, command in self.processes().items()
            if "python" in command.split()[0] and ("SdkHarness(" in command or "sdk_worker_main" in command)
        ]

    def jobs(self) -> list[str]:
        """Return the states of the cluster's jobs."""
        return [job["status"] for job in self._ask("/jobs")["jobs"]]

    def _ask(self, path: str) -> Any:
        command = [*IN_CLUSTER, os.environ["WINNOW_PYTHON"], "-c", _ASK, path]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)

    def logs(self) -> dict[str, str]:
        """Return what each service said so far, and with it what the workers logged; Flink writes the same again to files of its own."""
        files = [path for path in (self._state / "log").iterdir() if not path.name.startswith("flink-")]
        return {path.name: path.read_text("utf-8", "replace") for path in files}

    def wait_idle(self, seconds: float = 120) -> None:
        """Wait until no job runs: one whose launcher was killed goes on without it."""
        deadline = time.monotonic() + seconds
        while {"RUNNING", "RESTARTING", "CREATED", "INITIALIZING"} & set(self.jobs()):
            assert time.monotonic() < deadline, "a job does not end"
            time.sleep(0.5)


def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a cluster, in a network of its own; for fixtures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_FLINK_STATE", str(tmp_path_factory.mktemp("cluster")))
        patch.setenv("WINNOW_PYTHON", sys.executable)
        cluster = Cluster()
        cluster.up()
        yield cluster
        cluster.down()
        assert not cluster.processes(), "a process outlived the cluster"
