"""Shards, splits, and how their records are to be read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from models.digest import digest_of, digest_of_file
from models.source_rules import SourceRules

Format = Literal["jsonl", "parquet"]
Container = Literal["", "gzip", "zstd", "bz2"]

SOURCE_KEYS = "source_keys.columns"
"""Where the run file names columns of sources."""

CODE_VERSION = 4
"""Version of everything that turns bytes into documents; part of every split's digest."""


@cache
def _suffix_list() -> str:
    """Return the digest of the public suffix list that comes with tldextract."""
    return digest_of_file(Path(str(files("tldextract") / ".tld_set_snapshot")))


@dataclass(frozen=True)
class Columns:
    """Where a record's canonical columns come from.

    A path names nested fields by dots, and ``[]`` takes every element of a list: ``messages[].content``.

    Attributes:
        text: one or more paths, joined by a line feed in this order.
        id, source, url: a path, or None where there is none.
        provenance: pairs of a name of :data:`models.evidence.EVIDENCE` and a path, sorted.
        keys: pairs of a name of :class:`models.source_rules.SourceColumns` and a path, sorted; empty where sources are named otherwise.
        by_record: whether a record that has nothing at the paths of URL and provenance is asked for them by their usual names, see
            :data:`models.columns.BY_RECORD`; where columns of JSON Lines were recognised, for no schema says what later records have.
    """

    text: tuple[str, ...] = ("text",)
    id: str | None = None
    source: str | None = None
    url: str | None = None
    provenance: tuple[tuple[str, str], ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    by_record: bool = False

    @property
    def facts(self) -> list[Any]:
        """The mapping as a JSON value, for digests and the catalogue."""
        facts = [list(self.text), self.id, self.source, self.url, [list(pair) for pair in self.provenance]]
        if self.keys or self.by_record:
            facts.append([list(pair) for pair in self.keys])
        return [*facts, True] if self.by_record else facts

    @classmethod
    def of_facts(cls, facts: Sequence[Any]) -> "Columns":
        """Return the mapping of what :attr:`facts` gave."""
        text, record_id, source, url, *rest = facts
        provenance, keys = (
            tuple((name, path) for name, path in each) for each in (rest[0], rest[1] if rest[1:] else ())
        )
        return cls(tuple(text), record_id, source, url, provenance, keys, len(rest) > 2)

    @property
    def paths(self) -> list[str]:
        """Every path of the mapping."""
        fields = [path for path in (self.id, self.source, self.url) if path is not None]
        return [*self.text, *fields, *(path for _, path in (*self.provenance, *self.keys))]

    def in_words(self) -> str:
        """Return the mapping for people: ``text=content, id=doc_id``."""
        roles = {"text": "+".join(self.text), "id": self.id, "source": self.source, "url": self.url}
        roles |= dict(self.provenance) | {f"{SOURCE_KEYS}.{name}": path for name, path in self.keys}
        return ", ".join(f"{role}={name}" for role, name in roles.items() if name)


@dataclass(frozen=True)
class Reading:
    """What decides which records a shard has, besides its bytes.

    Attributes:
        columns: given by the operator; None where the usual names are to be recognised.
        source_from: ``column``, ``url`` (registrable domain), ``path`` (first folder of the shard's path, or its name),
            ``auto``: the first of these that a shard offers, or ``keys``: by rules.
        encoding: of JSONL; a codec name of Python.
        max_record_bytes: longer records are dead letters.
        sample_ppm: how many records of a million are read at all.
        limit: at most so many records in the run, 0 for all.
        keys: rules by which sources are told apart; given if and only if ``source_from`` is ``keys``.
    """

    columns: Columns | None = None
    source_from: Literal["auto", "column", "url", "path", "keys"] = "auto"
    encoding: str = "utf-8"
    max_record_bytes: int = 16 << 20
    sample_ppm: int = 1_000_000
    limit: int = 0
    keys: SourceRules | None = None

    def over(self, recognised: Callable[[], Columns]) -> Columns:
        """Return the columns that are given, or else recognised in a shard, with those that the rules name."""
        columns = recognised() if self.columns is None else self.columns
        if self.keys is None:
            return columns
        named = self.keys.columns.model_dump(exclude_none=True)
        return replace(columns, keys=tuple(sorted(named.items())))

    @cached_property
    def digest(self) -> str:
        columns = self.columns
        return digest_of(
            {
                "version": CODE_VERSION,
                "columns": None if columns is None else columns.facts,
                "source_from": self.source_from,
                "encoding": self.encoding,
                "max_record_bytes": self.max_record_bytes,
                "sample_ppm": self.sample_ppm,
                "limit": self.limit,
                "public_suffixes": _suffix_list() if self.source_from in ("auto", "url") else "",
                # Only where there are some, so that what is read otherwise has the digest that it had.
                **({"keys": self.keys.digest} if self.keys is not None else {}),
            }
        )


@dataclass(frozen=True)
class Cut:
    """One split's place in its shard.

    Attributes:
        start, stop: row groups of a Parquet file, or bytes of a JSONL file (decompressed, if it is compressed); half open.
        first_row: number of the first row in a Parquet file; unused for JSONL.
        records: rows, or line feeds counted; what progress and ``limit`` go by, not a count of records.
        checksum: SHA-256 of the bytes: for Parquet of the footer's SHA-256 and the bytes of these row groups, for JSONL those of the
            range.
        flaw: why reading the shard ends after this split, if it does not end well: an error class and its text.
        limit: at most so many records of this split are read, -1 for all.
    """

    start: int
    stop: int
    first_row: int
    records: int
    checksum: str
    flaw: tuple[str, str] = ("", "")
    limit: int = -1


@dataclass(frozen=True)
class Shard:
    """An input file as planned.

    Attributes:
        root: the input root, as given.
        path: relative to the root; the shard's name in every output.
        size: bytes.
        checksum: SHA-256 of its bytes.
        encoding: of JSONL, with the byte order told by its mark; empty for Parquet.
        columns: as given or recognised.
        cuts: the splits, in order; never empty.
        twin: the path of the shard with the same content that is tallied in this one's stead, or empty.
        reading: digest of the :class:`Reading` that it was planned with.
        generation: that the object store gave to its content, or empty; reads are pinned to it, and while it stays nothing is read to compare.
        lacks: which of ``id``, ``source`` and ``url`` are mapped to a column that it does not have; of JSONL, in its first records.
    """

    root: str
    path: str
    size: int
    checksum: str
    format: Format
    container: Container
    encoding: str
    columns: Columns
    cuts: tuple[Cut, ...]
    twin: str = ""
    reading: str = ""
    lacks: tuple[str, ...] = ()
    generation: str = ""

    def splits(self) -> list["Split"]:
        bare = replace(self, cuts=())
        return [Split(bare, cut, index, len(self.cuts)) for index, cut in enumerate(self.cuts)]

    @property
    def location(self) -> str:
        return pinned(f"{self.root.rstrip('/')}/{self.path}", self.generation)


def pinned(location: str, generation: str) -> str:
    """Return ``location#generation``, by which openers read this generation and no other; the location alone where there is none."""
    return f"{location}#{generation}" if generation else location


@dataclass(frozen=True)
class Split:
    """A piece of a shard that a worker takes. Small: it holds no text.

    Attributes:
        shard: without its cuts.
        index, of: which of how many splits of the shard this is, from 0.
    """

    shard: Shard
    cut: Cut
    index: int
    of: int

    @property
    def name(self) -> str:
        """``<shard path>-00001-of-00008``: the stem of all output files of the split."""
        return f"{self.shard.path}-{self.index + 1:05}-of-{self.of:05}"

    @property
    def size(self) -> int:
        """Its share of the shard's bytes, about."""
        return self.shard.size // self.of

    def digest(self, reading: Reading) -> str:
        """Digest of all that decides which records the split has and what they are called."""
        cut = self.cut
        return digest_of(
            {
                "reading": reading.digest,
                "path": self.shard.path,
                "shard": self.shard.checksum,
                "format": [self.shard.format, self.shard.container, self.shard.encoding],
                "columns": self.shard.columns.facts,
                "range": [cut.start, cut.stop, cut.first_row],
                "content": cut.checksum,
                "flaw": list(cut.flaw),
                "limit": cut.limit,
                "of": [self.index, self.of],
            }
        )


@dataclass(frozen=True)
class Dead:
    """Something that is not a record.

    Attributes:
        error: class of the closed list in ``docs/dead-letters.md``.
        detail: what the parser said, without text of the record.
        raw: the bytes, or None where they are too many to keep.
        sha256: of the bytes.
        records: how many records are lost with it, where that is known; 1 otherwise.
    """

    error: str
    detail: str
    raw: bytes | None
    sha256: str
    records: int = field(default=1)
