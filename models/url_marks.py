"""Marks of URLs: short hashes by which layers find a record's URL, its host and the folders above it, without holding any of them.

URLs are compared in the form of :mod:`models.addresses`: who asks for a page to be withdrawn means every way to fetch it. Who asks for a
folder means ``/folder`` and ``/folder?page=2`` too, as a blocked prefix does. The first has the mark of its URL; one with a query lies under its
own path, which costs nothing where many pages share that.
"""

import functools
import hashlib

import pyarrow as pa

from models.addresses import LONGEST, PLAIN_END, Address, canonical_url, folders_of, own_folder, plain_url, suffixes_of

SIZE = 8
"""Bytes of a mark: the first of a SHA-256."""

DEEPEST = 8
"""Folders of a URL that have a mark of their own."""


def address_of(url: str) -> Address:
    """Return a URL in canonical form; one that cannot be read stands for itself, below no host."""
    return canonical_url(url) or Address("", url.strip(), "")


def url_mark(address: Address) -> bytes:
    """Return the mark of exactly this URL."""
    return _mark("url", address.whole)


def host_mark(host: str) -> bytes:
    """Return the mark of a host and all below it."""
    return _mark("host", host)


def folder_mark(folder: str) -> bytes:
    """Return the mark of all that lies in a folder, given as host, path and the slash at its end."""
    return _mark("folder", folder)


def _mark(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).digest()[:SIZE]


def marks_of(urls: pa.Array) -> tuple[list[bytes], list[bytes]]:
    """Return two values for each URL: its own mark, and the marks of the hosts and folders that it lies under in a row, with a query its own path.

    Args:
        urls: strings; null and empty ones have a mark of zeros and lie under nothing.
    """
    own, above = [], []
    for url in urls.to_pylist():
        if not url:
            own.append(bytes(SIZE))
            above.append(b"")
            continue
        head = url.partition("?")[0].rpartition("/")[0]
        end = url[len(head) + 1 :]
        # Pages of one folder come together, and of nearly all nothing but the name is new.
        if PLAIN_END.fullmatch(end) and len(url) <= LONGEST and (folder := _plain_folder(head)):
            own.append(_mark("url", folder[0] + end))
            name, mark, _ = end.partition("?")
            above.append(folder[1] + folder_mark(f"{folder[0]}{name}/") if name and mark else folder[1])
            continue
        address = address_of(url)
        own.append(url_mark(address))
        above.append(_above_of(address) if address.host else b"")
    return own, above


def _above_of(address: Address) -> bytes:
    folder, itself = folders_of(address)[-1], own_folder(address)
    return _above(address.host, folder) + (folder_mark(itself) if "?" in address.rest and itself != folder else b"")


@functools.lru_cache(maxsize=1 << 12)
def _plain_folder(head: str) -> tuple[str, bytes] | None:
    """Return a folder in canonical form with the marks of it and all above, or None if the parser is needed to tell."""
    plain = plain_url(f"{head}/")
    return (plain.whole, _above(plain.host, plain.whole)) if plain and "?" not in head and "#" not in head else None


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
    return b"".join(host_mark(each) for each in suffixes_of(host) if "." in each or each == host)


@functools.lru_cache(maxsize=1 << 12)
def _folder_marks(folder: str) -> bytes:
    parent = folder[:-1].rpartition("/")[0]
    return (_folder_marks(f"{parent}/") if parent else b"") + _mark("folder", folder)
