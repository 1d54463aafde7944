"""Assessing a source before collection: what a probe of it holds, and whether more of it may be collected.

TC260-003, 5.1 a: a source with more than 5 % unlawful and unhealthy information is not to be collected. The probe is read and tagged as a run
would do it, all of it counts as one source, exact duplicates once over the whole probe, and the policy's reading of the rule judges it.
Dead letters are not qualified until somebody has looked at them (TC260-003, 3.4, read strictly), so each counts as unlawful. What a detector
declined to scan may hold anything: where the source is clean only because that is not counted, nothing is decided.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.decisions import override_basis
from models.documents import Documents
from models.errors import UsageError
from models.files import Opener
from models.findings import ERROR, UNSCANNED
from models.intervals import Calibration, Interval, wilson
from models.job import Job
from models.layer import LayerBuilder, Merged, merge
from models.parsing import is_source_in_path
from models.policy import Decider
from models.purge import purged_rows
from models.shard import Shard, Split
from models.source_reading import SourceReading
from models.source_rule import BASES, DETECTOR, NOT_MANUAL, Blacklist, Evidence, Judgement, judge
from models.sources import INSUFFICIENT, STATES, WATCH
from models.summing import How, Sums
from models.tag_pass import Beat, tagged_entries
from models.tally import DISTINCT, by_row, is_counted, strata

Decision = Literal["allowed", "not allowed", "undecided"]

BLOCKED = "blocked"
"""Start of the categories of what must not be corpus at all (TC260-003, 5.1 d); it counts towards no share."""

_MILLION = 10**6


@dataclass(frozen=True)
class Probe:
    """What a probe holds, as counts of records.

    Attributes:
        source: that all of it counts for.
        shards: path, SHA-256 and bytes of each, sorted by path.
        read: that could be read and may be kept, duplicates among them.
        distinct: of these, after removing exact duplicates over the whole probe.
        unlawful: of the distinct, those that count as unlawful by the policy: the stratum ``high``.
        low: of the distinct, those of the stratum ``low``.
        unscanned: of the distinct, those that a tagger declined and that are not unlawful anyway.
        characters, unlawful_characters, low_characters: code points of the distinct, and of those of the strata.
        errors: dead letters by class, lost records among them.
        purged: of which nothing may be kept but the hash.
        risks: unlawful records read, by category of the finding; one may have several.
        blocked: records read or purged with a finding of that category.
        actions: what the policy makes of the records read, by action; purged ones are left out.
        blocked_actions: the same of those that are blocked.
        otherwise: records read that name another source than this one.
    """

    source: str
    shards: tuple[tuple[str, str, int], ...]
    read: int
    distinct: int
    unlawful: int
    low: int
    unscanned: int
    characters: int
    unlawful_characters: int
    low_characters: int
    errors: Mapping[str, int]
    purged: int
    risks: Mapping[str, int]
    blocked: Mapping[str, int]
    actions: Mapping[str, int]
    blocked_actions: Mapping[str, int]
    otherwise: int

    @property
    def dead(self) -> int:
        return sum(self.errors.values())

    @property
    def counted(self) -> tuple[int, int]:
        """What is judged: records that are unlawful or dead, of all that are distinct or dead."""
        return self.unlawful + self.dead, self.distinct + self.dead


@dataclass(frozen=True)
class History:
    """What was decided about a source before.

    Attributes:
        is_blacklisted: by the last decision.
        override: id of the entry of the ledger and state of an override that is in force, or None.
        above: the same of the worst one on what the source lies in, with its key: ``D0001 of KEY``; it condemns and never clears.
    """

    is_blacklisted: bool = False
    override: tuple[str, str] | None = None
    above: tuple[str, str] | None = None


@dataclass(frozen=True)
class Assessment:
    """What a probe came to.

    Attributes:
        state: one of :data:`models.sources.STATES`.
        basis: what it rests on: one of :data:`models.source_rule.BASES`, or ``override D0001``.
        decision: whether more may be collected.
        why: in words, what stands in the way of the figures; empty for nothing.
        estimate: the share, in millionths; None without a record.
        limits: of the estimate by its basis, in millionths, rounded outwards; None where the basis is the detectors, of whose errors nothing is
            known, or an override.
        sampling: the limits that the probe's size alone gives (Wilson, at ``z_clean``), which hold if the detectors are right and the probe
            was drawn at random; None without a record.
    """

    probe: Probe
    state: str
    basis: str
    decision: Decision
    why: str
    estimate: int | None
    limits: tuple[int, int] | None
    sampling: tuple[int, int] | None

    @property
    def collect_allowed(self) -> bool:
        return self.decision == "allowed"


def read_probe(shards: Iterable[Shard], source: str, job: Job, opener: Opener, folder: Path, beat: Beat) -> Probe:
    """Tag and count a probe, split by split.

    Args:
        source: key that all of it counts for.
        folder: on this machine, for counts that do not fit into memory.

    Raises:
        UsageError: if there is no record at all: nothing was looked at, so nothing is clean.
    """
    shards = sorted(shards, key=lambda shard: shard.path)
    counting = _Counting(source, job, opener, beat)
    with Sums(_CONTENT, folder) as contents:
        for shard in shards:
            for split in shard.splits():
                contents.add(counting.count(split))
        sums = _added(contents)
    errors = _sorted(counting.errors)
    if not counting.read and not counting.purged:
        said = ", ".join(f"{count} {error}" for error, count in errors.items())
        raise UsageError(
            f"the probe of {source} has no record at all{f', but {said}' if said else ''}; check the paths, the text column and the "
            "encoding"
        )
    return Probe(
        source=source,
        shards=tuple((shard.path, shard.checksum, shard.size) for shard in shards),
        read=counting.read,
        errors=errors,
        purged=counting.purged,
        risks=_sorted(counting.risks),
        blocked=_sorted(counting.blocked),
        actions=_sorted(counting.actions),
        blocked_actions=_sorted(counting.blocked_actions),
        otherwise=counting.otherwise,
        **{name: sums[name] for name in ("unscanned", *DISTINCT)},
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def _added(contents: Sums) -> Counter[str]:
    """Add up what is known of each distinct content."""
    sums: Counter[str] = Counter()
    for chunk in contents.chunks():
        stratum, unscanned, characters = (chunk[name].to_numpy() for name in _CONTENT)
        sums["distinct"] += len(chunk)
        sums["unscanned"] += int(unscanned[stratum > 0].sum())
        sums["characters"] += int(characters.sum())
        for code, name in enumerate(("unlawful", "low")):
            sums[name] += int((stratum == code).sum())
            sums[f"{name}_characters"] += int(characters[stratum == code].sum())
    return sums


_CONTENT: dict[str, How] = {"stratum": "min", "unscanned": "max", "characters": "max"}
"""What is known of each distinct content, and how what records of it say comes together: the worst counts."""


@dataclass
class _Counting:
    """Counts that grow split by split."""

    source: str
    job: Job
    opener: Opener
    beat: Beat
    read: int = 0
    purged: int = 0
    otherwise: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    risks: Counter[str] = field(default_factory=Counter)
    blocked: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    blocked_actions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._decider = Decider(self.job.policy)

    def count(self, split: Split) -> pa.Table:
        """Tag a split, add its counts, and return its records by content: the hash, and :data:`_CONTENT`."""
        known, others = self._tagged(split)
        broken = self._count_errors(known)
        purged = purged_rows(known.findings)
        alive = is_counted(known.records).to_numpy().copy()
        alive[sorted(broken)] = False
        self.purged += len(purged)
        self.read += int(alive.sum())
        self.otherwise += int(others[alive].sum())
        self._count_findings(known, alive)
        unscanned = np.zeros(len(known.records), np.int64)
        unscanned[known.findings.filter(pc.equal(known.findings["category"], UNSCANNED))["row"].to_numpy()] = 1
        table = pa.table(
            {
                "source": pa.array([content.hex() for content in known.records["content"].to_pylist()], pa.string()),
                "stratum": strata(known, self._decider).astype(np.int64),
                "unscanned": unscanned,
                "characters": known.records["characters"].cast(pa.int64()),
            }
        )
        return table.filter(pa.array(alive))

    def _tagged(self, split: Split) -> tuple[Merged, npt.NDArray[np.bool_]]:
        """Return what is found in a split, and which of its entries name another source."""
        job = self.job
        in_path = is_source_in_path(split.shard.columns, job.reading)
        builder, named = LayerBuilder(), dict[int, bool]()

        def see(documents: Documents) -> Documents:
            # A probe's path says nothing of whose it is; what a record itself names, taggers see as a run would.
            return replace(documents, source=self._own(len(documents))) if in_path else documents

        for parsed, found in tagged_entries(split, job.taggers, job, self.opener, self.beat, see=see):
            rows = parsed.documents.rows.tolist()
            is_other = pc.not_equal(parsed.documents.source, self.source).to_pylist()
            named.update(zip(rows, [False] * len(rows) if in_path else is_other, strict=True))
            builder.add(parsed, found, self._own(len(rows)))
        layer = builder.build("", split.cut.checksum, dict(job.wanted))
        others = np.zeros(len(layer.records), np.bool_)
        # Rows of a row group that turned out unreadable are gone from the layer.
        for row, is_one in named.items():
            if row < len(others):
                others[row] = is_one
        return merge([layer], job.wanted, split.cut.checksum), others

    def _own(self, count: int) -> pa.Array:
        return pa.array([self.source] * count, pa.string())

    def _count_errors(self, known: Merged) -> set[int]:
        """Count dead letters, lost records with them, and return the records on which a tagger raised."""
        errors, lost = known.records["error"].cast(pa.string()).to_pylist(), known.records["lost"].to_pylist()
        for error, count in zip(errors, lost, strict=True):
            if error is not None:
                self.errors[error] += count
        found = known.findings
        purged = purged_rows(found)
        rows = set(found.filter(pc.equal(found["category"], ERROR))["row"].to_pylist())
        broken = {row for row in rows if errors[row] is None and row not in purged}
        if broken:
            self.errors["tagger_error"] += len(broken)
        return broken

    def _count_findings(self, known: Merged, alive: npt.NDArray[np.bool_]) -> None:
        """Count risks, what is blocked, and what the policy makes of each record."""
        lengths = known.records["characters"].to_pylist()
        left = int(alive.sum())
        for row, found in by_row(known.findings):
            hits = {each.category for each in found if each.category.partition(".")[0] == BLOCKED}
            self.blocked.update(hits)
            if not alive[row]:
                continue
            left -= 1
            self.risks.update({each.category for each in found if self._decider.unlawful([each])})
            action = self._decider.decide(lengths[row], found).action
            self.actions[action] += 1
            self.blocked_actions.update([action] if hits else [])
        if left:
            self.actions["keep"] += left


def assess(
    probe: Probe, reading: SourceReading, calibration: Calibration | None = None, history: History = History()
) -> Assessment:
    """Judge a probe before collection by a reading of the rule.

    An override in force decides in place of the figures, and so does one on what the source lies in where that is worse. A source that is blacklisted stays so in the interval reading unless the probe clears
    it, see :func:`models.source_rule.judge`.

    Args:
        calibration: of the detectors on records like these, arrays of shape (1,).
    """
    found = _assess(probe, reading, calibration, history)
    if history.above is None:
        return found
    own, above = STATES.index(found.state), STATES.index(history.above[1])
    if above < own or (above == own and history.override is not None):
        return found
    return _assess(probe, reading, calibration, replace(history, override=history.above))


def _assess(probe: Probe, reading: SourceReading, calibration: Calibration | None, history: History) -> Assessment:
    """Judge a probe by its figures and the override on its source alone."""
    unlawful, records = probe.counted
    judged = _judged(unlawful, records, reading, calibration, history)
    state, basis, why = STATES[int(judged.state[0])], BASES[int(judged.basis[0])], ""
    collect, is_decided = bool(judged.collect[0]), history.override is not None
    if history.override is not None:
        basis = override_basis(history.override[0])
    elif not records:
        state, collect, why = INSUFFICIENT, False, "all records are on lists of contents to purge, so none is judged"
    elif collect and not _judged(unlawful + probe.unscanned, records, reading, calibration, history).collect[0]:
        state, collect = INSUFFICIENT, False
        why = f"{probe.unscanned:,} records were not scanned by every detector; it is clean only if they are"
    refused: Decision = "undecided" if state in (INSUFFICIENT, WATCH) else "not allowed"
    has_limits = bool(records) and not is_decided and judged.basis[0] != DETECTOR
    return Assessment(
        probe,
        state,
        basis,
        "allowed" if collect else refused,
        why,
        (_estimate(judged.interval) if has_limits else unlawful * _MILLION // records) if records else None,
        _limits(judged.interval) if has_limits else None,
        _limits(wilson([unlawful], [records], float(reading.z_clean))) if records else None,
    )


def _judged(
    unlawful: int, records: int, reading: SourceReading, calibration: Calibration | None, history: History
) -> Judgement:
    manual = NOT_MANUAL if history.override is None else STATES.index(history.override[1])
    evidence = Evidence(np.array([records]), np.array([unlawful]), calibration=calibration)
    before = Blacklist(np.array([history.is_blacklisted]), since=evidence)
    return judge(evidence, reading, before=before, manual=np.array([manual], np.uint8), stage="pre")


def _estimate(interval: Interval) -> int:
    return round(float(interval.share[0]) * _MILLION)


def _limits(interval: Interval) -> tuple[int, int]:
    return math.floor(float(interval.low[0]) * _MILLION), math.ceil(float(interval.high[0]) * _MILLION)


def in_words(found: Assessment, reading: SourceReading) -> Iterator[str]:
    """Say an assessment in lines of plain text, the reading at the end."""
    probe = found.probe
    unlawful, records = probe.counted
    yield f"{probe.source}: collection is {found.decision}; state {found.state}, basis {found.basis}"
    if found.why:
        yield f"  {found.why}"
    yield (
        f"  {unlawful:,} of {records:,} records count as unlawful: {probe.unlawful:,} of {probe.distinct:,} distinct ones, and "
        f"{probe.dead:,} dead letters"
    )
    if found.estimate is not None and found.sampling is not None:
        by = f", between {_between(found.limits)} by {found.basis}" if found.limits else ""
        yield f"  share {_percent(found.estimate)}{by}"
        yield (
            f"  a probe of this size tells no more than between {_between(found.sampling)}, if it was drawn at random and the detectors "
            "are right"
        )
    if probe.characters:
        yield f"  by characters {probe.unlawful_characters / probe.characters:.2%}"
    if probe.risks:
        yield f"  risks: {_listed(probe.risks)}"
    if probe.errors:
        yield f"  dead letters, which are not qualified until somebody has looked at them: {_listed(probe.errors)}"
    if probe.unscanned:
        yield f"  not scanned by every detector: {probe.unscanned:,}"
    if probe.blocked:
        yield (
            f"  blocked, which counts towards no share and must not be corpus: {_listed(probe.blocked)}; "
            f"by policy {_listed(probe.blocked_actions) or 'none is kept'}"
        )
    if probe.purged:
        yield f"  on lists of contents to purge: {probe.purged:,}; nothing of them would be kept"
    if probe.otherwise:
        yield f"  {probe.otherwise:,} records name another source than {probe.source}; is it a probe of that?"
    yield f"  a run would decide: {_listed(probe.actions)}"
    yield f"reading: {reading.reading}"
    yield from reading.words.splitlines()


def _percent(millionths: int) -> str:
    return f"{millionths / 10_000:.4g} %"


def _between(limits: tuple[int, int]) -> str:
    return " and ".join(map(_percent, limits))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())
