"""The store: the only way anything is written.

Names are made once and never change; one pointer is swapped by compare-and-set. A file appears under its name whole and synced,
or not at all.
"""

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from models.digest import digest_of_file
from models.errors import NO_ROOM, StoreConflictError, UsageError, way_out


class Entry(NamedTuple):
    """An object of a listing.

    Attributes:
        size: bytes.
        modified: when it was put there, in seconds since 1970 by the store's own clock.
    """

    name: str
    size: int
    modified: float


class Store(Protocol):
    """Named, immutable objects under one root. Names are relative paths with ``/``."""

    @property
    def root(self) -> str: ...

    @property
    def scratch(self) -> Path:
        """Folder of this machine for files on their way into the store."""
        ...

    def check(self) -> None:
        """Tell whether objects could be made here, and leave nothing behind.

        Raises:
            UsageError: if not.
        """
        ...

    def prepare(self) -> None:
        """Make sure that objects can be made here.

        Raises:
            UsageError: if not.
        """
        ...

    def claim(self, identity: str) -> str:
        """Say whose store this is, once, and return what was said first."""
        ...

    def create_once(self, name: str, file: Path) -> str:
        """Put a finished local file under a name, and return its SHA-256.

        Creating a name again with the same content does nothing.

        Raises:
            StoreConflictError: if the name exists with other content.
        """
        ...

    def exists(self, name: str) -> bool: ...

    def read(self, name: str) -> bytes:
        """Return an object's bytes.

        Raises:
            FileNotFoundError: if there is none. Any other failure to read raises as it is: it says nothing about existence.
        """
        ...

    def local(self, name: str) -> Path:
        """Return a path on this machine that holds the object's bytes, for memory mapping."""
        ...

    def fetched(self, name: str) -> AbstractContextManager[Path]:
        """Give a path on this machine that holds the object's bytes while the context lasts.

        Raises:
            FileNotFoundError: if there is none.
        """
        ...

    def list(self, prefix: str) -> Iterator[Entry]:
        """Give all objects under a folder, in order of their names."""
        ...

    def delete(self, name: str) -> None: ...

    def now(self) -> float:
        """Return the time by the store's own clock, in seconds since 1970."""
        ...

    def in_use(self) -> AbstractContextManager[None]:
        """Say that a run works here; waits while something is deleted."""
        ...

    def not_in_use(self) -> AbstractContextManager[None]:
        """Keep runs out.

        Raises:
            UsageError: if one works here.
        """
        ...


class LocalStore:
    """A store in a folder of a file system that has hard links.

    Args:
        root: the folder.
        mode: of the folder; the default leaves that of one that exists alone.
    """

    def __init__(self, root: Path, mode: int = 0o755) -> None:
        self._root = root
        self._mode = mode

    @property
    def root(self) -> str:
        return str(self._root)

    @property
    def scratch(self) -> Path:
        # On the same file system, so that a finished file can be linked.
        return self._root

    def check(self) -> None:
        """Tell whether the folder could be made and written, and leave nothing behind.

        Raises:
            UsageError: if not.
        """
        there = next(folder for folder in (self._root, *self._root.parents) if folder.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            raise UsageError(f"{self._root}: cannot write in {there}; choose another folder or give yourself the right")

    def prepare(self) -> None:
        """Make the folder.

        Raises:
            UsageError: if it cannot be made or written.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            if self._mode != 0o755:
                self._root.chmod(self._mode)
            with tempfile.TemporaryFile(dir=self._root):
                pass
        except OSError as error:
            way = way_out(error) if error.errno in NO_ROOM else "choose another folder or give yourself the right"
            raise UsageError(f"{self._root}: cannot write there ({error.strerror}); {way}") from None

    def claim(self, identity: str) -> str:
        path = self._root / ".corpus"
        with contextlib.suppress(FileExistsError), path.open("x") as file:
            file.write(identity)
        return path.read_text()

    def create_once(self, name: str, file: Path) -> str:
        target = self._root / name
        digest = digest_of_file(file)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open("rb") as content:
                os.fsync(content.fileno())
            file.chmod(0o444)
            try:
                self._link(file, target)
                sync_folder(target.parent)
            except FileExistsError:
                pass  # another worker was first: compared below
            else:
                return digest
        if digest_of_file(target) != digest:
            raise StoreConflictError(
                f"{target} exists with other content than what was made for it; the same inputs gave different results. "
                "Move it away to see both, run again, and report it"
            )
        return digest

    def _link(self, file: Path, target: Path) -> None:
        try:
            os.link(file, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # The temporary folder is on another file system: bring the bytes over first, then link.
            with scratch_file(self._root) as near:
                with file.open("rb") as source, near.open("wb") as copy:
                    while block := source.read(1 << 20):
                        copy.write(block)
                    copy.flush()
                    os.fsync(copy.fileno())
                near.chmod(0o444)
                os.link(near, target)

    def exists(self, name: str) -> bool:
        return (self._root / name).exists()

    def read(self, name: str) -> bytes:
        return (self._root / name).read_bytes()

    def local(self, name: str) -> Path:
        return self._root / name

    @contextlib.contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        path = self._root / name
        if not path.is_file():
            raise FileNotFoundError(str(path))
        yield path

    def list(self, prefix: str) -> Iterator[Entry]:
        top = self._root / prefix
        for folder, folders, files in os.walk(top, onerror=_raise_unless_missing):
            folders.sort()
            for name in sorted(name for name in files if not name.startswith(".")):
                path = Path(folder) / name
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue  # a scratch file of a run that is under way
                said = path.relative_to(self._root)
                # A release is staged under tmp by links to objects of any age; when it was, only the change time says.
                yield Entry(str(said), status.st_size, status.st_ctime if said.parts[0] == "tmp" else status.st_mtime)

    def delete(self, name: str) -> None:
        (self._root / name).unlink(missing_ok=True)

    def now(self) -> float:
        with tempfile.NamedTemporaryFile(dir=self._root) as file:
            return Path(file.name).stat().st_mtime

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        with (self._root / ".in-use").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def not_in_use(self) -> Iterator[None]:
        with (self._root / ".in-use").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(
                    f"{self._root}: a run is under way, or another gc; try again when it has ended"
                ) from None
            yield


def _raise_unless_missing(error: OSError) -> None:
    # A folder that cannot be read is not an empty one.
    if not isinstance(error, FileNotFoundError):
        raise error


@contextlib.contextmanager
def scratch_file(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Give a path for a temporary file in ``folder/tmp`` and remove what is left of it."""
    place = folder / "tmp"
    place.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=place, suffix=suffix)
    os.close(handle)
    path = Path(name)
    try:
        with named_if_full(place):
            yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def named_if_full(*folders: Path) -> Iterator[None]:
    """Name the folders that are written to in an error that says that there is no room: a write knows its file by a number alone."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM and error.filename is None:
            raise OSError(
                error.errno, os.strerror(error.errno), " or ".join(map(str, dict.fromkeys(folders)))
            ) from error
        raise


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock: the compare and the set of a pointer are one step among processes."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync_tree(top: Path) -> None:
    """Make everything below a folder survive a crash, names and contents."""
    for folder, _, names in os.walk(top, topdown=False):
        for name in names:
            with (Path(folder) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
