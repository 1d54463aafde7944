"""Human review: what was drawn, what people said of it, and which verdicts are final; a chain of entries, see :mod:`models.chain`.

An entry is a *sample* (what was drawn, by which salt), an *import* (what people said), or a *check* (what a held-out detector found in a
sample). Samples and verdicts are Parquet files that entries name by SHA-256. There is no text in them: hashes, verdicts, names of people.

A task is one question about one text: its id is a keyed hash of purpose and content, so equal texts are one task, and a verdict once given
serves every later sample of the same series that draws the text again. Two people answer it, each alone (*label*). If they say the same and are
sure, that is final; otherwise a third decides (*adjudication*).
"""

import functools
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.chain import Chain, Entry
from models.drawing import strata_digest
from models.entry_tables import EntryTables
from models.store import Store
from models.tally import STRATA

FOLDER = "reviews"
SAMPLES = "reviews/samples"
GIVEN = "reviews/verdicts"
FORMAT = 1

SAMPLE, IMPORT, CHECK = "sample", "import", "check"
HUMAN, TECHNICAL, SOURCES = "human", "technical", "sources"
"""What is drawn for: the 96 % and the 98 % test of the whole corpus (TC260-003, 9.2), and the shares of sources (5.1 a)."""

LABEL, ADJUDICATION = "label", "adjudication"
LAWFUL, UNFIT, UNLAWFUL, UNSURE = "lawful", "unfit", "unlawful", "unsure"
WORDS = (LAWFUL, UNFIT, UNLAWFUL, UNSURE)
"""What can be said of a text: none of the 31 risks, one of A.5 alone, one of the 29 of A.1 to A.4, or that a third should look."""

DRAWN = pa.schema(
    [
        ("task", pa.string()),
        ("source", pa.string()),
        ("stratum", pa.string()),
        ("content", pa.binary(16)),
        ("record", pa.binary(8)),
        ("draw", pa.uint64()),
        ("bound", pa.uint64()),
        ("shown", pa.binary(16)),
        ("shard", pa.string()),
        ("position", pa.int64()),
    ]
)
"""One row a drawn record, by source, draw, content, shard and position. ``stratum`` and ``record`` (the layers' hash of the id) are empty where
the draw does not go by them; ``shown`` is a hash of the text as packages show it, see :func:`models.review_files.shown_hash`."""

SAID = pa.schema(
    [
        *((name, pa.string()) for name in ("task", "role", "person", "verdict", "category")),
        *((name, pa.int64()) for name in ("started", "ended")),
    ]
)
"""One row a verdict that somebody gave, by task, role and person; times are seconds since 1970, null where they were not noted."""

VERDICTS = pa.schema(
    [
        ("source", pa.string()),
        ("content", pa.binary(16)),
        ("draw", pa.uint64()),
        ("bound", pa.uint64()),
        ("unlawful", pa.bool_()),
        ("shard", pa.string()),
        ("least", pa.uint64()),
        ("by", pa.string()),
        ("series", pa.int64()),
    ]
)
"""One row a distinct record of a source with a final verdict, see :func:`final_verdicts`."""

_NAMED = EntryTables("table", "reviews")
_TABLES = {SAMPLE: (SAMPLES, DRAWN), IMPORT: (GIVEN, SAID)}


def chain_of(store: Store) -> Chain:
    """Return the chain that holds the reviews of a corpus."""
    return Chain(store, FOLDER, "R", FORMAT)


def person_key(name: str) -> str:
    """Return by what people are told apart: neither case, width nor white space makes two of one."""
    return " ".join(unicodedata.normalize("NFKC", name).split()).casefold()


class Said(NamedTuple):
    """A verdict that somebody gave.

    Attributes:
        entry: id of the import that it came with.
        category: a risk of the taxonomy, or empty.
        started, ended: seconds since 1970, or None.
    """

    entry: str
    role: str
    person: str
    verdict: str
    category: str
    started: int | None
    ended: int | None


class Final(NamedTuple):
    """The verdict on a task that stands, and whose it is."""

    verdict: str
    category: str
    people: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """What was drawn.

    Attributes:
        entry: its id.
        facts: as entered: ``purpose``, ``salt``, ``series``, ``release``, ``population``, ``table`` and more by purpose.
        table: see :data:`DRAWN`.
        earlier: tasks that earlier samples of its series asked already, so that its own package does not.
    """

    entry: str
    facts: Mapping[str, Any]
    table: pa.Table
    earlier: frozenset[str]

    @property
    def purpose(self) -> str:
        return str(self.facts["purpose"])

    @functools.cached_property
    def tasks(self) -> frozenset[str]:
        """All tasks that it needs final, asked by its own package or an earlier one."""
        return frozenset(self.table["task"].to_pylist())

    @functools.cached_property
    def asked(self) -> frozenset[str]:
        """Tasks of its own package."""
        return self.tasks - self.earlier


class Reviews:
    """The ledger of reviews as it stands.

    Raises:
        BrokenChainError: if a table is not what its entry says.
    """

    def __init__(self, store: Store, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.samples: dict[str, Sample] = {}
        self.checks: dict[str, Mapping[str, Any]] = {}
        self._said: dict[str, dict[tuple[str, str], Said]] = {}
        asked: dict[tuple[int, str], frozenset[str]] = {}
        for entry in entries:
            match entry.facts["kind"]:
                case "sample":
                    table = _table(store, entry)
                    key = entry.facts["series"], entry.facts["purpose"]
                    sample = Sample(entry.id, entry.facts, table, asked.get(key, frozenset()))
                    asked[key] = sample.earlier | sample.tasks
                    self.samples[entry.id] = sample
                case "import":
                    for row in _table(store, entry).to_pylist():
                        task, role, person = row["task"], row["role"], row["person"]
                        here = self._said.setdefault(task, {})
                        # The last one counts: nothing takes its place unless somebody said why.
                        here[role, person_key(person)] = Said(entry.id, **{k: v for k, v in row.items() if k != "task"})
                case "check":
                    self.checks[entry.id] = entry.facts

    @property
    def series(self) -> tuple[int, str]:
        """Number and salt of the series in which is drawn now; 0 and nothing before the first sample."""
        last = next((e.facts for e in reversed(self.entries) if e.facts["kind"] in (SAMPLE, CHECK)), None)
        return (0, "") if last is None else (last["series"], last["salt"])

    def said(self, task: str, role: str) -> list[Said]:
        """Return what people said of a task in a role, by their names."""
        here = self._said.get(task, {})
        return [each for (part, _), each in sorted(here.items()) if part == role]

    def final(self, task: str) -> Final | None:
        """Return the verdict that stands, or None while there is none."""
        if third := self.said(task, ADJUDICATION):
            return Final(third[0].verdict, third[0].category, (third[0].person,))
        labels = self.said(task, LABEL)
        words = {each.verdict for each in labels}
        if len(labels) < 2 or len(words) > 1 or UNSURE in words:
            return None
        categories = {each.category for each in labels}
        return Final(words.pop(), categories.pop() if len(categories) == 1 else "", tuple(e.person for e in labels))

    def is_disputed(self, task: str) -> bool:
        """Return whether two people have spoken and a third must decide."""
        return len(self.said(task, LABEL)) == 2 and self.final(task) is None

    def is_complete(self, sample: Sample) -> bool:
        """Return whether every task of a sample has a final verdict."""
        return all(self.final(task) is not None for task in sample.tasks)


def read_reviews(store: Store) -> Reviews:
    """Return the ledger of reviews of a corpus.

    Raises:
        BrokenChainError: if it was changed, naming where.
        UsageError: if an entry is of another format.
    """
    return Reviews(store, chain_of(store).entries())


def keep_table(store: Store, folder: Path, kind: str, table: pa.Table) -> dict[str, Any]:
    """Write the table of an entry, and return what the entry says of it.

    Args:
        folder: on this machine, for the file while it is written.
        kind: :data:`SAMPLE` or :data:`IMPORT`.
    """
    prefix, schema = _TABLES[kind]
    table = table.cast(schema).combine_chunks()
    name = keep(store, folder, prefix, ".parquet", lambda path: pq.write_table(table, path, compression="zstd"))
    return {"name": name, "sha256": Path(name).stem, "rows": len(table)}


def final_verdicts(store: Store) -> pa.Table:
    """Return the verdicts on records of sources that are final, see :data:`VERDICTS`, sorted by source and content.

    Of each source the last sample counts of which every task is final. ``content`` is the layers' hash of a text; ``draw`` the first 8 bytes,
    big endian, of HMAC-SHA256(salt, content); ``bound`` that of its stratum in the sample: when it was drawn, every distinct record of the
    source in that stratum with ``draw < bound`` was drawn, and has its verdict here. ``shard`` is the path of a shard that holds it. ``least`` is the
    least bound of all strata that the source had then: below it every distinct record of the source was drawn, whatever its stratum; 0 where a stratum may
    have been left out. ``by`` is the digest of what strata went by (:func:`models.drawing.strata_digest`), empty if the sample does not say it;
    ``series`` tells draws by one salt from those by another.

    Raises:
        BrokenChainError: if the ledger was changed.
    """
    reviews = read_reviews(store)
    last: dict[str, str] = {}
    for sample in _complete(reviews):
        last.update(dict.fromkeys(sample.table["source"].unique().to_pylist(), sample.entry))
    parts = []
    for name in sorted(set(last.values())):
        table = reviews.samples[name].table
        own = pa.array([source for source, entry in last.items() if entry == name], pa.string())
        table = table.filter(pc.is_in(table["source"], value_set=own))
        words = [final.verdict for task in table["task"].to_pylist() if (final := reviews.final(task)) is not None]
        table = table.append_column("unlawful", pa.array([word == UNLAWFUL for word in words], pa.bool_()))
        facts = reviews.samples[name].facts
        by = strata_digest(facts["taggers"], facts["counting"]) if "taggers" in facts else ""
        said = {
            "least": _least_bounds(table, facts),
            "by": pa.repeat(by, len(table)),
            "series": pa.repeat(facts["series"], len(table)),
        }
        for column, values in said.items():
            table = table.append_column(column, values)
        parts.append(table.select(VERDICTS.names).cast(VERDICTS))
    found = pa.concat_tables([VERDICTS.empty_table(), *parts])
    return found.sort_by([("source", "ascending"), ("content", "ascending")]).combine_chunks()


def _least_bounds(drawn: pa.Table, facts: Mapping[str, Any]) -> pa.Array:
    """Return the least bound over the strata of each row's source; 0 where so few were drawn that a stratum may have got none."""
    if facts["size"] < len(STRATA):
        return pa.repeat(pa.scalar(0, pa.uint64()), len(drawn))
    least = drawn.group_by("source", use_threads=False).aggregate([("bound", "min")])
    return (
        least["bound_min"]
        .take(pc.index_in(drawn["source"], value_set=least["source"].combine_chunks()))
        .combine_chunks()
    )


def _complete(reviews: Reviews) -> Iterator[Sample]:
    return (each for each in reviews.samples.values() if each.purpose == SOURCES and reviews.is_complete(each))


def verify(store: Store) -> int:
    """Read every entry, and every table that one names, from the store, and return how many entries there are.

    Raises:
        BrokenChainError: naming the first broken link.
    """
    entries = chain_of(store).entries(fresh=True)
    for each in _with_tables(entries):
        _NAMED.check(store, each)
    return len(entries)


def _with_tables(entries: Iterable[Entry]) -> Iterator[Entry]:
    return (each for each in entries if each.facts["kind"] in _TABLES)


def _table(store: Store, entry: Entry) -> pa.Table:
    return _NAMED.read(store, entry, _TABLES[entry.facts["kind"]][1])
