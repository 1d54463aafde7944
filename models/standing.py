"""How the splits of one segment of the agenda stand after tagging: what receipts and catalogue together say of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from models.agenda import Planned, Portion, planned_of
from models.bundle import Receipts
from models.catalogue import Catalogue, Segment, wanted_by
from models.errors import ConservationError
from models.job import Job
from models.release_pass import acts_otherwise, digest_of_release, rechecking_kinds
from models.shard import Split
from models.sources import STATES, SourceStates, StatesByName
from models.store import Store
from models.tag_pass import LayerRef
from models.tally import COUNTS

_COLUMNS = ("known", "kinds", "entries", "lost", "errors", "withdrawn")


@dataclass(frozen=True)
class Stood:
    """A split of the agenda, where it is tagged, and what the catalogue has of it.

    Attributes:
        planned: of the agenda, or None if the segment is the catalogue's.
        receipt: number of its row in the bundle, or None if the catalogue's row is all there is.
        row: its segment and number in the catalogue, or None.
        missing: whether it was to be tagged and was not.
    """

    planned: Planned | None
    receipt: int | None
    row: tuple[Segment, int] | None
    missing: bool = False

    @property
    def split(self) -> Split:
        return self.planned.split if self.planned is not None else self._known[0].split(self._known[1])

    @property
    def digest(self) -> str:
        return self.planned.digest if self.planned is not None else str(self.fact("split"))

    @property
    def place(self) -> tuple[str, int, int]:
        """Path of the shard, index, and of how many splits."""
        if self.planned is not None:
            split = self.planned.split
            return split.shard.path, split.index, split.of
        return self.fact("path"), self.fact("index"), self.fact("of")

    @property
    def is_twin(self) -> bool:
        return bool(self.planned.split.shard.twin if self.planned is not None else self.fact("twin"))

    @property
    def _known(self) -> tuple[Segment, int]:
        assert self.row is not None
        return self.row

    def fact(self, name: str) -> Any:
        """Return what the catalogue's row has in a column."""
        segment, row = self._known
        return segment.fact(row, name)

    def layers(self, receipts: Receipts) -> tuple[LayerRef, ...]:
        if self.receipt is not None:
            return receipts.layers(self.receipt)
        segment, row = self._known
        return segment.layers(row)


@dataclass
class Standing:
    """Columns, one element a split.

    Attributes:
        digests: of the splits.
        known, kinds, entries, lost, errors, withdrawn: see :class:`models.catalogue.Row`; kinds, errors and withdrawn are JSON.
        dead: dead letters.
        released: digest of the release that the catalogue has, or empty.
        twins: whether the tally is left out, being another shard's.
        names: shard path, index and number of splits, for people.
        fresh: of how many splits there are receipts.
        tallies: ``row`` (number of the split), ``source``, and :data:`models.tally.COUNTS` if asked for.
    """

    digests: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    twins: list[bool] = field(default_factory=list)
    names: list[tuple[str, int, int]] = field(default_factory=list)
    tallies: pa.Table = None

    def name(self, number: int) -> str:
        return _name(self.names[number])

    def release_digests(self, states: SourceStates | StatesByName, job: Job) -> list[str]:
        """Return the digest that the release of each split must have."""
        source = self.tallies["source"]
        source = source.combine_chunks() if isinstance(source, pa.ChunkedArray) else source
        if not pa.types.is_dictionary(source.type):
            source = pc.dictionary_encode(source)
        special: dict[int, list[list[str]]] = {}
        if len(source):
            names = source.dictionary
            of_names = states.lookup(names)
            codes = of_names[source.indices.to_numpy()]
            at = acts_otherwise(codes, states.otherwise, job)
            rows = self.tallies["row"].to_numpy()[at].tolist()
            named = names.take(source.indices.take(pa.array(at))).to_pylist()
            for row, name, code in zip(rows, named, codes[at].tolist(), strict=True):
                special.setdefault(row, []).append([name, STATES[code]])
        again: dict[str, dict[str, str]] = {}
        for kinds in set(self.kinds):
            pairs = [(tagger, category) for tagger, category in orjson.loads(kinds)]
            again[kinds] = {tagger.name: tagger.digest for tagger in rechecking_kinds(pairs, job)}
        return [
            digest_of_release(digest, known, special.get(number, ()), again[kinds], job, orjson.loads(withdrawn))
            for number, (digest, known, kinds, withdrawn) in enumerate(
                zip(self.digests, self.known, self.kinds, self.withdrawn, strict=True)
            )
        ]


def stood(portion: Portion, receipts: Receipts, catalogue: Catalogue, job: Job, store: Store) -> list[Stood]:
    """Return the splits of a portion in order.

    Raises:
        ConservationError: if the splits tagged are not those that were to be tagged: an empty tally must never look clean.
    """
    found = list(_stood(portion, receipts, catalogue, job, store))
    missing = [_name(each.place) for each in found if each.missing]
    unknown = len(receipts.rows) - sum(each.receipt is not None for each in found)
    if missing or unknown:
        raise ConservationError(
            f"the splits tallied are not the splits planned: {len(missing)} missing "
            f"({', '.join(sorted(missing)[:3])}), {unknown} unknown; run again"
        )
    return found


def _stood(portion: Portion, receipts: Receipts, catalogue: Catalogue, job: Job, store: Store) -> Iterator[Stood]:
    if portion.kept is not None:
        segment, wanted = catalogue.read(portion.kept), wanted_by(job)
        for row in range(len(segment)):
            todo = segment.fact(row, "made_by") != wanted
            receipt = receipts.rows.get(segment.fact(row, "split")) if todo else None
            yield Stood(None, receipt, (segment, row), todo and receipt is None)
        return
    for planned in planned_of(portion, store):
        before = catalogue.find(planned.split.shard.path, planned.digest)
        receipt = receipts.rows.get(planned.digest) if planned.todo else None
        yield Stood(planned, receipt, before, planned.todo and receipt is None)


def _name(place: tuple[str, int, int]) -> str:
    path, index, of = place
    return f"{path}-{index + 1:05}-of-{of:05}"


def stand(
    portion: Portion,
    receipts: Receipts,
    catalogue: Catalogue,
    job: Job,
    store: Store,
    counts: tuple[str, ...] = COUNTS,
) -> Standing:
    """Return how the splits of a portion stand.

    Args:
        counts: those that the tallies are to have.

    Raises:
        ConservationError: if the splits tagged are not those that were to be tagged, or do not add up.
    """
    if portion.kept is not None and not portion.todo and not receipts.rows:
        return _as_kept(catalogue.read(portion.kept), counts)
    return stand_of(stood(portion, receipts, catalogue, job, store), receipts, counts)


def stand_of(found: Sequence[Stood], receipts: Receipts, counts: tuple[str, ...] = COUNTS) -> Standing:
    """Return how splits stand; see :func:`stand`."""
    columns = receipts.columns
    standing = Standing(
        digests=[each.digest for each in found],
        dead=[each.fact("dead") if each.receipt is None else columns["dead"][each.receipt] for each in found],
        released=["" if each.row is None else each.fact("release") for each in found],
        twins=[each.is_twin for each in found],
        names=[each.place for each in found],
        tallies=tallies_of(found, receipts, counts),
        **{
            name: [each.fact(name) if each.receipt is None else columns[name][each.receipt] for each in found]
            for name in _COLUMNS
        },
    )
    for each in found:
        if each.receipt is not None:
            _check_counted(each, columns)
    return standing


def tallies_of(found: Sequence[Stood], receipts: Receipts, counts: tuple[str, ...]) -> pa.Table:
    """Return the tallies of splits, each under its number in ``found``."""
    moved = np.full(len(receipts.rows), -1, np.int64)
    old: dict[str, tuple[Segment, list[tuple[int, int]]]] = {}
    for number, each in enumerate(found):
        if each.receipt is not None:
            moved[each.receipt] = number
        elif each.row is not None:
            segment, row = each.row
            old.setdefault(segment.path.name, (segment, []))[1].append((row, number))
    pieces = [receipts.moved(moved).select(["row", "source", *counts])]
    pieces += [moved_tallies(segment, rows, ("source", *counts)) for segment, rows in old.values()]
    return pa.concat_tables(pieces)


def moved_tallies(segment: Segment, rows: list[tuple[int, int]], names: tuple[str, ...]) -> pa.Table:
    """Return tallies of some rows of a segment, each under its new number; those without a record are left out.

    Args:
        rows: number in the segment, and new number.
        names: columns of :data:`models.catalogue.TALLIES`.
    """
    to: npt.NDArray[np.int64] = np.full(len(segment), -1, np.int64)
    to[[row for row, _ in rows]] = [number for _, number in rows]
    table = segment.tallies("row", "records", *(name for name in names if name != "records"))
    table = table.filter(pc.greater(table["records"], 0))
    moved = to[table["row"].to_numpy()]
    table = table.set_column(table.column_names.index("row"), "row", pa.array(moved, pa.int64()))
    table = table.filter(pa.array(moved >= 0)).select(["row", *names])
    return table.set_column(1, "source", table["source"].cast(pa.string()))


def _as_kept(segment: Segment, counts: tuple[str, ...]) -> Standing:
    columns = segment.columns(*_COLUMNS, "split", "dead", "release", "twin", "path", "index", "of")
    table = segment.tallies("row", "source", "records", *(name for name in counts if name != "records"))
    table = table.filter(pc.greater(table["records"], 0)).select(["row", "source", *counts])
    return Standing(
        digests=columns["split"],
        known=columns["known"],
        kinds=columns["kinds"],
        entries=columns["entries"],
        lost=columns["lost"],
        errors=columns["errors"],
        withdrawn=columns["withdrawn"],
        dead=columns["dead"],
        released=columns["release"],
        twins=[bool(twin) for twin in columns["twin"]],
        names=list(zip(columns["path"], columns["index"], columns["of"], strict=True)),
        tallies=table,
    )


def _check_counted(each: Stood, columns: Mapping[str, Sequence[Any]]) -> None:
    assert each.receipt is not None
    names = ("entries", "dead", "errors", "counted", "purged")
    entries, dead, errors, counted, purged = (columns[name][each.receipt] for name in names)
    if dead:
        # Dead letters belong to no source, but for records on which a tagger raised.
        dead -= orjson.loads(errors).get("tagger_error", 0)
    if counted + dead + purged != entries:
        raise ConservationError(
            f"{_name(each.place)}: its tally counts {counted} records, {dead} dead letters and {purged} purged of {entries} entries; "
            "run again"
        )
