"""Artefacts: lists, models and indexes as folders with an ``artefact.json`` that says what they are.

Format of ``artefact.json``: an object with ``kind`` (``lexicon`` …), ``format`` (integer), ``files`` (object from file name to
SHA-256), ``licence``, ``made_with`` and ``title``. The digest of an artefact is that of kind, format and files.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from models.digest import digest_of, digest_of_file
from models.errors import UsageError

DESCRIPTION = "artefact.json"

FETCH: dict[str, Callable[[str], Path]] = {}
"""By the scheme of an address, such as ``gs``: what gives a folder of this machine with a copy of the artefact, FileNotFoundError if there
is none."""


_MADE_BY = {"category": "winnow model train", "fingerprint": "winnow index build"}
"""By kind: the command that makes what no person writes; folders of other kinds are written by hand."""


@dataclass(frozen=True)
class Artefact:
    """A described and verified folder."""

    folder: Path
    kind: str
    format: int
    files: dict[str, str]
    title: str
    licence: str

    @property
    def digest(self) -> str:
        """Digest of kind, format and the content of all files."""
        return digest_of({"kind": self.kind, "format": self.format, "files": self.files})


def read_artefact(place: str | Path, kind: str) -> Artefact:
    """Return the description of a folder, or of one at an address, after comparing every file with its checksum.

    Raises:
        UsageError: if the folder, its description or a file is missing, of another kind, or not what the description says.
    """
    folder = _folder(str(place), kind)
    description = folder / DESCRIPTION
    try:
        facts = json.loads(description.read_text("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{folder}: no {kind} artefact there ({DESCRIPTION} is missing); check the path") from None
    except OSError as error:
        raise UsageError(f"{folder}: {DESCRIPTION} cannot be read: {error.strerror}; check the path") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{description}: not JSON: {error}; {remedy(folder, kind)}") from None
    artefact = _described(folder, facts, kind)
    for name, expected in artefact.files.items():
        path = folder / name
        if not path.is_file():
            raise UsageError(f"{path}: missing, though {DESCRIPTION} lists it; {remedy(folder, kind)}")
        try:
            found = digest_of_file(path)
        except OSError as error:
            raise UsageError(f"{path}: cannot be read: {error.strerror}; {remedy(folder, kind)}") from None
        if found != expected:
            raise UsageError(f"{path}: content is not what {DESCRIPTION} says; {remedy(folder, kind)}")
    return artefact


def remedy(folder: Path, kind: str) -> str:
    """Return what to do about an artefact of a kind whose files are damaged, for the end of a message."""
    if kind in _MADE_BY:
        return f"copy the folder again from where it is whole, or make it again: {_MADE_BY[kind]}"
    return f"if you changed it, describe it anew: winnow artefact {folder}; if not, copy the folder again"


def _described(folder: Path, facts: Any, kind: str) -> Artefact:
    """Return what a description says, its files not yet looked at."""
    place = folder / DESCRIPTION
    if not isinstance(facts, dict):
        raise UsageError(f"{place}: must be an object; {remedy(folder, kind)}")
    for key, form, said in (("kind", str, "text"), ("format", int, "a whole number"), ("files", dict, "an object")):
        if not isinstance(facts.get(key), form):
            wrong = "wrong" if key in facts else "missing"
            raise UsageError(f"{place}: {key} is {wrong}, it must be {said}; {remedy(folder, kind)}")
    if facts["kind"] != kind:
        raise UsageError(
            f"{place}: kind is {facts['kind']!r}, expected {kind!r}; name it under the tagger that reads this kind, or check the path"
        )
    if not facts["files"]:
        raise UsageError(f"{place}: lists no file, so nothing would be found by it; {remedy(folder, kind)}")
    if outside := next((name for name in facts["files"] if PurePath(name).name != name or "\0" in name), None):
        raise UsageError(f"{place}: {outside!r} is no file of this folder; {remedy(folder, kind)}")
    return Artefact(
        folder, kind, facts["format"], dict(facts["files"]), str(facts.get("title", "")), str(facts.get("licence", ""))
    )


def _folder(place: str, kind: str) -> Path:
    scheme, mark, _ = place.partition("://")
    if not mark:
        return Path(place)
    if scheme not in FETCH:
        raise UsageError(f"{place}: artefacts can be fetched from {', '.join(sorted(FETCH))} only; copy it to a folder")
    try:
        return FETCH[scheme](place)
    except FileNotFoundError:
        raise UsageError(f"{place}: no {kind} artefact there; check the address") from None


def read_description(folder: Path) -> dict[str, Any]:
    """Return what ``artefact.json`` of a folder says, unchecked; nothing if there is none."""
    try:
        facts = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def files_of(place: str | Path) -> dict[str, str]:
    """Return the SHA-256 of every file of an artefact by name, as its description says; nothing where there is none."""
    return dict(read_description(_folder(str(place), "described")).get("files", {}))


def describe(
    folder: Path, *, kind: str, version: int, names: list[str], title: str, licence: str, made_with: str
) -> Artefact:
    """Write ``artefact.json`` for the named files of a folder, and return the artefact."""
    files = {name: digest_of_file(folder / name) for name in sorted(names)}
    facts = {
        "kind": kind,
        "format": version,
        "title": title,
        "licence": licence,
        "made_with": made_with,
        "files": files,
    }
    text = json.dumps(facts, ensure_ascii=False, indent=2) + "\n"
    (folder / DESCRIPTION).write_text(text, "utf-8")
    return read_artefact(folder, kind)
