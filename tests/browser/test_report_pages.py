"""The report of the example run in a real browser: whole on every width and on paper, in both languages, and nothing is fetched."""

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from chromium import Page, chromium

from pipeline.config import Settings, read_run_file
from pipeline.launch import launch, prepare
from pipeline.report import PAGES

pytestmark = pytest.mark.browser

CORPUS = Path(__file__).resolve().parents[2] / "examples" / "corpus"
SECTIONS = ("summary", "totals", "flow", "changes", "sources", "risks", "personal", "works", "reasons", "languages")
SECTIONS += ("removals", "dead", "basis", "glossary", "provenance", "blocked", "notices", "withdrawals")
A4 = round((210 - 2 * 13) / 25.4 * 96)
"""Pixels between the margins of a printed page."""

OVERFLOWING = """
[...document.querySelectorAll('body *')]
  .filter(e => %s && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.tagName + '.' + (e.getAttribute('class') || '') + ' ' + e.textContent.slice(0, 40))
"""
SCROLLED = "(e.closest('.scroll') === null || e.closest('.scroll') === e)"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus with every tagger in two nights, so that the second has changes to tell."""
    folder = tmp_path_factory.mktemp("browser") / "out"
    for inputs, day in (((str(CORPUS / "web-00.jsonl"),), 1), ((str(CORPUS),), 2)):
        settings = read_run_file(CORPUS.parent / "run.yaml")
        told = {
            "inputs": inputs,
            "output": str(folder),
            "workers": 1,
            "as_of": date(2026, 3, day),
            "input_root": str(CORPUS),
        }
        changed = settings.file.model_copy(update=told)
        launch(prepare(Settings(changed, settings.folder, settings.name)), to_publish=True)
    return folder


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser


@pytest.mark.parametrize("name", PAGES.values())
@pytest.mark.parametrize("width", [1280, 768, 390])
def test_nothing_reaches_over_the_edge_of_the_screen(out: Path, page: Page, name: str, width: int) -> None:
    page.open(out / name, width)
    assert page.evaluate(OVERFLOWING % SCROLLED) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width


@pytest.mark.parametrize("name", PAGES.values())
def test_nothing_reaches_over_the_edge_of_the_paper(out: Path, page: Page, name: str) -> None:
    page.open(out / name, A4, media="print")
    assert page.evaluate(OVERFLOWING % "true") == []
    cut = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
    assert page.evaluate(cut) == 0


@pytest.mark.parametrize("name", PAGES.values())
def test_the_report_can_be_printed(out: Path, page: Page, name: str) -> None:
    page.open(out / name, 1280)
    printed = page.pdf()
    assert printed.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type /Page\b", printed)) <= 14


@pytest.mark.parametrize("name", PAGES.values())
def test_nothing_but_the_page_itself_is_fetched(out: Path, page: Page, name: str) -> None:
    page.open(out / name, 1280, 8000)
    assert page.requests == [(out / name).resolve().as_uri()]


@pytest.mark.parametrize("name", PAGES.values())
def test_every_section_is_there_and_seen(out: Path, page: Page, name: str) -> None:
    page.open(out / name, 1280)
    seen = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('section')].map(e => [e.id, e.getBoundingClientRect().height]))"
    )
    assert set(seen) == set(SECTIONS)
    assert all(height > 60 for height in seen.values())
    assert page.evaluate("[...document.querySelectorAll('nav a')].every(a => document.querySelector(a.hash))")


@pytest.mark.parametrize("name", PAGES.values())
def test_plots_are_drawn_in_their_colours_and_their_words_can_be_read(out: Path, page: Page, name: str) -> None:
    page.open(out / name, 1280)
    bands = "[...document.querySelectorAll('.flow path')]"
    assert page.evaluate(f"{bands}.length") > 10
    assert page.evaluate(f"{bands}.every(e => getComputedStyle(e).fill !== 'rgb(0, 0, 0)')")
    # Two labels of the flow never lie on each other.
    boxes = page.evaluate(
        "[...document.querySelectorAll('.flow text')].map(e => { const r = e.getBoundingClientRect();"
        " return [r.left, r.top, r.right, r.bottom]; })"
    )
    for at, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[at + 1 :]:
            apart = right <= other[0] or other[2] <= left or bottom <= other[1] + 3 or other[3] <= top + 3
            assert apart, (boxes[at], other)


def test_each_language_is_whole(out: Path, page: Page) -> None:
    page.open(out / PAGES["zh"], 1280)
    headings = page.evaluate(
        "[...document.querySelectorAll('h2, h3, thead th, dt, figcaption')].map(e => e.textContent)"
    )
    assert all(re.search("[\u4e00-\u9fff]", words) for words in headings if re.search("[A-Za-z]", words))
    # In paragraphs and cells, names stand apart.
    told = page.evaluate(
        "[...document.querySelectorAll('p, li, tbody td, tbody th')].map(e => { const c = e.cloneNode(true);"
        " c.querySelectorAll('.name, code, .other').forEach(each => each.remove()); return c.textContent; })"
    )
    policy = "cn-tc260-003 2024.1"
    assert not [w for w in told if re.search("[A-Za-z]", w) and not re.search("[\u4e00-\u9fff]", w) and w != policy]
    page.open(out / PAGES["en"], 1280)
    words = page.evaluate("[...document.querySelectorAll('h2, h3, thead th, dt, p')].map(e => e.textContent)")
    assert not [each for each in words if re.search("[\u4e00-\u9fff]", each) and "中文版" not in each]
