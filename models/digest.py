"""Digests: names for things by all that determined them.

A digest is the SHA-256 (FIPS 180-4) of a canonical JSON text: keys sorted, no white space, UTF-8, no floats (a float has
no canonical text that every writer agrees on), in lower-case hexadecimal.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

_BLOCK = 1 << 20
_PLAIN = frozenset({str, int, bool, type(None)})

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def digest_of(value: Any) -> str:
    """Return the digest of a JSON value.

    Raises:
        TypeError: if the value holds a float or something that is not JSON.
    """
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Any) -> bytes:
    """Return the canonical text of a JSON value.

    Raises:
        TypeError: if the value holds a float or something that is not JSON.
    """
    _refuse_floats(value)
    return _canonical(value).encode("utf-8", "surrogatepass")


def digest_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in lower-case hexadecimal."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            sha.update(block)
    return sha.hexdigest()


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError(f"a digest cannot hold the float {value!r}; write it as a string or a fraction")
    if isinstance(value, dict):
        for key, item in value.items():
            # Every split has several digests: no call for what is plain.
            if type(key) not in _PLAIN:
                _refuse_floats(key)
            if type(item) not in _PLAIN:
                _refuse_floats(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            if type(item) not in _PLAIN:
                _refuse_floats(item)
