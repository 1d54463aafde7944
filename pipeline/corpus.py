"""A corpus on disk: its releases, the one pointer, and what the pointer names."""

import contextlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.catalogue import Catalogue
from models.errors import OutrunError, UsageError
from models.job import Job
from models.parts import PLACES, RESTRICTED
from models.store import locked, sync_folder
from transforms.base import Base

CURRENT = "current"
LINKS = (*PLACES, "sources.parquet", "sources.csv", "blacklist.json", "manifest.json", "report.html")
"""What the root shows of the current release."""


@dataclass(frozen=True)
class Corpus:
    """An output root.

    Attributes:
        root: the folder.
    """

    root: Path

    @property
    def number(self) -> int:
        """Number of the current release, 0 before the first."""
        link = self.root / CURRENT
        return int(link.readlink().name) if link.is_symlink() else 0

    def check_exists(self) -> None:
        """Raise UsageError if nothing was ever run here."""
        if not (self.root / "store").is_dir():
            raise UsageError(f"{self.root}: no corpus here; make one with: winnow run … -o {self.root}")

    def claim(self, restricted: Path) -> None:
        """Take a restricted root for this corpus alone: two in one would overwrite each other's releases.

        Raises:
            UsageError: if it is another corpus's.
        """
        own = _identity(self.root / "store" / ".corpus", uuid.uuid4().hex)
        if _identity(restricted / ".corpus", own) != own:
            raise UsageError(
                f"restricted: {restricted} is that of another corpus; name a folder of its own for {self.root}"
            )

    def restricted(self, manifest: Mapping[str, Any]) -> Path:
        """Return the root of quarantine and dead letters that a release has."""
        return Path(manifest["restricted"]) if manifest["restricted"] else self.root

    def release(self, number: int) -> Path:
        return self.root / "releases" / str(number)

    def manifest(self, number: int | None = None) -> dict[str, Any]:
        """Return a release's manifest, of the current one by default.

        Raises:
            UsageError: if there is no such release.
        """
        number = self.number if number is None else number
        path = self.release(number) / "manifest.json"
        if not number or not path.exists():
            raise UsageError(
                f"{self.root}: no release{f' {number}' if number else ''} here; make one with: winnow run … -o {self.root}"
            )
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return manifest

    def base(self) -> Base:
        """Return the release that a run starts from."""
        number = self.number
        if not number:
            return Base()
        catalogue = self.manifest(number)["catalogue"]
        return Base(number, catalogue["splits"], catalogue["tallies"])

    def catalogue(self, number: int | None = None) -> Catalogue:
        """Return a release's catalogue."""
        facts = self.manifest(number)["catalogue"]
        store = self.root / "store"
        return Catalogue.read(store / facts["splits"], store / facts["tallies"])

    def numbers(self) -> Iterator[int]:
        """Return the numbers of all releases there are, ascending."""
        folder = self.root / "releases"
        if folder.is_dir():
            yield from sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())

    def publish(self, staged: Path, apart: tuple[Path, Path] | None, base: int) -> int:
        """Make a staged folder the current release, and return its number.

        Args:
            staged: a folder on the same file system, complete but for the links to ``restricted``.
            apart: root of quarantine and dead letters where it is not this one, and the folder staged there.
            base: number of the release that it was made from.

        Raises:
            OutrunError: if another release came since.
        """
        with locked(self.root):
            if self.number != base:
                raise OutrunError(
                    f"release {self.number} was published since this run started from {base or 'nothing'}"
                )
            number = base + 1
            target = self.release(number)
            if target.exists():
                shutil.rmtree(target)  # left by a run that died before it moved the pointer
            target.parent.mkdir(parents=True, exist_ok=True)
            if apart is not None:
                restricted, staged_there = apart
                private = restricted / "releases" / str(number)
                if private.exists():
                    shutil.rmtree(private)
                private.parent.mkdir(parents=True, exist_ok=True)
                staged_there.rename(private)
                for place in sorted(RESTRICTED):
                    (staged / place).symlink_to(private / place)
            staged.rename(target)
            sync_folder(target.parent)
            self._show()
            near = self.root / f".{CURRENT}.next"
            near.unlink(missing_ok=True)  # left by a run that died here
            near.symlink_to(Path("releases") / str(number))
            near.rename(self.root / CURRENT)
            sync_folder(self.root)
        return number

    def _show(self) -> None:
        """Make the root's links; all go through the one pointer, so all turn at once."""
        for name in LINKS:
            link = self.root / name
            if not link.is_symlink():
                link.symlink_to(Path(CURRENT) / name)


def _identity(path: Path, value: str) -> str:
    """Return what a file holds, made with a value if it is not there."""
    with contextlib.suppress(FileExistsError), path.open("x") as file:
        file.write(value)
    return path.read_text()


def check_same(corpus: Corpus, job: Job) -> None:
    """Compare a run with the corpus that it adds to.

    Raises:
        UsageError: if one is a trial and the other not, if quarantine lies elsewhere, or if something else is where the release is to
            be shown.
    """
    for name in (*LINKS, CURRENT):
        path = corpus.root / name
        if path.exists() and not path.is_symlink():
            raise UsageError(
                f"{path} is in the way: the release is shown under this name; move it, or choose another output"
            )
    if not corpus.number:
        return
    manifest = corpus.manifest()
    held = manifest["job"]["sample"]
    if held != job.sample:
        raise UsageError(
            f"{corpus.root} holds {held or 'a whole corpus'}, this run would make {job.sample or 'a whole corpus'}; "
            "give the trial an output of its own"
        )
    if corpus.restricted(manifest) != Path(job.restricted):
        raise UsageError(
            f"{corpus.root} keeps quarantine and dead letters in {corpus.restricted(manifest)}, this run would keep them in "
            f"{job.restricted}; leave restricted as it is, or start a new output"
        )
