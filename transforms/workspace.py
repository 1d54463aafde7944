"""What a worker works with: opened shards, stores, and a folder for files on their way."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from apache_beam.io.filesystems import FileSystems

from models import artefact
from models.errors import UsageError
from models.files import LocalOpener, Opener
from models.job import Job
from models.store import LocalStore, Store
from transforms.cloud import SCHEME, CloudOpener, CloudStore, fetch_folder

_BEAT_SECONDS = 1.0
artefact.FETCH["gs"] = fetch_folder


class BeamOpener:
    """Opens shards on any file system that Beam knows; reads are uncompressed bytes."""

    def open(self, path: str) -> BinaryIO:
        from apache_beam.io.filesystem import CompressionTypes

        opened: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
        return opened

    def stamp(self, path: str) -> str:
        found = FileSystems.match([path])[0].metadata_list
        if not found:
            raise FileNotFoundError(path)
        return f"{found[0].size_in_bytes}:{found[0].last_updated_in_seconds}:{FileSystems.checksum(path)}"


@dataclass(frozen=True)
class Heard:
    """An opener whose files report, now and then, how far they were read: work on a huge shard must not look stalled."""

    opener: Opener
    beat: Callable[[str, int], None]

    def open(self, path: str) -> BinaryIO:
        self.beat(path, 0)
        return _HeardFile(self.opener.open(path), path, self.beat)  # type: ignore[return-value]

    def stamp(self, path: str) -> str:
        return self.opener.stamp(path)


class _HeardFile:
    def __init__(self, file: BinaryIO, path: str, beat: Callable[[str, int], None]) -> None:
        self._file, self._path, self._beat = file, path, beat
        self._last = time.monotonic()
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1, /) -> bytes:
        if time.monotonic() - self._last > _BEAT_SECONDS:
            self._last = time.monotonic()
            self._beat(f"{self._path} at byte {self._file.tell()}", 0)
        return self._file.read(size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@dataclass(frozen=True)
class Workspace:
    """A worker's means.

    Attributes:
        opener: of shards.
        store: the corpus's store.
        restricted: the store for quarantine and dead letters.
    """

    opener: Opener
    store: Store
    restricted: Store

    @property
    def scratch(self) -> Path:
        return self.store.scratch

    def stores(self) -> dict[str, Store]:
        """Return the store of each place."""
        return {"clean": self.store, "audit": self.store, "quarantine": self.restricted, "dead": self.restricted}

    def folders(self) -> dict[str, Path]:
        """Return a folder for unfinished files of each place, of its store."""
        return {place: store.scratch for place, store in self.stores().items()}


def workspace(job: Job) -> Workspace:
    """Return a worker's means for a job."""
    store = open_store(f"{job.root}/store")
    restricted = store if job.restricted == job.root else open_store(f"{job.restricted}/store", 0o700)
    return Workspace(shard_opener(), store, restricted)


def shard_opener() -> Opener:
    """Return what opens shards wherever they lie."""
    return _Opener()


def open_store(root: str, mode: int = 0o755) -> Store:
    """Return the store at a folder, or below ``gs://bucket/folder``.

    Args:
        mode: of a folder; the default leaves that of one that exists alone.
    """
    return CloudStore(root) if root.startswith(SCHEME) else LocalStore(Path(root), mode)


@contextlib.contextmanager
def fetched(address: str) -> Iterator[Path]:
    """Give a path on this machine that holds the bytes of one object, a run file or a policy, while the context lasts.

    Raises:
        UsageError: if it is not there, or no ``gs://bucket/folder/name``.
    """
    folder, _, name = address.rpartition("/")
    if not address.startswith(SCHEME) or folder.endswith("/") or not name:
        raise UsageError(f"{address}: only {SCHEME}BUCKET/NAME can be read; copy the file to there, or to this machine")
    with contextlib.ExitStack() as stack:
        try:
            path = stack.enter_context(open_store(folder).fetched(name))
        except FileNotFoundError:
            raise UsageError(f"{address}: is not there; check the address") from None
        yield path


class _Opener:
    """Opens files of this machine, objects at a pinned generation, and what else Beam knows."""

    def _for(self, path: str) -> Opener:
        if path.startswith(SCHEME):
            return CloudOpener()
        return BeamOpener() if "://" in path else LocalOpener()

    def open(self, path: str) -> BinaryIO:
        return self._for(path).open(path)

    def stamp(self, path: str) -> str:
        return self._for(path).stamp(path)
