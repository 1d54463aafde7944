"""``blocked``: records from hosts and URLs, or of contents, that operator lists forbid.

Information ordered blocked must not be corpus (TC260-003, 5.1 d): any hit counts, and none counts towards the share of a source. A
record's host is that of its URL, and its source where that is a host or URL. Addresses within the text are not looked at.

- ``blocked.host``, ``.prefix``, ``.url``, ``.content``: the rule is the entry's reference, or file and line of the list; never the address.
- ``blocked.purge``: the rule is the list's title; nothing of the record is kept but its hash, whatever else is found, see :mod:`models.purge`.
- ``unscanned``: the lists have addresses, and the record's URL cannot be read as one (rule ``url``), or its source begins as one and cannot
  (``source``). Other sources that cannot be read are names (``wiki-zh 2024.1``).
"""

import functools
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from models.addresses import DOTS, Address, canonical_url, prefixes_of, suffixes_of
from models.artefact import Artefact, read_artefact
from models.blocklist import Blocklist, key_of, read_blocklist
from models.digest import digest_of
from models.documents import Documents
from models.findings import UNSCANNED, Finding, Findings
from models.purge import PURGE
from models.view import octets


@dataclass(frozen=True)
class Blocked:
    """Finds records of hosts, URLs and contents that are listed.

    Attributes:
        lists: folders of artefacts of kind ``blocked``.
    """

    name: ClassVar[str] = "blocked"
    version: ClassVar[int] = 2
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ("lists",)

    lists: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Digest of the lists' contents and titles, not of where they lie."""
        lists = [[artefact.digest, artefact.title] for artefact in self._artefacts()]
        return digest_of({"tagger": self.name, "version": self.version, "lists": lists})

    def load(self) -> None:
        digest = self.digest
        if self.lists not in _LOADED or _LOADED[self.lists][0] != digest:
            _LOADED[self.lists] = digest, read_blocklist(self._artefacts())

    def tag(self, documents: Documents) -> Findings:
        if self.lists not in _LOADED:
            self.load()
        return Findings.of(len(documents), _found(_LOADED[self.lists][1], documents))

    def _artefacts(self) -> list[Artefact]:
        return [read_artefact(folder, self.name) for folder in self.lists]


_LOADED: dict[tuple[str, ...], tuple[str, Blocklist]] = {}
"""By folders: what was loaded from them last, and its digest."""


_CONTENTS: dict[str, Callable[[memoryview | bytes], "hashlib._Hash"]] = {
    "sha256": hashlib.sha256,
    "md5": functools.partial(hashlib.md5, usedforsecurity=False),
}


@dataclass
class _Asked:
    """Keys that are sought in the lists, each for a row and kind."""

    rows: list[int]
    kinds: list[str]
    keys: list[bytes]

    def add(self, row: int, kind: str, key: bytes) -> None:
        self.rows.append(row)
        self.kinds.append(kind)
        self.keys.append(key)


def _found(lists: Blocklist, documents: Documents) -> list[Finding]:
    asked = _Asked([], [], [])
    found: list[Finding] = []
    if any(lists.counts[kind] for kind in ("host", "prefix", "url")):
        unread = _ask_addresses(lists, documents, asked)
        found += [Finding(row, Blocked.name, UNSCANNED, column, 1.0) for row, column in unread]
    for name, sha in _CONTENTS.items():
        if name in lists.digests:
            for row, text in enumerate(octets(documents.text)):
                asked.add(row, "content", sha(text).digest()[:16])
    places = lists.find(asked.keys)
    purged: dict[int, str] = {}
    others: dict[tuple[int, str, str], None] = {}
    for at in np.flatnonzero(places >= 0).tolist():
        row, hit = asked.rows[at], lists.hit(int(places[at]))
        if hit.purge:
            purged[row] = min(purged.get(row, hit.title), hit.title)
        else:
            others[row, f"blocked.{asked.kinds[at]}", hit.reference] = None
    found += [Finding(row, Blocked.name, PURGE, title, 1.0) for row, title in purged.items()]
    found += [Finding(row, Blocked.name, kind, rule, 1.0) for row, kind, rule in sorted(others)]
    # Nothing else is said of a record that is purged.
    return [each for each in found if each.category == PURGE or each.row not in purged]


def _ask_addresses(lists: Blocklist, documents: Documents, asked: _Asked) -> list[tuple[int, str]]:
    """Ask for hosts and URLs, and return the rows whose URL or source cannot be read, each with ``url`` or ``source``.

    Of hosts there are few, so each is sought once; URLs are looked at whole only where their host has an entry.
    """
    addresses: list[tuple[int, Address]] = []
    unread: list[tuple[int, str]] = []
    for row, (url, source) in enumerate(zip(documents.url.to_pylist(), documents.source.to_pylist(), strict=True)):
        own = canonical_url(url) if url else None
        if own is not None:
            addresses.append((row, own))
        elif url:
            unread.append((row, "url"))
        named = _of_source(source)
        if named is not None and named != own:
            addresses.append((row, named))
        elif named is None and _BEGINS_AS_URL.match(source):
            unread.append((row, "source"))
    rows: dict[str, list[int]] = {}
    for row, address in addresses:
        rows.setdefault(address.host, []).append(row)
    parents = [(host, key_of("host", each)) for host in rows for each in suffixes_of(host)]
    for at in np.flatnonzero(lists.find([key for _, key in parents]) >= 0).tolist():
        host, key = parents[at]
        for row in rows[host]:
            asked.add(row, "host", key)
    places = list(dict.fromkeys(address.place for _, address in addresses))
    listed = {place for place, has in zip(places, lists.have_addresses(places), strict=True) if has}
    for row, address in addresses:
        if address.place in listed:
            for each in prefixes_of(address):
                asked.add(row, "prefix", key_of("prefix", each))
            asked.add(row, "url", key_of("url", address.whole))
    return unread


_BEGINS_AS_URL = re.compile(r"\W*h(?:tt|xx)ps?:", re.IGNORECASE)


@functools.lru_cache(maxsize=1 << 14)
def _of_source(source: str) -> Address | None:
    """Return the address of a source that is a URL or looks like a host, with or without port and path; other sources are names."""
    first = re.split(r"[/\\?#]", source.strip().lstrip("/"), maxsplit=1)[0]
    is_place = "://" in source or _BEGINS_AS_URL.match(source) or first[:1] == "["
    is_place = is_place or any(dot in first.strip(DOTS) for dot in DOTS)
    return canonical_url(source) if is_place else None
