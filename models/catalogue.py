"""The catalogue: what is known of every split of a corpus, and what was released of it.

It is an index and the segments that the index lists, all named by their content. A segment holds a run of shards by path; where
runs end depends on nothing but the shards in them, so a night rewrites the segments that it touches, and nights in any order end
in the same index.
"""

import bisect
import functools
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.addressed import keep
from models.digest import digest_of
from models.errors import UsageError
from models.job import Job
from models.layer import Known
from models.parts import PartFile
from models.release_pass import Released
from models.shard import Columns, Cut, Shard, Split
from models.store import Store
from models.tag_pass import LayerRef
from models.tally import COUNTS
from models.verdicts import DOORS

FORMAT = 5

AVERAGE, MOST = 256, 1024
"""Splits of a segment, about and at most; a shard is never divided, so one of more splits makes a longer segment."""

TOTALS = ("read", "clean", "redacted", "quarantined", "dropped", "dead")
KINDS = ("name", "domain", "path", "key")
"""What the sources of a split are called after: a column, the domain of a URL, or the shard's path."""

_DICTIONARY = pa.dictionary(pa.int32(), pa.string())
ROWS = pa.schema(
    [
        *((name, pa.string()) for name in ("path", "split", "checksum", "twin", "made_by", "known", "kinds", "kind")),
        *((name, pa.int64()) for name in ("index", "of", "size", "entries", "lost", "characters", *TOTALS)),
        *(
            (name, pa.string())
            for name in ("release", "errors", "reasons", "flow", "works", "causes", "languages", "withdrawn", "body")
        ),
    ]
)
"""One row a split, by path and index. ``withdrawn`` is JSON of how many entries each withdrawal names; ``body`` is JSON of what is only wanted together with the whole row."""

TALLIES = pa.schema(
    [
        ("row", pa.int64()),
        ("source", _DICTIONARY),
        *((n, pa.int64()) for n in COUNTS),
        *((n, pa.int64()) for n in DOORS),
    ]
)
"""One row a split and source: its tally and the doors that its records left by. Dead letters without a source have ""."""


@dataclass(frozen=True)
class Row:
    """One split of the catalogue."""

    split: Split
    digest: str
    layers: tuple[LayerRef, ...]
    known: Known
    counting: str
    entries: int
    lost: int
    characters: int
    release: Released
    taggers: Mapping[str, str]
    kind: str
    withdrawn: Mapping[str, int]
    languages: Mapping[str, Sequence[int]]


def made_by(taggers: Mapping[str, str], counting: str, withdrawn: str = "") -> str:
    """Return the digest of what a row's layers, tally and withdrawn entries were made by."""
    return _made_by(tuple(sorted(taggers.items())), counting, withdrawn)


@functools.lru_cache(maxsize=16)
def _made_by(taggers: tuple[tuple[str, str], ...], counting: str, withdrawn: str) -> str:
    return digest_of({"taggers": dict(taggers), "counting": counting, "withdrawn": withdrawn})


def wanted_by(job: Job) -> str:
    """Return what rows must have in ``made_by`` so that nothing needs to be looked up in layers."""
    return made_by(job.wanted, job.policy.tallying_digest, job.withdrawn)


def kind_of(columns: Columns, source_from: str) -> str:
    """Return what the sources of a shard are called after, one of :data:`KINDS`."""
    if source_from == "auto":
        source_from = "column" if columns.source else "url" if columns.url else "path"
    return {"column": "name", "url": "domain", "path": "path", "keys": "key"}[source_from]


@dataclass(frozen=True)
class SegmentRef:
    """What the index says of a segment.

    Attributes:
        name: in the store.
        first, last: paths of shards.
        shards, splits: how many.
        size: bytes of its shards.
        records: lines or rows of its shards.
        reading: see :class:`models.shard.Shard`; of all its shards, or empty if they differ.
        made_by: see :func:`made_by`; of all its splits, or empty if they differ.
        closed: whether the segment ends here whatever comes after it.
        twins: whether a shard in it is another's twin.
        entries, lost: of all its splits.
        counts: of all its splits, see :data:`TOTALS`.
        columns: every mapping of columns in words, how many shards have it, and the path of the first.
        lacks: every role that shards lack, of how many, and the path of the first.
        breakdown: of its splits, name in the store; see :mod:`models.breakdowns`.
        sketch: of its splits, name in the store; see :mod:`models.sketch_files`. Empty where splits are counted one by one.
    """

    name: str
    first: str
    last: str
    shards: int
    splits: int
    size: int
    records: int
    reading: str
    made_by: str
    closed: bool
    twins: bool
    entries: int
    lost: int
    counts: Mapping[str, int]
    columns: tuple[tuple[str, int, str], ...]
    lacks: tuple[tuple[str, int, str], ...]
    breakdown: str = ""
    sketch: str = ""

    @property
    def objects(self) -> tuple[str, ...]:
        """Names of all that the store has of the segment itself."""
        return tuple(filter(None, (self.name, self.breakdown, self.sketch)))

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "SegmentRef":
        columns, lacks = (
            tuple((said, count, path) for said, count, path in facts[key]) for key in ("columns", "lacks")
        )
        return cls(**{**facts, "columns": columns, "lacks": lacks})


def closes(path: str, splits: int, before: int) -> bool:
    """Tell whether a segment ends after a shard.

    That is so by chance of the path, more likely the more splits the shard has, or when the segment is full.

    Args:
        splits: of the shard.
        before: splits of the segment without it.
    """
    mark = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big")
    return mark * AVERAGE < splits << 64 or before + splits >= MOST


class Segment:
    """A segment, read as far as it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def columns(self, *names: str) -> dict[str, list[Any]]:
        """Return some columns of the rows."""
        with pa.OSFile(str(self.path), "rb") as file:
            table = ipc.open_stream(file, options=_only(ROWS, names)).read_all()
        return {name: table[name].to_pylist() for name in names}

    def tallies(self, *names: str) -> pa.Table:
        """Return some columns of the tallies, see :data:`TALLIES`; all if none are named."""
        with pa.OSFile(str(self.path), "rb") as file:
            ipc.open_stream(file, options=_only(ROWS, ["path"])).read_all()
            return ipc.open_stream(file, options=_only(TALLIES, names or TALLIES.names)).read_all()

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        return self.columns(*ROWS.names)

    @cached_property
    def _tallies(self) -> tuple[pa.Table, npt.NDArray[np.int64]]:
        table = self.tallies()
        return table, np.searchsorted(table["row"].to_numpy(), np.arange(len(self) + 1))

    @cached_property
    def _by_split(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._columns["split"])}

    @cached_property
    def _by_path(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for row, path in enumerate(self._columns["path"]):
            rows.setdefault(path, []).append(row)
        return rows

    def __len__(self) -> int:
        return len(self._columns["path"])

    def find(self, split: str) -> int | None:
        """Return the number of the row of a split by its digest."""
        return self._by_split.get(split)

    def fact(self, row: int, name: str) -> Any:
        return self._columns[name][row]

    def split(self, row: int) -> Split:
        return _split(self._columns, row, orjson.loads(self._columns["body"][row]))

    def shard(self, path: str) -> Shard | None:
        """Return a shard with all its cuts, or None."""
        rows = self._by_path.get(path)
        return None if rows is None else _with_cuts([self.split(row) for row in rows])

    def shards(self) -> Iterator[Shard]:
        """Give all shards with their cuts, by path."""
        for rows in self._by_path.values():
            yield _with_cuts([self.split(row) for row in rows])

    def tally(self, row: int) -> pa.Table:
        """Return the rows of :data:`TALLIES` that a split has."""
        table, starts = self._tallies
        return table.slice(starts[row], starts[row + 1] - starts[row])

    def layers(self, row: int) -> tuple[LayerRef, ...]:
        return _layers(orjson.loads(self._columns["body"][row]))

    def row(self, row: int) -> Row:
        tally = self.tally(row)
        tally = tally.set_column(1, "source", tally["source"].cast(pa.string()))
        sources = tally["source"].filter(pc.greater(tally["records"], 0)).to_pylist()
        return _row(self._columns, row, self.split(row), tuple(sources), tally.select(["source", *DOORS]))

    def facts(self, row: int) -> dict[str, Any]:
        """Return a row of :data:`ROWS`."""
        return {name: values[row] for name, values in self._columns.items()}

    def rows(self) -> Iterator[Row]:
        return (self.row(number) for number in range(len(self)))


def _only(schema: pa.Schema, names: Sequence[str]) -> ipc.IpcReadOptions:
    return ipc.IpcReadOptions(included_fields=sorted(schema.get_field_index(name) for name in names))


@functools.lru_cache(maxsize=2)
def _segment(path: Path) -> Segment:
    return Segment(path)


@functools.lru_cache(maxsize=2)
def _index(path: Path) -> tuple[SegmentRef, ...]:
    facts = orjson.loads(path.read_bytes())
    if facts["format"] != FORMAT:
        raise UsageError(
            f"{path}: catalogue format {facts['format']}, expected {FORMAT}; use the version that wrote it"
        )
    return tuple(SegmentRef.from_facts(each) for each in facts["segments"])


class Catalogue:
    """A catalogue in a store; segments are read when they are needed, and few are held.

    Attributes:
        name: of the index in the store, empty for the empty catalogue.
        segments: by path.
    """

    def __init__(self, store: Store | None, name: str, segments: tuple[SegmentRef, ...]) -> None:
        self._store = store
        self.name = name
        self.segments = segments
        self._firsts = [ref.first for ref in segments]

    @classmethod
    def empty(cls) -> "Catalogue":
        return cls(None, "", ())

    @classmethod
    def open(cls, store: Store, name: str) -> "Catalogue":
        """Open a catalogue by the name of its index; the empty name is the empty catalogue."""
        return cls(store, name, _index(store.local(name))) if name else cls.empty()

    def __len__(self) -> int:
        return sum(ref.splits for ref in self.segments)

    def read(self, ref: SegmentRef) -> Segment:
        """Return a segment."""
        assert self._store is not None
        return _segment(self._store.local(ref.name))

    def local(self, name: str) -> Path:
        """Return a path on this machine of an object that the index names."""
        assert self._store is not None
        return self._store.local(name)

    def of(self, path: str) -> Segment | None:
        """Return the segment that has the shards round a path, or None if it lies outside of all."""
        at = bisect.bisect_right(self._firsts, path) - 1
        return self.read(self.segments[at]) if at >= 0 and path <= self.segments[at].last else None

    def starting(self, path: str) -> SegmentRef | None:
        """Return the segment whose first shard has a path, or None."""
        at = bisect.bisect_left(self._firsts, path)
        return self.segments[at] if at < len(self._firsts) and self._firsts[at] == path else None

    @property
    def paths(self) -> list[str]:
        """The paths of all shards, in order."""
        found = (self.read(ref).columns("path")["path"] for ref in self.segments)
        return [path for paths in found for path, _ in itertools.groupby(paths)]

    def shard(self, path: str) -> Shard | None:
        """Return a shard with all its cuts, or None."""
        segment = self.of(path)
        return None if segment is None else segment.shard(path)

    def find(self, path: str, split: str) -> tuple[Segment, int] | None:
        """Return the segment and row of a split, by the path of its shard and its digest."""
        segment = self.of(path)
        row = None if segment is None else segment.find(split)
        return None if segment is None or row is None else (segment, row)

    def rows(self) -> Iterator[Row]:
        return (row for ref in self.segments for row in self.read(ref).rows())


def _with_cuts(splits: Sequence[Split]) -> Shard:
    shard = splits[0].shard
    facts = {name: getattr(shard, name) for name in shard.__dataclass_fields__}
    return Shard(**{**facts, "cuts": tuple(split.cut for split in splits)})


def write_segment(
    rows: Sequence[Mapping[str, Any]], counts: pa.Table, doors: pa.Table, about: SegmentRef, store: Store, folder: Path
) -> SegmentRef:
    """Write a segment.

    Args:
        rows: of :data:`ROWS`, by path and index, never none.
        counts: ``row`` (number in ``rows``), ``source`` and :data:`models.tally.COUNTS`.
        doors: ``row``, ``source`` and :data:`models.verdicts.DOORS`.
        about: what the index says of its shards, see :func:`about`.
    """
    table = pa.Table.from_arrays(
        [pa.array([row[field.name] for row in rows], field.type) for field in ROWS], schema=ROWS
    )
    tallies = _tallies(counts, doors)
    name = keep(store, folder, "catalogues/segments", ".arrow", lambda path: _write(path, table, tallies))
    made = {row["made_by"] for row in rows}
    return replace(
        about,
        name=name,
        made_by=made.pop() if len(made) == 1 else "",
        entries=sum(row["entries"] for row in rows),
        lost=sum(row["lost"] for row in rows),
        counts={total: sum(row[total] for row in rows) for total in TOTALS},
    )


def _write(path: Path, rows: pa.Table, tallies: pa.Table) -> None:
    options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", 3))
    with path.open("wb") as file:
        for table in (rows, tallies):
            with ipc.new_stream(file, table.schema, options=options) as writer:
                writer.write_table(table.combine_chunks())


def _tallies(counts: pa.Table, doors: pa.Table) -> pa.Table:
    names = (*COUNTS, *DOORS)
    schema = pa.schema([("row", pa.int64()), ("source", pa.string()), *((name, pa.int64()) for name in names)])
    pieces = []
    for table in (counts, doors):
        zeros = pa.array(np.zeros(len(table), np.int64))
        columns = [
            table[name].cast(schema.field(name).type) if name in table.column_names else zeros for name in schema.names
        ]
        pieces.append(pa.Table.from_arrays(columns, schema=schema))
    summed = (
        pa.concat_tables(pieces).group_by(["row", "source"], use_threads=False).aggregate([(n, "sum") for n in names])
    )
    summed = summed.select(["row", "source", *(f"{n}_sum" for n in names)]).rename_columns(schema.names)
    summed = summed.sort_by([("row", "ascending"), ("source", "ascending")]).combine_chunks()
    # Encoded after sorting: the dictionary's order must not depend on how rows came.
    source = pc.dictionary_encode(summed["source"].combine_chunks())
    return summed.set_column(1, "source", source).cast(TALLIES)


def about(shards: Sequence[Shard], closed: bool) -> SegmentRef:
    """Return what the index says of shards, before anything is known of their splits."""
    readings = {shard.reading for shard in shards}
    return SegmentRef(
        "",
        shards[0].path,
        shards[-1].path,
        len(shards),
        sum(len(shard.cuts) for shard in shards),
        sum(shard.size for shard in shards),
        sum(cut.records for shard in shards for cut in shard.cuts),
        readings.pop() if len(readings) == 1 else "",
        "",
        closed,
        any(shard.twin for shard in shards),
        0,
        0,
        {},
        *said_of(shards),
    )


def said_of(shards: Sequence[Shard]) -> tuple[tuple[tuple[str, int, str], ...], tuple[tuple[str, int, str], ...]]:
    """Return what a segment says of the columns of its shards, and of those that they lack."""
    first: dict[tuple[str, str], str] = {}
    count: Counter[tuple[str, str]] = Counter()
    for shard in shards:
        for key in [("columns", shard.columns.in_words()), *(("lacks", role) for role in shard.lacks)]:
            first.setdefault(key, shard.path)
            count[key] += 1
    columns, lacks = (
        tuple((word, count[kind, word], first[kind, word]) for kind, word in sorted(first) if kind == wanted)
        for wanted in ("columns", "lacks")
    )
    return columns, lacks


def write_index(segments: Sequence[SegmentRef], store: Store, folder: Path) -> str:
    """Write an index and return its name."""
    facts = {"format": FORMAT, "segments": [asdict(ref) for ref in segments]}
    text = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    return keep(store, folder, "catalogues", ".index.json", lambda path: path.write_bytes(text))


def as_json(value: Any) -> str:
    """Return a value as the catalogue writes it."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def kinds_json(known: Known) -> str:
    """Return the kinds of what is known as the catalogue writes them."""
    return as_json([list(kind) for kind in known.kinds])


def layers_json(layers: Iterable[LayerRef]) -> list[list[Any]]:
    return [[layer.name, dict(layer.taggers)] for layer in layers]


def shard_facts(shard: Shard) -> dict[str, Any]:
    """Return a shard without its cuts as a JSON value."""
    return {
        "root": shard.root,
        "path": shard.path,
        "size": shard.size,
        "checksum": shard.checksum,
        "format": shard.format,
        "container": shard.container,
        "encoding": shard.encoding,
        "columns": shard.columns.facts,
        "twin": shard.twin,
        "reading": shard.reading,
        "lacks": list(shard.lacks),
        "generation": shard.generation,
    }


def cut_facts(cut: Cut) -> list[Any]:
    """Return a cut as a JSON value."""
    return [cut.start, cut.stop, cut.first_row, cut.records, cut.checksum, list(cut.flaw), cut.limit]


def shard_of(facts: Mapping[str, Any], cuts: Iterable[Sequence[Any]] = ()) -> Shard:
    """Return the shard of what :func:`shard_facts` and :func:`cut_facts` gave."""
    return Shard(
        **{
            **facts,
            "columns": Columns.of_facts(facts["columns"]),
            "cuts": tuple(map(cut_of, cuts)),
            "lacks": tuple(facts["lacks"]),
        }
    )


def cut_of(facts: Sequence[Any]) -> Cut:
    start, stop, first_row, records, checksum, (error, detail), limit = facts
    return Cut(start, stop, first_row, records, checksum, (error, detail), limit)


def split_facts(split: Split, digest: str, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a row says of its split, and what its body says of it."""
    shard = split.shard
    row = {
        "path": shard.path,
        "split": digest,
        "checksum": shard.checksum,
        "twin": shard.twin,
        "kind": kind,
        "index": split.index,
        "of": split.of,
        "size": shard.size,
    }
    return row, {"shard": shard_facts(shard), "cut": cut_facts(split.cut)}


def tagged_facts(
    layers: list[list[Any]], taggers: Mapping[str, str], counting: str, withdrawn: str = ""
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a row says of how its split was tagged and counted, and what its body says of it."""
    body = {"layers": layers, "taggers": dict(taggers), "counting": counting}
    return {"made_by": made_by(taggers, counting, withdrawn)}, body


def released_facts(released: Released) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a row says of the release of its split, and what its body says of it."""
    row = {
        "release": released.digest,
        "errors": as_json(dict(released.errors)),
        "reasons": as_json(dict(released.reasons)),
        "flow": as_json(dict(released.flow)),
        "works": as_json(dict(released.works)),
        "causes": as_json(dict(released.causes)),
        **{name: released.counts[name] for name in TOTALS},
    }
    files = [[f.place, f.name, f.object, f.size, f.sha256, f.records] for f in released.files]
    body = {"files": files, "purged": [list(each) for each in released.purged]}
    return row, body | {"fates": dict(released.fates), "applied": dict(released.applied)}


def _split(columns: Mapping[str, list[Any]], row: int, body: Mapping[str, Any]) -> Split:
    return Split(shard_of(body["shard"]), cut_of(body["cut"]), columns["index"][row], columns["of"][row])


def _layers(body: Mapping[str, Any]) -> tuple[LayerRef, ...]:
    return tuple(LayerRef(name, taggers) for name, taggers in body["layers"])


def _row(columns: Mapping[str, list[Any]], row: int, split: Split, sources: tuple[str, ...], doors: pa.Table) -> Row:
    facts = {name: values[row] for name, values in columns.items()}
    body = orjson.loads(facts["body"])
    kinds = tuple((tagger, category) for tagger, category in orjson.loads(facts["kinds"]))
    release = Released(
        facts["release"],
        tuple(PartFile(*each) for each in body["files"]),
        {name: facts[name] for name in TOTALS},
        doors,
        orjson.loads(facts["reasons"]),
        orjson.loads(facts["errors"]),
        tuple((sha256, title, count) for sha256, title, count in body.get("purged", ())),
        orjson.loads(facts["flow"]),
        orjson.loads(facts["works"]),
        orjson.loads(facts["causes"]),
        body["fates"],
        body["applied"],
    )
    return Row(
        split,
        facts["split"],
        _layers(body),
        Known(facts["known"], kinds, sources),
        body["counting"],
        facts["entries"],
        facts["lost"],
        facts["characters"],
        release,
        body["taggers"],
        facts["kind"],
        orjson.loads(facts["withdrawn"]),
        orjson.loads(facts["languages"]),
    )
