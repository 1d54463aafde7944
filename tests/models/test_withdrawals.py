"""Withdrawals: what is meant is found, whatever the batches, and nothing else; URLs are compared as the standard writes them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.addresses import folders_of
from models.documents import Documents
from models.findings import Finding, Findings
from models.layer import LayerBuilder, Merged, merge
from models.parsing import Parsed
from models.shard import Columns, Dead, Shard
from models.url_marks import SIZE, address_of, folder_mark, host_mark, marks_of, url_mark
from models.withdrawals import InForce, Target, record_target, source_target, work_target

SHARD = Shard("/in", "web/a.jsonl", 1, "c", "jsonl", "", "utf-8", Columns(("text",), "id", "source", "url"), ())

URL = st.builds(
    "{}://{}{}{}{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    st.sampled_from(
        ["a.example", "b.a.example", "A.example", "a.example:443", "1.2.3.4", "u:p@a.example", "xn--mnchen-3ya.de"]
    ),
    st.text("ab./%2eE~_-+\\", max_size=8).map(lambda path: "/" + path),
    st.text("aZ=%&./:+~-_?'é", max_size=6).map(lambda query: query and "?" + query),
    st.sampled_from(["", "#top"]),
)


@given(URL)
@example("https://a.example/a/./b")
@example("https://a.example/a%2e/b")
@example("https://a.example/a%7Eb?c%7E")
@example("https://a.example/..a")
@example("https://a.example?a/b")
@example("https://a.example/a#b/c")
@settings(max_examples=500, deadline=None)
def test_marks_made_in_a_row_are_those_of_each_url(url: str) -> None:
    own, (above,) = marks_of(pa.array([url]))
    assert own == [url_mark(address_of(url))]
    assert folder_mark(folders_of(address_of(url))[-1]) in {above[at : at + SIZE] for at in range(0, len(above), SIZE)}


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("http://a.example/x", "https://a.example:443/x#top"),
        ("a.example/x", "//A.example/y/../x"),
        (" https://a.example ", "https://u:p@a.example/"),
        ("https://a.example/%7Eada/%e4", "https://someone@a.example./~ada/%E4?"),
        ("https://münchen.example/ü", "https://xn--mnchen-3ya.example/%C3%BC"),
    ],
)
def test_two_ways_to_write_a_url_have_one_mark(url: str, other: str) -> None:
    assert url_mark(address_of(url)) == url_mark(address_of(other))


@pytest.mark.parametrize(
    "url", ["https://a.example/x/", "https://a.example/X", "https://a.example/x?y", "mailto:a@a.example"]
)
def test_other_pages_have_other_marks(url: str) -> None:
    assert url_mark(address_of(url)) != url_mark(address_of("https://a.example/x"))


def test_a_url_lies_under_its_hosts_and_folders_and_under_nothing_else() -> None:
    _, (above,) = marks_of(pa.array(["https://b.a.example/x/y/z.html?u=/v/"]))
    found = {above[at : at + SIZE] for at in range(0, len(above), SIZE)}
    assert found == {
        *(host_mark(host) for host in ("b.a.example", "a.example")),
        *(folder_mark(f"b.a.example{path}") for path in ("/", "/x/", "/x/y/", "/x/y/z.html/")),
    }
    assert marks_of(pa.array([None, ""], pa.string())) == ([bytes(SIZE)] * 2, [b"", b""])


ENTRIES: list[tuple[str, str, str | None, str] | None] = [
    ("r0", "s.example", "https://s.example/a/1", "text"),
    ("r1", "s.example", None, "text"),
    None,
    ("r3", "t.example", "https://x.t.example/a/2", "other"),
    ("r4", "t.example", "https://s.example/b/", "third"),
]


def known(entries: Sequence[tuple[str, str, str | None, str] | None], cut: int, findings: dict[int, Finding]) -> Merged:
    """Return what is known of entries that came in two batches; None is a dead letter."""
    builder = LayerBuilder()
    for first, last in ((0, cut), (cut, len(entries))):
        if first == last:
            continue
        rows = [row for row in range(first, last) if entries[row] is not None]
        records = [entry for entry in entries[first:last] if entry is not None]
        columns = list(zip(*records, strict=True)) or [(), (), (), ()]
        ids, sources, urls, texts = (pa.array(list(column), pa.string()) for column in columns)
        documents = Documents(np.array(rows, np.int64), ids, texts, sources, urls)
        dead = {row: Dead("bad_json", "", b"x", "") for row in range(first, last) if entries[row] is None}
        found = [findings[row]._replace(row=at) for at, row in enumerate(rows) if row in findings]
        parsed = Parsed(first, np.arange(first, last) * 10, documents, dead)
        builder.add(parsed, Findings.of(len(rows), found), sources)
    layer = builder.build("split", "c", {"t": "d"})
    return merge([layer], {"t": "d"}, "c")


FOUND = {
    0: Finding(0, "t", "copyright.claimed", "a-work", 0.1),
    3: Finding(0, "t", "personal.email", "e", 0.1, value_hmac="ff00"),
    4: Finding(0, "t", "A.1.a", "a-work", 1.0),
}


@pytest.mark.parametrize("cut", range(6))
@pytest.mark.parametrize(
    ("target", "rows"),
    [
        (work_target("a-work"), {0}),
        (work_target("no-work"), set()),
        (Target("subject", ("hmac:ff00", "hmac:00ff"), ""), {3}),
        (source_target("s.example"), {0, 1}),
        (record_target("r3", ""), {3}),
        (record_target("web/a.jsonl#20", ""), {2}),
        (record_target("web/b.jsonl#20", ""), set()),
        (record_target("sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1", ""), {0, 1}),
        (Target("url", (f"url:{url_mark(address_of('http://s.example/a/1')).hex()}",), ""), {0}),
        (Target("url", (f"under:{host_mark('t.example').hex()}",), ""), {3}),
        (Target("url", (f"under:{folder_mark('s.example/').hex()}",), ""), {0, 4}),
        (Target("url", (f"under:{folder_mark('s.example/b/').hex()}",), ""), {4}),
    ],
)
def test_a_target_means_its_entries_and_no_others(target: Target, rows: set[int], cut: int) -> None:
    merged = known(ENTRIES, min(cut, len(ENTRIES)), FOUND)
    found = InForce({"W0001": target}).rows(merged, SHARD, source_in_path=False, path_source="web")
    assert found == dict.fromkeys(sorted(rows), ("W0001",))


@pytest.mark.parametrize(("entries", "rows"), [([None, None], {0, 1}), ([("a", "web", None, "x"), None], {0, 1})])
def test_dead_letters_are_of_the_source_that_their_shard_names(entries: list[None], rows: set[int]) -> None:
    in_force = InForce({"W0001": source_target("web"), "W0002": source_target("other")})
    found = in_force.rows(known(entries, 1, {}), SHARD, source_in_path=True, path_source="web")
    assert found == dict.fromkeys(sorted(rows), ("W0001",))


def test_an_entry_that_several_withdrawals_name_has_all_of_them() -> None:
    targets = {"W0010": work_target("a-work"), "W0002": source_target("s.example"), "W0003": source_target("s.example")}
    found = InForce(targets).rows(known(ENTRIES, 2, FOUND), SHARD, source_in_path=False, path_source="")
    assert found == {0: ("W0002", "W0003", "W0010"), 1: ("W0002", "W0003")}


def test_the_text_of_a_split_that_is_empty_is_not_looked_for() -> None:
    merged = merge([LayerBuilder().build("split", "c", {"t": "d"})], {"t": "d"}, "c")
    targets = {
        "W0001": source_target("a"),
        "W0002": Target("url", (f"under:{bytes(8).hex()}",), ""),
        "W0003": work_target("w"),
    }
    assert InForce(targets).rows(merged, SHARD, source_in_path=False, path_source="") == {}
