"""A corpus: its releases, its stores, and what a run must have in common with it."""

import contextlib
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from models import ledgers
from models.catalogue import Catalogue
from models.errors import UsageError
from models.job import Job
from models.purge import PURGE
from models.store import Store
from pipeline.releases import Releases, Staged, open_releases
from transforms.base import Base
from transforms.workspace import open_store

MANIFEST_FORMAT = 6


@dataclass(frozen=True)
class Release:
    """A published release.

    Attributes:
        number: its own.
        manifest: as published.
        restricted: root of quarantine and dead letters.
    """

    number: int
    manifest: Mapping[str, Any]
    restricted: str
    releases: Releases

    @cached_property
    def _files(self) -> dict[str, dict[str, Any]]:
        return {file["path"]: file for file in self.manifest["files"]}

    @cached_property
    def purged(self) -> dict[str, Mapping[str, Any]]:
        """Parts that were deleted because they held withdrawn or purged records: what the tombstones say, by path, with the date."""
        return {
            part["path"]: part | {"purged": stone["purged"]}
            for stone in self.releases.tombstones(self.number)
            for part in stone["parts"]
        }

    @property
    def sha256(self) -> str:
        """SHA-256 of the manifest, by which everything else of the release is known."""
        return hashlib.sha256(self.read("manifest.json")).hexdigest()

    def where(self, path: str) -> str:
        """Return the full path or address of a file."""
        return self.releases.where(self.number, self._files[path], self.restricted)

    def read(self, path: str) -> bytes:
        """Return the bytes of a table, the report or the manifest."""
        return self.releases.read(self.number, path)

    @contextlib.contextmanager
    def fetched(self, path: str) -> Iterator[Path]:
        """Give a path on this machine that holds a file's bytes.

        Raises:
            FileNotFoundError: if it is not there, or not in the manifest.
        """
        file = self._files.get(path)
        if file is None:
            raise FileNotFoundError(path)
        folder, _, name = self.where(path).rpartition("/")
        with open_store(folder).fetched(name) as here:
            yield here


def why_purged(stone: Mapping[str, Any]) -> str:
    """Say why a part was deleted, and when, given what its tombstone says."""
    ids = [each for each in stone["withdrawals"] if not each.startswith(PURGE)]
    why = [f"withdrawal {', '.join(ids)}"] if ids else []
    why += ["a list of contents to purge"] if len(ids) < len(stone["withdrawals"]) else []
    return f"{' and '.join(why)} on {stone['purged']}"


class Corpus:
    """An output root.

    Args:
        root: a folder, or ``gs://bucket/folder``.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self.releases = open_releases(self.root)

    @property
    def store(self) -> Store:
        return open_store(f"{self.root}/store")

    @property
    def number(self) -> int:
        """Number of the current release, 0 before the first."""
        return self.releases.current

    def check_exists(self) -> None:
        """Raise UsageError if nothing was ever run here."""
        if not self.number and next(self.store.list(""), None) is None:
            raise UsageError(f"{self.root}: no corpus here; make one with: winnow run … -o {self.root}")

    def claim(self, restricted: str) -> None:
        """Take a restricted root for this corpus alone: two in one would overwrite each other's releases.

        Raises:
            UsageError: if it is another corpus's.
        """
        own = self.store.claim(uuid.uuid4().hex)
        if open_store(restricted).claim(own) != own:
            raise UsageError(
                f"restricted: {restricted} is that of another corpus; name a folder of its own for {self.root}"
            )

    def restricted(self, manifest: Mapping[str, Any]) -> str:
        """Return the root of quarantine and dead letters that a release has."""
        return manifest["restricted"] or self.root

    def release(self, number: int | None = None) -> Release:
        """Return a release, the current one by default.

        Raises:
            UsageError: if there is no such release.
        """
        manifest = self.manifest(number)
        return Release(manifest["release"], manifest, self.restricted(manifest), self.releases)

    def manifest(self, number: int | None = None) -> dict[str, Any]:
        """Return a release's manifest, of the current one by default.

        Raises:
            UsageError: if there is no such release.
        """
        number = self.number if number is None else number
        try:
            if not number:
                raise FileNotFoundError
            manifest: dict[str, Any] = json.loads(self.releases.read(number, "manifest.json"))
        except FileNotFoundError:
            raise UsageError(
                f"{self.root}: no release{f' {number}' if number else ''} here; make one with: winnow run … -o {self.root}"
            ) from None
        except ValueError as error:
            raise UsageError(
                f"{self.root}: the manifest of release {number} is damaged ({error}); put it back from a copy, and run winnow verify"
            ) from None
        if not isinstance(manifest, dict) or "format" not in manifest:
            raise UsageError(f"{self.root}: the manifest of release {number} is damaged; put it back from a copy")
        if manifest["format"] != MANIFEST_FORMAT:
            raise UsageError(
                f"{self.root}: release {number} has manifest format {manifest['format']}, this version reads {MANIFEST_FORMAT}; use the "
                "version that wrote it, or start a new output"
            )
        return manifest

    def base(self) -> Base:
        """Return the release that a run starts from."""
        number = self.number
        if not number:
            return Base()
        catalogue = self.manifest(number)["catalogue"]
        return Base(number, catalogue["index"])

    def catalogue(self, number: int | None = None) -> Catalogue:
        """Return a release's catalogue."""
        return Catalogue.open(self.store, self.manifest(number)["catalogue"]["index"])

    def numbers(self) -> Iterator[int]:
        """Return the numbers of all releases there are, ascending."""
        return self.releases.numbers()

    def publish(self, staged: Staged, base: int) -> int:
        """Make a staged release the current one, and return its number; see :meth:`Releases.publish`."""
        return self.releases.publish(staged, base)


def check_same(corpus: Corpus, job: Job) -> None:
    """Compare a run with the corpus that it adds to.

    Raises:
        UsageError: if one is a trial and the other not, if quarantine lies elsewhere, or if something else is where the release is to
            be shown.
        BrokenChainError: if a ledger of the corpus lacks what its release holds.
    """
    corpus.releases.check_free()
    if not corpus.number:
        return
    manifest = corpus.manifest()
    ledgers.check(corpus.store, manifest)
    held = manifest["job"]["sample"]
    if held != job.sample:
        raise UsageError(
            f"{corpus.root} holds {held or 'a whole corpus'}, this run would make {job.sample or 'a whole corpus'}; "
            "give the trial an output of its own"
        )
    if corpus.restricted(manifest) != job.restricted:
        raise UsageError(
            f"{corpus.root} keeps quarantine and dead letters in {corpus.restricted(manifest)}, this run would keep them in "
            f"{job.restricted}; leave restricted as it is, or start a new output"
        )
