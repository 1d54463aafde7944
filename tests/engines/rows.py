"""The rows of the matrix: how one and the same run is started on each engine."""

import json
from dataclasses import dataclass
from pathlib import Path

import nights
import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
FLINK = ROOT / "deploy" / "flink"

# What listens on all interfaces gets a network of its own, and the launcher with it.
CONFINED = (str(ROOT / "deploy" / "confined"),)
IN_CLUSTER = (str(FLINK / "within"),)


@dataclass(frozen=True)
class Row:
    """An engine.

    Attributes:
        options: of the command.
        within: a command that runs the command.
    """

    name: str
    options: tuple[str, ...]
    within: tuple[str, ...] = ()

    def finish(self, run: Path, output: Path, mark: str = "") -> str:
        """Run to the end, and return what was said."""
        return nights.finish(self.arguments(run, output), mark, within=self.within)

    def arguments(self, run: Path, output: Path) -> list[str]:
        return ["run", str(run), "-o", str(output), *nights.AS_OF, *self.options]


def _beam(runner: str, **options: str) -> tuple[str, ...]:
    given = [("--beam", f"{name}={value}") for name, value in options.items()]
    return ("--runner", runner, *(word for pair in given for word in pair))


_JAR = str(TOOLS / "beam-flink-job-server.jar")
_CLUSTER = {"flink_master": "localhost:8081", "flink_job_server_jar": _JAR, "parallelism": "2"}

REFERENCE = Row("local, 1 worker", ("--workers", "1"))
LOCAL = (
    Row("local, 2 workers", ("--workers", "2")),
    Row(
        "local, multi_processing",
        ("--workers", "2", *_beam("local", direct_running_mode="multi_processing")),
        CONFINED,
    ),
    Row("Prism", _beam("prism", prism_location=str(TOOLS / "prism")), CONFINED),
    Row(
        "Flink, embedded",
        _beam("flink", flink_master="[local]", flink_job_server_jar=_JAR, parallelism="2"),
        CONFINED,
    ),
)
ON_THIS_MACHINE = [
    pytest.param(row, id=row.name, marks=[pytest.mark.xdist_group("java")] if "flink" in row.options else [])
    for row in LOCAL
]
"""Parameters of a test; those that start a Java process each wait for each other."""
EXTERNAL = Row(
    "Flink cluster, EXTERNAL",
    _beam("flink", **_CLUSTER, environment_type="EXTERNAL", environment_config="localhost:50000"),
    IN_CLUSTER,
)
PROCESS = Row(
    "Flink cluster, PROCESS",
    _beam(
        "flink",
        **_CLUSTER,
        environment_type="PROCESS",
        environment_config=json.dumps({"command": str(FLINK / "worker")}),
    ),
    IN_CLUSTER,
)
