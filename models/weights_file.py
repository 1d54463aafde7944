"""Whether a file of fastText's weights is whole, told from its own words and without loading it.

fastText neither notices that it could not write all of a file, nor that one ends too soon: it then takes what is missing for anything, up to
never coming back. The form is that of ``FastText::saveModel`` of fastText 0.9 (version 12), all numbers little-endian: magic and version
(int32), arguments (12 int32, a double), dictionary (int32 entries, words, labels; int64 tokens, pruned), per entry its word, a zero, a
count (int64) and a kind (int8); then twice a flag (is it quantised), rows and columns (int64) and floats of a matrix.
"""

import struct
from pathlib import Path

_MAGIC, _VERSION = 793712314, 12
_ARGUMENTS = 12 * 4 + 8
_AFTER_A_WORD = 8 + 1


def check_whole(path: Path) -> None:
    """Compare a file's length with what it says of itself.

    Raises:
        ValueError: if it is no file of weights that are not quantised, or ends too soon or too late.
    """
    data = path.read_bytes()
    try:
        magic, version = struct.unpack_from("<ii", data)
        at = 8 + _ARGUMENTS
        entries, _, _, _, pruned = struct.unpack_from("<iiiqq", data, at)
        if (magic, version) != (_MAGIC, _VERSION):
            raise ValueError("not the weights of fastText")
        at += struct.calcsize("<iiiqq")
        for _ in range(entries):
            if (end := data.find(b"\0", at)) < 0:
                raise ValueError("ends too soon")
            at = end + 1 + _AFTER_A_WORD
        at += 8 * max(0, pruned)
        for _ in ("input", "output"):
            is_quantised, rows, columns = struct.unpack_from("<?qq", data, at)
            if is_quantised or rows < 0 or columns < 0:
                raise ValueError("not weights that are read here: quantised, or damaged")
            at += struct.calcsize("<?qq") + 4 * rows * columns
    except (struct.error, OverflowError):
        raise ValueError("ends too soon") from None
    if at != len(data):
        raise ValueError(f"has {len(data):,} bytes, its own figures make {at:,}")
