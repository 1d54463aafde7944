"""Layers: what one tagging pass found in one split.

A layer is a file of two Arrow IPC streams, records and findings (https://arrow.apache.org/docs/format/Columnar.html), compressed
with zstd, in the private store. It holds no text: hashes of contents, ids and URLs, and findings.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import ipc

from models.digest import digest_of
from models.errors import ConservationError
from models.findings import SCHEMA as FINDINGS
from models.findings import Findings
from models.language import languages
from models.parsing import Parsed
from models.purge import PURGE, emptied_rows, purged_rows, still_purged, without_purged
from models.url_marks import SIZE, marks_of
from models.view import octets

FORMAT = 5

RECORDS = pa.schema(
    [
        pa.field("position", pa.int64(), nullable=False),
        pa.field("error", pa.dictionary(pa.int32(), pa.string())),
        pa.field("detail", pa.string()),
        pa.field("lost", pa.int64(), nullable=False),
        pa.field("source", pa.dictionary(pa.int32(), pa.string())),
        pa.field("content", pa.binary(16), nullable=False),
        pa.field("id", pa.binary(8), nullable=False),
        pa.field("url", pa.binary(SIZE), nullable=False),
        pa.field("under", pa.dictionary(pa.int32(), pa.binary())),
        pa.field("characters", pa.int32(), nullable=False),
        pa.field("language", pa.dictionary(pa.int32(), pa.string())),
    ]
)
"""One row an entry of the split. ``error`` is set for dead letters; ``content`` and ``id`` are the first bytes of SHA-256,
``url`` and ``under`` the marks of :mod:`models.url_marks`; all are zeros or null where there is nothing. ``language`` is that of
:mod:`models.language`, null for dead letters."""

_NO_CONTENT, _NO_ID, _NO_URL = bytes(16), bytes(8), bytes(SIZE)


def layer_name(split: str, taggers: Mapping[str, str]) -> str:
    """Return the store name of the layer of a split, given the split's digest and the digests of the taggers that ran."""
    digest = digest_of({"layer": FORMAT, "split": split, "taggers": dict(taggers)})
    return f"layers/{digest[:2]}/{digest}.arrow"


@dataclass(frozen=True)
class Layer:
    """One pass's findings over one split.

    Attributes:
        split: digest of the split.
        content: checksum of the bytes that were tagged.
        taggers: digest of each tagger that ran, by name.
        records: see :data:`RECORDS`.
        findings: see :data:`models.findings.SCHEMA`; ``row`` is the row of ``records``.
    """

    split: str
    content: str
    taggers: dict[str, str]
    records: pa.Table
    findings: pa.Table

    def write(self, path: Path) -> None:
        """Write the layer to a new file."""
        facts = {"format": FORMAT, "split": self.split, "content": self.content, "taggers": self.taggers}
        metadata = {"winnow": json.dumps(facts, sort_keys=True)}
        options = ipc.IpcWriteOptions(compression=pa.Codec("zstd", 3), unify_dictionaries=True)
        with path.open("wb") as file:
            for table in (self.records.replace_schema_metadata(metadata), self.findings):
                # One batch, so that the bytes do not depend on how the records came.
                with ipc.new_stream(file, table.schema, options=options) as writer:
                    writer.write_table(table.unify_dictionaries().combine_chunks())

    @classmethod
    def read(cls, data: bytes) -> "Layer":
        """Read a layer.

        Raises:
            ValueError: if it is of another format.
        """
        with pa.BufferReader(data) as file:
            records = ipc.open_stream(file).read_all()
            findings = ipc.open_stream(file).read_all()
        facts = json.loads(records.schema.metadata[b"winnow"])
        if facts["format"] != FORMAT:
            raise ValueError(f"layer format {facts['format']}, expected {FORMAT}")
        return cls(facts["split"], facts["content"], facts["taggers"], records.replace_schema_metadata(None), findings)


class LayerBuilder:
    """Collects a layer as a split is read."""

    def __init__(self) -> None:
        self._records: list[pa.Table] = []
        self._findings: list[tuple[int, pa.Table]] = []
        self._rows = 0

    def add(self, parsed: Parsed, findings: Findings, sources: pa.Array) -> None:
        """Add a batch: its entries, the findings on its records (rows within the documents), the names of their sources.

        A batch that starts before the end of the last takes the place of everything from its first row on: a row group that
        turned out unreadable.
        """
        if parsed.row < self._rows:
            self._forget(parsed.row)
        count = len(parsed.positions)
        self._records.append(_record_table(parsed, sources))
        rows = parsed.documents.rows[findings.table["row"].to_numpy()] if len(findings) else []
        column = pa.array(rows, pa.int64())
        self._findings.append((parsed.row, findings.table.set_column(0, FINDINGS.field("row"), column)))
        self._rows = parsed.row + count

    def _forget(self, row: int) -> None:
        self._records = [pa.concat_tables(self._records, promote_options="default").slice(0, row)]
        self._findings = [(first, part) for first, part in self._findings if first < row]
        self._rows = row

    def build(self, split: str, content: str, taggers: dict[str, str], purged: Iterable[int] = ()) -> Layer:
        """Return the layer.

        Args:
            purged: rows that another layer of the split purges; those of which a finding here says so are purged anyway.
        """
        table = pa.concat_tables([RECORDS.empty_table(), *self._records])
        findings = pa.concat_tables([FINDINGS.empty_table(), *(part for _, part in self._findings)])
        table, findings = without_purged(table, findings, {*purged, *purged_rows(findings)})
        # Encoded anew: neither batches nor the sources of rows that are gone may show in the bytes.
        columns = [
            pc.dictionary_encode(column.cast(column.type.value_type).combine_chunks())
            if pa.types.is_dictionary(column.type)
            else column
            for column in table.columns
        ]
        records = pa.Table.from_arrays(columns, schema=RECORDS)
        return Layer(split, content, taggers, records, findings)


def _record_table(parsed: Parsed, sources: pa.Array) -> pa.Table:
    count = len(parsed.positions)
    documents = parsed.documents
    at = (documents.rows - parsed.row).tolist()
    content, ids, lengths = [_NO_CONTENT] * count, [_NO_ID] * count, [0] * count
    names: list[str | None] = [None] * count
    written: list[str | None] = [None] * count
    urls, under = [_NO_URL] * count, list[bytes | None]([None] * count)
    for row, url, above in zip(at, *marks_of(documents.url), strict=True):
        urls[row], under[row] = url, above
    texts, names_here = octets(documents.text), sources.to_pylist()
    for row, text, name, record, length in zip(
        at, texts, names_here, documents.id.to_pylist(), documents.lengths.tolist(), strict=True
    ):
        content[row] = hashlib.sha256(text).digest()[:16]
        ids[row] = id_hash(record)
        names[row], lengths[row] = name, length
    for row, language in zip(at, languages(documents.text), strict=True):
        written[row] = language
    errors: list[str | None] = [None] * count
    details: list[str | None] = [None] * count
    lost = [1] * count
    for row, dead in parsed.dead.items():
        errors[row - parsed.row], details[row - parsed.row] = dead.error, dead.detail
        lost[row - parsed.row] = dead.records
    columns = [parsed.positions, errors, details, lost, names, content, ids, urls, under, lengths, written]
    arrays = [
        pc.dictionary_encode(pa.array(column, field.type.value_type))
        if pa.types.is_dictionary(field.type)
        else pa.array(column, field.type)
        for column, field in zip(columns, RECORDS, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=RECORDS)


def id_hash(name: str) -> bytes:
    """Return the 8 bytes by which a record's id is found in layers."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]


@dataclass(frozen=True)
class Merged:
    """What is known of a split: its entries, and every tagger's findings from whichever layer has them.

    Attributes:
        records: see :data:`RECORDS`.
        findings: in row order, within a row by tagger name, then as the tagger gave them.
    """

    records: pa.Table
    findings: pa.Table

    @cached_property
    def digest(self) -> str:
        """Digest of all that is known, whatever layers it came from."""
        sha = hashlib.sha256()
        options = ipc.IpcWriteOptions(unify_dictionaries=True)
        for table in (self.records, self.findings):
            plain = pa.table(
                {
                    name: column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
                    for name, column in zip(table.schema.names, table.columns, strict=True)
                }
            )
            sink = pa.BufferOutputStream()
            with ipc.new_stream(sink, plain.schema, options=options) as writer:
                writer.write_table(plain.combine_chunks())
            sha.update(sink.getvalue())
        return sha.hexdigest()


@dataclass(frozen=True)
class Known:
    """What the catalogue keeps of :class:`Merged`: enough to tell whether a release would come out differently.

    Attributes:
        digest: of the merged layers.
        kinds: every (tagger, category) that occurs, sorted.
        sources: every source that occurs, sorted.
    """

    digest: str
    kinds: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]


def known_of(merged: Merged) -> Known:
    """Return what is to be kept of merged layers."""
    pairs = merged.findings.select(["tagger", "category"]).group_by(["tagger", "category"], use_threads=False)
    kinds = sorted((row["tagger"], row["category"]) for row in pairs.aggregate([]).to_pylist())
    names = pc.unique(merged.records["source"].cast(pa.string())).drop_null().to_pylist()
    return Known(merged.digest, tuple(kinds), tuple(sorted(names)))


def merge(layers: Sequence[Layer], wanted: Mapping[str, str], content: str) -> Merged:
    """Take each wanted tagger's findings from the layer that has them by the right digest.

    Raises:
        ConservationError: if a tagger's findings are missing, or the layers are not of the same bytes or entries.
    """
    first = layers[0]
    parts = []
    emptied: set[int] = set()
    for name, digest in sorted(wanted.items()):
        layer = next((layer for layer in layers if layer.taggers.get(name) == digest), None)
        if layer is None:
            raise ConservationError(f"no layer has findings of tagger {name} ({digest[:12]}) for this split")
        if layer.content != content or not _same_entries(layer, first):
            raise ConservationError("the layers of this split are not of the same bytes and entries; run again")
        parts.append(layer.findings.filter(pc.equal(layer.findings["tagger"], name)))
        emptied |= emptied_rows(layer.records)
    return purge_rows(Merged(first.records, pa.concat_tables([FINDINGS.empty_table(), *parts])), emptied)


def purge_rows(merged: Merged, rows: Iterable[int]) -> Merged:
    """Return what is known without more than the hash of what is purged: by its findings, or, having been so earlier, by row."""
    findings = merged.findings
    findings = pa.concat_tables([findings, still_purged({*rows} - purged_rows(findings).keys())])
    if len(findings):
        findings = findings.take(pc.sort_indices(findings["row"]))
    return Merged(*without_purged(merged.records, findings, purged_rows(findings)))


def is_unscrubbed(layer: Layer, purged: Iterable[int]) -> bool:
    """Return whether a layer tells more of rows that are purged than position and hash of content."""
    rows = pa.array(sorted(purged), pa.int64())
    if not len(rows):
        return False
    told = pc.and_(pc.is_in(layer.findings["row"], rows), pc.not_equal(layer.findings["category"], PURGE))
    return bool(pc.any(told).as_py()) or not emptied_rows(layer.records).issuperset(rows.to_pylist())


def _same_entries(layer: Layer, other: Layer) -> bool:
    if layer is other:
        return True
    return all(layer.records[name].equals(other.records[name]) for name in ("position", "content"))
