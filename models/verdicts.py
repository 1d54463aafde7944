"""What becomes of every entry of a split: doors, reasons, and redactions that were checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.documents import Documents
from models.errors import UsageError
from models.findings import ERROR, Finding
from models.layer import Merged
from models.policy import Decider, Reason, Verdict
from models.purge import purged_rows
from models.redaction import Redaction, label, pseudonym, union
from models.sources import STATES, SourceStates
from models.taggers import Tagger
from models.tagging import IDENTIFIERS, tag
from models.tally import by_row
from models.withdrawals import REASON

CLEAN, QUARANTINE, DROPPED, DEAD = range(4)
DOORS = ("clean", "quarantine", "dropped", "dead")
"""Where an entry leaves, by code."""

_DOOR_OF = {"keep": CLEAN, "redact": CLEAN, "quarantine": QUARANTINE, "drop": DROPPED}


@dataclass
class Outcome:
    """The fate of one entry that was not simply kept: one that is kept although a rule noted something is among them."""

    door: int
    action: str
    reasons: Sequence[Reason] = ()
    redactions: Sequence[Redaction] = ()
    error: str = ""
    detail: str = ""
    purge: str = ""
    """Title of the list for which nothing of the record may be kept but its hash; see :mod:`models.purge`."""


@dataclass(frozen=True)
class Verdicts:
    """The fate of every entry of a split.

    Attributes:
        doors: uint8, shape (n,), index in :data:`DOORS`.
        outcomes: by row, of all entries of which there is more to say than that they are kept.
        private_ids: rows whose id must not be shown.
        withdrawn: rows of which nothing but a hash may be kept.
    """

    doors: npt.NDArray[np.uint8]
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    private_ids: frozenset[int] = frozenset()
    withdrawn: frozenset[int] = frozenset()


def decide(
    known: Merged,
    decider: Decider,
    states: SourceStates,
    withdrawn: Mapping[int, tuple[str, ...]] | None = None,
) -> Verdicts:
    """Decide every entry of a split from what is known of it, the states of its sources, and what is withdrawn.

    Args:
        withdrawn: ids of withdrawals by row.
    """
    withdrawn = withdrawn or {}
    records = known.records
    doors = np.zeros(len(records), np.uint8)
    outcomes: dict[int, Outcome] = {}
    codes = _state_codes(records, states)
    codes[~decider.policy.sources.acting[codes]] = 0
    lengths = records["characters"].to_numpy()
    for row, found in by_row(known.findings):
        verdict = _strict_on_identifiers(decider.decide(int(lengths[row]), found, _state(codes[row])))
        if verdict.action != "keep" or verdict.reasons:
            outcomes[row] = Outcome(_DOOR_OF[verdict.action], verdict.action, verdict.reasons)
    # One outcome for all records that only their source condemns: there may be as many as the split has.
    by_state = {code: _plain_outcome(decider, STATES[code]) for code in np.unique(codes[codes > 0]).tolist()}
    for row in np.flatnonzero(codes).tolist():
        outcomes.setdefault(row, by_state[codes[row]])
    _bury(known, outcomes)
    _withdraw(known, withdrawn, outcomes)
    for row, title in purged_rows(known.findings).items():
        outcomes[row] = Outcome(DROPPED, "drop", purge=title)
    for row, outcome in outcomes.items():
        doors[row] = outcome.door
    return Verdicts(doors, dict(sorted(outcomes.items())), _private_ids(known.findings), frozenset(withdrawn))


def _plain_outcome(decider: Decider, state: str) -> Outcome:
    verdict = decider.decide(1, (), state)
    return Outcome(_DOOR_OF[verdict.action], verdict.action, verdict.reasons)


def _state(code: int) -> str:
    return STATES[code] if code else ""


def _state_codes(records: pa.Table, states: SourceStates) -> npt.NDArray[np.uint8]:
    sources = records["source"].combine_chunks()
    if isinstance(sources, pa.ChunkedArray):
        sources = pa.chunked_array([sources]).combine_chunks() if sources.num_chunks else pa.array([], pa.string())
    names = pc.fill_null(sources.cast(pa.string()), "")
    encoded = pc.dictionary_encode(names)
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes: npt.NDArray[np.uint8] = states.lookup(encoded.dictionary)[encoded.indices.to_numpy(zero_copy_only=False)]
    codes[~pc.is_null(records["error"]).to_numpy()] = 0
    return codes


def _strict_on_identifiers(verdict: Verdict) -> Verdict:
    """Quarantine a record whose id or URL would need redaction: the field is needed whole."""
    if verdict.action != "redact":
        return verdict
    marked = [r for r in verdict.reasons if r.action == "redact" and r.finding and r.finding.view in IDENTIFIERS]
    if not marked:
        return verdict
    raised = [Reason(reason.policy_rule, "quarantine", reason.finding) for reason in marked]
    rest = [reason for reason in verdict.reasons if reason not in marked]
    return Verdict("quarantine", (*raised, *rest))


def _bury(known: Merged, outcomes: dict[int, Outcome]) -> None:
    errors = known.records["error"].to_pylist()
    details = known.records["detail"].to_pylist()
    for row, error in enumerate(errors):
        if error is not None:
            outcomes[row] = Outcome(DEAD, "dead", error=error, detail=details[row] or "")
    table = known.findings.filter(pc.equal(known.findings["category"], ERROR))
    for row, name, rule in zip(*(table[part].to_pylist() for part in ("row", "tagger", "rule")), strict=True):
        outcomes[row] = Outcome(DEAD, "dead", error="tagger_error", detail=f"{name}: {rule}")


def _withdraw(known: Merged, withdrawn: Mapping[int, tuple[str, ...]], outcomes: dict[int, Outcome]) -> None:
    """Drop what is withdrawn, whatever else would become of it; a dead letter stays one, of which only the hash is kept."""
    made: dict[tuple[str, ...], Outcome] = {}
    is_dead = pc.is_valid(known.records["error"]).to_numpy()
    for row, names in withdrawn.items():
        reasons = tuple(Reason(f"{REASON}{name}", "drop", None) for name in names)
        if is_dead[row]:
            outcomes[row] = replace(outcomes[row], reasons=reasons)
        else:
            outcomes[row] = made.setdefault(names, Outcome(DROPPED, "drop", reasons))


def _private_ids(findings: pa.Table) -> frozenset[int]:
    return frozenset(findings.filter(pc.equal(findings["view"], "id"))["row"].to_pylist())


def redactions(text: str, outcome: Outcome, decider: Decider, key: bytes | None) -> list[Redaction]:
    """Return what is to be cut out of a record's text.

    Raises:
        UsageError: if the policy wants pseudonyms and there is no key.
    """
    spans = []
    for reason in outcome.reasons:
        if reason.action != "redact" or reason.finding is None:
            continue
        finding = reason.finding
        word = label(finding.category)
        if decider.redaction(reason) == "pseudonym":
            if key is None:
                raise UsageError(
                    f"policy rule {reason.policy_rule} replaces values by pseudonyms, which needs a key: "
                    "name the environment variable that holds one (key_env: …), or redact with placeholder"
                )
            word = f"{word}:{pseudonym(key, finding.category, text[finding.start : finding.end])}"
        start, end = (0, len(text)) if finding.start == finding.end else (finding.start, finding.end)
        spans.append(Redaction(start, end, f"[{word}]"))
    return union(spans)


def still_found(
    documents: Documents, redacted: Sequence[str], taggers: Sequence[Tagger], decider: Decider
) -> list[bool]:
    """Tell for each redacted text whether the policy would still do anything to it, or a tagger fails on it."""
    again = replace(documents, text=pa.array(list(redacted), pa.string()))
    table = tag(again, taggers).table
    broken = set(table.filter(pc.equal(table["category"], ERROR))["row"].to_pylist())
    found: dict[int, list[Finding]] = dict(by_row(table))
    return [
        row in broken or decider.decide(len(text), found.get(row, ())).action != "keep"
        for row, text in enumerate(redacted)
    ]
