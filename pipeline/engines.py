"""Engines: the Beam runner that a command uses. Which one never depends on what is installed or could be downloaded."""

import contextlib
import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, get_args

from apache_beam.options.pipeline_options import PipelineOptions

from models.errors import UsageError
from models.strict import near_miss

EngineName = Literal["local", "prism", "flink", "dataflow"]
ENGINES: tuple[str, ...] = get_args(EngineName)

# In full: "DirectRunner" is whatever happens to be installed.
_RUNNERS = {
    "local": "apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    "prism": "PrismRunner",
    "flink": "FlinkRunner",
    "dataflow": "DataflowRunner",
}

_EMBEDDED = ("[local]", "[auto]")
"""Values of ``flink_master`` for Flink inside the process of its job server."""

# What the Java job server takes besides the options that the Python SDK knows
# (org.apache.beam.runners.flink.FlinkPipelineOptions).
_OF_FLINK = (
    "parallelism",
    "max_parallelism",
    "max_bundle_size",
    "max_bundle_time_mills",
    "number_of_execution_retries",
    "execution_retry_delay",
    "execution_mode_for_batch",
    "object_reuse",
    "operator_chaining",
    "flink_conf_dir",
    "fail_on_checkpointing_errors",
    "disable_metrics",
)

_OF = {
    "local": ("direct_",),
    "prism": ("prism_",),
    "flink": ("flink_", *_OF_FLINK),
    "dataflow": ("dataflow_", "template_location", "max_num_workers", "machine_type", "sdk_container_image"),
}
"""How the names of options begin that only one engine knows."""

_OF_PORTABLE = ("environment_", "sdk_worker_parallelism")
_ENVIRONMENTS = ("DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK")

_WORKERS = {
    "prism": "Prism has as many as it likes",
    "flink": "say --beam parallelism=N",
    "dataflow": "say --beam max_num_workers=N, or num_workers",
}

LOCAL_MODES = ("in_memory", "multi_processing")
"""Modes of the local runner. Its third, ``multi_threading``, loses records and says that it is done."""


@dataclass(frozen=True)
class Engine:
    """A runner and its options, by Beam's own names."""

    name: EngineName = "local"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_ours(self) -> bool:
        """Whether the work is spread over processes by Winnow itself, in the memory of this one."""
        return self.name == "local" and self.options.get("direct_running_mode", "in_memory") == "in_memory"

    @property
    def runner(self) -> str:
        """Name of the runner, as Beam wants it."""
        return "PortableRunner" if "job_endpoint" in self.options else _RUNNERS[self.name]

    @property
    def can_be_left(self) -> bool:
        """Whether a job goes on when its launcher ends: neither the job's server nor its workers are the launcher's."""
        is_within = self.options.get("environment_type") == "LOOPBACK"
        return self.name == "dataflow" or ("job_endpoint" in self.options and not is_within)

    @property
    def outlives(self) -> bool:
        """Whether a job may go on when its launcher dies."""
        is_inside = self.options.get("flink_master") in _EMBEDDED
        return self.can_be_left or (self.name == "flink" and not is_inside)

    def with_options(self, more: Mapping[str, Any]) -> "Engine":
        return Engine(self.name, {**self.options, **more})

    def pipeline_options(self, workers: int) -> PipelineOptions:
        """Return the options of a pipeline.

        Args:
            workers: processes on this machine, where the engine leaves that to us.
        """
        options = dict(self.options)
        if self.name == "local":
            options.setdefault("direct_running_mode", "in_memory")
            options.setdefault("direct_num_workers", 1 if self.is_ours else workers)
        if self.name == "flink":
            # All input is known before the run; and nothing but small values crosses a stage.
            options.setdefault("streaming", False)
        if self.name == "dataflow":
            options.setdefault("resource_hints", ["min_ram=2GB"])
            options["labels"] = [f"winnow={_label(version('winnow-corpus'))}", *_several(options.get("labels"))]
        return PipelineOptions.from_dictionary(options)


def _several(given: Any) -> list[Any]:
    return [] if given is None else list(given) if isinstance(given, list | tuple) else [given]


def _label(text: str) -> str:
    """Return a text with what labels may hold: lower case letters, digits, ``-`` and ``_``."""
    return re.sub(r"[^a-z0-9_-]", "-", text.lower())


LOCAL = Engine()


def make_engine(name: str, options: Mapping[str, Any]) -> Engine:
    """Return an engine, its options checked.

    Raises:
        UsageError: naming what is unknown or missing.
    """
    if name not in ENGINES:
        raise UsageError(f"runner {name!r}{near_miss(name, ENGINES)}; there are {', '.join(ENGINES)}")
    known = {*PipelineOptions([]).get_all_options(), *(_OF_FLINK if name == "flink" else ())} - {"runner"}
    for key in options:
        if key not in known:
            raise UsageError(f"beam: Beam has no option {key!r}{near_miss(key, sorted(known))}")
    if "job_endpoint" in options and name not in ("prism", "flink"):
        raise UsageError(
            f"runner {name}: job_endpoint is of prism and flink; name the runner that the job server is of"
        )
    engine = Engine(name, dict(options))  # type: ignore[arg-type]
    for fault in _faults(engine):
        raise UsageError(f"runner {name}: {fault}")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # Beam's parser prints what is wrong, and exits
            engine.pipeline_options(1).get_all_options()
    except SystemExit:
        raise UsageError(f"beam: {said.getvalue().rpartition('error: ')[2].strip()}") from None
    return engine


def check_workers(runner: str, workers: int | None) -> None:
    """Refuse a number of processes for an engine that has workers of its own; one in a run file is for the local runner.

    Raises:
        UsageError: naming the engine's option for it.
    """
    if workers is not None and runner in _WORKERS:
        raise UsageError(
            f"--workers is of the local runner; runner {runner} has workers of its own: {_WORKERS[runner]}"
        )


def _faults(engine: Engine) -> Iterator[str]:
    given = engine.options
    for key in given:
        owners = [name for name, names in _OF.items() if key.startswith(names)]
        if owners and engine.name not in owners:
            yield f"{key} is an option of runner {owners[0]} and means nothing here; leave it out, or say runner {owners[0]}"
        if key.startswith(_OF_PORTABLE) and engine.name not in ("prism", "flink"):
            yield f"{key} is an option of runners prism and flink and means nothing here; leave it out"
    kind = given.get("environment_type", "LOOPBACK")
    if kind not in _ENVIRONMENTS:
        near = near_miss(str(kind), _ENVIRONMENTS)
        yield f"environment_type {kind!r}{near}; there are {', '.join(_ENVIRONMENTS)}"
    if kind in ("PROCESS", "EXTERNAL") and "environment_config" not in given:
        yield f"environment_type {kind} needs environment_config (docs/flink.md)"
    if engine.name == "local" and (mode := given.get("direct_running_mode", "in_memory")) not in LOCAL_MODES:
        yield f"direct_running_mode {mode!r} loses records or is unknown; use one of {', '.join(LOCAL_MODES)}"
    if engine.name == "prism" and "job_endpoint" not in given:
        yield from _faults_of_file(given, "prism_location", "the Prism program; nothing is downloaded")
    if engine.name == "flink":
        if "job_endpoint" not in given:
            yield from _faults_of_file(given, "flink_job_server_jar", "Beam's job server; nothing is downloaded")
        if not {"flink_master", "job_endpoint"} & given.keys():
            yield "flink_master is missing: name the cluster's HOST:PORT, or [local] for Flink inside this process"
        is_embedded = given.get("flink_master") in _EMBEDDED
        if "environment_type" not in given and not is_embedded:
            yield (
                "environment_type is missing: say how task managers reach Python workers, EXTERNAL (a worker pool beside each, "
                "with environment_config=HOST:PORT) or PROCESS (docs/flink.md)"
            )
        if kind == "PROCESS" and not is_embedded:
            yield from _faults_of_command(str(given.get("environment_config", "")))
    if engine.name == "dataflow":
        for key in ("project", "region", "temp_location"):
            if key not in given:
                yield f"{key} is missing (docs/dataflow.md)"
        if not {"sdk_container_image", "setup_file"} & given.keys():
            yield (
                "workers need Winnow: name an image that has it (sdk_container_image, made from deploy/dataflow/Dockerfile), or "
                "setup_file=./setup.py to install it when they start (docs/dataflow.md)"
            )


def _faults_of_command(config: str) -> Iterator[str]:
    """Give what is wrong with the command of a worker process; on a task manager a relative path is another one, or none."""
    if not config:
        return  # which is said elsewhere
    try:
        command = dict(json.loads(config)).get("command", "")
    except (TypeError, ValueError) as error:
        yield f'environment_config is no JSON ({error}); say \'{{"command": "/absolute/path"}}\''
        return
    if not str(command).startswith("/"):
        yield f"environment_config: command {command!r} is relative, and means another file on each task manager; name an absolute path"


def _faults_of_file(given: Mapping[str, Any], key: str, what: str) -> Iterator[str]:
    if key not in given:
        yield f"{key} or job_endpoint is missing: name {what}"
    elif "://" not in str(given[key]) and not Path(given[key]).is_file():
        yield f"{key}: {given[key]} is not there"
    elif "://" in str(given[key]):
        yield f"{key}: {given[key]} would be downloaded at run time; name a file"


def preflight(engine: Engine, roots: Mapping[str, str]) -> Iterator[str]:
    """Give what a cluster lacks that would fail a run hours later, each with its remedy.

    Args:
        roots: name and path of what every machine must reach.
    """
    if engine.name in ("flink", "dataflow"):
        for name, path in roots.items():
            if "://" not in path and engine.name == "dataflow":
                yield f"{name}: {path} is a folder of this machine; Dataflow's workers need gs://"
    if engine.name == "flink":
        master = str(engine.options.get("flink_master", ""))
        if master and not master.startswith("["):
            yield from _flink_faults(master, int(engine.options.get("parallelism", 0)))


def not_asked(engine: Engine) -> str | None:
    """Say that a cluster was not asked what it lacks, if there is one whose address nobody gave."""
    if engine.name != "flink" or "flink_master" in engine.options:
        return None
    return (
        "the cluster behind job_endpoint was not asked for slots, memory, restart strategy and Java options; look yourself "
        "(docs/flink.md), or add flink_master=HOST:PORT, by which launcher and job server both reach it"
    )


def _flink_faults(master: str, parallelism: int) -> Iterator[str]:
    base = master if "://" in master else f"http://{master}"
    try:
        overview = _ask(f"{base}/overview")
        settings = {each["key"]: each["value"] for each in _ask(f"{base}/jobmanager/config")}
        managers = [_ask(f"{base}/taskmanagers/{each['id']}") for each in _ask(f"{base}/taskmanagers")["taskmanagers"]]
    except (urllib.error.URLError, OSError, ValueError) as error:
        yield f"flink_master: {base} does not answer ({error}); start the cluster, or mend the address"
        return
    slots = int(overview.get("slots-total") or 0)
    if not slots:
        yield f"flink_master: {base} has no task slots; start task managers"
    elif parallelism > slots:
        yield (
            f"parallelism: {parallelism} is more than the {slots} task slots of {base}, and the job would wait for others that "
            "never come; say less, or start task managers"
        )
    yield from _restart_faults(settings)
    yield from _java_faults(settings)
    for manager in managers:
        if int(manager.get("memoryConfiguration", {}).get("taskOffHeap") or 0) < _OFF_HEAP:
            yield (
                f"task manager {manager['id']} has less than {_OFF_HEAP >> 20} MiB off-heap memory for tasks: gRPC runs out of it "
                "and the job hangs or fails with 'Channel closed prematurely'; set taskmanager.memory.task.off-heap.size: 600m"
            )


def _restart_faults(settings: Mapping[str, str]) -> Iterator[str]:
    strategy = settings.get("restart-strategy.type", settings.get("restart-strategy", ""))
    if strategy in ("", "none", "disable", "off"):
        yield (
            "the cluster has no restart strategy, so one lost task manager fails the whole job; set restart-strategy.type: "
            "fixed-delay in its configuration (an option of the job does not help)"
        )
    if strategy in ("fixed-delay", "fixeddelay") and int(settings.get(_ATTEMPTS, 1)) < 2:
        yield (
            f"the cluster's restart strategy allows one attempt, so the second lost task manager fails the whole job; set {_ATTEMPTS}: "
            "10 in its configuration (the default is 1)"
        )


def _java_faults(settings: Mapping[str, str]) -> Iterator[str]:
    given = " ".join(settings.get(f"env.java.opts.{which}", "") for which in ("all", "taskmanager"))
    if missing := [name for name in _OPENED if f"java.base/{name}=" not in given]:
        yield (
            f"the cluster's env.java.opts.all opens no {', '.join(missing)}, so Java 17 refuses reflection; it needs what Flink "
            f"ships there, --add-opens=java.base/{missing[0]}=ALL-UNNAMED and so on, before options of your own, which replace it "
            "(deploy/flink/config.yaml has the list)"
        )


_OFF_HEAP = 512 << 20
_ATTEMPTS = "restart-strategy.fixed-delay.attempts"
_OPENED = ("java.lang", "java.lang.reflect", "java.nio", "java.util", "java.util.concurrent", "java.time")
"""Packages of java.base among those that Flink opens in its own configuration; who has replaced that lacks all of them."""


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)
