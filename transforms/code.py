"""The code that a process runs: launcher and workers must have the same, for it decides the bytes of every output."""

import functools
import hashlib
import platform
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

PARTS = ("models", "transforms", "configs")
"""Folders of what workers run and read."""

_NO_MATTER = frozenset({"rich", "typer", "pyyaml", "google-cloud-storage"})
"""Packages that no record passes through: they talk to people, read run files and fetch bytes, which have digests."""


@functools.cache
def code_digest() -> str:
    """Return a digest of the code of Winnow and of the data that comes with it."""
    digest = hashlib.sha256()
    top = Path(__file__).resolve().parents[1]
    for path in sorted(path for part in PARTS for path in (top / part).rglob("*") if _counts(path, top)):
        digest.update(f"{path.relative_to(top)}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _counts(path: Path, top: Path) -> bool:
    is_left_out = any(part.startswith((".", "__pycache__")) for part in path.relative_to(top).parts)
    return path.is_file() and path.suffix != ".pyc" and not is_left_out


@functools.cache
def libraries() -> Mapping[str, str]:
    """Return the versions of Python and of every package that Winnow asks for, but those that no record passes through."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for line in requires("winnow-corpus") or ():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()
        if "extra ==" not in line and name not in _NO_MATTER:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = "none"
    return found


def differences(there: Mapping[str, str]) -> list[str]:
    """Say where versions of another process are not those of this one: ``pyarrow 25.0.1 instead of 25.0.0``."""
    here = libraries()
    return [
        f"{name} {here.get(name, 'none')} instead of {there.get(name, 'none')}"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]
