"""Assess: a probe of a source before more of it is collected, and the entry of what it came to."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from models.agenda import check_mapped
from models.assessment import Assessment, Decision, History, Probe, assess, in_words, read_probe
from models.coverage import coverage, coverage_in_words
from models.deciding import enter_assessment
from models.decisions import ASSESSMENT, RELEASE, worst_above
from models.digest import canonical
from models.errors import UsageError
from models.job import Job
from models.planning import plan_shard
from models.source_keys import canonical_key
from models.source_states import calibration_of
from models.sources import BLACKLISTED
from models.tally import DISTINCT
from pipeline.config import Settings, absolute, input_root, make_job
from pipeline.corpus import Corpus
from pipeline.source_decisions import enter_changes, method_of, read_entered
from pipeline.targets import HIDDEN, shown
from transforms.plan import named_shards
from transforms.workspace import open_store, workspace

EXIT_CODES: dict[Decision, int] = {"allowed": 0, "not allowed": 5, "undecided": 6}
"""What the command ends with, apart from the codes of :mod:`models.errors`."""


@dataclass(frozen=True)
class Assessed:
    """An assessment with what it was made with.

    Attributes:
        covered: see :func:`models.coverage.coverage`.
        by: who answers for it; empty if nobody was named.
        entry: id in the ledger; empty if it was not entered.
    """

    found: Assessment
    job: Job
    covered: dict[str, tuple[str, ...]]
    by: str = ""
    entry: str = ""


def assess_probe(settings: Settings, source: str, output: str | None = None, by: str | None = None) -> Assessed:
    """Read, tag and judge a probe, and enter the result if there is an output.

    Args:
        source: key that all of it counts for.
        output: the corpus whose ledger is to have it, made if there is none; its overrides and earlier decisions count.
        by: who answers for it.

    Raises:
        UsageError: if the key holds personal data or nothing, or nobody answers for an entry.
    """
    _check_key(source)
    if (output is None) != (by is None):
        raise UsageError(
            "--output enters the result into a ledger and needs --by: say who answers for it; one goes with the other"
        )
    job = make_job(settings)
    if job.reading.keys is not None and (meant := canonical_key(source)) != source:
        raise UsageError(f"--source {source}: no source can have that key; the tables would name it {meant}")
    # Looked at before the work, so that a broken ledger ends it at once.
    corpus = None if output is None else _corpus(absolute(output, Path.cwd()))
    history = _history(corpus, source, job) if corpus is not None else History()
    sources = job.policy.sources
    calibrated = tuple(each for each in sources.calibration if each.epoch in ("", job.epoch))
    calibration = calibration_of(pa.chunked_array([[source]], pa.string()), calibrated)
    found = assess(_probe(settings, source, job), sources, calibration, history)
    covered = coverage(job)
    entry = ""
    if corpus is not None and by is not None:
        entry = enter_assessment(corpus.store, _facts(found, job, by)).id
    return Assessed(found, job, covered, by or "", entry)


def _check_key(source: str) -> None:
    if not source.strip():
        raise UsageError("--source is empty; name the source as the tables of sources would")
    if HIDDEN in (shown(source), shown(unquote(source))):
        raise UsageError(
            "--source: it holds personal data, which a ledger would keep for ever; name it as the tables do, (personal …)"
        )


def _corpus(root: str) -> Corpus:
    """Return the corpus of an output; the first thing in one may be an assessment."""
    open_store(root).prepare()
    open_store(f"{root}/store", 0o700).prepare()
    corpus = Corpus(root)
    if corpus.number:
        enter_changes(corpus)  # if its run was killed between publishing and entering
    return corpus


def _history(corpus: Corpus, source: str, job: Job) -> History:
    decisions = read_entered(corpus)
    last = decisions.latest(kinds=(RELEASE, ASSESSMENT)).get(source)
    overrides = decisions.overrides(job.as_of)
    decided = (each.entry, each.state) if (each := overrides.get(source)) else None
    above = worst_above(source, overrides) if job.reading.keys is not None else None
    return History(
        last is not None and last["state"] == BLACKLISTED,
        decided,
        None if above is None else (f"{above.entry} of {above.source}", above.state),
    )


def _probe(settings: Settings, source: str, job: Job) -> Probe:
    root = input_root(settings)
    patterns = [absolute(pattern, settings.folder) for pattern in settings.file.inputs]
    opener = workspace(job).opener
    shards = [
        plan_shard(opener, root, found.path, job.reading, job.split_size, generation=found.generation)
        for found in named_shards(patterns, job, root)
    ]
    check_mapped((shard.columns, shard.lacks) for shard in shards)
    with tempfile.TemporaryDirectory() as folder:
        return read_probe(shards, source, job, opener, Path(folder), lambda place, size: None)  # noqa: ARG005


def _facts(found: Assessment, job: Job, by: str) -> dict[str, Any]:
    """Return what the ledger keeps of an assessment."""
    probe, policy = found.probe, job.policy
    described = job.described(version("winnow-corpus"))
    lower, upper = found.limits or (None, None)
    return {
        "source": probe.source,
        "state": found.state,
        "collect_allowed": found.collect_allowed,
        **{name: getattr(probe, name) for name in ("read", *DISTINCT, "dead", "unscanned", "purged")},
        **{name: dict(getattr(probe, name)) for name in ("errors", "risks", "blocked", "actions")},
        "estimate_ppm": found.estimate,
        "lower_ppm": lower,
        "upper_ppm": upper,
        "sampling_ppm": None if found.sampling is None else list(found.sampling),
        "basis": found.basis,
        "reason": found.why or None,
        "method": f"{method_of(described['policy'])}; probe of {len(probe.shards)} shards, dead letters count as unlawful",
        "versions": canonical(
            {
                "policy": f"{policy.name}@{policy.version}",
                "counting": policy.counting_digest,
                "judging": policy.judging_digest,
                "taggers": dict(job.wanted),
                "epoch": job.epoch,
                "winnow": described["version"],
            }
        ).decode(),
        "actor": by,
        "as_of": job.as_of,
        "probe": [{"path": path, "sha256": sha256, "size": size} for path, sha256, size in probe.shards],
    }


def as_json(done: Assessed) -> dict[str, Any]:
    """Return an assessment for programs; shares are in millionths (``_ppm``)."""
    return {
        **_facts(done.found, done.job, done.by),
        "decision": done.found.decision,
        "counted": list(done.found.probe.counted),
        "blocked_actions": dict(done.found.probe.blocked_actions),
        "otherwise": done.found.probe.otherwise,
        "coverage": {risk: list(names) for risk, names in done.covered.items()},
        "reading": done.job.policy.sources.words,
        "entry": done.entry or None,
    }


def in_lines(done: Assessed) -> Iterator[str]:
    """Say an assessment in lines of plain text."""
    yield from in_words(done.found, done.job.policy.sources)
    yield from coverage_in_words(done.covered)
    if done.entry:
        yield f"{done.entry}: entered into the ledger"
