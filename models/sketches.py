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

from models.tally import STRATA

EXACT, SAMPLED = "exact", "sketch"
"""What figures are: of all distinct records, or from a sample of them."""

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
        hashes = np.frombuffer(b"".join([each[:8] for each in contents.to_pylist()]), ">u8").astype(np.uint64)
        names = pc.unique(sources)
        codes = pc.index_in(sources, value_set=names).to_numpy(zero_copy_only=False).astype(np.int64)
        return _least(k, names, codes, hashes, strata, characters)

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
            :data:`EXACT` or :data:`SAMPLED`; ``sampled`` and ``sampled_unlawful``: records of the sample, all of them where figures are exact.
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
        counted = pa.array(np.where(self.counts > self.k, SAMPLED, EXACT).tolist(), pa.string())
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
    parts = list(sketches)
    if any(each.k != k for each in parts):
        raise ValueError("sketches of different sizes do not add up; make all of them anew with one")
    parts = [each for each in parts if len(each.sources)]
    if not parts:
        return Sketch.zero(k)
    names = pc.unique(pa.concat_arrays([each.sources for each in parts]))
    codes = [
        np.repeat(pc.index_in(each.sources, value_set=names).to_numpy().astype(np.int64), each.counts) for each in parts
    ]
    rest = (np.concatenate([getattr(each, name) for each in parts]) for name in ("hashes", "strata", "characters"))
    return _least(k, names, np.concatenate(codes), *rest)


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
    by = np.lexsort((hashes, codes))
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
