"""The release pass over a split: the second reading, by which every entry leaves through one door."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.causes import causes_of
from models.digest import digest_of
from models.documents import Documents
from models.errors import ConservationError
from models.fates import applied_of, fates_of
from models.files import changed
from models.job import Job
from models.keys import same_key
from models.layer import Known, Merged, known_of
from models.parts import AUDIT, DEAD, PartFile, Parts
from models.policy import Decider
from models.purge import PURGE
from models.redaction import Redaction
from models.shard import Dead, Split
from models.sources import STATES, SourceStates
from models.store import Store
from models.taggers import Tagger
from models.tagging import ensure_loaded
from models.tally import sum_by_source
from models.verdicts import DEAD as DEAD_DOOR
from models.verdicts import DOORS, Outcome, Verdicts, decide, redactions, still_found
from models.view import octets
from models.withdrawals import REASON
from models.writers import TableWriter

VERSION = 8
"""Version of everything that turns findings into output; part of every release digest."""

PRIVATE_ID = "[PERSONAL]"
"""Shown in place of an id that holds personal data."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Released:
    """The receipt of a released split.

    Attributes:
        digest: of all that determined the parts.
        files: the parts.
        counts: ``read, clean, redacted, quarantined, dropped, dead``; redacted ones are among the clean.
        doors: one row a source: how many of its records left by each door; dead letters without a source are under "".
        reasons: how often each category led to each action, one per record, as ``category\\taction``.
        errors: how many dead letters of each class.
        purged: contents of which nothing else was kept: SHA-256, title of the list, how many records; sorted.
        flow: how many records that were not simply kept left by which action, as ``action\\trule\\ttagger`` of the reason that
            decided; the tagger is empty for the state of a source. Dead letters are in ``errors``.
        works: how many records match each registered work, and the longest span in characters, see :func:`works_of`.
        causes: how many records were removed for what was found in them, and by what alone, see :func:`models.causes.causes_of`.
        fates: what became of the records with each category, see :func:`models.fates.fates_of`.
        applied: how many records each rule applied to, see :func:`models.fates.applied_of`.
    """

    digest: str
    files: tuple[PartFile, ...]
    counts: Mapping[str, int]
    doors: pa.Table
    reasons: Mapping[str, int]
    errors: Mapping[str, int]
    purged: tuple[tuple[str, str, int], ...] = ()
    flow: Mapping[str, int] = field(default_factory=dict)
    works: Mapping[str, Sequence[int]] = field(default_factory=dict)
    causes: Mapping[str, int] = field(default_factory=dict)
    fates: Mapping[str, int] = field(default_factory=dict)
    applied: Mapping[str, int] = field(default_factory=dict)


MOST_WORKS = 256
"""Works that a receipt names; a split of more says only of how many it does not speak."""


def works_of(findings: pa.Table) -> dict[str, list[int]]:
    """Return of each work that findings of ``copyright`` name how many records match it and the longest span, in characters.

    If there are more than :data:`MOST_WORKS`, those with most records stay, and ``""`` has how many others there are.

    Args:
        findings: see :data:`models.findings.SCHEMA`; the rule is the work's id.
    """
    is_work = pc.match_substring_regex(findings["category"], r"^copyright(\.|$)")
    found = findings.filter(is_work)
    spans = pc.subtract(found["end"], found["start"])
    table = pa.table({"work": found["rule"], "row": found["row"], "span": spans})
    summed = table.group_by("work", use_threads=False).aggregate([("row", "count_distinct"), ("span", "max")])
    ordered = summed.sort_by([("row_count_distinct", "descending"), ("work", "ascending")])
    first = ordered.slice(0, MOST_WORKS)
    rows = zip(*(first[name].to_pylist() for name in ("work", "row_count_distinct", "span_max")), strict=True)
    works = {work: [records, longest] for work, records, longest in rows}
    rest = len(ordered) - len(first)
    return works | ({"": [rest, 0]} if rest else {})


def release_digest(split: str, known: Known, job: Job, states: SourceStates, withdrawn: Iterable[str] = ()) -> str:
    """Return the digest of all that determines a split's parts, from what the catalogue knows of it.

    That is its content, everything found in it, the rules, the states of the sources in it (not their figures), the key's id,
    the output format, where something may be redacted the taggers that look at the redacted text, and the withdrawals that name
    entries of it: a decision never changes, so its id says what it does.

    Args:
        split: digest of the split.
        withdrawn: ids of the withdrawals.
    """
    codes = states.lookup(pa.array(known.sources, pa.string()))
    special = [[known.sources[at], STATES[codes[at]]] for at in acts_otherwise(codes, states.otherwise, job)]
    again = {tagger.name: tagger.digest for tagger in rechecking(known, job)}
    return digest_of_release(split, known.digest, special, again, job, withdrawn)


def digest_of_release(
    split: str,
    known: str,
    special: Sequence[Sequence[str]],
    again: Mapping[str, str],
    job: Job,
    withdrawn: Iterable[str] = (),
) -> str:
    """Return what :func:`release_digest` does, of the parts that it depends on.

    Args:
        known: digest of what is known.
        special: sources of the split that act otherwise than most, with their states, see :func:`acts_otherwise`.
        again: digests of the taggers that look at redacted text, by name.
        withdrawn: ids of the withdrawals that name entries of the split.
    """
    return digest_of(
        {
            "version": VERSION,
            "split": split,
            "known": known,
            "job": job.release_digest,
            "sources": sorted(special),
            "rechecking": dict(again),
            "withdrawn": sorted(withdrawn),
        }
    )


def acts_otherwise(codes: npt.NDArray[np.uint8], otherwise: int, job: Job) -> Rows:
    """Return where states act on records otherwise than that of sources of which nothing is known does: clean ones are all alike then.

    Args:
        codes: shape (n,), index in :data:`models.sources.STATES`.
        otherwise: code of a source of which nothing is known; that it acts, and how, is in the policy's digest.
    """
    acting = np.where(job.policy.sources.acting, np.arange(len(STATES)), 0)
    return np.flatnonzero(acting[codes] != acting[otherwise])


def rechecking(known: Known, job: Job) -> list[Tagger]:
    """Return the taggers whose findings on this split the policy may redact; they look again at what is left."""
    return rechecking_kinds(known.kinds, job)


def rechecking_kinds(kinds: Iterable[tuple[str, str]], job: Job) -> list[Tagger]:
    """Return what :func:`rechecking` does, of the pairs of tagger and category that were found."""
    decider = Decider(job.policy)
    names = {tagger for tagger, category in kinds if decider.may_redact(tagger, category)}
    return [tagger for tagger in job.taggers if tagger.name in names]


@dataclass
class ReleasePass:
    """One split on its way out.

    The readers of the two formats call :meth:`begin` for every batch of entries and write the records of the doors that it
    settles; this class keeps the books.
    """

    split: Split
    known: Merged
    job: Job
    verdicts: Verdicts
    parts: Parts
    row: int = 0
    _audit: list[dict[str, Any]] = field(default_factory=list)
    _run: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decider = Decider(self.job.policy)
        self._positions = self.known.records["position"].to_numpy()
        self._sources = self.known.records["source"].cast(pa.string()).to_pylist()
        self._key = same_key(self.job.key_env, self.job.key_id)
        self._rechecking = rechecking(known_of(self.known), self.job)
        for tagger in self._rechecking:
            ensure_loaded(tagger, self.job.wanted[tagger.name])

    @classmethod
    def start(
        cls,
        split: Split,
        known: Merged,
        job: Job,
        states: SourceStates,
        parts: Parts,
        withdrawn: Mapping[int, tuple[str, ...]] | None = None,
    ) -> "ReleasePass":
        return cls(split, known, job, decide(known, Decider(job.policy), states, withdrawn or {}), parts)

    def begin(self, row: int, positions: Rows) -> npt.NDArray[np.uint8]:
        """Check that the next entries are those that were tagged, and return their doors.

        The array is a view: a redaction that fails turns the entry's door to dead.

        Raises:
            ShardChangedError: if they are not.
        """
        expected = self._positions[row : row + len(positions)]
        if row != self.row or len(expected) != len(positions) or (expected != positions).any():
            raise changed(self.split.shard.location)
        self.row += len(positions)
        return self.verdicts.doors[row : row + len(positions)]

    def redacting(self, first: int, count: int) -> list[int]:
        """Return the rows among the entries from ``first`` on that are to be redacted."""
        outcomes = self.verdicts.outcomes
        return [row for row in range(first, first + count) if row in outcomes and outcomes[row].action == "redact"]

    def redactions(self, row: int, text: str) -> list[Redaction]:
        """Return what is to be cut out of a record's text, and note it for the audit."""
        outcome = self.verdicts.outcomes[row]
        outcome.redactions = redactions(text, outcome, self.decider, self._key)
        return list(outcome.redactions)

    def check_redacted(self, documents: Documents, texts: Sequence[str]) -> None:
        """Look again at redacted texts; a record on which something is still found is dead."""
        for row, found in zip(
            documents.rows.tolist(), still_found(documents, texts, self._rechecking, self.decider), strict=True
        ):
            if found:
                self.bury(row, "redaction_failed", "the redacted text still has a finding")

    def bury(self, row: int, error: str, detail: str) -> None:
        """Send a record to the dead letters in place of the door that it had."""
        self.verdicts.doors[row] = DEAD_DOOR
        before = self.verdicts.outcomes.get(row)
        # What is withdrawn stays so as a dead letter, and says it.
        withdrawn = tuple(r for r in before.reasons if r.policy_rule.startswith(REASON)) if before else ()
        self.verdicts.outcomes[row] = Outcome(DEAD_DOOR, "dead", withdrawn, error=error, detail=detail)

    def write_dead(self, row: int, dead: Dead) -> None:
        """Write an entry to the dead letters, with the error that was settled for it."""
        outcome = self.verdicts.outcomes[row]
        keep = self.job.output.dead_bytes == "keep" and row not in self.verdicts.withdrawn
        letter = {
            "shard": self.split.shard.path,
            "position": int(self._positions[row]),
            "error": outcome.error,
            "detail": outcome.detail,
            "lost": dead.records,
            "raw": dead.raw if keep else None,
            "sha256": dead.sha256,
        }
        self.parts.writer("dead", lambda path: TableWriter(path, DEAD)).write([letter])

    def end(self, first: int, count: int) -> None:
        """Write the audit rows of entries whose fate is now settled."""
        for row in range(first, first + count):
            outcome = self.verdicts.outcomes.get(row)
            if outcome is None:
                self._run.append(row)
                continue
            self._end_run()
            self._audit.append(self._audit_row(row, outcome))
        if len(self._audit) > 4096:
            self._flush()

    def finish(self, stores: Mapping[str, Store], names: Mapping[str, str], digest: str) -> Released:
        """Close the parts and return the receipt.

        Raises:
            ConservationError: if entries are missing, or the parts do not hold the records that the doors say.
        """
        if self.row != len(self._positions):
            raise ConservationError(
                f"{self.split.name}: {self.row} entries read, {len(self._positions)} were tagged; run again"
            )
        self._end_run()
        self._flush()
        files = self.parts.finish(stores, names, digest)
        counts = self._counts()
        written = {file.place: file.records for file in files}
        for place, count in (("clean", "clean"), ("quarantine", "quarantined"), ("dead", "dead")):
            if written.get(place, 0) != counts[count]:
                raise ConservationError(
                    f"{self.split.name}: {written.get(place, 0)} records written to {place}, {counts[count]} expected"
                )
        doors, purged = self._doors(), tuple((*each, count) for each, count in sorted(self._purged.items()))
        outcomes = self.verdicts.outcomes.values()
        figures = (
            self._flow(),
            works_of(self.known.findings),
            causes_of(outcomes),
            fates_of(outcomes),
            applied_of(outcomes),
        )
        return Released(digest, tuple(files), counts, doors, self._reasons(), self._errors(), purged, *figures)

    def _audit_row(self, row: int, outcome: Outcome) -> dict[str, Any]:
        at = int(self._positions[row])
        if outcome.purge:
            sha256 = self._hashes.pop(row)
            self._purged[sha256, outcome.purge] += 1
            place = {"position": at, "through": at, "records": 1}
            return place | {"door": DOORS[outcome.door], "action": outcome.action, "sha256": sha256}
        return {
            "id": None if outcome.error and self._sources[row] is None else self._id(row),
            "source": self._sources[row],
            "position": at,
            "through": at,
            "records": 1,
            "door": DOORS[outcome.door],
            "action": outcome.action,
            "reasons": [
                {"policy_rule": reason.policy_rule, "action": reason.action}
                | (_without_row(reason.finding._asdict()) if reason.finding else {})
                for reason in outcome.reasons
            ],
            "redactions": [span._asdict() for span in outcome.redactions],
            "error": outcome.error or None,
            "detail": outcome.detail or None,
        }

    _ids: dict[int, str] = field(default_factory=dict)
    _hashes: dict[int, str] = field(default_factory=dict)
    _purged: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, rows: Sequence[int], documents: Documents) -> None:
        """Note what the audit will say of records that are not simply kept: ids, and of purged ones the hash of their content.

        Args:
            rows: of the split, of each of the documents.
        """
        names, texts = documents.id.to_pylist(), octets(documents.text)
        for row, name, text in zip(rows, names, texts, strict=True):
            if self.verdicts.outcomes[row].purge:
                self._hashes[row] = hashlib.sha256(text).hexdigest()
            else:
                self._ids[row] = name

    def _id(self, row: int) -> str | None:
        return PRIVATE_ID if row in self.verdicts.private_ids else self._ids.pop(row, None)

    def _end_run(self) -> None:
        if not self._run:
            return
        first, last = self._run[0], self._run[-1]
        self._audit.append(
            {
                "position": int(self._positions[first]),
                "through": int(self._positions[last]),
                "records": len(self._run),
                "door": "clean",
                "action": "keep",
            }
        )
        self._run = []

    def _flush(self) -> None:
        if self._audit:
            self.parts.writer("audit", lambda path: TableWriter(path, AUDIT)).write(self._audit)
            self._audit = []

    def _counts(self) -> dict[str, int]:
        doors = np.bincount(self.verdicts.doors, minlength=4).tolist()
        redacted = sum(outcome.action == "redact" for outcome in self.verdicts.outcomes.values())
        return {
            "read": len(self._positions),
            "clean": doors[0],
            "redacted": redacted,
            "quarantined": doors[1],
            "dropped": doors[2],
            "dead": doors[3],
        }

    def _doors(self) -> pa.Table:
        doors = self.verdicts.doors
        table = {"source": [name or "" for name in self._sources]}
        table |= {name: (doors == code).astype(np.int64) for code, name in enumerate(DOORS)}
        return sum_by_source(pa.table(table), DOORS)

    def _reasons(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for outcome in self.verdicts.outcomes.values():
            for pair in {
                f"{reason.finding.category if reason.finding else reason.policy_rule}\t{reason.action}"
                for reason in outcome.reasons
            } | ({f"{PURGE}\t{outcome.action}"} if outcome.purge else set()):
                counts[pair] = counts.get(pair, 0) + 1
        return dict(sorted(counts.items()))

    def _flow(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for outcome in self.verdicts.outcomes.values():
            if outcome.error or outcome.action == "keep":
                continue
            if outcome.purge:
                key = f"{outcome.action}\t{PURGE}\tblocked"
            else:
                decided = outcome.reasons[0]
                key = f"{outcome.action}\t{decided.policy_rule}\t{decided.finding.tagger if decided.finding else ''}"
            counts[key] = counts.get(key, 0) + 1
        return dict(sorted(counts.items()))

    def _errors(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for outcome in self.verdicts.outcomes.values():
            if outcome.error:
                counts[outcome.error] = counts.get(outcome.error, 0) + 1
        return dict(sorted(counts.items()))


def _without_row(finding: dict[str, Any]) -> dict[str, Any]:
    del finding["row"]
    return finding
