"""What documents are made from: the facts of one release, read from its manifest, its tables and the ledgers beside it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.breakdown import totals
from models.clauses import Facts, KindFacts, Reviewed
from models.composition import UNKNOWN, Registry, compose
from models.decisions import read_decisions
from models.errors import UsageError
from models.holding_out import in_common
from models.registered import VALID
from models.review_standing import standing
from models.reviews import HUMAN, read_reviews
from pipeline.corpus import Corpus, Release

_NOT_TRAINED = ("blacklisted", "hold")
_EVIDENCE = ("licence", "crawl_record", "robots", "contract", "assurance", "authorisation")
_ASSESSMENT = "assessment"


@dataclass(frozen=True)
class Chosen:
    """What the text leaves open and somebody has to choose; documents say so.

    Attributes:
        least_sources: how many are several.
        least_share: of the clean records, from which on a language is asked about.
        languages: that are asked about instead.
        band: least and most share of foreign records.
    """

    least_sources: int = 2
    least_share: Fraction = Fraction(1, 100)
    languages: tuple[str, ...] = ()
    band: tuple[Fraction, Fraction] | None = None


@dataclass(frozen=True)
class Gathered:
    """The facts of a release, and what only some documents tell.

    Attributes:
        personal: findings of personal data, and characters of all records.
        top: the sources with most clean records, most first: name, state, kind, origin, licence, records and characters.
        rest: how many more sources have clean records.
        sha256: of the manifest.
    """

    facts: Facts
    chosen: Chosen
    personal: tuple[int, int]
    top: Sequence[dict[str, Any]]
    rest: int
    sha256: str


def gather(corpus: Corpus, release: Release, chosen: Chosen, shown: int) -> Gathered:
    """Read a release.

    Args:
        shown: how many sources are named.

    Raises:
        UsageError: if it was made before there were breakdowns.
    """
    if not {"breakdown.parquet", "registry.parquet"} <= {file["path"] for file in release.manifest["files"]}:
        raise UsageError(
            f"{corpus.root}: release {release.number} has no breakdown.parquet, which documents are made from; "
            "run once more with this version"
        )
    with release.fetched("registry.parquet") as path:
        table = pq.read_table(path)
    sources = _Sources(release, table, _assessed(corpus, release.manifest["as_of"]), shown)
    with _tables(release) as tables:
        composition = compose(tables(), sources.refused, Registry(table), Path(corpus.store.scratch))
        categories = {value: records for value, (records, _, _) in totals(tables(), "category").items()}
        findings = {value: found for value, (_, _, found) in totals(tables(), "category").items()}
        characters = sum(each for _, each, _ in totals(tables(), "action").values())
        top = sources.top(tables())
    facts = Facts(
        release.manifest,
        json.loads(release.read("summary.json"))["reasons"],
        categories,
        composition,
        composition.judged(chosen.least_share, chosen.languages),
        chosen.least_sources,
        chosen.band,
        sources.states,
        sources.assessed,
        sources.by_kind,
        sources.ended,
        _keyword_since(corpus, release),
        _reviewed(corpus, release),
    )
    personal = sum(found for value, found in findings.items() if value.split(".")[0] == "personal")
    return Gathered(facts, chosen, (personal, characters), top, sources.clean - len(top), release.sha256)


def _reviewed(corpus: Corpus, release: Release) -> Reviewed:
    """Return the tests of the whole corpus that the ledger of reviews holds; one of a release that lost the race for its number is none of it."""
    reviews, job = read_reviews(corpus.store), release.manifest["job"]
    human = [
        standing(reviews, sample)
        for sample in reviews.samples.values()
        if sample.purpose == HUMAN and _is_of(sample.facts, release)
    ]
    technical = []
    for name, facts in reviews.checks.items():
        if not _is_of(facts, release):
            continue
        own = facts["detector"]
        shared = in_common(own["taggers"], own["artefacts"], job["taggers"], job.get("artefacts", {}))
        technical.append({**facts, "check": name, "in_common": shared})
    return Reviewed(human, technical)


def _is_of(facts: Mapping[str, Any], release: Release) -> bool:
    return bool(facts["release"] != release.number or facts["run"] == release.manifest["run"])


@contextmanager
def _tables(release: Release) -> Iterator[Any]:
    """Give what reads the breakdown piece by piece, as often as it is called."""
    with release.fetched("breakdown.parquet") as path:

        def tables() -> Iterator[pa.Table]:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=1 << 17):
                    yield pa.Table.from_batches([batch])

        yield tables


def _assessed(corpus: Corpus, as_of: str) -> dict[str, bool | None]:
    """Return what the last assessment before collection decided, by source."""
    entries = read_decisions(corpus.store).entries
    return {
        entry.facts["source"]: entry.facts["collect_allowed"]
        for entry in entries
        if entry.facts["kind"] == _ASSESSMENT and entry.facts["as_of"] <= as_of
    }


class _Sources:
    """What is asked about the sources that have clean records, from the table of sources."""

    def __init__(self, release: Release, registry: pa.Table, assessed: dict[str, bool | None], shown: int) -> None:
        self._shown = shown
        self._entries = {row["source"]: row for row in registry.to_pylist()}
        self._names = pa.array(self._entries, pa.string())
        self._known = pa.array(assessed, pa.string())
        self.refused: dict[str, str] = {}
        self.states: dict[str, tuple[int, int]] = {}
        self.assessed: Counter[bool | None] = Counter()
        self.clean = self.ended = 0
        self._kinds: Counter[str] = Counter()
        self._missing: dict[str, Counter[str]] = {}
        self._top = pa.table({"source": pa.array([], pa.string()), "state": pa.array([], pa.string())})
        self._top = self._top.append_column("clean", pa.array([], pa.int64()))
        with release.fetched("sources.parquet") as path, pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["source", "state", "clean"]):
                self._add(pa.Table.from_batches([batch]), assessed)

    def _add(self, table: pa.Table, assessed: dict[str, bool | None]) -> None:
        bad = table.filter(pc.is_in(table["state"], pa.array(_NOT_TRAINED)))
        self.refused.update(zip(bad["source"].to_pylist(), bad["state"].to_pylist(), strict=True))
        clean = table.filter(pc.greater(pc.fill_null(table["clean"], 0), 0))
        states = clean.group_by("state", use_threads=False).aggregate([("clean", "count"), ("clean", "sum")])
        for row in states.to_pylist():
            sources, records = self.states.get(row["state"] or "", (0, 0))
            self.states[row["state"] or ""] = sources + row["clean_count"], records + row["clean_sum"]
        own = clean["source"]
        told = own.filter(pc.is_in(own, self._known)).to_pylist()
        # What was left undecided allows nothing.
        self.assessed.update(assessed[source] for source in told)
        self.assessed[None] += len(own) - len(told)
        named = own.filter(pc.is_in(own, self._names)).to_pylist()
        self._kinds[UNKNOWN] += len(own) - len(named)
        for source in named:
            self._register(self._entries[source])
        self.clean += len(clean)
        allowed = clean.filter(pc.invert(pc.is_in(clean["state"], pa.array(_NOT_TRAINED))))
        order = [("clean", "descending"), ("source", "ascending")]
        self._top = pa.concat_tables([self._top, allowed.select(self._top.schema.names)]).sort_by(order)
        self._top = self._top.slice(0, self._shown)

    def _register(self, entry: dict[str, Any]) -> None:
        if entry["entry"] != VALID:
            self.ended += 1
            self._kinds[UNKNOWN] += 1
            return
        self._kinds[entry["kind"]] += 1
        lacks = [name for name in _EVIDENCE if name not in entry["evidence"]]
        self._missing.setdefault(entry["kind"], Counter()).update(lacks)

    @property
    def by_kind(self) -> dict[str, KindFacts]:
        return {kind: KindFacts(n, self._missing.get(kind, {})) for kind, n in sorted(self._kinds.items()) if n}

    def top(self, tables: Iterator[pa.Table]) -> list[dict[str, Any]]:
        """Return the sources with most clean records, with their characters."""
        names = pa.array(self._top["source"].to_pylist(), pa.string())
        characters: Counter[str] = Counter()
        for table in tables:
            own = table.filter(pc.and_(pc.equal(table["dimension"], "action"), pc.is_in(table["source"], names)))
            own = own.filter(pc.is_in(own["value"], pa.array(["keep", "redact"])))
            for source, n in zip(own["source"].to_pylist(), own["characters"].to_pylist(), strict=True):
                characters[source] += n
        rows = []
        for row in self._top.to_pylist():
            entry = self._entries.get(row["source"], {})
            facts = {name: entry.get(name) or UNKNOWN for name in ("kind", "origin")}
            facts |= {"licence": entry.get("licence"), "registered": entry.get("entry")}
            rows.append(row | facts | {"characters": characters[row["source"]]})
        return rows


def _keyword_since(corpus: Corpus, release: Release) -> tuple[int, str, bool] | None:
    """Return since which release lists are what they are, its date, and whether an earlier release had others."""
    lists = _lists(release.manifest)
    if not lists:
        return None
    since = release.number, release.manifest["as_of"], False
    for number in sorted((n for n in corpus.numbers() if n < release.number), reverse=True):
        try:
            manifest = corpus.manifest(number)
        except UsageError:  # of a version that wrote another format
            break
        if _lists(manifest) != lists:
            return since[0], since[1], bool(_lists(manifest))
        since = number, manifest["as_of"], False
    return since


def _lists(manifest: Any) -> list[list[str]]:
    return list((manifest["job"].get("keywords") or {}).get("lists", []))
