"""The lexicon: every written form of a term is found where it stands, whole words only, and a bad list names its line."""

import shutil
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artefact import describe, read_artefact
from models.documents import Documents
from models.errors import UsageError
from models.taggers.lexicon import LEVELS, Lexicon, read_terms

HEADER = "term\tcategory\tlevel\n"
# Letters that no term below has, removed characters, and scripts with and without spaces.
FILLER = st.text(st.sampled_from("xyz .,。，山水\n\u200b\ufe0fＸÄ9-"), max_size=20)


class MakeLexicon(Protocol):
    def __call__(self, *terms: str, body: str | bytes | None = None, folder: str = "list") -> Lexicon: ...


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> MakeLexicon:
    def lexicon(*terms: str, body: str | bytes | None = None, folder: str = "list") -> Lexicon:
        path = tmp_path_factory.mktemp(folder)
        text = HEADER + "".join(f"{term}\tA.1.f\tcertain\n" for term in terms) if body is None else body
        (path / "terms.tsv").write_bytes(text.encode() if isinstance(text, str) else text)
        describe(path, kind="lexicon", version=1, names=["terms.tsv"], title="", licence="", made_with="a test")
        return Lexicon((str(path),))

    return lexicon


@pytest.fixture(scope="module")
def planted(make: MakeLexicon) -> Lexicon:
    return make("法轮", "badword", "a b")


def found(lexicon: Lexicon, *texts: str) -> list[list[str]]:
    """Return, for each text, the pieces of it that findings point to."""
    pieces: list[list[str]] = [[] for _ in texts]
    for finding in lexicon.tag(Documents.of(texts)):
        pieces[finding.row].append(texts[finding.row][finding.start : finding.end])
    return pieces


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        ("ass", "class assess ass", ["ass"]),
        ("ass", "ASS, ass; (ass) ass's _ass_", ["ASS", "ass", "ass", "ass", "ass"]),
        ("ass", "ass1 1ass ässe éass", []),
        ("ass", "他说ass很", ["ass"]),
        ("ass", "アassア 가ass가 กassก", ["ass", "ass", "ass"]),
        ("89", "1989 89 898", ["89"]),
        ("c++", "c++ c++11 abc++", ["c++", "c++"]),
        ("straße", "straße straßen", ["straße"]),
        ("мир", "мира мир", ["мир"]),
        ("कम", "कमी कम", ["कम"]),
        ("cafe", "cafe\u0301 cafe", ["cafe"]),
        ("ab", "ab\u200bc ab", ["ab"]),
    ],
)
def test_a_term_of_letters_matches_only_as_a_whole_word(
    make: MakeLexicon, term: str, text: str, expected: list[str]
) -> None:
    assert found(make(term), text) == [expected]


def test_a_han_term_matches_inside_running_text(make: MakeLexicon) -> None:
    assert found(make("法轮"), "反对法轮功组织", "法輪", "法x轮") == [["法轮"], ["法輪"], []]


@pytest.mark.parametrize(
    "written",
    ["法轮", "法輪", "法\u200b轮", "法\ufe0f輪", "\ufeff法\u2060\u200b\u200d轮"],
)
@pytest.mark.parametrize("around", ["{}", "前{}後", "a {} b", "９{}９"])
def test_traditional_and_zero_width_forms_of_a_han_term_match(planted: Lexicon, written: str, around: str) -> None:
    visible = written.strip("\ufeff")
    assert found(planted, around.format(written)) == [[visible]]


@pytest.mark.parametrize(
    "written", ["badword", "BadWord", "ｂａｄｗｏｒｄ", "ＢＡＤ\u200bＷＯＲＤ", "b\u00ada\u00add\u00adword"]
)
def test_full_width_capital_and_split_forms_of_a_word_match(planted: Lexicon, written: str) -> None:
    assert found(planted, f"x {written}, y") == [[written]]


@pytest.mark.parametrize("list_form", ["法輪\tA", "\u200b法轮\u200b\tA", " ＢＡＤＷＯＲＤ \tA"])
def test_the_written_form_in_the_list_does_not_matter(make: MakeLexicon, list_form: str) -> None:
    assert sum(map(len, found(make(body=f"{HEADER}{list_form}\tlikely\n"), "法轮 badword"))) == 1


def test_matches_never_cross_records(planted: Lexicon) -> None:
    assert found(planted, "法", "轮", "bad", "word", "a", "b", "a ", "b") == [[]] * 8


def test_a_neighbour_record_is_no_part_of_the_word(planted: Lexicon) -> None:
    assert found(planted, "x", "badword", "x") == [[], ["badword"], []]
    assert found(planted, "x\u200b", "\u200bbadword\u200b", "") == [[], ["badword"], []]


def test_an_empty_batch_and_empty_texts_have_no_findings(planted: Lexicon, make: MakeLexicon) -> None:
    assert found(planted) == []
    assert found(planted, "", "\u200b") == [[], []]
    assert found(Lexicon(()), "badword") == [[]]
    assert found(make(), "badword") == [[]]


def test_overlapping_and_nested_terms_are_all_found(make: MakeLexicon) -> None:
    assert sorted(found(make("天安门", "安门", "安门事"), "天安门事")[0]) == ["天安门", "安门", "安门事"]


@given(
    before=FILLER,
    after=FILLER,
    form=st.sampled_from(["法轮", "法輪", "法\u200b\ufe0f輪", "bad\u2060word", "ＢＡＤword"]),
)
@settings(deadline=None)
def test_a_planted_term_is_found_exactly_where_it_was_planted(
    planted: Lexicon, before: str, after: str, form: str
) -> None:
    spaced = form[0] != "法"
    text = f"{before} {form} {after}" if spaced else before + form + after
    start = len(before) + spaced
    hits = list(planted.tag(Documents.of(["法", text, "轮"])))
    assert [(hit.row, hit.start, hit.end) for hit in hits] == [(1, start, start + len(form))]


def test_levels_become_scores_and_the_finding_names_the_term_as_listed(make: MakeLexicon) -> None:
    body = HEADER + "".join(f"Word{level}\tC.{level}\t{level}\n" for level in LEVELS)
    lexicon = make(body=body)
    text = " ".join(f"word{level}" for level in LEVELS)
    hits = {hit.rule: hit for hit in lexicon.tag(Documents.of([text]))}
    assert {rule: round(hit.score, 4) for rule, hit in hits.items()} == {f"Word{n}": s for n, s in LEVELS.items()}
    assert {hit.category for hit in hits.values()} == {f"C.{level}" for level in LEVELS}
    assert {(hit.tagger, hit.view, hit.value_hmac) for hit in hits.values()} == {("lexicon", "safe", None)}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_variants_that_fold_to_one_term_are_one_with_the_surest_level(
    make: MakeLexicon, order: tuple[int, ...]
) -> None:
    rows = ["龍\tA\tpossible\n", "龙\tA\tcertain\n", "\u200b龙\tA\tlikely\n"]
    hits = list(make(body=HEADER + "".join(rows[at] for at in order)).tag(Documents.of(["一条龙"])))
    assert [(hit.score, hit.start, hit.end) for hit in hits] == [(1.0, 2, 3)]


def test_one_term_of_two_categories_has_a_finding_for_each(make: MakeLexicon) -> None:
    hits = make(body=f"{HEADER}x\tA\tcertain\nx\tB\tlikely\n").tag(Documents.of(["x"]))
    assert sorted(hit.category for hit in hits) == ["A", "B"]


def test_terms_of_several_lists_are_all_found(make: MakeLexicon) -> None:
    lists = make("one").lists + make("two").lists
    assert found(Lexicon(lists), "one two") == [["one", "two"]]


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        (HEADER + "ok\tA\tcertain\nbad\tA\tsure\n", 3, "level 'sure'"),
        ("# c\n" + HEADER + "\n# d\nbad\tA\t\n", 5, "level ''"),
        (HEADER + "bad\t\tcertain\n", 2, "no category"),
        (HEADER + "bad\n", 2, "no category"),
        (HEADER + "\tA\tcertain\n", 2, "empty once folded"),
        (HEADER + "\u200b\ufe0f \tA\tcertain\n", 2, "empty once folded"),
        (HEADER + "x" * 70_000 + "\tA\tcertain\n", 2, "bytes"),
        (HEADER + "a\0b\tA\tcertain\n", 2, "NUL"),
        ("term\tlevel\nx\tcertain\n", 1, "no column category"),
        ("法轮\tA\tcertain\n", 1, "no column"),
        (HEADER.encode() + b"ok\tA\tcertain\n\xb7\xa8\tA\tcertain\n", 3, "not UTF-8"),
    ],
)
def test_a_mistake_in_a_list_names_file_and_line(make: MakeLexicon, body: str | bytes, line: int, said: str) -> None:
    lexicon = make(body=body)
    with pytest.raises(UsageError, match=rf"terms\.tsv: line {line}: .*{said}"):
        lexicon.load()


def test_comments_blank_lines_marks_and_windows_line_ends_are_no_terms(make: MakeLexicon) -> None:
    body = "\ufeff# first\r\n" + HEADER.replace("\n", "\r\n") + "\r\n# x\tA\tcertain\r\nword\tA\tcertain\r\n"
    assert found(make(body=body), "first x word") == [["word"]]


def test_a_quote_is_part_of_its_term_and_swallows_no_other(make: MakeLexicon) -> None:
    body = f'{HEADER}"foo\tA\tcertain\nbar\tA\tcertain\n"baz"\tA\tcertain\n'
    assert found(make(body=body), 'bar "foo "baz"') == [["bar", '"foo', '"baz"']]


def test_columns_may_stand_in_any_order_with_others_between(make: MakeLexicon) -> None:
    body = "note\tlevel\tterm\tcategory\nn\tlikely\tword\tA\n"
    assert found(make(body=body), "n word") == [["word"]]


@pytest.mark.parametrize("broken", ["missing folder", "missing file", "changed file", "other kind", "no json"])
def test_a_list_that_is_not_what_its_description_says_is_refused(
    make: MakeLexicon, tmp_path: Path, broken: str
) -> None:
    folder = Path(make("word").lists[0])
    described = folder / "artefact.json"
    match broken:
        case "missing folder":
            shutil.rmtree(folder)
        case "missing file":
            (folder / "terms.tsv").unlink()
        case "changed file":
            (folder / "terms.tsv").write_text(HEADER + "other\tA\tcertain\n")
        case "other kind":
            described.write_text(described.read_text().replace('"lexicon"', '"model"'))
        case "no json":
            described.write_text("{")
    with pytest.raises(UsageError, match=folder.name):
        Lexicon((str(folder),)).load()


def test_the_digest_changes_with_content_and_not_with_the_place(make: MakeLexicon) -> None:
    one, same, other = make("word"), make("word", folder="elsewhere"), make("words")
    assert one.lists != same.lists
    assert one.digest == same.digest != other.digest
    assert Lexicon(one.lists + other.lists).digest not in {one.digest, other.digest}


def test_every_shipped_list_can_be_read() -> None:
    lists = Path(__file__).resolve().parents[2] / "configs" / "lists"
    folders = [path.parent for path in lists.glob("*/artefact.json")]
    assert folders
    assert all(read_terms(read_artefact(folder, "lexicon")) for folder in folders)
