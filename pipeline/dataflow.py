"""Dataflow: a dry run that writes what would be submitted."""

from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import GoogleCloudOptions

from models.errors import UsageError
from pipeline.build import Run
from pipeline.corpus import Corpus
from pipeline.submitting import submit

NEEDS = "Dataflow needs another package: pip install 'winnow-corpus[dataflow]'"


def write_dry_run(run: Run, folder: Path) -> tuple[Path, Path]:
    """Write the job and the pipeline that a run would submit, with all files that it would stage, and submit nothing.

    The run is begun in the output, so that the pipeline written can be executed. The bytes are made by the SDK's own client.

    Returns:
        The paths of ``job.json`` (``google.dataflow.v1beta3.Job``) and of the pipeline
        (``org.apache.beam.model.pipeline.v1.Pipeline``); files are staged below ``staged/<bucket>/…``.

    Raises:
        UsageError: if the client is not installed.
    """
    try:
        from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient
    except ImportError as error:
        raise UsageError(f"runner dataflow: {error}; {NEEDS}") from None

    class LocalStaging(DataflowApplicationClient):  # type: ignore[misc]
        """The client, but what it would upload goes into a folder."""

        def stage_file(self, place: str, name: str, stream: Any, *_: Any, **__: Any) -> None:
            target = folder / "staged" / place.removeprefix("gs://") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(stream.read())

    # Without credentials: nothing is asked of the service.
    with Corpus(run.job.root).store.in_use():
        job = submit(run, {"dry_run": "True", "no_auth": True}, is_trial=True).job
    LocalStaging(job.options).create_job_description(job)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(job.json() + "\n", "utf-8")
    staged = job.options.view_as(GoogleCloudOptions).staging_location
    return folder / "job.json", folder / "staged" / staged.removeprefix("gs://") / "pipeline.pb"
