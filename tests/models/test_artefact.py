"""Artefacts that are damaged are refused with the file, what is wrong with it and what to do, whatever their kind."""

import json
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_models import make_model

from models.artefact import DESCRIPTION, read_artefact
from models.category_model import WEIGHTS, load_model, model_artefact
from models.digest import digest_of_file
from models.errors import InputOutputError, UsageError
from models.fingerprint_index import FILES, open_index
from models.taggers.lexicon import read_terms

ROOT = Path(__file__).resolve().parents[2]
REMEDIES = {
    "category": "copy the folder again from where it is whole, or make it again: winnow model train",
    "fingerprint": "copy the folder again from where it is whole, or make it again: winnow index build",
    "lexicon": "if you changed it, describe it anew: winnow artefact",
}
OPEN: dict[str, Callable[[Path], object]] = {
    "category": lambda folder: load_model(model_artefact(folder)),
    "fingerprint": open_index,
    "lexicon": lambda folder: read_terms(read_artefact(folder, "lexicon")),
}
FILE = {"category": WEIGHTS, "fingerprint": "owners.npy", "lexicon": "terms.tsv"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    make_model(folder / "category")
    shutil.copytree(ROOT / "configs/indexes/illustrative", folder / "fingerprint")
    shutil.copytree(ROOT / "configs/lists/illustrative", folder / "lexicon")
    return folder


@pytest.fixture(params=OPEN)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(whole: Path, kind: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole / kind, tmp_path / kind))


def changed_byte(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[: len(data) // 2],
    "a byte changed": changed_byte,
    "emptied": lambda data: b"",
    "longer": lambda data: data + b"\0",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named_with_the_remedy_of_its_kind(folder: Path, kind: str, damage: str) -> None:
    OPEN[kind](folder)
    file = folder / FILE[kind]
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    with pytest.raises(UsageError) as refused:
        OPEN[kind](folder)
    assert str(refused.value).startswith(f"{file}: content is not what artefact.json says; {REMEDIES[kind]}")


def test_a_missing_file_is_named_with_the_remedy_of_its_kind(folder: Path, kind: str) -> None:
    file = folder / FILE[kind]
    file.unlink()
    with pytest.raises(UsageError) as refused:
        OPEN[kind](folder)
    assert str(refused.value).startswith(f"{file}: missing, though artefact.json lists it; {REMEDIES[kind]}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not JSON"),
        ('{"kind": ', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "must be an object"),
        ('{"format": 1, "files": {"a": "b"}}', "kind is missing, it must be text"),
        ('{"kind": ["a"]}', "kind is wrong, it must be text"),
        ('{"kind": "KIND", "format": "1"}', "format is wrong, it must be a whole number"),
        ('{"kind": "KIND", "format": 1, "files": ["a"]}', "files is wrong, it must be an object"),
        ('{"kind": "KIND", "format": 1, "files": {}}', "lists no file, so nothing would be found by it"),
        ('{"kind": "KIND", "format": 1, "files": {"../a": "b"}}', "'../a' is no file of this folder"),
        ('{"kind": "KIND", "format": 1, "files": {"/etc/hostname": "b"}}', "'/etc/hostname' is no file of this folder"),
    ],
    ids=lambda value: value[:60],
)
def test_a_broken_description_is_named_with_what_is_wrong(folder: Path, kind: str, content: str, said: str) -> None:
    (folder / DESCRIPTION).write_text(content.replace("KIND", kind))
    with pytest.raises(UsageError) as refused:
        OPEN[kind](folder)
    assert str(refused.value).startswith(f"{folder / DESCRIPTION}: {said}")
    assert REMEDIES[kind] in str(refused.value)


def test_an_artefact_of_another_kind_is_said_to_be_one(folder: Path, kind: str) -> None:
    facts = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    (folder / DESCRIPTION).write_text(json.dumps(facts | {"kind": "other"}), "utf-8")
    with pytest.raises(UsageError, match=f"kind is 'other', expected '{kind}'; name it under the tagger"):
        OPEN[kind](folder)


def test_a_place_that_is_no_artefact_is_named(folder: Path, kind: str) -> None:
    with pytest.raises(UsageError, match=r"artefact\.json cannot be read: Not a directory; check the path"):
        OPEN[kind](folder / FILE[kind])
    (folder / DESCRIPTION).unlink()
    with pytest.raises(UsageError, match=f"no {kind} artefact there"):
        OPEN[kind](folder)
    (folder / DESCRIPTION).mkdir()
    with pytest.raises(UsageError, match=r"artefact\.json cannot be read: Is a directory; check the path"):
        OPEN[kind](folder)


def described_as_it_is(folder: Path, name: str, data: bytes) -> None:
    """Damage a file, and let the description agree: as if it had been written so."""
    (folder / name).write_bytes(data)
    facts = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    facts["files"][name] = digest_of_file(folder / name)
    (folder / DESCRIPTION).write_text(json.dumps(facts), "utf-8")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["cut", "emptied"])
def test_a_file_of_an_index_that_was_written_in_part_is_named(
    whole: Path, tmp_path: Path, name: str, damage: str
) -> None:
    folder = Path(shutil.copytree(whole / "fingerprint", tmp_path / "index"))
    described_as_it_is(folder, name, DAMAGE[damage]((folder / name).read_bytes()))
    with pytest.raises(UsageError) as refused:
        open_index(folder)
    assert str(refused.value).startswith(f"{folder / name}: cannot be read: ")
    assert str(refused.value).endswith(REMEDIES["fingerprint"])


@pytest.mark.parametrize("kept", [0, 60, 64, 200, 1000, -1])
def test_weights_that_were_written_in_part_are_named_before_fasttext_hangs_on_them(
    whole: Path, tmp_path: Path, kept: int
) -> None:
    folder = Path(shutil.copytree(whole / "category", tmp_path / "model"))
    described_as_it_is(folder, WEIGHTS, (folder / WEIGHTS).read_bytes()[:kept])
    with pytest.raises(UsageError) as refused:
        OPEN["category"](folder)
    assert str(refused.value).startswith(f"{folder / WEIGHTS}: ends too soon" if kept >= 0 else f"{folder / WEIGHTS}: ")
    assert "copy the folder again, or train the model anew" in str(refused.value)


def test_weights_for_which_there_is_no_room_are_not_taken_for_written(whole: Path, tmp_path: Path) -> None:
    model: Any = OPEN["category"](whole / "category")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))  # writes past it fail, as on a full disk
    try:
        with pytest.raises(InputOutputError, match=r"weights\.bin: not written whole"):
            model.save_weights(tmp_path / WEIGHTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    model.save_weights(tmp_path / WEIGHTS)
