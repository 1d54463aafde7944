"""What a run notes in the store for its launcher and for people: what stages found, and why it failed.

An engine hands back neither values nor the class of an exception, and the process that launched a run may be gone when it
ends; so both go through the output, which every worker must reach anyway.
"""

import contextlib
import functools
import hashlib
import io
import json
import logging
import platform
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models import errors
from models.digest import digest_of
from models.errors import UsageError, WinnowError
from models.store import Store, scratch_file
from transforms.workspace import open_store

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
        root: of the output.
        run: name of the execution.
    """

    root: str
    run: str

    def write(self, name: str, facts: Any) -> None:
        """Keep JSON as ``<name>.json``."""
        text = json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n"
        self._keep(f"{name}.json", lambda path: path.write_text(text, "utf-8"))

    def _keep(self, name: str, write: Callable[[Path], Any]) -> None:
        with scratch_file(self._store.scratch) as path:
            write(path)
            self._store.create_once(f"runs/{self.run}/{name}", path)

    @property
    def _store(self) -> Store:
        return open_store(f"{self.root}/store")

    def read(self, name: str) -> Any:
        """Return what was kept under a name, or None."""
        try:
            return json.loads(self._store.read(f"runs/{self.run}/{name}.json"))
        except FileNotFoundError:
            return None

    def write_todo(self, stage: str, todo: Mapping[str, int]) -> None:
        """Keep what a stage has to make: names of objects in the store, and for how many bytes of the shards each stands."""
        table = pa.table({"name": pa.array(todo, pa.string()), "size": pa.array(todo.values(), pa.int64())})
        self._keep(f"{stage}.todo.parquet", lambda path: pq.write_table(table, path, compression="zstd"))

    def todo(self, stage: str) -> dict[str, int] | None:
        """Return what was kept so, or None."""
        try:
            table = pq.read_table(io.BytesIO(self._store.read(f"runs/{self.run}/{stage}.todo.parquet")))
        except FileNotFoundError:
            return None
        return dict(zip(table["name"].to_pylist(), table["size"].to_pylist(), strict=True))

    def begin(self, started: str, engine: str, until: str) -> None:
        """Say that the run begins; workers look for it before they do anything."""
        self.write("started", {"started": started, "engine": engine, "until": until, "code": code_digest()})

    def check_here(self) -> None:
        """Make sure that this process shares the output with the launcher, and its code.

        Raises:
            UsageError: if not. A folder of the same name on another machine would take the output and lose it.
        """
        here = self.read("started")
        if here is None:
            raise UsageError(
                f"the worker on {platform.node()} does not see the output {self.root} that the run was launched with; use "
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
        store = self._store
        for entry in store.list(f"runs/{self.run}/errors"):
            facts = json.loads(store.read(entry.name))
            yield getattr(errors, facts["error"])(facts["message"])

    def log(self, event: str, facts: Mapping[str, Any]) -> None:
        """Write a structured log line."""
        if LOGGER.isEnabledFor(logging.INFO):
            said = {"event": event, "run": self.run} | dict(facts)
            LOGGER.info("%s", json.dumps(said, ensure_ascii=False))
