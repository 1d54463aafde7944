"""The ledger of withdrawals: decisions of people, each an entry of a chain, see :mod:`models.chain`.

To lift a withdrawal is an entry of its own, that names it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models.chain import Chain, Entry
from models.errors import UsageError
from models.store import Store
from models.withdrawals import Target, Withdrawal

FOLDER = "withdrawals"
FORMAT = 2


def chain_of(store: Store) -> Chain:
    """Return the chain that holds the withdrawals of a corpus."""
    return Chain(store, FOLDER, "W", FORMAT)


def read_ledger(store: Store) -> list[Withdrawal]:
    """Return all withdrawals in the order of their decisions, lifted ones among them.

    Raises:
        BrokenChainError: if the ledger was changed, naming where.
        UsageError: if an entry is of another format.
    """
    return list(_withdrawals(chain_of(store).entries()).values())


def verify(store: Store) -> int:
    """Read every entry from the store itself, and return how many there are.

    Raises:
        BrokenChainError: naming the first broken link.
    """
    return len(chain_of(store).entries(fresh=True))


def _withdrawals(entries: Sequence[Entry]) -> dict[str, Withdrawal]:
    found: dict[str, Withdrawal] = {}
    for each in entries:
        if (name := each.facts.get("lifts")) is not None:
            facts = each.facts
            found[name] = replace(
                found[name], lifted=facts["decided"], lifted_by=facts["by"], lifted_reason=facts["reason"]
            )
        else:
            found[each.id] = _withdrawal(each.id, each.facts)
    return found


def _withdrawal(name: str, facts: Mapping[str, Any]) -> Withdrawal:
    target = facts["target"]
    return Withdrawal(**{**facts, "id": name, "target": Target(**{**target, "marks": tuple(target["marks"])})})


def add(store: Store, decision: Withdrawal) -> Withdrawal:
    """Enter a decision under the next free number, and return it with that; the id that it comes with is not used."""
    facts = decision.facts()
    del facts["id"]
    entry = chain_of(store).append(lambda _: facts)
    assert entry is not None
    return replace(decision, id=entry.id)


def lift(store: Store, name: str, decided: str, by: str, reason: str) -> Withdrawal:
    """Take a withdrawal back.

    Raises:
        UsageError: if there is none of that id, or it is lifted already.
    """
    known: dict[str, Withdrawal] = {}

    def make(entries: Sequence[Entry]) -> Mapping[str, Any]:
        known.update(_withdrawals(entries))
        if name not in known:
            raise UsageError(f"no withdrawal {name} here; there are: {', '.join(known) or 'none'}")
        if not known[name].in_force:
            raise UsageError(f"{name} was lifted on {known[name].lifted} by {known[name].lifted_by}; nothing to do")
        return {"lifts": name, "decided": decided, "by": by, "reason": reason}

    chain_of(store).append(make)
    return replace(known[name], lifted=decided, lifted_by=by, lifted_reason=reason)
