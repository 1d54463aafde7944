"""Addresses: one form for all ways to write a host or URL, and what lies above it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import addresses
from models.addresses import canonical_host, canonical_url, folders_of, own_folder, plain_url, prefixes_of, suffixes_of

PIECES = st.sampled_from(
    [
        *"aZ0.-~%/?#:@\\ é中",
        "%41",
        "%2e",
        "%2E",
        "%2f",
        "..",
        "x.example",
        "http://",
        "HTTPS://",
        ":80",
        ":443",
        "xn--",
        "//",
    ]
)
URLS = st.lists(PIECES, max_size=12).map("".join)

SAME = [
    ("http://x.example/a", "https://X.EXAMPLE:443/a#part"),
    ("https://x.example/", "x.example"),
    ("https://x.example./", "https://user:secret@x.example"),
    ("https://x.example/a/../b", "https://x.example/%62"),
    ("https://x.example/%e4%b8%ad", "https://x.example/中"),
    ("http://127.0.0.1/", "http://0x7f.1/"),
    ("https://xn--bcher-kva.example/", "https://BÜCHER.example/"),
    ("https://x.example/?", "https://x.example"),
    ("https://x.example/a", "https://x.ex\tample/a"),
]
WRITTEN_AROUND = [
    *(
        f"{each}https://x.example/a"
        for each in ("\ufeff", "\u200b", "\u2060", " \u00ad", "\x01", '"', "“", "（", "<", "[")
    ),
    *("(https://x.example/a)", "'https://x.example/a'", "「https://x.example/a」", '("https://x.example/a")\ufeff'),
    *(f"{each}https://x.example/a" for each in ("http://", "view-source:", "blob:", "feed:", "URL:", "url: ", "<URL:")),
    *("user:pw@x.example/a", "user@x.example/a", "x.example:/a", "x.example:443/a", "'x.example/a'"),
    *("feed://X.Example/a", "hxxps://X.Example:443/a", "HXXP://x.example/b/../a"),
]
NO_PLACES = [
    *(
        "N/A",
        "null",
        "4711",
        "4711?x",
        "2024/11/27",
        "C:\\data\\x.html",
        "localhost/x",
        "localhost:80/x",
        "site:x.example/a",
    ),
    *(
        "-https://x.example/a",
        "https//x.example/a",
        "https://https//x.example/a",
        "https%3A%2F%2Fx.example/a",
        "https：//x.example",
    ),
    *(
        'https://"x.example/a',
        "https://x.example)/a",
        "https://x.example,y.example/",
        "x(dot)example/a",
        "hxxps://x[.]example/a",
    ),
    *(
        "x.example:https://y.example/",
        "//https://x.example/a",
        f"https://{'a.' * 130}x.example/",
        "rtsp://x%2Fexample/a",
        "https://a..x.example/",
        "foo:",
        "foo:bar",
        "hdfs:///a",
    ),
]
OTHER = [
    ("https://x.example/a", "https://x.example/A"),
    ("https://x.example/a", "https://x.example/a\u200d"),
    ("https://x.example/?a=1&b=2", "https://x.example/?b=2&a=1"),
    ("https://x.example/", "https://www.x.example/"),
    ("https://x.example/a", "https://x.example/a/"),
    ("https://x.example/a%2Fb", "https://x.example/a/b"),
    ("https://x.example:8080/", "https://x.example/"),
    ("ftp://x.example/", "https://x.example/"),
]


@pytest.mark.parametrize(("one", "two"), SAME)
def test_urls_that_fetch_the_same_are_one(one: str, two: str) -> None:
    assert canonical_url(one) == canonical_url(two) is not None


@pytest.mark.parametrize("url", WRITTEN_AROUND)
def test_what_is_written_around_a_url_is_no_part_of_it(url: str) -> None:
    assert canonical_url(url) == canonical_url("https://x.example/a") is not None


@pytest.mark.parametrize("url", NO_PLACES)
def test_of_what_is_not_plainly_an_address_no_host_is_guessed(url: str) -> None:
    assert canonical_url(url) is None


@pytest.mark.parametrize(
    ("url", "host"),
    [
        *(("http://wiki/x", "wiki"), ("//localhost/x", "localhost"), ("[::1]/x", "[::1]"), ("1.2.3.4:80/x", "1.2.3.4")),
        *(("rtsp://X.Example./", "x.example"), ("s3://My_Bucket/x", "my_bucket"), ("s3://20240101/x", "20240101")),
        *(("https://-a_b-.x.example/", "-a_b-.x.example"), ("urn:isbn:1", ""), ("file:///data/x.html", "")),
    ],
)
def test_hosts_that_somebody_named_are_kept(url: str, host: str) -> None:
    found = canonical_url(url)
    assert found is not None
    assert found.host == host


def test_brackets_and_schemes_without_end_are_read_in_time() -> None:
    for url in (
        "(" * 60_000,
        "a.a" * 20_000 + ":x",
        "[" + ":" * 60_000,
        "a:" * 30_000,
        "http://" * 9_000,
        "\u200b" * 60_000,
    ):
        assert canonical_url(url) is None


@pytest.mark.parametrize(("one", "two"), OTHER)
def test_urls_that_servers_tell_apart_are_two(one: str, two: str) -> None:
    assert canonical_url(one) != canonical_url(two)


@given(URLS)
@settings(max_examples=500)
def test_the_canonical_form_of_a_url_is_its_own(url: str) -> None:
    found = canonical_url(url)
    if found is not None and found.host:
        assert canonical_url(f"{found.scheme or 'http:'}//{found.host}{found.rest}") == found


PLAIN_PIECES = st.sampled_from([*"aZ0.-~/?#@", "%E4", "%2F", "%7E", "%25", "%41", "/.", "?a"])


@given(st.lists(PLAIN_PIECES, max_size=10).map("".join))
@settings(max_examples=500)
def test_what_is_taken_as_it_stands_is_what_the_parser_gives(path: str) -> None:
    url = f"https://x.example/{path}"
    assert plain_url(url) in (None, addresses._parsed(url))


@given(st.lists(st.sampled_from([*"aZ09.-é中", "xn--", "0x"]), max_size=10).map("".join))
@settings(max_examples=500)
def test_the_canonical_form_of_a_host_is_its_own(host: str) -> None:
    found = canonical_host(host)
    if found is not None:
        assert canonical_host(found) == found


@pytest.mark.parametrize(
    "url",
    ["", " ", "/path", "?q", "#f", "http://", "http://a b/", "not a url", "..", "https://x.example/" + "a" * 70_000],
)
def test_what_names_no_place_is_no_url(url: str) -> None:
    assert canonical_url(url) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "*.x.example",
        "x,y.example",
        "(x.example",
        "x.example:80",
        "x.example/",
        "a..b",
        ".x.example",
        "a b",
        "http://x.example",
    ],
)
def test_what_is_more_or_less_than_a_host_is_none(host: str) -> None:
    assert canonical_host(host) is None


LABEL = st.text("ab1", min_size=1, max_size=3).map(lambda label: f"x{label}")
HOST = st.lists(LABEL, min_size=1, max_size=5).map(".".join)


@given(HOST, HOST)
def test_a_host_lies_in_another_if_it_ends_with_it_on_the_border_of_a_label(inner: str, outer: str) -> None:
    assert (outer in suffixes_of(inner)) == (inner == outer or inner.endswith(f".{outer}"))


def test_an_address_of_digits_lies_in_no_other() -> None:
    assert list(suffixes_of("10.1.2.3")) == ["10.1.2.3"]


@given(st.lists(LABEL, max_size=4), st.lists(LABEL, max_size=4), st.sampled_from(["", "?q=1"]))
def test_a_url_lies_under_another_on_the_borders_of_segments(path: list[str], prefix: list[str], query: str) -> None:
    url = canonical_url("/".join(["https://x.example", *path]) + query)
    above = canonical_url("/".join(["https://x.example", *prefix]))
    assert url is not None
    assert above is not None
    assert (above.whole.rstrip("/") in prefixes_of(url)) == (path[: len(prefix)] == prefix)


@pytest.mark.parametrize(
    ("url", "folders"),
    [
        ("https://x.example", ["x.example/"]),
        ("https://x.example:8080/a/b//c?d/e", [f"x.example:8080/{path}" for path in ("", "a/", "a/b/", "a/b//")]),
        ("ftp://x.example/a/", ["ftp:x.example/", "ftp:x.example/a/"]),
        ("urn:isbn:1/2", []),
    ],
)
def test_a_url_lies_in_the_folders_above_its_last_slash(url: str, folders: list[str]) -> None:
    address = canonical_url(url)
    assert address is not None
    assert folders_of(address) == folders


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("https://x.example?q", "x.example/"),
        ("https://x.example/a?q=/b/", "x.example/a/"),
        ("https://x.example:99/a/", "x.example:99/a/"),
    ],
)
def test_a_page_is_a_folder_of_its_own(url: str, folder: str) -> None:
    address = canonical_url(url)
    assert address is not None
    assert own_folder(address) == folder
