"""What a Flink cluster lacks is named before a run, by what the cluster itself says."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from models.errors import UsageError
from pipeline.config import from_options
from pipeline.engines import Engine, make_engine, not_asked, preflight
from pipeline.launch import leave, prepare
from transforms.notes import Notes

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "flink" / "config.yaml"
ATTEMPTS = "restart-strategy.fixed-delay.attempts"


class Rest(ThreadingHTTPServer):
    """A job manager's REST API, as far as it is asked; its settings are those of the trial cluster until a test changes them."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = yaml.safe_load(CONFIG.read_text("utf-8"))
        self.slots, self.off_heap = 4, 600 << 20
        super().__init__(("127.0.0.1", 0), _Answering)

    def answer(self, path: str) -> Any:
        return {
            "/overview": {"slots-total": self.slots, "taskmanagers": 1},
            "/jobmanager/config": [{"key": key, "value": str(value)} for key, value in self.settings.items()],
            "/taskmanagers": {"taskmanagers": [{"id": "t1"}]},
            "/taskmanagers/t1": {"id": "t1", "memoryConfiguration": {"taskOffHeap": self.off_heap}},
        }[path]

    def faults(self, **options: Any) -> list[str]:
        master = {"flink_master": f"127.0.0.1:{self.server_port}"}
        return list(preflight(Engine("flink", master | options), {"output": "/shared/out"}))


class _Answering(BaseHTTPRequestHandler):
    server: Rest

    def do_GET(self) -> None:
        data = json.dumps(self.server.answer(self.path)).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def rest() -> Iterator[Rest]:
    with Rest() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_trial_cluster_lacks_nothing(rest: Rest) -> None:
    assert rest.faults() == []
    assert rest.faults(parallelism=4) == []


def test_all_that_a_bare_cluster_lacks_is_named(rest: Rest) -> None:
    rest.settings, rest.slots, rest.off_heap = {}, 0, 0
    said = rest.faults()
    for name in (
        "no task slots",
        "restart-strategy.type",
        "env.java.opts.all",
        "taskmanager.memory.task.off-heap.size",
    ):
        assert [name in fault for fault in said].count(True) == 1, (name, said)
    assert len(said) == 4


def test_java_options_of_ones_own_that_replaced_flinks_are_named(rest: Rest) -> None:
    rest.settings["env.java.opts.all"] = "-Dmine=1"
    (said,) = rest.faults()
    assert "--add-opens=java.base/java.lang=ALL-UNNAMED" in said
    rest.settings["env.java.opts.taskmanager"] = yaml.safe_load(CONFIG.read_text("utf-8"))["env.java.opts.all"]
    assert rest.faults() == []


@pytest.mark.parametrize("given", [5, "5"])
def test_parallelism_over_the_slots_is_named(rest: Rest, given: object) -> None:
    (said,) = rest.faults(parallelism=given)
    assert said.startswith("parallelism: 5 is more than the 4 task slots")


@pytest.mark.parametrize("attempts", [None, 1])
def test_a_fixed_delay_with_one_attempt_is_named(rest: Rest, attempts: int | None) -> None:
    del rest.settings[ATTEMPTS]
    rest.settings |= {} if attempts is None else {ATTEMPTS: attempts}
    (said,) = rest.faults()
    assert f"set {ATTEMPTS}: 10" in said


def _options(command: str, **more: str) -> dict[str, str]:
    return {"job_endpoint": "localhost:8099", "environment_type": "PROCESS", "environment_config": command, **more}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ('{"command": "deploy/flink/worker"}', "command 'deploy/flink/worker' is relative"),
        ('{"commando": "/opt/worker"}', "command '' is relative"),
        ('{"command": /opt/worker}', "is no JSON"),
        ("/opt/worker", "is no JSON"),
    ],
)
def test_the_command_of_a_worker_process_is_an_absolute_path(config: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_engine("flink", _options(config))
    assert make_engine("flink", _options('{"command": "/opt/winnow/deploy/flink/worker"}')).name == "flink"


def test_where_nothing_could_be_asked_that_is_said() -> None:
    config = '{"command": "/opt/worker"}'
    alone, both = (make_engine("flink", _options(config, **more)) for more in ({}, {"flink_master": "localhost:8081"}))
    assert list(preflight(alone, {"output": "/shared/out"})) == []
    assert "was not asked" in str(not_asked(alone))
    assert not_asked(both) is None
    assert not_asked(Engine()) is None


_SERVER = {"job_endpoint": "localhost:8099"}
_PROCESS = {"environment_type": "PROCESS", "environment_config": '{"command": "/bin/true"}'}


@pytest.mark.parametrize(
    ("name", "options", "can"),
    [
        ("flink", _SERVER | {"environment_type": "LOOPBACK"}, False),  # workers are the launcher's
        ("flink", _SERVER | _PROCESS, True),
        ("flink", {"flink_master": "localhost:8081", **_PROCESS}, False),  # the job server is the launcher's
        ("prism", _SERVER | {"environment_type": "LOOPBACK"}, False),
        ("local", {}, False),
        ("dataflow", {}, True),
    ],
)
def test_a_job_is_left_to_its_engine_only_if_nothing_of_it_is_the_launchers(
    tmp_path: Path, name: Any, options: dict[str, Any], can: bool
) -> None:
    engine = Engine(name, options)
    assert engine.can_be_left == can
    if not can:
        shard, out = tmp_path / "a.jsonl", tmp_path / "out"
        shard.write_text('{"text": "a"}\n', "utf-8")
        run = prepare(from_options({"inputs": (str(shard),), "output": str(out), "as_of": "2026-01-01"}))
        with pytest.raises(UsageError, match="--detach: this engine, or its workers, end with their launcher"):
            leave(replace(run, engine=engine))
        assert Notes(run.job.root, run.name).read("started") is None
