"""What a person names: a folder is the same part of a site to a withdrawal as to a blocked prefix."""

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.addresses import canonical_url, prefixes_of
from models.url_marks import SIZE, marks_of
from pipeline.targets import target_of

NONE = dict.fromkeys(["work", "subject", "source", "record"])


def means(named: str, url: str) -> bool:
    [own], [above] = marks_of(pa.array([url]))
    there = {f"url:{own.hex()}", *(f"under:{above[at : at + SIZE].hex()}" for at in range(0, len(above), SIZE))}
    return not there.isdisjoint(target_of(NONE | {"url": named}, None).marks)


@pytest.mark.parametrize(
    ("url", "is_meant"),
    [
        ("https://a.example/diary", True),
        ("https://a.example/diary?page=2", True),
        ("https://A.example/diary#top", True),
        ("https://a.example/%64iary?page=2", True),
        ("https://a.example/diary/", True),
        ("https://a.example/diary/5?x", True),
        ("\ufeffhttps://a.example/diary/5", True),
        ("view-source:https://a.example/diary/5", True),
        ("https://a.example/diaryx", False),
        ("https://a.example/?diary", False),
        ("https://a.example/of/diary?page=2", False),
        ("https://b.a.example/diary", False),
    ],
)
def test_a_folder_is_the_page_without_its_slash_too(url: str, is_meant: bool) -> None:
    assert means("https://a.example/diary/*", url) == is_meant


PATHS = st.lists(st.sampled_from(["a", "b", "é", "%61", "x.html", ""]), max_size=4).map(
    lambda path: "".join(f"/{each}" for each in path)
)


@given(PATHS, st.sampled_from(["", "?", "?q", "?q=/a/", "#a"]), PATHS.filter(lambda path: "//" not in path))
@example("/a", "?q", "/a")
@example("/a", "", "/a")
@settings(deadline=None)
def test_a_withdrawn_folder_means_what_a_blocked_prefix_does(path: str, query: str, folder: str) -> None:
    folder = folder.removesuffix("/")
    url, prefix = canonical_url(f"https://a.example{path}{query}"), canonical_url(f"https://a.example{folder}")
    assert url is not None
    assert prefix is not None
    is_blocked = prefix.whole.rstrip("/") in prefixes_of(url)
    assert means(f"https://a.example{folder}/*", f"https://a.example{path}{query}") == is_blocked


@pytest.mark.parametrize("host", ["gone.example", "intranet", "1.2.3.4"])
def test_a_host_is_one_without_a_dot_too(host: str) -> None:
    assert means(host, f"http://{host}/x")
