"""Runs that nobody waits for: whatever else goes on over the same output, nothing wrong is published, and gc deletes nothing under them."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import emulator
import nights
import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from google.cloud import dataflow_v1beta3, storage
from rows import CONFINED, TOOLS
from test_dataflow import execute

from models.catalogue import Catalogue
from models.errors import InputOutputError, OutrunError, UsageError
from pipeline import launch as launching
from pipeline.build import Run
from pipeline.config import read_run_file
from pipeline.corpus import Corpus
from pipeline.gc import collect
from pipeline.launch import launch, leave, prepare
from pipeline.publish import Published, publish
from pipeline.status import status
from pipeline.verify import verify
from pipeline.waiting import waiting
from transforms.notes import Notes

pytestmark = pytest.mark.engines
OUT = "gs://out/corpus"


@pytest.fixture
def night(proxy: emulator.Proxy, tmp_path: Path) -> dict[str, Any]:
    """Return a small night as a run file has it."""
    shards = nights.write_shards(tmp_path / "in", range(2), 20, bad_from=1)
    run = nights.write_run_file(tmp_path / "night.yaml", shards, tmp_path / "in", as_of="2026-01-01")
    taggers = {"lexicon": {"lists": ["illustrative"]}}
    moved = emulator.moved(run, tmp_path, taggers=taggers, workers=1)
    facts: dict[str, Any] = json.loads(moved.read_text("utf-8"))
    return facts


def prepared(night: dict[str, Any], folder: Path, name: str, **settings: object) -> Run:
    path = folder / f"{name}.yaml"
    path.write_text(json.dumps(night | settings), "utf-8")
    return prepare(read_run_file(path), name=name)


def detached(night: dict[str, Any], folder: Path, name: str, **settings: object) -> Any:
    """Submit a run as a detached Dataflow job, and return its pipeline; the job goes to a template file instead of the service."""
    beam = {"project": "demo-project", "region": "us-central1", "no_auth": True, "sdk_container_image": "x"}
    beam |= {"temp_location": f"gs://out/staging/{name}", "template_location": f"gs://out/staging/{name}.json"}
    leave(prepared(night, folder, name, runner="dataflow", beam=beam, **settings))
    text = storage.Client().bucket("out").blob(f"staging/{name}.json").download_as_text()
    assert dataflow_v1beta3.Job.from_json(text, ignore_unknown_fields=False).type_ == 1
    found = [
        blob for blob in storage.Client().list_blobs("out", prefix=f"staging/{name}/") if "pipeline.pb" in blob.name
    ]
    return beam_runner_api_pb2.Pipeline.FromString(found[-1].download_as_bytes())


def publish_run(name: str) -> Published:
    corpus = Corpus(OUT)
    _, outcome, started = waiting(corpus, name)
    return publish(corpus, outcome, started)


def test_of_detached_and_ordinary_runs_over_one_output_one_is_published(night: dict[str, Any], tmp_path: Path) -> None:
    whole = detached(night, tmp_path, "whole")
    part = detached(night, tmp_path, "part", inputs=night["inputs"][:1])
    with pytest.raises(UsageError, match="there was a run whole already"):
        prepared(night, tmp_path, "whole")
    with pytest.raises(UsageError, match="run part on dataflow has not ended, as far as is known: planning"):
        collect(Corpus(OUT), 1, 0, is_trial=False)
    execute(part)
    execute(whole)
    taken = next(iter(Corpus(OUT).store.list("layers"))).name
    lost = storage.Client().bucket("out").blob(f"corpus/store/{taken}")
    kept = lost.download_as_bytes()
    lost.delete()  # as a gc does that took the job for dead
    for name in ("part", "whole"):
        if taken in _layers(name):
            with pytest.raises(InputOutputError, match=f"{taken} is gone, which is a layer of .*run again"):
                publish_run(name)
    assert Corpus(OUT).number == 0
    ordinary = launch(prepared(night, tmp_path, "ordinary"), to_publish=True)
    assert ordinary.published == Published(1, True)
    assert storage.Client().bucket("out").blob(f"corpus/store/{taken}").download_as_bytes() == kept
    expected = emulator.contents(OUT)
    assert publish_run("whole") == Published(1, False), "the very same work"
    with pytest.raises(OutrunError, match="release 1 was published since this run started from nothing"):
        publish_run("part")
    collect(Corpus(OUT), 1, 0, is_trial=False)
    assert (emulator.contents(OUT), Corpus(OUT).number) == (expected, 1)
    assert list(verify(Corpus(OUT))) == []
    launch(
        prepared(night | {"output": "gs://out/alone", "restricted": "gs://private/alone"}, tmp_path, "alone"),
        to_publish=True,
    )
    assert emulator.contents("gs://out/alone") == expected


def _layers(name: str) -> set[str]:
    index = waiting(Corpus(OUT), name).outcome.index
    return {layer.name for row in Catalogue.open(Corpus(OUT).store, index).rows() for layer in row.layers}


def test_a_submission_and_a_gc_wait_for_each_other(
    night: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, store = launching.submit, Corpus(OUT).store

    def look(run: Run) -> Any:
        with pytest.raises(UsageError, match="a run is under way"):
            collect(Corpus(OUT), 1, 0, is_trial=False)
        return submit(run)

    monkeypatch.setattr(launching, "submit", look)
    with store.not_in_use():
        submitting = threading.Thread(target=detached, args=(night, tmp_path, "late"))
        submitting.start()
        deadline = time.monotonic() + 60
        while not (leases := [each for each in store.list("leases") if not each.name.endswith("/gc")]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1)
        assert (len(leases), Notes(OUT, "late").read("started")) == (1, None), (
            "it has not begun while something is deleted"
        )
    submitting.join(120)
    assert status(Corpus(OUT), "late").state == "planning"
    assert [each.name for each in store.list("leases")] == []
    with pytest.raises(UsageError, match="run late on dataflow has not ended"):
        collect(Corpus(OUT), 1, 0, is_trial=False)


_ON_A_JOB_SERVER = """
prism=$1 python=$2 winnow=$3 run=$4 out=$5
"$prism" -job_port 18073 -serve_http=false -idle_shutdown_timeout=-1ns & server=$!
PATH="$(dirname "$python"):$PATH" "$python" -m apache_beam.runners.worker.worker_pool_main --service_port=18074 & pool=$!
trap 'kill $server $pool' EXIT
sleep 2
"$winnow" run "$run" --runner prism --detach --name left --beam job_endpoint=localhost:18073 \\
  --beam environment_type=EXTERNAL --beam environment_config=localhost:18074 || exit 9
echo "the launcher has gone"
timeout 200 "$winnow" status "$out" --run left --watch 1 || exit 10
"$winnow" publish "$out" --run left || exit 11
"$winnow" verify "$out" || exit 12
"""


def test_a_job_server_goes_on_without_the_launcher(tmp_path: Path) -> None:
    shards = nights.write_shards(tmp_path / "in", range(2), 20, bad_from=1)
    taggers = {"lexicon": {"lists": ["illustrative"]}}
    out = tmp_path / "out"
    run = nights.write_run_file(tmp_path / "night.yaml", shards, tmp_path / "in", as_of="2026-01-01", taggers=taggers)
    facts = json.loads(run.read_text("utf-8")) | {"output": str(out)}
    run.write_text(json.dumps(facts), "utf-8")
    script = tmp_path / "script.sh"
    script.write_text(_ON_A_JOB_SERVER, "utf-8")
    command = [*CONFINED, "bash", str(script), str(TOOLS / "prism"), sys.executable, nights.WINNOW, str(run), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
