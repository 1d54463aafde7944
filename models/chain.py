"""An append-only ledger in a store: numbered entries, each holding the hash of the one before, none ever changed or deleted.

An entry is a canonical JSON text (see :mod:`models.digest`) under the next free number, created once: of two processes that want one number
one gets it, and the other looks again at what there is and tries the next. So nothing is lost and the chain never forks, on a file system
and in an object store alike. ``previous_sha256`` is the SHA-256 of the bytes of the entry before (as ``sha256sum`` prints it), empty in the first:
whoever changes, takes out or puts in an entry breaks a link that :meth:`Chain.entries` names. That entries at the very end are missing
only shows to those who noted the :attr:`Entry.sha256` of the last one.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.digest import canonical
from models.errors import BrokenChainError, StoreConflictError, UsageError
from models.store import Store, scratch_file

_OWN = ("format", "number", "previous_sha256")


@dataclass(frozen=True)
class Entry:
    """An entry of a ledger.

    Attributes:
        id: letter and number, such as ``W0001``.
        number: from 1 on.
        facts: what was entered.
        sha256: of the entry's bytes; the next one holds it.
    """

    id: str
    number: int
    facts: Mapping[str, Any]
    sha256: str


class Chain:
    """A ledger.

    Args:
        folder: of the store, for entries alone, or with other things in folders below it.
        letter: before the number in names.
        form: number of the entries' format.
    """

    def __init__(self, store: Store, folder: str, letter: str, form: int) -> None:
        self._store, self._folder, self._letter, self._form = store, folder, letter, form
        self._name = re.compile(rf"{folder}/{letter}(\d{{4,}})\.json")

    def _path(self, number: int) -> str:
        return f"{self._folder}/{self._letter}{number:04}.json"

    def _numbers(self) -> list[int]:
        found = (self._name.fullmatch(each.name) for each in self._store.list(self._folder))
        return sorted(int(each[1]) for each in found if each)

    def entries(self, *, fresh: bool = False) -> list[Entry]:
        """Return all entries in their order, every link checked.

        Args:
            fresh: whether they are read from the store itself, and never from a copy that this machine has of it.

        Raises:
            BrokenChainError: naming the first broken link.
            UsageError: if an entry is of another format.
        """
        return list(self._walk(fresh))

    def _walk(self, fresh: bool) -> Iterator[Entry]:
        previous = ""
        for number, there in enumerate(self._numbers(), 1):
            if there != number:
                raise self._broken(number, "is missing, though later ones are there")
            entry, link = self._read(number, fresh)
            if link != previous:
                before = f"{self._letter}{number - 1:04}" if number > 1 else "an entry, though it is the first"
                raise self._broken(number, f"was made after another content of {before} than is there")
            previous = entry.sha256
            yield entry

    def _read(self, number: int, fresh: bool) -> tuple[Entry, Any]:
        name = self._path(number)
        # Entries never change, so a copy of this machine is as good and need not be fetched again.
        data = self._store.read(name) if fresh else self._store.local(name).read_bytes()
        try:
            facts = json.loads(data)
            own = {key: facts.pop(key) for key in _OWN}
        except (ValueError, KeyError, AttributeError):
            raise self._broken(number, "is no entry of a ledger") from None
        if own["format"] != self._form:
            raise UsageError(
                f"{self._store.root}/{name}: of format {own['format']}, this version reads {self._form}; use the version that wrote it"
            )
        if own["number"] != number:
            raise self._broken(number, f"says that it is number {own['number']}")
        return Entry(f"{self._letter}{number:04}", number, facts, _sha256(data)), own["previous_sha256"]

    def _broken(self, number: int, how: str) -> BrokenChainError:
        return BrokenChainError(
            f"{self._store.root}/{self._path(number)}: {how}; the ledger was changed behind the tool's back. Put back this folder from a "
            "copy, and find out who wrote there"
        )

    def append(self, make: Callable[[Sequence[Entry]], Mapping[str, Any] | None]) -> Entry | None:
        """Enter something under the next free number.

        Two that enter the very same at the same moment have entered it once.

        Args:
            make: returns the facts, or None for nothing to enter. It is given all entries before, and asked again if another process was
                faster; what it raises ends the matter.

        Raises:
            BrokenChainError: if the ledger is broken: nothing is added to it then.
        """
        while True:
            entries = self.entries()
            facts = make(entries)
            if facts is None:
                return None
            number = len(entries) + 1
            own = {"format": self._form, "number": number, "previous_sha256": entries[-1].sha256 if entries else ""}
            if clash := sorted(own.keys() & facts.keys()):
                raise ValueError(f"{clash[0]} is the ledger's own")
            data = canonical({**facts, **own})
            try:
                with scratch_file(self._store.scratch) as path:
                    path.write_bytes(data)
                    self._store.create_once(self._path(number), path)
            except StoreConflictError:
                continue
            return Entry(f"{self._letter}{number:04}", number, dict(facts), _sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
