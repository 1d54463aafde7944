"""The ledger of sources: what was decided about each, on which figures, by whom; a chain of entries, see :mod:`models.chain`.

There is an entry for every release that changed the state of a source, which names a Parquet file of those changes by its SHA-256, one for
every *assessment* of a probe before collection, and one for every decision of a person: an *override* of what the figures say, and an
*acknowledgement*. A source of which nothing stands here has the state that the last release says of those: ``clean`` by the literal reading,
``insufficient`` by the interval reading. So a release costs as much as changed, not as much as there are sources.

Collecting and training are two gates (TC260-003, 5.1 a: above the limit, do not collect; above it after collecting, do not train).
"""

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models.audits import AUDITED, CONFIRMED, Mark
from models.chain import Chain, Entry
from models.entry_tables import EntryTables
from models.removals import REASONS, WAS, Held, Seen
from models.source_keys import parents_of
from models.source_rule import AUDIT, BASES
from models.sources import BLACKLISTED, CLEAN, STATES
from models.store import Store
from models.tally import DISTINCT

FOLDER = "decisions"
CHANGES = "decisions/changes"
FORMAT = 1

RELEASE, OVERRIDE, ACKNOWLEDGE, ASSESSMENT = "release", "override", "acknowledge", "assessment"

ALLOWED = {state: (state == CLEAN, state == CLEAN) for state in STATES}
"""Whether a source may be collected, and trained on, by a state that a person gives it. What a policy allows of sources that are watched or of which
too little is known is up to the run, whose entry says it."""

AUDIT_BASIS = BASES[AUDIT]

PENDING = "(pending)"
"""In place of an entry's id: what a release changed and nobody has entered yet."""


def override_basis(entry: str, above: str = "") -> str:
    """Return the ``basis`` of a state that rests on an override: ``override D0001``, or ``override D0001 of KEY`` of what a source lies in."""
    return f"{OVERRIDE} {entry} of {above}" if above else f"{OVERRIDE} {entry}"


def by_override(basis: str) -> tuple[str, str] | None:
    """Return the entry and what lies above from what :func:`override_basis` returned; None for any other basis."""
    kind, _, said = basis.partition(" ")
    entry, _, above = said.partition(" of ")
    return (entry, above) if kind == OVERRIDE else None


JUDGED = "judged"
"""In place of a state in an override: from then on, what the figures say holds again."""

FIGURES = (
    *("read", "removed", "removed_of", *WAS, *DISTINCT),
    *("estimate_ppm", "lower_ppm", "upper_ppm", *AUDITED, *CONFIRMED, "deff_thousandths"),
)
"""Columns of the table of sources that a decision rests on."""

_TABLES = EntryTables("changes", "ledger")

CHANGE = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("source", "state", "previous")),
        *(pa.field(name, pa.bool_()) for name in ("collect_allowed", "train_allowed")),
        *(pa.field(name, pa.int64()) for name in FIGURES),
        pa.field("basis", pa.string()),
    ]
)
"""A change of state; ``basis`` is that of the policy, or ``override D0001``. Sorted by source."""

ROW = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in ("entry", "kind", "as_of")),
        *CHANGE,
        *(pa.field(name, pa.string()) for name in ("method", "versions", "actor", "reason", "until")),
        pa.field("release", pa.int64()),
    ]
)
"""A decision as it is read and exported, whatever its kind. ``as_of`` is the day from which it counts; ``versions`` is JSON."""


@dataclass(frozen=True)
class Override:
    """A decision of a person that stands in place of what the figures say.

    Attributes:
        entry: its id.
        state: one of :data:`models.sources.STATES`.
        until: the last day on which it holds, ISO 8601.
    """

    entry: str
    source: str
    state: str
    reviewer: str
    reason: str
    decided: str
    until: str


def worst_above(source: str, overrides: Mapping[str, Override]) -> Override | None:
    """Return the worst decision on what a source lies in, the nearest of equally bad ones; None if none condemns it."""
    found = [each for key in parents_of(source) if (each := overrides.get(key)) and each.state != CLEAN]
    return max(found, key=lambda each: STATES.index(each.state), default=None)


def chain_of(store: Store) -> Chain:
    """Return the chain that holds the decisions of a corpus."""
    return Chain(store, FOLDER, "D", FORMAT)


class Decisions:
    """The ledger as it stands.

    Args:
        entries: all of them, in order.
        pending: what the current release changed and nobody has entered yet, see :data:`ROW`; it counts as the last decision, and is part of
            no export of the ledger.

    Raises:
        BrokenChainError: if a file of changes is not what its entry says.
    """

    def __init__(self, store: Store, entries: Sequence[Entry], pending: pa.Table | None = None) -> None:
        self.store, self.entries = store, entries
        self.pending = ROW.empty_table() if pending is None else pending

    def tables(self) -> Iterator[pa.Table]:
        """Give every entry's decisions, see :data:`ROW`, in order."""
        return (_table(self.store, each) for each in self.entries)

    def table(self) -> pa.Table:
        """Return all decisions."""
        return pa.concat_tables([ROW.empty_table(), *self.tables()]).combine_chunks()

    def history(self, source: str) -> list[dict[str, Any]]:
        """Return what was decided about a source, the first decision first."""
        found = (table.filter(pc.equal(table["source"], source)) for table in (*self.tables(), self.pending))
        return [row for table in found for row in table.to_pylist()]

    def latest(
        self,
        as_of: str = "9999-12-31",
        kinds: Collection[str] = (RELEASE,),
        holds: Callable[[str], bool] = lambda _basis: True,
    ) -> dict[str, dict[str, Any]]:
        """Return the last change of state of every source that has one, by source: what releases came to, overrides with them.

        Args:
            as_of: entries of a later day do not count.
            kinds: of the entries that count, in the order of the ledger.
            holds: whether a change counts, by its basis.
        """
        found: dict[str, dict[str, Any]] = {}
        tables: Iterator[pa.Table] = (
            _table(self.store, entry)
            for entry in self.entries
            if entry.facts["kind"] in kinds and entry.facts["as_of"] <= as_of
        )
        for table in itertools.chain(tables, [self.pending] if RELEASE in kinds else []):
            rows = (row for row in table.to_pylist() if row["as_of"] <= as_of)
            found.update((row["source"], row) for row in rows if holds(row["basis"]))
        return found

    def states(self) -> dict[str, str]:
        """Return the last state of every source of which one stands here."""
        found: dict[str, str] = {}
        for entry in self.entries:
            if entry.facts["kind"] == RELEASE:
                table = _TABLES.read(self.store, entry, CHANGE)
                found.update(zip(table["source"].to_pylist(), table["state"].to_pylist(), strict=True))
        return found

    @property
    def otherwise(self) -> str:
        """The state of all other sources, as the last release that was entered has it."""
        last = (each.facts["otherwise"] for each in reversed(self.entries) if each.facts["kind"] == RELEASE)
        return next(last, CLEAN)

    def marks(self) -> dict[str, Mark]:
        """Return what stays of sources that verdicts blacklisted; what people decided instead changes nothing of it."""
        found: dict[str, Mark] = {}
        for entry in self.entries:
            if entry.facts["kind"] != RELEASE:
                continue
            table, verdicts = _TABLES.read(self.store, entry, CHANGE), entry.facts["verdicts"]
            for source, state, basis in zip(
                *(table[name].to_pylist() for name in ("source", "state", "basis")), strict=True
            ):
                before = found.get(source)
                if basis == AUDIT_BASIS and state == BLACKLISTED:
                    # Back after an override, or marked again: what counted the first time it was marked still does not clear it.
                    found[source] = before if before and before.entry else Mark(entry.number, verdicts)
                elif before and before.entry and not by_override(basis):
                    found[source] = replace(before, entry=0)
        return found

    def held(self) -> dict[str, Held]:
        """Return the sources that releases put on hold for their removals, and since which entry; what people decided instead changes nothing of it."""
        found: dict[str, Held] = {}
        for entry in self.entries:
            if entry.facts["kind"] != RELEASE:
                continue
            table = _TABLES.read(self.store, entry, CHANGE)
            for row in table.select(["source", "basis", *WAS]).to_pylist():
                source, basis = row["source"], row["basis"]
                if basis in REASONS:
                    was = None if row[WAS[1]] is None else (row[WAS[0]], row[WAS[1]])
                    found[source] = Held(entry.number, basis, was)
                elif source in found and not by_override(basis):
                    del found[source]
        return found

    def seen(self, before: int | None = None) -> dict[str, Seen]:
        """Return the counts of sources that people acknowledged last.

        Args:
            before: number of a release; only what was seen in earlier ones counts.
        """
        return {
            each.facts["source"]: Seen(each.number, each.facts["removed"], each.facts["removed_of"])
            for each in self.entries
            if each.facts["kind"] == ACKNOWLEDGE and (before is None or each.facts["release"] < before)
        }

    def overrides(self, as_of: str) -> dict[str, Override]:
        """Return the overrides in force on a day, by source: of each the last one decided by then, unless it has run out."""
        found: dict[str, Override] = {}
        for entry in self.entries:
            facts = entry.facts
            if facts["kind"] == OVERRIDE and facts["as_of"] <= as_of:
                found[facts["source"]] = Override(
                    entry.id,
                    *(facts[name] for name in ("source", "state", "actor", "reason", "as_of", "until")),
                )
        return {source: each for source, each in found.items() if each.until >= as_of and each.state != JUDGED}


def read_decisions(store: Store) -> Decisions:
    """Return the ledger of a corpus.

    Raises:
        BrokenChainError: if it was changed, naming where.
        UsageError: if an entry is of another format.
    """
    return Decisions(store, chain_of(store).entries())


def verify(store: Store) -> int:
    """Read every entry, and every file that one names, from the store, and return how many entries there are.

    Raises:
        BrokenChainError: naming the first broken link.
    """
    entries = chain_of(store).entries(fresh=True)
    for each in entries:
        if each.facts["kind"] == RELEASE:
            _TABLES.check(store, each)
    return len(entries)


def _table(store: Store, entry: Entry) -> pa.Table:
    facts = entry.facts
    if facts["kind"] != RELEASE:
        return pa.Table.from_pylist([{name: facts.get(name) for name in ROW.names} | {"entry": entry.id}], ROW)
    return rows_of(_TABLES.read(store, entry, CHANGE), facts, entry.id)


def rows_of(changes: pa.Table, facts: Mapping[str, Any], entry: str) -> pa.Table:
    """Return the changes of a release, see :data:`CHANGE`, as decisions, see :data:`ROW`.

    Args:
        facts: of the release's entry.
        entry: its id.
    """
    same = {name: facts.get(name) for name in ROW.names} | {"entry": entry}
    columns = [
        changes[field.name]
        if field.name in CHANGE.names
        else pa.repeat(pa.scalar(same[field.name], field.type), len(changes))
        for field in ROW
    ]
    return pa.table(columns, schema=ROW)
