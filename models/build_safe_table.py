"""Makes ``safe_table.npz``: ``python -m models.build_safe_table [FILE]`` (needs OpenCC, a development dependency)."""

import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from models.safe_table import REMOVED, TABLE

# Format characters (category Cf) draw nothing; these others draw nothing either, though Unicode calls them marks, letters
# or symbols: grapheme joiner, Hangul fillers, Mongolian vowel separators, braille blank, variation selectors.
_INVISIBLE = frozenset(
    [
        0x034F,
        0x115F,
        0x1160,
        0x3164,
        0xFFA0,
        0x2800,
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0100, 0xE01F0),
    ]
)


def fold(char: str, steps: list[Callable[[str], str]]) -> int:
    """Return what the steps make of one character, repeated until nothing changes; steps that lengthen it are skipped."""
    if invisible(char):
        return REMOVED
    for _ in range(8):
        before = char
        for step in steps:
            folded = step(char)
            if len(folded) == 1:
                char = folded
        if invisible(char):
            return REMOVED
        if char == before:
            return ord(char)
    raise ValueError(f"folding U+{ord(char):04X} does not settle")


def invisible(char: str) -> bool:
    return unicodedata.category(char) == "Cf" or ord(char) in _INVISIBLE


def main(path: Path = TABLE) -> None:
    import opencc

    simplify = opencc.OpenCC("t2s").convert

    def compatible(char: str) -> str:
        return unicodedata.normalize("NFKC", char)

    every = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    arrays: dict[str, Any] = {}
    tables: list[tuple[str, str, list[Callable[[str], str]]]] = [
        ("code_points", "folded", [compatible, str.casefold, simplify]),
        ("plain_code_points", "plain", [compatible]),
    ]
    for codes, result, steps in tables:
        changed = {ord(char): folded for char in every if (folded := fold(char, steps)) != ord(char)}
        arrays[codes] = np.fromiter(changed.keys(), np.uint32)
        arrays[result] = np.fromiter(changed.values(), np.uint32)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
