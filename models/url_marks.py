"""Marks of URLs: short hashes by which layers find a record's URL, its host and the folders above it, without holding any of them.

URLs are compared in the form of the WHATWG URL standard (https://url.spec.whatwg.org), as ada-url gives it, without user, fragment
and, for http and https, scheme: who asks for a page to be withdrawn means both ways to fetch it.
"""

import functools
import hashlib
import re
from typing import NamedTuple

import ada_url
import pyarrow as pa

SIZE = 8
"""Bytes of a mark: the first of a SHA-256."""

DEEPEST = 8
"""Folders of a URL that have a mark of their own."""

_WEB = re.compile(r"https?://(?:[^/?#@]*@)?([^/?#]*)([^#]*)")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# What the standard leaves as it is: nearly all URLs, and parsing takes eight times as long.
_PLAIN = re.compile(r"https?://((?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,})(/(?:[A-Za-z0-9_~/-]|(?<!/)\.)*)")
_PLAIN_NAME = re.compile(r"(?:[A-Za-z0-9_~-][A-Za-z0-9_~.-]*)?")
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_~.%=&+:/-]*")


class Place(NamedTuple):
    """Where a URL leads, in canonical form.

    Attributes:
        host: with its port, where that is not the usual one; empty for what is no web address.
        rest: path and query; for what is no web address all of it.
    """

    host: str
    rest: str

    @property
    def name(self) -> str:
        """The host without its port."""
        return self.host if self.host.endswith("]") else self.host.rpartition(":")[0] or self.host

    @property
    def whole(self) -> str:
        return self.host + self.rest

    @property
    def folders(self) -> list[str]:
        """The folders that it lies in, from the root on, each with its host and the slash at its end."""
        parts = self.rest.partition("?")[0].split("/")[1:-1]
        return [self.host + "/" + "".join(f"{part}/" for part in parts[:depth]) for depth in range(len(parts) + 1)]


def place_of(url: str) -> Place:
    """Return where a URL leads; one without a scheme is read as a web address, one that cannot be read stands for itself."""
    if plain := _PLAIN.fullmatch(url):
        return Place(plain[1], plain[2])
    url = url.strip()
    given = url if _SCHEME.match(url) else f"https://{url.removeprefix('//')}"
    try:
        found = _WEB.fullmatch(ada_url.normalize_url(given).partition("#")[0])
    except ValueError:
        return Place("", url)
    return Place(found[1], found[2]) if found else Place("", ada_url.normalize_url(given).partition("#")[0])


def url_mark(place: Place) -> bytes:
    """Return the mark of exactly this URL."""
    return _mark("url", place.whole)


def host_mark(host: str) -> bytes:
    """Return the mark of a host and all below it."""
    return _mark("host", host)


def folder_mark(folder: str) -> bytes:
    """Return the mark of all that lies in a folder, given as host, path and the slash at its end."""
    return _mark("folder", folder)


def _mark(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).digest()[:SIZE]


def marks_of(urls: pa.Array) -> tuple[list[bytes], list[bytes]]:
    """Return two values for each URL: its own mark, and the marks of the hosts and folders that it lies under in a row.

    Args:
        urls: strings; null and empty ones have a mark of zeros and lie under nothing.
    """
    own, above = [], []
    for url in urls.to_pylist():
        if not url:
            own.append(bytes(SIZE))
            above.append(b"")
            continue
        page, asked, query = url.partition("?")
        head, _, name = page.rpartition("/")
        # Pages of one folder come together, and of nearly all nothing but the name is new.
        if _PLAIN_NAME.fullmatch(name) and _PLAIN_QUERY.fullmatch(query) and (folder := _plain_folder(head)):
            own.append(_mark("url", f"{folder[0]}{name}{asked}{query}"))
            above.append(folder[1])
            continue
        place = place_of(url)
        own.append(url_mark(place))
        above.append(_above(place.name, place.folders[-1]) if place.host else b"")
    return own, above


@functools.lru_cache(maxsize=1 << 12)
def _plain_folder(head: str) -> tuple[str, bytes] | None:
    """Return a folder in canonical form with the marks of it and all above, or None if the standard would write it otherwise."""
    plain = _PLAIN.fullmatch(f"{head}/")
    return (plain[1] + plain[2], _above(plain[1], plain[1] + plain[2])) if plain else None


def _above(host: str, folder: str) -> bytes:
    """Return the marks of hosts and folders.

    Args:
        folder: with its host and the slash at its end.
    """
    cut = folder.split("/", DEEPEST + 1)
    return _host_marks(host) + _folder_marks("/".join(cut[: DEEPEST + 1]) + "/" if len(cut) > DEEPEST + 1 else folder)


@functools.lru_cache(maxsize=1 << 12)
def _host_marks(host: str) -> bytes:
    """Return the marks of a host and those that it is below of, but for top-level domains."""
    labels = host.split(".")
    if host.endswith("]") or labels[-1].isdigit():
        return host_mark(host)
    return b"".join(host_mark(".".join(labels[at:])) for at in range(max(1, len(labels) - 1)))


@functools.lru_cache(maxsize=1 << 12)
def _folder_marks(folder: str) -> bytes:
    parent = folder[:-1].rpartition("/")[0]
    return (_folder_marks(f"{parent}/") if parent else b"") + _mark("folder", folder)
