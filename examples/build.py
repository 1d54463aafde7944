"""Builds the example corpus: ``python examples/build.py [folder]``.

Writes ``corpus/`` and ``expected.json`` from ``texts/`` and nothing else: no clock, no network, no random generator. Fails if
the illustrative lexicon does not find exactly the records that were meant to be found.
"""

import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
from backports import zstd
from phrases import disguise, read_phrases, vary_digits
from planted import planted
from shards import (
    Malformed,
    Record,
    write_crawl,
    write_encyclopedia,
    write_gzip,
    write_news,
    write_plain,
    write_talk,
    write_zstd,
)

EXAMPLES = Path(__file__).resolve().parent
ROOT = EXAMPLES.parent
LISTS = "configs/lists/illustrative"
TEXTS = EXAMPLES / "texts"

LIMIT_PERCENT, MIN_RECORDS = 5, 100
UNLAWFUL_SCORE = 0.8

NEWS, ENCYCLOPEDIA, PLAIN = "news-zh.parquet", "encyclopedia.parquet", "web-00.jsonl"
GZIP, ZSTD, CRAWL = "web-01.jsonl.gz", "forum.jsonl.zst", "crawl/2026-01/part-0.jsonl"
TALK, TALKERS = "talk.jsonl", "talk.example"


@dataclass(frozen=True)
class Part:
    """What one source has in one shard.

    Attributes:
        records: number of distinct records; ``marked`` of them hold a term of the file ``marks``, at level certain or likely
            unless that file is ``mentions``.
        texts: the other records: files of real texts are used up first, made-up ones never end.
        repeats: exact duplicates added to the records.
    """

    source: str
    shard: str
    records: int
    texts: tuple[str, ...]
    marked: int = 0
    marks: str = "spam"
    repeats: int = 0


PLAN = (
    Part("news-zh.example", NEWS, 400, ("news",), 3),
    Part("travel.example", NEWS, 180, ("travel",), 1),
    Part("travel.example", GZIP, 100, ("travel",), 1),
    Part("encyclo.example", ENCYCLOPEDIA, 300, ("encyclopedia",)),
    Part("books.example", ENCYCLOPEDIA, 130, ("alice",)),
    Part("poems.example", ENCYCLOPEDIA, 22, ("tang",)),
    Part("recipes.example", PLAIN, 300, ("recipes",), repeats=6),
    Part("shop.example", PLAIN, 200, ("shop",), 11),
    Part("shop.example", GZIP, 200, ("shop",), 9),
    Part("directory.example", PLAIN, 260, ("personal",)),
    Part("deals.example", GZIP, 400, ("ads",), 19),
    Part("promo.example", GZIP, 100, ("ads",), 20),
    Part("promo.example", CRAWL, 200, ("ads",), 28),
    Part("forum-a.example", ZSTD, 300, ("cold", "davidson", "chat"), 4, "insults"),
    Part("forum-b.example", ZSTD, 250, ("chat",), 24, "mentions"),
    Part("helpdesk.example", ZSTD, 220, ("presidio",)),
    Part("flyers.example", CRAWL, 100, ("ads",), 6),
    Part("tiny-ads.example", CRAWL, 60, ("ads",), 6),
    Part("small-blog.example", CRAWL, 40, ("chat",), 2),
    Part(TALKERS, TALK, 128, ("chat",)),
)

MALFORMED = {
    PLAIN: (
        Malformed(
            42, b'{"id": "recipes-bad-1", "text": "a comma too many", "source": "recipes.example",,}', "bad JSON"
        ),
        Malformed(118, b'{"id": "recipes-bad-2", "text": "caf\xff", "source": "recipes.example"}', "bad UTF-8"),
        Malformed(231, b'{"id": "shop-bad-1", "text": 20260105, "source": "shop.example"}', "text is a number"),
        Malformed(305, b'{"id": "shop-bad-2", "title": "no text", "source": "shop.example"}', "no text"),
    ),
    GZIP: (Malformed(77, '{"doc_id":"deals-bad-1","content":"满减活动从'.encode(), "truncated object"),),
}


class Supply:
    """Texts by the name of their file, each handed out once in the whole corpus."""

    def __init__(self) -> None:
        self._open: dict[str, Iterator[str]] = {}

    def take(self, names: tuple[str, ...]) -> Iterator[str]:
        """Yield texts of the first file until it ends, then of the next."""
        return chain.from_iterable(self._texts(name) for name in names)

    def _texts(self, name: str) -> Iterator[str]:
        return self._open.setdefault(name, _real(name) if (TEXTS / f"{name}.jsonl").exists() else _made_up(name))


def _real(name: str) -> Iterator[str]:
    for line in (TEXTS / f"{name}.jsonl").read_text("utf-8").splitlines():
        yield json.loads(line)["text"]


def _made_up(name: str) -> Iterator[str]:
    for number, text in enumerate(read_phrases(TEXTS / "made-up" / f"{name}.txt").texts(), 1):
        yield vary_digits(text, number) if name == "personal" else disguise(text, number)


def compose() -> tuple[dict[str, list[Record]], set[str]]:
    """Return the records of every shard, sources interleaved, and the ids of those meant to be found."""
    supply, numbers = Supply(), dict.fromkeys((part.source for part in PLAN), 0)
    shards: dict[str, list[tuple[float, Record]]] = {}
    meant: set[str] = set()
    for part in PLAN:
        plain, marked = supply.take(part.texts), supply.take((part.marks,))
        spread = {(2 * i + 1) * part.records // (2 * part.marked) for i in range(part.marked)}
        records = []
        for place in range(part.records):
            numbers[part.source] += 1
            record = Record(part.source, numbers[part.source], next(marked if place in spread else plain))
            if place in spread:
                meant.add(record.id)
            records.append(record)
        for i in range(part.repeats):
            numbers[part.source] += 1
            records.append(Record(part.source, numbers[part.source], records[10 + 40 * i].text))
        placed = [((place + 0.5) / len(records), record) for place, record in enumerate(records)]
        shards.setdefault(part.shard, []).extend(placed)
    ordered = {shard: [r for _, r in sorted(placed, key=_place)] for shard, placed in shards.items()}
    for place, extra in enumerate(planted()):
        numbers[TALKERS] += 1
        record = Record(TALKERS, numbers[TALKERS], extra.text, extra.url)
        ordered[TALK].insert(5 + 11 * place, record)
        if extra.found:
            meant.add(record.id)
    return ordered, meant


def _place(placed: tuple[float, Record]) -> tuple[float, str]:
    return placed[0], placed[1].source


def measure(records: Sequence[Record], lists: Path) -> tuple[set[str], set[str]]:
    """Return the ids of the records that the lexicon finds unlawful, and of those with terms of level possible alone."""
    # The script also runs from a checkout that is not installed, and needs Winnow only to measure.
    sys.path.insert(0, str(ROOT))
    from models.documents import Documents
    from models.taggers.lexicon import Lexicon

    findings = Lexicon((str(lists),)).tag(Documents.of([record.text for record in records]))
    unlawful = {
        records[finding.row].id
        for finding in findings
        if finding.score >= UNLAWFUL_SCORE - 1e-6 and not finding.category.startswith("A.5.")
    }
    return unlawful, {records[finding.row].id for finding in findings} - unlawful


def expect(shards: dict[str, list[Record]], meant: set[str]) -> dict[str, Any]:
    """Return what a run should count, after checking that the lexicon finds what was meant and nothing else."""
    everything = [record for records in shards.values() for record in records]
    unlawful, possible = measure(everything, ROOT / LISTS)
    if unlawful | possible != meant:
        by_id = {record.id: record.text for record in everything}
        wrong = sorted((unlawful | possible) ^ meant)
        raise SystemExit(f"found but not meant, or meant but not found: {[(i, by_id[i]) for i in wrong]}")
    sources: dict[str, Any] = {}
    for name in sorted({part.source for part in PLAN}):
        parts = [part for part in PLAN if part.source == name]
        facts = count([record for record in everything if record.source == name], unlawful, possible)
        extra = planted() if name == TALKERS else []
        planned = (
            sum(part.records for part in parts) + len(extra),
            sum(part.marked for part in parts if part.marks != "mentions") + sum(each.unlawful for each in extra),
        )
        if (facts["distinct"], facts["unlawful"]) != planned:
            raise SystemExit(f"{name}: planned {planned} distinct and unlawful records, found {facts}")
        share = f"{100 * facts['unlawful'] / facts['distinct']:.2f} %"
        verdict = state(facts["unlawful"], facts["distinct"])
        sources[name] = {"shards": sorted({part.shard for part in parts}), **facts, "share": share, "state": verdict}
    if len({record.text for record in everything}) != sum(facts["distinct"] for facts in sources.values()):
        raise SystemExit("two sources have a text in common")
    files = {
        shard: {
            "records": len(records),
            "malformed": [{"line": bad.line, "wrong": bad.wrong} for bad in MALFORMED.get(shard, ())],
            "sources": {
                name: count([record for record in records if record.source == name], unlawful, possible)
                for name in sorted({record.source for record in records})
            },
        }
        for shard, records in sorted(shards.items())
    }
    totals = {key: sum(source[key] for source in sources.values()) for key in ("records", "distinct", "unlawful")}
    totals["malformed"] = sum(len(bad) for bad in MALFORMED.values())
    return {
        "lists": [LISTS],
        "unlawful_levels": ["certain", "likely"],
        "sources": sources,
        "shards": files,
        "totals": totals,
        "built_with": {
            "pyarrow": pa.__version__,
            "zlib": zlib.ZLIB_RUNTIME_VERSION,
            "zstd": zstd.zstd_version,
        },
    }


def count(records: Sequence[Record], unlawful: set[str], possible: set[str]) -> dict[str, int]:
    """Return the number of records, of distinct texts, and of distinct texts that are unlawful or only possibly so."""
    distinct = {record.text: record.id for record in reversed(records)}
    return {
        "records": len(records),
        "distinct": len(distinct),
        "unlawful": sum(i in unlawful for i in distinct.values()),
        "possible_only": sum(i in possible for i in distinct.values()),
    }


def state(unlawful: int, distinct: int) -> str:
    """Return the state of a source, the limit read literally: strictly over it, and from ``MIN_RECORDS`` records on."""
    if 100 * unlawful <= LIMIT_PERCENT * distinct:
        return "clean"
    return "blacklisted" if distinct >= MIN_RECORDS else "hold"


def build(folder: Path) -> dict[str, Any]:
    """Write ``corpus/`` and ``expected.json`` into a folder, and return what a run should count."""
    shards, meant = compose()
    expected = expect(shards, meant)
    corpus = folder / "corpus"
    (corpus / CRAWL).parent.mkdir(parents=True, exist_ok=True)
    write_news(corpus / NEWS, shards[NEWS])
    write_encyclopedia(corpus / ENCYCLOPEDIA, shards[ENCYCLOPEDIA])
    write_plain(corpus / PLAIN, shards[PLAIN], MALFORMED[PLAIN])
    write_gzip(corpus / GZIP, shards[GZIP], MALFORMED[GZIP])
    write_zstd(corpus / ZSTD, shards[ZSTD])
    write_crawl(corpus / CRAWL, shards[CRAWL])
    write_talk(corpus / TALK, shards[TALK])
    text = json.dumps(expected, ensure_ascii=False, indent=2) + "\n"
    (folder / "expected.json").write_text(text, "utf-8")
    return expected


def table(expected: dict[str, Any]) -> str:
    """Return the sources as a Markdown table, as it stands in the README."""
    lines = ["| source | shards | records | distinct | unlawful | share | state |", "|---|---|---:|---:|---:|---:|---|"]
    for name, facts in expected["sources"].items():
        cells = [name, ", ".join(facts["shards"]), *(str(facts[k]) for k in ("records", "distinct", "unlawful"))]
        lines.append(f"| {' | '.join([*cells, facts['share'], facts['state']])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(build(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES)))
