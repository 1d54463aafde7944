"""Purge: parts of earlier releases that hold withdrawn text, deleted without grace; a tombstone says so in their place."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from models.catalogue import Catalogue, Row
from models.parts import RESTRICTED, PartFile
from models.store import Store
from models.withdrawals import InForce, read_in_force
from pipeline.corpus import Corpus
from pipeline.query import fates, merged_of, withdrawn_in
from pipeline.waiting import all_waiting
from transforms.workspace import open_store


@dataclass(frozen=True)
class Held:
    """A part of an earlier release that holds withdrawn records, and the withdrawals that name them."""

    part: PartFile
    withdrawals: tuple[str, ...]


def purge(corpus: Corpus, *, is_trial: bool) -> dict[tuple[str, str], int]:
    """Delete what earlier releases hold of withdrawn text, and return the bytes of each object by root and name.

    Tombstones come first, then the links of releases, then the parts: cut short anywhere, the next call does the rest. Receipts stay,
    which name the parts: nobody believes one whose parts are gone.
    """
    store = corpus.store
    gone: dict[tuple[str, str], Held] = {}
    finder = _Finder(corpus)
    for number in corpus.numbers():
        if number >= corpus.number:
            continue
        manifest = corpus.manifest(number)
        restricted = corpus.restricted(manifest)
        held = []
        for each in finder.held(Catalogue.open(store, manifest["catalogue"]["index"])):
            root = restricted if each.part.place in RESTRICTED else corpus.root
            if open_store(f"{root}/store").exists(each.part.object):
                gone[root, each.part.object] = each
                held.append(each)
        if held and not is_trial:
            paths = [f"{each.part.place}/{each.part.name}" for each in held]
            corpus.releases.purge(number, paths, _tombstone(held, store))
    for root, name in sorted(gone):
        if not is_trial:
            open_store(f"{root}/store").delete(name)
    return {place: each.part.size for place, each in gone.items()}


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
    """Finds parts that hold what is withdrawn in the current release; segments that releases share are looked at once."""

    def __init__(self, corpus: Corpus) -> None:
        self.store = corpus.store
        manifest = corpus.manifest()
        self.in_force: InForce = read_in_force(self.store, manifest["job"]["withdrawn"])
        self._seen: dict[str, list[Held]] = {}
        self._now: dict[str, tuple[str, int]] = {}
        self._right: set[str] = set()
        if not self.in_force.targets:
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
                self._right.update(catalogue.read(ref).columns("release")["release"])

    def held(self, catalogue: Catalogue) -> Iterator[Held]:
        """Give the parts of an earlier release that hold withdrawn records."""
        if not self.in_force.targets:
            return
        for ref in catalogue.segments:
            if ref.name not in self._seen:
                rows = list(catalogue.read(ref).rows())
                self._seen[ref.name] = [held for row in rows for held in self._of_row(row)]
            yield from self._seen[ref.name]

    def _of_row(self, row: Row) -> Iterator[Held]:
        if row.release.digest in self._right:
            return
        # What is known of the same split now may be more: a work that was registered since.
        latest = row
        if row.digest in self._now:
            name, at = self._now[row.digest]
            latest = self._current.read(self._names[name]).row(at)
            if not latest.withdrawn:
                return
        known = merged_of(latest, self.store)
        rows = withdrawn_in(latest, known, self.in_force)
        if not rows:
            return
        positions = known.records["position"].to_numpy()[list(rows)].tolist()
        by_place: dict[str, set[str]] = {}
        for names, fate in zip(rows.values(), fates(row, self.store, positions), strict=True):
            by_place.setdefault(fate["door"], set()).update(names)
        for part in row.release.files:
            if part.place in by_place:
                yield Held(part, tuple(sorted(by_place[part.place])))
