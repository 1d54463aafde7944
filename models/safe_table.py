"""The table behind the safe view: code point in, code point out, or removed.

Built once from the Unicode Character Database of the Python that runs ``make tables`` (NFKC: UAX #15; case folding: Unicode
chapter 5.18) and OpenCC's traditional-to-simplified characters (Apache-2.0), and kept in ``safe_table.npz`` so that every
machine folds alike, whatever its Python knows of Unicode.
"""

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt

TABLE = Path(__file__).with_name("safe_table.npz")
REMOVED = 0x110000
"""What the table holds for a code point that the view leaves out: one beyond Unicode."""


@functools.cache
def safe_table() -> npt.NDArray[np.uint32]:
    """Return the table, shape (0x110000,): the folded code point, or :data:`REMOVED`."""
    with np.load(TABLE, allow_pickle=False) as archive:
        table = np.arange(0x110000, dtype=np.uint32)
        table[archive["code_points"]] = archive["folded"]
    table.flags.writeable = False
    return table


@functools.cache
def case_keeping_table() -> npt.NDArray[np.uint32]:
    """Return the table without case folding and simplification, for patterns that know upper from lower case."""
    with np.load(TABLE, allow_pickle=False) as archive:
        table = np.arange(0x110000, dtype=np.uint32)
        table[archive["plain_code_points"]] = archive["plain"]
    table.flags.writeable = False
    return table
