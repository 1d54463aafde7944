"""Listing shards: what a glob, a folder or a file names, on any file system."""

import errno
import fnmatch
import glob
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from apache_beam.io.filesystems import FileSystems

from models.errors import InputOutputError, UsageError
from transforms.cloud import SCHEME, WILDCARD, find

SHARD_PATTERNS = (
    "*.parquet",
    "*.json.gz",
    *(f"*.{name}{ending}" for name in ("jsonl", "ndjson") for ending in ("", ".gz", ".zst", ".bz2")),
)
"""What is taken for a shard where a folder is given, whatever the case of its letters."""


class Found(NamedTuple):
    """A shard that was listed: its path below the input root, its generation if the store keeps one, and its bytes if listing told them, or -1."""

    path: str
    generation: str = ""
    size: int = -1


def list_shards(pattern: str, root: str, outputs: tuple[str, ...] = ()) -> list[Found]:
    """Return the shards that a glob, a folder or a file names.

    Hidden files and those whose names start with an underscore, as other tools mark theirs, are left out of folders and globs.

    Args:
        outputs: folders that are written; what lies in them is no input, even where a pattern reaches it.

    Raises:
        UsageError: if one lies outside the root, has a name that means another place in a folder, or one that cannot stand in a line of a list.
    """
    found = []
    written = tuple(_real(folder) + "/" for folder in outputs)
    for path, generation, size in _matches(pattern):
        if _real(path).startswith(written):
            continue
        if not path.startswith(root.rstrip("/") + "/"):
            raise UsageError(f"{path} does not lie under the input root {root}; set input_root")
        _check_way(path, path[len(root.rstrip("/")) + 1 :])
        found.append(Found(_writable(path[len(root.rstrip("/")) + 1 :]), generation, size))
    return sorted(found)


def _real(path: str) -> str:
    return path if "://" in path else os.path.realpath(path)


def _check_way(place: str, path: str) -> None:
    """Make sure that a path names one place below a folder: objects may be called anything, and outputs are named after them."""
    if {"", ".", ".."} & set(path.split("/")):
        raise UsageError(
            f"{place}: has an empty name, . or .. between two slashes, and every output is named after its shard; rename it"
        )


_BREAKING = frozenset({"Cc", "Zl", "Zp"})
"""Unicode categories of characters that end a line, or act on a terminal."""


def _writable(path: str) -> str:
    """Return a shard's path if it can stand in a line of a list: every output is named after its shard."""
    try:
        path.encode()
    except UnicodeEncodeError:
        said = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UsageError(
            f"{said}: the name is not UTF-8, and every output is named after its shard; rename it"
        ) from None
    if any(unicodedata.category(each) in _BREAKING for each in path):
        raise UsageError(
            f"{path!r}: the name has a line feed or another control character, and lists of files have a name a line; rename it"
        )
    return path


def _matches(pattern: str) -> Iterator[Found]:
    """Give each match by its full path."""
    if pattern.startswith(SCHEME):
        fixed = WILDCARD.split(pattern, maxsplit=1)[0]
        is_folder = fixed == pattern
        top = len(f"{fixed.rstrip('/')}/" if is_folder else fixed[: fixed.rindex("/") + 1])
        for path, generation, size in find(pattern):
            *folders, name = path[top:].split("/")
            is_hidden = not all(map(_is_shown, folders))
            if path == pattern or (not is_hidden and (_is_shard_name(name) if is_folder else _is_shown(name))):
                yield Found(path, str(generation), size)
    elif "://" in pattern:
        for result in FileSystems.match([pattern]):
            yield from (Found(each.path, size=each.size_in_bytes) for each in result.metadata_list)
    else:
        yield from (Found(path) for path in _local_matches(pattern))


def _local_matches(pattern: str) -> Iterator[str]:
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
    return _is_shard_name(Path(path).name) and _is_file(path)


def _is_shard_name(name: str) -> bool:
    return _is_shown(name) and any(fnmatch.fnmatch(name.lower(), pattern) for pattern in SHARD_PATTERNS)


def _is_file(path: str) -> bool:
    if not Path(path).is_file():
        raise UsageError(f"{path}: is no regular file, or a link to one that is gone; mend or remove it")
    return True


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "_"))
