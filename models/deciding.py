"""Entering decisions into the ledger of sources: those of releases, and those of people."""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.chain import Entry
from models.decisions import (
    ACKNOWLEDGE,
    ALLOWED,
    ASSESSMENT,
    CHANGE,
    CHANGES,
    FIGURES,
    JUDGED,
    OVERRIDE,
    PENDING,
    RELEASE,
    Decisions,
    by_override,
    chain_of,
    rows_of,
)
from models.digest import canonical
from models.errors import UsageError
from models.removals import REASONS
from models.sources import STATES
from models.store import Store
from models.strict import near_miss


@dataclass(frozen=True)
class Released:
    """What a release says about the decisions that it brought.

    Attributes:
        release: its number.
        as_of: its date.
        method: the reading of the rule, and the limit.
        otherwise: the state of sources of which nothing is known, which the ledger leaves out.
        verdicts: name of the set of verdicts that counted, empty for none.
        versions: of policy, taggers and program, by name.
        run: its id.
    """

    release: int
    as_of: str
    method: str
    otherwise: str
    verdicts: str
    versions: Mapping[str, Any]
    run: str


def enter_release(
    store: Store, folder: Path, sources: pa.Table, said: Released, is_current: Callable[[], bool] = lambda: True
) -> Entry | None:
    """Enter the states that a release changed, if it changed any and they are not entered yet.

    The states before are those of the ledger, so a release whose entry was never made, because its run was killed, is made up for by the
    next one. A source that the release does not have keeps its last decision.

    Args:
        folder: on this machine, for the file while it is written.
        sources: ``source``, ``state``, ``basis``, the two gates and :data:`FIGURES`.
        is_current: tells whether no later release came meanwhile, which would then have to be entered in place of this one.
    """

    def make(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
        if not is_current() or any(
            each.facts["kind"] == RELEASE and each.facts["release"] >= said.release for each in entries
        ):
            return None
        ledger = Decisions(store, entries)
        changed = changed_from(sources, ledger, said.release, said.otherwise)
        if not len(changed) and ledger.otherwise == said.otherwise:
            return None
        write = functools.partial(pq.write_table, changed, compression="zstd")
        name = keep(store, folder, CHANGES, ".parquet", lambda path: write(path))
        sha256 = Path(name).stem
        return {**_facts(said), "changes": {"name": name, "sha256": sha256, "rows": len(changed)}}

    return chain_of(store).append(make)


def with_pending(ledger: Decisions, sources: pa.Table, said: Released) -> Decisions:
    """Return the ledger with what the current release changed, if that is not entered yet; nothing is written.

    Args:
        sources: as of :func:`enter_release`.
    """
    if any(each.facts["kind"] == RELEASE and each.facts["release"] >= said.release for each in ledger.entries):
        return ledger
    changed = changed_from(sources, ledger, said.release, said.otherwise)
    return Decisions(ledger.store, ledger.entries, rows_of(changed, _facts(said), PENDING))


def _facts(said: Released) -> dict[str, Any]:
    return {
        "kind": RELEASE,
        "release": said.release,
        "as_of": said.as_of,
        "method": said.method,
        "otherwise": said.otherwise,
        "verdicts": said.verdicts,
        "versions": canonical(dict(said.versions)).decode(),
        "actor": f"run {said.run}",
    }


def changed_from(sources: pa.Table, ledger: Decisions, release: int, otherwise: str) -> pa.Table:
    """Return the states of a table of sources that are not those of the ledger, see :data:`models.decisions.CHANGE`.

    Args:
        sources: as of :func:`enter_release`.
        release, otherwise: see :class:`Released`.
    """
    seen, held = ledger.seen(release), ledger.held()
    # Of one that is held although somebody acknowledged it since, the hold is a new one.
    since = {source: source not in seen or seen[source].entry < each.entry for source, each in held.items()}
    return _changed(sources, ledger.states(), since, ledger.otherwise, otherwise)


def _changed(
    sources: pa.Table, before: Mapping[str, str], held: Mapping[str, bool], was_otherwise: str, otherwise: str
) -> pa.Table:
    """Return the changes from the states before; a source of which nothing was known and still is not is never looked at by name.

    That a source is on hold for its removals is a change too where it was on hold before: that hold is left in another way.

    Args:
        held: sources that were on hold for their removals, and whether nobody has acknowledged that.
    """
    had = pa.array(sorted(source for source, state in before.items() if state != otherwise), pa.string())
    judged = sources.filter(pc.is_valid(sources["state"]))
    some = judged.filter(pc.or_(pc.not_equal(judged["state"], otherwise), pc.is_in(judged["source"], had)))
    rows = [
        row | {"previous": before.get(row["source"], was_otherwise)}
        for row in some.select(["source", "state", "collect_allowed", "train_allowed", *FIGURES, "basis"]).to_pylist()
        if row["state"] != before.get(row["source"], otherwise) or _is_held_otherwise(row, held)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["source"])), CHANGE)


def _is_held_otherwise(row: Mapping[str, Any], held: Mapping[str, bool]) -> bool:
    source, basis = row["source"], row["basis"]
    if by_override(basis):
        return False
    return not held.get(source, False) if basis in REASONS else source in held


def override(store: Store, source: str, state: str, *, reviewer: str, reason: str, decided: str, until: str) -> Entry:
    """Enter a decision of a person that stands in place of what the figures say, and return its entry.

    Args:
        state: one of :data:`models.sources.STATES`, or :data:`JUDGED` to end an override.
        decided, until: first and last day on which it holds, ISO 8601.

    Raises:
        UsageError: if it does not say who, why, what or for how long.
    """
    known = (*STATES, JUDGED)
    if state not in known:
        raise UsageError(f"state {state}: there are {', '.join(known)}{near_miss(state, known)}")
    _check_said({"source": source, "reviewer": reviewer, "reason": reason})
    if date.fromisoformat(until) < date.fromisoformat(decided):
        raise UsageError(f"until {until} is before {decided}, the day of the decision; it would never hold")

    def make(entries: Sequence[Entry]) -> Mapping[str, Any]:
        ledger = Decisions(store, entries)
        holding = ledger.overrides(decided).get(source)
        allowed = ALLOWED.get(state, (None, None))
        return {
            "kind": OVERRIDE,
            "source": source,
            "state": state,
            "previous": holding.state if holding else ledger.states().get(source, ledger.otherwise),
            "collect_allowed": allowed[0],
            "train_allowed": allowed[1],
            "basis": "person",
            "actor": reviewer.strip(),
            "reason": reason.strip(),
            "as_of": decided,
            "until": until,
        }

    return _made(store, make)


def acknowledge(
    store: Store, source: str, figures: tuple[int, int], *, by: str, reason: str, decided: str, release: int
) -> Entry:
    """Enter that a person has looked at a source as it is in a release, and return the entry.

    Args:
        figures: what was seen: removed records, and of how many. It holds for these.

    Raises:
        UsageError: if it does not say who and why.
    """
    _check_said({"source": source, "by": by, "reason": reason})
    facts = {
        "kind": ACKNOWLEDGE,
        "source": source,
        "basis": "person",
        "actor": by.strip(),
        "reason": reason.strip(),
        "as_of": decided,
        "release": release,
        "removed": figures[0],
        "removed_of": figures[1],
    }
    return _made(store, lambda _: facts)


def enter_assessment(store: Store, said: Mapping[str, Any]) -> Entry:
    """Enter what a probe of a source came to before more of it is collected, and return the entry.

    Where the last decision on the source is the very same, it is returned, and nothing is entered: a pipeline may ask again.

    Args:
        said: ``source``, ``state``, ``collect_allowed``, :data:`FIGURES`, ``basis``, ``method``, ``versions``, ``actor``, ``as_of``, and
            whatever else the decision rests on.

    Raises:
        UsageError: if it does not say what or who.
    """
    _check_said({"source": said["source"], "by": said["actor"]})
    source, held = said["source"], list[Entry]()

    def make(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
        held.clear()
        ledger = Decisions(store, entries)
        history = ledger.history(source)
        last = {each.id: each for each in entries}[history[-1]["entry"]] if history else None
        # It says nothing about training: what is trained on are other records, which have not been seen yet.
        facts = {"kind": ASSESSMENT, **said, "actor": said["actor"].strip(), "train_allowed": None}
        if last is not None and {**last.facts, "previous": None} == {**facts, "previous": None}:
            held.append(last)
            return None
        holding = ledger.overrides(said["as_of"]).get(source)
        states = (
            [holding.state] if holding else [row["state"] for row in history if row["kind"] in (RELEASE, ASSESSMENT)]
        )
        return facts | {"previous": states[-1] if states else ledger.otherwise}

    return chain_of(store).append(make) or held[0]


def _made(store: Store, make: Callable[[Sequence[Entry]], Mapping[str, Any]]) -> Entry:
    entry = chain_of(store).append(make)
    assert entry is not None
    return entry


def _check_said(said: Mapping[str, str]) -> None:
    for name, value in said.items():
        if not re.search(r"\w", value):
            raise UsageError(f"{name} is empty; a decision without it cannot be answered for")
