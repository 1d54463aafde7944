"""The nightly run for Airflow 3: check, plan, run, verify, publish, report. See docs/airflow.md.

Airflow's environment needs neither Beam nor Winnow: every task calls the ``winnow`` command of an environment of its own. What differs
from place to place stands in ``winnow_nightly.yaml`` beside this file, or where the environment variable WINNOW_NIGHTLY says.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import pendulum
import yaml
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import (
    DAG,
    Asset,
    BaseOperator,
    CronDataIntervalTimetable,
    DeadlineAlert,
    DeadlineReference,
    SyncCallback,
)
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

TOO_MANY_DEAD, OUTRUN = 3, 4
"""Exit codes of ``winnow``: trying again is no use; another run published since this one started."""

log = logging.getLogger(__name__)

_TURNS = 5
_PRIVATE = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "_AIRFLOW_")
_PYTHON = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def _absolute(path: str) -> str:
    if not path.startswith("/") and "://" not in path:
        raise ValueError("must be an absolute path, for tasks run in folders of their own")
    return path


Place = Annotated[str, AfterValidator(_absolute)]


class Nightly(BaseModel):
    """What differs from place to place.

    Attributes:
        winnow: the command, as an absolute path into the pipeline's own environment.
        run_file: what to screen by; its inputs and output are replaced by those here.
        input_root: shards are known by their path below it, so it must be the same every night.
        inputs: folders, files or globs of one night's shards; ``{night}`` is its date, ``{night:%Y/%m/%d}`` that in another form.
        output: folder of the corpus.
        report: where a copy of the report goes, with ``{night}`` as above.
        runner: an engine that ``winnow run`` knows.
        beam: options of Beam, by Beam's own names.
        schedule: cron; a night is the time between two of its points.
        timezone: of the schedule and of a night's date.
        start: first night.
        catchup: whether nights between then and now are made up for.
        retries: of each task.
        retry_seconds: before the first retry; twice as long before each further one, at most an hour.
        pool: of Airflow, in which all tasks take a slot.
        deadline_hours: after being queued; a run that is not done by then raises the alert; null for none.
        alert: import path of a notifier or a function that the executor can import; default is an error in the log.
        alert_options: its keyword arguments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    winnow: Place
    run_file: Place
    input_root: Place
    inputs: list[Place] = Field(min_length=1)
    output: Place
    report: Place
    runner: str | None = None
    beam: dict[str, str | int | float | bool] = {}
    schedule: str = "0 0 * * *"
    timezone: str = "UTC"
    start: date
    catchup: bool = True
    retries: int = Field(3, ge=0)
    retry_seconds: float = Field(300, gt=0)
    pool: str = "winnow"
    deadline_hours: float | None = Field(6, gt=0)
    alert: str | None = None
    alert_options: dict[str, Any] = {}


def read_nightly() -> Nightly:
    """Read the configuration."""
    path = Path(os.environ.get("WINNOW_NIGHTLY") or Path(__file__).with_name("winnow_nightly.yaml"))
    return Nightly.model_validate(yaml.safe_load(path.read_text("utf-8")))


def late(context: Mapping[str, Any]) -> None:
    """Say that a night is not done by its deadline; what is done unless an alert is configured."""
    run, end = context["dag_run"], context["deadline"]["deadline_time"]
    log.error("%s of %s is late: it was to be done by %s", run["dag_run_id"], run["dag_id"], end)


class Winnow(BaseOperator):
    """Calls ``winnow`` without a shell, and returns the name of the run that it was about.

    Args:
        command: path of the command.
        arguments: templated.
        run_name: what to return, templated.
        reads, writes: paths for lineage, templated.
    """

    template_fields: Sequence[str] = ("arguments", "run_name", "reads", "writes")
    ui_color = "#dfe8d8"

    def __init__(
        self,
        *,
        command: str,
        arguments: Sequence[str],
        run_name: str = "",
        reads: Sequence[str] = (),
        writes: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.command = command
        self.arguments = list(arguments)
        self.run_name = run_name
        self.reads = list(reads)
        self.writes = list(writes)
        self._hook = SubprocessHook()

    def execute(self, context: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - the name is Airflow's
        self.call(self.arguments)
        return self.run_name or None

    def call(self, arguments: Sequence[str], *, allowed: Sequence[int] = (0,)) -> int:
        """Call the command, and return its exit code.

        Raises:
            AirflowFailException: if another try would end the same way.
            AirflowException: if it failed otherwise.
        """
        # Not the secrets of Airflow, and not the modules of its Python.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE) and name not in _PYTHON
        }
        code = self._hook.run_command([self.command, *arguments], env=environment).exit_code
        if code in allowed:
            return code
        failure = AirflowFailException if code == TOO_MANY_DEAD else AirflowException
        raise failure(f"winnow {arguments[0]} ended with exit code {code}; what it said stands above")

    def on_kill(self) -> None:
        self._hook.send_sigterm()

    def get_openlineage_facets_on_start(self) -> "OperatorLineage":
        """Return what is read and written, for OpenLineage."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import InputDataset, OutputDataset

        return OperatorLineage(
            inputs=[InputDataset(*dataset(path)) for path in self.reads],
            outputs=[OutputDataset(*dataset(path)) for path in self.writes],
        )

    def get_openlineage_facets_on_complete(self, _: Any) -> "OperatorLineage":
        """Return the same; nothing more is known after the run."""
        return self.get_openlineage_facets_on_start()


class Publish(Winnow):
    """Publishes a verified run, and returns the name of the run that was published.

    Backfills run beside the schedule, and people beside both. Where another run published since ours started, ours is made again from
    that release, which only does what differs, verified, and published in its stead.

    Args:
        again: arguments that make a run, up to its name, templated.
    """

    template_fields = (*Winnow.template_fields, "again")

    def __init__(self, *, again: Sequence[str], **options: Any) -> None:
        super().__init__(**options)
        self.again = list(again)

    def execute(self, context: Mapping[str, Any]) -> str:
        output, run = self.arguments[1], self.run_name
        for turn in range(_TURNS):
            if self.call([*self.arguments, "--run", run], allowed=(0, OUTRUN)) == 0:
                return run
            self.log.warning("another run published since %s started; making it again from there", run)
            run = f"{context['ti'].id}-{turn}"
            self.call([*self.again, run])
            self.call(["verify", output, "--run", run])
        raise AirflowException(f"{_TURNS} times another run published first; fewer should write to {output} at once")


def dataset(path: str) -> tuple[str, str]:
    """Return namespace and name that OpenLineage gives a path: a file's, or those of an object in a bucket."""
    scheme, found, rest = path.partition("://")
    if not found:
        return "file", fixed(path)
    bucket, _, key = rest.partition("/")
    return f"{scheme}://{bucket}", fixed(key) or "/"


def fixed(pattern: str) -> str:
    """Return the longest folder of a pattern that has no wildcard, or the pattern if it has none."""
    wild = re.search(r"[*?\[]", pattern)
    return pattern[: wild.start()].rpartition("/")[0] if wild else pattern


def deadline(nightly: Nightly) -> DeadlineAlert | None:
    """Return the alert of a configuration, which counts from when a run was queued.

    Its logical date is a day before it can begin, and long ago in a backfill.
    """
    if nightly.deadline_hours is None:
        return None
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=nightly.deadline_hours),
        callback=SyncCallback(nightly.alert or late, nightly.alert_options),
        name="late",
    )


def build(nightly: Nightly) -> DAG:
    """Return the DAG of a configuration."""

    def of_night(pattern: str, start: datetime | None) -> str:
        return pattern.format(night=local_date(start))

    def local_date(moment: datetime | None) -> date:
        if moment is None:
            raise AirflowFailException("this run has no data interval: trigger it with a logical date")
        return pendulum.instance(moment).in_timezone(nightly.timezone).date()

    def dated(pattern: str) -> str:
        return f"{{{{ of_night({pattern!r}, data_interval_start) }}}}"

    output = nightly.output.rstrip("/")
    inputs = [dated(pattern) for pattern in nightly.inputs]
    # As of the end: a night is judged by what was known when it was over, which is also when it runs if nothing is late.
    shards = [nightly.run_file, *inputs, "--input-root", nightly.input_root, "--output", output]
    shards += ["--as-of", "{{ local_date(data_interval_end) }}"]
    engine = ["--runner", nightly.runner] if nightly.runner else []
    for name, value in nightly.beam.items():
        engine += ["--beam", f"{name}={str(value).lower() if isinstance(value, bool) else value}"]
    again = ["run", *shards, *engine, "--quiet", "--no-publish", "--name"]
    # Of one try of one task, so that no try publishes or verifies what another made.
    name = "{{ local_date(data_interval_start) }}-{{ ti.id }}"
    places = [f"{output}/{place}" for place in ("clean", "quarantine", "dead", "audit", "sources.parquet")]
    report = dated(nightly.report)

    with DAG(
        dag_id="winnow_nightly",
        description="Screens a night's shards and publishes a release",
        doc_md=__doc__,
        schedule=CronDataIntervalTimetable(nightly.schedule, timezone=nightly.timezone),
        start_date=pendulum.datetime(nightly.start.year, nightly.start.month, nightly.start.day, tz=nightly.timezone),
        catchup=nightly.catchup,
        deadline=deadline(nightly),
        # Nights share one output. Two at once would end right, but the second would be made again.
        max_active_runs=1,
        user_defined_macros={"of_night": of_night, "local_date": local_date},
        default_args={
            "pool": nightly.pool,
            "retries": nightly.retries,
            "retry_delay": timedelta(seconds=nightly.retry_seconds),
            "retry_exponential_backoff": 2,
            "max_retry_delay": timedelta(hours=1),
        },
        tags=["winnow"],
    ) as dag:
        check = Winnow(task_id="check", command=nightly.winnow, arguments=["check", *shards], reads=inputs)
        plan = Winnow(
            task_id="plan", command=nightly.winnow, arguments=["plan", *shards, *engine, "--quiet"], reads=inputs
        )
        run = Winnow(
            task_id="run",
            command=nightly.winnow,
            arguments=[*again, name],
            run_name=name,
            reads=inputs,
            writes=[f"{output}/store"],
        )
        verify = Winnow(
            task_id="verify",
            command=nightly.winnow,
            arguments=["verify", output, "--run", "{{ ti.xcom_pull(task_ids='run') }}"],
            reads=[f"{output}/store"],
        )
        publish = Publish(
            task_id="publish",
            command=nightly.winnow,
            arguments=["publish", output],
            run_name="{{ ti.xcom_pull(task_ids='run') }}",
            again=again,
            reads=[f"{output}/store"],
            writes=places,
            outlets=[Asset(f"file://{output}" if "://" not in output else output)],
        )
        tell = Winnow(
            task_id="report",
            command=nightly.winnow,
            arguments=["report", output, "--run", "{{ ti.xcom_pull(task_ids='publish') }}", "--to", report],
            reads=[f"{output}/sources.parquet"],
            writes=[report],
        )
        check >> plan >> run >> verify >> publish >> tell
    return dag


build(read_nightly())
