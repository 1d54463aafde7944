"""A release holds the head of each ledger, so that a ledger cut off at its end, or written anew, is found and nothing goes on from it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, Screen, manifest, records, write_shard

from models.decisions import read_decisions
from models.errors import BrokenChainError
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.verify import verify

GIVEN = ("--reviewer", "A. Reviewer", "--reason", "read", "--decided", "2026-01-01", "--until", "2026-01-31")


@pytest.fixture
def corpus(screen: Screen, cli: Cli, tmp_path: Path) -> tuple[Path, Callable[[], Any]]:
    """A corpus of two releases, with an override and a withdrawal before the second."""
    out, folder = tmp_path / "out", tmp_path / "in"
    write_shard(folder / "a.jsonl", records("bad.example", 30, unlawful=6))
    screen(folder, out)
    assert cli("source", "override", out, "bad.example", "--state", "hold", *GIVEN)[0] == 0
    told = ("--record", "none", "--reason", "r", "--by", "B", "--basis", "takedown")
    assert cli("withdraw", "add", out, *told)[0] == 0
    screen(folder, out)
    return out, lambda: screen(folder, out)


def test_a_release_holds_the_head_of_each_ledger(corpus: tuple[Path, Any]) -> None:
    out, _ = corpus
    entries = read_decisions(LocalStore(out / "store")).entries
    # The change that the release itself brought is entered after it.
    assert [each.facts["kind"] for each in entries] == ["release", "override", "release"]
    heads = manifest(out)["ledgers"]
    assert heads["decisions"] == {"entry": "D0002", "sha256": entries[1].sha256}
    assert heads["withdrawals"]["entry"] == "W0001"
    assert "reviews" not in heads
    first = json.loads((out / "releases" / "1" / "manifest.json").read_bytes())
    assert first["ledgers"] == {}
    assert not list(verify(Corpus(out)))
    assert not list(verify(Corpus(out), 1))


@pytest.mark.parametrize(("name", "last"), [("decisions/D", 1), ("withdrawals/W", 0)])
def test_a_ledger_that_is_cut_off_is_found_and_nothing_goes_on_from_it(
    corpus: tuple[Path, Any], cli: Cli, name: str, last: int
) -> None:
    out, again = corpus
    folder, letter = name.split("/")
    for entry in (out / "store" / folder).glob(f"{letter}*.json"):
        if int(entry.stem[1:]) > last:
            entry.unlink()
    code, said, _ = cli("verify", out)
    assert code == 1
    assert f"release 2 holds {letter}{last + 1:04}" in said
    assert "is gone" in said
    # An earlier release holds less, but the current one is asked, too.
    assert f"release 2 holds {letter}{last + 1:04}" in cli("verify", out, "--release", "1")[1]
    with pytest.raises(BrokenChainError, match="is gone"):
        again()
    for command in ("list", "export"):
        code, _, error = cli("source", command, out)
        assert (code, "is gone" in error) == (1, True)


def test_a_ledger_that_is_written_anew_is_found(corpus: tuple[Path, Any], cli: Cli, tmp_path: Path) -> None:
    out, again = corpus
    other = tmp_path / "other"
    shutil.copytree(out, other, symlinks=True)
    for entry in (out / "store" / "decisions").glob("D000[23].json"):
        entry.unlink()
    # Whole in itself, and of as many entries.
    from models.deciding import override

    for reviewer in "BC":
        override(
            LocalStore(out / "store"),
            "bad.example",
            "hold",
            reviewer=reviewer,
            reason="r",
            decided="2026-01-01",
            until="2026-01-31",
        )
    code, said, _ = cli("verify", out)
    assert code == 1
    assert "release 2 holds D0002" in said
    assert "is another now" in said
    with pytest.raises(BrokenChainError, match="is another now"):
        again()
    assert cli("verify", other)[0] == 0


def test_what_a_killed_run_left_to_be_entered_is_shown_and_read_without_writing(
    corpus: tuple[Path, Any], cli: Cli, tmp_path: Path
) -> None:
    out, again = corpus
    # As if the run of release 2 had been killed between publishing and entering.
    (out / "store" / "decisions" / "D0003.json").unlink()
    before = sorted(path.name for path in (out / "store" / "decisions").rglob("*"))
    code, said, told = cli("source", "list", out)
    assert code == 0
    assert "bad.example  hold: 6 of 30" in said
    assert "(pending)" in said
    assert "release 2 changed the states of 1 sources" in told
    history = cli("source", "show", out, "bad.example")[1].splitlines()
    assert "(pending)  2026-01-02  release 2: blacklisted → hold" in history[-1]
    # No override is in force then; what the release came to counts, entered or not.
    assert cli("source", "export", out, "--as-of", "2026-03-01")[1] == "bad.example\n"
    assert len(cli("source", "export", out, "--format", "ledger")[1].splitlines()) == 2
    assert sorted(path.name for path in (out / "store" / "decisions").rglob("*")) == before
    code, said, _ = cli("verify", out)
    assert code == 1
    assert "sources.parquet: 1 sources have another state than the ledger" in said
    assert "bad.example: hold, by the ledger blacklisted" in said
    # Entered by the next run, though there is nothing new to publish.
    assert not again().published.is_new
    assert cli("verify", out)[0] == 0
    assert "(pending)" not in cli("source", "list", out)[1]


def test_verify_compares_the_states_of_every_release_with_what_the_ledger_came_to_then(
    corpus: tuple[Path, Any], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from models import decisions

    out, _ = corpus
    assert cli("verify", out, "--release", "1")[0] == 0
    monkeypatch.setattr(decisions.Decisions, "states", lambda _: {"bad.example": "clean"})
    code, said, _ = cli("verify", out, "--release", "1")
    assert code == 1
    assert "bad.example: blacklisted, by the ledger clean" in said
