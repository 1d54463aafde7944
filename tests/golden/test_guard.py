"""A task that never ends on another engine's worker: the guard beside the worker ends it, and says where it stood."""

import subprocess
import sys
from pathlib import Path

from transforms.notes import Notes

# What holds the interpreter's lock for ever, as a pattern that backtracks does.
_WORKER = """
import re, sys, time
from transforms.notes import Notes
from transforms.pool import Pooled

def work(element, shared, beat):
    for turn in range(element):
        time.sleep(0.25)
        beat(f"record {turn}", 0)
    if shared:
        time.sleep(1.1)
        beat("the last record", 0)
        re.match("(a|a)+$", "a" * 64 + "b")
    return element

pooled = Pooled("tag", work, sys.argv[2] == "stalls", Notes(sys.argv[1], "run"), 0, 2.0, str)
pooled.start_bundle()
print(list(pooled.process(12)), list(pooled.process(1)))
"""


def run(root: Path, how: str) -> "subprocess.CompletedProcess[str]":
    Notes(str(root), "run").begin("2026-01-01T00:00:00+00:00", "flink", "release")
    command = [sys.executable, "-c", _WORKER, str(root), how]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_task_that_never_ends_ends_its_worker_and_is_noted(tmp_path: Path) -> None:
    done = run(tmp_path, "stalls")
    assert done.returncode == -9
    (noted,) = Notes(str(tmp_path), "run").errors()
    assert noted.error == "ToolError"
    assert "tag: no progress for 2 s at the last record" in noted.message
    assert noted.message in done.stderr


def test_a_long_task_that_reports_is_left_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "reports")
    assert (done.returncode, done.stdout) == (0, "[12] [1]\n"), done.stderr
    assert list(Notes(str(tmp_path), "run").errors()) == []
