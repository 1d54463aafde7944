"""The store: a name is made once, whole or not at all, and a failure to look is never taken for absence."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from models import store as store_module
from models.digest import digest_of_file
from models.errors import StoreConflictError, UsageError
from models.store import LocalStore, locked, scratch_file


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "store")
    made.prepare()
    return made


def put(store: LocalStore, name: str, content: bytes) -> str:
    with scratch_file(Path(store.root)) as path:
        path.write_bytes(content)
        return store.create_once(name, path)


def files(store: LocalStore) -> list[str]:
    return [entry.name for entry in store.list("")]


def test_what_was_created_is_read_back_and_named(store: LocalStore, tmp_path: Path) -> None:
    assert not store.exists("a/b/one")
    digest = put(store, "a/b/one", b"content")
    (tmp_path / "same").write_bytes(b"content")
    assert digest == digest_of_file(tmp_path / "same")
    assert store.exists("a/b/one")
    assert (store.read("a/b/one"), store.local("a/b/one").read_bytes()) == (b"content", b"content")
    assert files(store) == ["a/b/one"]


def test_the_same_content_again_does_nothing(store: LocalStore) -> None:
    first = put(store, "one", b"content")
    before = store.local("one").stat()
    assert put(store, "one", b"content") == first
    assert store.local("one").stat().st_ino == before.st_ino
    assert files(store) == ["one"]


@pytest.mark.parametrize("other", [b"", b"Content", b"content and more"])
def test_other_content_under_the_name_is_a_conflict_and_changes_nothing(store: LocalStore, other: bytes) -> None:
    put(store, "one", b"content")
    with pytest.raises(StoreConflictError, match="one exists with other content"):
        put(store, "one", other)
    assert store.read("one") == b"content"
    assert files(store) == ["one"]


def test_an_object_cannot_be_written_to_by_accident(store: LocalStore) -> None:
    put(store, "one", b"content")
    assert stat.S_IMODE(store.local("one").stat().st_mode) == 0o444


def test_of_many_creators_of_one_name_all_have_its_content(store: LocalStore) -> None:
    for round_ in range(20):
        with ThreadPoolExecutor(8) as pool:
            digests = list(pool.map(lambda _: put(store, f"name{round_}", b"same"), range(8)))  # noqa: B023
        assert len(set(digests)) == 1
    assert len(files(store)) == 20


def test_of_creators_with_different_content_one_wins_whole_and_the_others_are_told(store: LocalStore) -> None:
    def create(number: int) -> str:
        try:
            return put(store, "name", bytes([number]) * 100_000)
        except StoreConflictError:
            return ""

    with ThreadPoolExecutor(8) as pool:
        digests = [digest for digest in pool.map(create, range(8)) if digest]
    assert len(digests) == 1
    assert digests == [digest_of_file(store.local("name"))]


def test_a_file_from_another_file_system_is_brought_over_whole(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, calls = os.link, []

    def far(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 1:
            raise OSError(errno.EXDEV, "another file system")
        link(source, target)

    monkeypatch.setattr(os, "link", far)
    put(store, "one", b"x" * 3_000_000)
    assert store.read("one") == b"x" * 3_000_000
    assert stat.S_IMODE(store.local("one").stat().st_mode) == 0o444
    assert files(store) == ["one"]


@pytest.mark.parametrize("step", ["link", "fsync"])
def test_a_failure_while_creating_leaves_no_file_and_can_be_tried_again(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(store_module.os, step, fail)
    with pytest.raises(OSError, match="No space left on device"):
        put(store, "one", b"content")
    monkeypatch.undo()
    assert files(store) == []
    put(store, "one", b"content")
    assert files(store) == ["one"]


def test_an_exception_leaves_no_scratch_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), scratch_file(tmp_path) as path:
        path.write_bytes(b"half")
        raise KeyError
    assert not path.exists()
    with scratch_file(tmp_path) as path:
        path.unlink()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_object_that_is_missing_is_told_apart_from_one_that_cannot_be_read(store: LocalStore) -> None:
    with pytest.raises(FileNotFoundError):
        store.read("absent")
    (Path(store.root) / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        store.read("folder")


def test_names_are_listed_in_order_and_of_one_folder_only(store: LocalStore) -> None:
    for name in ("b/2", "b/1", "a/x/y", "bb/1", "a/w"):
        put(store, name, name.encode())
    assert [entry.name for entry in store.list("b")] == ["b/1", "b/2"]
    assert [entry.name for entry in store.list("a")] == ["a/w", "a/x/y"]
    assert sorted(files(store)) == ["a/w", "a/x/y", "b/1", "b/2", "bb/1"]
    assert [entry.name for entry in store.list("absent")] == []


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a/one", b"1")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("/a"):
            raise PermissionError(errno.EACCES, "denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        [entry.name for entry in store.list("")]


def test_what_is_deleted_is_gone_and_may_be_gone_already(store: LocalStore) -> None:
    put(store, "one", b"1")
    store.delete("one")
    store.delete("one")
    assert not store.exists("one")


def test_a_restricted_root_has_its_mode_even_if_it_was_there(tmp_path: Path) -> None:
    root = tmp_path / "restricted"
    root.mkdir(mode=0o755)
    LocalStore(root, 0o700).prepare()
    assert stat.S_IMODE(root.stat().st_mode) == 0o700


def test_a_root_that_cannot_be_made_is_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match=r"cannot write there .* choose another folder"):
        LocalStore(tmp_path / "file" / "store").prepare()


def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    inside, most = [], []

    def work(number: int) -> None:
        with locked(tmp_path):
            inside.append(number)
            most.append(len(inside))
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert set(most) == {1}


def test_a_full_disk_is_named_by_its_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left on device") as raised, scratch_file(tmp_path) as path:
        path.unlink()
        path.symlink_to("/dev/full")
        with path.open("wb", buffering=0) as file:
            file.write(b"x")
    assert raised.value.filename == str(tmp_path / "tmp")
    with pytest.raises(OSError, match="another") as raised, scratch_file(tmp_path):
        raise OSError(errno.EIO, "another")
    assert raised.value.filename is None
