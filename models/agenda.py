"""What a run has to do: the shards of the corpus after it, and the tasks that workers take.

An agenda lies in the store, segment by segment as the next catalogue will have them; what travels is its address and its totals.
"""

import bisect
import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from backports import zstd

from models.addressed import keep
from models.catalogue import (
    Catalogue,
    SegmentRef,
    closes,
    cut_facts,
    said_of,
    shard_facts,
    shard_of,
    wanted_by,
)
from models.errors import UsageError
from models.evidence import EVIDENCE
from models.job import Job
from models.parsing import is_source_in_path, source_of_path
from models.shard import SOURCE_KEYS, Columns, Shard, Split
from models.source_rules import SourceColumns
from models.store import Store
from models.tag_pass import LayerRef


@dataclass(frozen=True)
class TagTask:
    """Splits of one segment for one worker, with the layers that the catalogue has; those of a compressed shard are in order.

    Attributes:
        segment: number in the agenda.
    """

    segment: int
    splits: tuple[tuple[Split, tuple[LayerRef, ...]], ...]


@dataclass(frozen=True)
class Portion:
    """One segment of the agenda.

    Attributes:
        kept: the catalogue's segment, if it has the same shards; then the other facts are that one's.
        name: of the list of its shards in the store, if not.
        shards, splits: how many.
        closed: whether the segment ends here whatever comes after it.
        todo: splits without valid findings.
    """

    kept: SegmentRef | None
    name: str
    shards: int
    splits: int
    closed: bool
    todo: int

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Portion":
        kept = None if facts["kept"] is None else SegmentRef.from_facts(facts["kept"])
        return cls(**{**facts, "kept": kept})


@dataclass(frozen=True)
class Planned:
    """A split of the agenda.

    Attributes:
        digest: of the split.
        todo: whether it has no valid findings.
        new: whether the catalogue does not have its shard with this content.
    """

    split: Split
    digest: str
    todo: bool
    new: bool


@dataclass(frozen=True)
class Agenda:
    """All shards of the corpus once the run is done: an address, and totals.

    Attributes:
        name: of the list of portions in the store.
        base: index of the catalogue that it was settled with, empty for none.
        shards, splits, new: how many; new are those that the catalogue does not have with this content.
    """

    name: str
    base: str
    shards: int
    splits: int
    new: int

    def portions(self, store: Store) -> tuple[Portion, ...]:
        return _listing(store.local(self.name))[0]

    def facts(self, store: Store) -> dict[str, Any]:
        """Return what people want to know of a plan: numbers, the columns that were recognised, and what would be read."""
        return _listing(store.local(self.name))[1]

    def catalogue(self, store: Store) -> Catalogue:
        """Return the catalogue that it was settled with."""
        return Catalogue.open(store, self.base)


@functools.lru_cache(maxsize=2)
def _listing(path: Path) -> tuple[tuple[Portion, ...], dict[str, Any]]:
    facts = orjson.loads(path.read_bytes())
    return tuple(Portion.from_facts(each) for each in facts["portions"]), facts["facts"]


def planned_of(portion: Portion, store: Store) -> Iterator[Planned]:
    """Give the splits of a portion that is not the catalogue's."""
    return iter(_planned(store.local(portion.name)))


@functools.lru_cache(maxsize=2)
def _planned(path: Path) -> tuple[Planned, ...]:
    found = []
    for facts in orjson.loads(zstd.decompress(path.read_bytes())):
        shard = shard_of(facts["shard"], facts["cuts"])
        for split, digest, todo in zip(shard.splits(), facts["splits"], facts["todo"], strict=True):
            found.append(Planned(split, digest, todo, facts["new"]))
    return tuple(found)


class Shards:
    """Planned shards by path, packed: plain ones take a kilobyte a split."""

    def __init__(self, packs: Iterable["Pack"]) -> None:
        self._packs = sorted((pack for pack in packs if pack.paths), key=lambda pack: pack.paths[0])
        self.paths = [path for pack in self._packs for path in pack.paths]

    def __iter__(self) -> Iterator[Shard]:
        for pack in self._packs:
            yield from pack.shards()


@dataclass(frozen=True)
class Pack:
    """Shards whose paths follow each other, as they travel: compressed JSON.

    Attributes:
        checksums: of each shard, the first 8 bytes as a number; 0 for an empty one.
    """

    paths: tuple[str, ...]
    checksums: tuple[int, ...]
    data: bytes = field(repr=False)

    @classmethod
    def of(cls, shards: Sequence[Shard]) -> "Pack":
        facts = [[shard_facts(shard), [cut_facts(cut) for cut in shard.cuts]] for shard in shards]
        data = zstd.compress(orjson.dumps(facts), 1)
        return cls(tuple(shard.path for shard in shards), tuple(_mark(s.checksum, s.size) for s in shards), data)

    def shards(self) -> Iterator[Shard]:
        return (shard_of(facts, cuts) for facts, cuts in orjson.loads(zstd.decompress(self.data)))


def _mark(checksum: str, size: int) -> int:
    return int(checksum[:16] or "0", 16) if size else 0


def settle(packs: Iterable[Pack], catalogue: Catalogue, job: Job, exact: bool, store: Store, folder: Path) -> Agenda:
    """Join the shards that the globs named with those that the catalogue has, and write the agenda.

    Args:
        packs: in any order; the paths of one do not lie between those of another.
        exact: shards that were not named leave the corpus.

    Raises:
        UsageError: if a path is in the catalogue from another root: one would silently replace the other.
    """
    packs = list(packs)
    return _Settling(Shards(packs), packs, catalogue, job, exact, store, folder).settle()


class _Settling:
    """The walk over planned and known shards by path."""

    def __init__(
        self,
        planned: Shards,
        packs: Sequence[Pack],
        catalogue: Catalogue,
        job: Job,
        exact: bool,
        store: Store,
        folder: Path,
    ) -> None:
        self.planned, self.catalogue, self.job, self.exact = planned, catalogue, job, exact
        self.store, self.folder = store, folder
        self.wanted = wanted_by(job)
        self.portions: list[Portion] = []
        self.twins: list[tuple[str, str]] = []
        self.gone: list[str] = []
        self.said: dict[str, dict[str, tuple[int, str]]] = {"columns": {}, "lacks": {}}
        self.sums: Counter[str] = Counter()
        self._open: list[tuple[Shard, bool]] = []
        self._open_splits = 0
        self._left = job.reading.limit
        self._first: dict[tuple[str, int, str], str] = {}
        self._twice = self._repeated(packs)

    def settle(self) -> Agenda:
        check_mapped((shard.columns, shard.lacks) for shard in self.planned)
        planned = _Ahead(iter(self.planned))
        for ref in self.catalogue.segments:
            while planned.next is not None and planned.next.path < ref.first:
                self._take(planned.pop(), None)
            if not self._open and self._stays(ref):
                self._keep(ref)
                continue
            for known in self.catalogue.read(ref).shards():
                while planned.next is not None and planned.next.path < known.path:
                    self._take(planned.pop(), None)
                if planned.next is not None and planned.next.path == known.path:
                    self._take(planned.pop(), known)
                elif self.exact:
                    self.gone.append(known.path)
                else:
                    self._take(None, known)
        while planned.next is not None:
            self._take(planned.pop(), None)
        self._flush(False)
        return self._write()

    def _stays(self, ref: SegmentRef) -> bool:
        """Tell whether nothing can change about a segment of the catalogue, without reading it."""
        paths = self.planned.paths
        named = bisect.bisect_left(paths, ref.first) < bisect.bisect_right(paths, ref.last)
        known = ref.reading == self.job.reading.digest and not ref.twins and ref.closed
        if named or not known or self.exact or self.job.reading.limit:
            return False
        return ref.name not in self._shared

    def _repeated(self, packs: Sequence[Pack]) -> frozenset[int]:
        """Return the marks of contents that more than one shard may have, and note the segments that hold them."""
        named = set(self.planned.paths)
        planned = np.array([mark for pack in packs for mark in pack.checksums], np.uint64)
        marks = [planned]
        for ref in self.catalogue.segments:
            columns = self.catalogue.read(ref).columns("path", "index", "checksum", "size")
            marks.append(
                np.array(
                    [
                        _mark(checksum, size)
                        for path, index, checksum, size in zip(*columns.values(), strict=True)
                        if not index and path not in named
                    ],
                    np.uint64,
                )
            )
        found, counts = np.unique(np.concatenate(marks), return_counts=True)
        twice = found[(counts > 1) & (found > 0)]
        self._shared = {
            ref.name
            for ref, own in zip(self.catalogue.segments, marks[1:], strict=True)
            if len(twice) and np.isin(own, twice).any()
        }
        return frozenset(twice.tolist())

    def _take(self, planned: Shard | None, known: Shard | None) -> None:
        new = planned is not None and (known is None or known.checksum != planned.checksum)
        if planned is not None and known is not None and known.root != planned.root and new and not self.exact:
            raise UsageError(
                f"{planned.path} is in this corpus from {known.root} and was now found with other content in {planned.root}. "
                "If they are different shards, set input_root to a folder above both; if it moved, run with --exact "
                "from its new place"
            )
        shard = planned or known
        assert shard is not None
        if planned is None and shard.reading != self.job.reading.digest:
            raise UsageError(
                f"{shard.path} is in this corpus, but was read in another way (columns, encoding, source_from, "
                "max_record_bytes); name all shards again, so that all are read alike, or choose another output"
            )
        shard = replace(shard, twin=self._twin(shard))
        if shard.twin:
            self.twins.append((shard.path, shard.twin))
        self.sums["records_in_all"] += sum(cut.records for cut in shard.cuts)
        limited = self._limit(shard)
        if limited is not None:
            self._add(limited, new)

    def _twin(self, shard: Shard) -> str:
        if _mark(shard.checksum, shard.size) not in self._twice:
            return ""
        # The same bytes are other records where the path says whose they are.
        source = source_of_path(shard.path) if is_source_in_path(shard.columns, self.job.reading) else ""
        path = self._first.setdefault((shard.checksum, shard.size, source), shard.path)
        return path if path != shard.path else ""

    def _limit(self, shard: Shard) -> Shard | None:
        if not self.job.reading.limit:
            return shard
        cuts = []
        for cut in shard.cuts:
            if self._left <= 0:
                break
            cuts.append(replace(cut, limit=min(self._left, max(1, cut.records))))
            self._left -= cut.records
        return replace(shard, cuts=tuple(cuts)) if cuts else None

    def _add(self, shard: Shard, new: bool) -> None:
        closed = closes(shard.path, len(shard.cuts), self._open_splits)
        self._open.append((shard, new))
        self._open_splits += len(shard.cuts)
        if closed:
            self._flush(True)

    def _keep(self, ref: SegmentRef) -> None:
        todo = self._todo_of(ref)
        self.portions.append(Portion(ref, "", ref.shards, ref.splits, ref.closed, todo))
        self._count(ref.shards, ref.splits, ref.size, ref.records)
        self.sums["records_in_all"] += ref.records
        self._say(ref.columns, ref.lacks)

    def _todo_of(self, ref: SegmentRef) -> int:
        if ref.made_by == self.wanted:
            return 0
        columns = self.catalogue.read(ref).columns("made_by", "size", "of")
        todo = [size // of for made, size, of in zip(*columns.values(), strict=True) if made != self.wanted]
        self.sums["splits_to_tag"] += len(todo)
        self.sums["bytes_to_tag"] += sum(todo)
        return len(todo)

    def _flush(self, closed: bool) -> None:
        shards, self._open, self._open_splits = self._open, [], 0
        if not shards:
            return
        if (ref := self._as_before([shard for shard, _ in shards], closed)) is not None:
            self.sums["records_in_all"] -= ref.records  # counted when its shards were taken
            self._keep(ref)
            return
        facts, todo_in_all = [], 0
        for shard, new in shards:
            splits = shard.splits()
            digests = [split.digest(self.job.reading) for split in splits]
            todo = [not self._is_valid(shard.path, digest) for digest in digests]
            todo_in_all += sum(todo)
            self.sums["bytes_to_tag"] += sum(split.size for split, due in zip(splits, todo, strict=True) if due)
            self.sums["new"] += new
            cuts = [cut_facts(cut) for cut in shard.cuts]
            facts.append({"shard": shard_facts(shard), "cuts": cuts, "splits": digests, "todo": todo, "new": new})
        data = zstd.compress(orjson.dumps(facts), 1)
        name = keep(self.store, self.folder, "agendas/segments", ".json.zst", lambda path: path.write_bytes(data))
        only = [shard for shard, _ in shards]
        count = sum(len(shard.cuts) for shard in only)
        self.sums["splits_to_tag"] += todo_in_all
        self.portions.append(Portion(None, name, len(only), count, closed, todo_in_all))
        records = sum(cut.records for shard in only for cut in shard.cuts)
        self._count(len(only), count, sum(shard.size for shard in only), records)
        self._say(*said_of(only))

    def _as_before(self, shards: list[Shard], closed: bool) -> SegmentRef | None:
        """Return the catalogue's segment of the same shards, if there is one."""
        ref = self.catalogue.starting(shards[0].path)
        if ref is None or (ref.shards, ref.last, ref.closed) != (len(shards), shards[-1].path, closed):
            return None
        return ref if list(self.catalogue.read(ref).shards()) == shards else None

    def _is_valid(self, path: str, digest: str) -> bool:
        found = self.catalogue.find(path, digest)
        return found is not None and found[0].fact(found[1], "made_by") == self.wanted

    def _count(self, shards: int, splits: int, size: int, records: int) -> None:
        self.sums.update({"shards": shards, "splits": splits, "bytes": size, "records": records})

    def _say(self, columns: Iterable[tuple[str, int, str]], lacks: Iterable[tuple[str, int, str]]) -> None:
        for kind, said in (("columns", columns), ("lacks", lacks)):
            for word, count, path in said:
                before, first = self.said[kind].get(word, (0, path))
                self.said[kind][word] = before + count, first

    def _write(self) -> Agenda:
        said = {kind: [[word, *facts] for word, facts in sorted(found.items())] for kind, found in self.said.items()}
        names = ("shards", "new", "bytes", "records", "records_in_all", "splits", "splits_to_tag", "bytes_to_tag")
        facts = {
            **{name: self.sums[name] for name in names},
            "gone": self.gone,
            "twins": self.twins,
            "columns": said["columns"],
            "lacking": said["lacks"],
        }
        text = orjson.dumps({"portions": [asdict(each) for each in self.portions], "facts": facts})
        name = keep(self.store, self.folder, "agendas", ".json", lambda path: path.write_bytes(text))
        return Agenda(name, self.catalogue.name, self.sums["shards"], self.sums["splits"], self.sums["new"])


class _Ahead:
    """An iterator whose next element can be looked at."""

    def __init__(self, shards: Iterator[Shard]) -> None:
        self._shards = shards
        self.next = next(shards, None)

    def pop(self) -> Shard:
        assert self.next is not None
        shard, self.next = self.next, next(self._shards, None)
        return shard


def check_mapped(shards: Iterable[tuple[Columns, tuple[str, ...]]]) -> None:
    """Refuse a mapping to a column that no shard has: a slip of the pen would pass for a choice.

    Raises:
        UsageError: naming the column.
    """
    roles = ["id", "source", "url", *EVIDENCE, *(f"{SOURCE_KEYS}.{name}" for name in SourceColumns.model_fields)]
    absent, columns = set(roles), None
    for columns, lacks in shards:  # noqa: B007 - of the last one, which all share
        absent &= set(lacks)
        if not absent:
            return
    if columns is None:
        return
    role = min(absent, key=roles.index)
    if role.startswith(SOURCE_KEYS):
        key, path = role, dict(columns.keys)[role.removeprefix(f"{SOURCE_KEYS}.")]
    else:
        path = dict(columns.provenance).get(role) or getattr(columns, role)
        key = f"columns.provenance.{role}" if role in EVIDENCE else f"columns.{role}"
    raise UsageError(
        f"{key}: no shard has {path!r} (looked for in the schema, or the first records); "
        "name a column that is there, or leave it out"
    )


def tag_tasks(agenda: Agenda, job: Job, store: Store) -> Iterator[TagTask]:
    """Give the tagging that the run needs: splits without valid findings, small ones several a task."""
    catalogue = agenda.catalogue(store)
    for number, portion in enumerate(agenda.portions(store)):
        if portion.todo:
            due = _due(portion, catalogue, job, store)
            yield from (TagTask(number, tuple(some)) for some in together(due, job.split_size))


def _due(
    portion: Portion, catalogue: Catalogue, job: Job, store: Store
) -> Iterator[tuple[Split, tuple[LayerRef, ...]]]:
    if portion.kept is not None:
        segment, wanted = catalogue.read(portion.kept), wanted_by(job)
        for row in range(len(segment)):
            if segment.fact(row, "made_by") != wanted:
                yield segment.split(row), segment.layers(row)
        return
    for planned in planned_of(portion, store):
        if planned.todo:
            found = catalogue.find(planned.split.shard.path, planned.digest)
            yield planned.split, () if found is None else found[0].layers(found[1])


def together(items: Iterable[Any], split_size: int) -> Iterator[list[Any]]:
    """Put items, which begin with their split, into tasks: small splits together, those of a compressed shard alone."""
    waiting: list[Any] = []
    stream: list[Any] = []
    size = 0
    for item in items:
        split: Split = item[0]
        if stream and stream[0][0].shard.path != split.shard.path:
            yield stream
            stream = []
        if split.shard.container:
            stream.append(item)
            continue
        waiting.append(item)
        size += split.size
        if size >= split_size:
            yield waiting
            waiting, size = [], 0
    if stream:
        yield stream
    if waiting:
        yield waiting
