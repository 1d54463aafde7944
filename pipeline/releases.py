"""Where releases lie, and the one pointer that says which is current.

On a file system a release is a folder of hard links into the store, shown at the root by symbolic links that all go through the
pointer. An object store has no links: there a release is its manifest, its tables and lists of its objects.
"""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from models.errors import InputOutputError, OutrunError, StoreConflictError, UsageError
from models.parts import PLACES, RESTRICTED, PartFile
from models.store import locked, scratch_file, sync_folder, sync_tree
from transforms.cloud import SCHEME, CloudStore
from transforms.workspace import open_store

CURRENT = "current"
TOMBSTONES = "withdrawn"
"""Folder of a release that says what was deleted of it because it held withdrawn records."""
LINKS = (
    *PLACES,
    "sources.parquet",
    "sources.csv",
    "breakdown.parquet",
    "registry.parquet",
    "rollups.parquet",
    "moved.parquet",
    "blacklist.json",
    "purged.json",
    "manifest.json",
    "summary.json",
    "report.html",
    "report.zh.html",
)
"""What the root shows of the current release."""


@dataclass(frozen=True)
class Staged:
    """A release before it is one.

    Attributes:
        tables: folder of this machine with the manifest, the tables and the report.
        parts: what it consists of.
        restricted: root of quarantine and dead letters.
    """

    tables: Path
    parts: Sequence[PartFile]
    restricted: str


class Releases(Protocol):
    """The releases of a corpus, by number."""

    @property
    def current(self) -> int:
        """Number of the current release, 0 before the first."""
        ...

    def check_free(self) -> None:
        """Raise UsageError if something else is where the release is to be shown."""
        ...

    def numbers(self) -> Iterator[int]:
        """Return the numbers of all releases there are, ascending."""
        ...

    def read(self, number: int, name: str) -> bytes:
        """Return a file of a release that is no part: manifest, table, report.

        Raises:
            FileNotFoundError: if there is none.
        """
        ...

    def names(self, number: int) -> Iterator[str] | None:
        """Return the names of all files of a release, or None where parts are not in it."""
        ...

    def where(self, number: int, file: dict[str, Any], restricted: str) -> str:
        """Return path or address of a file of a release, given its entry in the manifest."""
        ...

    def publish(self, staged: Staged, base: int) -> int:
        """Make a staged release the current one, and return its number.

        Args:
            base: number of the release that it was made from.

        Raises:
            OutrunError: if another release came since.
        """
        ...

    def remove(self, number: int, restricted: str) -> None:
        """Delete a release that is not current; its parts stay in the store."""
        ...

    def purge(self, number: int, paths: Sequence[str], tombstone: bytes) -> None:
        """Keep a tombstone with a release, then remove what the release itself has of some parts."""
        ...

    def tombstones(self, number: int) -> Iterator[dict[str, Any]]:
        """Give the tombstones of a release, JSON as they were kept."""
        ...

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        """Give an empty folder of this machine for the tables of a release, and remove what is left of it."""
        ...


def open_releases(root: str) -> Releases:
    """Return the releases below a folder or ``gs://bucket/folder``."""
    return CloudReleases(root) if root.startswith(SCHEME) else LocalReleases(Path(root))


def _lost(number: int, base: int) -> OutrunError:
    return OutrunError(f"release {number} was published since this run started from {base or 'nothing'}")


def gone(place: str, what: str) -> InputOutputError:
    """Return the error for an object that a release needs and the store has no more."""
    return InputOutputError(
        f"{place} is gone, which is {what}; if this run made or reused it, run again, which makes it anew; otherwise restore it"
    )


class LocalReleases:
    """Releases in ``releases/`` of a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def current(self) -> int:
        link = self._root / CURRENT
        return int(link.readlink().name) if link.is_symlink() else 0

    def check_free(self) -> None:
        for name in (*LINKS, CURRENT):
            path = self._root / name
            if path.exists() and not path.is_symlink():
                raise UsageError(
                    f"{path} is in the way: the release is shown under this name; move it, or choose another output"
                )

    def _folder(self, number: int) -> Path:
        return self._root / "releases" / str(number)

    def numbers(self) -> Iterator[int]:
        folder = self._root / "releases"
        if folder.is_dir():
            yield from sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())

    def read(self, number: int, name: str) -> bytes:
        return (self._folder(number) / name).read_bytes()

    def names(self, number: int) -> Iterator[str]:
        folder = self._folder(number)
        return (str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file())

    def where(self, number: int, file: dict[str, Any], restricted: str) -> str:  # noqa: ARG002
        return str(self._folder(number) / file["path"])

    def publish(self, staged: Staged, base: int) -> int:
        private = Path(staged.restricted)
        is_apart = private != self._root
        folder = staged.tables
        with _staging(private) if is_apart else contextlib.nullcontext(folder) as hidden:
            self._link(staged, hidden)
            sync_tree(folder)
            if is_apart:
                sync_tree(hidden)
            with locked(self._root):
                if self.current != base:
                    raise _lost(self.current, base)
                return self._show(folder, private if is_apart else None, hidden, base + 1)

    def _link(self, staged: Staged, hidden: Path) -> None:
        """Lay out the parts as links into the store, quarantine and dead letters in ``hidden``."""
        private, folder = Path(staged.restricted), staged.tables
        for place in PLACES:
            is_restricted = place in RESTRICTED
            (hidden if is_restricted else folder).joinpath(place).mkdir(
                0o700 if is_restricted else 0o755, exist_ok=True
            )
        for part in staged.parts:
            is_restricted = part.place in RESTRICTED
            link = (hidden if is_restricted else folder) / part.place / part.name
            link.parent.mkdir(parents=True, exist_ok=True)
            made = (private if is_restricted else self._root) / "store" / part.object
            try:
                os.link(made, link)
            except FileNotFoundError:
                raise gone(str(made), f"{part.place}/{part.name}") from None

    def _show(self, folder: Path, private: Path | None, hidden: Path, number: int) -> int:
        """Bring a staged release to its place and turn the pointer; under the lock."""
        target = self._folder(number)
        if target.exists():
            shutil.rmtree(target)  # left by a run that died before it moved the pointer
        target.parent.mkdir(parents=True, exist_ok=True)
        if private is not None:
            there = private / "releases" / str(number)
            if there.exists():
                shutil.rmtree(there)
            there.parent.mkdir(parents=True, exist_ok=True)
            hidden.rename(there)
            for place in sorted(RESTRICTED):
                (folder / place).symlink_to(there / place)
        folder.rename(target)
        sync_folder(target.parent)
        for name in LINKS:  # all go through the one pointer, so all turn at once
            link = self._root / name
            if not link.is_symlink():
                link.symlink_to(Path(CURRENT) / name)
        near = self._root / f".{CURRENT}.next"
        near.unlink(missing_ok=True)  # left by a run that died here
        near.symlink_to(Path("releases") / str(number))
        near.rename(self._root / CURRENT)
        sync_folder(self._root)
        return number

    def remove(self, number: int, restricted: str) -> None:
        for root in {self._root, Path(restricted)}:
            if (root / "releases" / str(number)).exists():
                shutil.rmtree(root / "releases" / str(number))

    def purge(self, number: int, paths: Sequence[str], tombstone: bytes) -> None:
        folder = self._folder(number)
        place = folder / TOMBSTONES
        place.mkdir(exist_ok=True)
        with scratch_file(self._root / "store") as near:
            near.write_bytes(tombstone)
            near.chmod(0o644)
            near.rename(place / _stone(tombstone))
        sync_tree(place)
        sync_folder(folder)
        for path in paths:
            (folder / path).unlink(missing_ok=True)

    def tombstones(self, number: int) -> Iterator[dict[str, Any]]:
        for path in sorted((self._folder(number) / TOMBSTONES).glob("*.json")):
            yield json.loads(path.read_bytes())

    def staging(self) -> contextlib.AbstractContextManager[Path]:
        return _staging(self._root)


@contextlib.contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Give an empty folder on a root's own file system, and remove what is left of it."""
    folder = root / "store" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="release-") as name:
        staged = Path(name) / "staged"
        staged.mkdir()
        yield staged


class CloudReleases:
    """Releases below ``releases/`` of ``gs://bucket/folder``.

    The pointer is ``current.json``: ``{"release": N, "releases": {"N": folder, …}}``. It is set if its generation is the one
    that was read, so of two runs one wins; each writes to a folder of its own, so the loser changes nothing. A release's
    folder holds what its manifest does, and ``<place>.files.txt`` with the addresses of its parts, one a line.
    """

    def __init__(self, root: str) -> None:
        self._store = CloudStore(root)

    def _pointer(self) -> tuple[dict[str, Any], int]:
        data, generation = self._store.pointer(f"{CURRENT}.json")
        return (json.loads(data) if data else {"release": 0, "releases": {}}), generation

    @property
    def current(self) -> int:
        return int(self._pointer()[0]["release"])

    def check_free(self) -> None:
        pass  # nothing but the pointer is at the root

    def _folder(self, number: int) -> str:
        folders: dict[str, str] = self._pointer()[0]["releases"]
        if str(number) not in folders:
            raise FileNotFoundError(f"{self._store.root}: release {number}")
        return folders[str(number)]

    def numbers(self) -> Iterator[int]:
        yield from sorted(map(int, self._pointer()[0]["releases"]))

    def read(self, number: int, name: str) -> bytes:
        return self._store.read(f"{self._folder(number)}/{name}")

    def names(self, number: int) -> None:  # noqa: ARG002
        return None

    def where(self, number: int, file: dict[str, Any], restricted: str) -> str:
        if "object" not in file:
            return f"{self._store.root}/{self._folder(number)}/{file['path']}"
        root = restricted if file["path"].split("/")[0] in RESTRICTED else self._store.root
        return f"{root}/store/{file['object']}"

    def publish(self, staged: Staged, base: int) -> int:
        pointer, generation = self._pointer()
        if pointer["release"] != base:
            raise _lost(pointer["release"], base)
        self._check_parts(staged, base)
        number = base + 1
        # A name that nobody else has: a run that died, or lost, left its folder behind.
        folder = f"releases/{number}-{uuid.uuid4().hex[:12]}"
        for path in sorted(staged.tables.rglob("*")):
            if path.is_file():
                self._store.create_once(f"{folder}/{path.relative_to(staged.tables)}", path)
        for place in PLACES:
            self._list(staged, place, folder)
        value = {"release": number, "releases": pointer["releases"] | {str(number): folder}}
        try:
            self._store.swap(f"{CURRENT}.json", _as_json(value), generation)
        except StoreConflictError:
            raise _lost(self.current, base) from None
        return number

    def _check_parts(self, staged: Staged, base: int) -> None:
        """Look for the parts that the base does not have; gc keeps those of the current release, but may have met a run that reuses others.

        Raises:
            InputOutputError: naming one that is gone.
        """
        kept = {each.get("object") for each in json.loads(self.read(base, "manifest.json"))["files"]} if base else set()
        for root in sorted({self._store.root, staged.restricted}):
            is_apart = staged.restricted != self._store.root
            new = [
                part
                for part in staged.parts
                if part.object not in kept
                and (not is_apart or (part.place in RESTRICTED) == (root == staged.restricted))
            ]
            store = open_store(f"{root}/store")
            folders = sorted({"/".join(part.object.split("/")[:2]) for part in new})
            there = {entry.name for folder in folders for entry in store.list(folder)}
            for part in new:
                if part.object not in there:
                    raise gone(f"{root}/store/{part.object}", f"{part.place}/{part.name}")

    def _list(self, staged: Staged, place: str, folder: str) -> None:
        root = staged.restricted if place in RESTRICTED else self._store.root
        with scratch_file(self._store.scratch) as path:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{root}/store/{part.object}\n" for part in staged.parts if part.place == place)
            store = open_store(root)
            store.create_once(f"{folder}/{place}.files.txt", path)

    def remove(self, number: int, restricted: str) -> None:
        pointer, generation = self._pointer()
        folder = pointer["releases"].pop(str(number), None)
        if folder is None:
            return
        # Nobody finds it any more before the first of its objects goes.
        self._store.swap(f"{CURRENT}.json", _as_json(pointer), generation)
        for root in {self._store.root, restricted}:
            store = open_store(root)
            for entry in list(store.list(folder)):
                store.delete(entry.name)

    def purge(self, number: int, paths: Sequence[str], tombstone: bytes) -> None:  # noqa: ARG002 - it has no links
        with scratch_file(self._store.scratch) as near:
            near.write_bytes(tombstone)
            self._store.create_once(f"{self._folder(number)}/{TOMBSTONES}/{_stone(tombstone)}", near)

    def tombstones(self, number: int) -> Iterator[dict[str, Any]]:
        for entry in self._store.list(f"{self._folder(number)}/{TOMBSTONES}"):
            yield json.loads(self._store.read(entry.name))

    @contextlib.contextmanager
    def staging(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._store.scratch, prefix="release-") as name:
            yield Path(name)


def _stone(tombstone: bytes) -> str:
    return f"{hashlib.sha256(tombstone).hexdigest()[:16]}.json"


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, sort_keys=True) + "\n").encode()
