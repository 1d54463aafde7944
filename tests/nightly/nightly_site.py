"""A place with Airflow in it: an AIRFLOW_HOME of its own, a configuration, three nights of shards, and Airflow's real commands."""

import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from models.artefact import describe

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".airflow" / "bin" / "python"
DAG = "winnow_nightly"
TASKS = ("check", "plan", "run", "verify", "publish", "report")
NIGHTS = ("2026-01-02", "2026-01-03", "2026-01-04")
BAD = "sure win at the wheel"

# What a night's run leaves that must be the same whatever the order of nights. The blacklist also says since when, and by which run.
PLACES = ("clean", "quarantine", "dead", "audit", "sources.parquet", "sources.csv")


class Site:
    """Everything below one folder.

    Args:
        nights: dates of shards.
        within: a command that runs the command, as a shell has it.
        settings: over those of a nightly configuration that suits tests: no retry, no night made up for, no deadline.
    """

    airflow_command = PYTHON.with_name("airflow")

    def __init__(self, folder: Path, nights: Sequence[str] = NIGHTS, within: str = "", **settings: Any) -> None:
        self.folder = folder
        self.out, self.shards, self.list = folder / "out", folder / "shards", folder / "list"
        folder.mkdir(parents=True, exist_ok=True)
        self._write_list()
        for number, night in enumerate(nights):
            self.write_night(night, number)
        run_file = {
            "inputs": [str(self.shards)],
            "output": str(folder / "unused"),
            "taggers": {"lexicon": {"lists": [str(self.list)]}},
            "workers": 1,
            "max_dead": {"share": 0, "at_least": 3},
        }
        (folder / "run.yaml").write_text(json.dumps(run_file), "utf-8")  # JSON is YAML
        command = folder / "winnow"
        command.write_text(
            f'#!/bin/sh\nexport PYTHONPATH="{ROOT}"\nexec {within} "{sys.executable}" -m pipeline.cli "$@"\n', "utf-8"
        )
        command.chmod(0o755)
        (folder / "reports").mkdir(exist_ok=True)
        nightly = {
            "winnow": str(command),
            "run_file": str(folder / "run.yaml"),
            "input_root": str(self.shards),
            "inputs": [str(self.shards / "{night:%Y/%m/%d}" / "*.jsonl*")],
            "output": str(self.out),
            "report": str(folder / "reports" / "{night}.html"),
            "start": nights[0],
            "catchup": False,
            "retries": 0,
            "deadline_hours": None,  # "dags test" of Airflow 3.3.2 fails at its end where there is one (apache/airflow#73428)
            **settings,
        }
        self.nightly = folder / "winnow_nightly.yaml"
        self.nightly.write_text(json.dumps(nightly), "utf-8")
        self.lineage = folder / "lineage.jsonl"
        self.home = folder / "airflow"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AIRFLOW_HOME": str(self.home),
            "WINNOW_NIGHTLY": str(self.nightly),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home / 'airflow.db'}",
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "nights",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(
                {"type": "file", "log_file_path": str(self.lineage), "append": True}
            ),
        }
        self.airflow("db", "migrate")
        self.airflow("pools", "set", "winnow", "1", "one screening at a time")

    def _write_list(self) -> None:
        self.list.mkdir(parents=True, exist_ok=True)
        (self.list / "terms.tsv").write_text(f"term\tcategory\tlevel\n{BAD}\tA.1.h\tcertain\n", "utf-8")
        facts: dict[str, Any] = {"kind": "lexicon", "version": 1, "names": ["terms.tsv"], "title": "t"}
        describe(self.list, **facts, licence="CC0-1.0", made_with="a test")

    def write_night(self, night: str, number: int) -> Path:
        """Write a night's shard, with a source that is bad on the third night and is recalled from the others then."""
        records = [
            {
                "id": f"{night}-{row}",
                "source": source,
                "text": f"Note {row} on the weather of {night}. "
                + (BAD if source == "turns.example" and number == 2 and row < 60 else "Rain."),
            }
            for source in ("calm.example", "turns.example")
            for row in range(120)
        ]
        path = self.shards / night.replace("-", "/") / "a.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
        return path

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start one of Airflow's commands as the leader of a process group of its own."""
        return subprocess.Popen(
            [str(self.airflow_command), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.folder,
            start_new_session=True,
        )

    def airflow(self, *arguments: str, code: int = 0) -> str:
        """Run one of Airflow's commands, and return what it said."""
        process = self.start(*arguments)
        said = process.communicate(timeout=600)[0]
        assert process.returncode == code, said
        return said

    def night(self, night: str, *, failed: str | None = None) -> str:
        """Run one night by ``airflow dags test``; a task's name says that it, and nothing before it, must fail."""
        said = self.airflow(*self.test_of(night), code=1 if failed else 0)
        states = self.states(night)
        if failed is None:
            assert states == dict.fromkeys(TASKS, "success"), said
        else:
            place = TASKS.index(failed)
            assert states[failed] == "failed", (states, said)
            assert all(states[task] == "success" for task in TASKS[:place]), (states, said)
            assert all(states[task] == "upstream_failed" for task in TASKS[place + 1 :]), (states, said)
        return said

    def test_of(self, night: str) -> tuple[str, ...]:
        """Return the command that runs a night: a manual run has the last interval before its logical date."""
        return ("dags", "test", DAG, (date.fromisoformat(night) + timedelta(days=1)).isoformat())

    def states(self, night: str) -> dict[str, str]:
        """Return the state of each task of a night."""
        rows = self.rows(
            "select t.task_id, t.state from task_instance t join dag_run r on t.dag_id = r.dag_id and t.run_id = r.run_id "
            "where r.dag_id = ? and r.data_interval_start like ?",
            DAG,
            f"{night}%",
        )
        return dict(rows)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask Airflow's database."""
        with sqlite3.connect(self.home / "airflow.db", timeout=30) as connection:
            return connection.execute(query, values).fetchall()

    def release(self) -> dict[str, bytes]:
        """Return every file of the current release that must come out the same."""
        return release(self.out)

    def check_against_one_run(self) -> None:
        """Compare the release with that of one run over all nights at once."""
        command = [str(self.folder / "winnow"), "run", str(self.folder / "run.yaml"), "--input-root", str(self.shards)]
        at_once = self.folder / "at-once"
        subprocess.run([*command, "--output", str(at_once), "-q"], check=True, capture_output=True)
        assert release(self.out) == release(at_once)

    def number(self) -> int:
        return int((self.out / "current").readlink().name)

    def events(self) -> list[dict[str, Any]]:
        """Return the OpenLineage events so far."""
        return [json.loads(line) for line in self.lineage.read_text("utf-8").splitlines()]


def release(out: Path) -> dict[str, bytes]:
    """Return every file of a corpus's current release that must come out the same."""
    found = {}
    for place in PLACES:
        top = out / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                found[str(path.relative_to(out))] = path.read_bytes()
    return found


def wait_for(condition: Callable[[], Any], seconds: float, pause: float = 0.02) -> Any:
    """Wait until something is there, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(pause)
    raise AssertionError("waited in vain")


def listening(pids: Iterable[int]) -> set[str]:
    """Return address and port of each TCP socket on which one of the processes listens."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(str(handle.readlink()))
    found = set()
    for kind, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        for row in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = row.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in inodes:
                address, port = local.split(":")
                words = bytes.fromhex(address)
                packed = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
                found.add(f"{socket.inet_ntop(family, packed)}:{int(port, 16)}")
    return found
