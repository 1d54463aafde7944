"""Withdrawals: what was withdrawn, and which entries of a split that is.

All of it is answered from layers, by marks: hashes, names of sources and works, places. No text is read, and nothing that a
withdrawal keeps tells the value, address or page that it is about.
"""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from models.addressed import keep_json
from models.errors import UsageError
from models.findings import COPYRIGHT
from models.layer import Merged, id_hash
from models.shard import Shard
from models.store import Store
from models.url_marks import SIZE

Kind = Literal["work", "subject", "source", "url", "record"]
KINDS: tuple[Kind, ...] = ("work", "subject", "source", "url", "record")
BASES = ("complaint", "refusal", "takedown", "erasure", "licence", "order", "other")
"""Why something is withdrawn."""

REASON = "withdrawn:"
"""What stands before a withdrawal's id in the audit, in place of a rule of the policy."""

SETS = "withdrawals/sets"
"""Folder of the store with the withdrawals that runs took to be in force."""


@dataclass(frozen=True)
class Target:
    """What a withdrawal is about.

    Attributes:
        kind: one of :data:`KINDS`.
        marks: what to look for; an entry that has one of them is meant. ``work:ID``, ``source:KEY``, ``hmac:HEX`` (keyed hash of a
            personal value), ``url:HEX`` and ``under:HEX`` (see :mod:`models.url_marks`), ``id:HEX`` (see :func:`models.layer.id_hash`),
            ``at:SHARD#POSITION``, ``content:HEX`` (first 16 bytes of the text's SHA-256).
        shown: how people are told; never a personal value.
        key: id of the key of keyed hashes, see :func:`models.keys.key_id`; empty without those.
    """

    kind: Kind
    marks: tuple[str, ...]
    shown: str
    key: str = ""


@dataclass(frozen=True)
class Withdrawal:
    """A decision to withdraw something, and what became of the decision.

    Attributes:
        id: ``W0001`` and so on, in the order of decisions.
        target: what is withdrawn.
        basis: one of :data:`BASES`.
        received, decided: dates, ISO 8601: of the complaint or refusal, and of the decision.
        by: who decided.
        reason: a reference or a few words.
        lifted: date on which the decision was taken back, or empty; then ``lifted_by`` and ``lifted_reason``.
    """

    id: str
    target: Target
    basis: str
    received: str
    decided: str
    by: str
    reason: str = ""
    lifted: str = ""
    lifted_by: str = ""
    lifted_reason: str = ""

    @property
    def in_force(self) -> bool:
        return not self.lifted

    def facts(self) -> dict[str, Any]:
        """Return the decision as a JSON value, without what became of it."""
        facts = asdict(self)
        return {name: value for name, value in facts.items() if not name.startswith("lifted")}


def work_target(work: str) -> Target:
    """Return the target that means every record on which a tagger found a registered work."""
    return Target("work", (f"work:{work}",), work)


def source_target(source: str) -> Target:
    """Return the target that means all records of a source, by the name under which it is shown."""
    return Target("source", (f"source:{source}",), source)


def record_target(record: str, shown: str) -> Target:
    """Return the target that means a record: by its id, ``SHARD#POSITION``, or ``sha256:HEX`` for all of equal text.

    Raises:
        UsageError: if what should be a SHA-256 is none.
    """
    if record.startswith("sha256:"):
        digest = record.removeprefix("sha256:").lower()
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise UsageError(
                f"--record {shown}: sha256: is followed by the 64 hexadecimal digits of a text's SHA-256, these are {len(digest)} "
                "characters; copy it whole from the audit"
            )
        return Target("record", (f"content:{digest[:32]}",), shown)
    marks = [f"id:{id_hash(record).hex()}"]
    if record.rpartition("#")[2].isdecimal() and "#" in record:
        marks.append(f"at:{record}")
    return Target("record", tuple(marks), shown)


def content_target(hashes: Iterable[str]) -> Target:
    """Return the target that means every record of some texts, given by their SHA-256 (hexadecimal)."""
    return Target("record", tuple(f"content:{each[:32]}" for each in hashes), "")


class InForce:
    """Withdrawals made ready for looking up.

    Args:
        targets: by id of the withdrawal.
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self.targets = dict(targets)
        self._by_mark: dict[str, dict[str, list[str]]] = {}
        for name, target in sorted(targets.items()):
            for mark in target.marks:
                kind, _, value = mark.partition(":")
                self._by_mark.setdefault(kind, {}).setdefault(value, []).append(name)

    def rows(
        self, known: Merged, shard: Shard, *, source_in_path: bool, path_source: str
    ) -> dict[int, tuple[str, ...]]:
        """Return the entries of a split that are withdrawn, each with the ids of the withdrawals, sorted.

        Args:
            known: of the split.
            source_in_path: whether the shard's records have their source from its path; then its dead letters have it too.
            path_source: the source that the path names.
        """
        found: dict[int, set[str]] = {}
        for rows, names in (
            self._of_column(known.records, "content", "content"),
            self._of_column(known.records, "id", "id"),
            self._of_column(known.records, "url", "url"),
            self._under(known.records),
            self._of_source(known.records, path_source if source_in_path else None),
            self._at(known.records, shard.path),
            self._found(known.findings),
        ):
            for row, name in zip(rows, names, strict=True):
                found.setdefault(row, set()).update(name)
        return {row: tuple(sorted(names)) for row, names in sorted(found.items())}

    def _of_column(self, records: pa.Table, kind: str, column: str) -> tuple[list[int], list[list[str]]]:
        wanted = self._by_mark.get(kind)
        if not wanted:
            return [], []
        values = pa.array([bytes.fromhex(value) for value in wanted], pa.binary())
        at = pc.index_in(records[column].cast(pa.binary()), value_set=values)
        return _picked(at, list(wanted.values()))

    def _under(self, records: pa.Table) -> tuple[list[int], list[list[str]]]:
        wanted = {bytes.fromhex(value): names for value, names in self._by_mark.get("under", {}).items()}
        if not wanted:
            return [], []
        return _by_value(
            records["under"],
            lambda marks: [n for at in range(0, len(marks), SIZE) for n in wanted.get(marks[at : at + SIZE], ())],
        )

    def _of_source(self, records: pa.Table, path_source: str | None) -> tuple[list[int], list[list[str]]]:
        wanted = self._by_mark.get("source")
        if not wanted:
            return [], []
        rows, names = _by_value(records["source"], lambda source: wanted.get(source, []))
        if path_source is not None:
            # Under the name that its records have, which hides a personal one, if there is a record.
            there = pc.unique(records["source"].cast(pa.string())).drop_null().to_pylist()
            dead = np.flatnonzero(pc.is_valid(records["error"]).to_numpy()).tolist()
            own = wanted.get(there[0] if there else path_source, [])
            rows, names = [*rows, *(dead if own else ())], [*names, *([own] * len(dead) if own else ())]
        return rows, names

    def _at(self, records: pa.Table, shard: str) -> tuple[list[int], list[list[str]]]:
        here = {
            int(position): names
            for mark, names in self._by_mark.get("at", {}).items()
            for path, _, position in [mark.rpartition("#")]
            if path == shard
        }
        if not here:
            return [], []
        return _picked(
            pc.index_in(records["position"], value_set=pa.array(list(here), pa.int64())), list(here.values())
        )

    def _found(self, findings: pa.Table) -> tuple[list[int], list[list[str]]]:
        rows: list[int] = []
        names: list[list[str]] = []
        works, values = self._by_mark.get("work"), self._by_mark.get("hmac")
        if works:
            of_works = findings.filter(pc.starts_with(findings["category"], COPYRIGHT))
            rows, names = _looked_up(of_works, "rule", works)
        if values:
            more = _looked_up(findings, "value_hmac", values)
            rows, names = rows + more[0], names + more[1]
        return rows, names


def _looked_up(findings: pa.Table, column: str, wanted: Mapping[str, list[str]]) -> tuple[list[int], list[list[str]]]:
    at = pc.index_in(findings[column], value_set=pa.array(list(wanted), pa.string()))
    places, names = _picked(at, list(wanted.values()))
    return findings["row"].take(pa.array(places, pa.int64())).to_pylist(), names


def _picked(at: pa.ChunkedArray, names: list[list[str]]) -> tuple[list[int], list[list[str]]]:
    """Return the places that hold an index, and the names at each."""
    indices = pc.fill_null(at, -1).to_numpy()
    rows = np.flatnonzero(indices >= 0)
    return rows.tolist(), [names[index] for index in indices[rows].tolist()]


def _by_value(column: pa.ChunkedArray, look: Any) -> tuple[list[int], list[list[str]]]:
    """Look up a dictionary-encoded column: each of its values once."""
    encoded = column.combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        if not len(encoded):
            return [], []
        encoded = encoded.unify_dictionaries().combine_chunks().chunk(0)
    named = [look(value) for value in encoded.dictionary.to_pylist()]
    return _picked(pa.chunked_array([_only_named(encoded.indices, named)]), named)


def _only_named(indices: pa.Array, named: list[list[str]]) -> pa.Array:
    hit = [at for at, names in enumerate(named) if names]
    return pc.if_else(pc.is_in(indices, value_set=pa.array(hit, indices.type)), indices, pa.scalar(None, indices.type))


NOTHING = InForce({})


def keep_in_force(withdrawals: Iterable[Withdrawal], store: Store, folder: Path) -> str:
    """Write what is in force and return its name in the store; empty if nothing is."""
    targets = {each.id: each.target for each in withdrawals if each.in_force}
    if not targets:
        return ""
    facts = {name: [target.kind, list(target.marks)] for name, target in targets.items()}
    return keep_json(store, folder, SETS, facts)


def read_in_force(store: Store, name: str) -> InForce:
    """Read what :func:`keep_in_force` wrote; the empty name is nothing."""
    return _read(store.local(name)) if name else NOTHING


@functools.lru_cache(maxsize=4)
def _read(path: Path) -> InForce:
    facts = orjson.loads(path.read_bytes())
    return InForce({name: Target(kind, tuple(marks), "") for name, (kind, marks) in facts.items()})


def count_by_id(rows: Mapping[int, tuple[str, ...]]) -> dict[str, int]:
    """Return how many entries each withdrawal names, by id."""
    counts: dict[str, int] = {}
    for names in rows.values():
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))
