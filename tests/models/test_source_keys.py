"""Source keys: what counts together and what does not, whatever the spelling; what lies above; and what that means for states."""

import pickle
import time

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.addresses import canonical_url
from models.columns import UNKNOWN_SOURCE
from models.errors import UsageError
from models.source_keys import (
    dataset_key,
    keys_of,
    keys_of_urls,
    parents_of,
    state_under,
    user_key,
    web_key,
    worst,
)
from models.source_rules import SourceRules, suffix_list
from models.strict import parse

RULES = SourceRules()
SHARED = parse(
    SourceRules,
    {
        "shared": [
            {"under": "blogs.example", "each": "host"},
            {"under": "https://Code.Example", "each": "path"},
            {"under": "code.example/teams", "each": "path", "segments": 2},
            {"under": "code.example/teams/own/", "each": "site"},
            {"under": "cdn.example/customers/acme"},
            {"under": "one.github.io.example"},
        ]
    },
    "run.yaml",
)


def key(url: str | None, rules: SourceRules = RULES) -> str:
    return str(keys_of_urls(pa.array([url], pa.string()), rules)[0].as_py())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://www.example.co.uk/a", "example.co.uk"),
        ("http://WWW.Example.com.:8080?q", "example.com"),
        ("https://someone:secret@deep.down.example.org#x", "example.org"),
        ("example.org/a", "example.org"),
        ("//a.example.org/", "example.org"),
        ("https://ada.github.io/x", "ada.github.io"),
        ("https://www.ada.blogspot.com", "ada.blogspot.com"),
        ("https://github.io/", "github.io"),
        ("https://co.uk/", "co.uk"),
        ("https://www.bücher.de/", "xn--bcher-kva.de"),
        ("https://xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("https://a.食狮.公司.cn/", "xn--85x722f.xn--55qx5d.cn"),
        ("https://a.b.nosuchtld/", "b.nosuchtld"),
        ("http://localhost/", "localhost"),
        ("http://0x7f.1/a", "127.0.0.1"),
        ("http://[2001:DB8::1]:80/", "[2001:db8::1]"),
        ("http:/\\a.example.org/", "example.org"),
        ("ftp://ftp.example.org/x", "example.org"),
    ],
)
def test_pages_count_for_their_registrable_domain(url: str, expected: str) -> None:
    assert key(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        " ",
        "/path",
        "http://",
        "http://a b/",
        "mailto:a@example.org",
        "urn:isbn:1",
        "http://(unknown)/",
        "N/A",
        "null",
        "4711",
        "-",
    ],
)
def test_what_cannot_be_read_is_unknown_and_nothing_else_is(url: str | None) -> None:
    assert key(url) == UNKNOWN_SOURCE
    assert key("https://unknown/") == "unknown"


def test_hosts_and_the_private_part_of_the_list_are_a_choice() -> None:
    assert key("https://www.ada.github.io", SourceRules(private_suffixes=False)) == "github.io"
    assert key("https://www.ada.github.io:99", SourceRules(site="host")) == "www.ada.github.io"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://ada.blogs.example/x", "ada.blogs.example"),
        ("https://blogs.example/x", "blogs.example"),
        ("https://code.example/ada/repository", "code.example/ada"),
        ("https://code.example//ada", "code.example/ada"),
        ("https://code.example/%61da?tab=x", "code.example/ada"),
        ("https://code.example", "code.example"),
        ("https://raw.code.example/ada/x", "raw.code.example/ada"),
        ("https://raw.code.example/", "raw.code.example"),
        ("https://code.example/teams/a/b/c", "code.example/teams/a/b"),
        ("https://code.example/teams/a", "code.example/teams"),
        ("https://code.example/teams/own/b/c", "code.example/teams/own"),
        ("https://cdn.example/customers/acme/x.html", "cdn.example/customers/acme"),
        ("https://cdn.example/customers/acmeco/x.html", "cdn.example"),
        ("https://sub.cdn.example/customers/acme/", "cdn.example"),
    ],
)
def test_of_shared_sites_the_longest_prefix_decides(url: str, expected: str) -> None:
    assert key(url, SHARED) == expected


PIECES = st.sampled_from(
    [
        *"aZ.-/?#:@\\ é",
        "%41",
        "..",
        "x.example",
        "http://",
        "HTTPS://",
        "code.example",
        "/teams",
        ":80",
        "//",
        "\t",
        '"',
        "(",
        ")",
        "\ufeff",
        "host",
        "4711",
    ]
)


@given(st.lists(st.lists(PIECES, max_size=8).map("".join), max_size=8), st.sampled_from([RULES, SHARED]))
@example(['"x.example"/a', "(x.example)", "(x.example)/a", "4711?x", "N/A"], RULES)
@example(["http:/x.example/", "x.example:80/", "user@x.example/a@b"], RULES)
@example(["4711\ufeff", "4711\ufeff/a", "0x7f000001"], RULES)
@settings(max_examples=500, deadline=None)
def test_keys_made_together_are_those_of_each_url(urls: list[str], rules: SourceRules) -> None:
    expected = [web_key(canonical_url(url), rules) for url in urls]
    assert keys_of_urls(pa.array(urls, pa.string()), rules).to_pylist() == expected


def test_a_record_counts_for_a_pointers_target_then_a_tenant_then_a_dataset_then_its_site() -> None:
    columns = {
        "pointer": pa.array(["yes", "yes", None, "False", ""]),
        "product": pa.array(["chat", None, "chat", None, None]),
        "tenant": pa.array(["t1", None, "t/1", "t1", None]),
        "publisher": pa.array([None, "p", "p", "p", None]),
        "dataset": pa.array(["d", "d", "d", "d", " "]),
        "version": pa.array(["1", "1", "1", "2@x", "1"]),
    }
    urls = pa.array(["https://a.example.org", "no url", None, "https://a.example.org", "https://a.example.org"])
    expected = ["example.org", UNKNOWN_SOURCE, "user:chat/t%2F1", "dataset:p/d@2%40x", "example.org"]
    assert keys_of(columns, urls, RULES).to_pylist() == expected
    assert keys_of({}, urls, RULES).to_pylist() == keys_of_urls(urls, RULES).to_pylist()


PART = st.text("ab/@%: é", max_size=4)


@given(st.tuples(PART, PART, PART), st.tuples(PART, PART, PART))
def test_other_datasets_have_other_keys(one: tuple[str, str, str], two: tuple[str, str, str]) -> None:
    def said(parts: tuple[str, str, str]) -> list[str]:
        publisher, dataset, version = (part.strip() for part in parts)
        owner, mark, name = dataset.partition("/")
        if not publisher and mark and owner and name and "/" not in name:
            publisher, dataset = owner, name
        return [publisher, dataset, version]

    keys = dataset_key(*one), dataset_key(*two)
    if None not in keys:
        assert (keys[0] == keys[1]) == (said(one) == said(two))


@pytest.mark.parametrize(
    ("below", "parents"),
    [
        ("dataset:p/d@1", ("dataset:p/d", "publisher:p")),
        ("dataset:d@1", ("dataset:d",)),
        ("dataset:p/d", ("publisher:p",)),
        ("publisher:p", ()),
        ("user:chat/t", ("user:chat",)),
        ("user:chat", ()),
        (UNKNOWN_SOURCE, ()),
        ("www.ada.github.io", ("ada.github.io", "github.io")),
        ("code.example/teams/a", ("code.example",)),
        ("raw.code.example/ada", ("raw.code.example", "code.example")),
        ("example.org", ()),
        ("127.0.0.1", ()),
    ],
)
def test_what_lies_above_a_source(below: str, parents: tuple[str, ...]) -> None:
    assert parents_of(below) == parents
    assert all(parents_of(each) == parents[at + 1 :] for at, each in enumerate(parents))


ORDER = ("clean", "hold", "blacklisted")
STATES = st.sampled_from(ORDER)


@given(st.lists(st.none() | STATES, min_size=3, max_size=3))
def test_a_parent_never_clears_a_worse_child(states: list[str | None]) -> None:
    chain = ("www.ada.github.io", "ada.github.io", "github.io")
    decided = {each: state for each, state in zip(chain, states, strict=True) if state}
    holds = state_under(chain[0], decided, ORDER)
    assert all(ORDER.index(holds) >= ORDER.index(state) for state in decided.values())
    assert holds in {"clean", *decided.values()}
    assert worst([], ORDER) == "clean"


def test_a_state_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError):
        state_under("example.org", {"example.org": "celan"}, ORDER)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"shared": [{"under": "a b"}]}, r"run.yaml: shared\[0\].under: must be a host such as"),
        ({"shared": [{"under": "x.example:8080"}]}, "must be a host such as"),
        ({"shared": [{"under": "x.example/?q"}]}, "must be a host such as"),
        ({"shared": [{"under": "x.example"}, {"under": "X.example/"}]}, "x.example stands there twice"),
        ({"colums": {}}, "unknown key 'colums'; did you mean 'columns'"),
        ({"shared": [{"under": "x.example", "segments": 9, "each": "path"}]}, "segments"),
    ],
)
def test_rules_that_cannot_be_meant_are_refused_by_place(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(SourceRules, given, "run.yaml")


def test_rules_name_the_list_that_decides_and_travel() -> None:
    assert suffix_list().version
    assert len(suffix_list().sha256) == 64
    assert RULES.digest != SHARED.digest == pickle.loads(pickle.dumps(SHARED)).digest
    assert user_key(None, "t") is None


def test_hosts_that_repeat_cost_little() -> None:
    urls = pa.array([f"https://host{at % 100}.example/a/{at}?q=%20" for at in range(100_000)])
    keys_of_urls(urls, RULES)
    started = time.process_time()
    keys_of_urls(urls, RULES)
    # Two microseconds a record by design; ten times that, so that a busy machine passes.
    assert time.process_time() - started < 2.0
