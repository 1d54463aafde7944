"""The tagging pass over a split: the first reading, from which a layer and a tally come."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from models.columns import steps
from models.documents import Documents
from models.errors import ConservationError
from models.files import Opener
from models.findings import ERROR, Findings
from models.job import Job
from models.keys import same_key
from models.layer import Known, Layer, LayerBuilder, Merged, is_unscrubbed, known_of, layer_name, merge, purge_rows
from models.parsing import Parsed, is_source_in_path, parse_lines, parse_rows, source_of_path
from models.policy import Decider
from models.purge import emptied_rows, purged_rows
from models.records import ShardStream, open_stream, read_lines, read_rows
from models.redaction import pseudonym
from models.shard import Split
from models.sketch_files import keep_split
from models.sketches import Sketch
from models.store import Store, scratch_file
from models.taggers import Tagger
from models.tagging import ensure_loaded, tag, tag_identifiers
from models.tally import tally
from models.withdrawals import count_by_id, read_in_force

SCREENING = "(screening)"
"""In a layer's taggers: the digest of those that decided under which names its sources are shown, see :class:`Job`."""

PRIVATE_SOURCE = "(personal)"
"""Shown in place of a source key that holds personal data."""

Beat = Callable[[str, int], None]
"""Told where a pass stands, and how many bytes of text it went through since the last time."""


@dataclass(frozen=True)
class LayerRef:
    """A layer in the store and the digest of each tagger in it."""

    name: str
    taggers: Mapping[str, str]


@dataclass(frozen=True)
class Tagged:
    """The receipt of a tagged split; made by reading published layers, fresh or not.

    Attributes:
        split: digest of the split.
        layers: those that its wanted findings come from.
        known: what they say, in short.
        tally: one row a source, see :mod:`models.tally`.
        entries: how many there are.
        errors: how many of them are dead letters, by class.
        lost: records that no entry stands for: those of an unreadable row group, but one.
        characters: of all records.
        findings: how many by tagger.
        fresh: taggers whose findings the catalogue lacks; an earlier try of the run, or one that was killed, may have made them.
        purged: records of which only position and content hash are known; they belong to no source.
        withdrawn: how many entries each withdrawal in force names, by id.
        languages: records and their characters by language, see :func:`languages_of`.
        sketch: name in the store, see :mod:`models.sketch_files`; empty if the policy asks for none, or there are no records.
    """

    split: str
    layers: tuple[LayerRef, ...]
    known: Known
    tally: pa.Table
    entries: int
    errors: Mapping[str, int]
    lost: int
    characters: int
    findings: Mapping[str, int]
    fresh: tuple[str, ...]
    purged: int = 0
    withdrawn: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, Sequence[int]] = field(default_factory=dict)
    sketch: str = ""

    @property
    def dead(self) -> int:
        return sum(self.errors.values())


def tag_split(
    split: Split,
    layers: Sequence[LayerRef],
    job: Job,
    opener: Opener,
    store: Store,
    folder: Path,
    beat: Beat,
    stream: ShardStream | None = None,
) -> Tagged:
    """Make sure that every wanted tagger has looked at a split, and return what is known of it.

    Args:
        layers: those that the catalogue has.
        folder: on this machine, for the layer while it is written.
        stream: the open shard, where its splits share one reading.
    """
    digest = split.digest(job.reading)
    known = {layer.name: Layer.read(store.read(layer.name)) for layer in layers}
    used, ref = layers_for(digest, layers, job)
    fresh: tuple[str, ...] = ()
    # Whichever taggers made a layer that lacks a row: once purged is purged.
    earlier = {row for layer in known.values() for row in emptied_rows(layer.records)}
    if ref is not None:
        missing = tuple(tagger for tagger in job.taggers if tagger.name in ref.taggers)
        fresh = tuple(tagger.name for tagger in missing)
        if not store.exists(ref.name):
            purged = earlier.union(*(_purged(known[each.name], job) for each in used))
            layer = _tag(split, digest, missing, job, opener, beat, stream, sorted(purged))
            with scratch_file(folder) as path:
                layer.write(path)
                store.create_once(ref.name, path)
        used.append(ref)
        known[ref.name] = Layer.read(store.read(ref.name))
    found = [known[each.name] for each in used]
    used, merged = _scrubbed(digest, used, found, earlier, split, job, store, folder)
    return _receipt(digest, tuple(used), merged, split, job, store, folder, fresh)


def layers_for(digest: str, layers: Sequence[LayerRef], job: Job) -> tuple[list[LayerRef], LayerRef | None]:
    """Return which layers of a split can be used, and the one that must be there besides, or None.

    Args:
        digest: of the split.
        layers: those that the catalogue has.
    """
    layers = [layer for layer in layers if layer.taggers.get(SCREENING) == job.screening]
    had = {name: value for layer in layers for name, value in layer.taggers.items()}
    wanted = {name: value for name, value in job.wanted.items() if had.get(name) != value}
    used = [layer for layer in layers if any(job.wanted.get(n) == d for n, d in layer.taggers.items())]
    if layers and not wanted:
        return used, None
    wanted[SCREENING] = job.screening
    return used, LayerRef(layer_name(digest, wanted), wanted)


def _scrubbed(
    digest: str,
    refs: list[LayerRef],
    layers: Sequence[Layer],
    earlier: set[int],
    split: Split,
    job: Job,
    store: Store,
    folder: Path,
) -> tuple[list[LayerRef], Merged]:
    """Return layers of a split of which none holds more of a purged record than its hash, and what they say together.

    A layer made before a list purged the record holds the hash of its id, marks of its URL, its source and findings: one layer
    takes the place of all.

    Args:
        layers: those that the references name.
        earlier: rows that were purged by an earlier run, whatever lists say now.
    """
    merged = purge_rows(_merged(layers, refs, split, job), earlier)
    purged = purged_rows(merged.findings)
    if not any(is_unscrubbed(layer, purged) for layer in layers):
        return refs, merged
    taggers = {**job.wanted, SCREENING: job.screening}
    name = layer_name(digest, taggers | {"(purged)": merged.digest})
    with scratch_file(folder) as path:
        Layer(digest, split.cut.checksum, taggers, merged.records, merged.findings).write(path)
        store.create_once(name, path)
    return [LayerRef(name, taggers)], merged


def _receipt(
    digest: str,
    refs: tuple[LayerRef, ...],
    merged: Merged,
    split: Split,
    job: Job,
    store: Store,
    folder: Path,
    fresh: tuple[str, ...],
) -> Tagged:
    counts = merged.findings["tagger"].value_counts().to_pylist()
    decider, k = Decider(job.policy), job.policy.sources.sketched
    return Tagged(
        digest,
        refs,
        known_of(merged),
        tally(merged, decider).table,
        len(merged.records),
        _errors(merged),
        sum(lost - 1 for lost in merged.records["lost"].to_pylist() if lost > 1),
        pc.sum(merged.records["characters"]).as_py() or 0,
        {row["values"]: row["counts"] for row in counts},
        fresh,
        len(purged_rows(merged.findings)),
        count_by_id(withdrawn_rows(merged, split, job, store)),
        languages_of(merged.records),
        keep_split(Sketch.of_split(k, merged, decider), digest, store, folder) if k else "",
    )


def _purged(layer: Layer, job: Job) -> Iterable[int]:
    """Return the rows that a layer's wanted taggers purge: a new layer of the split must not hold them either."""
    valid = [name for name, digest in layer.taggers.items() if job.wanted.get(name) == digest]
    return purged_rows(layer.findings.filter(pc.is_in(layer.findings["tagger"], pa.array(valid, pa.string()))))


def withdrawn_rows(merged: Merged, split: Split, job: Job, store: Store) -> dict[int, tuple[str, ...]]:
    """Return the entries of a split that are withdrawn, each with the ids of the withdrawals that name it.

    Of what is purged no more is known than its hash, so no withdrawal is counted for it.
    """
    if not job.withdrawn:
        return {}
    in_force = read_in_force(store, job.withdrawn)
    in_path = is_source_in_path(split.shard.columns, job.reading)
    rows = in_force.rows(merged, split.shard, source_in_path=in_path, path_source=source_of_path(split.shard.path))
    purged = purged_rows(merged.findings)
    return {row: names for row, names in rows.items() if row not in purged}


def _errors(merged: Merged) -> dict[str, int]:
    """Count dead letters by class; a record on which a tagger raised is one."""
    errors = merged.records["error"].cast(pa.string()).to_pylist()
    broken = merged.findings.filter(pc.equal(merged.findings["category"], ERROR))["row"].to_pylist()
    for row in broken:
        errors[row] = errors[row] or "tagger_error"
    return dict(sorted(Counter(error for error in errors if error is not None).items()))


def languages_of(records: pa.Table) -> dict[str, list[int]]:
    """Return how many records there are of each language, and their characters; dead letters have none.

    Args:
        records: see :data:`models.layer.RECORDS`.
    """
    table = pa.table({"language": records["language"].cast(pa.string()), "characters": records["characters"]})
    table = table.filter(pc.is_valid(table["language"])).group_by("language", use_threads=False)
    summed = table.aggregate([("characters", "count"), ("characters", "sum")]).sort_by("language")
    rows = zip(*(summed[name].to_pylist() for name in ("language", "characters_count", "characters_sum")), strict=True)
    return {language: [count, characters] for language, count, characters in rows}


def read_merged(refs: Sequence[LayerRef], split: Split, job: Job, store: Store) -> Merged:
    """Return what the layers of a split say together."""
    return _merged([Layer.read(store.read(ref.name)) for ref in refs], refs, split, job)


def _merged(layers: Sequence[Layer], refs: Sequence[LayerRef], split: Split, job: Job) -> Merged:
    merged = merge(layers, job.wanted, split.cut.checksum)
    rows = merged.findings["row"]
    if len(rows) and not 0 <= pc.min(rows).as_py() <= pc.max(rows).as_py() < len(merged.records):
        names = ", ".join(ref.name for ref in refs)
        raise ConservationError(
            f"{split.name}: findings on entries that its layers lack; remove {names} from the store, run again"
        )
    return merged


def _tag(
    split: Split,
    digest: str,
    taggers: Sequence[Tagger],
    job: Job,
    opener: Opener,
    beat: Beat,
    stream: ShardStream | None,
    purged: Sequence[int],
) -> Layer:
    builder = LayerBuilder()
    masked: dict[str, str] = {}
    for parsed, found in tagged_entries(split, taggers, job, opener, beat, stream):
        builder.add(parsed, found, _mask(parsed.documents, job, masked))
    ran = {tagger.name: job.wanted[tagger.name] for tagger in taggers}
    return builder.build(digest, split.cut.checksum, ran | {SCREENING: job.screening}, purged)


def tagged_entries(
    split: Split,
    taggers: Sequence[Tagger],
    job: Job,
    opener: Opener,
    beat: Beat,
    stream: ShardStream | None = None,
    see: Callable[[Documents], Documents] = lambda documents: documents,
) -> Iterator[tuple[Parsed, Findings]]:
    """Read a split batch by batch, each with what taggers find in its records.

    A batch may take the place of rows that came before, see :meth:`models.layer.LayerBuilder.add`.

    Args:
        see: what taggers are to see in place of the documents.
    """
    for tagger in taggers:
        ensure_loaded(tagger, job.wanted[tagger.name])
    for parsed in _parsed(split, job, opener, stream):
        documents = see(parsed.documents)
        beat(f"{split.name} at {parsed.positions[0]}", documents.text.nbytes)
        found = tag(documents, taggers)
        if any(tagger.identifiers for tagger in job.taggers):
            found = Findings.concat([found, tag_identifiers(documents, taggers, split.shard.path)])
        yield parsed, found


def _parsed(split: Split, job: Job, opener: Opener, stream: ShardStream | None) -> Iterator[Parsed]:
    if split.shard.format == "parquet":
        names = sorted({steps(path)[0][0] for path in split.shard.columns.paths})
        for rows in read_rows(opener, split, job.reading, names):
            yield parse_rows(rows, split, job.reading)
    elif stream is not None:
        for lines in read_lines(stream, split, job.reading):
            yield parse_lines(lines, split, job.reading)
    else:
        with open_stream(opener, split.shard) as own:
            for lines in read_lines(own, split, job.reading):
                yield parse_lines(lines, split, job.reading)


def _mask(documents: Documents, job: Job, masked: dict[str, str]) -> pa.Array:
    """Return the sources under names that may be shown: one that holds personal data has none of its own.

    With a key it is told apart by a keyed hash; without one, all such sources are one: a plain hash of a number is soon guessed.

    All taggers of the job are asked, not only those that run in this pass: every layer of a split names sources alike.
    """
    screening = [tagger for tagger in job.taggers if tagger.identifiers]
    key = same_key(job.key_env, job.key_id)
    encoded = documents.source.dictionary_encode()
    new = [name for name in encoded.dictionary.to_pylist() if name not in masked]
    # Keys of sources escape what could be taken for their own marks: an address is one in either form.
    forms = [*new, *map(unquote, new)]
    found = tag(Documents.of(forms), screening).table["row"].to_pylist() if new and screening else []
    bad = {row % len(new) for row in found}
    for row, name in enumerate(new):
        masked[name] = private_source(name, key) if row in bad else name
    names = pa.array([masked[name] for name in encoded.dictionary.to_pylist()], pa.string())
    return names.take(encoded.indices)


def private_source(name: str, key: bytes | None) -> str:
    """Return the name under which a source is shown whose own holds personal data."""
    return PRIVATE_SOURCE if key is None else f"{PRIVATE_SOURCE[:-1]} {pseudonym(key, 'source', name)})"
