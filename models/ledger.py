"""The ledger of withdrawals: decisions of people, one object of the store each, never changed and never deleted.

An entry is created under the next free number, which fails if another process took that number meanwhile; then the next one is
tried. So nothing is lost, on a file system and in an object store alike. To lift a withdrawal is an entry of its own beside it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from models.errors import StoreConflictError, UsageError
from models.store import Store, scratch_file
from models.withdrawals import Target, Withdrawal

FOLDER = "withdrawals"
FORMAT = 2
_ENTRY = re.compile(rf"{FOLDER}/(W\d{{4,}})\.json")
_LIFT = re.compile(rf"{FOLDER}/(W\d{{4,}})\.lifted\.json")


def read_ledger(store: Store) -> list[Withdrawal]:
    """Return all withdrawals in the order of their decisions, lifted ones among them.

    Raises:
        UsageError: if an entry is of another format.
    """
    entries, lifts = {}, {}
    for each in store.list(FOLDER):
        if found := _ENTRY.fullmatch(each.name):
            entries[found[1]] = _facts(store, each.name)
        elif found := _LIFT.fullmatch(each.name):
            lifts[found[1]] = _facts(store, each.name)
    return [_withdrawal(entries[name], lifts.get(name)) for name in sorted(entries, key=lambda name: int(name[1:]))]


def _facts(store: Store, name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(store.read(name))
    if facts.pop("format") != FORMAT:
        raise UsageError(f"{store.root}/{name}: of another format; use the version that wrote it")
    return facts


def _withdrawal(facts: Mapping[str, Any], lift: Mapping[str, Any] | None) -> Withdrawal:
    target = facts["target"]
    entry = Withdrawal(**{**facts, "target": Target(**{**target, "marks": tuple(target["marks"])})})
    if lift is None:
        return entry
    return replace(entry, lifted=lift["decided"], lifted_by=lift["by"], lifted_reason=lift["reason"])


def add(store: Store, decision: Withdrawal) -> Withdrawal:
    """Enter a decision under the next free number, and return it with that; the id that it comes with is not used."""
    number = len(read_ledger(store))
    while True:
        number += 1
        entry = replace(decision, id=f"W{number:04}")
        try:
            _create(store, f"{FOLDER}/{entry.id}.json", entry.facts())
        except StoreConflictError:
            continue
        return entry


def lift(store: Store, name: str, decided: str, by: str, reason: str) -> Withdrawal:
    """Take a withdrawal back.

    Raises:
        UsageError: if there is none of that id, or it is lifted already.
    """
    known = {each.id: each for each in read_ledger(store)}
    if name not in known:
        raise UsageError(f"no withdrawal {name} here; there are: {', '.join(known) or 'none'}")
    if not known[name].in_force:
        raise UsageError(f"{name} was lifted on {known[name].lifted} by {known[name].lifted_by}; nothing to do")
    try:
        _create(store, f"{FOLDER}/{name}.lifted.json", {"decided": decided, "by": by, "reason": reason})
    except StoreConflictError:
        raise UsageError(f"{name} was lifted by someone else meanwhile; nothing to do") from None
    return replace(known[name], lifted=decided, lifted_by=by, lifted_reason=reason)


def _create(store: Store, name: str, facts: Mapping[str, Any]) -> None:
    if store.exists(name):
        raise StoreConflictError(name)
    with scratch_file(store.scratch) as path:
        path.write_text(json.dumps({"format": FORMAT, **facts}, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
        store.create_once(name, path)
