"""The laws of :class:`models.taggers.Tagger`, on every tagger there is.

A new tagger takes a line in ``SAMPLES``: how it is configured, texts on which it finds something, and other values of each field.
"""

import dataclasses
import hashlib
import importlib
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import make_model

from models.artefact import describe
from models.documents import Documents
from models.errors import UsageError
from models.findings import SCHEMA, Finding, Findings
from models.fingerprint_build import build_index
from models.taggers import BUILT_IN, Tagger, tagger_class
from models.tagging import tag
from models.works import Work

ROOT = Path(__file__).resolve().parents[2]
KEY = "WINNOW_CONTRACT_TEST_KEY"


class Sample(NamedTuple):
    """A tagger's fields, texts in each of which it finds something, and for each field another value that must matter.

    ``looks_at`` names what else of a record it looks at.
    """

    fields: dict[str, Any]
    texts: list[str]
    others: dict[str, Any]
    looks_at: tuple[str, ...] = ()


def lexicon(folder: Path, *terms: str) -> tuple[str, ...]:
    folder.mkdir()
    (folder / "terms.tsv").write_text(
        "term\tcategory\tlevel\n" + "".join(f"{term}\tA.1.f\tlikely\n" for term in terms), "utf-8"
    )
    describe(folder, kind="lexicon", version=1, names=["terms.tsv"], title="", licence="", made_with="a test")
    return (str(folder),)


def sample_of_lexicon(folder: Path) -> Sample:
    one, two = lexicon(folder / "one", "badword", "坏词"), lexicon(folder / "two", "other")
    texts = ["a badword", "有坏词", "坏\u200b詞", "ＢＡＤＷＯＲＤ!", "badword " * 50]
    return Sample({"lists": one}, texts, {"lists": two})


def sample_of_personal(_folder: Path) -> Sample:
    texts = [
        "电话13800138000。",
        "mail zhang@example.com now",
        "身份证11010519491231002X",
        "card 4111 1111 1111 1111",
        "１３８\u200b００１３８０００",
        "call +44 20 7946 0123",
    ]
    others = {"entities": ("email",), "phone_regions": ("JP",), "key_env": KEY, "max_windows": 1}
    return Sample({}, texts, others)


def sample_of_fingerprint(folder: Path) -> Sample:
    verse = "The sun was shining on the sea, shining with all his might: he did his very best to make the billows smooth and bright."
    poem = "金樽清酒斗十千，玉盘珍羞直万钱。停杯投箸不能食，拔剑四顾心茫然。欲渡黄河冰塞川，将登太行雪满山。"
    one, two = folder / "one", folder / "two"
    build_index([Work("walrus", verse), Work("road", poem, claim="takedown")], one)
    build_index([Work("other", verse[::-1])], two)
    texts = [
        verse,
        f"He said: {verse.upper()}",
        verse.replace(" ", "\n"),
        poem,
        "《行路难》" + poem.replace("，", "\u200b "),
    ]
    return Sample({"indexes": (str(one),)}, texts, {"indexes": (str(two),), "least_run": 10})


def artefact(folder: Path, kind: str, name: str, content: str) -> tuple[str, ...]:
    folder.mkdir()
    (folder / name).write_text(content, "utf-8")
    describe(folder, kind=kind, version=1, names=[name], title="", licence="", made_with="a test")
    return (str(folder),)


def sample_of_blocked(folder: Path) -> Sample:
    texts = ["one text", "另一篇", "", "\u200b"]
    rows = "".join(f"content\t{hashlib.sha256(text.encode()).hexdigest()}\n" for text in texts)
    one = artefact(folder / "one", "blocked", "list.tsv", f"kind\tvalue\n{rows}")
    two = artefact(folder / "two", "blocked", "list.tsv", "kind\tvalue\nhost\tblocked.example\n")
    return Sample({"lists": one}, texts, {"lists": two}, ("source", "url"))


def sample_of_provenance(folder: Path) -> Sample:
    until = "key,kind,licence,valid_until\na.example,open,MIT,2026-01-31\n"
    one = artefact(folder / "one", "provenance", "sources.csv", until)
    two = artefact(folder / "two", "provenance", "sources.csv", "key,kind,licence\nb.example,open,MIT\n")
    others = {"registry": two, "as_of": "2026-02-01", "allowed_licences": ("MIT",), "required": {"open": ["contract"]}}
    return Sample({"registry": one, "as_of": "2026-01-02"}, ["any text", "", "文"], others, ("source", "provenance"))


def sample_of_category(folder: Path) -> Sample:
    one = (make_model(folder / "one"),)
    two = (make_model(folder / "two", labels={"insult": {"risks": ["A.1.f"], "when": {"label": 1}}}),)
    texts = ["你这个坏蛋", "坏\u200b蛋，討厭的壞蛋", "ＮＡＳＴＹ fool", "you nasty fool " * 50]
    return Sample({"models": one}, texts, {"models": two, "unknown_language": "unscanned", "lowest_score": 0.25})


def own_samples() -> dict[str, Callable[[Path], Sample]]:
    """Return the sample of somebody's own tagger, which is installed: ``WINNOW_TAGGER_SAMPLE=NAME=MODULE:FUNCTION``."""
    name, _, where = os.environ.get("WINNOW_TAGGER_SAMPLE", "").partition("=")
    module, _, function = where.partition(":")
    return {name: lambda folder: Sample(*getattr(importlib.import_module(module), function)(folder))} if name else {}


OWN = own_samples()
SAMPLES: dict[str, Callable[[Path], Sample]] = OWN | {
    "blocked": sample_of_blocked,
    "category": sample_of_category,
    "fingerprint": sample_of_fingerprint,
    "lexicon": sample_of_lexicon,
    "personal": sample_of_personal,
    "provenance": sample_of_provenance,
}


@pytest.fixture(scope="module", params=sorted(SAMPLES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(name: str, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return SAMPLES[name](tmp_path_factory.mktemp(name))


@pytest.fixture(scope="module")
def tagger(name: str, sample: Sample) -> Tagger:
    return make(name, sample.fields)


def make(name: str, fields: dict[str, Any]) -> Any:
    return tagger_class(name)(**fields)  # type: ignore[call-arg]


def alone(tagger: Tagger, text: str) -> list[Finding]:
    return list(tagger.tag(Documents.of([text])))


def test_every_registered_tagger_has_a_sample() -> None:
    assert sorted(SAMPLES) == sorted({*BUILT_IN, *OWN})


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no tagger is called 'lexicn'; there are: .*lexicon"):
        tagger_class("lexicn")


def test_it_is_a_frozen_dataclass_under_its_own_name(name: str, tagger: Tagger) -> None:
    assert tagger.name == name
    assert dataclasses.is_dataclass(tagger)
    first = dataclasses.fields(tagger)[0].name  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(tagger, first, None)
    assert hash(tagger) == hash(pickle.loads(pickle.dumps(tagger)))


def test_it_finds_something_in_each_text_of_its_sample(tagger: Tagger, sample: Sample) -> None:
    assert [text for text in sample.texts if not alone(tagger, text)] == []


# Texts put together of what a tagger looks for and what might mislead it.
NOISE = st.text(st.sampled_from("aB1@.-+ \n中\u200b\ufe0f\U0001f600０é"), max_size=12)


@st.composite
def batches(draw: st.DrawFn, sample: Sample) -> list[str]:
    part = st.sampled_from(sample.texts) | NOISE
    return draw(st.lists(st.lists(part, max_size=3).map("".join), max_size=6))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_findings_cover_the_batch_with_scores_and_spans_in_range(
    tagger: Tagger, sample: Sample, data: st.DataObject
) -> None:
    texts = data.draw(batches(sample))
    found = tagger.tag(Documents.of(texts))
    assert isinstance(found, Findings)
    assert found.length == len(texts)
    assert found.table.schema.equals(SCHEMA)
    rows = [each.row for each in found]
    assert rows == sorted(rows)
    for each in found:
        assert each.tagger == tagger.name
        assert 0 <= each.score <= 1
        assert 0 <= each.start <= each.end <= len(texts[each.row])
        assert each.category
        assert each.rule
        assert each.view in ("raw", "safe")
    # What the engine itself checks holds, too, and no record is an error.
    assert list(tag(Documents.of(texts), [tagger])) == list(found)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_findings_of_a_record_do_not_depend_on_its_neighbours(
    tagger: Tagger, sample: Sample, data: st.DataObject
) -> None:
    texts = data.draw(batches(sample))
    together = list(tagger.tag(Documents.of(texts)))
    for row, text in enumerate(texts):
        assert [each._replace(row=0) for each in together if each.row == row] == alone(tagger, text)


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_findings_do_not_depend_on_how_the_batch_lies_in_memory(
    tagger: Tagger, sample: Sample, data: st.DataObject
) -> None:
    """A slice of a larger batch, and one record of it, as the engine takes them."""
    texts = data.draw(batches(sample))
    whole = Documents.of(["before 坏词", *texts, "after 13800138000"])
    parts = (array.slice(1, len(texts)) for array in (whole.id, whole.text, whole.source, whole.url))
    sliced = Documents(whole.rows[1 : len(texts) + 1], *parts)
    assert list(tagger.tag(sliced)) == list(tagger.tag(Documents.of(texts)))
    for row, text in enumerate(texts):
        assert list(tagger.tag(sliced.only(row))) == alone(tagger, text)


def test_findings_are_the_same_the_second_time(tagger: Tagger, sample: Sample) -> None:
    documents = Documents.of(sample.texts)
    assert tagger.tag(documents).table.equals(tagger.tag(documents).table)


@pytest.mark.parametrize(
    "texts", [[], [""], ["", "", ""], ["\u200b"], ["\n"], ["\0"], ["x" * 300_000], ["中" * 100_000]]
)
def test_empty_and_monotonous_records_are_looked_at(tagger: Tagger, texts: list[str]) -> None:
    assert tagger.tag(Documents.of(texts)).length == len(texts)


def test_only_text_is_looked_at_unless_its_sample_says_so(tagger: Tagger, sample: Sample) -> None:
    if sample.looks_at:
        return
    count = len(sample.texts)
    plain = Documents.of(["nothing"] * count)
    loaded = pa.array(sample.texts, pa.string())
    assert len(tagger.tag(Documents(plain.rows, loaded, plain.text, loaded, loaded))) == 0


def test_threads_may_tag_at_once(tagger: Tagger, sample: Sample) -> None:
    """Engines run several bundles in one process, each in a thread."""
    documents = Documents.of(["".join(sample.texts)] * 200)
    expected = tagger.tag(documents).table
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: tagger.tag(documents).table, range(32)))
    assert all(table.equals(expected) for table in found)


def test_it_survives_pickling(tagger: Tagger, sample: Sample) -> None:
    tagger.load()
    again = pickle.loads(pickle.dumps(tagger))
    assert again == tagger
    assert again.digest == tagger.digest
    documents = Documents.of(sample.texts)
    assert again.tag(documents).table.equals(tagger.tag(documents).table)


def test_its_pickle_holds_its_configuration_and_nothing_loaded(tagger: Tagger, sample: Sample) -> None:
    tagger.load()
    tagger.tag(Documents.of(sample.texts))
    assert len(pickle.dumps(tagger)) < 2000


def test_every_field_has_another_value_in_the_sample(tagger: Tagger, sample: Sample) -> None:
    assert sorted(sample.others) == sorted(each.name for each in dataclasses.fields(tagger))  # type: ignore[arg-type]


def test_each_field_of_the_configuration_changes_the_digest(
    name: str, tagger: Tagger, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "a key of at least sixteen bytes")
    digests = {make(name, sample.fields | {each: value}).digest for each, value in sample.others.items()}
    assert len(digests | {tagger.digest}) == len(sample.others) + 1
    assert make(name, sample.fields).digest == tagger.digest


def test_a_change_of_its_code_is_a_change_of_its_digest(
    name: str, tagger: Tagger, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tagger.digest
    monkeypatch.setattr(type(tagger), "version", 10**6)
    assert make(name, sample.fields).digest != before


def test_the_digest_is_the_same_in_another_process(tagger: Tagger) -> None:
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).digest)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=pickle.dumps(tagger), capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode().strip() == tagger.digest


def test_nothing_is_loaded_in_the_constructor(name: str, sample: Sample, tmp_path: Path) -> None:
    """A tagger of lists that do not exist can be made; it is refused when it is to be used."""
    paths = tagger_class(name).paths
    fields = sample.fields | {each: (str(tmp_path / "absent"),) for each in paths}
    made = make(name, fields)
    if paths:
        with pytest.raises(UsageError, match="absent"):
            made.load()


def test_paths_name_fields_of_the_configuration(tagger: Tagger) -> None:
    names = {each.name for each in dataclasses.fields(tagger)}  # type: ignore[arg-type]
    assert set(tagger.paths) <= names
    assert isinstance(tagger.identifiers, bool)
