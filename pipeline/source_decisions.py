"""Decisions on sources in runs and releases: which overrides a run honours, and which changes a release enters into the ledger."""

import functools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from models.deciding import Released, enter_release
from models.decisions import FIGURES, read_decisions
from models.job import Job
from models.overrides import keep_in_force, read_in_force
from pipeline.corpus import Corpus


def with_overrides(job: Job, corpus: Corpus) -> Job:
    """Return a job with the overrides that are in force on its date.

    Raises:
        BrokenChainError: if the ledger was changed.
    """
    store = corpus.store
    name = keep_in_force(read_decisions(store).overrides(job.as_of), store, store.scratch)
    if name == job.overrides:
        return job
    job = replace(job, overrides=name)
    assert job.wanted is not None  # computed here, once, and sent along: workers need not hash artefacts again
    return job


def with_override_basis(sources: pa.Table, corpus: Corpus, job: Mapping[str, Any]) -> pa.Table:
    """Say with every source that a person decided on by which entry of the ledger; other sources keep their basis."""
    in_force = read_in_force(corpus.store, job.get("overrides", ""))
    if not in_force.entries:
        return sources
    at = sources.schema.get_field_index("basis")
    return sources.set_column(at, "basis", in_force.basis(sources["source"], job["policy"]["basis"]))


def enter_changes(corpus: Corpus) -> None:
    """Enter the states that the current release changed; one that is entered already changes nothing.

    After the release is published: killed between, the next one enters them.
    """
    while True:
        release = corpus.release()
        number = release.number
        with release.fetched("sources.parquet") as path:
            table = pq.read_table(path, columns=["source", "state", "basis", *FIGURES])
        said = _said(release.manifest)
        enter_release(corpus.store, corpus.store.scratch, table, said, functools.partial(_is_current, corpus, number))
        if corpus.number == number:
            return


def _is_current(corpus: Corpus, number: int) -> bool:
    return corpus.number == number


def _said(manifest: Mapping[str, Any]) -> Released:
    job = manifest["job"]
    policy = job["policy"]
    return Released(
        manifest["release"],
        manifest["as_of"],
        f"{policy['reading']}, limit {policy['limit']}, from {policy['min_records']} records on",
        policy["basis"],
        {
            "policy": f"{policy['name']}@{policy['version']}",
            "counting": policy["counting"],
            "judging": policy["judging"],
            "taggers": job["taggers"],
            "winnow": job["version"],
        },
        manifest["run"],
    )
