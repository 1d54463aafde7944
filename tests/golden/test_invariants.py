"""The invariants of the design, section 4, on whole runs.

Monotony (5) is a law of the policy alone and has its own proof in ``tests/property/test_monotony.py``; no leak (6) is
``test_no_leak.py``; bounded memory (8) takes a gigabyte and is ``make test-scale``.
"""

import json
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import (
    AS_OF,
    BANNED,
    CARD,
    MAIL,
    MALFORMED,
    MOBILE,
    UNLAWFUL,
    Cli,
    Screen,
    Watched,
    audit,
    contents,
    files,
    line,
    manifest,
    objects,
    records,
    unpacked,
    write_shard,
)
from nights import EVERY_TAGGER

import models.lines
import models.records
from models.digest import digest_of_file
from models.documents import Documents
from models.errors import DeadLetterLimitError, UsageError
from models.taggers.personal import Personal
from models.tagging import tag
from pipeline.corpus import Corpus
from pipeline.verify import verify

# 1. Conservation


def test_every_record_leaves_by_exactly_one_door(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    counts = screen(corpus, out).outcome.counts
    assert counts["read"] == 90 + len(MALFORMED) + 58 + 65 + 90
    assert counts["read"] == sum(counts[door] for door in ("clean", "quarantined", "dropped", "dead"))
    assert all(counts.values()), "the corpus must use every door"
    ids = defaultdict(list)
    for places in contents(out).values():
        for place in ("clean", "quarantine"):
            for each in places.get(place, []):
                ids[(each if isinstance(each, dict) else json.loads(each))["id"]].append(place)
    for row in audit(out):
        if row["door"] == "dropped":
            ids[row["id"]].append("dropped")
    assert all(len(doors) == 1 for doors in ids.values())
    assert len(ids) == counts["read"] - counts["dead"]
    dead = [each for places in contents(out).values() for each in places.get("dead", [])]
    assert Counter(letter["error"] for letter in dead) == {
        "bad_json": 1,
        "bad_encoding": 1,
        "wrong_type": 1,
        "no_text": 2,
    }


def test_counts_add_up_per_split_and_per_source(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    screen(corpus, out, split_size=4000)
    rows = list(Corpus(out).catalogue().rows())
    assert len(rows) > 6
    for row in rows:
        counts = row.release.counts
        assert row.entries == sum(counts[door] for door in ("clean", "quarantined", "dropped", "dead")), row.split.name
    for source in pq.read_table(out / "sources.parquet").to_pylist():
        assert source["read"] == sum(source[door] for door in ("clean", "quarantine", "dropped", "dead")), source
    assert not list(verify(Corpus(out)))


def mend_manifest(out: Path, name: str, **changed: Any) -> None:
    """Make the manifest say what a file that was tampered with now is."""
    folder = (out / "current").resolve()
    facts = json.loads((folder / "manifest.json").read_text("utf-8"))
    for file in facts["files"]:
        if file["path"] == name:
            file |= {"sha256": digest_of_file(folder / name), "size": (folder / name).stat().st_size}
    rewrite(folder / "manifest.json", json.dumps(facts | changed).encode())


def rewrite(path: Path, data: bytes) -> None:
    """Replace a file of a release and leave the store's copy as it is."""
    path = path.resolve()
    path.unlink()
    path.write_bytes(data)


def edit_table(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    path = path.resolve()
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(pa.Table.from_pylist([change(row) for row in table.to_pylist()], table.schema), path)


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    """What holds must hold with every tagger at once."""
    made = Screen(tmp_path)
    made.others = dict(EVERY_TAGGER)
    return made


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, everyday_corpus: Path) -> Path:
    """A release that tests tamper with, each in a copy."""
    folder = tmp_path_factory.mktemp("verify")
    screen = Screen(folder)
    screen(everyday_corpus, folder / "out")
    return folder / "out"


@pytest.fixture
def copied(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "copy", symlinks=True))


def cut_line(out: Path) -> str:
    path = next((out / "clean").glob("a.jsonl*"))
    rewrite(path, b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    return f"clean/{path.name}"


def cut_row(out: Path) -> str:
    path = next((out / "clean").glob("d.parquet*"))
    table = pq.read_table(path)
    path.unlink()
    pq.write_table(table.slice(1), path)
    return f"clean/{path.name}"


def free_source(out: Path) -> str:
    edit_table(
        out / "sources.parquet", lambda row: row | ({"state": "clean"} if row["source"] == "bad.example" else {})
    )
    return "sources.parquet"


def lower_count(out: Path) -> str:
    edit_table(
        out / "sources.parquet",
        lambda row: row | ({"unlawful": 0, "state": "clean"} if row["source"] == "bad.example" else {}),
    )
    return "sources.parquet"


def another_read(out: Path) -> str:
    edit_table(
        out / "sources.parquet",
        lambda row: row | ({"read": 9, "clean": 9} if row["source"] == "zst.example" else {}),
    )
    return "sources.parquet"


def empty_blacklist(out: Path) -> str:
    facts = json.loads((out / "blacklist.json").read_text("utf-8"))
    rewrite(out / "blacklist.json", json.dumps(facts | {"blacklisted": []}).encode())
    return "blacklist.json"


def audit_another_door(out: Path) -> str:
    path = next((out / "audit").glob("a.jsonl*"))
    edit_table(path, lambda row: row | ({"door": "clean"} if row["door"] == "dropped" else {}))
    return f"audit/{path.name}"


@pytest.mark.parametrize("mends", [False, True], ids=["checksum left", "checksum mended"])
@pytest.mark.parametrize(
    "tamper", [cut_line, cut_row, free_source, lower_count, another_read, empty_blacklist, audit_another_door]
)
def test_verify_finds_what_was_tampered_with(copied: Path, tamper: Callable[[Path], str], mends: bool) -> None:
    assert not list(verify(Corpus(copied)))
    name = tamper(copied)
    if mends:
        mend_manifest(copied, name)
    faults = list(verify(Corpus(copied)))
    assert faults
    if not mends:
        assert any(fault.startswith(f"{name}: content is not what the manifest says") for fault in faults)


Facts = dict[str, Any]


def one_more_record(facts: Facts) -> None:
    next(file for file in facts["files"] if file["path"].startswith("audit/a.jsonl"))["records"] += 1


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda facts: facts["counts"].update(redacted=1), "manifest: 1 redacted, "),
        (lambda facts: facts["languages"]["en"].update(records=1), "manifest: its languages are not"),
        (lambda facts: facts.update(notices=["all is well"]), "manifest: its notices are not"),
        (lambda facts: facts.update(shards=1), "manifest: its shards are not"),
        (lambda facts: facts["inputs"].pop(), "manifest: its inputs are not"),
        (lambda facts: facts["removals"].update(removed=0), "manifest: its removals are not"),
        (lambda facts: facts.update(false_blacklistings={"sources": 1, "at_most": 0}), "manifest: its false_black"),
        (one_more_record, "manifest: audit/a.jsonl-00001-of-00001.parquet has records"),
        (lambda facts: facts["files"].pop(0), "clean/a.jsonl-00001-of-00001.jsonl: not in the manifest"),
        (lambda facts: facts["work"].update(tagged=0), "report.html: not the report of these figures"),
        (lambda facts: facts["counts"].update(clean=0), "report: "),
    ],
)
def test_verify_finds_what_a_manifest_was_made_to_say(
    copied: Path, change: Callable[[Facts], None], fault: str
) -> None:
    facts = manifest(copied)
    change(facts)
    rewrite(copied / "manifest.json", json.dumps(facts).encode())
    found = list(verify(Corpus(copied)))
    assert any(said.startswith(fault) for said in found), found


@pytest.mark.parametrize("key", ["reasons", "flow", "errors", "languages", "causes", "moves", "rollups", "changes"])
def test_verify_finds_what_a_summary_was_made_to_say(copied: Path, key: str) -> None:
    facts = json.loads((copied / "summary.json").read_text("utf-8"))
    rewrite(copied / "summary.json", json.dumps(facts | {key: {"a": 1}}).encode())
    mend_manifest(copied, "summary.json")
    assert any(said.startswith(f"summary.json: its {key} are not") for said in verify(Corpus(copied)))


def test_verify_finds_a_reason_that_the_audit_does_not_have(copied: Path) -> None:
    path = next((copied / "audit").glob("a.jsonl*"))

    def milder(row: Facts) -> Facts:
        return row | {"reasons": [each | {"category": "A.2.i"} for each in row["reasons"] or ()]}

    edit_table(path, milder)
    mend_manifest(copied, f"audit/{path.name}")
    assert any("other reasons in the audit than in the catalogue" in said for said in verify(Corpus(copied)))


@pytest.mark.parametrize("name", ["report.html", "report.zh.html", "sources.csv"])
def test_verify_makes_reports_and_csv_again_unless_another_version_wrote_them(
    copied: Path, cli: Cli, name: str
) -> None:
    rewrite(copied / name, (copied / name).read_bytes().replace(b"good.example", b"best.example"))
    mend_manifest(copied, name)
    code, said, _ = cli("verify", copied)
    assert (code, said.startswith(f"{name}: not ")) == (1, True)
    mend_manifest(copied, name, job=manifest(copied)["job"] | {"version": "0.0.1"})
    code, said, _ = cli("verify", copied)
    assert (code, "are not made again: winnow 0.0.1 wrote them" in said) == (0, True)


@pytest.mark.parametrize("name", ["sources.parquet", "blacklist.json", "summary.json", "moved.parquet", "purged.json"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_verify_names_a_table_that_is_damaged_or_missing(
    copied: Path, cli: Cli, name: str, content: bytes | None
) -> None:
    if content is None:
        (copied / name).resolve().unlink()
    else:
        rewrite(copied / name, content)
    code, said, _ = cli("verify", copied)
    assert code == 1
    assert f"{name}: {'missing' if content is None else 'content is not what the manifest says'}" in said


def test_verify_finds_a_missing_file_a_foreign_one_and_other_counts(copied: Path, cli: Cli) -> None:
    assert cli("verify", copied)[0] == 0
    gone = next((copied / "quarantine").glob("c.jsonl.zst*"))
    gone.unlink()
    (copied / "clean" / "extra.jsonl").write_text("{}\n")
    facts = manifest(copied)
    mend_manifest(copied, "", counts=facts["counts"] | {"clean": facts["counts"]["clean"] + 1})
    code, out, _ = cli("verify", copied)
    assert code == 1
    assert f"quarantine/{gone.name}: missing" in out
    assert "clean/extra.jsonl: in the release, but not in the manifest" in out
    assert f"manifest: {facts['counts']['clean'] + 1} clean" in out


def test_verify_accepts_a_policy_that_keeps_what_is_on_hold(screen: Screen, tmp_path: Path) -> None:
    screen.policy.write_text(screen.policy.read_text().replace("hold: quarantine", "hold: keep"), "utf-8")
    shard = write_shard(tmp_path / "a.jsonl", records("few.example", 8, unlawful=1))
    result = screen(shard, tmp_path / "out")
    assert (result.outcome.counts["clean"], result.outcome.counts["quarantined"]) == (7, 1)
    assert not list(verify(Corpus(tmp_path / "out")))


# 2. Determinism


def test_workers_batches_and_the_order_of_inputs_change_no_byte(
    watched: Watched, everyday_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run had two worker processes; this one has none, tiny batches, and the inputs named the other way round."""
    monkeypatch.setattr(models.records, "_BATCH_BYTES", 300)
    monkeypatch.setattr(models.lines, "BLOCK", 256)
    screen = Screen(tmp_path)
    inputs = sorted((path for path in everyday_corpus.rglob("*") if path.is_file()), reverse=True)
    screen(inputs, tmp_path / "out", input_root=str(everyday_corpus))
    here, there = files(tmp_path / "out"), files(watched.out)
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []
    assert objects(tmp_path / "out").keys() == objects(watched.out).keys()


def test_another_split_size_sends_the_same_records_through_the_same_doors(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    screen(corpus, tmp_path / "whole")
    screen(corpus, tmp_path / "cut", split_size=1500)
    assert len(files(tmp_path / "cut")) > 2 * len(files(tmp_path / "whole"))
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    assert (tmp_path / "cut" / "sources.csv").read_bytes() == (tmp_path / "whole" / "sources.csv").read_bytes()


def test_a_release_does_not_depend_on_where_it_lies_or_when_it_ran(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    screen(corpus, tmp_path / "one")
    corpus.rename(moved)
    screen(moved, tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert manifest(tmp_path / "one")["run"] == manifest(tmp_path / "two")["run"]
    for name, data in files(tmp_path / "two").items():
        assert str(tmp_path).encode() not in data, name


# 3. Pass-through


def test_kept_lines_are_the_same_bytes(screen: Screen, tmp_path: Path) -> None:
    lines = [
        b'{ "text" :\t"spaced  out" ,"id":1 }\n',
        b'{"text": "esc\\u0061ped \\/ \\ud83d\\ude00", "n": 1.0e+2}\r\n',
        b'  {"text": "indented", "big": 123456789012345678901234567890}\n',
        b"\n",
        b'{"text": "\xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80", "dup": 1, "dup": 2}\n',
        line({"text": UNLAWFUL}),
        b'{"b":2,"text":"keys in another order","a":[1, 2,3 ]}  \n',
        b'{"text": "no final newline"}',
    ]
    screen.policy.write_text(screen.policy.read_text().replace("hold: quarantine", "hold: keep"), "utf-8")
    for name in ("x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.jsonl.bz2"):
        out = tmp_path / f"out-{name}"
        screen(write_shard(tmp_path / name / name, lines), out)
        kept = unpacked(next((out / "clean").glob(f"{name}-*")))
        assert kept == b"".join(each for each in lines if each.strip() and UNLAWFUL.encode() not in each)
        assert unpacked(next((out / "quarantine").glob(f"{name}-*"))) == lines[5]


RICH = pa.schema(
    [
        pa.field("text", pa.dictionary(pa.int16(), pa.string()), metadata={"note": "of the field"}),
        pa.field("large", pa.large_string()),
        pa.field("view", pa.string_view()),
        pa.field("nested", pa.struct([("list", pa.list_(pa.struct([("a", pa.int8()), ("b", pa.string())])))])),
        pa.field("map", pa.map_(pa.string(), pa.float32())),
        pa.field("second", pa.timestamp("s")),
        pa.field("milli", pa.timestamp("ms", "UTC")),
        pa.field("nano", pa.timestamp("ns", "Asia/Shanghai")),
        pa.field("day", pa.date32()),
        pa.field("price", pa.decimal128(20, 4)),
        pa.field("blob", pa.binary()),
        pa.field("fixed", pa.binary(4)),
        pa.field("strict", pa.int64(), nullable=False),
        pa.field("half", pa.float16()),
        pa.field("names", pa.list_(pa.dictionary(pa.int32(), pa.string()))),
    ],
    metadata={"owner": "the operator", "pandas": '{"columns": []}'},
)


def rich_table(texts: list[str]) -> pa.Table:
    import numpy as np

    count = len(texts)
    plain = {
        "text": pa.array(texts),
        "large": pa.array([f"large {n}" for n in range(count)]),
        "view": pa.array([f"a view of more than twelve bytes {n}" for n in range(count)]),
        "nested": pa.array([{"list": [{"a": n, "b": None}]} for n in range(count)], RICH.field("nested").type),
        "map": pa.array([[("k", n / 2)] for n in range(count)], RICH.field("map").type),
        "second": pa.array(range(count), pa.int64()),
        "milli": pa.array(range(count), pa.int64()),
        "nano": pa.array([1_700_000_000_123_456_789 + n for n in range(count)], pa.int64()),
        "day": pa.array(range(count), pa.int32()),
        "price": pa.array([Decimal(n) / 8 for n in range(count)]),
        "blob": pa.array([bytes([n, 255]) for n in range(count)]),
        "fixed": pa.array([b"abc" + bytes([n]) for n in range(count)], pa.binary(4)),
        "strict": pa.array(range(count), pa.int64()),
        "half": pa.array(np.arange(count, dtype=np.float16)),
        "names": pa.array([["x", f"y{n}"] for n in range(count)], RICH.field("names").type),
    }
    return pa.Table.from_arrays([plain[field.name].cast(field.type) for field in RICH], schema=RICH)


TEXTS = ["a plain one", f"mail {MAIL} now", UNLAWFUL, "another plain one", f"ring {MOBILE}", "the last one"]


def test_kept_rows_have_the_same_columns_types_and_metadata(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shard = tmp_path / "in" / "rich.parquet"
    pq.write_table(rich_table(TEXTS), shard, row_group_size=4, compression="snappy")
    screen.policy.write_text(screen.policy.read_text().replace("hold: quarantine", "hold: keep"), "utf-8")
    screen(shard, tmp_path / "out")
    read = pq.read_table(shard)
    kept = pq.read_table(next((tmp_path / "out" / "clean").glob("rich.parquet*")))
    held = pq.read_table(next((tmp_path / "out" / "quarantine").glob("rich.parquet*")))
    assert kept.schema.equals(read.schema, check_metadata=True)
    assert held.schema.equals(read.schema, check_metadata=True)
    encoded = ["text", "names"]
    rest = read.drop_columns(encoded)
    assert held.drop_columns(encoded).equals(rest.slice(2, 1))
    assert kept.drop_columns(encoded).equals(pa.concat_tables([rest.slice(0, 2), rest.slice(3)]))
    assert kept["names"].to_pylist() == read["names"].to_pylist()[:2] + read["names"].to_pylist()[3:]
    assert kept["text"].to_pylist() == [
        "a plain one",
        "mail [EMAIL] now",
        "another plain one",
        "ring [CN_MOBILE]",
        "the last one",
    ]
    facts, before = pq.read_metadata(next((tmp_path / "out" / "clean").glob("rich.parquet*"))), pq.read_metadata(shard)
    assert facts.row_group(0).column(0).compression == before.row_group(0).column(0).compression
    assert facts.schema.equals(before.schema)


def test_parquet_without_an_arrow_schema_stays_without(screen: Screen, tmp_path: Path) -> None:
    shard = tmp_path / "spark.parquet"
    schema = pa.schema([("text", pa.string()), ("n", pa.int32())], metadata={"org.apache.spark.version": "3.5"})
    pq.write_table(pa.table({"text": ["one", "two"], "n": [1, 2]}, schema=schema), shard, store_schema=False)
    screen(shard, tmp_path / "out")
    clean = next((tmp_path / "out" / "clean").glob("*.parquet"))
    assert pq.read_metadata(clean).metadata == pq.read_metadata(shard).metadata
    assert pq.read_table(clean).equals(pq.read_table(shard))


# 4. Locality


def test_findings_do_not_depend_on_the_neighbours(
    screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = [
        f"to {MAIL} and {MOBILE}",
        UNLAWFUL,
        BANNED,
        f"卡号{CARD}",
        "nothing at all",
        "",
        "１３９１２３４５６７８",
        "sure",
        "win",
    ]
    rows = [{"id": str(n), "source": f"s{n}.example", "text": values[n % len(values)]} for n in range(90)]

    def found(name: str, given: list[dict[str, Any]]) -> dict[str, Any]:
        screen(write_shard(tmp_path / name / "x.jsonl", given), tmp_path / f"out-{name}")
        rows = [row for row in audit(tmp_path / f"out-{name}") if row["id"] is not None]
        return {row["id"]: {k: v for k, v in row.items() if k not in ("position", "through")} for row in rows}

    together = found("together", rows)
    random.Random(5).shuffle(rows)
    assert found("shuffled", rows) == together
    monkeypatch.setattr(models.lines, "BLOCK", 1)
    assert found("alone", rows) == together
    taggers = [Personal()]
    texts = [row["text"] for row in rows]
    whole = [found[1:] for found in tag(Documents.of(texts), taggers)]
    assert whole == [found[1:] for text in texts for found in tag(Documents.of([text]), taggers)]


# 7. Fail closed


def unpublished(out: Path) -> bool:
    """Tell whether a run left nothing that could be taken for a result."""
    return not (out / "current").exists() and not (out / "clean").exists() and not list(out.glob("releases/*"))


def test_globs_that_match_nothing_fail(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "in").mkdir()
    code, _, said = cli("run", tmp_path / "in" / "*.jsonl", "-o", tmp_path / "out", "--workers", 1, "-q")
    assert code == 2
    assert "nothing matches" in said
    assert str(tmp_path / "in") in said
    assert unpublished(tmp_path / "out")
    assert screen(tmp_path / "in" / "*.jsonl", tmp_path / "out", allow_empty=True).outcome.counts["read"] == 0


def test_a_glob_that_matches_nothing_beside_one_that_does_fails_too(screen: Screen, tmp_path: Path) -> None:
    there = write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 3))
    with pytest.raises(UsageError, match=r"missing-\*\.jsonl"):
        screen([there, tmp_path / "in" / "missing-*.jsonl"], tmp_path / "out")
    assert unpublished(tmp_path / "out")


@pytest.mark.parametrize("shard", [b"", b"\n\n \n", b'{"text": 1}\n{"text": null}\n'])
def test_new_shards_without_a_record_fail(screen: Screen, tmp_path: Path, shard: bytes) -> None:
    old = write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 30))
    screen(old, tmp_path / "out")
    (tmp_path / "in" / "b.jsonl").write_bytes(shard)
    with pytest.raises(UsageError, match="no record at all"):
        screen(tmp_path / "in", tmp_path / "out")
    assert manifest(tmp_path / "out")["release"] == 1
    screen(tmp_path / "in", tmp_path / "out", allow_empty=True)
    assert manifest(tmp_path / "out")["release"] == 2


def test_too_many_dead_letters_fail_with_exit_code_3(tmp_path: Path, cli: Cli) -> None:
    shard = write_shard(tmp_path / "in" / "a.jsonl", [*records("s.example", 50), *(b"{broken\n" for _ in range(101))])
    code, _, said = cli("run", shard, "-o", tmp_path / "out", "--workers", 1, "-q")
    assert code == 3
    assert "101 of 151 entries are dead letters, 100 are allowed: 101 bad_json" in said
    assert "a.jsonl" in said
    assert unpublished(tmp_path / "out")


def test_an_unreadable_row_group_weighs_as_many_as_it_holds(screen: Screen, tmp_path: Path) -> None:
    shard = tmp_path / "in" / "a.parquet"
    shard.parent.mkdir()
    rows = records("s.example", 400)
    pq.write_table(pa.Table.from_pylist(rows), shard, row_group_size=200, compression="zstd")
    data = bytearray(shard.read_bytes())
    first = pq.read_metadata(shard).row_group(0).column(0)
    at = first.dictionary_page_offset or first.data_page_offset
    data[at : at + first.total_compressed_size] = bytes(first.total_compressed_size)
    shard.write_bytes(data)
    with pytest.raises(
        DeadLetterLimitError, match=r"200 of 400 entries .* 1 unreadable \(199 more records lost with them\)"
    ):
        screen(shard, tmp_path / "out")
    screen(shard, tmp_path / "out", max_dead={"share": "50%"})
    assert manifest(tmp_path / "out")["counts"]["dead"] == 1
    # What is known of the split counts again on a night that does not read it.
    write_shard(tmp_path / "in" / "b.jsonl", records("s.example", 30))
    with pytest.raises(DeadLetterLimitError, match="200 of 430 entries"):
        screen(tmp_path / "in", tmp_path / "out")


def test_as_many_dead_letters_as_are_allowed_pass(screen: Screen, tmp_path: Path) -> None:
    shard = write_shard(tmp_path / "a.jsonl", [*records("s.example", 6), b"{\n", b"{\n"])
    with pytest.raises(DeadLetterLimitError):
        screen(shard, tmp_path / "out", max_dead={"share": "10%", "at_least": 1})
    assert unpublished(tmp_path / "out")
    assert screen(shard, tmp_path / "out", max_dead={"share": "25%", "at_least": 1}).outcome.counts["dead"] == 2


def test_a_record_without_a_source_is_counted_under_a_name_of_its_own(screen: Screen, tmp_path: Path) -> None:
    given = [*records("s.example", 5), {"id": "x", "source": None, "text": "whose?"}]
    screen(write_shard(tmp_path / "a.jsonl", given), tmp_path / "out")
    counts = {row["source"]: row["read"] for row in pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()}
    assert counts == {"(unknown)": 1, "s.example": 5}


def test_the_date_is_the_runs_and_not_the_clocks(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    screen(corpus, tmp_path / "out")
    assert manifest(tmp_path / "out")["as_of"] == AS_OF
    blacklist = json.loads((tmp_path / "out" / "blacklist.json").read_text("utf-8"))
    assert {entry["since"] for entry in blacklist["blacklisted"]} == {AS_OF}
