"""What a run notes in the store for its launcher and for people: what stages found, and why it failed.

An engine hands back neither values nor the class of an exception, and the process that launched a run may be gone when it
ends; so both go through the output, which every worker must reach anyway.
"""

import contextlib
import functools
import hashlib
import json
import logging
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models import errors
from models.digest import digest_of
from models.errors import UsageError, WinnowError
from models.job import Job
from models.store import scratch_file
from transforms.workspace import workspace

LOGGER = logging.getLogger("winnow")
"""Of the structured logs: each message is a JSON object with the run's name, and never holds text of a record."""


@functools.cache
def code_digest() -> str:
    """Return a digest of the code that workers run."""
    digest = hashlib.sha256()
    top = Path(__file__).resolve().parents[1]
    for path in sorted([*(top / "models").rglob("*.py"), *(top / "transforms").rglob("*.py")]):
        digest.update(f"{path.relative_to(top)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Notes:
    """The folder ``runs/<run>/`` of the store.

    Attributes:
        run: name of the execution.
    """

    job: Job
    run: str

    def write(self, name: str, facts: Any) -> None:
        """Keep JSON as ``<name>.json``."""
        space = workspace(self.job)
        with scratch_file(space.scratch) as path:
            path.write_text(json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
            space.store.create_once(f"runs/{self.run}/{name}.json", path)

    def read(self, name: str) -> Any:
        """Return what was kept under a name, or None."""
        store, path = workspace(self.job).store, f"runs/{self.run}/{name}.json"
        return json.loads(store.read(path)) if store.exists(path) else None

    def begin(self, started: str, engine: str) -> None:
        """Say that the run begins; workers look for it before they do anything."""
        self.write("started", {"started": started, "engine": engine, "code": code_digest()})

    def check_here(self) -> None:
        """Make sure that this process shares the output with the launcher, and its code.

        Raises:
            UsageError: if not. A folder of the same name on another machine would take the output and lose it.
        """
        here = self.read("started")
        if here is None:
            raise UsageError(
                f"the worker on {platform.node()} does not see the output {self.job.root} that the run was launched with; use "
                "absolute paths on a file system that all machines share, or gs://"
            )
        if here["code"] != code_digest():
            raise UsageError(
                f"the worker on {platform.node()} has other code of Winnow than the launcher; install the same version on both"
            )

    @contextlib.contextmanager
    def keeping_errors(self) -> Iterator[None]:
        """Note an error of ours before it goes on, for engines lose its class and bury its message."""
        try:
            yield
        except WinnowError as error:
            facts = {"error": type(error).__name__, "message": str(error)}
            # What keeps the note from being written is likely what the error is about, and that one counts.
            with contextlib.suppress(OSError, WinnowError):
                self.write(f"errors/{digest_of(facts)[:16]}", facts)
            raise

    def errors(self) -> Iterator[WinnowError]:
        """Give the errors that were noted."""
        store = workspace(self.job).store
        for entry in store.list(f"runs/{self.run}/errors"):
            facts = json.loads(store.read(entry.name))
            yield getattr(errors, facts["error"])(facts["message"])

    def log(self, event: str, facts: Mapping[str, Any]) -> None:
        """Write a structured log line."""
        if LOGGER.isEnabledFor(logging.INFO):
            said = {"event": event, "run": self.run} | dict(facts)
            LOGGER.info("%s", json.dumps(said, ensure_ascii=False))
