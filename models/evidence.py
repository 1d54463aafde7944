"""Evidence of where a record comes from: the closed list of provenance columns, and the clause that asks for each.

Clauses are those of TC260-003 (2024-02-29), 5.1 c and 5.2 c.
"""

from collections.abc import Iterable
from typing import NamedTuple


class Evidence(NamedTuple):
    """One canonical provenance column.

    Attributes:
        usual: names by which a column of a shard is recognised, the best first.
        clause: of TC260-003, that asks for it.
        says: what it holds.
    """

    usual: tuple[str, ...]
    clause: str
    says: str


EVIDENCE = {
    "kind": Evidence(("source_type",), "5.1 c", "how the record was come by, one of the kinds of a source"),
    "licence": Evidence(
        ("licence", "license", "license_id", "licence_id", "license_uri"),
        "5.1 c1",
        "SPDX expression, or the URL of a Creative Commons licence",
    ),
    "collected_at": Evidence(("collected_at", "fetched_at"), "5.1 c2", "when it was collected"),
    "crawl_record": Evidence(("crawl_record_id", "crawl_record"), "5.1 c2", "reference to the record of collection"),
    "robots": Evidence(("robots_verdict", "robots"), "5.1 c2", "what robots.txt (RFC 9309) said when it was fetched"),
    "opt_out": Evidence(
        ("opt_out", "optout", "optout_flag", "optout_match"),
        "5.1 c2, c4",
        "whether somebody who may has refused; any value but a no is a refusal",
    ),
    "contract": Evidence(("contract_id",), "5.1 c3", "reference to the contract with the supplier"),
    "assurance": Evidence(("assurance_uri",), "5.1 c3", "reference to the supplier's undertakings and proof"),
    "authorisation": Evidence(("user_auth_ref",), "5.1 c4", "reference to the user's authorisation"),
    "origin": Evidence(("origin",), "5.1 b", "domestic, foreign or unknown"),
    "consent_basis": Evidence(("pi_basis",), "5.2 c1", "consent, or another lawful case, for personal data"),
    "consent_ref": Evidence(("pi_basis_ref",), "5.2 c1", "reference to it"),
    "separate_consent": Evidence(("separate_consent_ref",), "5.2 c2", "reference to it, for sensitive personal data"),
}
"""By canonical name, in the order in which findings name them."""


def recognise_evidence(names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the provenance columns among a shard's column names, as pairs of canonical name and path, sorted."""
    there = set(names)
    found = ((name, next((u for u in each.usual if u in there), None)) for name, each in EVIDENCE.items())
    return tuple(sorted((name, usual) for name, usual in found if usual is not None))
