"""The tagger ``blocked``: what lists say, and what of a record they are held against."""

import dataclasses
import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from models.artefact import describe, read_artefact
from models.blocklist import read_blocklist
from models.documents import Documents
from models.errors import UsageError
from models.taggers.blocked import Blocked


def listed(folder: Path, *rows: str, title: str = "the list") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.tsv").write_text("\n".join(["kind\tvalue\tclass\treference", *rows, ""]), "utf-8")
    describe(folder, kind="blocked", version=1, names=["list.tsv"], title=title, licence="", made_with="a test")
    return str(folder)


def record(text: str = "text", url: str | None = None, source: str = "a name") -> Documents:
    return dataclasses.replace(Documents.of([text]), url=pa.array([url], pa.string()), source=pa.array([source]))


def found(folder: str, documents: Documents) -> list[tuple[str, str]]:
    return [(each.category, each.rule) for each in Blocked((folder,)).tag(documents)]


SHA256, MD5 = hashlib.sha256("文".encode()).hexdigest(), hashlib.md5("文".encode()).hexdigest()

CASES = [
    ("host\tx.example\t\tr", record(url="https://x.example/a"), "blocked.host"),
    ("host\tX.Example.\tblock\tr", record(url="https://deep.down.x.example:8443/"), "blocked.host"),
    ("host\tx.example\t\tr", record(url="https://notx.example/"), ""),
    ("host\tx.example\t\tr", record(url="https://x.example.org/"), ""),
    ("host\tx.example\t\tr", record(source="www.x.example"), "blocked.host"),
    ("host\tx.example\t\tr", record(source="https://x.example/feed"), "blocked.host"),
    *(
        ("host\tx.example\t\tr", record(source=each), "blocked.host")
        for each in (
            "x.example:443",
            "x.example/feed",
            "X.Example/",
            " x.example",
            "//x.example",
            "X。example",
            "u:p@x.example",
        )
    ),
    ("prefix\thttps://x.example/a\t\tr", record(source="x.example/a/b"), "blocked.prefix"),
    ("prefix\thttps://x.example/a\t\tr", record(source="x.example/b"), ""),
    ("host\tx.example\t\tr", record(url="\ufeffhttps://x.example/a"), "blocked.host"),
    ("url\thttps://x.example/a\t\tr", record(url="(hxxps://X.example/a)"), "blocked.url"),
    ("host\t1.2.3.4\t\tr", record(url="http://16909060/"), "blocked.host"),
    ("host\tbücher.example\t\tr", record(url="https://xn--bcher-kva.example/"), "blocked.host"),
    ("prefix\thttps://x.example/a/\t\tr", record(url="http://x.example/a/b?q"), "blocked.prefix"),
    ("prefix\thttps://x.example/a\t\tr", record(url="http://x.example/ab"), ""),
    ("prefix\thttps://x.example/a\t\tr", record(url="http://www.x.example/a"), ""),
    ("url\thttps://x.example/a?b=1\t\tr", record(url="http://x.example/a?b=1#c"), "blocked.url"),
    ("url\thttps://x.example/a\t\tr", record(url="http://x.example/a/b"), ""),
    (f"content\t{SHA256}\t\tr", record("文"), "blocked.content"),
    (f"content\t{MD5.upper()}\t\tr", record("文"), "blocked.content"),
    (f"content\t{SHA256}\t\tr", record("文 "), ""),
]


@pytest.mark.parametrize(("row", "documents", "category"), CASES)
def test_an_entry_finds_what_it_means_and_nothing_else(
    tmp_path: Path, row: str, documents: Documents, category: str
) -> None:
    assert found(listed(tmp_path, row), documents) == ([(category, "r")] if category else [])


def test_an_entry_without_reference_is_named_by_its_line(tmp_path: Path) -> None:
    folder = listed(tmp_path, "# a comment", "", "host\tx.example")
    assert found(folder, record(url="https://x.example/")) == [("blocked.host", "list.tsv:4")]


def test_a_url_that_cannot_be_read_is_unscanned_where_lists_have_addresses(tmp_path: Path) -> None:
    assert found(listed(tmp_path / "a", "host\tx.example\t\tr"), record(url="/relative")) == [("unscanned", "url")]
    assert found(listed(tmp_path / "b", f"content\t{SHA256}\t\tr"), record(url="/relative")) == []


@pytest.mark.parametrize("url", ["-https://x.example/", "N/A", "https://x[.]example/", "localhost:80"])
def test_a_url_that_is_not_plainly_an_address_is_unscanned(tmp_path: Path, url: str) -> None:
    assert found(listed(tmp_path, "host\tx.example\tpurge\tr"), record(url=url)) == [("unscanned", "url")]


@pytest.mark.parametrize(
    "source",
    ["wiki-zh 2024.1", "part-0001.parquet", "v1.0:final", "hdfs:///data", "N/A", "a.b (c)", "crawl of http://a b", ""],
)
def test_a_source_that_is_a_name_is_not_unscanned(tmp_path: Path, source: str) -> None:
    assert found(listed(tmp_path, "host\tx.example\t\tr"), record(source=source)) == []


@pytest.mark.parametrize("source", ["https://x[.]example/", "-https://x.example/", "hxxps://x,example"])
def test_a_source_that_begins_as_a_url_and_is_none_is_unscanned(tmp_path: Path, source: str) -> None:
    assert found(listed(tmp_path, "host\tx.example\t\tr"), record(source=source)) == [("unscanned", "source")]


def test_a_record_without_url_is_not_unscanned(tmp_path: Path) -> None:
    assert found(listed(tmp_path, "host\tx.example\t\tr"), record()) == []


def test_of_a_purged_record_nothing_is_said_but_the_title_of_the_list(tmp_path: Path) -> None:
    rows = (f"content\t{MD5}\tblock\tsecret note", "host\tx.example\t\tr", f"content\t{SHA256}\tpurge\tsecret note")
    assert found(listed(tmp_path, *rows), record("文", "https://x.example/")) == [("blocked.purge", "the list")]


def test_of_equal_entries_the_one_that_purges_counts(tmp_path: Path) -> None:
    rows = [f"host\tx.example\t{each}\tr" for each in ("block", "purge", "block")]
    assert found(listed(tmp_path, *rows), record(url="https://x.example/")) == [("blocked.purge", "the list")]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("host\thttps://x.example/", "line 2: 'https://x.example/' is no host"),
        ("host\t*.x.example", "what lies below a host is meant with it"),
        ("hosts\tx.example", "line 2: unknown kind 'hosts'; did you mean 'host'?"),
        ("host\tx.example\tpurged", "line 2: unknown class 'purged'; did you mean 'purge'?"),
        ("url\t/relative", "line 2: '/relative' cannot be read as a URL"),
        ("prefix\thttps://x.example/?a", "has a query"),
        ("content\tabc", "64 or an MD5 of 32"),
        ("host\tx.example\t\tr\tmore", "line 2: 5 cells, the header has 4"),
    ],
)
def test_an_entry_that_has_no_canonical_form_fails_the_load_by_line(tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(UsageError, match=r"list\.tsv: line 2") as refused:
        Blocked((listed(tmp_path, row),)).load()
    assert said in str(refused.value)


def test_all_mistakes_of_a_list_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        Blocked((listed(tmp_path, "host\t*", "host\tx.example", "url\t/", "content\tx"),)).load()
    assert len(str(refused.value).splitlines()) == 3


def test_an_entry_of_a_large_list_takes_27_bytes(tmp_path: Path) -> None:
    folder = listed(tmp_path, *(f"host\th{number}.x.example\t\torder {number % 9}" for number in range(70_000)))
    lists = read_blocklist([read_artefact(folder, "blocked")])
    assert lists.nbytes == 27 * len(lists) == 27 * 70_000
    assert found(folder, record(url="https://h69999.x.example/")) == [("blocked.host", "order 6")]
