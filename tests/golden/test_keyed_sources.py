"""Keys of sources by rules in a run: both formats agree, what cannot be read is unknown, and a release says which rules and list it had."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import UNLAWFUL, Cli, Screen, manifest, write_shard

from models.errors import UsageError
from models.source_rules import suffix_list
from pipeline.corpus import Corpus
from pipeline.verify import verify

RULES: dict[str, Any] = {
    "columns": {"dataset": "meta.dataset", "version": "meta.version", "pointer": "meta.list"},
    "shared": [{"under": "code.example", "each": "path"}],
}
MEANT = [
    ("https://code.example/ada/1", {}, "code.example/ada"),
    ("https://code.example/bo/1", {"dataset": ""}, "code.example/bo"),
    ("https://www.ada.github.io/", {}, "ada.github.io"),
    ("https://bo.github.io/", {}, "bo.github.io"),
    ("https://www.example.co.uk/", {"dataset": "p/d", "version": "1"}, "dataset:p/d@1"),
    ("https://www.example.co.uk/", {"dataset": "p/d", "version": "1", "list": "yes"}, "example.co.uk"),
    ("http://", {"list": "yes", "dataset": "p/d"}, "(unknown)"),
    (None, {}, "(unknown)"),
]


def entries(kind: str) -> list[dict[str, Any]]:
    none = dict.fromkeys(("dataset", "version", "list"))
    return [
        {"id": f"{kind}{at}", "text": f"Note {at} {kind}.", "url": url, "meta": none | meta}
        for at, (url, meta, _) in enumerate(MEANT)
    ]


def test_records_count_for_the_source_that_the_rules_say(screen: Screen, cli: Cli, tmp_path: Path) -> None:
    out, folder = tmp_path / "out", tmp_path / "in"
    shards = [write_shard(folder / "a.jsonl", entries("a")), folder / "b.parquet"]
    pq.write_table(pa.Table.from_pylist(entries("b")), shards[1])
    given = {"source_from": "keys", "input_root": str(folder)}
    screen(shards, out, source_keys=RULES, **given)
    rows = pq.read_table(out / "sources.parquet").to_pylist()
    wanted = [key for _, _, key in MEANT]
    assert {row["source"]: row["read"] for row in rows} == {key: 2 * wanted.count(key) for key in wanted}
    said = manifest(out)["job"]["source_keys"]
    assert said["suffix_list"] == suffix_list()._asdict()
    assert said["rules"]["shared"][0]["under"] == "code.example"
    assert not list(verify(Corpus(out)))
    above = {row["key"]: (row["sources"], row["worst"]) for row in pq.read_table(out / "rollups.parquet").to_pylist()}
    assert above == {
        "code.example": (2, "clean"),
        "github.io": (2, "clean"),
        "dataset:p/d": (1, "clean"),
        "publisher:p": (1, "clean"),
    }
    # A decision on what lies above reaches what lies below, and the ledger and explain say so.
    days = ("--reviewer", "L. Chen", "--reason", "r", "--decided", "2026-01-01", "--until", "2026-01-31")
    code, told, error = cli("source", "override", out, "code.example", "--state", "blacklisted", *days)
    assert (code, "so are the 2 sources at or below it" in told) == (0, True), error
    screen(shards, out, source_keys=RULES, **given)
    found = {row["source"]: (row["state"], row["basis"]) for row in pq.read_table(out / "sources.parquet").to_pylist()}
    reached = ("blacklisted", "override D0001 of code.example")
    assert found == {key: reached if key.startswith("code.") else ("clean", "detector") for key in wanted}
    assert "clean → blacklisted on 0 of 2" in cli("source", "show", out, "code.example/bo")[1]
    listed = json.loads((out / "blacklist.json").read_bytes())
    form = json.loads((files("pipeline") / "blacklist.schema.json").read_text("utf-8"))
    assert re.fullmatch(form["$defs"]["source"]["properties"]["basis"]["pattern"], listed["blacklisted"][0]["basis"])
    by = {"entry": "D0001", "reviewer": "L. Chen", "until": "2026-01-31"}
    assert [each["override"] for each in listed["blacklisted"]] == [by, by]
    said_of = cli("explain", out, "a0")[1]
    assert "decided by L. Chen about code.example, in which it lies: blacklisted until 2026-01-31" in said_of
    assert not list(verify(Corpus(out)))
    code, _, error = cli("source", "override", out, "HTTPS://Bo.GitHub.io/", "--state", "hold", *days, "--unseen")
    assert (code, "the tables name it bo.github.io" in error) == (2, True)
    domains = cli("source", "export", out, "--as-of", "2026-01-31")[1].splitlines()
    assert domains == ["code.example"]
    for name in ("rollups.parquet", "moved.parquet"):
        assert pq.read_schema(out / name).metadata[b"reading.zh"].decode().startswith("- **计数单位。**")
    metadata = pq.read_schema(out / "sources.parquet").metadata
    assert metadata[b"reading.en"].startswith(b"- **Unit.** Record")
    assert metadata[b"reading.zh"].decode().startswith("- **计数单位。**")
    # Other rules read another corpus.
    with pytest.raises(UsageError, match="was read in another way"):
        screen(shards[0], out, **given)


def test_personal_data_in_a_key_is_hidden_though_the_key_escapes_it(screen: Screen, tmp_path: Path) -> None:
    out, tenants = tmp_path / "out", ["ada.lovelace@mail.example.org", "+44 20 7946 0958", "acme"]
    rows = [
        {"id": str(at), "text": f"Note {at}.", "url": "", "product": "chat", "tenant": each}
        for at, each in enumerate(tenants)
    ]
    keys = {"columns": {"product": "product", "tenant": "tenant"}}
    screen(write_shard(tmp_path / "a.jsonl", rows), out, source_from="keys", source_keys=keys)
    sources = pq.read_table(out / "sources.parquet")["source"].to_pylist()
    assert sources == ["(personal)", "user:chat/acme"]


def test_without_rules_nothing_is_said_of_them(screen: Screen, tmp_path: Path) -> None:
    out = tmp_path / "out"
    screen(write_shard(tmp_path / "a.jsonl", entries("a")), out)
    assert "source_keys" not in manifest(out)["job"]
    assert "github.io" in pq.read_table(out / "sources.parquet")["source"].to_pylist()


def test_a_site_that_is_over_the_limit_by_its_own_pages_shuts_out_no_source_below_it(
    screen: Screen, cli: Cli, tmp_path: Path
) -> None:
    out, folder = tmp_path / "out", tmp_path / "in"
    rows = [
        {
            "id": f"{at}{path}",
            "text": f"{UNLAWFUL if not path else 'Note'} {at}{path}.",
            "url": f"https://code.example{path}?n={at}",
        }
        for path in ("", "/bo", "/ada")
        for at in range(30)
    ]
    rows += [{"id": f"p{at}", "text": f"{UNLAWFUL} p{at}", "url": f"https://bad.example/{at}"} for at in range(30)]
    given = {"source_from": "keys", "input_root": str(folder), "source_keys": {"shared": RULES["shared"]}}
    screen([write_shard(folder / "a.jsonl", rows)], out, **given)
    code, said, error = cli("source", "export", out)
    assert (code, said.splitlines(), "1 hosts are over the limit by their own pages" in error) == (
        0,
        ["bad.example"],
        True,
    )
    code, said, error = cli("source", "export", out, "--format", "url-prefixes")
    assert (said.splitlines(), "--format robots excepts these" in error) == (["bad.example/", "code.example/"], True)
    robots = cli("source", "export", out, "--format", "robots")[1]
    allowed = "".join(f"Allow: /{name}{end}\n" for name in ("ada", "bo") for end in "/?$")
    assert f"# host: code.example\nUser-agent: *\nDisallow: /\n{allowed}" in robots
    days = ("--reviewer", "L. Chen", "--reason", "r", "--decided", "2026-01-01", "--until", "2026-01-31")
    assert cli("source", "override", out, "code.example", "--state", "blacklisted", *days)[0] == 0
    assert cli("source", "export", out, "--as-of", "2026-01-31")[1].splitlines() == ["bad.example", "code.example"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"source_keys": RULES}, "source_keys needs source_from: keys"),
        (
            {"source_from": "keys", "source_keys": {"columns": {"dataset": "meta.datset"}}},
            r"source_keys.columns.dataset: no shard has 'meta.datset'",
        ),
        ({"source_from": "keys", "source_keys": {"shared": [{"under": "a b"}]}}, "must be a host such as"),
    ],
)
def test_rules_that_would_do_nothing_are_refused(
    screen: Screen, tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        screen(write_shard(tmp_path / "a.jsonl", entries("a")), tmp_path / "out", **given)
