"""The technical test: what a detector that had no part in filtering finds in a tenth of what was kept (TC260-003, 9.2 b)."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from models.drawing import check_salt
from models.errors import UsageError
from models.findings import ERROR, UNSCANNED
from models.holding_out import artefacts_of, in_common
from models.job import Job
from models.operating import most_allowed
from models.policy import Decider
from models.review_entering import check_series, enter_check
from models.reviews import read_reviews
from models.tagging import ensure_loaded, tag
from models.tally import by_row
from models.taxonomy import load_taxonomy
from pipeline.corpus import Corpus, Release
from pipeline.review_draw import Drawer, documents_of
from pipeline.review_sample import Wanted, draw_of

LEAST_SHARE = Fraction(1, 10)
MOST_BAD = Fraction(2, 100)


@dataclass(frozen=True)
class Checked:
    """What a held-out detector found.

    Attributes:
        entry: of the ledger.
        facts: as entered.
    """

    entry: str
    facts: Mapping[str, Any]


def check_held_out(release: Release, detector: Job) -> None:
    """Make sure that nothing of a detector filtered a release: it would pass by its own work.

    Raises:
        UsageError: naming what they have in common, or if the release does not say by which files it was filtered.
    """
    filtering = release.manifest["job"]
    if "artefacts" not in filtering:
        raise UsageError(
            f"release {release.number} does not say by which lists and models it was filtered, so no detector can be told to be another; make it "
            "anew with this version"
        )
    same = in_common(detector.wanted, artefacts_of(detector.taggers), filtering["taggers"], filtering["artefacts"])
    if same:
        raise UsageError(
            f"--detector: {', '.join(same)} filtered release {release.number} as well, which passes its own test by construction; name a run file "
            "with other lists and models"
        )
    if not detector.taggers:
        raise UsageError("--detector: its run file has no tagger, so it would find nothing")


def check_technically(corpus: Corpus, wanted: Wanted, detector: Job) -> Checked:
    """Draw a tenth of the records of the clean door, run a detector over their texts, and enter what it found.

    A record is bad if the detector finds a risk of the whole taxonomy in it, of the score that its policy asks of unlawful ones, fails on it or
    declines it. Texts are those before redaction.

    Raises:
        UsageError: if the detector is not held out.
    """
    release = corpus.release()
    key = check_salt(wanted.salt)
    check_series(read_reviews(corpus.store), wanted.salt, wanted.new_series)
    check_held_out(release, detector)
    for tagger in detector.taggers:
        ensure_loaded(tagger, detector.wanted[tagger.name])
    drawer = Drawer(corpus, release, key)
    histogram = drawer.histogram()
    population = histogram.total
    if not population:
        raise UsageError(f"release {release.number}: nothing left by the clean door, so there is nothing to test")
    bound = histogram.bound(-(-population * LEAST_SHARE.numerator // LEAST_SHARE.denominator))
    decider = _decider(detector)
    drawn = 0
    bad: Counter[str] = Counter()
    for rows in _by_shard(drawer.below(bound)):
        drawn += len(rows)
        for _, _, documents in documents_of(drawer.catalogue, rows):
            bad.update(_found(tag(documents, detector.taggers).table, decider))
    hits = bad.pop("", 0)
    allowed = most_allowed(drawn, MOST_BAD)
    policy = detector.policy
    facts = {
        "bound": bound,
        "checked": drawn,
        "bad": hits,
        "allowed": allowed,
        "passed": hits <= allowed,
        "by_category": dict(sorted(bad.items())),
        "detector": {
            "taggers": detector.wanted,
            "artefacts": artefacts_of(detector.taggers),
            "policy": f"{policy.name}@{policy.version}",
            "at_least_score": str(policy.sources.unlawful.at_least_score),
        },
        "filter": {name: release.manifest["job"][name] for name in ("taggers", "artefacts")},
    }
    entry = enter_check(corpus.store, draw_of(release, wanted, population), facts)
    return Checked(entry, facts | {"population": population, "release": release.number})


def _decider(detector: Job) -> Decider:
    """Return what tells bad records by the detector's score over all risks: the 98 % count A.5 too, unlike the 5 %."""
    policy = detector.policy
    every = tuple(sorted(load_taxonomy(policy.taxonomy).ids))
    sources = policy.sources.model_copy(
        update={"unlawful": policy.sources.unlawful.model_copy(update={"categories": every})}
    )
    return Decider(policy.model_copy(update={"sources": sources}))


def _by_shard(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Join what was drawn of the splits of one shard, which one reading gives."""
    some = (each for each in tables if len(each))
    for _, group in itertools.groupby(some, key=lambda table: table["shard"][0].as_py()):
        yield pa.concat_tables(group).combine_chunks()


def _found(findings: pa.Table, decider: Decider) -> Counter[str]:
    """Count bad records, under "" and by category."""
    counts: Counter[str] = Counter()
    failed = findings.filter(pc.is_in(findings["category"], value_set=pa.array([ERROR, UNSCANNED])))
    rows = set(failed["row"].to_pylist())
    counts.update({"unscanned or failed": len(rows)} if rows else {})
    for row, found in by_row(findings):
        bad = {each.category for each in found if each.category != UNSCANNED and decider.unlawful([each])}
        counts.update(bad)
        if bad:
            rows.add(row)
    counts[""] += len(rows)
    return counts
