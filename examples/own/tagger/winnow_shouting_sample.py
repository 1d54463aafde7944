"""What the contract tests try ``shouting`` on."""

from pathlib import Path
from typing import Any


def sample(_folder: Path) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    """Return its fields, texts in each of which it finds something, and another value of each field.

    Args:
        _folder: an empty one, for artefacts.
    """
    return {"letters": 10}, ["BUY NOW BUY NOW", "ALL IN CAPITALS, 全部大写"], {"letters": 30}
