"""What fingerprints find of a real work in another edition and in excerpts, and that they find nothing in manuals."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import pytest

from models.documents import Documents
from models.findings import Finding
from models.fingerprint_build import build_index
from models.taggers.fingerprint import Fingerprint
from models.works import Work

pytestmark = pytest.mark.data

EDITIONS = Path(__file__).resolve().parents[3] / "shared" / "data" / "copyright" / "alice_editions.jsonl"
EXCERPTS = 500


@pytest.fixture(scope="module")
def chapters() -> list[dict[str, str]]:
    return [json.loads(line) for line in EDITIONS.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def tagger(chapters: list[dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Fingerprint:
    folder = tmp_path_factory.mktemp("index") / "alice"
    build_index([Work("alice", "\n\n".join(chapter["original"] for chapter in chapters), "Alice")], folder)
    return Fingerprint((str(folder),))


def found(tagger: Fingerprint, texts: list[str]) -> list[list[Finding]]:
    by_row: list[list[Finding]] = [[] for _ in texts]
    for each in tagger.tag(Documents.of(texts)):
        by_row[each.row].append(each)
    return by_row


def excerpts(text: str, size: int) -> Iterator[str]:
    draw = random.Random(size)
    for _ in range(EXCERPTS):
        start = draw.randrange(len(text) - size)
        yield text[start : start + size]


def changed(text: str, share: float, seed: int) -> str:
    """Return a text in which a share of the words, chosen by chance, are other words."""
    draw = random.Random(seed)
    words = re.split(r"(\W+)", text)
    places = [place for place in range(0, len(words), 2) if words[place]]
    for place in draw.sample(places, max(1, round(share * len(places)))):
        words[place] = draw.choice(("otherwise", "harbour", "seven", "quickly", "stone"))
    return "".join(words)


def test_every_chapter_of_another_edition_is_found(tagger: Fingerprint, chapters: list[dict[str, str]]) -> None:
    for chapter, findings in zip(chapters, found(tagger, [c["edited"] for c in chapters]), strict=True):
        (summary,) = [each for each in findings if each.category == "copyright.reserved"]
        assert summary.score >= 0.8, chapter["id"]


@pytest.mark.parametrize("size", [500, 2000])
@pytest.mark.parametrize("edition", ["original", "edited"])
def test_every_excerpt_is_found(tagger: Fingerprint, chapters: list[dict[str, str]], size: int, edition: str) -> None:
    """Of the registered edition by the guarantee; of the other, all but what the editor changed at every turn."""
    texts = list(excerpts("\n\n".join(chapter[edition] for chapter in chapters), size))
    missed = [text for text, findings in zip(texts, found(tagger, texts), strict=True) if not findings]
    assert len(missed) <= (0 if edition == "original" else 0.01 * EXCERPTS)


@pytest.mark.parametrize("size", [500, 2000])
def test_excerpts_with_two_percent_of_the_words_changed_are_found(
    tagger: Fingerprint, chapters: list[dict[str, str]], size: int
) -> None:
    whole = "\n\n".join(chapter["original"] for chapter in chapters)
    texts = [changed(text, 0.02, seed) for seed, text in enumerate(excerpts(whole, size))]
    hits = sum(bool(findings) for findings in found(tagger, texts))
    print(f"{size} characters, 2 % of words changed: {hits} of {EXCERPTS} found")
    assert hits >= 0.9 * EXCERPTS


def test_nothing_is_found_in_manuals(tagger: Fingerprint, chapters: list[dict[str, str]]) -> None:
    """As much as the work has, and more: whatever manuals and notices this machine has, and those of Python."""
    texts = list(_manuals(20 * sum(len(chapter["original"]) for chapter in chapters)))
    assert sum(map(len, texts)) >= sum(len(chapter["original"]) for chapter in chapters)
    assert [findings for findings in found(tagger, texts) if findings] == []


def _manuals(size: int) -> Iterator[str]:
    """Give texts of so many characters in all: Python's manual of its language, then the notices of Debian's packages."""
    notices = (path.read_text("utf-8", errors="replace") for path in sorted(Path("/usr/share/doc").glob("*/copyright")))
    for text in (*topics.values(), *notices):
        if size <= 0:
            return
        yield text
        size -= len(text)
