"""Packages: folders with the texts that people are to judge, for the eyes of those people alone."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from models.digest import digest_of_file
from models.errors import UsageError
from models.review_files import FORMATS, LONGEST_CELL, shown_hash, write_tasks
from models.strict import near_miss
from models.taxonomy import load_taxonomy
from pipeline.corpus import Corpus
from pipeline.review_words import instructions

FORMAT = 1


@dataclass(frozen=True)
class Packaged:
    """A package that was written.

    Attributes:
        folder: where, for its owner alone.
        tasks: in it.
        long: of them, those with more characters than a cell of a spreadsheet holds.
    """

    folder: Path
    tasks: int
    long: int


@dataclass(frozen=True)
class Place:
    """Where a package goes.

    Attributes:
        form: one of :data:`models.review_files.FORMATS`.
    """

    folder: Path
    form: str

    @property
    def partial(self) -> Path:
        return self.folder.with_name(f".{self.folder.name}.partial")


def place_for(to: Path, form: str, corpus: Corpus) -> Place:
    """Return where a package goes.

    Raises:
        UsageError: if the folder has something in it, or lies in the corpus, or the form is none.
    """
    if form not in FORMATS:
        raise UsageError(f"--format {form}: there are {', '.join(FORMATS)}{near_miss(form, FORMATS)}")
    folder = to.resolve()
    if folder.is_relative_to(Path(corpus.root).resolve()):
        raise UsageError(
            f"--to {to}: is in the corpus, which others read; name a folder of its own for texts that people judge"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"--to {to}: is there and not empty; name a new folder")
    if not folder.parent.is_dir():
        raise UsageError(f"--to {to}: {folder.parent} is no folder; make it first")
    return Place(folder, form)


class Texts:
    """Texts by task on their way into a package: on disk, in its own folder, so that few are in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at: dict[str, tuple[int, int]] = {}
        self.shown: dict[str, bytes] = {}

    def __contains__(self, task: str) -> bool:
        return task in self._at

    def add(self, task: str, text: str) -> None:
        data = text.encode()
        self._at[task] = self._file.tell(), len(data)
        self._file.write(data)
        self.shown[task] = shown_hash(text)

    def __getitem__(self, task: str) -> str:
        start, size = self._at[task]
        self._file.seek(start)
        return self._file.read(size).decode()


@contextlib.contextmanager
def begun(place: Place) -> Iterator[Texts]:
    """Make the folder of a package that is not finished, for its owner alone, and give a place for texts in it; what is left of it goes."""
    shutil.rmtree(place.partial, ignore_errors=True)
    place.partial.mkdir(mode=0o700)
    place.partial.chmod(0o700)
    try:
        with open(place.partial / "texts", "w+b", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            yield Texts(file)
    finally:
        shutil.rmtree(place.partial, ignore_errors=True)


def finish(
    place: Place,
    texts: Texts,
    tasks: Iterable[Mapping[str, str]],
    said: Mapping[str, Any],
    taxonomy: str,
    extra: Sequence[str] = (),
) -> Packaged:
    """Write a package whole, then show it under its name.

    Args:
        tasks: ``task`` and extra columns of each; in the order of ids, which tells nothing.
        said: facts for the manifest: ``purpose`` and ``role`` at least.
        extra: columns besides the usual ones.
    """
    folder, name = place.partial, f"tasks.{place.form}"
    count, long = 0, 0

    def rows() -> Iterator[Mapping[str, str]]:
        nonlocal count, long
        for task in sorted(tasks, key=lambda task: task["task"]):
            text = texts[task["task"]]
            count, long = count + 1, long + (len(text) > LONGEST_CELL)
            yield {**task, "text": text}

    write_tasks(folder / name, place.form, rows(), extra)
    _write(folder / "INSTRUCTIONS.md", instructions(said["purpose"], said["role"], load_taxonomy(taxonomy)))
    files = {each: digest_of_file(folder / each) for each in (name, "INSTRUCTIONS.md")}
    manifest = {"format": FORMAT, "restricted": True, **said, "tasks": count, "files": files}
    _write(folder / "manifest.json", json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    (folder / "texts").unlink()
    if place.folder.exists():
        place.folder.rmdir()  # it was found empty
    folder.rename(place.folder)
    return Packaged(place.folder, count, long)


def _write(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(text)
