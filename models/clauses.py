"""What a release shows of each clause: a status and the evidence for it, from the release's own manifest, tables and ledgers.

Nothing is met because nothing speaks against it: where the release lacks what would show a clause, it is ``not_shown``. What only people can
know is theirs to say, and of what they say the stricter counts: no answer turns into met what figures show not to be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from typing import Any

from models.composition import UNKNOWN, Composition
from models.instruments import (
    MET,
    NOT_APPLICABLE,
    NOT_MET,
    NOT_SHOWN,
    OPEN,
    PEOPLE,
    Answer,
    Clause,
    Instrument,
)

KEYWORDS = 10_000
KEYWORDS_BY_RISK = {"A.1": 200, "A.2": 100}
"""TC260-003, 8.1 a and b: how many different keywords there should be, and of each risk of a section."""
KEYWORD_DAYS = 7
"""8.1 c: the library should be updated within a week."""


@dataclass(frozen=True)
class Evidence:
    """A thing that a release says.

    Attributes:
        key: of the sentence, see ``document_messages.yaml``.
        values: for its places.
        where: the file or command that shows it.
    """

    key: str
    values: Mapping[str, str | int] = field(default_factory=dict)
    where: str = ""


@dataclass(frozen=True)
class Shown:
    """What a release shows of a clause."""

    status: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class KindFacts:
    """Sources of a kind that have clean records.

    Attributes:
        missing: how many lack each piece of evidence in the registry.
    """

    sources: int = 0
    missing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reviewed:
    """The tests of the whole corpus (9.2) that the ledger of reviews holds, in the order in which they were entered.

    Attributes:
        human: samples judged by people, see :func:`models.review_standing.standing`.
        technical: what held-out detectors found, as the ledger has it, each with ``check``, its id, and ``in_common``, what it has in common with the
            detectors of this release.
    """

    human: Sequence[Mapping[str, Any]] = ()
    technical: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Facts:
    """All that checks look at, of one release.

    Attributes:
        manifest: as published.
        reasons: records by ``category\\taction``, of ``summary.json``.
        categories: records by ``category\\taction`` of what became of them, of the breakdown.
        composition: see :mod:`models.composition`.
        judged: languages of which several sources are asked.
        least_sources: chosen for "several".
        band: least and most share of foreign records, or None where nobody chose one.
        states: by state, how many sources have clean records, and how many records; without a state it is "".
        assessed: by what was decided before collection, how many sources with clean records: ``True``, ``False``, ``None`` for none.
        by_kind: by kind of a source registry.
        ended: sources with clean records of which no entry is valid any more, or yet.
        keyword_since: the first release in a row that had the same lists as this one, its date, and whether an earlier one had others.
        reviews: what the ledger of reviews holds of this release and others.
    """

    manifest: Mapping[str, Any]
    reasons: Mapping[str, int]
    categories: Mapping[str, int]
    composition: Composition
    judged: Sequence[str]
    least_sources: int
    band: tuple[Fraction, Fraction] | None
    states: Mapping[str, tuple[int, int]]
    assessed: Mapping[bool | None, int]
    by_kind: Mapping[str, KindFacts]
    ended: int
    keyword_since: tuple[int, str, bool] | None
    reviews: Reviewed

    @property
    def job(self) -> Mapping[str, Any]:
        job: Mapping[str, Any] = self.manifest["job"]
        return job

    @property
    def coverage(self) -> Mapping[str, Sequence[str]]:
        return dict(self.job.get("coverage") or {})

    def with_reason(self, prefix: str, actions: Sequence[str]) -> int:
        """Return how often a reason of categories with a prefix led to one of some actions, one per record and category."""
        return _sum(self.reasons, prefix, actions)

    def in_category(self, prefix: str, actions: Sequence[str]) -> int:
        """Return records with a finding of categories with a prefix that became one of some actions, one per record and category."""
        return _sum(self.categories, prefix, actions)

    def uses(self, tagger: str) -> bool:
        return tagger in self.job["taggers"]


def _sum(counts: Mapping[str, int], prefix: str, actions: Sequence[str]) -> int:
    found = 0
    for key, records in counts.items():
        category, _, action = key.rpartition("\t")
        if action in actions and (category == prefix or category.startswith(f"{prefix}.")):
            found += records
    return found


Check = Callable[[Facts], Shown]
_CLEAN = ("keep", "redact")
_MANIFEST, _SUMMARY, _SOURCES = "manifest.json", "summary.json", "sources.parquet"
_BREAKDOWN, _REGISTRY = "breakdown.parquet", "registry.parquet"


def _shown(status: str, *evidence: Evidence) -> Shown:
    return Shown(status, evidence)


def _tagger(facts: Facts, name: str) -> Evidence:
    return Evidence("tagger", {"tagger": name, "digest": facts.job["taggers"][name][:16]}, "audit/taggers.json")


def _no_tagger(name: str) -> Shown:
    return _shown(NOT_SHOWN, Evidence("no_tagger", {"tagger": name}, _MANIFEST))


def assessed_before(facts: Facts) -> Shown:
    """5.1 a 1: every source with clean records has an assessment of before, and none was refused."""
    refused, without, allowed = (facts.assessed.get(each, 0) for each in (False, None, True))
    said = Evidence(
        "assessed",
        {"allowed": allowed, "refused": refused, "without": without},
        "winnow source export OUT --format ledger",
    )
    if refused:
        return _shown(NOT_MET, said)
    return _shown(MET if allowed and not without else NOT_SHOWN, said)


def verified_after(facts: Facts) -> Shown:
    """5.1 a 2: no source over the limit has clean records, and the detectors look for all that counts towards it."""
    policy = facts.job["policy"]
    said = [
        Evidence("limit", {"limit": _percent(policy["limit"]), "reading": policy["reading"], "basis": policy["basis"]}),
        *(
            Evidence("state", {"state": state or "–", "sources": sources, "records": records}, _SOURCES)
            for state, (sources, records) in facts.states.items()
        ),
    ]
    status = MET if facts.states else NOT_SHOWN
    if set(facts.states) - {"clean"}:
        status = NOT_SHOWN
    if holes := [risk for risk in _unlawful(facts) if not facts.coverage[risk]]:
        said.append(Evidence("uncovered", {"missing": len(holes), "all": len(_unlawful(facts))}, _MANIFEST))
        status = NOT_SHOWN
    elif not facts.coverage:
        status = NOT_SHOWN
    if any(records for state, (_, records) in facts.states.items() if state in ("blacklisted", "hold")):
        status = NOT_MET
    return _shown(status, *said)


def _unlawful(facts: Facts) -> list[str]:
    """Return the risks that count towards the limit: A.1 to A.4 (note to 3.6)."""
    return [risk for risk in facts.coverage if risk.split(".")[1] in "1234"]


def diverse(facts: Facts) -> Shown:
    """5.1 b: every language has several allowed sources; the type is text alone."""
    said = [Evidence("text_only")]
    few = 0
    for language in facts.judged:
        part = facts.composition.languages.get(language)
        sources = part.sources if part else 0
        few += sources < facts.least_sources
        values: dict[str, str | int] = {"language": language, "sources": sources, "least": facts.least_sources}
        said.append(Evidence("sources_of", values, _BREAKDOWN))
    if not facts.judged:
        return _shown(NOT_SHOWN, *said, Evidence("no_language", {}, _BREAKDOWN))
    return _shown(NOT_MET if few else MET, *said)


def foreign_mixed(facts: Facts) -> Shown:
    """5.1 b: there is nothing foreign, or its share lies in the band that somebody chose."""
    whole = facts.composition.whole
    foreign, unknown = whole.of_origin("foreign"), whole.of_origin(UNKNOWN)
    said = Evidence(
        "origins",
        {
            **{origin: whole.of_origin(origin)[1] for origin in ("domestic", "foreign", UNKNOWN)},
            "share": _share(foreign[1], whole.records),
        },
        "winnow document OUT --kind diversity",
    )
    if not whole.records or unknown[1]:
        return _shown(NOT_SHOWN, said)
    if not foreign[1]:
        return _shown(NOT_APPLICABLE, said)
    if facts.band is None:
        return _shown(OPEN, said, Evidence("no_band"))
    least, most = facts.band
    band = Evidence("band", {"least": _percent(least), "most": _percent(most)})
    return _shown(MET if least <= Fraction(foreign[1], whole.records) <= most else NOT_MET, said, band)


def _of_kind(facts: Facts, kind: str, fields: Sequence[str], best: str) -> Shown:
    """Return whether all sources of a kind name all evidence in the registry; of what it names people have to see the document."""
    if not facts.uses("provenance"):
        return _no_tagger("provenance")
    of_kind, unknown = facts.by_kind.get(kind, KindFacts()), facts.by_kind.get(UNKNOWN, KindFacts())
    said = [Evidence("kind", {"kind": kind, "sources": of_kind.sources, "unknown": unknown.sources}, _REGISTRY)]
    lacking = {name: of_kind.missing[name] for name in fields if of_kind.missing.get(name)}
    said += [Evidence("lacking", {"field": name, "sources": n}, _REGISTRY) for name, n in lacking.items()]
    if facts.ended:
        said.append(Evidence("ended", {"sources": facts.ended}, _REGISTRY))
        return _shown(NOT_MET, *said)
    refused = facts.in_category("provenance.refused", _CLEAN) if kind == "self_collected" else 0
    if refused:
        return _shown(NOT_MET, *said, Evidence("refused", {"records": refused}, _BREAKDOWN))
    if lacking or unknown.sources:
        return _shown(NOT_SHOWN, *said)
    if not of_kind.sources:
        return _shown(NOT_APPLICABLE if facts.composition.whole.sources else NOT_SHOWN, *said)
    return _shown(best, *said, Evidence("references_only"))


def open_licensed(facts: Facts) -> Shown:
    """5.1 c 1: every open source has a licence."""
    return _of_kind(facts, "open", ("licence",), MET)


def collection_recorded(facts: Facts) -> Shown:
    """5.1 c 2: every self-collected source has a record and what robots.txt said; nothing that was refused is clean."""
    return _of_kind(facts, "self_collected", ("crawl_record", "robots"), MET)


def contracts_named(facts: Facts) -> Shown:
    """5.1 c 3: every commercial source names contract and undertakings; what they say, and that they were reviewed, people know."""
    return _of_kind(facts, "commercial", ("contract", "assurance"), OPEN)


def users_authorised(facts: Facts) -> Shown:
    """5.1 c 4: every source of user input has an authorisation."""
    return _of_kind(facts, "user_input", ("authorisation",), MET)


def pointers_followed(facts: Facts) -> Shown:
    """5.1 c 1, note: rules of sources name a column by which lists of links are known."""
    rules = facts.job.get("source_keys", {}).get("rules", {})
    if "pointer" in (rules.get("columns") or {}):
        return _shown(MET, Evidence("pointers", {"column": str(rules["columns"]["pointer"])}, _MANIFEST))
    return _shown(OPEN, Evidence("no_pointers", {"source_from": facts.job["source_from"]}, _MANIFEST))


def blocked_left_out(facts: Facts) -> Shown:
    """5.1 d: there is a list, it was seen to find something, and nothing that it finds is clean."""
    if not facts.uses("blocked"):
        return _no_tagger("blocked")
    out, clean = (facts.in_category("blocked", actions) for actions in (("drop", "quarantine", "dead"), _CLEAN))
    said = [_tagger(facts, "blocked"), Evidence("blocked", {"out": out, "clean": clean}, _BREAKDOWN)]
    if clean:
        return _shown(NOT_MET, *said)
    return _shown(MET, *said, Evidence("list_only")) if out else _shown(NOT_SHOWN, *said, Evidence("found_nothing"))


def all_filtered(facts: Facts) -> Shown:
    """5.2 a: every record went through every detector, none that was not scanned is clean, and each risk is looked for."""
    detectors = [name for name in ("lexicon", "category") if facts.uses(name)]
    if not detectors:
        return _shown(NOT_SHOWN, Evidence("no_detector", {}, _MANIFEST))
    counts = facts.manifest["counts"]
    unscanned = facts.in_category("unscanned", _CLEAN)
    said = [
        *(_tagger(facts, name) for name in detectors),
        Evidence("scanned", {"read": counts["read"], "unscanned": unscanned, "dead": counts["dead"]}, _BREAKDOWN),
    ]
    if unscanned:
        return _shown(NOT_MET, *said)
    holes = [risk for risk in _unlawful(facts) if not facts.coverage[risk]]
    if holes or not facts.coverage:
        uncovered = Evidence("uncovered", {"missing": len(holes), "all": len(_unlawful(facts))}, _MANIFEST)
        return _shown(NOT_SHOWN, *said, uncovered)
    return _shown(MET, *said)


def works_identified(facts: Facts) -> Shown:
    """5.2 b 2: registered works were looked for; whether these are the main risks people know."""
    if not facts.uses("fingerprint"):
        return _no_tagger("fingerprint")
    found = {action: facts.in_category("copyright", [action]) for action in (*_CLEAN, "quarantine", "drop")}
    reserved = sum(facts.in_category(f"copyright.{kind}", _CLEAN) for kind in ("reserved", "takedown"))
    said = Evidence(
        "works",
        {"clean": found["keep"] + found["redact"], "out": found["quarantine"] + found["drop"], "reserved": reserved},
        _BREAKDOWN,
    )
    return _shown(OPEN, _tagger(facts, "fingerprint"), said)


def complaints_applied(facts: Facts) -> Shown:
    """5.2 b 3, b 5: complaints that were entered are in force; the channel itself people know."""
    rows = [row for row in facts.manifest["withdrawals"] if row["basis"] in ("complaint", "takedown", "refusal")]
    if not rows:
        return _shown(OPEN, Evidence("no_complaints", {}, "winnow withdraw list OUT"))
    days = [row["days"] for row in rows if row["days"] is not None]
    said = {"n": len(rows), "records": sum(row["records"] for row in rows if not row["lifted"])}
    where = "winnow withdraw list OUT"
    if not days:
        return _shown(OPEN, Evidence("complaints_untimed", said, where))
    return _shown(OPEN, Evidence("complaints", said | {"days": max(days)}, where))


def personal_kept_out(facts: Facts) -> Shown:
    """5.2 c: what was found of personal data is not among the clean untouched; the grounds on which it is used people know."""
    if not facts.uses("personal"):
        return _no_tagger("personal")
    actions = {action: facts.in_category("personal", [action]) for action in ("keep", "redact", "quarantine", "drop")}
    said = Evidence("personal", {**actions, "out": actions["quarantine"] + actions["drop"]}, _BREAKDOWN)
    return _shown(OPEN, _tagger(facts, "personal"), said)


def _keywords(facts: Facts) -> Mapping[str, Any]:
    return dict(facts.job.get("keywords") or {})


def keywords_enough(facts: Facts) -> Shown:
    """8.1 a: how many different keywords, after what is folded alike is one."""
    found = _keywords(facts)
    if not found:
        return _no_tagger("lexicon")
    said = Evidence("keywords", {"n": found["distinct"], "least": KEYWORDS}, _MANIFEST)
    return _shown(MET if found["distinct"] >= KEYWORDS else NOT_MET, said)


def keywords_by_risk(facts: Facts) -> Shown:
    """8.1 b: how many of each risk of A.1 and A.2."""
    found = _keywords(facts)
    if not found:
        return _no_tagger("lexicon")
    few = []
    for risk in facts.coverage:
        least = KEYWORDS_BY_RISK.get(risk.rpartition(".")[0])
        if least and found["by_category"].get(risk, 0) < least:
            few.append(f"{risk}: {found['by_category'].get(risk, 0)}")
    if not facts.coverage:
        return _shown(NOT_SHOWN, Evidence("no_coverage", {}, _MANIFEST))
    if few:
        return _shown(NOT_MET, Evidence("few_keywords", {"n": len(few), "which": ", ".join(few)}, _MANIFEST))
    return _shown(MET, Evidence("keywords_each", {}, _MANIFEST))


def keywords_fresh(facts: Facts) -> Shown:
    """8.1 c: the lists changed within a week of the run, seen by an earlier release that had others."""
    if not _keywords(facts):
        return _no_tagger("lexicon")
    if facts.keyword_since is None:
        return _shown(NOT_SHOWN, Evidence("no_history", {}, _MANIFEST))
    release, since, is_change = facts.keyword_since
    age = _days(since, facts.manifest["as_of"])
    said = Evidence("keywords_since", {"release": str(release), "since": since, "days": age}, _MANIFEST)
    if age > KEYWORD_DAYS:
        return _shown(NOT_MET, said)
    return _shown(MET, said) if is_change else _shown(NOT_SHOWN, said, Evidence("no_history", {}, _MANIFEST))


def _days(one: str, other: str) -> int:
    return (date.fromisoformat(other) - date.fromisoformat(one)).days


def classifier_covers(facts: Facts) -> Shown:
    """8.4: every risk has a label of a model."""
    if not facts.uses("category"):
        return _no_tagger("category")
    covered = [risk for risk, names in facts.coverage.items() if any(name.startswith("category:") for name in names)]
    said = Evidence("classifier", {"covered": len(covered), "all": len(facts.coverage)}, _MANIFEST)
    if not facts.coverage:
        return _shown(NOT_SHOWN, said)
    return _shown(MET if len(covered) == len(facts.coverage) else NOT_MET, said)


def human_test(facts: Facts) -> Shown:
    """9.2 a: people judged 4,000 records of this release, or all, and at least 96 % are qualified."""
    return _tested(facts, facts.reviews.human, _human)


def technical_test(facts: Facts) -> Shown:
    """9.2 b: a detector that had no part in filtering looked at a tenth of this release, and at least 98 % are qualified."""
    return _tested(facts, facts.reviews.technical, _technical)


def _tested(facts: Facts, tests: Sequence[Mapping[str, Any]], told: Callable[[Mapping[str, Any]], Shown]) -> Shown:
    """Return what tests of a release come to: one that failed counts whatever others say, so that nobody draws until it passes."""
    release = facts.manifest["release"]
    own = [told(each) for each in tests if each["release"] == release]
    others = [each for each in tests if each["release"] != release]
    evidence = [each for one in own for each in one.evidence]
    if others and not own:
        values = {"n": len(others), "release": max(each["release"] for each in others)}
        evidence.append(Evidence("tested_elsewhere", values, _REVIEWS))
    if not evidence:
        return _shown(NOT_SHOWN, Evidence("no_review", {}, "store/reviews/"))
    statuses = {each.status for each in own}
    return _shown(next((each for each in (NOT_MET, MET) if each in statuses), NOT_SHOWN), *evidence)


_REVIEWS = "winnow review status OUT"
HUMAN_LEAST = 4_000
"""9.2 a: how many records people check at least, or all if there are not so many."""


def _human(test: Mapping[str, Any]) -> Shown:
    drawn, bad, allowed = test["drawn"], test["bad"], test["allowed"]
    values: dict[str, str | int] = {key: test[key] for key in ("sample", "drawn", "population", "bad", "allowed")}
    said = [Evidence("human", values | {"share": _share(drawn - bad, drawn)}, _REVIEWS)]
    kappas = [each["kappa"] for each in test["agreement"] if each["kappa"] is not None]
    if kappas:
        pairs: dict[str, str | int] = {"pairs": len(kappas), "least": f"{min(kappas):.2f}"}
        said.append(Evidence("agreement", pairs, _REVIEWS))
    if bad > allowed:
        return _shown(NOT_MET, *said)  # whatever the rest turns out to be
    if not test["complete"]:
        open_ones: dict[str, str | int] = {"final": test["final"], "tasks": test["tasks"]}
        return _shown(NOT_SHOWN, *said, Evidence("human_open", open_ones, _REVIEWS))
    if drawn < min(HUMAN_LEAST, test["population"]):
        return _shown(NOT_SHOWN, *said, Evidence("human_few", {"least": HUMAN_LEAST}, _REVIEWS))
    return _shown(MET, *said)


def _technical(test: Mapping[str, Any]) -> Shown:
    checked, bad = test["checked"], test["bad"]
    values: dict[str, str | int] = {key: test[key] for key in ("check", "checked", "population", "bad", "allowed")}
    detectors = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(test["detector"]["taggers"].items()))
    said = Evidence("technical", values | {"share": _share(checked - bad, checked), "detectors": detectors}, _REVIEWS)
    if test["in_common"]:
        return _shown(NOT_SHOWN, said, Evidence("not_held_out", {"which": ", ".join(test["in_common"])}, _REVIEWS))
    if checked * 10 < test["population"]:
        return _shown(NOT_SHOWN, said, Evidence("technical_few", {}, _REVIEWS))
    return _shown(MET if bad <= test["allowed"] else NOT_MET, said)


def tools_fit(facts: Facts) -> Shown:
    """9.2 c: as 8.4 is, which alone of clause 8 is a must for corpora."""
    return classifier_covers(facts)


CHECKS: Mapping[str, Check] = {
    check.__name__: check
    for check in (
        *(assessed_before, verified_after, diverse, foreign_mixed, open_licensed, pointers_followed),
        *(collection_recorded, contracts_named, users_authorised, blocked_left_out, all_filtered, works_identified),
        *(complaints_applied, personal_kept_out, keywords_enough, keywords_by_risk, keywords_fresh),
        *(classifier_covers, human_test, technical_test, tools_fit),
    )
}
"""What of a release can show a clause, by the names that instruments use."""


def show(clause: Clause, facts: Facts) -> Shown:
    """Return what a release shows of a clause; a trial on part of the records shows none to be met."""
    if clause.shown_by == PEOPLE:
        return Shown(OPEN, ())
    shown = CHECKS[clause.shown_by](facts)
    if facts.job["sample"] and shown.status in (MET, NOT_APPLICABLE):
        trial = Evidence("trial", {"sample": facts.job["sample"]}, _MANIFEST)
        return replace(shown, status=NOT_SHOWN, evidence=(*shown.evidence, trial))
    return shown


def concluded(shown: str, answer: Answer | None) -> str:
    """Return the status of a clause given what a person says: the stricter counts, and a person fills what is open."""
    if answer is None or shown == NOT_MET:
        return shown
    if answer.status == NOT_MET or shown in (OPEN, NOT_SHOWN):
        return answer.status
    return shown


def overall(instrument: Instrument, statuses: Mapping[str, str]) -> str:
    """Return the overall conclusion over the clauses that must be met: ``all``, ``part``, ``none``, or ``open`` while one is undecided.

    Results on clauses that should be met change nothing (TC260-003, 9.1 d 4), nor do notes and clauses that do not apply. The
    clause about the report itself is left out: it is what is being concluded.
    """
    must = [statuses[each.id] for each in instrument.clauses if each.modality == "must" and each.clause[:3] != "9.1"]
    counted = [status for status in must if status != NOT_APPLICABLE]
    if any(status in (NOT_SHOWN, OPEN) for status in counted) or not counted:
        return "open"
    met = sum(status == MET for status in counted)
    return "all" if met == len(counted) else "part" if met else "none"


def _percent(share: Any) -> str:
    exact = Fraction(str(share)) * 100
    return f"{float(exact):g} %"


def _share(part: int, whole: int) -> str:
    return f"{part * 10_000 // whole / 100:.2f} %" if whole else "–"
