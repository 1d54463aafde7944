"""The local default opens no port: no process of a run has a TCP or UDP socket, at any time."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import WINNOW, Cli, Screen, Watched, files, manifest, sockets_of, write_run_file
from nights import descendants


def test_the_check_finds_sockets_when_there_are_some() -> None:
    opens = (
        "import socket, sys, time; a = socket.socket(); a.bind(('127.0.0.1', 0)); a.listen();"
        "b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); b.bind(('127.0.0.1', 0));"
        "c = socket.socket(socket.AF_UNIX); print('ready', flush=True); time.sleep(60)"
    )
    # In a child of a child, as a worker is.
    starts = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {opens!r}]).returncode)"
    with subprocess.Popen([sys.executable, "-c", starts], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        family = descendants([process.pid])
        found = {each.split()[0] for each in sockets_of(family)}
        for pid in family:
            os.kill(pid, 9)
    assert len(family) == 2
    assert found == {"tcp", "udp"}


def test_a_local_run_opens_no_port(watched: Watched) -> None:
    assert manifest(watched.out)["counts"]["read"] == 307
    assert len(watched.pids) >= 3, "the launcher, and two workers at least"
    assert watched.sockets == set()


def test_the_mode_that_loses_records_is_refused(cli: Cli, everyday_corpus: Path, tmp_path: Path) -> None:
    code, _, said = cli("run", everyday_corpus, "-o", tmp_path / "out", "--beam", "direct_running_mode=multi_threading")
    assert code == 2
    assert "multi_threading" in said
    assert "loses records" in said
    assert not (tmp_path / "out" / "current").exists()


def test_beams_own_processes_make_the_same_bytes(watched: Watched, everyday_corpus: Path, tmp_path: Path) -> None:
    """They listen on all interfaces, so they run in a network of their own, which has nothing but its loopback."""
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs a network namespace of its own (unshare -n), which this user may not make")
    run = write_run_file(
        tmp_path / "run.yaml", Screen(tmp_path), everyday_corpus, workers=2, input_root=str(everyday_corpus)
    )
    script = 'ip link set lo up && exec "$@"'
    command = [
        "unshare",
        "-n",
        "sh",
        "-c",
        script,
        "sh",
        *WINNOW,
        "run",
        run,
        "--beam",
        "direct_running_mode=multi_processing",
        "-q",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "out") == files(watched.out)


def test_nothing_of_the_engine_looks_for_the_network(
    monkeypatch: pytest.MonkeyPatch, screen: Screen, corpus: Path
) -> None:
    """Neither a name is looked up nor a connection tried: the suffix list and all else come with the packages."""

    def refuses(*arguments: object, **_: object) -> None:
        raise AssertionError(f"the network was asked for {arguments}")

    monkeypatch.setattr(socket, "getaddrinfo", refuses)
    monkeypatch.setattr(socket.socket, "connect", refuses)
    monkeypatch.setattr(socket.socket, "bind", refuses)
    assert screen(corpus, corpus.parent / "out").outcome.counts["read"] == 307
