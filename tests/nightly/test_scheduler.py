"""The nightly DAG under Airflow's scheduler, as in production: catch-up, deadline, backfill; nothing listens beyond loopback."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nightly_site import DAG, TASKS, Site, listening, wait_for
from nights import descendants

pytestmark = pytest.mark.airflow

PARTS = ("api-server --host 127.0.0.1 --port {port} --workers 1", "scheduler --skip-serve-logs", "dag-processor")
"""What docs/airflow.md says to start. The deadline's callback runs in the executor and needs no triggerer."""


@contextlib.contextmanager
def running(site: Site) -> Iterator[list[int]]:
    """Run Airflow's services, and give the ids of their processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    site.environment |= {
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
    }
    with contextlib.ExitStack() as stack:
        processes = []
        for part in PARTS:
            said = stack.enter_context((site.folder / f"{part.split()[0]}.log").open("wb"))
            processes.append(
                subprocess.Popen(
                    [str(site.airflow_command), *part.format(port=port).split()],
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    env=site.environment,
                    cwd=site.folder,
                    start_new_session=True,
                )
            )
        try:
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)


def runs(site: Site, kind: str) -> list[tuple[str, str]]:
    """Return night and state of the runs of a kind, in the order in which they ended."""
    rows = site.rows(
        "select data_interval_start, state from dag_run where dag_id = ? and run_type = ? order by end_date", DAG, kind
    )
    return [(str(start)[:10], state) for start, state in rows]


def ended(site: Site, kind: str, count: int) -> bool:
    found = runs(site, kind)
    assert not any(state == "failed" for _, state in found), found
    return [state for _, state in found].count("success") >= count


def last_nights() -> list[str]:
    """Return the dates of the last three nights that are over."""
    today = datetime.now(UTC).date()
    return [(today - timedelta(days=days)).isoformat() for days in (3, 2, 1)]


def test_nights_are_made_up_for_in_order_and_a_late_one_is_told(tmp_path: Path) -> None:
    nights = last_nights()
    # The deadline is a second: each run is late, and says so while it goes on.
    site = Site(tmp_path, nights, catchup=True, retries=1, retry_seconds=5, deadline_hours=1 / 3600)
    sockets: set[str] = set()
    with running(site) as services:

        def caught_up() -> bool:
            sockets.update(listening(descendants(services)))
            return ended(site, "scheduled", len(nights))

        wait_for(caught_up, 900, 2)
        wait_for(lambda: len(late(site)) >= len(nights), 120, 1)
    assert [night for night, _ in runs(site, "scheduled")][: len(nights)] == nights
    assert sockets, "the API server listens somewhere"
    assert {place.rpartition(":")[0] for place in sockets} == {"127.0.0.1"}
    assert site.number() == len(nights)
    for night in nights:
        assert site.states(night) == dict.fromkeys(TASKS, "success")
    site.check_against_one_run()


def test_a_backfill_backwards_beside_the_schedule_ends_in_the_same_bytes(tmp_path: Path) -> None:
    nights = last_nights()
    site = Site(tmp_path, nights, retries=1, retry_seconds=5)
    site.airflow("pools", "set", "winnow", "2", "two at once, so that one outruns the other")
    site.airflow("dags", "reserialize")
    site.airflow("dags", "unpause", DAG, "--yes")
    # Before the services start: SQLite has one writer at a time.
    backfill = ("backfill", "create", "--dag-id", DAG, "--from-date", nights[0], "--to-date", nights[1])
    site.airflow(*backfill, "--run-backwards")
    with running(site):
        wait_for(lambda: ended(site, "backfill", 2) and ended(site, "scheduled", 1), 900, 2)
    assert [night for night, _ in runs(site, "scheduled")] == nights[2:], "without catch-up, only the last night"
    assert sorted(night for night, _ in runs(site, "backfill")) == nights[:2]
    assert site.number() == len(nights)
    site.check_against_one_run()


def late(site: Site) -> list[Path]:
    """Return the logs in which the callback of a deadline says that a run is late."""
    logs = (site.home / "logs" / "executor_callbacks").rglob("*")
    return [path for path in logs if path.is_file() and "is late" in path.read_text("utf-8")]
