"""The figures of a release beyond counts and sources: what the report shows, added up from the catalogue and kept in ``summary.json``."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from models.catalogue import Row
from models.causes import Causes
from models.matched_works import MatchedWorks

FORMAT = 1

SHARDS = 20
"""Shards with dead letters that are named; the others are added up."""
ROLLUPS = 50
"""Roll-ups that are named."""
MOVES = 50
"""Sources that are named of those of which suddenly more or less is removed."""


@dataclass(frozen=True)
class Figures:
    """Sums over a corpus, in small maps whatever its size.

    Attributes:
        reasons: how many records each ``category\\taction`` applied to.
        fates: what became of the records with each category, as ``category\\tfate``, see :func:`models.fates.fates_of`.
        applied: how many records each ``rule\\taction\\ttagger`` applied to, whichever decided.
        flow: how many records left by each ``action\\trule\\ttagger``, see :class:`models.release_pass.Released`.
        errors: how many dead letters of each class.
        dead_by_shard: shards with most dead letters, and how many; at most :data:`SHARDS`.
        dead_shards: how many shards have dead letters.
        works: id, records and longest run of the works with most records; at most :data:`models.matched_works.NAMED`.
        works_found: how many works were matched.
        works_exact: whether figures of works are exact, or lower bounds.
        languages: records and characters by language.
        removed: records that were removed for what was found in them.
        causes: what alone removes most of them, see :meth:`models.causes.Causes.most`.
        moves: sources of which suddenly more or less is removed: ``count`` of them, and ``named``, at most :data:`MOVES`, those with most records
            first: source, reason, removed, of how many, and what both were (null if nothing was there).
        rollups: what sources come to together: ``count`` of keys above sources, and ``named``, at most :data:`ROLLUPS`, the worst and largest first: key,
            worst state, how many sources, of how many of these it is that state, unlawful, distinct, removed, of how many.
        changes: since the release before, see :func:`pipeline.changes.changes`; empty for the first.
    """

    reasons: Mapping[str, int] = field(default_factory=dict)
    fates: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)
    flow: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    dead_by_shard: Sequence[Sequence[Any]] = ()
    dead_shards: int = 0
    works: Sequence[Sequence[Any]] = ()
    works_found: int = 0
    works_exact: bool = True
    languages: Mapping[str, Sequence[int]] = field(default_factory=dict)
    removed: int = 0
    causes: Sequence[Sequence[Any]] = ()
    moves: Mapping[str, Any] = field(default_factory=dict)
    rollups: Mapping[str, Any] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> "Figures":
        return cls(**{name: value for name, value in facts.items() if name != "format"})


def gather(rows: Iterable[Row]) -> Figures:
    """Add up the rows of a catalogue."""
    reasons, fates, applied, flow, errors, dead = (Counter[str]() for _ in range(6))
    languages: dict[str, list[int]] = {}
    works, causes = MatchedWorks(), Causes()
    for row in rows:
        reasons.update(row.release.reasons)
        fates.update(row.release.fates)
        applied.update(row.release.applied)
        flow.update(row.release.flow)
        errors.update(row.release.errors)
        if row.release.counts["dead"]:
            dead[row.split.shard.path] += row.release.counts["dead"]
        works.add(row.release.works)
        causes.add(row.release.causes)
        for language, (records, characters) in row.languages.items():
            known = languages.setdefault(language, [0, 0])
            known[0] += records
            known[1] += characters
    return Figures(
        dict(sorted(reasons.items())),
        dict(sorted(fates.items())),
        dict(sorted(applied.items())),
        dict(sorted(flow.items())),
        dict(sorted(errors.items())),
        [list(item) for item in sorted(dead.items(), key=lambda item: (-item[1], item[0]))[:SHARDS]],
        len(dead),
        works.most(),
        works.found,
        works.exact,
        dict(sorted(languages.items())),
        causes.removed,
        causes.most(),
    )
