"""The catalogue: what is known of every split of a corpus, and what was released of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.job import Job
from models.layer import Known
from models.parts import PartFile
from models.release_pass import Released
from models.shard import Columns, Cut, Shard, Split
from models.tag_pass import LayerRef, Tagged
from models.tally import COUNTS
from models.verdicts import DOORS

SPLITS = pa.schema([("path", pa.string()), ("index", pa.int32()), ("split", pa.string()), ("body", pa.string())])
TALLIES = pa.schema(
    [
        ("row", pa.int64()),
        ("source", pa.string()),
        *((n, pa.int64()) for n in COUNTS),
        *((n, pa.int64()) for n in DOORS),
    ]
)
"""One row a split and source: its tally and the doors that its records left by."""


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

    def is_valid(self, job: Job) -> bool:
        """Tell whether nothing needs to be looked up in layers: the same taggers ran, and records counted the same way."""
        return dict(self.taggers) == job.wanted and self.counting == job.policy.counting_digest


class Catalogue:
    """A catalogue in memory, rows made when asked for."""

    def __init__(self, splits: pa.Table, tallies: pa.Table) -> None:
        self.splits = splits
        self.tallies = tallies
        self._by_split = {name: row for row, name in enumerate(splits["split"].to_pylist())}
        self._by_path: dict[str, list[int]] = {}
        for row, path in enumerate(splits["path"].to_pylist()):
            self._by_path.setdefault(path, []).append(row)
        starts = pc.run_end_encode(tallies["row"].combine_chunks()) if len(tallies) else None
        self._ends: dict[int, tuple[int, int]] = {}
        if starts is not None:
            begin = 0
            for end, row in zip(starts.run_ends.to_pylist(), starts.values.to_pylist(), strict=True):
                self._ends[row] = (begin, end)
                begin = end

    @classmethod
    def empty(cls) -> "Catalogue":
        return cls(SPLITS.empty_table(), TALLIES.empty_table())

    @classmethod
    def read(cls, splits: Path, tallies: Path) -> "Catalogue":
        return cls(pq.read_table(splits), pq.read_table(tallies))

    def __len__(self) -> int:
        return len(self.splits)

    @property
    def paths(self) -> list[str]:
        return list(self._by_path)

    def shard(self, path: str) -> Shard | None:
        """Return a shard with all its cuts, or None."""
        rows = self._by_path.get(path)
        if rows is None:
            return None
        splits = [self.row(row).split for row in rows]
        return _with_cuts(splits)

    def find(self, split: str) -> Row | None:
        """Return the row of a split by its digest."""
        row = self._by_split.get(split)
        return None if row is None else self.row(row)

    def row(self, number: int) -> Row:
        return _row(json.loads(self.splits["body"][number].as_py()), self.tally(number))

    def rows(self) -> Iterable[Row]:
        return (self.row(number) for number in range(len(self)))

    def tally(self, number: int) -> pa.Table:
        begin, end = self._ends.get(number, (0, 0))
        return self.tallies.slice(begin, end - begin)

    def tally_of(self, split: str) -> pa.Table:
        """Return the tally of a split, in the columns of :mod:`models.tally`; dead letters without a source have none."""
        rows = self.tally(self._by_split[split]).select(["source", *COUNTS])
        return rows.filter(pc.not_equal(rows["source"], ""))


def _with_cuts(splits: Sequence[Split]) -> Shard:
    ordered = sorted(splits, key=lambda split: split.index)
    shard = ordered[0].shard
    facts = {name: getattr(shard, name) for name in shard.__dataclass_fields__}
    return Shard(**{**facts, "cuts": tuple(split.cut for split in ordered)})


def row_of(split: Split, tagged: Tagged, released: Released, job: Job) -> Row:
    """Return the row of a split that was tagged and released."""
    return Row(
        split,
        tagged.split,
        tagged.layers,
        tagged.known,
        job.policy.counting_digest,
        tagged.entries,
        tagged.lost,
        tagged.characters,
        released,
        job.wanted,
    )


def write_catalogue(rows: Iterable[tuple[Row, pa.Table]], splits: Path, tallies: Path) -> None:
    """Write a catalogue, its rows given in order of path and index, each with its tally."""
    bodies: list[dict[str, Any]] = []
    tables = []
    for number, (row, table) in enumerate(rows):
        bodies.append({"path": row.split.shard.path, "index": row.split.index, "split": row.digest, "body": _body(row)})
        tables.append(_tally_rows(number, table, row.release.doors))
    pq.write_table(pa.Table.from_pylist(bodies, SPLITS), splits, compression="zstd")
    merged = pa.concat_tables([TALLIES.empty_table(), *tables])
    pq.write_table(merged, tallies, compression="zstd", row_group_size=1 << 17)


def _tally_rows(number: int, tally: pa.Table, doors: pa.Table) -> pa.Table:
    joined = tally.join(doors, "source", join_type="full outer", use_threads=False).sort_by("source")
    columns = {"row": pa.array([number] * len(joined), pa.int64()), "source": joined["source"]}
    columns |= {name: pc.fill_null(joined[name], 0) for name in (*COUNTS, *DOORS)}
    return pa.table(columns).cast(TALLIES)


def _body(row: Row) -> str:
    released = row.release
    facts = asdict(row.split)
    facts |= {
        "digest": row.digest,
        "layers": [[layer.name, dict(layer.taggers)] for layer in row.layers],
        "known": [row.known.digest, [list(kind) for kind in row.known.kinds], list(row.known.sources)],
        "counting": row.counting,
        "taggers": dict(row.taggers),
        "entries": row.entries,
        "lost": row.lost,
        "characters": row.characters,
        "release": {
            "digest": released.digest,
            "files": [asdict(file) for file in released.files],
            "counts": dict(released.counts),
            "reasons": dict(released.reasons),
            "errors": dict(released.errors),
        },
    }
    return json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _row(facts: Mapping[str, Any], tally: pa.Table) -> Row:
    shard, cut, released = dict(facts["shard"]), dict(facts["cut"]), facts["release"]
    columns = shard["columns"]
    shard["columns"] = Columns(tuple(columns["text"]), columns["id"], columns["source"], columns["url"])
    shard["cuts"], shard["lacks"] = (), tuple(shard["lacks"])
    cut["flaw"] = tuple(cut["flaw"])
    split = Split(Shard(**shard), Cut(**cut), facts["index"], facts["of"])
    digest, kinds, sources = facts["known"]
    known = Known(digest, tuple((tagger, category) for tagger, category in kinds), tuple(sources))
    files = tuple(PartFile(**file) for file in released["files"])
    doors = tally.select(["source", *DOORS])
    release = Released(released["digest"], files, released["counts"], doors, released["reasons"], released["errors"])
    layers = tuple(LayerRef(name, taggers) for name, taggers in facts["layers"])
    counts = facts["entries"], facts["lost"], facts["characters"]
    return Row(split, facts["digest"], layers, known, facts["counting"], *counts, release, facts["taggers"])
