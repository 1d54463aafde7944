"""The output parts of one split: opened with their first record, created in the store when all are whole."""

import functools
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from models.digest import digest_of
from models.errors import ConservationError
from models.store import Store, named_if_full, scratch_file

PLACES = ("clean", "quarantine", "dead", "audit")
RESTRICTED = frozenset({"quarantine", "dead"})
"""Places that hold text by design and may lie under a root of their own."""

AUDIT = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("source", pa.string()),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("through", pa.int64(), nullable=False),
        pa.field("records", pa.int64(), nullable=False),
        pa.field("door", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field(
            "reasons",
            pa.list_(
                pa.struct(
                    [
                        pa.field("policy_rule", pa.string()),
                        pa.field("action", pa.string()),
                        pa.field("tagger", pa.string()),
                        pa.field("rule", pa.string()),
                        pa.field("category", pa.string()),
                        pa.field("score", pa.float32()),
                        pa.field("start", pa.int32()),
                        pa.field("end", pa.int32()),
                        pa.field("view", pa.string()),
                        pa.field("value_hmac", pa.string()),
                    ]
                )
            ),
        ),
        pa.field(
            "redactions",
            pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("placeholder", pa.string())])),
        ),
        pa.field("error", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("sha256", pa.string()),
    ]
)
"""A row for every entry that was not simply kept, and one for each run of entries that were (``records`` of them, from
``position`` through ``through``). ``sha256`` is that of a purged record's text, and of such
a record nothing else is said. Which list or model a tagger used stands in ``audit/taggers.json`` of the release."""

DEAD = pa.schema(
    [
        pa.field("shard", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("detail", pa.string()),
        pa.field("lost", pa.int64(), nullable=False),
        pa.field("raw", pa.binary()),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
"""A row a dead letter. ``raw`` is null where only the hash is kept; ``lost`` is how many records are lost with it."""


@dataclass(frozen=True)
class PartFile:
    """A file of a release.

    Attributes:
        place: one of :data:`PLACES`.
        name: plain name below the place.
        object: name in the store.
        size: bytes.
        sha256: of the bytes.
        records: records in it; rows for audit.
    """

    place: str
    name: str
    object: str
    size: int
    sha256: str
    records: int


class Writer(Protocol):
    """What the writers of :mod:`models.writers` share."""

    path: Path
    records: int

    def close(self) -> None: ...
    def recount(self) -> int: ...
    def abandon(self) -> None: ...


@functools.cache
def _made_with() -> str:
    """Return a name for the libraries that write parts: with others the bytes may differ, and the names must.

    They are no part of a release's digest: what was released before an upgrade is still right.
    """
    libraries = {name: version(name) for name in ("pyarrow", "backports.zstd")}
    return digest_of({"libraries": libraries, "zlib": zlib.ZLIB_RUNTIME_VERSION})[:8]


class Parts:
    """The writers of one split's parts."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._writers: dict[str, Any] = {}
        self._scratch: list[Any] = []

    def writer(self, place: str, make: Callable[[Path], Any]) -> Any:
        """Return the writer of a place, made on first use."""
        if place not in self._writers:
            scratch = scratch_file(self._folders[place])
            path = scratch.__enter__()
            self._scratch.append(scratch)
            self._writers[place] = make(path)
        return self._writers[place]

    def finish(self, stores: Mapping[str, Store], names: Mapping[str, str], prefix: str) -> list[PartFile]:
        """Close every part and create it in its store."""
        files = []
        for place in PLACES:
            writer = self._writers.pop(place, None)
            if writer is None:
                continue
            writer.close()
            if (count := writer.recount()) != writer.records:
                raise ConservationError(f"{names[place]}: {count} records in the file, {writer.records} were written")
            name = names[place]
            suffix = name[name.rindex("-of-") + 9 :]
            target = f"parts/{prefix[:2]}/{prefix}/{_made_with()}/{place}{suffix}"
            size = writer.path.stat().st_size
            sha256 = stores[place].create_once(target, writer.path)
            files.append(PartFile(place, name, target, size, sha256, writer.records))
        return files

    def discard(self) -> None:
        # A full disk fails again when a writer is closed; the other files must go all the same.
        with ExitStack() as stack:
            for scratch in self._scratch:
                stack.callback(scratch.__exit__, None, None, None)
            for writer in self._writers.values():
                stack.callback(writer.abandon)


@contextmanager
def open_parts(folders: Mapping[str, Path]) -> Iterator[Parts]:
    """Give writers whose files are gone on leaving, whatever was not created in a store with them."""
    parts = Parts(folders)
    try:
        with named_if_full(*folders.values()):
            yield parts
    finally:
        parts.discard()
