"""Placeholders: what is written where there is nothing to write. As evidence they are none."""

import functools

import pyarrow as pa
import pyarrow.compute as pc

PLACEHOLDERS = (
    *("none", "null", "nil", "nan", "undefined", "unknown", "unspecified", "missing", "empty", "void"),
    *("n/a", "n.a.", "na", "n / a", "#n/a", "not available", "not applicable", "not provided", "not specified"),
    *("tbd", "tba", "tbc", "todo", "to do", "to be determined", "pending", "no", "false", "0", "0000-00-00", "xxx"),
    *(
        "无",
        "無",
        "没有",
        "空",
        "否",
        "未知",
        "不详",
        "不明",
        "暂无",
        "暂缺",
        "未提供",
        "待定",
        "待补",
        "待补充",
        "不适用",
    ),
)
"""The closed list. Compared in Unicode's form NFKC, in lower case, without white space and brackets at the ends; so is whatever has
neither letter nor digit, such as ``-``, ``--`` and ``?``."""

_LIST = pa.array(PLACEHOLDERS)
_AROUND = " \t\r\n()[]{}<>'\""


def evident(values: pa.Array) -> pa.BooleanArray:
    """Tell of each string whether it says something: neither null nor blank nor a placeholder."""
    plain = pc.utf8_lower(pc.utf8_trim(pc.utf8_normalize(values, "NFKC"), _AROUND))
    says = pc.and_(pc.match_substring_regex(plain, r"[\pL\pN]"), pc.invert(pc.is_in(plain, value_set=_LIST)))
    return pc.fill_null(says, False)


@functools.lru_cache(maxsize=1 << 12)
def is_evident(value: str) -> bool:
    """Tell whether a string says something."""
    found: bool = evident(pa.array([value]))[0].as_py()
    return found
