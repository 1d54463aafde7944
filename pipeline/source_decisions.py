"""Decisions on sources in runs and releases: which overrides a run honours, and which changes a release enters into the ledger."""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models import ledgers
from models.audits import keep_marks, keep_verdicts
from models.deciding import Released, changed_from, enter_release, with_pending
from models.decisions import FIGURES, Decisions, read_decisions
from models.job import Job
from models.overrides import InForce, keep_in_force, read_in_force
from models.removals import Before, keep_before
from models.reviews import final_verdicts
from models.store import Store
from pipeline.corpus import Corpus, Release


def with_decisions(job: Job, corpus: Corpus) -> Job:
    """Return a job with what people decided and found: overrides in force on its date, final verdicts, and what these blacklisted before.

    Raises:
        BrokenChainError: if a ledger was changed.
    """
    store = corpus.store
    if corpus.number:
        enter_changes(
            corpus
        )  # of a run that was killed before it came to it: what was blacklisted before must not hang on that
    decisions = read_decisions(store)
    overrides = keep_in_force(decisions.overrides(job.as_of), store, store.scratch)
    verdicts = marks = ""
    if job.policy.sources.reading == "interval":
        verdicts = keep_verdicts(final_verdicts(store), store, store.scratch)
        marks = keep_marks(decisions.marks(), store, store.scratch)
    before = keep_before(_before(corpus, decisions), store, store.scratch)
    if (overrides, verdicts, marks, before) == (job.overrides, job.verdicts, job.marks, job.before):
        return job
    job = replace(job, overrides=overrides, verdicts=verdicts, marks=marks, before=before)
    assert job.wanted is not None  # computed here, once, and sent along: workers need not hash artefacts again
    return job


def _before(corpus: Corpus, decisions: Decisions) -> Before:
    """Return what the next run compares sources with."""
    number, table = corpus.number, ""
    if number:
        table = corpus.manifest(number)["catalogue"]["sources"]
        if not {"removed", "removed_of"} <= set(pq.read_schema(corpus.store.local(table)).names):
            table = ""  # of a version that did not count what is removed
    return Before(number, table, decisions.held(), decisions.seen())


def method_of(policy: Mapping[str, Any]) -> str:
    """Return in words how the rule is read, by what a manifest says of its policy."""
    least = f"from {policy['min_records']} records on"
    if policy["reading"] == "interval":
        least = f"from {policy['parameters']['min_audited']} verdicts on"
    whole = ", duplicates once over the whole source" if policy.get("exact_up_to") else ""
    return f"{policy['reading']}, limit {policy['limit']}, {least}{whole}"


def with_override_basis(sources: pa.Table, corpus: Corpus, job: Mapping[str, Any]) -> pa.Table:
    """Say with every source that a person decided on by which entry of the ledger; other sources keep their basis."""
    at = sources.schema.get_field_index("basis")
    said = in_force(corpus.store, job).basis(sources["source"], sources["state"], sources["basis"])
    return sources.set_column(at, "basis", said)


def in_force(store: Store, job: Mapping[str, Any]) -> InForce:
    """Return the overrides that a run went by.

    Args:
        job: as a manifest describes it.
    """
    return read_in_force(store, job.get("overrides", ""), job["source_from"] == "keys")


def overridden(corpus: Corpus, job: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the overrides that a run went by, sorted by source: ``source``, ``state``, ``entry`` of the ledger, ``reviewer``, ``until``."""
    decided = in_force(corpus.store, job)
    if not decided.entries:
        return []
    said = {each.id: each.facts for each in read_decisions(corpus.store).entries}
    return [
        {
            "source": source,
            "state": state,
            "entry": entry,
            "reviewer": said[entry]["actor"],
            "until": said[entry]["until"],
        }
        for source, (entry, state) in sorted(decided.entries.items())
    ]


def enter_changes(corpus: Corpus) -> None:
    """Enter the states that the current release changed; one that is entered already changes nothing.

    After the release is published: killed between, the next one enters them.
    """
    while True:
        release = corpus.release()
        number = release.number
        is_current = functools.partial(_is_current, corpus, number)
        enter_release(corpus.store, corpus.store.scratch, _judged(release), _said(release.manifest), is_current)
        if corpus.number == number:
            return


def read_entered(corpus: Corpus) -> Decisions:
    """Return the ledger with what the current release changed, entered or not; nothing is written.

    Raises:
        BrokenChainError: if it was changed, or lacks what the release holds of it.
    """
    decisions = read_decisions(corpus.store)
    if not corpus.number:
        return decisions
    release = corpus.release()
    ledgers.check(corpus.store, release.manifest)
    return with_pending(decisions, _judged(release), _said(release.manifest))


def verify_states(release: Release, store: Store) -> Iterator[str]:
    """Say it if the states of a release are not those that the ledger came to with it."""
    number = release.number
    entries = read_decisions(store).entries
    then = Decisions(store, [each for each in entries if each.facts.get("release", 0) <= number])
    changed = changed_from(_judged(release), then, number, _said(release.manifest).otherwise)
    if len(changed):
        first = changed.slice(0, 1).to_pylist()[0]
        yield (
            f"sources.parquet: {len(changed):,} sources have another state than the ledger of decisions has with release {number}, such as "
            f"{first['source']}: {first['state']}, by the ledger {first['previous']}. If its run was killed between publishing and entering "
            "them, the next run enters them; otherwise find out who wrote there"
        )


def _judged(release: Release) -> pa.Table:
    """Return what a release says of its sources, as far as it is entered."""
    with release.fetched("sources.parquet") as path:
        return pq.read_table(path, columns=["source", "state", "basis", "collect_allowed", "train_allowed", *FIGURES])


def _is_current(corpus: Corpus, number: int) -> bool:
    return corpus.number == number


def _said(manifest: Mapping[str, Any]) -> Released:
    job = manifest["job"]
    policy = job["policy"]
    return Released(
        manifest["release"],
        manifest["as_of"],
        method_of(policy),
        policy["otherwise"],
        job.get("verdicts", ""),
        {
            "policy": f"{policy['name']}@{policy['version']}",
            "counting": policy["counting"],
            "judging": policy["judging"],
            "taggers": job["taggers"],
            "epoch": job["epoch"],
            "winnow": job["version"],
        },
        manifest["run"],
    )
