"""Withdrawals in runs and releases: what is in force when a run starts, and how long it took until it had effect."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa

from models.catalogue import Catalogue
from models.errors import UsageError
from models.job import Job
from models.ledger import read_ledger
from models.matched_works import told_of
from models.taggers.personal import Personal
from models.withdrawals import Withdrawal, keep_in_force, read_in_force
from pipeline.corpus import Corpus


def with_withdrawals(job: Job, corpus: Corpus) -> Job:
    """Return a job with what is withdrawn now.

    To be asked after the release to start from was read: what that one holds back stands in the ledger by then, so no run undoes it.

    Raises:
        UsageError: if a subject or work could not be recognised by this job: the withdrawal would silently end.
    """
    store = corpus.store
    ledger = read_ledger(store)
    in_force = [each for each in ledger if each.in_force]
    for each in in_force:
        if each.target.kind == "subject":
            _check_subject(each, job)
    _check_works([each for each in in_force if each.target.kind == "work"], job)
    job = replace(job, withdrawn=keep_in_force(ledger, store, store.scratch))
    assert job.wanted is not None  # computed here, once, and sent along: workers need not hash artefacts again
    return job


def _check_subject(withdrawal: Withdrawal, job: Job) -> None:
    name = withdrawal.id
    if "personal" not in job.wanted:
        raise UsageError(
            f"withdrawal {name} is about a person, whom only the tagger personal finds; add it to the run file"
        )
    if not _looks_for(withdrawal, job):
        raise UsageError(
            f"withdrawal {name} is about a person by {withdrawal.target.shown}, which this run does not look for; add it to the "
            "entities of the tagger personal"
        )
    if withdrawal.target.key != job.key_id:
        raise UsageError(
            f"withdrawal {name} knows a person by hashes under another key than this run's (key_env); run with that key, or add "
            f"the withdrawal again with the new key and lift {name}"
        )


def _looks_for(withdrawal: Withdrawal, job: Job) -> bool:
    # A subject is shown by the categories that its identifier may be found as.
    kinds = set(withdrawal.target.shown.split(", "))
    taggers = (tagger for tagger in job.taggers if isinstance(tagger, Personal))
    return any(f"personal.{entity}" in kinds for tagger in taggers for entity in tagger.entities)


def _check_works(withdrawals: Sequence[Withdrawal], job: Job) -> None:
    """Check that every work that is withdrawn would be found: one that an index has lost would come back as clean."""
    known = told_of((each.target.shown for each in withdrawals), job.taggers)
    for each in withdrawals:
        if (work := each.target.shown) not in known:
            raise UsageError(
                f"withdrawal {each.id} is of the work {work!r}, which no list or index of this run has, so nothing would look for it: name the "
                f"index that has it, register it (winnow index add), or, if it is misspelled, lift {each.id} and add it again"
            )


def manifest_rows(
    corpus: Corpus, catalogue: Catalogue, job: Mapping[str, Any], base: int, as_of: str
) -> list[dict[str, Any]]:
    """Return what the manifest of the release after ``base`` says of withdrawals, those of earlier releases that ended among them.

    Each has ``id``, ``kind``, ``shown``, ``basis``, ``received``, ``decided``; ``records`` and ``splits`` that it names in this
    release; ``release`` and ``as_of``, the first in which it was in force; ``days`` from received until then, None if the run was as of an earlier day; and ``lifted``, the
    first release in which it was no longer, or None.

    Args:
        catalogue, job: of the new release.
    """
    before = {row["id"]: row for row in corpus.manifest(base)["withdrawals"]} if base else {}
    name = job["withdrawn"]
    if not name and not before:
        return []
    in_force = read_in_force(corpus.store, name).targets
    ledger = {each.id: each for each in read_ledger(corpus.store)}
    records, splits = _counted(catalogue)
    rows = []
    for each in sorted({*before, *in_force}, key=lambda name: int(name[1:])):
        row = before.get(each) or _first(ledger[each], base + 1, as_of)
        row = row | {"records": records[each], "splits": splits[each]}
        if each not in in_force:
            row["lifted"] = row["lifted"] or base + 1
        rows.append(row)
    return rows


def _first(withdrawal: Withdrawal, release: int, as_of: str) -> dict[str, Any]:
    days = (date.fromisoformat(as_of) - date.fromisoformat(withdrawal.received)).days
    return {
        "id": withdrawal.id,
        "kind": withdrawal.target.kind,
        "shown": withdrawal.target.shown,
        "basis": withdrawal.basis,
        "received": withdrawal.received,
        "decided": withdrawal.decided,
        "release": release,
        "as_of": as_of,
        "days": days if days >= 0 else None,
        "lifted": None,
    }


def _counted(catalogue: Catalogue) -> tuple[Counter[str], Counter[str]]:
    records: Counter[str] = Counter()
    splits: Counter[str] = Counter()
    for row in catalogue.rows():
        records.update(row.withdrawn)
        splits.update(row.withdrawn.keys())
    return records, splits


def with_withdrawn(sources: pa.Table, corpus: Corpus, job: Mapping[str, Any]) -> pa.Table:
    """Say with every source by which withdrawals it is withdrawn as a whole; null for none."""
    by_source: dict[str, list[str]] = {}
    for name, target in sorted(read_in_force(corpus.store, job["withdrawn"]).targets.items()):
        for mark in target.marks:
            kind, _, key = mark.partition(":")
            if kind == "source":
                by_source.setdefault(key, []).append(name)
    said = [", ".join(by_source[key]) if key in by_source else None for key in sources["source"].to_pylist()]
    return sources.append_column("withdrawn", pa.array(said, pa.string()))


@dataclass(frozen=True)
class Standing:
    """A withdrawal and what came of it.

    Attributes:
        effect: its row of the current release's manifest, see :func:`manifest_rows`; None before the first run.
    """

    withdrawal: Withdrawal
    effect: Mapping[str, Any] | None

    @property
    def state(self) -> str:
        """``waiting`` for a run, ``in force``, ``lifting`` until a run, or ``lifted``."""
        has_effect = self.effect is not None and self.effect["lifted"] is None
        if self.withdrawal.in_force:
            return "in force" if has_effect else "waiting"
        return "lifting" if has_effect else "lifted"

    def facts(self) -> dict[str, Any]:
        """Return a row for people and programs, without hashes."""
        each, effect = self.withdrawal, self.effect or {}
        return {
            "id": each.id,
            "state": self.state,
            "kind": each.target.kind,
            "shown": each.target.shown,
            "basis": each.basis,
            "received": each.received,
            "decided": each.decided,
            "by": each.by,
            "reason": each.reason,
            "lifted": each.lifted,
            "lifted_by": each.lifted_by,
            "lifted_reason": each.lifted_reason,
            "records": effect.get("records"),
            "splits": effect.get("splits"),
            "release": effect.get("release"),
            "as_of": effect.get("as_of"),
            "days": effect.get("days"),
        }


def standings(corpus: Corpus) -> list[Standing]:
    """Return all withdrawals of a corpus with their effect in its current release."""
    effects = effects_of(corpus.manifest()) if corpus.number else {}
    return [Standing(each, effects.get(each.id)) for each in read_ledger(corpus.store)]


def effects_of(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return a manifest's rows on withdrawals by id."""
    rows: Iterable[Mapping[str, Any]] = manifest["withdrawals"]
    return {row["id"]: row for row in rows}


def in_words(row: Mapping[str, Any]) -> str:
    """Say a row of a manifest in a few words."""
    return f"{row['id']} ({row['basis']}, received {row['received']})"
