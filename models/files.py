"""Opening shards, and telling whether one changed while it was read."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from models.errors import ShardChangedError


class Opener(Protocol):
    """Read access to shards."""

    def open(self, path: str) -> BinaryIO:
        """Open for reading; the result can seek."""
        ...

    def stamp(self, path: str) -> str:
        """Return a text that differs after any change of the file: its generation, or what the file system keeps."""
        ...


class LocalOpener:
    """Opens files of this machine."""

    def open(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def stamp(self, path: str) -> str:
        # The change time cannot be set back by whoever rewrites a file, unlike size and modification time.
        status = Path(path).stat()
        return f"{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"


@contextlib.contextmanager
def unchanged(opener: Opener, path: str) -> Iterator[BinaryIO]:
    """Open a shard, and check on leaving that it did not change meanwhile.

    Raises:
        ShardChangedError: if it did.
    """
    before = opener.stamp(path)
    with opener.open(path) as file:
        yield file
    if opener.stamp(path) != before:
        raise changed(path)


def changed(path: str) -> ShardChangedError:
    """Return the error for a shard whose bytes are not those that were planned."""
    return ShardChangedError(
        f"{path} changed while it was being processed; nothing of it was released. Let its writer finish, then run again"
    )
