"""Dataflow without a cloud: what would be submitted is whole, valid, and does the same work when it is executed here."""

import json
import pickle
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import apache_beam as beam
import emulator
import nights
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns, python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, execution
from google.cloud import dataflow_v1beta3, storage
from rows import ROOT
from test_matrix import Course

from pipeline.corpus import Corpus
from pipeline.verify import verify

pytestmark = pytest.mark.engines
DEPLOY = ROOT / "deploy" / "dataflow"
CLOUD = {"project": "demo-project", "region": "us-central1", "temp_location": "gs://out/staging"}
IMAGE = "example/winnow:0.1.0"
GROUP_BY_KEY = common_urns.primitives.GROUP_BY_KEY.urn


def beam_options(**options: str) -> list[str]:
    return [word for name, value in options.items() for word in ("--beam", f"{name}={value}")]


def dry_run(run: Path, folder: Path, name: str = "dry", **options: str) -> tuple[dataflow_v1beta3.Job, Any]:
    """Return the job and the pipeline that would be submitted."""
    command = ["run", str(run), *nights.AS_OF, "--runner", "dataflow", "--dry-run", str(folder), "--name", name]
    said = nights.finish_here([*command, *beam_options(**CLOUD, **options)])
    job_file, pipeline_file = (
        Path(line.removeprefix("wrote ")) for line in said.splitlines() if line.startswith("wrote ")
    )
    job = dataflow_v1beta3.Job.from_json(job_file.read_text("utf-8"), ignore_unknown_fields=False)
    return job, beam_runner_api_pb2.Pipeline.FromString(pipeline_file.read_bytes())


def execute(pipeline: Any) -> None:
    """Run a pipeline here; nothing of it is changed but where its workers live."""
    for environment in pipeline.components.environments.values():
        environment.urn = python_urns.EMBEDDED_PYTHON
        environment.payload = b""
        del environment.dependencies[:]
    result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions(["--direct_running_mode=in_memory"]))
    result.wait_until_finish()


@pytest.fixture
def shuffled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return what goes through every shuffle of a local run from now on."""
    seen: list[bytes] = []
    append = execution.GroupingBuffer.append

    def note(self: Any, elements: bytes) -> None:
        seen.append(bytes(elements))
        append(self, elements)

    monkeypatch.setattr(execution.GroupingBuffer, "append", note)
    return seen


@pytest.mark.parametrize("name", ["example", "nights"])
def test_the_staged_pipeline_does_the_same_work_and_shuffles_no_text(
    name: str, proxy: emulator.Proxy, courses: dict[str, Course], tmp_path: Path, shuffled: list[bytes]
) -> None:
    course = courses[name]
    for number, (run, expected) in enumerate(zip(course.runs, course.expected, strict=True), 1):
        moved = emulator.moved(run, tmp_path)
        shuffled.clear()
        _, pipeline = dry_run(moved, tmp_path / f"dry-{number}", f"dry-{number}", sdk_container_image=IMAGE)
        execute(pipeline)
        assert f"release {number} is in" in nights.finish_here(["publish", "gs://out/corpus", "--run", f"dry-{number}"])
        assert emulator.contents("gs://out/corpus") == expected
        assert list(verify(Corpus("gs://out/corpus"))) == []
        shuffles = [each for each in pipeline.components.transforms.values() if each.spec.urn == GROUP_BY_KEY]
        assert len(shuffled) >= len(shuffles) > 5
        words = ("museum", "evening", "图书馆", "anna.berg")  # of almost every text
        assert not [word for word in words for piece in shuffled if word.encode() in piece]


def test_the_finder_of_shuffled_text_finds_it(shuffled: list[bytes]) -> None:
    with beam.Pipeline(FnApiRunner(), PipelineOptions(["--direct_running_mode=in_memory"])) as pipeline:
        _ = pipeline | beam.Create([{"text": "the museum 图书馆"}]) | beam.Reshuffle() | beam.Map(pickle.dumps)
    assert all(any(word.encode() in piece for piece in shuffled) for word in ("museum", "图书馆"))


def test_the_job_has_hints_labels_and_an_image(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    job, pipeline = dry_run(
        run, tmp_path / "dry", sdk_container_image=IMAGE, labels="team=corpus", max_num_workers="50"
    )
    assert job.type_ == dataflow_v1beta3.JobType.JOB_TYPE_BATCH
    assert dict(job.labels) == {"winnow": "0-1-0", "team": "corpus"}
    (pool,) = job.environment.worker_pools
    assert pool.autoscaling_settings.max_num_workers == 50
    assert [image.container_image for image in pool.sdk_harness_container_images] == [IMAGE]
    environments = pipeline.components.environments.values()
    assert {beam_runner_api_pb2.DockerPayload.FromString(each.payload).container_image for each in environments} == {
        IMAGE
    }
    hints = [dict(each.resource_hints) for each in environments]
    assert all(each[common_urns.resource_hints.MIN_RAM_BYTES.urn] == b"2000000000" for each in hints)
    names = {each.unique_name for each in pipeline.components.transforms.values()}
    assert names >= {"Plan/HashAndCut", "Tag/ReadAndTag", "Release/ReadAndWrite"}
    assert not list(storage.Client().list_blobs("out", prefix="staging")), "a dry run uploads nothing"
    assert "no run was started here" in nights.finish_here(["status", "gs://out/corpus"], code=2)
    assert "run dry on dataflow" in nights.finish_here(["status", "gs://out/corpus", "--run", "dry"])


def test_setup_py_brings_all_that_workers_need(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    job, pipeline = dry_run(run, tmp_path / "dry", setup_file=str(ROOT / "setup.py"))
    (archive,) = (tmp_path / "dry" / "staged").rglob("workflow.tar.gz")
    assert any(archive.name in package.location for package in job.environment.worker_pools[0].packages) or any(
        archive.name.encode() in each.type_payload
        for environment in pipeline.components.environments.values()
        for each in environment.dependencies
    )
    with tarfile.open(archive) as packed:
        held = {name.partition("/")[2] for name in packed.getnames()}
    wanted = {"models/view.py", "transforms/tag.py", "pipeline/dataflow.py", "configs/policies/cn-tc260-003.yaml"}
    assert wanted <= held
    code = [path for top in ("models", "transforms", "pipeline", "configs") for path in (ROOT / top).rglob("*.*")]
    shipped = {str(path.relative_to(ROOT)) for path in code if path.suffix != ".pyc"}
    assert shipped <= held, shipped - held


def test_the_template_submits_a_run(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    """As the service starts it: parameters and Beam's options; the job goes to a template file instead of the service."""
    run = emulator.moved(one_night, tmp_path)
    storage.Client().bucket("in").blob("runs/night.yaml").upload_from_filename(str(run))
    options = {**CLOUD, "template_location": "gs://out/job.json", "sdk_container_image": IMAGE, "job_name": "night-1"}
    command = [sys.executable, str(DEPLOY / "main.py"), "--run_file=gs://in/runs/night.yaml", "--name=flex"]
    command += [
        "--as_of=2026-01-01",
        "--runner=DataflowRunner",
        "--no_auth",
        *(f"--{k}={v}" for k, v in options.items()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    text = storage.Client().bucket("out").blob("job.json").download_as_text()
    job = dataflow_v1beta3.Job.from_json(text, ignore_unknown_fields=False)
    assert job.name == "night-1"
    assert "planning" in nights.finish_here(["status", "gs://out/corpus", "--run", "flex"])
    assert Corpus("gs://out/corpus").number == 0


def test_the_templates_metadata_is_what_the_service_takes() -> None:
    text = (DEPLOY / "metadata.json").read_text("utf-8")
    found = dataflow_v1beta3.TemplateMetadata.from_json(text, ignore_unknown_fields=False)
    assert (found.name, len(found.parameters)) == ("Winnow", 3)
    patterns = {each.name: each.regexes for each in found.parameters}
    assert re.match(patterns["run_file"][0], "gs://bucket/runs/nightly.yaml")
    assert not re.match(patterns["run_file"][0], "/runs/nightly.yaml")
    with pytest.raises(Exception, match="no field named"):
        more = json.dumps(json.loads(text) | {"parameter": []})
        dataflow_v1beta3.TemplateMetadata.from_json(more, ignore_unknown_fields=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "workers need Winnow"),
        ({"sdk_container_image": IMAGE, "sdk_image": "x"}, "Beam has no option 'sdk_image'"),
        ({"sdk_container_image": IMAGE, "max_num_workers": "many"}, "max_num_workers"),
    ],
)
def test_what_is_missing_is_said(
    options: dict[str, str], said: str, proxy: emulator.Proxy, one_night: Path, tmp_path: Path
) -> None:
    run = emulator.moved(one_night, tmp_path)
    command = ["run", str(run), "--runner", "dataflow", "--dry-run", str(tmp_path / "dry")]
    assert said in nights.finish_here([*command, *beam_options(**CLOUD, **options)], code=2)
    missing = {name: value for name, value in CLOUD.items() if name != "project"}
    more = beam_options(**missing, sdk_container_image=IMAGE)
    assert "project is missing" in nights.finish_here([*command, *more], code=2)
