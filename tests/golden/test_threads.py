"""Engines run several bundles in one process at once: whatever threads do, from the first record on, results are those of one."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nights

SCRIPT = Path(__file__).with_name("tag_in_threads.py")


def made(run: Path, folder: Path, threads: int) -> dict[str, Any]:
    # A process of its own, for the first use of a library is where threads meet.
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(run), str(folder), str(threads)],
        capture_output=True,
        text=True,
        check=False,
        cwd=nights.ROOT,
    )
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_every_tagger_finds_the_same_in_many_threads(tmp_path: Path) -> None:
    shards = nights.write_shards(tmp_path / "in", range(6), 60, bad_from=3)
    run = nights.write_run_file(tmp_path / "run.yaml", shards, tmp_path / "in", split_size="10KB")
    expected = made(run, tmp_path / "one", 1)
    assert len(expected) >= 20
    assert {name for _, found, _, _ in expected.values() for name in found} == set(nights.EVERY_TAGGER)
    for number in range(2):
        assert made(run, tmp_path / f"many{number}", 8) == expected
