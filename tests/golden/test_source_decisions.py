"""Decisions on sources: every release enters what it changed, and a decision of a person holds on its days and leaves no trace after."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from conftest import AS_OF, Cli, Screen, files, manifest, records, write_shard

from models.decisions import read_decisions, verify
from models.errors import BrokenChainError
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.gc import collect
from pipeline.source_decisions import enter_changes
from pipeline.verify import verify as verify_release

GIVEN = ("--reviewer", "A. Reviewer", "--reason", "read all of it", "--decided", "2026-01-01", "--until", "2026-01-31")
Again = Callable[..., Any]


@pytest.fixture
def corpus(screen: Screen, tmp_path: Path) -> tuple[Path, Again]:
    """Run over a clean, a blacklisted and a held source; return the output and what runs again."""
    out, folder = tmp_path / "out", tmp_path / "in"
    for source, count, unlawful in (("good.example", 60, 1), ("bad.example", 30, 6), ("few.example", 10, 2)):
        write_shard(folder / f"{source}.jsonl", records(source, count, unlawful=unlawful))

    def again(**options: Any) -> Any:
        return screen(folder, out, **options)

    again()
    return out, again


def store(out: Path) -> LocalStore:
    return LocalStore(out / "store")


def states(out: Path) -> dict[str, tuple[str, str]]:
    return {row["source"]: (row["state"], row["basis"]) for row in pq.read_table(out / "sources.parquet").to_pylist()}


JUDGED = {
    "bad.example": ("blacklisted", "detector"),
    "few.example": ("hold", "detector"),
    "good.example": ("clean", "detector"),
}


def test_a_release_enters_what_it_changed_once(corpus: tuple[Path, Again], cli: Cli) -> None:
    out, again = corpus
    assert states(out) == JUDGED
    assert not again().published.is_new
    enter_changes(Corpus(out))
    rows = read_decisions(store(out)).table().to_pylist()
    assert [(row["entry"], row["source"], row["previous"], row["state"], row["unlawful"]) for row in rows] == [
        ("D0001", "bad.example", "clean", "blacklisted", 6),
        ("D0001", "few.example", "clean", "hold", 2),
    ]
    assert {(row["as_of"], row["release"], row["basis"]) for row in rows} == {(AS_OF, 1, "detector")}
    assert rows[0]["actor"] == f"run {manifest(out)['run']}"
    code, said, _ = cli("source", "list", out)
    assert code == 0
    assert said.splitlines() == [
        f"bad.example  blacklisted: 6 of 30 unlawful (20.00%) counted within splits, basis detector, since {AS_OF} (D0001)",
        f"few.example  hold: 2 of 10 unlawful (20.00%) counted within splits, basis detector, since {AS_OF} (D0001)",
        "good.example  clean: 1 of 60 unlawful (1.67%) counted within splits, basis detector",
    ]
    assert len(cli("source", "list", out, "--state", "hold", "--json")[1].splitlines()) == 1
    assert "overrides" not in manifest(out)["job"]


def test_an_override_holds_on_its_days_and_leaves_no_trace_after(corpus: tuple[Path, Again], cli: Cli) -> None:
    out, again = corpus
    before = files(out)
    code, said, _ = cli("source", "override", out, "bad.example", "--state", "clean", *GIVEN)
    assert (code, said.split(":")[0]) == (0, "D0002")
    result = again()
    assert result.published.number == 2
    # Records of other sources are not written again.
    assert (result.outcome.work["tagged"], result.outcome.work["released"]) == (0, 1)
    assert states(out) == JUDGED | {"bad.example": ("clean", "override D0002")}
    told = json.loads((out / "blacklist.json").read_bytes())["overridden"]
    by = {"entry": "D0002", "reviewer": "A. Reviewer", "until": "2026-01-31"}
    assert told == [{"key": "bad.example", "state": "clean", "override": by}]
    for page in ("report.html", "report.zh.html"):
        shown = (out / page).read_text("utf-8")
        assert all(part in shown for part in by.values())
    # What its own findings say of a record holds as ever.
    kept, held = (
        [row for path in (out / place).glob("bad*") for row in path.read_bytes().splitlines()]
        for place in ("clean", "quarantine")
    )
    assert (len(kept), len(held)) == (24, 6)
    assert not list(verify_release(Corpus(out)))
    said = cli("source", "show", out, "bad.example")[1]
    assert "D0002  2026-01-01  override: blacklisted → clean until 2026-01-31 by A. Reviewer [read all of it]" in said
    assert "D0003  2026-01-02  release 2: blacklisted → clean on 6 of 30" in said
    assert again(as_of="2026-02-01").published.number == 3
    assert states(out) == JUDGED
    after = files(out)
    assert {name for name in before if before[name] != after[name]} <= {"blacklist.json"}
    assert verify(store(out)) == 4
    collect(Corpus(out), 1, 0, is_trial=False)
    assert verify(store(out)) == 4


def test_verify_names_a_decision_that_was_touched(corpus: tuple[Path, Again], cli: Cli) -> None:
    out, again = corpus
    assert cli("source", "override", out, "bad.example", "--state", "clean", *GIVEN)[0] == 0
    again()
    entry = out / "store" / "decisions" / "D0002.json"
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace("A. Reviewer", "B. Reviewer"))
    code, said, error = cli("verify", out)
    assert code == 1
    assert "D0003.json: was made after another content of D0002" in said + error
    # Fail closed: nobody knows what is decided.
    assert cli("source", "list", out)[0] == 1
    with pytest.raises(BrokenChainError, match=r"D0003\.json"):
        again()


def test_crawlers_are_told_of_states_and_of_people(corpus: tuple[Path, Again], cli: Cli, tmp_path: Path) -> None:
    out, _ = corpus
    assert cli("source", "export", out)[1].splitlines() == ["bad.example", "few.example"]
    assert cli("source", "override", out, "few.example", "--state", "clean", *GIVEN)[0] == 0
    new = ("new.example/ada", "--state", "blacklisted", *GIVEN)
    code, _, error = cli("source", "override", out, *new)
    assert (code, "--unseen" in error) == (2, True)
    assert cli("source", "override", out, *new, "--unseen")[0] == 0
    personal = ("user:chat/ada.lovelace%40mail.example.org", *new[1:], "--unseen")
    code, _, error = cli("source", "override", out, *personal)
    assert (code, "it holds personal data" in error) == (2, True)
    code, said, error = cli("source", "export", out, "--format", "domains")
    assert (said.splitlines(), "1 sources are parts of hosts" in error) == (["bad.example"], True)
    assert cli("source", "export", out, "--format", "url-prefixes")[1].splitlines() == [
        "bad.example/",
        *(f"new.example/ada{end}" for end in "/?$"),
    ]
    assert (
        "# host: new.example\nUser-agent: *\nDisallow: /ada/\n" in cli("source", "export", out, "--format", "robots")[1]
    )
    lines = cli("source", "export", out, "--format", "jsonl", "--since", "2026-01-02")[1].splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["bad.example"]
    assert "few.example" in cli("source", "export", out, "--as-of", "2026-02-01")[1]
    assert cli("source", "export", out, "--format", "parquet", "--to", tmp_path / "d.parquet")[0] == 0
    assert pq.read_metadata(tmp_path / "d.parquet").num_rows == 4
    assert len(cli("source", "export", out, "--format", "ledger")[1].splitlines()) == 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("override", "bad.example", "--state", "celan", *GIVEN), "did you mean 'clean'"),
        (("override", "bad.example", "--state", "clean", *GIVEN, "--reviewer", " "), "reviewer is empty"),
        (("override", "bad.example", "--state", "clean", *GIVEN, "--reason", ""), "reason is empty"),
        (("override", "bad.example", "--state", "clean", *GIVEN, "--until", "2025-12-31"), "would never hold"),
        (("override", "bad.example", "--state", "clean", *GIVEN, "--until", "soon"), "say a date"),
        (("override", "bed.example", "--state", "clean", *GIVEN), "no source bed.example"),
        (("show", "bed.example"), "no source bed.example"),
        (("list", "--state", "celan"), "did you mean 'clean'"),
        (("export", "--format", "domain"), "did you mean 'domains'"),
        (("export", "--format", "parquet"), "--to"),
        (("export", "--format", "ledger", "--since", "2026-01-01"), "leave --since"),
        (("export", "--since", "2026-02-01", "--until", "2026-01-31"), "nothing could be between them"),
        (("override", "bad.example", "--state", "clean", *GIVEN[:4]), "--until is missing"),
        (("override", "bad.example", "--state", "judged", *GIVEN), "nobody decided on it"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(
    corpus: tuple[Path, Again], cli: Cli, given: tuple[str, ...], said: str
) -> None:
    out, _ = corpus
    code, _, error = cli("source", given[0], out, *given[1:])
    assert code == 2
    assert said in error


def _override(root: Path, name: str) -> None:
    from models.deciding import override

    for number in range(5):
        override(
            LocalStore(root),
            f"{name}{number}",
            "hold",
            reviewer=name,
            reason="r",
            decided="2026-01-01",
            until="2026-01-09",
        )


def test_a_run_and_people_that_decide_meanwhile_are_all_entered(corpus: tuple[Path, Again], cli: Cli) -> None:
    out, again = corpus
    assert cli("source", "override", out, "bad.example", "--state", "clean", *GIVEN)[0] == 0
    fork = multiprocessing.get_context("forkserver")
    clerks = [fork.Process(target=_override, args=(out / "store", name)) for name in "ab"]
    for clerk in clerks:
        clerk.start()
    again()
    for clerk in clerks:
        clerk.join()
        assert clerk.exitcode == 0
    assert verify(store(out)) == 13
    kinds = [each.facts["kind"] for each in read_decisions(store(out)).entries]
    assert (kinds.count("override"), kinds.count("release")) == (11, 2)
