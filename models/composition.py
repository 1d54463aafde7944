"""What a release is made of: its clean records by source, language, kind and origin, and how evenly sources share them.

The Herfindahl–Hirschman index of a language is the sum of the squared shares of its sources (Herfindahl 1950, Hirschman 1945): 1 where one
source has everything, 1/n where n sources have equally much. All figures are integers and fractions.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.breakdown import COUNTS
from models.source_registry import KINDS, ORIGINS
from models.summing import Sums

UNKNOWN = "unknown"
CLEAN_ACTIONS = ("keep", "redact")
NO_LANGUAGE = ("", "und", "zxx")
"""What is no language: not told, and without letters; ``und-Latn`` is of the first kind."""


@dataclass(frozen=True)
class Registry:
    """Kind and origin of sources, as a registry said on the day of the run; others are ``unknown``.

    Attributes:
        table: see :data:`models.registered.REGISTRY`.
    """

    table: pa.Table

    def look_up(self, column: str, names: pa.Array, values: tuple[str, ...]) -> npt.NDArray[np.int64]:
        """Return which of the values each source has."""
        known = pc.fill_null(pc.index_in(self.table[column], pa.array(values)), values.index(UNKNOWN))
        known = known.combine_chunks() if isinstance(known, pa.ChunkedArray) else known
        at = pc.index_in(names, self.table["source"].combine_chunks())
        found = pc.fill_null(known.take(at), values.index(UNKNOWN))
        return np.asarray(found.to_numpy(zero_copy_only=False), np.int64)


@dataclass
class Part:
    """The clean records of allowed sources in a language, or in all.

    Attributes:
        sources: how many have some.
        squares: sum of the squared numbers of records of each source.
        largest: the source with most records, of equal ones the first by name; and how many.
        kinds, origins: by name: sources, records, characters.
    """

    sources: int = 0
    records: int = 0
    characters: int = 0
    squares: int = 0
    largest: tuple[str, int] = ("", 0)
    kinds: dict[str, list[int]] = field(default_factory=dict)
    origins: dict[str, list[int]] = field(default_factory=dict)

    @property
    def concentration(self) -> Fraction:
        """The Herfindahl–Hirschman index of records; 0 of nothing."""
        return Fraction(self.squares, self.records**2) if self.records else Fraction(0)

    @property
    def largest_share(self) -> Fraction:
        return Fraction(self.largest[1], self.records) if self.records else Fraction(0)

    def of_origin(self, origin: str) -> tuple[int, int, int]:
        """Return sources, records and characters of an origin."""
        sources, records, characters = self.origins.get(origin, (0, 0, 0))
        return sources, records, characters


@dataclass(frozen=True)
class Composition:
    """Attributes:
    languages: by language, as layers tell it.
    whole: of all languages; a source counts once.
    refused: clean records of sources that may not be trained on, by state.
    """

    languages: Mapping[str, Part]
    whole: Part
    refused: Mapping[str, int]

    def judged(self, least_share: Fraction, named: Iterable[str] = ()) -> list[str]:
        """Return the languages of which something is asked.

        Args:
            least_share: of all clean records; what has less may be a slip of the detection.
            named: languages that the corpus is meant to be of; then these and no others.
        """
        if wanted := list(named):
            return wanted
        return [
            language
            for language, part in self.languages.items()
            if is_language(language) and part.records >= least_share * self.whole.records
        ]


def is_language(code: str) -> bool:
    return code.partition("-")[0] not in NO_LANGUAGE


def compose(breakdown: Iterable[pa.Table], refused: Mapping[str, str], registry: Registry, folder: Path) -> Composition:
    """Add up a breakdown.

    Args:
        breakdown: see :data:`models.breakdown.SCHEMA`.
        refused: sources that may not be trained on, with their states: what they have among the clean counts apart.
        folder: on this machine, for what does not fit into memory.
    """
    states = sorted(set(refused.values()))
    names = pa.array(list(refused), pa.string())
    codes = np.array([states.index(state) for state in refused.values()], np.int64)
    apart: Counter[str] = Counter()
    with (
        Sums(dict.fromkeys(COUNTS, "sum"), folder, keys=("language", "source")) as by_language,
        Sums(dict.fromkeys(COUNTS, "sum"), folder) as by_source,
    ):
        for table in breakdown:
            for state, records in _refused(clean := _clean(table), names, codes, states):
                apart[state] += records
            clean = clean.filter(pc.invert(pc.is_in(clean["source"], names)))
            by_language.add(clean.select(["language", "source", *COUNTS]))
            by_source.add(clean.select(["source", *COUNTS]))
        languages: dict[str, Part] = {}
        for chunk in by_language.chunks():
            for language in chunk["language"].unique().to_pylist():
                own = chunk.filter(pc.equal(chunk["language"], language))
                _add(languages.setdefault(language, Part()), own, registry)
        whole = Part()
        for chunk in by_source.chunks():
            _add(whole, chunk, registry)
    ordered = sorted(languages.items(), key=lambda item: (-item[1].records, item[0]))
    return Composition(dict(ordered), whole, dict(sorted(apart.items())))


def _clean(table: pa.Table) -> pa.Table:
    is_clean = pc.and_(pc.equal(table["dimension"], "action"), pc.is_in(table["value"], pa.array(CLEAN_ACTIONS)))
    return table.filter(is_clean)


def _refused(
    clean: pa.Table, names: pa.Array, codes: npt.NDArray[np.int64], states: list[str]
) -> Iterator[tuple[str, int]]:
    at = pc.index_in(clean["source"], names)
    rows = clean.filter(pc.is_valid(at))
    places = pc.drop_null(at).to_numpy()
    for code, records in zip(codes[places].tolist(), rows["records"].to_pylist(), strict=True):
        yield states[code], records


def _add(part: Part, rows: pa.Table, registry: Registry) -> None:
    if not len(rows):
        return
    records, characters = rows["records"].to_numpy(), rows["characters"].to_numpy()
    part.sources += len(rows)
    part.records += int(records.sum())
    part.characters += int(characters.sum())
    # By Python, whose integers have no end: a square may pass 64 bits.
    part.squares += sum(count * count * times for count, times in _counted(records))
    most = int(np.argmax(records))  # the first of equal ones, and rows are sorted
    if int(records[most]) > part.largest[1]:
        part.largest = rows["source"][most].as_py(), int(records[most])
    names = rows["source"].combine_chunks()
    for known, column, values in ((part.kinds, "kind", KINDS), (part.origins, "origin", ORIGINS)):
        codes = registry.look_up(column, names, values)
        for code in np.unique(codes).tolist():
            own = codes == code
            sums = known.setdefault(values[code], [0, 0, 0])
            for at, count in enumerate((own.sum(), records[own].sum(), characters[own].sum())):
                sums[at] += int(count)


def _counted(records: npt.NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    values, times = np.unique(records, return_counts=True)
    return zip(values.tolist(), times.tolist(), strict=True)
