"""The operator's key for pseudonyms and value hashes."""

import hmac
import os

from models.errors import UsageError

_LEAST = 16
"""Bytes of a key: 128 bits, the least that HMAC is recommended with (NIST SP 800-131A)."""


def key_from(name: str | None) -> bytes | None:
    """Return the key that an environment variable holds.

    Raises:
        UsageError: if it is named but not set, or shorter than 16 bytes.
    """
    if name is None:
        return None
    key = os.environ.get(name, "").encode()
    if not key:
        raise UsageError(
            f"the environment variable {name} (key_env) is not set; export {name}=<at least {_LEAST} random bytes> wherever "
            "workers run, or leave key_env out to have neither pseudonyms nor hashes"
        )
    if len(key) < _LEAST:
        raise UsageError(
            f"the key in {name} (key_env) has {len(key)} bytes, which can be guessed; export {name}=<at least {_LEAST} random "
            "bytes>"
        )
    return key


def same_key(name: str | None, identity: str) -> bytes | None:
    """Return the key that an environment variable holds, where work was begun with a key.

    Args:
        identity: of that key, see :func:`key_id`.

    Raises:
        UsageError: if it is another: what one key makes must not be named by the other.
    """
    key = key_from(name)
    if key_id(key) != identity:
        raise UsageError(
            f"the key in {name} (key_env) is not the one that the run was launched with; set the same one wherever workers run"
        )
    return key


def key_id(key: bytes | None) -> str:
    """Return what tells keys apart without telling the key; empty for none."""
    return hmac.digest(key, b"winnow key id", "sha256").hex()[:16] if key else ""
