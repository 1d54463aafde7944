"""Sketches of sources: distinct records over the whole source, however it is cut into splits, in bounded room.

A sketch keeps, for each source, the records with the least hashes of their content, one more than ``k`` of them (bottom-k; Bar-Yossef et al.,
Counting distinct elements in a data stream, RANDOM 2002; Cohen and Kaplan, Summarizing data using bottom-k sketches, PODC 2007). A content hash
is the same wherever the text stands, so equal texts are one record. Up to ``k`` distinct records all are there, and every figure is exact.
Beyond that, the first ``k`` are a uniform sample of the distinct records, and the hash of the next says how many there are: with hashes spread
evenly over 2⁶⁴, ``k`` of them lie below it.

Sketches add up in any order and any grouping, and adding one twice changes nothing: a record that is among the least of the whole is among the
least of every part that has it. A record whose parts say different things of it counts as the worst of them. Everything is integers.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.layer import Merged
from models.policy import Decider
from models.tally import STRATA, is_counted
from models.tally import strata as strata_of

COUNTED = ("split", "source exact", "source estimated", "recounted")
"""By code: how the distinct records of a source were counted: within each split; over the whole source, all of them; over the whole source,
from a sample; over the whole source, all of them once more because a sample left its state open."""
SPLIT, EXACT, ESTIMATED, RECOUNTED = range(len(COUNTED))

_SPACE = 1 << 64


@dataclass(frozen=True)
class Sketch:
    """What is kept of the records of some sources.

    Attributes:
        k: up to so many distinct records of a source are counted exactly.
        sources: strings, shape (n,), ascending, each once.
        counts: shape (n,): records kept of each, at least 1 and at most ``k + 1``.
        hashes: shape (sum of counts,): the first 8 bytes of the content hash, big endian; of each source ascending.
        strata: the same shape: index in :data:`models.tally.STRATA`.
        characters: the same shape: code points.
    """

    k: int
    sources: pa.Array
    counts: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    strata: npt.NDArray[np.uint8]
    characters: npt.NDArray[np.int32]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Sketch)
            and self.k == other.k
            and self.sources.equals(other.sources)
            and all(
                np.array_equal(getattr(self, name), getattr(other, name))
                for name in ("counts", "hashes", "strata", "characters")
            )
        )

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of(
        cls,
        k: int,
        sources: pa.Array,
        contents: pa.Array,
        strata: npt.NDArray[np.uint8],
        characters: npt.NDArray[np.int32],
    ) -> "Sketch":
        """Return the sketch of some records, in any order, duplicates among them.

        Args:
            sources: strings without nulls, shape (records,).
            contents: content hashes of layers, ``binary(16)``.
        """
        names = pc.unique(sources)
        codes = pc.index_in(sources, value_set=names).to_numpy(zero_copy_only=False).astype(np.int64)
        return _least(k, names, codes, hashes_of(contents), strata, characters)

    @classmethod
    def of_split(cls, k: int, known: Merged, decider: Decider) -> "Sketch":
        """Return the sketch of the records of a split: those that :func:`models.tally.tally` counts."""
        counted = is_counted(known.records)
        records = known.records.select(["source", "content", "characters"]).filter(counted)
        return cls.of(
            k,
            records["source"].cast(pa.string()).combine_chunks(),
            records["content"],
            strata_of(known, decider)[counted.to_numpy()],
            records["characters"].to_numpy(),
        )

    @classmethod
    def zero(cls, k: int) -> "Sketch":
        """Return the sketch of nothing."""
        none = np.zeros(0, np.int64)
        return cls(
            k,
            pa.array([], pa.string()),
            none,
            none.astype(np.uint64),
            none.astype(np.uint8),
            none.astype(np.int32),
        )

    def __add__(self, other: "Sketch") -> "Sketch":
        return total(self.k, [self, other])

    def figures(self) -> pa.Table:
        """Return what is known of each source, from the sketch alone.

        Returns:
            ``source``; ``distinct``, ``unlawful``, ``low`` and the characters of each, as :data:`models.tally.COUNTS` has them; ``counted``:
            code of :data:`COUNTED`, exact or estimated; ``sampled`` and ``sampled_unlawful``: records of the sample, all of them where
            figures are exact.
        """
        starts = np.cumsum(self.counts) - self.counts
        within = np.arange(len(self.hashes)) - np.repeat(starts, self.counts)
        # The last of k + 1 is only the mark up to which the sample goes.
        is_sample = within < self.k
        sampled = np.minimum(self.counts, self.k)
        distinct = sampled.copy()
        full = np.flatnonzero(self.counts > self.k)
        for at, mark in zip(full.tolist(), self.hashes[starts[full] + self.k].tolist(), strict=True):
            distinct[at] = max(self.k + 1, self.k * _SPACE // (mark + 1))
        length = self.characters.astype(np.int64)
        columns: dict[str, npt.NDArray[np.int64]] = {"distinct": distinct}
        sums: dict[str, npt.NDArray[np.int64]] = {}
        for name, chosen in (("", is_sample), *((s, is_sample & (self.strata == c)) for c, s in enumerate(STRATA[:2]))):
            sums[name] = _by_source(chosen.astype(np.int64), starts)
            sums[f"{name}characters"] = _by_source(chosen * length, starts)
        high, low = STRATA[:2]
        wanted = {
            "unlawful": sums[high],
            "low": sums[low],
            "characters": sums["characters"],
            "unlawful_characters": sums[f"{high}characters"],
            "low_characters": sums[f"{low}characters"],
        }
        columns |= {name: _scaled(part, distinct, sampled) for name, part in wanted.items()}
        counted = np.where(self.counts > self.k, ESTIMATED, EXACT)
        return pa.table(
            {
                "source": self.sources,
                **columns,
                "counted": counted,
                "sampled": sampled,
                "sampled_unlawful": sums[high],
            }
        )


def total(k: int, sketches: Iterable[Sketch]) -> Sketch:
    """Return the sum of sketches.

    Raises:
        ValueError: if one has another ``k``.
    """
    parts = [each for each in sketches if len(each.sources)]
    if any(each.k != k for each in parts):
        raise ValueError("sketches of different sizes do not add up; make all of them anew with one")
    if not parts:
        return Sketch.zero(k)
    names = ("counts", "hashes", "strata", "characters")
    columns = (np.concatenate([getattr(each, name) for each in parts]) for name in names)
    return of_rows(k, pa.concat_arrays([each.sources for each in parts]), *columns)


def of_rows(
    k: int,
    sources: pa.Array,
    counts: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    strata: npt.NDArray[np.uint8],
    characters: npt.NDArray[np.int32],
) -> Sketch:
    """Return the sketch of records that stand by source, a source as often as it likes.

    Args:
        sources: strings without nulls, shape (n,).
        counts: shape (n,): how many of the records belong to each.
        hashes, strata, characters: of the records, shape (sum of counts,).
    """
    encoded = sources.dictionary_encode()
    codes = np.repeat(encoded.indices.to_numpy().astype(np.int64), counts)
    return _least(k, encoded.dictionary, codes, hashes, strata, characters)


def hashes_of(contents: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """Return the first 8 bytes of content hashes of layers, ``binary(16)`` without nulls, as numbers, big endian.

    Two texts of a source that agree in them count as one: 0.03 pairs are to be expected among a billion records of one source.
    """
    contents = contents.combine_chunks() if isinstance(contents, pa.ChunkedArray) else contents
    if not len(contents):
        return np.zeros(0, np.uint64)
    pairs = np.frombuffer(contents.buffers()[1], ">u8")[2 * contents.offset :: 2]
    return pairs[: len(contents)].astype(np.uint64)


def order_of(codes: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the order by code, then by hash; codes are not negative."""
    bits = int(codes.max(initial=0)).bit_length()
    if not bits:
        return np.argsort(hashes)
    # One number is sorted three times as fast as two keys, and says nearly everything.
    packed = codes.astype(np.uint64) << np.uint64(64 - bits) | hashes >> np.uint64(bits)
    order = np.argsort(packed)
    packed, ordered = packed[order], hashes[order]
    if ((packed[1:] == packed[:-1]) & (ordered[1:] < ordered[:-1])).any():
        return np.lexsort((hashes, codes))
    return order


def _least(
    k: int,
    names: pa.Array,
    codes: npt.NDArray[np.int64],
    hashes: npt.NDArray[np.uint64],
    strata: npt.NDArray[np.uint8],
    characters: npt.NDArray[np.int32],
) -> Sketch:
    """Return the sketch of records by number of their source in ``names``."""
    if not len(codes):
        return Sketch.zero(k)
    order = pc.sort_indices(names).to_numpy()
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    codes = rank[codes]
    by = order_of(codes, hashes)
    codes, hashes, strata, characters = codes[by], hashes[by], strata[by], characters[by]
    first = np.ones(len(codes), np.bool_)
    first[1:] = (codes[1:] != codes[:-1]) | (hashes[1:] != hashes[:-1])
    at = np.flatnonzero(first)
    strata, characters = np.minimum.reduceat(strata, at), np.maximum.reduceat(characters, at)
    codes, hashes = codes[at], hashes[at]
    starts = np.searchsorted(codes, np.arange(len(names)))
    kept = np.arange(len(codes)) - starts[codes] <= k
    counts = np.bincount(codes[kept], minlength=len(names)).astype(np.int64)
    return Sketch(k, names.take(pa.array(order)), counts, hashes[kept], strata[kept], characters[kept])


def _by_source(values: npt.NDArray[np.int64], starts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0, np.int64)


def _scaled(
    part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64], sampled: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return parts of a sample brought to the whole, rounded down, exactly: products pass 64 bits only where the whole was estimated."""
    found = part.copy()
    for at in np.flatnonzero(whole != sampled).tolist():
        found[at] = int(part[at]) * int(whole[at]) // int(sampled[at])
    return found
