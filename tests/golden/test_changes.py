"""What a second run does: nothing, or what the change asks for and no more; and the order of nights does not matter."""

import itertools
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import (
    BANNED,
    MAIL,
    UNLAWFUL,
    Cli,
    Screen,
    audit,
    contents,
    files,
    manifest,
    objects,
    records,
    states,
    texts,
    write_list,
    write_run_file,
    write_shard,
)

from models.errors import UsageError
from models.job import Job
from models.layer import Layer, known_of
from models.release_pass import release_digest
from models.source_reading import SourceReading
from models.source_rule import Evidence, literal
from models.sources import STATES, SourceStates
from models.tag_pass import read_merged
from pipeline.config import make_job
from pipeline.corpus import Corpus
from pipeline.verify import verify
from transforms.workspace import workspace


def layers(out: Path) -> set[str]:
    return {name for name in objects(out) if name.startswith("layers/")}


def parts(out: Path) -> dict[str, set[str]]:
    """Return the store objects of each shard in the current release."""
    found: dict[str, set[str]] = {}
    for row in Corpus(out).catalogue().rows():
        found.setdefault(row.split.shard.path, set()).update(part.object for part in row.release.files)
    return found


def rewritten(before: dict[str, set[str]], after: dict[str, set[str]]) -> set[str]:
    return {shard for shard in after if after[shard] != before.get(shard)}


# Nothing to do


def test_an_idle_run_does_nothing_and_says_so(screen: Screen, corpus: Path, tmp_path: Path, cli: Cli) -> None:
    run = write_run_file(tmp_path / "run.yaml", screen, corpus)
    assert cli("run", run, "-q")[0] == 0
    made, release = objects(tmp_path / "out"), manifest(tmp_path / "out")
    code, said, _ = cli("run", run, "-q")
    assert code == 0
    assert "0 new shards; 0 of 4 splits tagged, 0 released" in said
    assert "nothing to do: release 1 is up to date" in said
    assert objects(tmp_path / "out") == made
    assert manifest(tmp_path / "out") == release
    assert [path.name for path in (tmp_path / "out" / "releases").iterdir()] == ["1"]


def test_another_date_or_other_words_in_the_policy_make_no_release(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    screen(corpus, tmp_path / "out")
    made = objects(tmp_path / "out")
    screen.policy.write_text(
        "# a comment\n" + screen.policy.read_text("utf-8").replace("Unlawful", "Forbidden"), "utf-8"
    )
    assert not screen(corpus, tmp_path / "out", as_of="2026-02-03").published.is_new
    assert objects(tmp_path / "out") == made


# A change, and what it asks for


def test_a_changed_policy_releases_again_without_tagging(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    screen(corpus, tmp_path / "out")
    made, before = layers(tmp_path / "out"), parts(tmp_path / "out")
    counts = manifest(tmp_path / "out")["counts"]
    screen.policy.write_text(screen.policy.read_text("utf-8").replace("action: drop", "action: quarantine"), "utf-8")
    result = screen(corpus, tmp_path / "out")
    assert result.outcome.work == result.outcome.work | {"tagged": 0, "released": 4}
    assert layers(tmp_path / "out") == made
    assert rewritten(before, parts(tmp_path / "out")) == set(before)
    after = manifest(tmp_path / "out")["counts"]
    assert after == counts | {"dropped": 0, "quarantined": counts["quarantined"] + counts["dropped"]}


def test_a_changed_measure_of_the_unlawful_counts_again_without_tagging(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    screen(corpus, tmp_path / "out")
    made = layers(tmp_path / "out")
    policy = screen.policy.read_text("utf-8").replace("categories: [UNLAWFUL29]", 'categories: ["A.3.*"]')
    screen.policy.write_text(policy, "utf-8")
    result = screen(corpus, tmp_path / "out")
    assert result.outcome.work["tagged"] == 0
    assert set(states(tmp_path / "out").values()) == {"clean"}
    assert layers(tmp_path / "out") == made


def test_a_changed_list_runs_its_tagger_alone_and_releases_only_what_changed(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    screen(corpus, tmp_path / "out")
    made, before = layers(tmp_path / "out"), parts(tmp_path / "out")
    # Only one record of d.parquet has the new term; "a harmless one" is nowhere.
    write_list(screen.list, {UNLAWFUL: "A.1.h", BANNED: "A.2.i", "Note 33 of rows": "A.1.h", "a harmless one": "A.1.h"})
    result = screen(corpus, tmp_path / "out")
    new = layers(tmp_path / "out") - made
    assert len(new) == 4
    ran = {tagger for name in new for tagger in Layer.read((tmp_path / "out" / "store" / name).read_bytes()).taggers}
    assert ran & {"lexicon", "personal"} == {"lexicon"}
    assert rewritten(before, parts(tmp_path / "out")) == {"d.parquet"}
    assert result.outcome.work["released"] == 1
    (row,) = [row for row in audit(tmp_path / "out") if row["id"] == "rows.example-33"]
    assert row["door"] == "quarantine"
    fresh = Screen(tmp_path / "fresh")
    fresh.list = screen.list
    fresh(corpus, tmp_path / "anew")
    assert {k: v for k, v in files(tmp_path / "anew").items() if k != "blacklist.json"} == {
        k: v for k, v in files(tmp_path / "out").items() if k != "blacklist.json"
    }


def test_another_way_of_reading_reads_all_again(screen: Screen, tmp_path: Path) -> None:
    """With other columns or another encoding the shards are others, though their bytes are the same."""
    shard = tmp_path / "in" / "a.jsonl"
    write_shard(shard, [{"text": "fine", "title": f"a {UNLAWFUL} here", "n": n} for n in range(30)])
    screen(shard, tmp_path / "out")
    assert len(texts(tmp_path / "out")) == 30
    screen(shard, tmp_path / "out", columns={"text": ["text", "title"]})
    assert not (tmp_path / "out" / "clean").exists() or texts(tmp_path / "out") == []
    assert manifest(tmp_path / "out")["counts"]["quarantined"] == 30


# The release digest


@pytest.fixture
def determined(screen: Screen, tmp_path: Path) -> Callable[..., str]:
    """Give the release digest of a split with one thing or another changed."""
    given = [*records("s.example", 20, unlawful=1), {"id": "x", "source": "t.example", "text": f"to {MAIL}"}]
    shard = write_shard(tmp_path / "in" / "a.jsonl", given)
    screen(shard, tmp_path / "out")
    (row,) = Corpus(tmp_path / "out").catalogue().rows()

    def digest(
        policy: Callable[[str], str] = str,
        states: dict[str, str] | None = None,
        drop_finding: bool = False,
        split: Callable[[Any], Any] = lambda split: split,
        **options: Any,
    ) -> str:
        path = tmp_path / "varied.yaml"
        path.write_text(policy(screen.policy.read_text("utf-8")), "utf-8")
        job: Job = make_job(screen.settings(shard, tmp_path / "out", **({"policy": str(path)} | options)))
        merged = read_merged(row.layers, row.split, replace(job, taggers=base_job.taggers), workspace(job).store)
        if drop_finding:
            merged = replace(merged, findings=merged.findings.slice(1))
        named = dict(states or {})
        codes = [STATES.index(named[name]) for name in sorted(named)]
        found = SourceStates.of(pa.array(sorted(named), pa.string()), np.array(codes, np.uint8))
        return release_digest(split(row.split).digest(job.reading), known_of(merged), job, found)

    base_job = make_job(screen.settings(shard, tmp_path / "out"))
    return digest


DETERMINANTS: dict[str, dict[str, Any]] = {
    "an action": {"policy": lambda text: text.replace("action: drop", "action: quarantine")},
    "a threshold": {
        "policy": lambda text: text.replace('["A.1.*"], at_least_score: 0.5', '["A.1.*"], at_least_score: 0.9')
    },
    "a category": {"policy": lambda text: text.replace('["A.1.*"]', '["A.1.h"]')},
    "a count": {"policy": lambda text: text.replace('["A.2.*"]', '["A.2.*"], at_least_count: 2')},
    "a state's action": {"policy": lambda text: text.replace("hold: quarantine", "hold: keep")},
    "what redaction leaves": {
        "policy": lambda text: text.replace("with: placeholder", "with: pseudonym"),
        "key_env": "KEY",
    },
    "a source's state": {"states": {"s.example": "hold"}},
    "another source's state": {"states": {"t.example": "hold"}},
    "another state": {"states": {"s.example": "blacklisted"}},
    "what was found": {"drop_finding": True},
    "the content": {"split": lambda split: replace(split, cut=replace(split.cut, checksum="0" * 64))},
    "the range": {"split": lambda split: replace(split, cut=replace(split.cut, stop=5))},
    "the path": {"split": lambda split: replace(split, shard=replace(split.shard, path="b.jsonl"))},
    "the columns": {"columns": {"text": ["text"], "id": "source"}},
    "the source's origin": {"source_from": "path"},
    "the encoding": {"encoding": "gb18030"},
    "the longest record": {"max_record_bytes": 1000},
    "the gzip level": {"gzip_level": 6},
    "dead letters' bytes": {"dead_bytes": "hash"},
    "the key": {"key_env": "KEY"},
    "another key": {"key_env": "OTHER_KEY"},
}


def test_every_determinant_makes_another_release(
    determined: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "one key of 16 bytes")
    monkeypatch.setenv("OTHER_KEY", "another key, longer")
    made = {"nothing": determined()} | {name: determined(**change) for name, change in DETERMINANTS.items()}
    for (one, first), (other, second) in itertools.combinations(made.items(), 2):
        assert first != second, f"{one} and {other} make the same release"


@pytest.mark.parametrize(
    "change",
    [
        {"policy": lambda text: "# a comment\n" + text},
        {"policy": lambda text: text.replace("title: Unlawful", "title: Forbidden\n    clause: 5.2 a")},
        {"policy": lambda text: text.replace('version: "1"', 'version: "2"')},
        {"policy": lambda text: text.replace("policy: golden", "policy: silver")},
        {
            "policy": lambda text: text.replace("limit: 5/100", "limit: 0.2").replace(
                "min_records: 20", "min_records: 30"
            )
        },
        {"states": {"elsewhere.example": "blacklisted"}},
        {"states": {"s.example": "clean"}},
        {"split_size": 5},
        {"workers": 7},
        {"as_of": "2030-01-01"},
        {"stall_timeout": 5},
        {"max_dead": {"share": "5%"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_nothing_makes_the_same_release(determined: Callable[..., str], change: dict[str, Any]) -> None:
    assert determined(**change) == determined()


def test_a_sources_figures_are_no_part_of_a_release() -> None:
    def of(unlawful: int) -> SourceStates:
        codes = literal(Evidence(np.array([100]), np.array([unlawful])), SourceReading(min_records=20))
        return SourceStates.of(pa.array(["s"]), codes)

    assert of(6).keys.tolist() == of(90).keys.tolist()
    assert of(6).codes.tolist() == of(90).codes.tolist()


# Nights


def nights(folder: Path) -> list[Path]:
    """Write three nights; turns.example is good in the first two, and bad over all from the third on."""
    calm = itertools.count()
    paths = []
    for night in range(3):
        place = folder / f"night{night + 1}"
        mixed = records("turns.example", 20, first=20 * night, unlawful=10 if night == 2 else 0)
        write_shard(place / "mixed.jsonl", mixed + records("calm.example", 5, first=100 * next(calm)))
        write_shard(place / "calm.jsonl.gz", records("calm.example", 30, first=1000 + 100 * night))
        pq.write_table(pa.Table.from_pylist(records("table.example", 30, first=100 * night)), place / "table.parquet")
        paths.append(place)
    return paths


def test_a_source_that_turns_bad_is_recalled_from_earlier_nights(screen: Screen, tmp_path: Path) -> None:
    first, second, third = nights(tmp_path / "in")
    out, root = tmp_path / "out", str(tmp_path / "in")
    screen(first, out, input_root=root)
    screen(second, out, input_root=root)
    assert states(out)["turns.example"] == "clean"
    assert sum("turns.example" in text for text in texts(out)) == 40
    before, made = parts(out), objects(out)
    result = screen(third, out, input_root=root)
    assert states(out)["turns.example"] == "blacklisted"
    assert not [text for text in texts(out) if "turns.example" in text]
    assert len([text for text in texts(out, "quarantine") if "turns.example" in text]) == 60
    after, now = parts(out), objects(out)
    assert rewritten(before, after) == {
        "night1/mixed.jsonl",
        "night2/mixed.jsonl",
        *(f"night3/{name}" for name in ("mixed.jsonl", "calm.jsonl.gz", "table.parquet")),
    }
    assert result.outcome.work == result.outcome.work | {"tagged": 3, "released": 5}
    kept = {name for shard in before for name in before[shard] & after[shard]}
    assert kept
    assert all(now[name] == made[name] for name in kept)
    for name in kept & {
        part for row in Corpus(out).catalogue().rows() for part in (p.object for p in row.release.files)
    }:
        assert (out / "store" / name).stat().st_nlink >= 3, "the store's file and the releases' are one"
    blacklist = json.loads((out / "blacklist.json").read_text("utf-8"))
    assert [(entry["key"], entry["share"]) for entry in blacklist["blacklisted"]] == [("turns.example", "10/60")]
    assert not list(verify(Corpus(out)))
    assert not list(verify(Corpus(out), 2)), "an earlier release stays what it was"


def test_the_order_of_nights_changes_nothing_in_the_end(screen: Screen, tmp_path: Path) -> None:
    places = nights(tmp_path / "in")
    ends = []
    for number, order in enumerate([(0, 1, 2), (2, 0, 1), (2, 1, 0)]):
        out = tmp_path / f"out{number}"
        for night in order:
            screen(places[night], out, input_root=str(tmp_path / "in"))
        ends.append({name: data for name, data in files(out).items() if name != "blacklist.json"})
    screen(tmp_path / "in", tmp_path / "at-once")
    ends.append({name: data for name, data in files(tmp_path / "at-once").items() if name != "blacklist.json"})
    assert all(end == ends[0] for end in ends[1:])
    lists = [json.loads((tmp_path / out / "blacklist.json").read_text("utf-8")) for out in ("out0", "out1", "at-once")]
    assert len({tuple((e["key"], e["share"], e["state"]) for e in each["blacklisted"]) for each in lists}) == 1


def test_exact_withdraws_what_is_gone(screen: Screen, tmp_path: Path) -> None:
    first, second, third = nights(tmp_path / "in")
    out, root = tmp_path / "out", str(tmp_path / "in")
    screen(tmp_path / "in", out)
    assert states(out)["turns.example"] == "blacklisted"
    before = parts(out)
    result = screen([first, second], out, input_root=root, exact=True)
    gone = [f"night3/{name}" for name in ("calm.jsonl.gz", "mixed.jsonl", "table.parquet")]
    assert manifest(out)["gone"] == gone
    assert result.outcome.work["tagged"] == 0
    assert not [name for name in files(out) if "night3" in name]
    # Without the third night the source is a good one again.
    assert rewritten(before, parts(out)) == {"night1/mixed.jsonl", "night2/mixed.jsonl"}
    screen([first, second], tmp_path / "fresh", input_root=root)
    assert contents(out) == contents(tmp_path / "fresh")
    assert (out / "sources.csv").read_bytes() == (tmp_path / "fresh" / "sources.csv").read_bytes()
    assert third.exists()


# Shards that are the same, or are called the same


def test_a_shard_under_two_paths_is_tallied_once_with_a_warning(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    given = records("s.example", 15, unlawful=1)
    write_shard(tmp_path / "in" / "a.jsonl", given)
    write_shard(tmp_path / "in" / "copy" / "b.jsonl", given)
    run = write_run_file(tmp_path / "run.yaml", screen, tmp_path / "in")
    code, said, _ = cli("run", run, "-q")
    assert code == 0
    assert "copy/b.jsonl has the same content as a.jsonl; it is tallied once" in said
    (source,) = pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()
    assert (source["distinct"], source["unlawful"], source["read"]) == (15, 1, 30)
    assert source["state"] == "hold", "15 records, not 30, are under the least number"
    assert manifest(tmp_path / "out")["twins"] == [["copy/b.jsonl", "a.jsonl"]]
    assert not list(verify(Corpus(tmp_path / "out")))


def test_a_shard_under_two_paths_counts_for_both_sources_that_the_paths_name(screen: Screen, tmp_path: Path) -> None:
    """Otherwise the second source would have no state, and its bad records' neighbours would pass."""
    given = [{"text": record["text"]} for record in records("s.example", 30, unlawful=5)]
    write_shard(tmp_path / "in" / "one" / "a.jsonl", given)
    write_shard(tmp_path / "in" / "two" / "a.jsonl", given)
    screen(tmp_path / "in", tmp_path / "out", source_from="path")
    assert states(tmp_path / "out") == {"one": "blacklisted", "two": "blacklisted"}
    assert manifest(tmp_path / "out")["counts"]["clean"] == 0


def test_two_roots_with_the_same_relative_path_are_refused_with_the_remedy(screen: Screen, tmp_path: Path) -> None:
    one = write_shard(tmp_path / "one" / "a.jsonl", records("s.example", 30))
    other = write_shard(tmp_path / "other" / "a.jsonl", records("t.example", 30))
    screen(one, tmp_path / "out")
    before = files(tmp_path / "out")
    with pytest.raises(
        UsageError, match=r"a\.jsonl is in this corpus from .*one .* set input_root to a folder above both"
    ):
        screen(other, tmp_path / "out")
    assert files(tmp_path / "out") == before
    screen([one, other], tmp_path / "both", input_root=str(tmp_path))
    assert set(states(tmp_path / "both")) == {"s.example", "t.example"}


def test_an_output_that_moved_goes_on_where_it_is(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    screen(corpus, tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "moved")
    assert not screen(corpus, tmp_path / "moved").published.is_new
    write_shard(tmp_path / "in" / "new.jsonl", records("new.example", 30))
    assert screen(corpus, tmp_path / "moved").published.number == 2
    assert not list(verify(Corpus(tmp_path / "moved")))


def test_a_corpus_that_moved_is_known_again(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    screen(corpus, tmp_path / "out")
    corpus.rename(tmp_path / "moved")
    result = screen(tmp_path / "moved", tmp_path / "out")
    assert result.outcome.work == result.outcome.work | {"tagged": 0, "released": 0, "new_shards": 0}
    screen.policy.write_text(screen.policy.read_text("utf-8").replace("action: drop", "action: quarantine"), "utf-8")
    assert screen(tmp_path / "moved", tmp_path / "out").outcome.counts["dropped"] == 0


def test_duplicates_count_once_however_a_shard_is_cut(screen: Screen, tmp_path: Path) -> None:
    """Where the policy counts over whole sources; within splits the bad record counts twice below, and the source is held."""
    policy = screen.policy.read_text("utf-8")
    screen.policy.write_text(policy.replace("min_records:", "duplicates: source\n  min_records:"), "utf-8")
    bad = {"id": "b", "source": "s.example", "text": f"the same {UNLAWFUL}"}
    shard = write_shard(tmp_path / "in" / "a.jsonl", [bad, *records("s.example", 25), bad])
    screen(shard, tmp_path / "whole")
    screen(shard, tmp_path / "cut", split_size=1500)
    assert len(list(Corpus(tmp_path / "cut").catalogue().rows())) > 1
    assert states(tmp_path / "cut") == states(tmp_path / "whole")
    assert (tmp_path / "cut" / "sources.csv").read_bytes() == (tmp_path / "whole" / "sources.csv").read_bytes()


# The restricted root


def test_quarantine_and_dead_letters_lie_under_the_restricted_root_alone(
    screen: Screen, corpus: Path, tmp_path: Path
) -> None:
    apart, out = tmp_path / "apart", tmp_path / "out"
    screen(corpus, tmp_path / "together")
    screen(corpus, out, restricted=str(apart))
    assert files(out) == files(tmp_path / "together")
    assert stat.S_IMODE(apart.stat().st_mode) == 0o700
    assert stat.S_IMODE((apart / "store").stat().st_mode) == 0o700
    for place in ("quarantine", "dead"):
        assert (out / place).resolve() == apart / "releases" / "1" / place
    held = {path.name.split(".")[0] for path in apart.rglob("*") if path.is_file() and "store" in path.parts}
    assert held == {"quarantine", "dead"}
    own = {path for path in out.rglob("*") if path.is_file() and not path.is_symlink() and "tmp" not in path.parts}
    inodes = {path.stat().st_ino for path in apart.rglob("*") if path.is_file()}
    below = [path for path in own if out in path.resolve().parents]
    assert not [path for path in below if path.stat().st_ino in inodes]
    assert not [path for path in below if path.name.split(".")[0] in ("quarantine", "dead")]
    assert not list(verify(Corpus(out)))
    assert not screen(corpus, out, restricted=str(apart)).published.is_new


def test_withheld_text_is_private_where_it_lies_with_the_rest(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    screen(corpus, out)
    for place in ("quarantine", "dead", "store"):
        assert stat.S_IMODE((out / place).stat().st_mode) == 0o700, place
    assert stat.S_IMODE((out / "clean").stat().st_mode) == 0o755


def test_a_folder_that_was_private_stays_private(screen: Screen, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o700)
    screen(corpus, out)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
