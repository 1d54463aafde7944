"""The interval reading in runs: people's verdicts decide, found again by content in the strata that the present detectors make."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import (
    BANNED,
    POLICY,
    UNLAWFUL,
    Cli,
    Record,
    Screen,
    manifest,
    records,
    states,
    texts,
    write_list,
    write_shard,
)

from models.audits import read_verdicts
from models.decisions import FIGURES, read_decisions
from models.reviews import DRAWN, IMPORT, LABEL, LAWFUL, SAID, SAMPLE, SOURCES, chain_of, final_verdicts, keep_table
from models.reviews import UNLAWFUL as SAID_UNLAWFUL
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.verify import verify

SALT = b"a salt of the tests"
WHOLE = 2**64 - 1
INTERVAL = (
    POLICY.replace("reading: literal", "reading: interval")
    .replace("basis: detector", "basis: audit")
    # A limit that few records can be sure about: none of 16 and more is within it.
    .replace("limit: 5/100", "limit: 20/100\n  leave_limit: 15/100\n  min_audited: 20")
)


class Reviewed:
    """A corpus with an interval policy, and samples that two people judged alike."""

    def __init__(self, screen: Screen, root: Path) -> None:
        self.screen, self.root, self.out = screen, root, root / "out"
        screen.policy.write_text(INTERVAL, "utf-8")
        self.shards: dict[str, Path] = {}

    def write(self, source: str, rows: list[Record]) -> list[Record]:
        self.shards[source] = write_shard(self.root / "in" / f"{source}.jsonl", rows)
        return rows

    def run(self, *sources: str, **options: Any) -> Any:
        inputs = [self.shards[source] for source in sources or sorted(self.shards)]
        return self.screen(inputs, self.out, input_root=str(self.root / "in"), **options)

    def review(
        self, said: Mapping[str, Iterable[tuple[Record, bool]]], bounds: Mapping[str, int] | None = None
    ) -> None:
        """Enter a sample of records by source, each with what two people said of it: unlawful or not."""
        rows, given = [], []
        for source, judged in said.items():
            for record, unlawful in judged:
                content = content_of(record)
                task = hashlib.sha256(source.encode() + content).hexdigest()
                here = {"task": task, "source": source, "stratum": "unflagged", "content": content, "record": bytes(8)}
                here |= {"draw": draw_of(record), "bound": (bounds or {}).get(source, WHOLE), "shown": content}
                rows.append(here | {"shard": f"{source}.jsonl", "position": 0})
                verdict = SAID_UNLAWFUL if unlawful else LAWFUL
                given += [
                    {"task": task, "role": LABEL, "person": person, "verdict": verdict, "category": ""}
                    for person in "ab"
                ]
        store = LocalStore(self.out / "store")
        store.prepare()
        facts = {
            "purpose": SOURCES,
            "salt": SALT.hex(),
            "series": 1,
            "release": 1,
            "population": len(rows),
            "size": 400,
        }
        for kind, schema, made in ((SAMPLE, DRAWN, rows), (IMPORT, SAID, given)):
            table = pa.Table.from_pylist(made, schema)
            entry = facts | {"kind": kind, "table": keep_table(store, store.scratch, kind, table)}
            chain_of(store).append(lambda _, entry=entry: entry)

    def table(self) -> dict[str, dict[str, Any]]:
        return {row["source"]: row for row in pq.read_table(self.out / "sources.parquet").to_pylist()}


def content_of(record: Record) -> bytes:
    return hashlib.sha256(record["text"].encode()).digest()[:16]


def draw_of(record: Record) -> int:
    return int.from_bytes(hmac.digest(SALT, content_of(record), "sha256")[:8], "big")


@pytest.fixture
def reviewed(screen: Screen, tmp_path: Path) -> Reviewed:
    return Reviewed(screen, tmp_path)


EXPECTED = {
    "bad.example": "blacklisted",
    "clean.example": "clean",
    "few.example": "insufficient",
    "hold.example": "hold",
    "none.example": "insufficient",
    "watch.example": "watch",
}
UNLAWFUL_OF = {"bad.example": 30, "clean.example": 0, "few.example": 0, "hold.example": 12, "watch.example": 6}


def five_states(reviewed: Reviewed) -> None:
    """Write sources of 40 records, the first two of them flagged, and review all of them but those of two."""
    said = {}
    for source in EXPECTED:
        rows = reviewed.write(source, records(source, 40, unlawful=2))
        judged = rows[:10] if source == "few.example" else rows
        if source in UNLAWFUL_OF:
            # Detectors are wrong about both: people found others unlawful.
            said[source] = [(row, 2 <= at < 2 + UNLAWFUL_OF[source]) for at, row in enumerate(judged)]
    reviewed.review(said)


def test_verdicts_give_each_of_the_five_states_and_say_on_what(reviewed: Reviewed, cli: Cli) -> None:
    five_states(reviewed)
    reviewed.run()
    out, table = reviewed.out, reviewed.table()
    assert states(out) == EXPECTED
    assert {text.split(" of ")[1].split(" on ")[0] for text in texts(out)} == {"clean.example"}
    clean, few, none = table["clean.example"], table["few.example"], table["none.example"]
    assert (clean["unlawful"], clean["audited_high"], clean["audited_unflagged"]) == (2, 2, 38)
    assert (clean["estimate_ppm"], clean["lower_ppm"], clean["basis"]) == (0, 0, "audit")
    # MOVER over two strata: sqrt of the squares of (2/40) u(0 of 2) and (38/40) u(0 of 38), rounded up.
    z = 1.96**2
    upper = ((0.05 * z / (2 + z)) ** 2 + (0.95 * z / (38 + z)) ** 2) ** 0.5
    assert 0 <= clean["upper_ppm"] - 1e6 * upper < 1
    assert (few["basis"], few["audited_unflagged"], none["basis"], none["upper_ppm"]) == ("audit", 8, "detector", None)
    assert table["bad.example"]["confirmed_unflagged"] == 30
    assert {
        name: (row["collect_allowed"], row["train_allowed"]) for name, row in table.items() if row["train_allowed"]
    } == {"clean.example": (True, True)}
    assert not list(verify(Corpus(out)))
    job = manifest(out)["job"]
    assert read_verdicts(LocalStore(out / "store"), job["verdicts"]).equals(final_verdicts(LocalStore(out / "store")))
    ledger = read_decisions(LocalStore(out / "store"))
    assert {source: row["state"] for source, row in ledger.latest().items()} == {
        source: state for source, state in EXPECTED.items() if state != "insufficient"
    }
    assert job["epoch"] in ledger.latest()["bad.example"]["versions"]
    assert {name: table["bad.example"][name] for name in FIGURES} == {
        name: ledger.latest()["bad.example"][name] for name in FIGURES
    }
    # The mark that the run left changes nothing.
    assert not reviewed.run().published.is_new
    said = cli("source", "show", out, "watch.example")[1]
    assert "watch: 15.0000 % (" in said
    assert "6 of 40 verdicts unlawful" in said
    assert "source:insufficient" in cli("explain", out, "none.example-5")[1]


def test_nights_in_any_order_and_any_workers_say_the_same(screen: Screen, tmp_path: Path) -> None:
    made = []
    for name, nights, options in (
        ("once", [sorted(EXPECTED)], {"workers": 4}),
        (
            "nights",
            [["watch.example", "bad.example"], ["clean.example", "few.example"], ["hold.example", "none.example"]],
            {},
        ),
        (
            "back",
            [["hold.example", "none.example", "clean.example"], ["few.example", "watch.example", "bad.example"]],
            {"workers": 4},
        ),
    ):
        reviewed = Reviewed(screen, tmp_path / name)
        five_states(reviewed)
        for night in nights:
            reviewed.run(*night, **options)
        latest = read_decisions(LocalStore(reviewed.out / "store")).latest()
        figures = {source: [row["state"], *(row[each] for each in FIGURES)] for source, row in latest.items()}
        made.append(((reviewed.out / "sources.parquet").read_bytes(), figures))
    assert made[0] == made[1] == made[2]


def test_another_verdict_touches_its_source_alone(reviewed: Reviewed) -> None:
    five_states(reviewed)
    reviewed.run()
    rows = records("hold.example", 40, unlawful=2)
    reviewed.review({"hold.example": [(row, False) for row in rows]})
    work = reviewed.run().outcome.work
    assert (work["tagged"], work["released"]) == (0, 1)
    assert states(reviewed.out) == EXPECTED | {"hold.example": "clean"}


def test_another_list_moves_records_between_strata_and_leaves_verdicts(reviewed: Reviewed) -> None:
    rows = reviewed.write("s.example", records("s.example", 40, unlawful=4))
    reviewed.review({"s.example": [(row, at < 8) for at, row in enumerate(rows)]})
    reviewed.run()
    before, epoch = reviewed.table()["s.example"], manifest(reviewed.out)["job"]["epoch"]
    write_list(
        reviewed.screen.list, {UNLAWFUL: "A.1.h", BANNED: "A.2.i"} | {f"Note {at}": "A.1.h" for at in range(10, 20)}
    )
    reviewed.run()
    after, job = reviewed.table()["s.example"], manifest(reviewed.out)["job"]
    assert job["epoch"] != epoch
    assert [(row["unlawful"], row["audited_high"], row["audited_unflagged"]) for row in (before, after)] == [
        (4, 4, 36),
        (14, 14, 26),
    ]
    assert [(row["confirmed_high"], row["confirmed_unflagged"]) for row in (before, after)] == [(4, 4), (4, 4)]
    assert len(final_verdicts(LocalStore(reviewed.out / "store"))) == 40


def test_a_blacklisted_source_stays_so_until_verdicts_that_came_since_clear_it(reviewed: Reviewed) -> None:
    rows = sorted(reviewed.write("s.example", records("s.example", 160)), key=draw_of)
    bound = [draw_of(rows[at]) for at in (40, 60, 100)]

    def review(count: int, bound: int) -> None:
        reviewed.review({"s.example": [(row, at < 30) for at, row in enumerate(rows[:count])]}, {"s.example": bound})

    review(40, bound[0])
    reviewed.run()
    assert states(reviewed.out) == {"s.example": "blacklisted"}
    review(60, bound[1])
    reviewed.run()
    row = reviewed.table()["s.example"]
    assert (row["state"], row["audited_unflagged"], row["mark"]) == ("blacklisted", 60, None)
    review(100, bound[2])
    reviewed.run()
    # 30 of 100 are over the limit, but none of the 60 that were judged since.
    row = reviewed.table()["s.example"]
    assert (row["state"], row["audited_unflagged"], row["confirmed_unflagged"]) == ("clean", 60, 0)
    assert not list(verify(Corpus(reviewed.out)))
    assert not reviewed.run().published.is_new
