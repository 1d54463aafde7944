"""Layers: what was found comes back as it was, in the same bytes however the records came, and never from other bytes."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.documents import Documents
from models.errors import ConservationError
from models.findings import Finding, Findings
from models.layer import Known, Layer, LayerBuilder, Merged, id_hash, known_of, layer_name, merge
from models.parsing import Parsed
from models.shard import Dead

# An entry: a text with its source and the scores of what is found in it, or the error class of a dead letter.
RECORD = st.tuples(
    st.text(max_size=5),
    st.sampled_from(["a.com", "b.com", "(unknown)"]),
    st.lists(st.sampled_from([0.1, 0.5, 1.0]), max_size=3),
)
ENTRIES = st.lists(RECORD | st.sampled_from(["bad_json", "no_text"]), max_size=12)
Entry = tuple[str, str, list[float]] | str


def add(builder: LayerBuilder, row: int, entries: Sequence[Entry], tagger: str = "lexicon") -> None:
    """Add entries as one batch that starts at a row."""
    alive = [number for number, entry in enumerate(entries) if not isinstance(entry, str)]
    records = [entries[number] for number in alive]
    texts, sources = [record[0] for record in records], [record[1] for record in records]
    rows = np.array([row + number for number in alive], np.int64)
    columns = (
        pa.array(values, pa.string())
        for values in (
            [f"id{at}" for at in rows],
            texts,
            sources,
            [f"https://{name}/x/{len(text)}" for name, text in zip(sources, texts, strict=True)],
        )
    )
    dead = {
        row + number: Dead(entry, f"detail of {entry}", b"x", "", 3)
        for number, entry in enumerate(entries)
        if isinstance(entry, str)
    }
    parsed = Parsed(row, np.arange(row, row + len(entries)) * 10, Documents(rows, *columns), dead)
    found = [
        Finding(at, tagger, "A.1.f", f"rule{place}", score)
        for at, record in enumerate(records)
        for place, score in enumerate(record[2])
    ]
    builder.add(parsed, Findings.of(len(records), found), pa.array(sources, pa.string()))


def build(entries: Sequence[Entry], cuts: Sequence[int] = (), tagger: str = "lexicon", digest: str = "d") -> Layer:
    builder = LayerBuilder()
    for first, last in itertools.pairwise([0, *sorted(min(cut, len(entries)) for cut in cuts), len(entries)]):
        if first < last:
            add(builder, first, entries[first:last], tagger)
    return builder.build("split", "content", {tagger: digest})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layers")


def written(layer: Layer, folder: Path, name: str = "layer") -> bytes:
    path = folder / name
    layer.write(path)
    return path.read_bytes()


@given(ENTRIES)
@settings(deadline=None)
def test_a_layer_is_read_back_as_it_was_written(folder: Path, entries: list[Entry]) -> None:
    layer = build(entries)
    data = written(layer, folder)
    again = Layer.read((folder / "layer").read_bytes())
    assert (again.split, again.content, again.taggers) == (layer.split, layer.content, layer.taggers)
    assert again.records.to_pydict() == layer.records.to_pydict()
    assert again.findings.equals(layer.findings)
    assert written(again, folder, "again") == data


@given(ENTRIES, st.lists(st.integers(0, 12), max_size=4))
@settings(deadline=None)
def test_the_bytes_of_a_layer_do_not_depend_on_the_batches(folder: Path, entries: list[Entry], cuts: list[int]) -> None:
    assert written(build(entries, cuts), folder) == written(build(entries), folder)


@given(ENTRIES, ENTRIES, ENTRIES, st.lists(st.integers(1, 12), max_size=2))
@settings(deadline=None, max_examples=60)
def test_a_row_group_that_proves_unreadable_leaves_no_trace_of_its_rows(
    folder: Path, before: list[Entry], gone: list[Entry], after: list[Entry], cuts: list[int]
) -> None:
    builder = LayerBuilder()
    add(builder, 0, before)
    at = len(before)
    for first, last in itertools.pairwise([0, *sorted(min(cut, len(gone)) for cut in cuts), len(gone)]):
        add(
            builder,
            at + first,
            [("gone", "gone.com", [0.9]) if not isinstance(e, str) else e for e in gone[first:last]],
        )
    add(builder, at, ["unreadable"])
    add(builder, at + 1, after)
    layer = builder.build("split", "content", {"lexicon": "d"})
    expected = build([*before, "unreadable", *after])
    assert layer.records.to_pydict() == expected.records.to_pydict()
    assert layer.findings.equals(expected.findings)
    assert written(layer, folder) == written(expected, folder)
    assert b"gone.com" not in written(layer, folder)


def test_a_layer_holds_hashes_and_neither_texts_nor_ids(folder: Path) -> None:
    layer = build([("secret text", "a.com", [1.0])])
    row = layer.records.to_pylist()[0]
    assert row["id"] == id_hash("id0")
    assert (row["characters"], row["position"], row["lost"], row["error"]) == (11, 0, 1, None)
    assert "secret" not in str(layer.records.to_pydict()) + str(layer.findings.to_pydict())


def test_dead_letters_keep_class_detail_and_how_many_are_lost() -> None:
    (row,) = build(["unreadable"]).records.to_pylist()
    assert (row["error"], row["detail"], row["lost"], row["source"]) == ("unreadable", "detail of unreadable", 3, None)


def test_a_layer_of_another_format_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = build([])
    monkeypatch.setattr("models.layer.FORMAT", 99)
    layer.write(folder / "other")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="layer format 99"):
        Layer.read((folder / "other").read_bytes())


@pytest.mark.parametrize("size", [0, 10, 400, -10])
def test_a_layer_cut_short_cannot_be_read(folder: Path, size: int) -> None:
    data = written(build([("text", "a.com", [0.5])] * 30), folder)
    (folder / "short").write_bytes(data[:size])
    with pytest.raises((OSError, pa.ArrowInvalid)):
        Layer.read((folder / "short").read_bytes())


def test_the_name_of_a_layer_changes_with_split_and_taggers_and_not_with_their_order() -> None:
    names = {layer_name("s", {"a": "1", "b": "2"}), layer_name("s", {"b": "2", "a": "1"})}
    others = {layer_name("t", {"a": "1", "b": "2"}), layer_name("s", {"a": "1"}), layer_name("s", {"a": "2", "b": "1"})}
    assert len(names) == 1
    assert len(names | others) == 4


# Merging.

ENTRY: list[Entry] = [("one", "a.com", [0.5]), "bad_json", ("two", "b.com", [0.1, 1.0])]


def test_each_tagger_is_taken_from_the_layer_that_has_it_by_its_digest() -> None:
    old, new, other = build(ENTRY, digest="old"), build(ENTRY, digest="new"), build(ENTRY, tagger="personal")
    merged = merge([old, new, other], {"personal": "d", "lexicon": "new"}, "content")
    assert merged.findings["tagger"].to_pylist() == ["lexicon", "personal"] + ["lexicon"] * 2 + ["personal"] * 2
    assert merged.findings["row"].to_pylist() == [0, 0, 2, 2, 2, 2]
    assert merged == Merged(merged.records, merged.findings)


def test_the_digest_of_what_is_known_does_not_tell_which_layers_it_came_from() -> None:
    one, two = build(ENTRY), build(ENTRY, tagger="personal")
    joined = Layer(
        "split",
        "content",
        {"lexicon": "d", "personal": "d"},
        one.records,
        pa.concat_tables([two.findings, one.findings]).sort_by("row"),
    )
    wanted = {"lexicon": "d", "personal": "d"}
    assert merge([one, two], wanted, "content").digest == merge([two, one], wanted, "content").digest
    assert merge([joined], wanted, "content").digest == merge([one, two], wanted, "content").digest


@pytest.mark.parametrize(
    ("other", "wanted", "content", "said"),
    [
        (build(ENTRY, tagger="personal"), {"lexicon": "d", "blocked": "d"}, "content", "blocked"),
        (build(ENTRY, tagger="personal"), {"lexicon": "d", "personal": "other"}, "content", "personal"),
        (build(ENTRY, tagger="personal"), {"lexicon": "d", "personal": "d"}, "changed", "not of the same bytes"),
        (build(ENTRY[:2], tagger="personal"), {"lexicon": "d", "personal": "d"}, "content", "not of the same bytes"),
        (
            build([("One", "a.com", []), *ENTRY[1:]], tagger="personal"),
            {"lexicon": "d", "personal": "d"},
            "content",
            "not of the same bytes",
        ),
    ],
)
def test_findings_that_are_missing_or_of_other_bytes_are_never_taken_for_none(
    other: Layer, wanted: dict[str, str], content: str, said: str
) -> None:
    with pytest.raises(ConservationError, match=said):
        merge([build(ENTRY), other], wanted, content)


@given(ENTRIES)
@settings(deadline=None)
def test_what_is_kept_of_a_split_names_every_kind_and_source_once(entries: list[Entry]) -> None:
    merged = merge([build(entries)], {"lexicon": "d"}, "content")
    records = [entry for entry in entries if not isinstance(entry, str)]
    kinds = (("lexicon", "A.1.f"),) if any(record[2] for record in records) else ()
    assert known_of(merged) == Known(merged.digest, kinds, tuple(sorted({record[1] for record in records})))


@given(ENTRIES, ENTRIES)
@settings(deadline=None)
def test_what_is_known_differs_exactly_where_its_digest_does(one: list[Entry], two: list[Entry]) -> None:
    first, second = (merge([build(entries)], {"lexicon": "d"}, "content") for entries in (one, two))
    same = first.records.to_pydict() == second.records.to_pydict() and first.findings.equals(second.findings)
    assert (first.digest == second.digest) == same
