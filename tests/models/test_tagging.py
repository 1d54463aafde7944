"""Running taggers: one record that breaks a tagger costs itself alone, and a tagger that breaks its contract the run."""

import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import tagging
from models.documents import Documents
from models.errors import ToolError, UsageError
from models.findings import ERROR, SCHEMA, UNSCANNED, Finding, Findings
from models.tagging import ensure_loaded, tag, tag_identifiers


@dataclass(frozen=True)
class Marks:
    """Finds each ``!`` and raises on records that hold ``bad``."""

    name: str = "marks"  # type: ignore[misc]
    identifiers: ClassVar[bool] = True
    paths: ClassVar[tuple[str, ...]] = ()
    error: Callable[[], BaseException] = field(default=lambda: ValueError("text of the record"))
    digest: str = "d"

    def load(self) -> None:
        pass

    def tag(self, documents: Documents) -> Findings:
        found = []
        for row, text in enumerate(documents.text.to_pylist()):
            if "bad" in text:
                raise self.error()
            found += [Finding(row, self.name, "c", "!", 1.0, at, at + 1) for at, char in enumerate(text) if char == "!"]
        return Findings.of(len(documents), found)


@dataclass(frozen=True)
class Wrong:
    """Returns what it was made with."""

    findings: Callable[[Documents], Any]
    name: ClassVar[str] = "wrong"
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ()
    digest: ClassVar[str] = "d"

    def load(self) -> None:
        pass

    def tag(self, documents: Documents) -> Any:
        return self.findings(documents)


TEXTS = st.lists(st.sampled_from(["", "!", "a!b!", "bad", "!bad", "中!"]), max_size=12)


@given(TEXTS)
@settings(deadline=None)
def test_a_record_on_which_a_tagger_raises_is_an_error_and_its_neighbours_keep_their_findings(texts: list[str]) -> None:
    found = [(each.row, each.category, each.rule, each.start) for each in tag(Documents.of(texts), [Marks()])]
    expected = []
    for row, text in enumerate(texts):
        if "bad" in text:
            expected.append((row, ERROR, "ValueError", 0))
        else:
            expected += [(row, "c", "!", at) for at, char in enumerate(text) if char == "!"]
    assert found == expected


def test_the_message_of_an_exception_is_kept_nowhere() -> None:
    """It may hold text of the record."""
    assert "text of the record" not in str(tag(Documents.of(["bad"]), [Marks()]).table.to_pydict())


def test_a_tagger_that_raises_does_not_cost_another_its_findings() -> None:
    found = tag(Documents.of(["!bad", "!"]), [Marks("one"), Wrong(lambda d: Findings.of(len(d), [])), Marks("two")])
    assert [(each.row, each.tagger, each.category) for each in found] == [
        (0, "one", ERROR),
        (0, "two", ERROR),
        (1, "one", "c"),
        (1, "two", "c"),
    ]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "disk"),
        ConnectionError("gone"),
        MemoryError(),
        ImportError("no module"),
        UsageError("no list"),
        SystemError(),
        NameError("x"),
        KeyboardInterrupt(),
        SystemExit(1),
    ],
)
@pytest.mark.parametrize("texts", [["bad"], ["fine", "bad"]])
def test_what_says_nothing_about_the_record_is_raised_and_not_buried(error: BaseException, texts: list[str]) -> None:
    def fail() -> BaseException:
        return error

    with pytest.raises(type(error)):
        tag(Documents.of(texts), [Marks(error=fail)])


@pytest.mark.parametrize("error", [ValueError, TypeError, KeyError, RecursionError, AssertionError, UnicodeDecodeError])
def test_whatever_else_is_raised_is_the_records(error: type[Exception]) -> None:
    def fail() -> BaseException:
        return error("utf-8", b"", 0, 1, "x") if error is UnicodeDecodeError else error()

    assert [each.rule for each in tag(Documents.of(["bad"]), [Marks(error=fail)])] == [error.__name__]


def finding(**changes: Any) -> Finding:
    return Finding(0, "wrong", "c", "r", 1.0, 0, 1)._replace(**changes)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda d: Findings.of(len(d) - 1, []), "records would pass untagged"),
        (lambda d: Findings.of(len(d) + 1, []), "records would pass untagged"),
        (lambda d: Findings.of(0, []), "records would pass untagged"),
        (lambda d: Findings(len(d), SCHEMA.empty_table().drop_columns(["score"])), "other columns"),
        (lambda d: Findings.of(len(d), [finding(row=2)]), "not in the batch"),
        (lambda d: Findings.of(len(d), [finding(row=-1)]), "not in the batch"),
        (lambda d: Findings.of(len(d), [finding(start=-1)]), "outside its text"),
        (lambda d: Findings.of(len(d), [finding(end=3)]), "outside its text"),
        (lambda d: Findings.of(len(d), [finding(start=2, end=1)]), "outside its text"),
        (lambda d: Findings.of(len(d), [finding(score=1.1)]), "outside 0 to 1"),
        (lambda d: Findings.of(len(d), [finding(score=-0.1)]), "outside 0 to 1"),
        (lambda d: Findings.of(len(d), [finding(score=float("nan"))]), "outside 0 to 1"),
        (lambda d: Findings.of(len(d), [finding(tagger="other")]), "another tagger's name"),
        (lambda d: Findings(len(d), Findings.of(2, [finding(row=1), finding()]).table.take([1, 0])), "record order"),
    ],
)
@pytest.mark.parametrize("texts", [["中x", "ab"]])
def test_findings_that_break_the_contract_stop_the_run(
    made: Callable[[Documents], Findings], said: str, texts: list[str]
) -> None:
    with pytest.raises(ToolError, match=f"tagger wrong: .*{said}"):
        tag(Documents.of(texts), [Wrong(made)])


def test_no_taggers_and_no_records_have_no_findings() -> None:
    assert (len(tag(Documents.of(["a"]), [])), tag(Documents.of(["a"]), []).length) == (0, 1)
    assert tag(Documents.of([]), [Marks()]).length == 0


@pytest.mark.parametrize(("count", "cut"), [(9, False), (10, False), (11, True)])
def test_a_record_with_too_many_findings_keeps_the_first_and_says_so(
    monkeypatch: pytest.MonkeyPatch, count: int, cut: bool
) -> None:
    monkeypatch.setattr(tagging, "MOST_FINDINGS", 10)
    found = list(tag(Documents.of(["!", "!" * count, "!!"]), [Marks()]))
    here = [each for each in found if each.row == 1]
    assert [each.start for each in here if each.category == "c"] == list(range(min(count, 10)))
    assert [each.category for each in here].count(UNSCANNED) == cut
    assert [each.row for each in found if each.row != 1] == [0, 2, 2]


def identified(ids: Iterable[str], urls: Iterable[str | None]) -> Documents:
    names, links = list(ids), list(urls)
    plain = Documents.of(["text"] * len(names), names)
    return Documents(plain.rows, plain.id, plain.text, plain.source, pa.array(links, pa.string()))


def test_ids_and_urls_are_screened_like_text_by_taggers_that_want_to() -> None:
    documents = identified(["a!", "b", "shard!#12"], [None, "http://x/!", None])
    found = tag_identifiers(documents, [Marks(), Wrong(lambda d: 1 / 0)], "shard!")
    assert [(each.row, each.view, each.start) for each in found] == [(0, "id", 1), (1, "url", 9)]


def test_a_tagger_that_is_not_the_one_the_run_began_with_is_refused() -> None:
    ensure_loaded(Marks(digest="one"), "one")
    with pytest.raises(ToolError, match="changed since the run began"):
        ensure_loaded(Marks(digest="two"), "one")
