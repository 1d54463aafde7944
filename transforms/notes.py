"""What a run notes in the store for its launcher and for people: what stages found, and why it failed.

An engine hands back neither values nor the class of an exception, and the process that launched a run may be gone when it
ends; so both go through the output, which every worker must reach anyway.
"""

import contextlib
import functools
import io
import json
import logging
import platform
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models import errors
from models.digest import digest_of
from models.errors import StoreConflictError, ToolError, UsageError, WinnowError
from models.store import Store, scratch_file
from transforms.code import PARTS, code_digest, differences, libraries
from transforms.logs import LOGGER, is_told_nothing, log_to_stderr
from transforms.workspace import open_store


@dataclass(frozen=True)
class Noted:
    """An exception that a step of a run noted.

    Attributes:
        error: name of its class.
        message: its words if it is one of ours, else where it was raised: the words of others may hold text of a record.
    """

    error: str
    message: str

    @property
    def as_ours(self) -> WinnowError | None:
        """The error, if it is one of ours."""
        kind = getattr(errors, self.error, None)
        return kind(self.message) if isinstance(kind, type) and issubclass(kind, WinnowError) else None


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

    def first(self, name: str, facts: Any) -> Any:
        """Keep JSON as ``<name>.json`` unless there is one, and return what is kept: an engine may do a step again."""
        try:
            self.write(name, facts)
        except StoreConflictError:
            return self.read(name)
        return facts

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

    def begin(self, started: str, engine: str, until: str, *, outlives: bool = False, is_trial: bool = False) -> None:
        """Say that the run begins; workers look for it before they do anything.

        Args:
            outlives: whether the job may go on when its launcher dies.
            is_trial: whether nothing is submitted.

        Raises:
            UsageError: if the name was used: what another job of that name leaves would be taken for this run's.
        """
        same = {"code": code_digest(), "libraries": libraries()}
        how = {"engine": engine, "until": until, "outlives": outlives, "trial": is_trial}
        # By chance, so that two that begin in one second are told apart.
        said = {"started": started, **how, **same, "begun": uuid.uuid4().hex}
        try:
            self.write("started", said)
        except StoreConflictError:
            raise name_is_used(self.root, self.run) from None

    def end(self, state: str, error: str = "", again: str = "") -> None:
        """Say how the run ended, as its launcher knows.

        Args:
            state: ``done``, ``failed``, or ``outrun`` by another that published first.
            error: name of the class of what it failed with.
            again: name of the run that goes on in its place.
        """
        self.first("ended", {"state": state, "error": error, "again": again})

    def check_here(self) -> None:
        """Make sure that this process shares the output with the launcher, its code, and the versions of its libraries.

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
                f"the worker on {platform.node()} has other code of Winnow than the launcher ({', '.join(PARTS)}, with their data); "
                "install the same version on both"
            )
        if found := differences(here.get("libraries", {})):
            raise UsageError(
                f"the worker on {platform.node()} has other libraries than the launcher: {', '.join(found)}; they decide bytes of the output: "
                "install requirements.lock on both, or use an image made from it"
            )

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Do a step of the run: check this process first, once, and note an exception before it goes on.

        Engines lose the class of an exception and bury its message.
        """
        try:
            _check_once(self)
            self._check_not_ended()
            yield
        except Exception as error:
            # What keeps the note from being written is likely what the error is about, and that one counts.
            with contextlib.suppress(OSError, WinnowError):
                self.note(error)
            raise

    def _check_not_ended(self) -> None:
        """Refuse a step of a run that was given up: its launcher failed to submit it, or people ended it."""
        ended = self.read("ended")
        if ended is not None and ended["state"] == "failed":
            raise ToolError(f"run {self.run} was given up ({ended['error']}); its job does nothing more")

    def note(self, error: Exception) -> None:
        """Note an exception, for the launcher and for people."""
        message = str(error) if isinstance(error, WinnowError) else _place(error)
        facts = {"error": type(error).__name__, "message": message}
        self.write(f"errors/{digest_of(facts)[:16]}", facts)

    def errors(self) -> Iterator[Noted]:
        """Give what was noted of exceptions."""
        store = self._store
        for entry in store.list(f"runs/{self.run}/errors"):
            yield Noted(**json.loads(store.read(entry.name)))

    def log(self, event: str, facts: Mapping[str, Any]) -> None:
        """Write a structured log line."""
        if LOGGER.isEnabledFor(logging.INFO):
            said = {"event": event, "run": self.run} | dict(facts)
            LOGGER.info("%s", json.dumps(said, ensure_ascii=False))


def name_is_used(root: str, run: str) -> UsageError:
    """Return the error for a name that a run had before."""
    return UsageError(f"{root}: there was a run {run} already; what it found is kept, give this one another name")


@functools.lru_cache(maxsize=16)
def _check_once(notes: Notes) -> None:
    if is_told_nothing():
        log_to_stderr()
    notes.check_here()


def _place(error: Exception) -> str:
    """Say where an exception was raised: the last place in code of ours, and the very last."""
    frames = traceback.extract_tb(error.__traceback__)
    top = Path(__file__).resolve().parents[1]
    ours = [frame for frame in frames if any(Path(frame.filename).is_relative_to(top / part) for part in PARTS)]
    said = [f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}" for frame in (*frames[-1:], *ours[-1:])]
    return "raised at " + ", called from ".join(dict.fromkeys(said))
