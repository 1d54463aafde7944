"""Entering into the ledger of reviews what was drawn and what a detector found in it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.chain import Entry
from models.errors import UsageError
from models.reviews import CHECK, SAMPLE, Reviews, Sample, chain_of, keep_table
from models.store import Store


@dataclass(frozen=True)
class Draw:
    """How was drawn.

    Attributes:
        purpose: one of those of :mod:`models.reviews`.
        salt: as the operator gave it.
        new_series: why another salt than the last takes over from here; empty if none is to.
        day: on which it was drawn, ISO 8601.
        release: that was drawn from.
        population: how many records it was drawn from.
        run: id of the release's run.
    """

    purpose: str
    salt: str
    new_series: str
    day: str
    release: int
    population: int
    run: str


def check_series(reviews: Reviews, salt: str, new_series: str) -> int:
    """Return the number of the series that a salt draws in.

    Raises:
        UsageError: if it is another than the last and nobody says why, or was given up before.
    """
    number, last = reviews.series
    if salt == last:
        return number
    earlier = {e.facts["salt"]: e.id for e in reviews.entries if e.facts["kind"] in (SAMPLE, CHECK)}
    if salt in earlier:
        raise UsageError(f"--salt: its series ended after {earlier[salt]}; who knows it could draw again: take another")
    if number and not re.search(r"\w", new_series):
        raise UsageError(
            f"--salt: this corpus draws by another one, that of series {number}: give that, so that verdicts that are there count on; or begin "
            "a new series, in which everything is drawn anew, with --new-series REASON"
        )
    return number + 1


def enter_sample(
    store: Store, folder: Path, draw: Draw, table: pa.Table, said: Mapping[str, Any]
) -> tuple[Sample, Reviews]:
    """Enter what was drawn, unless the same was drawn of the same release, and return it with the ledger as it then stands.

    Args:
        table: see :data:`models.reviews.DRAWN`.
        said: facts besides those of the draw.

    Raises:
        UsageError: if the salt does not go on with the series.
    """
    named = keep_table(store, folder, SAMPLE, table)
    same: list[str] = []

    def make(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
        reviews = Reviews(store, entries)
        facts = {**_facts(SAMPLE, draw, check_series(reviews, draw.salt, draw.new_series)), "table": named, **said}
        same[:] = [e.id for e in entries if _is_same(e.facts, facts)]
        return None if same else facts

    entry = chain_of(store).append(make)
    reviews = Reviews(store, chain_of(store).entries())
    return reviews.samples[entry.id if entry else same[-1]], reviews


def enter_check(store: Store, draw: Draw, said: Mapping[str, Any]) -> str:
    """Enter what a held-out detector found in a sample, unless that was entered before, and return the id.

    Raises:
        UsageError: if the salt does not go on with the series.
    """
    same: list[str] = []

    def make(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
        reviews = Reviews(store, entries)
        facts = {**_facts(CHECK, draw, check_series(reviews, draw.salt, draw.new_series)), **said}
        same[:] = [e.id for e in entries if _is_same(e.facts, facts)]
        return None if same else facts

    entry = chain_of(store).append(make)
    return entry.id if entry else same[-1]


def _facts(kind: str, draw: Draw, series: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "purpose": draw.purpose,
        "salt": draw.salt,
        "series": series,
        "series_reason": draw.new_series.strip(),
        "drawn": draw.day,
        "release": draw.release,
        "population": draw.population,
        "run": draw.run,
    }


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two entries say the same, whatever the day; a reason for a series says it once."""
    passing = ("drawn", "series_reason")
    return {k: v for k, v in one.items() if k not in passing} == {k: v for k, v in other.items() if k not in passing}
