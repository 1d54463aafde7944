"""Licences as they are written in data, as SPDX expressions (https://spdx.org/licenses, ISO/IEC 5962:2021, annex D).

What is a licence is decided by the list of the library license-expression. Written otherwise are recognised: the addresses of Creative
Commons licences (https://creativecommons.org/licenses/by/4.0/) and a short table of names and addresses in use.
"""

import functools
import re
import threading
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import license_expression  # type: ignore[import-untyped]

from models.taxonomy import matches

_COMMONS = re.compile(
    r"(?:https?://)?(?:www\.)?creativecommons\.org/(?P<set>licenses|publicdomain)/(?P<name>[a-z+-]+)/(?P<version>\d\.\d)"
    r"(?:/(?P<port>igo|[a-z]{2,3}))?(?:/(?:deed|legalcode)(?:\.[a-z_-]+)?)?/?",
)
_SPOKEN = re.compile(
    r"(?:creative commons|cc)[ -](?P<name>(?:attribution|by)(?:[ -](?:non-?commercial|nc|no-?deriv(?:ative)?s|nd|share-?alike|sa))*)[ -]v?"
    r"(?P<version>\d\.\d)(?: international| unported| generic)?(?: licen[cs]e)?"
)
_WORDS = (("attribution", "by"), ("non-?commercial", "nc"), ("no-?deriv(?:ative)?s", "nd"), ("share-?alike", "sa"))
_SPDX = re.compile(r"https?://spdx\.org/licenses/([a-z0-9.+-]+?)(?:\.html|\.json)?/?")
_ADDRESS_OF_OSI = re.compile(r"https?://(?:www\.)?opensource\.org/licenses?/([a-z0-9.+-]+?)(?:\.php)?/?")
_NAMES = {
    "cc0": "CC0-1.0",
    "cc-0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "cc0 1.0 universal": "CC0-1.0",
    "public domain mark": "CC-PDM-1.0",
    "public domain mark 1.0": "CC-PDM-1.0",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "https://www.apache.org/licenses/license-2.0": "Apache-2.0",
    "http://www.apache.org/licenses/license-2.0": "Apache-2.0",
    "mit license": "MIT",
    "the mit license": "MIT",
    "odc-by": "ODC-By-1.0",
    "https://opendatacommons.org/licenses/by/1-0": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "https://opendatacommons.org/licenses/odbl/1-0": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "https://opendatacommons.org/licenses/pddl/1-0": "PDDL-1.0",
}
"""Names and addresses in use, in lower case and without a last slash."""

_LONGEST = 1000  # characters; expressions are parsed by recursion

# The library makes its automaton when it first parses, without a lock: a thread that comes meanwhile raises, or sees half the licences.
_PARSING = threading.RLock()


@functools.cache
def _spdx() -> Any:
    return license_expression.get_spdx_licensing()


@functools.lru_cache(maxsize=1 << 12)
def spdx_expression(written: str) -> str | None:
    """Return the SPDX expression that a licence as written stands for, None if it is not understood.

    ``LicenseRef-…`` of the operator's own are taken as they are.
    """
    parsed = _parse(written)
    return None if parsed is None else str(parsed.render())


def is_allowed(written: str, allowed: Sequence[str]) -> bool:
    """Tell whether a licence that is understood is among those allowed, globs over SPDX identifiers.

    Of ``A OR B`` one is enough, of ``A AND B`` both are needed; an exception (``A WITH B``) only ever allows more than ``A``.
    """
    return _is_allowed(_parse(written), allowed)


def _is_allowed(parsed: Any, allowed: Sequence[str]) -> bool:
    licensing = _spdx()
    if isinstance(parsed, licensing.OR):
        return any(_is_allowed(part, allowed) for part in parsed.args)
    if isinstance(parsed, licensing.AND):
        return all(_is_allowed(part, allowed) for part in parsed.args)
    if isinstance(parsed, license_expression.LicenseWithExceptionSymbol):
        return _is_allowed(parsed.license_symbol, allowed)
    return parsed is not None and matches(str(parsed.key), allowed)


def _parse(written: str) -> Any:
    plain = " ".join(written.split())
    if not plain or len(plain) > _LONGEST:
        return None
    with _PARSING:
        try:
            parsed = _spdx().parse(_named(plain), validate=False)
        except (license_expression.ExpressionError, license_expression.ExpressionParseError, RecursionError):
            return None
        unknown = _spdx().unknown_license_keys(parsed)
    if any(not fnmatchcase(key, "LicenseRef-*") for key in unknown):
        return None
    return parsed if _in_order(parsed) else None


def _in_order(parsed: Any) -> bool:
    """Tell whether an expression uses licences as licences and exceptions as exceptions."""
    if isinstance(parsed, license_expression.LicenseWithExceptionSymbol):
        return not parsed.license_symbol.is_exception and bool(parsed.exception_symbol.is_exception)
    if isinstance(parsed, license_expression.LicenseSymbol):
        return not parsed.is_exception
    return bool(parsed.args) and all(_in_order(part) for part in parsed.args)


def _named(plain: str) -> str:
    """Return what a name or address in use stands for, or what was written."""
    lower = plain.lower()
    if (found := _NAMES.get(lower.rstrip("/"))) is not None:
        return found
    if (match := _COMMONS.fullmatch(lower.split("?")[0].split("#")[0])) is not None:
        return _of_commons(match["set"], match["name"], match["version"], match["port"])
    if (match := _SPOKEN.fullmatch(lower)) is not None:
        name = match["name"]
        for word, short in _WORDS:
            name = re.sub(word, short, name)
        return f"CC-{name.replace(' ', '-')}-{match['version']}"
    if (match := _SPDX.fullmatch(lower) or _ADDRESS_OF_OSI.fullmatch(lower)) is not None:
        return match[1]
    return plain


def _of_commons(group: str, name: str, version: str, port: str | None) -> str:
    if group == "publicdomain":
        return {"zero": f"CC0-{version}", "mark": f"CC-PDM-{version}"}.get(name, name)
    # Ports that SPDX does not list are the licence all the same: the version's terms, adapted to a jurisdiction.
    ported = f"CC-{name}-{version}-{port}" if port else ""
    return ported if port and not _spdx().unknown_license_keys(ported) else f"CC-{name}-{version}"
