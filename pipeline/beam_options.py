"""Options of Beam as words of a command: ``NAME=VALUE``, values as in a run file."""

import re
from collections.abc import Sequence
from typing import Any

from models.errors import UsageError

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


def read_beam_options(words: Sequence[str]) -> dict[str, Any]:
    """Read options; a name alone is a flag, and a name that is given twice makes a list.

    ``true`` and ``false`` are truth values, and numbers as people write them are numbers.

    Raises:
        UsageError: if one has no name.
    """
    options: dict[str, Any] = {}
    for word in words:
        name, mark, text = word.removeprefix("--").partition("=")
        if not name or " " in name:
            raise UsageError(f"--beam {word}: say NAME=VALUE, such as --beam parallelism=4, or the NAME of a flag")
        options[name] = [*_listed(options[name]), text] if name in options else _value(text) if mark else True
    return options


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return text


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [str(value)]
