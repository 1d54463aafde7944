"""Purge: what earlier releases hold of withdrawn and purged text, deleted without grace; a tombstone says so in its place.

Of what is withdrawn the parts with text go; the audit stays, so that it can be told why. Of what a list purges (:mod:`models.purge`)
nothing may stay but a hash, so the audit of that split and release goes too, and the layers that know more of the record.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from models.catalogue import Catalogue, Row
from models.parts import RESTRICTED, PartFile
from models.purge import PURGE
from models.store import Store
from models.withdrawals import InForce, content_target, read_in_force
from pipeline import purged
from pipeline.corpus import Corpus
from pipeline.query import fates, merged_of, withdrawn_in
from pipeline.waiting import all_waiting
from transforms.workspace import open_store


@dataclass(frozen=True)
class Held:
    """A part of an earlier release that holds what is withdrawn or purged.

    Attributes:
        withdrawals: ids of those that name it; for a purged text :data:`PURGE`, a colon and the start of its SHA-256.
        audit: path of the part of the audit that tells of it, if that is gone: then it is not known which parts held what.
    """

    part: PartFile
    withdrawals: tuple[str, ...]
    audit: str = ""


@dataclass
class Found:
    """What earlier releases hold that must go: parts, and names of layers in the store."""

    parts: list[Held] = field(default_factory=list)
    layers: set[str] = field(default_factory=set)


def purge(corpus: Corpus, *, is_trial: bool) -> dict[tuple[str, str], int]:
    """Delete what earlier releases hold of withdrawn and purged text, and return the bytes of each object by root and name.

    Tombstones come first, then the links of releases, then text, audit and layers: cut short anywhere, the next call does the rest.
    Receipts stay, which name the parts: nobody believes one whose parts are gone.
    """
    store = corpus.store
    gone: dict[tuple[str, str], int] = {}
    layers: set[str] = set()
    finder = _Finder(corpus)
    for number in corpus.numbers():
        if number >= corpus.number:
            continue
        release = corpus.release(number)
        held: list[Held] = []
        for found in finder.found(Catalogue.open(store, release.manifest["catalogue"]["index"])):
            layers |= found.layers
            for each in found.parts:
                if each.audit and {*each.withdrawals} <= {*release.purged.get(each.audit, {}).get("withdrawals", ())}:
                    continue  # an audit goes last: all that these meant had gone before
                root = release.restricted if each.part.place in RESTRICTED else corpus.root
                if open_store(f"{root}/store").exists(each.part.object):
                    gone[root, each.part.object] = each.part.size
                    held.append(each)
        if held and not is_trial:
            paths = [f"{each.part.place}/{each.part.name}" for each in held]
            corpus.releases.purge(number, paths, _tombstone(held, store))
    # What tells which parts hold text goes after them.
    for root, name in sorted(gone, key=lambda place: ("/audit" in place[1], place)):
        if not is_trial:
            open_store(f"{root}/store").delete(name)
    for name in sorted(layers):
        try:
            gone[corpus.root, name] = len(store.read(name))
        except FileNotFoundError:
            continue
        if not is_trial:
            store.delete(name)
    return gone


def _tombstone(held: Sequence[Held], store: Store) -> bytes:
    facts = {
        "purged": datetime.fromtimestamp(store.now(), UTC).date().isoformat(),
        "parts": [
            {
                "path": f"{each.part.place}/{each.part.name}",
                "sha256": each.part.sha256,
                "size": each.part.size,
                "records": each.part.records,
                "withdrawals": list(each.withdrawals),
            }
            for each in held
        ],
    }
    return (json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


class _Finder:
    """Finds what must go: withdrawn or purged in the current release; segments that releases share are looked at once."""

    def __init__(self, corpus: Corpus) -> None:
        self.store = corpus.store
        manifest = corpus.manifest()
        targets = dict(read_in_force(self.store, manifest["job"]["withdrawn"]).targets)
        self._purged = frozenset(entry["sha256"] for entry in purged.previous(corpus).get("purged", ()))
        if self._purged:
            targets |= {f"{PURGE}:{sha256[:32]}": content_target([sha256]) for sha256 in sorted(self._purged)}
        self.in_force = InForce(targets)
        self._seen: dict[str, list[Found]] = {}
        self._now: dict[str, tuple[str, int]] = {}
        self._right: set[str] = set()
        self._right_layers: set[str] = set()
        if not targets:
            return
        self._current = Catalogue.open(self.store, manifest["catalogue"]["index"])
        for ref in self._current.segments:
            self._seen[ref.name] = []
            for row, split in enumerate(self._current.read(ref).columns("split")["split"]):
                self._now[split] = ref.name, row
        self._names = {ref.name: ref for ref in self._current.segments}
        catalogues = [self._current, *(Catalogue.open(self.store, run.outcome.index) for run in all_waiting(corpus))]
        for catalogue in catalogues:
            for ref in catalogue.segments:
                segment = catalogue.read(ref)
                self._right.update(segment.columns("release")["release"])
                if self._purged:
                    for row in range(len(segment)):
                        self._right_layers.update(layer.name for layer in segment.layers(row))

    def found(self, catalogue: Catalogue) -> Iterator[Found]:
        """Give what an earlier release holds, split by split."""
        if not self.in_force.targets:
            return
        for ref in catalogue.segments:
            if ref.name not in self._seen:
                rows = (self._of_row(row) for row in catalogue.read(ref).rows())
                self._seen[ref.name] = [found for found in rows if found.parts or found.layers]
            yield from self._seen[ref.name]

    def _of_row(self, row: Row) -> Found:
        if row.release.digest in self._right:
            return Found()
        # What is known of the same split now may be more: a work that was registered since.
        latest = row
        if row.digest in self._now:
            name, at = self._now[row.digest]
            latest = self._current.read(self._names[name]).row(at)
            if not latest.withdrawn and not latest.release.purged:
                return Found()
        try:
            known = merged_of(latest, self.store)
        except FileNotFoundError:
            return Found()  # its layers were the last to go
        rows = withdrawn_in(latest, known, self.in_force)
        if not rows:
            return Found()
        positions = known.records["position"].to_numpy()[list(rows)].tolist()
        by_place = _places(row, positions, list(rows.values()), self.store)
        parts = {part.place: part for part in row.release.files}
        audit = ""
        if by_place is None:
            every = {name for names in rows.values() for name in names}
            by_place, audit = dict.fromkeys(parts, every), f"audit/{parts['audit'].name}"
        found = Found(
            [Held(parts[place], tuple(sorted(names)), audit) for place, names in by_place.items() if place in parts]
        )
        if "audit" in by_place:
            found.layers = {layer.name for layer in row.layers} - self._right_layers
        return found


def _places(
    row: Row, positions: list[int], names: Sequence[Collection[str]], store: Store
) -> dict[str, set[str]] | None:
    """Return where a split of a release holds entries: what names them, by place; None if its part of the audit is gone."""
    try:
        doors = fates(row, store, positions)
    except FileNotFoundError:
        return None
    places: dict[str, set[str]] = {}
    is_purge = False
    for some, fate in zip(names, doors, strict=True):
        if not fate.get("sha256"):  # else it was purged then, too
            places.setdefault(fate["door"], set()).update(some)
            is_purge = is_purge or any(name.startswith(PURGE) for name in some)
    if is_purge:
        places["audit"] = {name for some in names for name in some}
    return places
