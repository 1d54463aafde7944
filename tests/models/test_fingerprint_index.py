"""Indexes of works: a function of their works, whole or refused by name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.artefact import describe
from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED
from models.fingerprint_build import add_works, build_index, remove_works
from models.fingerprint_index import KIND, open_index
from models.taggers.fingerprint import Fingerprint
from models.works import Work, read_works

VERSE = "The time has come, the Walrus said, to talk of many things: of shoes and ships and sealing-wax, of cabbages and kings."
POEM = "故人西辞黄鹤楼，烟花三月下扬州。孤帆远影碧空尽，唯见长江天际流。"
NOTICE = (
    "Permission is granted to copy, distribute and modify this work under the terms of the licence that comes with it. "
)
WORKS = [
    Work("walrus", VERSE, "The Walrus", "Carroll", "PD", "public_domain"),
    Work("黄鹤楼", POEM),
    *(Work(f"other-{n}", NOTICE + f"part{n} " * 20) for n in range(4)),
]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_an_index_is_a_function_of_its_works_however_they_came(tmp_path: Path) -> None:
    for name, works in (("one", WORKS), ("two", WORKS[::-1])):
        build_index(works, tmp_path / name, most_works=3, title="t")
    build_index(WORKS[:1], tmp_path / "three", most_works=3, title="t")
    add_works(tmp_path / "three", [WORKS[3], Work("gone", VERSE[::-1]), WORKS[2]])
    add_works(tmp_path / "three", WORKS[4:] + WORKS[1:2])
    remove_works(tmp_path / "three", ["gone"])
    assert content(tmp_path / "one") == content(tmp_path / "two") == content(tmp_path / "three")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "three", "two"], "something was left behind"


def test_what_more_works_have_than_allowed_is_set_aside_and_comes_back(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index", most_works=3)
    index = open_index(tmp_path / "index")
    assert len(index.common_distinct)
    assert index.works["common"].to_pylist()[:4] == [len(index.common_distinct)] * 4
    tagger = Fingerprint((str(tmp_path / "index"),))
    assert not list(tagger.tag(Documents.of([NOTICE]))), "a run made only of what is set aside"
    whole = list(tagger.tag(Documents.of([WORKS[2].text])))
    assert {each.rule for each in whole} == {"other-0"}, "what is its own is still found"
    remove_works(tmp_path / "index", ["other-3"])
    assert not len(open_index(tmp_path / "index").common)
    assert {each.rule for each in tagger.tag(Documents.of([NOTICE]))} <= {"other-0", "other-1", "other-2"}


def test_a_run_goes_on_over_what_is_set_aside(tmp_path: Path) -> None:
    own = "".join(chr(0x4E00 + 37 * n % 5000) for n in range(200))
    works = [Work(f"{n}", own[:100] + NOTICE + own[100:] if not n else NOTICE + "x" * n) for n in range(3)]
    build_index(works[:1], tmp_path / "alone")
    build_index(
        [works[0], Work("1", NOTICE + own[::-1]), Work("2", NOTICE + own[::-2])], tmp_path / "index", most_works=1
    )
    (alone,) = Fingerprint((str(tmp_path / "alone"),)).tag(Documents.of([works[0].text]))
    found = [
        each for each in Fingerprint((str(tmp_path / "index"),)).tag(Documents.of([works[0].text])) if each.rule == "0"
    ]
    assert [(each.start, each.end) for each in found] == [(alone.start, alone.end)]


@pytest.mark.parametrize("text", ["短诗", "...!?… — \n", "a" * 31])
def test_a_work_without_a_fingerprint_fails_the_build_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="work 'short one' has no fingerprint"):
        build_index([*WORKS, Work("short one", text)], tmp_path / "index", short=True)
    assert not (tmp_path / "index").exists()


# Of the couplet a copy in another text is missed in some places, of the line from a novel in all.
SHORT = {"couplet": "春蚕到死丝方尽，蜡炬成灰泪始干", "novel": "It was the best of times, it was the worst of times"}


@pytest.mark.parametrize("name", SHORT)
def test_a_work_that_is_not_surely_found_is_refused_by_name_or_kept_and_said_to_be_so(
    tmp_path: Path, name: str
) -> None:
    index, work = tmp_path / "index", Work(name, SHORT[name])
    build_index(WORKS, index)
    before = content(index)
    for refused in (lambda: build_index([*WORKS, work], index), lambda: add_works(index, [work])):
        with pytest.raises(
            UsageError, match=rf"work '{name}' is shorter than what is surely found: \d+ of 63 bytes.*--short"
        ):
            refused()
        assert content(index) == before
    add_works(index, [work], short=True)
    assert open_index(index).short == {name: len("".join(filter(str.isalnum, work.text)).encode())}
    add_works(index, [Work("whole", VERSE[::-1])])
    assert name in open_index(index).short, "what was allowed once stays"
    assert any("1 works shorter than" in line for line in Fingerprint((str(index),)).in_words())


def test_a_work_of_just_the_bytes_that_are_surely_found_is_taken(tmp_path: Path) -> None:
    enough = "".join(filter(str.isalpha, POEM))[:21]
    build_index([Work("诗", enough)], tmp_path / "index")
    assert not open_index(tmp_path / "index").short
    with pytest.raises(UsageError, match="62 of 63 bytes"):
        add_works(tmp_path / "index", [Work("less", enough[:20] + "ab")])


def test_a_work_of_which_all_is_set_aside_fails_the_build_by_name(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index", most_works=5)
    before = content(tmp_path / "index")
    with pytest.raises(
        UsageError, match="work 'a', 'b', 'c', 'd', 'e' and 1 more has only fingerprints that more than 5 works"
    ):
        add_works(tmp_path / "index", [Work(name, VERSE[::-1]) for name in "abcdef"])
    assert content(tmp_path / "index") == before


def test_works_that_come_twice_or_are_not_there_are_refused_by_name(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index")
    with pytest.raises(UsageError, match="'walrus' is there twice"):
        add_works(tmp_path / "index", [Work("walrus", POEM)])
    with pytest.raises(UsageError, match="has no work 'nobody'"):
        remove_works(tmp_path / "index", ["walrus", "nobody"])


def test_a_folder_with_other_things_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(UsageError, match="other things"):
        build_index(WORKS, tmp_path)
    assert (tmp_path / "precious.txt").exists()


def test_an_index_that_is_open_stays_as_it_was(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index")
    index = open_index(tmp_path / "index")
    before = index.hashes.copy()
    remove_works(tmp_path / "index", ["walrus"])
    assert np.array_equal(index.hashes, before)
    assert len(open_index(tmp_path / "index").hashes) < len(before)


def test_no_text_is_stored(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index")
    stored = b"".join(content(tmp_path / "index").values())
    assert b"cabbages" not in stored
    assert "长江".encode() not in stored


def test_a_damaged_index_and_one_of_another_version_are_refused(tmp_path: Path) -> None:
    build_index(WORKS, tmp_path / "index")
    shutil.copytree(tmp_path / "index", tmp_path / "damaged")
    with (tmp_path / "damaged" / "fingerprints.npy").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UsageError, match=r"fingerprints\.npy: content is not what"):
        open_index(tmp_path / "damaged")
    said = json.loads((tmp_path / "index" / "index.json").read_text())
    (tmp_path / "index" / "index.json").write_text(json.dumps(said | {"version": [0, 0]}))
    names = list(content(tmp_path / "index").keys() - {"artefact.json"})
    describe(tmp_path / "index", kind=KIND, version=2, names=names, title="", licence="", made_with="a test")
    with pytest.raises(UsageError, match="of another kind than this version takes"):
        open_index(tmp_path / "index")


def test_findings_state_the_claim_the_share_the_longest_run_and_every_other(tmp_path: Path) -> None:
    build_index([WORKS[0], Work("黄鹤楼", POEM, claim="takedown")], tmp_path / "index")
    unrelated = "something else altogether that nobody registered and that goes on for a while, as texts do. "
    text = POEM + unrelated + VERSE + unrelated + VERSE[:90]
    found = list(Fingerprint((str(tmp_path / "index"),)).tag(Documents.of(["", text])))
    said = [(each.category, each.rule, text[each.start : each.end]) for each in found]
    assert [each[:2] for each in said] == [
        ("copyright.public_domain", "walrus"),
        ("copyright.takedown", "黄鹤楼"),
        ("copyright.run", "walrus"),
    ]
    assert said[0][2] in VERSE
    assert said[1][2] in POEM
    assert said[2][2] in VERSE[:90]
    letters = sum(char.isalnum() for char in text)
    share = sum(char.isalnum() for char in said[0][2] + said[2][2]) / letters
    assert found[0].score == pytest.approx(share, abs=1e-6)
    assert {each.row for each in found} == {1}


def test_a_record_with_too_much_to_look_at_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build_index(WORKS, tmp_path / "index")
    monkeypatch.setattr("models.shared_runs.MOST_HITS", 2)
    found = list(Fingerprint((str(tmp_path / "index"),)).tag(Documents.of([VERSE, "nothing", NOTICE])))
    assert [each.row for each in found if each.category == UNSCANNED] == [0, 2]
    assert [each.row for each in found if each.category == "copyright.public_domain"] == [0]


def test_one_work_in_two_indexes_is_refused(tmp_path: Path) -> None:
    for name in ("one", "two"):
        build_index(WORKS, tmp_path / name)
    with pytest.raises(UsageError, match="'other-0' is in another index too"):
        Fingerprint((str(tmp_path / "one"), str(tmp_path / "two"))).load()


def test_works_are_the_same_from_lines_parquet_and_a_folder(tmp_path: Path) -> None:
    rows = [
        {
            "id": work.id,
            "title": work.title,
            "holder": work.holder,
            "licence": work.licence,
            "claim": work.claim,
            "text": work.text,
        }
        for work in WORKS
    ]
    (tmp_path / "works.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "works.parquet")
    folder = tmp_path / "works"
    folder.mkdir()
    for row in rows:
        (folder / f"{row['id']}.txt").write_text(row["text"], "utf-8")
    said = [",".join(row[name] for name in ("id", "title", "holder", "licence", "claim")) for row in rows]
    (folder / "works.csv").write_text("\n".join(["id,title,holder,licence,claim", *said]) + "\n", "utf-8")
    for place in ("works.jsonl", "works.parquet", "works"):
        assert list(read_works(tmp_path / place)) == WORKS
    (folder / "forgotten.txt").write_text("x")
    with pytest.raises(UsageError, match=r"says nothing of forgotten\.txt"):
        list(read_works(folder))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"id": "a"}', "line 2: a work needs text"),
        ('{"id": 7, "text": "x"}', "line 2: a work needs id"),
        (
            '{"id": "a", "text": "x", "claim": "reservd"}',
            "line 2: no claim is called 'reservd'; did you mean 'reserved'",
        ),
        ("{", "line 2: not JSON"),
        ("[]", "line 2: not an object"),
    ],
)
def test_a_work_that_cannot_be_read_is_refused_by_its_place(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "works.jsonl").write_text('{"id": "ok", "text": "x"}\n' + line + "\n")
    with pytest.raises(UsageError, match=said):
        list(read_works(tmp_path / "works.jsonl"))
