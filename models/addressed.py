"""Objects of the store that are named by their own content: indexes, segments, agendas, tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from models.digest import digest_of_file
from models.store import Store, scratch_file


def keep(store: Store, folder: Path, prefix: str, suffix: str, write: Callable[[Path], object]) -> str:
    """Write an object, put it under ``<prefix>/<SHA-256><suffix>`` and return that name.

    Args:
        folder: on this machine, for the file while it is written.
        write: writes the file at the path that it is given.
    """
    with scratch_file(folder) as path:
        write(path)
        name = f"{prefix}/{digest_of_file(path)}{suffix}"
        store.create_once(name, path)
    return name


def keep_json(store: Store, folder: Path, prefix: str, value: Any) -> str:
    """Put a JSON value under ``<prefix>/<SHA-256>.json``, keys sorted, and return that name; see :func:`keep`."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return keep(store, folder, prefix, ".json", lambda path: path.write_bytes(text))
