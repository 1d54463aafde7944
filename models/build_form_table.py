"""Makes ``form_table.npz``: ``python -m models.build_form_table [FILE]``.

The table says what the form of fingerprints makes of characters outside ASCII, after the safe view: nothing of white space,
punctuation, symbols and accents, and the plain letters of what only looks like one (``é`` e, ``ﬁ`` fi, ``が`` か).
"""

import sys
import unicodedata
from pathlib import Path

import numpy as np

from models.fingerprint_form import TABLE, looked_at

_DROPPED = ("Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me")
# Apostrophes and quotation marks that Unicode calls letters.
_QUOTES = frozenset(range(0x02B9, 0x02BF)) | {0x02C8, 0x02EE, 0xA78B, 0xA78C}


def is_dropped(char: str) -> bool:
    category = unicodedata.category(char)
    return category in _DROPPED or category[0] in "PS" or ord(char) in _QUOTES


def form(char: str) -> bytes:
    """Return the UTF-8 of what a character is in the form; itself if its parts would take more bytes than it does."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    made = "".join(part for part in parts if not is_dropped(part)).encode()
    return made if len(made) <= len(char.encode()) else char.encode()


def main(path: Path = TABLE) -> None:
    every = [chr(code) for code in range(0x80, 0x110000) if not 0xD800 <= code < 0xE000]
    every = [char for char in every if looked_at(char.encode()[0])]
    changed = {char: made for char in every if (made := form(char)) != char.encode()}
    codes = np.array([ord(char) for char in changed], np.uint32)
    written = np.array([list(each.ljust(4)) for each in changed.values()], np.uint8)
    with path.open("wb") as file:
        np.savez_compressed(file, code_points=codes, written=written)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
