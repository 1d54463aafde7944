"""The chain: entries that are made at once are all kept in one line, and whoever touches one is found out."""

import hashlib
import json
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.chain import Chain, Entry
from models.errors import BrokenChainError, UsageError
from models.store import LocalStore


def chain(root: Path, form: int = 1) -> Chain:
    return Chain(LocalStore(root), "book", "B", form)


def enter(root: Path, *words: str) -> None:
    for word in words:
        assert chain(root).append(lambda _, word=word: {"word": word}) is not None


def path(root: Path, number: int) -> Path:
    return root / "book" / f"B{number:04}.json"


def test_each_entry_holds_the_sha256_of_the_one_before(tmp_path: Path) -> None:
    enter(tmp_path, "a", "b", "ü")
    previous = ""
    for number, entry in enumerate(chain(tmp_path).entries(), 1):
        data = path(tmp_path, number).read_bytes()
        facts = json.loads(data)
        assert data.decode() == json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert facts == {"format": 1, "number": number, "previous_sha256": previous, "word": entry.facts["word"]}
        assert entry.sha256 == hashlib.sha256(data).hexdigest()
        previous = entry.sha256


def _enter_some(root: Path, name: str) -> None:
    enter(root, *(f"{name}-{number}" for number in range(15)))


def test_what_several_processes_enter_at_once_is_all_kept_in_one_chain(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("forkserver")
    clerks = [fork.Process(target=_enter_some, args=(tmp_path, name)) for name in "abcd"]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
        assert clerk.exitcode == 0
    found = [entry.facts["word"] for entry in chain(tmp_path).entries(fresh=True)]
    assert sorted(found) == sorted(f"{name}-{number}" for name in "abcd" for number in range(15))
    for name in "abcd":
        assert [word for word in found if word[0] == name] == [f"{name}-{number}" for number in range(15)]


def test_who_was_slower_is_asked_again_with_what_the_other_entered(tmp_path: Path) -> None:
    seen: list[int] = []

    def make(entries: Sequence[Entry]) -> dict[str, int] | None:
        seen.append(len(entries))
        if len(seen) == 1:
            enter(tmp_path, "faster")
        return {"after": seen[-1]}

    entry = chain(tmp_path).append(make)
    assert seen == [0, 1]
    assert entry is not None
    assert (entry.id, entry.facts) == ("B0002", {"after": 1})
    assert chain(tmp_path).append(lambda entries: None) is None


@given(st.integers(1, 5), st.sampled_from(["change", "remove", "number", "previous", "cut"]))
@settings(max_examples=40, deadline=None)
def test_whatever_is_done_to_an_entry_but_the_last_breaks_the_chain_there(
    tmp_path_factory: pytest.TempPathFactory, number: int, deed: str
) -> None:
    root = tmp_path_factory.mktemp("book")
    enter(root, *"abcdef")
    place = path(root, number)
    facts = json.loads(place.read_bytes())
    place.unlink()
    if deed != "remove":
        facts |= {
            "change": {"word": "x"},
            "number": {"number": 9},
            "previous": {"previous_sha256": "0" * 64},
            "cut": {},
        }[deed]
        text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
        place.write_text(text[: -1 if deed == "cut" else None])
    # A changed content shows in the next entry, which was made after another one.
    shown = number + 1 if deed == "change" else number
    with pytest.raises(BrokenChainError, match=f"B{shown:04}.json: "):
        chain(root).entries()
    with pytest.raises(BrokenChainError):
        enter(root, "g")


def test_another_format_is_refused(tmp_path: Path) -> None:
    enter(tmp_path, "a")
    with pytest.raises(UsageError, match="of format 1, this version reads 2"):
        chain(tmp_path, 2).entries()


@pytest.mark.parametrize("name", ["format", "number", "previous_sha256"])
def test_facts_cannot_take_the_place_of_the_link(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        chain(tmp_path).append(lambda _: {name: 1})
