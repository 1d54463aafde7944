"""What a worker works with: opened shards, stores, and a folder for files on their way."""

import errno
import fnmatch
import glob
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from apache_beam.io.filesystems import FileSystems

from models.errors import InputOutputError, UsageError
from models.files import LocalOpener, Opener
from models.job import Job
from models.store import LocalStore, Store

SHARD_PATTERNS = (
    "*.parquet",
    "*.json.gz",
    *(f"*.{name}{ending}" for name in ("jsonl", "ndjson") for ending in ("", ".gz", ".zst", ".bz2")),
)
"""What is taken for a shard where a folder is given, whatever the case of its letters."""

_BEAT_SECONDS = 1.0


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
        return Path(self.store.root)

    def stores(self) -> dict[str, Store]:
        """Return the store of each place."""
        return {"clean": self.store, "audit": self.store, "quarantine": self.restricted, "dead": self.restricted}

    def folders(self) -> dict[str, Path]:
        """Return a folder for unfinished files of each place, on the file system of its store."""
        return {place: Path(store.root) for place, store in self.stores().items()}


def workspace(job: Job) -> Workspace:
    """Return a worker's means for a job."""
    store = LocalStore(Path(job.root) / "store")
    restricted = store if job.restricted == job.root else LocalStore(Path(job.restricted) / "store", 0o700)
    return Workspace(BeamOpener() if "://" in job.root else _Opener(), store, restricted)


class _Opener:
    """Opens local files itself and others by Beam."""

    def __init__(self) -> None:
        self._local, self._beam = LocalOpener(), BeamOpener()

    def _for(self, path: str) -> Opener:
        return self._beam if "://" in path else self._local

    def open(self, path: str) -> BinaryIO:
        return self._for(path).open(path)

    def stamp(self, path: str) -> str:
        return self._for(path).stamp(path)


def list_shards(pattern: str, root: str, outputs: tuple[str, ...] = ()) -> list[str]:
    """Return the paths, relative to the root, of the shards that a glob, a folder or a file names.

    Hidden files and those whose names start with an underscore, as other tools mark theirs, are left out of folders and globs.

    Args:
        outputs: folders that are written; what lies in them is no input, even where a pattern reaches it.

    Raises:
        UsageError: if one lies outside the root.
    """
    found = []
    written = [os.path.realpath(folder) + "/" for folder in outputs]
    for path in _matches(pattern):
        if "://" not in path and os.path.realpath(path).startswith(tuple(written)):
            continue
        if not path.startswith(root.rstrip("/") + "/"):
            raise UsageError(f"{path} does not lie under the input root {root}; set input_root")
        found.append(_in_utf8(path[len(root.rstrip("/")) + 1 :]))
    return sorted(found)


def _in_utf8(path: str) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        said = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(
            f"{said}: the name is not UTF-8, and every output is named after its shard; rename it"
        ) from None
    return path


def _matches(pattern: str) -> Iterator[str]:
    if "://" in pattern:
        for result in FileSystems.match([pattern]):
            yield from (metadata.path for metadata in result.metadata_list)
        return
    if Path(pattern).is_file():
        yield pattern
    elif Path(pattern).is_dir():
        yield from (path for path in _walk(pattern) if _is_shard(path))
    else:
        _check_folders(pattern)
        found = sorted(glob.glob(pattern, recursive=True))
        yield from (path for path in found if _is_shown(Path(path).name) and not Path(path).is_dir() and _is_file(path))


def _walk(top: str) -> Iterator[str]:
    """Give every file below a folder, links to folders followed once."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(top, onerror=_raise, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = sorted(name for name in folders if _is_shown(name)) if real not in seen else []
        if real not in seen:
            yield from (str(Path(folder) / name) for name in sorted(names))
        seen.add(real)


def _raise(error: OSError) -> None:
    # A folder that cannot be read is not an empty one.
    raise InputOutputError(f"{error.filename}: {error.strerror}; give yourself the right to read it, or leave it out")


def _check_folders(pattern: str) -> None:
    """Make sure that no folder on a glob's way is passed over because it cannot be read."""
    parts = Path(pattern).parts
    for count in range(1, len(parts)):
        for folder in glob.glob(str(Path(*parts[:count])), recursive=True):
            if Path(folder).is_dir() and not os.access(folder, os.R_OK | os.X_OK):
                _raise(PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder))


def _is_shard(path: str) -> bool:
    name = Path(path).name
    known = any(fnmatch.fnmatch(name.lower(), pattern) for pattern in SHARD_PATTERNS)
    return _is_shown(name) and known and _is_file(path)


def _is_file(path: str) -> bool:
    if not Path(path).is_file():
        raise UsageError(f"{path}: is no regular file, or a link to one that is gone; mend or remove it")
    return True


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "_"))
