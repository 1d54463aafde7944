"""Tables that entries of a ledger name by their SHA-256: what lies under the name is what the entry says, or the chain is broken."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.chain import Entry
from models.digest import digest_of_file
from models.errors import BrokenChainError
from models.store import Store


@dataclass(frozen=True)
class EntryTables:
    """How the entries of a ledger name their tables.

    Attributes:
        fact: of an entry, with ``name`` in the store, ``sha256`` and ``rows``.
        ledger: what people call it.
    """

    fact: str
    ledger: str

    def check(self, store: Store, entry: Entry) -> None:
        """Read the table from the store itself, and compare it with its entry.

        Raises:
            BrokenChainError: if it is missing or another.
        """
        said = self._said(entry)
        try:
            with store.fetched(said["name"]) as path:
                if digest_of_file(path) == said["sha256"] and pq.read_metadata(path).num_rows == said["rows"]:
                    return
        except FileNotFoundError:
            pass
        raise self._lost(store, entry)

    def read(self, store: Store, entry: Entry, schema: pa.Schema) -> pa.Table:
        """Return the table, from a copy on this machine if there is one.

        Raises:
            BrokenChainError: if it is missing or another.
        """
        said = self._said(entry)
        try:
            path = store.local(said["name"])
            if digest_of_file(path) != said["sha256"]:
                raise self._lost(store, entry)
            return pq.read_table(path, schema=schema)
        except FileNotFoundError:
            raise self._lost(store, entry) from None

    def _said(self, entry: Entry) -> dict[str, Any]:
        said: dict[str, Any] = entry.facts[self.fact]
        return said

    def _lost(self, store: Store, entry: Entry) -> BrokenChainError:
        return BrokenChainError(
            f"{store.root}/{self._said(entry)['name']}: missing, or not what {entry.id} of the {self.ledger} says; put it back from a copy, and "
            "find out who wrote there"
        )
