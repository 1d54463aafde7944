"""The ledgers of a corpus together: a release holds the head of each, so that what was entered before it cannot be cut off or rewritten unseen.

A chain of hashes shows every change but those at its end, see :mod:`models.chain`. The head that a release holds is its anchor: the id and
SHA-256 of the last entry there was when the release was laid out. What was entered since is held by the next release.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from models import decisions, ledger, reviews
from models.chain import Chain
from models.errors import BrokenChainError
from models.store import Store

LEDGERS: Mapping[str, tuple[Callable[[Store], Chain], Callable[[Store], int]]] = {
    "decisions": (decisions.chain_of, decisions.verify),
    "reviews": (reviews.chain_of, reviews.verify),
    "withdrawals": (ledger.chain_of, ledger.verify),
}
"""By folder of the store: the chain, and what reads all of it."""


def heads(store: Store) -> dict[str, dict[str, str]]:
    """Return ``entry`` and ``sha256`` of the last entry of each ledger that has any.

    Raises:
        BrokenChainError: if one was changed, naming where.
    """
    last = {name: chain_of(store).entries()[-1:] for name, (chain_of, _) in LEDGERS.items()}
    return {name: {"entry": each.id, "sha256": each.sha256} for name, entries in last.items() for each in entries}


def verify(store: Store, manifests: Mapping[int, Mapping[str, Any]]) -> Iterator[str]:
    """Give everything about the ledgers of a corpus that is not as it was: each is walked from the store itself, with every file that it names.

    Args:
        manifests: of releases whose heads must still be there, by number.
    """
    for name, (_, walk) in LEDGERS.items():
        try:
            walk(store)
        except BrokenChainError as error:
            yield str(error)
            continue
        for manifest in manifests.values():
            yield from _lost(store, name, manifest, fresh=True)


def check(store: Store, manifest: Mapping[str, Any]) -> None:
    """Compare the ledgers of a corpus with a release of it.

    Raises:
        BrokenChainError: if one does not contain what it did.
    """
    for name in LEDGERS:
        for fault in _lost(store, name, manifest, fresh=False):
            raise BrokenChainError(fault)


def _lost(store: Store, name: str, manifest: Mapping[str, Any], *, fresh: bool) -> Iterator[str]:
    """Say it if a ledger does not contain the head that a release holds; releases of before hold none."""
    head = manifest.get("ledgers", {}).get(name)
    if head is None:
        return
    chain_of, _ = LEDGERS[name]
    there = {each.id: each.sha256 for each in chain_of(store).entries(fresh=fresh)}
    if there.get(head["entry"]) != head["sha256"]:
        yield (
            f"{store.root}/{name}: release {manifest['release']} holds {head['entry']} ({head['sha256'][:16]}…) as its last entry, and that "
            f"{'is another now' if head['entry'] in there else 'is gone'}; the ledger was cut off or rewritten behind the tool's back. Put "
            "back this folder from a copy, and find out who wrote there"
        )
