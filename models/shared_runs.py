"""Shared runs: which stretches of a record registered works have, too.

A run is a sequence of consecutive fingerprints of the record that one work has; fingerprints set aside as common may lie between. Its
span goes from the start of its first gram to the end of its last, so it may fall short of what is really shared by up to
:data:`models.fingerprints.WINDOW` bytes of form on each side, and never goes beyond it. Where in the work the run stands is not
known: a text put together of passages of a work without a gap is one run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from models.fingerprint_form import RowForm
from models.fingerprint_index import Index
from models.fingerprints import GRAM, Fingerprints, fingerprints
from models.view import Ints, View

MOST_HITS = 1_000_000
"""Pairs of fingerprint and work that are looked at in one record; 16 MiB of one work have about as many fingerprints."""


@dataclass(frozen=True)
class Shared:
    """What one record and one work share.

    Attributes:
        row: the record.
        work: number of the work in its index.
        containment: share of the characters of the record's form that lie in runs, over 0 to 1.
        spans: of the runs, half open, in code points of the original, in text order.
    """

    row: int
    work: int
    containment: float
    spans: tuple[tuple[int, int], ...]

    @property
    def longest(self) -> tuple[int, int]:
        """The longest run, the first of several."""
        return max(self.spans, key=lambda span: (span[1] - span[0], -span[0]))


def shared_runs(view: View, index: Index, least_run: int = 0) -> Iterator[tuple[int, list[Shared], bool]]:
    """Give each record that shares runs of at least ``least_run`` code points with works.

    Yields:
        the record, what it shares, greatest containment first and then by work, and whether there was more than
        :data:`MOST_HITS` allows to look at.
    """
    for part in fingerprints(view):
        places, works, common = index.look_up(part.hashes)
        if not len(places):
            continue
        rows = part.rows[places]
        looked_at = np.arange(len(rows)) - np.searchsorted(rows, rows, side="left") < MOST_HITS
        cut_short = set(np.unique(rows[~looked_at]).tolist())
        runs = _runs(part, places[looked_at], works[looked_at], common)
        for row in np.unique(rows).tolist():
            here = runs[slice(*np.searchsorted(runs[:, 0], (row, row + 1)))]
            shared = list(_shared(RowForm(view, row), row, here, least_run))
            shared.sort(key=lambda each: (-each.containment, each.work))
            if shared or row in cut_short:
                yield row, shared, row in cut_short


def _runs(part: Fingerprints, places: Ints, works: Ints, common: Ints) -> Ints:
    """Return runs as rows of record, work, and first and last byte of the form, half open; sorted.

    Args:
        places, works: pairs of fingerprints and works that have them.
        common: places of fingerprints that are set aside.
    """
    rows = part.rows[places]
    order = np.lexsort((places, works, rows))
    rows, works, places = rows[order], works[order], places[order]
    aside = np.zeros(len(part.hashes) + 1, np.int64)
    aside[common + 1] = 1
    aside = np.cumsum(aside)  # how many of the fingerprints before each place are set aside
    between = places[1:] - places[:-1] - 1
    goes_on = (
        (rows[1:] == rows[:-1]) & (works[1:] == works[:-1]) & (aside[places[1:]] - aside[places[:-1] + 1] == between)
    )
    heads = np.flatnonzero(np.concatenate(([True], ~goes_on)))
    tails = np.append(heads[1:], len(places)) - 1
    starts, ends = part.starts[places[heads]], part.starts[places[tails]] + GRAM
    return np.stack((rows[heads], works[heads], starts, ends), axis=1)


def _shared(form: RowForm, row: int, runs: Ints, least_run: int) -> Iterator[Shared]:
    for work in np.unique(runs[:, 1]).tolist():
        pieces = [form.whole(start, end) for start, end in runs[runs[:, 1] == work, 2:].tolist()]
        spans = form.spans(pieces)
        long = [end - start >= least_run for start, end in spans]
        kept = [span for span, is_long in zip(spans, long, strict=True) if is_long]
        if kept:
            covered, reached = 0, 0
            for (start, end), is_long in zip(pieces, long, strict=True):
                if is_long and end > reached:
                    covered += form.count(max(start, reached), end)
                    reached = end
            yield Shared(row, work, covered / form.characters, tuple(kept))
