"""What a part of the audit adds up to, row by row: nothing here is taken from a receipt."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from models.causes import causes_of
from models.fates import applied_of, fates_of
from models.findings import Finding
from models.policy import Reason
from models.purge import PURGE
from models.verdicts import CLEAN, Outcome
from models.withdrawals import REASON

_WANTED = ("door", "records", "source", "action", "error", "sha256")
_REASON = ("policy_rule", "action", "tagger", "rule", "category", "start", "end", "view")


@dataclass
class AuditSums:
    """Sums of one part of the audit.

    Attributes:
        doors: records by ``clean, quarantined, dropped, dead``, and the ``redacted`` among the clean.
        by_source: of each source, the records by door that were not simply kept.
        hashes: purged records by the SHA-256 of their text.
        withdrawn: entries that each withdrawal holds back.
        reasons, flow, errors, causes, fates, applied: as in a receipt, see :class:`models.release_pass.Released`.
    """

    doors: Counter[str] = field(default_factory=Counter)
    by_source: dict[str, Counter[str]] = field(default_factory=dict)
    hashes: Counter[str] = field(default_factory=Counter)
    withdrawn: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    flow: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    causes: dict[str, int] = field(default_factory=dict)
    fates: dict[str, int] = field(default_factory=dict)
    applied: dict[str, int] = field(default_factory=dict)


def read_audit(path: Path) -> AuditSums:
    """Add up a part of the audit."""
    sums = AuditSums()
    outcomes: list[Outcome] = []
    for line in _lines(path):
        sums.doors[{"quarantine": "quarantined"}.get(line["door"], line["door"])] += line["records"]
        if line["action"] == "redact":
            sums.doors["redacted"] += line["records"]
        if line["action"] != "keep":
            sums.by_source.setdefault(line["source"] or "", Counter())[line["door"]] += line["records"]
        if line.get("sha256"):
            sums.hashes[line["sha256"]] += line["records"]
        if line["reasons"] or line["error"] or line["action"] != "keep":
            outcomes.append(_outcome(line))
            _add(sums, line)
    sums.causes, sums.fates, sums.applied = causes_of(outcomes), fates_of(outcomes), applied_of(outcomes)
    return sums


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Give the rows of a part with what is added up of them."""
    with pq.ParquetFile(path) as file:
        columns = [name for name in _WANTED if name in file.schema_arrow.names]
        columns += [f"reasons.list.element.{name}" for name in _REASON]
        for batch in file.iter_batches(columns=columns):
            yield from batch.to_pylist()


def _add(sums: AuditSums, line: dict[str, Any]) -> None:
    records, action, reasons = line["records"], line["action"], line["reasons"] or []
    if line["door"] in ("dropped", "dead"):
        rules = (reason["policy_rule"] for reason in reasons)
        sums.withdrawn.update(rule.removeprefix(REASON) for rule in rules if rule.startswith(REASON))
    if line["error"]:
        sums.errors[line["error"]] += records
    pairs = {(each["category"] or each["policy_rule"], each["action"]) for each in reasons}
    if line.get("sha256"):
        pairs.add((PURGE, action))
    for pair in pairs:
        sums.reasons["\t".join(pair)] += records
    if line["error"] or action == "keep":
        return
    if line.get("sha256"):
        decided = (PURGE, "blocked")
    else:  # the strictest stands first
        decided = (reasons[0]["policy_rule"], reasons[0]["tagger"] or "") if reasons else ("", "")
    sums.flow["\t".join((action, *decided))] += records


def _outcome(line: dict[str, Any]) -> Outcome:
    """Return a row as the outcome that it was written from, as far as causes and fates go by it: not by the door."""
    reasons = [
        Reason(
            each["policy_rule"],
            each["action"],
            None
            if each["tagger"] is None
            else Finding(
                0, each["tagger"], each["category"], each["rule"], 0.0, each["start"], each["end"], each["view"]
            ),
        )
        for each in line["reasons"] or ()
    ]
    return Outcome(CLEAN, line["action"], reasons, error=line["error"] or "", purge=PURGE if line.get("sha256") else "")
