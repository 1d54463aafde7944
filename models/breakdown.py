"""The breakdown of a split: how many records, characters and findings there are by source, language, batch and one thing more.

It is long: a row says a source, a language, a batch, a *dimension*, a value of it, and three counts. What every dimension counts
is said in :data:`DIMENSIONS`; every entry has exactly one value of ``action``, so these rows add up to everything that was read.
"""

import base64
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.findings import ERROR
from models.layer import Merged
from models.purge import PURGE
from models.verdicts import Outcome, Verdicts

KEYS = ("source", "language", "batch", "dimension", "value")
COUNTS = ("records", "characters", "findings")
_CODEC = pa.Codec("zstd", 3)
SCHEMA = pa.schema([*((name, pa.string()) for name in KEYS), *((name, pa.int64()) for name in COUNTS)])
"""Columns, sorted by keys. ``source`` is empty for dead letters and purged records, of which none is known, and ``language`` too."""

DIMENSIONS = {
    "action": "what became of them: `keep`, `redact`, `quarantine`, `drop` or `dead`; every entry has one, so these rows add up to all that was read",
    "duplicates": "exact duplicates: `split`, texts that their source has earlier in the same split; `twin`, all records of a shard that "
    "is another one's twin. `action` less `duplicates` are the `distinct` records of the table of sources that are `counted` by `split`",
    "error": "dead letters by class",
    "policy_rule": "records that were not kept, by the policy's rule that decided: each once",
    "tagger": "records with findings of a tagger, and these findings",
    "category": "records with findings of a category by what became of the record, as `category⇥action`, and these findings",
    "rule": "records with findings of a rule of a tagger (a term, a detector, a work), as `tagger⇥rule`, and these findings",
}
"""What the rows of each dimension count."""

ACTIONS = ("keep", "redact", "quarantine", "drop", "dead")
DOOR_OF = {"keep": "clean", "redact": "clean", "quarantine": "quarantined", "drop": "dropped", "dead": "dead"}
"""The door, as counts name it, by which records of each action leave."""
SPLIT, TWIN = "split", "twin"
NO_FOLDER = "."
"""The batch of shards that lie in no folder below the inputs."""

Ints = npt.NDArray[np.int64]


def batch_of(path: str) -> str:
    """Return the batch that a shard belongs to: its folder below the inputs, which a night's shards share.

    It is a name in the data, not a time of running, so that nights in any order give the same batches.

    Args:
        path: of the shard.
    """
    return str(PurePosixPath(path).parent)


def breakdown(known: Merged, verdicts: Verdicts, batch: str) -> pa.Table:
    """Count the entries of a split, see :data:`SCHEMA`. The table holds names of sources as layers have them, and no text.

    Args:
        batch: see :func:`batch_of`.
    """
    counting = _Counting(known, batch)
    actions = np.zeros(len(known.records), np.int64)
    for row, outcome in verdicts.outcomes.items():
        actions[row] = ACTIONS.index(outcome.action)
    parts = [
        counting.entries("action", np.arange(len(actions)), actions, ACTIONS),
        counting.entries("duplicates", repeated := _repeated(known.records), np.zeros(len(repeated), int), [SPLIT]),
        counting.named("error", verdicts.outcomes, lambda outcome: outcome.error),
        counting.named("policy_rule", verdicts.outcomes, _decided),
        counting.found("tagger", ["tagger"]),
        counting.found("category", ["category"], pa.array(ACTIONS).take(pa.array(actions))),
        counting.found("rule", ["tagger", "rule"]),
    ]
    order = [(name, "ascending") for name in KEYS]
    return pa.concat_tables([SCHEMA.empty_table(), *parts]).sort_by(order).combine_chunks()


def _decided(outcome: Outcome) -> str:
    if outcome.error or outcome.action == "keep":
        return ""
    return PURGE if outcome.purge else outcome.reasons[0].policy_rule


def _repeated(records: pa.Table) -> Ints:
    """Return the rows whose text their source has in an earlier row."""
    alive = pc.and_(pc.is_null(records["error"]), pc.is_valid(records["source"])).to_numpy()
    rows = np.flatnonzero(alive)
    if not len(rows):
        return rows
    sources = pc.dictionary_encode(records["source"].cast(pa.string()).combine_chunks()).indices
    table = pa.table({"source": sources, "content": records["content"].combine_chunks(), "row": np.arange(len(alive))})
    keyed = table.filter(pa.array(alive)).group_by(["source", "content"], use_threads=False)
    return np.setdiff1d(rows, keyed.aggregate([("row", "min")])["row_min"].to_numpy())


class _Counting:
    """The entries of a split with their group of source and language."""

    def __init__(self, known: Merged, batch: str) -> None:
        records = known.records
        self._batch = batch
        self._sources, sources = _codes(records["source"])
        self._languages, languages = _codes(records["language"])
        self._group = sources * max(1, len(self._languages)) + languages
        self._characters = records["characters"].to_numpy().astype(np.int64)
        # By a finding of ERROR a tagger says that it failed: it claims nothing about the record.
        self._findings = known.findings.filter(pc.not_equal(known.findings["category"], ERROR))
        self._rows = self._findings["row"].to_numpy()
        self._count = np.bincount(self._rows, minlength=len(records)).astype(np.int64)

    def entries(self, dimension: str, rows: Ints, codes: Ints, values: Iterable[str]) -> pa.Table:
        """Count entries, each with all its findings.

        Args:
            rows: each at most once.
            codes: of each row's value.
        """
        return self._table(dimension, rows, codes, list(values), self._count[rows])

    def named(self, dimension: str, outcomes: dict[int, Outcome], name: Callable[[Outcome], str]) -> pa.Table:
        """Count entries by a name that follows from their outcome; those whose name is empty are left out."""
        names = {row: said for row, outcome in outcomes.items() if (said := name(outcome))}
        values = sorted(set(names.values()))
        at = {value: code for code, value in enumerate(values)}
        codes = np.array([at[said] for said in names.values()], np.int64)
        return self.entries(dimension, np.array(list(names), np.int64), codes, values)

    def found(self, dimension: str, columns: list[str], more: pa.Array | None = None) -> pa.Table:
        """Count the findings by what they say in some columns, and the entries that have them.

        Args:
            more: something of every entry that is told apart too.
        """
        parts = [self._findings[name].cast(pa.string()).combine_chunks() for name in columns]
        parts += [more.take(pa.array(self._rows))] if more is not None else []
        values, codes = _codes(parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\t"))
        # A record with many findings of one value is one record.
        pairs, counts = np.unique(self._rows * max(1, len(values)) + codes, return_counts=True)
        rows, codes = np.divmod(pairs, max(1, len(values)))
        return self._table(dimension, rows, codes, values, counts)

    def _table(self, dimension: str, rows: Ints, codes: Ints, values: list[str], findings: Ints) -> pa.Table:
        keys, at = np.unique(self._group[rows] * max(1, len(values)) + codes, return_inverse=True)
        groups, codes = np.divmod(keys, max(1, len(values)))
        sources, languages = np.divmod(groups, max(1, len(self._languages)))
        sums = [np.ones(len(rows), np.int64), self._characters[rows], findings]
        columns = [
            pa.array(self._sources, pa.string()).take(pa.array(sources)),
            pa.array(self._languages, pa.string()).take(pa.array(languages)),
            pa.repeat(pa.scalar(self._batch), len(keys)),
            pa.repeat(pa.scalar(dimension), len(keys)),
            pa.array(values, pa.string()).take(pa.array(codes)),
            *(pa.array(_sum(at, each, len(keys))) for each in sums),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def _sum(at: Ints, values: Ints, length: int) -> Ints:
    """Add up integers by place: bincount with weights would do so in floats."""
    sums = np.zeros(length, np.int64)
    np.add.at(sums, at, values)
    return sums


def _codes(column: pa.Array | pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Return the distinct strings of a column, and which of them each row has; null is the empty string."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):  # of no chunk at all
        return [], np.zeros(0, np.int64)
    encoded = pc.dictionary_encode(pc.fill_null(whole.cast(pa.string()), ""))
    names: list[str] = encoded.dictionary.to_pylist()
    return names, encoded.indices.to_numpy().astype(np.int64)


def as_text(table: pa.Table) -> str:
    """Return a breakdown as receipts hold it: an Arrow IPC stream, compressed as a whole with its length before it, in base64."""
    sink = pa.BufferOutputStream()
    # Compressed by the column, as Arrow would, it takes five times as long: most splits have few rows.
    with ipc.new_stream(sink, SCHEMA, options=ipc.IpcWriteOptions(use_threads=False)) as writer:
        writer.write_table(table.combine_chunks())
    stream = sink.getvalue()
    packed: bytes = _CODEC.compress(stream, asbytes=True)
    return base64.b64encode(stream.size.to_bytes(8, "little") + packed).decode()


def of_text(text: str) -> pa.Table:
    """Return the breakdown that :func:`as_text` wrote."""
    data = base64.b64decode(text)
    stream = _CODEC.decompress(data[8:], decompressed_size=int.from_bytes(data[:8], "little"))
    with pa.BufferReader(stream) as file:
        return ipc.open_stream(file, options=ipc.IpcReadOptions(use_threads=False)).read_all()


def totals(tables: Iterable[pa.Table], dimension: str) -> dict[str, tuple[int, int, int]]:
    """Return the sums of a dimension over everything else, by value: records, characters, findings."""
    sums: dict[str, list[int]] = {}
    for value, *counts in _rows_of(tables, dimension):
        known = sums.setdefault(value, [0, 0, 0])
        for at, count in enumerate(counts):
            known[at] += count
    return {value: (records, characters, findings) for value, (records, characters, findings) in sorted(sums.items())}


def _rows_of(tables: Iterable[pa.Table], dimension: str) -> Iterator[tuple[str, int, int, int]]:
    for table in tables:
        own = table.filter(pc.equal(table["dimension"], dimension))
        summed = own.group_by("value", use_threads=False).aggregate([(name, "sum") for name in COUNTS])
        yield from zip(
            *(summed[name].to_pylist() for name in ("value", *(f"{each}_sum" for each in COUNTS))), strict=True
        )
