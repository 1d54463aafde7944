"""The ledger of sources: only changes are entered, nothing is lost, and what holds on a day is told without a clock."""

import json
import multiprocessing
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.deciding import Released, acknowledge, enter_release, override
from models.decision_export import crawler_lines, jsonl, refused, sites_of, write_parquet
from models.decisions import FIGURES, JUDGED, read_decisions, verify
from models.errors import BrokenChainError, UsageError
from models.removals import Held, Seen
from models.sources import STATES
from models.store import LocalStore


def table(states: Mapping[str, str | None], basis: str = "detector") -> pa.Table:
    rows = [
        {"source": source, "state": state, "basis": basis, **dict.fromkeys(FIGURES, 7)}
        | dict.fromkeys(("collect_allowed", "train_allowed"), state == "clean")
        for source, state in states.items()
    ]
    fields = [(name, pa.string()) for name in ("source", "state", "basis")] + [(name, pa.int64()) for name in FIGURES]
    fields += [(name, pa.bool_()) for name in ("collect_allowed", "train_allowed")]
    return pa.Table.from_pylist(rows, pa.schema(fields))


def released(number: int, as_of: str = "2026-01-01", *, otherwise: str = "clean", verdicts: str = "") -> Released:
    return Released(number, as_of, "literal, limit 1/20", otherwise, verdicts, {"policy": "p@1"}, f"run{number}")


def enter(
    root: Path,
    number: int,
    states: Mapping[str, str | None],
    as_of: str = "2026-01-01",
    basis: str = "detector",
    **said: str,
) -> str | None:
    entry = enter_release(LocalStore(root), root, table(states, basis), released(number, as_of, **said))
    return entry.id if entry else None


def overrule(root: Path, source: str, state: str, decided: str = "2026-01-02", until: str = "2026-02-01") -> str:
    said = {"reviewer": "A. Reviewer", "reason": "read 400 of it", "decided": decided, "until": until}
    return override(LocalStore(root), source, state, **said).id


def test_a_release_enters_what_it_changed_and_nothing_else(tmp_path: Path) -> None:
    first = {"a": "clean", "b": "hold", "c": "blacklisted", "d": None}
    assert enter(tmp_path, 1, first) == "D0001"
    assert enter(tmp_path, 1, first) is None
    assert enter(tmp_path, 2, first) is None
    assert enter(tmp_path, 3, {"a": "hold", "b": "clean", "e": "clean"}) == "D0002"
    assert enter(tmp_path, 2, {"a": "blacklisted"}) is None
    rows = read_decisions(LocalStore(tmp_path)).table().to_pylist()
    said = [(row["entry"], row["release"], row["source"], row["previous"], row["state"]) for row in rows]
    assert said == [
        ("D0001", 1, "b", "clean", "hold"),
        ("D0001", 1, "c", "clean", "blacklisted"),
        ("D0002", 3, "a", "clean", "hold"),
        ("D0002", 3, "b", "hold", "clean"),
    ]
    assert [row["collect_allowed"] for row in rows] == [False, False, False, True]
    assert {row["method"] for row in rows} == {"literal, limit 1/20"}
    assert {row["actor"] for row in rows} == {"run run1", "run run3"}
    assert read_decisions(LocalStore(tmp_path)).states() == {"a": "hold", "b": "clean", "c": "blacklisted"}
    assert verify(LocalStore(tmp_path)) == 2


def test_what_nothing_is_known_of_is_left_out_and_told_by_the_entry(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"a": "clean", "b": "blacklisted"})
    interval = {"otherwise": "insufficient", "basis": "audit"}
    states = {"a": "insufficient", "b": "insufficient", "c": "clean", "d": "insufficient"}
    assert enter(tmp_path, 2, states, **interval) == "D0002"
    assert enter(tmp_path, 3, states, **interval) is None
    ledger = read_decisions(LocalStore(tmp_path))
    rows = [(row["source"], row["previous"], row["state"]) for row in ledger.table().to_pylist()[1:]]
    assert rows == [("b", "blacklisted", "insufficient"), ("c", "clean", "clean")]
    assert ledger.otherwise == "insufficient"
    # Back to the literal reading: nothing is said of "a" and "d", but that the rest is clean again.
    assert enter(tmp_path, 4, {"a": "clean", "b": "clean", "c": "clean", "d": "clean"}) == "D0003"
    assert read_decisions(LocalStore(tmp_path)).otherwise == "clean"


def test_a_mark_stays_until_the_figures_clear_it_and_says_which_verdicts_made_it(tmp_path: Path) -> None:
    def marks() -> dict[str, tuple[int, str]]:
        found = read_decisions(LocalStore(tmp_path)).marks()
        return {source: (mark.entry, mark.verdicts) for source, mark in found.items()}

    def night(number: int, state: str, verdicts: str, basis: str = "audit") -> None:
        enter(tmp_path, number, {"a": state}, basis=basis, otherwise="insufficient", verdicts=verdicts)

    night(1, "blacklisted", "", "detector")
    assert marks() == {}
    night(2, "hold", "one")
    night(3, "blacklisted", "two")
    assert marks() == {"a": (3, "two")}
    night(4, "clean", "three", "override D0009")
    night(5, "blacklisted", "three")
    assert marks() == {"a": (3, "two")}
    night(6, "clean", "four")
    assert marks() == {"a": (0, "two")}
    night(7, "blacklisted", "five")
    assert marks() == {"a": (7, "five")}


SOURCES = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(STATES), max_size=6)


@given(st.lists(SOURCES, max_size=6))
@settings(max_examples=50, deadline=None)
def test_the_ledger_adds_up_to_the_last_states(
    tmp_path_factory: pytest.TempPathFactory, nights: list[dict[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("store")
    held: dict[str, str] = {}
    for number, states in enumerate(nights, 1):
        changed = {source for source, state in states.items() if held.get(source, "clean") != state}
        assert (enter(root, number, states) is not None) == bool(changed)
        held |= states
    ledger = read_decisions(LocalStore(root))
    assert {s: state for s, state in ledger.states().items() if state != "clean"} == {
        source: state for source, state in held.items() if state != "clean"
    }
    before: dict[str, str] = {}
    for row in ledger.table().to_pylist():
        assert row["previous"] == before.get(row["source"], "clean") != row["state"]
        before[row["source"]] = row["state"]
    assert {source: row["state"] for source, row in ledger.latest().items()} == before


def test_an_override_holds_on_its_days_and_the_last_one_counts(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"a": "blacklisted"})
    overrule(tmp_path, "a", "clean")
    ledger = read_decisions(LocalStore(tmp_path))
    in_force = [day for day in ("2026-01-01", "2026-01-02", "2026-02-01", "2026-02-02") if ledger.overrides(day)]
    assert in_force == ["2026-01-02", "2026-02-01"]
    assert ledger.history("a")[1]["previous"] == "blacklisted"
    overrule(tmp_path, "a", "hold", "2026-01-10", "2026-01-12")
    ledger = read_decisions(LocalStore(tmp_path))
    assert ledger.history("a")[2]["previous"] == "clean"
    assert {day: each.state for day in ("2026-01-09", "2026-01-11") for each in ledger.overrides(day).values()} == {
        "2026-01-09": "clean",
        "2026-01-11": "hold",
    }
    # The one before does not come back when the later one has run out.
    assert not ledger.overrides("2026-01-13")
    overrule(tmp_path, "a", JUDGED, "2026-01-11", "2026-01-11")
    assert not read_decisions(LocalStore(tmp_path)).overrides("2026-01-11")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reviewer": " "}, "reviewer is empty"),
        ({"reason": "-"}, "reason is empty"),
        ({"source": ""}, "source is empty"),
        ({"state": "celan"}, "did you mean 'clean'"),
        ({"until": "2026-01-01"}, "until 2026-01-01 is before 2026-01-02"),
    ],
)
def test_what_nobody_could_answer_for_is_refused(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    given = {
        "source": "a",
        "state": "clean",
        "reviewer": "A",
        "reason": "r",
        "decided": "2026-01-02",
        "until": "2026-01-03",
    }
    with pytest.raises(UsageError, match=said):
        override(LocalStore(tmp_path), **(given | changed))
    with pytest.raises(UsageError, match="by is empty"):
        acknowledge(LocalStore(tmp_path), "a", (1, 2), by="", reason="r", decided="2026-01-02", release=1)
    assert not read_decisions(LocalStore(tmp_path)).entries


def _decide(root: Path, name: str) -> None:
    for number in range(8):
        overrule(root, f"{name}{number}", "hold")
        # Every process publishes the same releases: each is entered once.
        enter(root, number + 1, {"common": STATES[number % 3]})


def test_runs_and_people_that_decide_at_once_neither_lose_nor_fork_the_ledger(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("forkserver")
    clerks = [fork.Process(target=_decide, args=(tmp_path, name)) for name in "abc"]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
        assert clerk.exitcode == 0
    count = verify(LocalStore(tmp_path))
    ledger = read_decisions(LocalStore(tmp_path))
    assert set(ledger.overrides("2026-01-02")) == {f"{name}{number}" for name in "abc" for number in range(8)}
    numbers = [each.facts["release"] for each in ledger.entries if each.facts["kind"] == "release"]
    assert numbers == sorted(set(numbers))
    assert count == 24 + len(numbers)


def test_a_file_of_changes_that_was_touched_is_named(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"a": "hold"})
    enter(tmp_path, 2, {"a": "clean"})
    name = read_decisions(LocalStore(tmp_path)).entries[0].facts["changes"]["name"]
    (tmp_path / name).chmod(0o644)
    pq.write_table(pq.read_table(tmp_path / name).slice(0, 0), tmp_path / name)
    with pytest.raises(BrokenChainError, match="what D0001 of the ledger says"):
        verify(LocalStore(tmp_path))
    (tmp_path / name).unlink()
    with pytest.raises(BrokenChainError, match="what D0001 of the ledger says"):
        read_decisions(LocalStore(tmp_path)).table()


def test_a_run_that_was_outrun_enters_nothing(tmp_path: Path) -> None:
    entry = enter_release(LocalStore(tmp_path), tmp_path, table({"a": "hold"}), released(1), lambda: False)
    assert entry is None


def test_exports_hold_every_decision_in_the_same_bytes(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"b.example": "blacklisted", "a.example": "hold"})
    overrule(tmp_path, "a.example", "clean")
    acknowledge(LocalStore(tmp_path), "b.example", (1, 2), by="A", reason="seen", decided="2026-01-03", release=1)
    ledger = read_decisions(LocalStore(tmp_path))
    for name in ("one", "two"):
        write_parquet(ledger, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    rows = pq.read_table(tmp_path / "one").to_pylist()
    assert [(row["entry"], row["kind"], row["source"]) for row in rows] == [
        ("D0001", "release", "a.example"),
        ("D0001", "release", "b.example"),
        ("D0002", "override", "a.example"),
        ("D0003", "acknowledge", "b.example"),
    ]
    assert [json.loads(line) for line in jsonl(rows)] == rows
    assert rows[0]["versions"] == '{"policy":"p@1"}'


def test_crawlers_are_told_what_must_not_be_collected_on_a_day(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"b.example": "blacklisted", "a.example": "hold", "dataset:d": "hold", "c.example/x": "hold"})
    enter(tmp_path, 2, {"b.example": "clean", "d.example": "hold"}, "2026-01-05")
    overrule(tmp_path, "a.example", "clean")
    overrule(tmp_path, "e.example", "blacklisted")
    ledger = read_decisions(LocalStore(tmp_path))

    def said(as_of: str, **days: str) -> list[str]:
        return [row["source"] for row in refused(ledger, as_of, as_of, **days)]

    # A run as of an earlier day than the one before: what releases came to counts all the same.
    assert "b.example" not in [row["source"] for row in refused(ledger, "2026-01-01")]

    assert said("2026-01-01") == ["a.example", "b.example", "c.example/x", "dataset:d"]
    assert said("2026-01-05") == ["c.example/x", "d.example", "dataset:d", "e.example"]
    assert said("2026-01-05", since="2026-01-02") == ["d.example", "e.example"]
    assert said("2026-01-05", since="2026-01-02", until="2026-01-04") == ["e.example"]
    sites, others = sites_of(refused(ledger, "2026-01-05"))
    assert others == ["dataset:d"]
    assert list(crawler_lines(sites, "domains")) == ["d.example", "e.example"]
    of_part = ["c.example/x/", "c.example/x?", "c.example/x$"]
    assert list(crawler_lines(sites, "url-prefixes")) == [*of_part, "d.example/", "e.example/"]
    robots = ["# host: c.example", "User-agent: *", "Disallow: /x/", "Disallow: /x?", "Disallow: /x$", ""]
    assert list(crawler_lines(sites, "robots"))[:6] == robots


def test_a_host_that_figures_refuse_says_nothing_of_the_sources_below_it(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"code.example": "blacklisted", "blogs.example": "blacklisted", "alone.example": "hold"})
    overrule(tmp_path, "blogs.example", "blacklisted")
    sites, _ = sites_of(refused(read_decisions(LocalStore(tmp_path)), "2026-01-03", reaches=True))
    has_below, spared = {"code.example", "blogs.example"}, {"code.example": ["/bo"], "blogs.example": ["/ada"]}
    # What a person decided reaches what lies below; code.example is over the limit by its own pages.
    assert list(crawler_lines(sites, "domains", has_below, spared)) == ["alone.example", "blogs.example"]
    of_code = list(crawler_lines([site for site in sites if site.host == "code.example"], "robots", has_below, spared))
    assert of_code[2:] == ["Disallow: /", "Allow: /bo/", "Allow: /bo?", "Allow: /bo$", ""]
    assert not [line for line in crawler_lines(sites, "robots", has_below, spared) if line.startswith("Allow: /ada")]


def test_what_rested_on_an_override_that_ran_out_is_as_the_figures_had_it(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"a.example": "blacklisted", "b.example": "clean"})
    entry = overrule(tmp_path, "a.example", "clean", until="2026-01-10")
    enter(tmp_path, 2, {"a.example": "clean"}, "2026-01-03", f"override {entry}")
    ledger = read_decisions(LocalStore(tmp_path))
    assert refused(ledger, "2026-01-10") == []
    [row] = refused(ledger, "2026-01-11")
    assert (row["source"], row["state"], row["entry"]) == ("a.example", "blacklisted", "D0001")


def test_a_decision_on_what_a_source_lies_in_condemns_it_and_never_clears_it(tmp_path: Path) -> None:
    enter(tmp_path, 1, {"dataset:p/bad": "blacklisted", "dataset:p/good": "clean"})
    overrule(tmp_path, "dataset:p/good", "clean")
    overrule(tmp_path, "publisher:p", "hold")
    ledger = read_decisions(LocalStore(tmp_path))
    rows = {row["source"]: (row["state"], row["basis"]) for row in refused(ledger, "2026-01-03", reaches=True)}
    assert rows == {
        "dataset:p/bad": ("blacklisted", "detector"),
        "dataset:p/good": ("hold", "override D0003 of publisher:p"),
        "publisher:p": ("hold", "person"),
    }
    assert [row["source"] for row in refused(ledger, "2026-01-03")] == ["dataset:p/bad", "publisher:p"]


def test_a_release_says_what_its_policy_allows_of_a_state_that_a_person_gave(tmp_path: Path) -> None:
    entry = overrule(tmp_path, "a.example", "watch")
    assert [row["source"] for row in refused(read_decisions(LocalStore(tmp_path)), "2026-01-03")] == ["a.example"]
    states = table({"a.example": "watch"}, f"override {entry}")
    states = states.set_column(states.schema.get_field_index("collect_allowed"), "collect_allowed", pa.array([True]))
    enter_release(LocalStore(tmp_path), tmp_path, states, released(1, "2026-01-03"))
    assert refused(read_decisions(LocalStore(tmp_path)), "2026-01-03") == []


def test_a_hold_for_removals_lasts_through_overrides_and_absence_until_a_release_says_otherwise(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)

    def held(number: int, state: str, basis: str, *others: str) -> tuple[str | None, dict[str, Held]]:
        states = {} if state == "gone" else {"a": state}
        entry = enter_release(
            store, tmp_path, table({**states, **dict.fromkeys(others, "clean")}, basis), released(number)
        )
        return entry.id if entry else None, read_decisions(store).held()

    first = {"a": Held(1, "moved", (7, 7))}
    assert held(1, "hold", "moved") == ("D0001", first)
    # The same is no change, nor is what a person decided instead.
    assert held(2, "hold", "moved") == (None, first)
    assert held(3, "clean", "override D0009") == ("D0002", first)
    assert held(4, "gone", "detector", "b") == (None, first)
    assert held(5, "hold", "moved") == ("D0003", {"a": Held(3, "moved", (7, 7))})
    said = {"by": "A", "reason": "seen", "decided": "2026-01-03"}
    assert acknowledge(store, "a", (5, 9), release=5, **said).id == "D0004"
    assert read_decisions(store).seen() == {"a": Seen(4, 5, 9)}
    assert read_decisions(store).seen(5) == {}
    # Made before it was acknowledged; then it moved anew, which is a hold of its own.
    assert held(5, "hold", "moved")[0] is None
    assert held(6, "hold", "moved") == ("D0005", {"a": Held(5, "moved", (7, 7))})
    # On hold by its figures, which ends in another way.
    assert held(7, "hold", "detector") == ("D0006", {})
    assert held(8, "hold", "nearly-all-removed")[1] == {"a": Held(7, "nearly-all-removed", (7, 7))}
