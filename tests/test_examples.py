"""The example corpus is what ``examples/build.py`` builds, and holds the shares that it says it holds."""

import gzip
import json
import os
import subprocess
import sys
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from models.documents import Documents
from models.taggers.lexicon import Lexicon

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
CORPUS = EXAMPLES / "corpus"
SHARDS = sorted(path.relative_to(CORPUS).as_posix() for path in CORPUS.rglob("*") if path.is_file())
BUILT_WITH = {"pyarrow": pa.__version__, "zlib": zlib.ZLIB_RUNTIME_VERSION, "zstd": zstd.zstd_version}


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return json.loads((EXAMPLES / "expected.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    # From another folder and with another hash seed: neither may matter.
    command = [sys.executable, str(EXAMPLES / "build.py"), str(folder)]
    subprocess.run(command, check=True, cwd=folder, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True)
    return folder


def content(path: Path) -> Any:
    """Return what a shard holds, whatever version of a codec wrote it."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    return zstd.decompress(data) if path.suffix == ".zst" else data


def records(shard: str) -> tuple[list[tuple[str, str]], list[int]]:
    """Return source and text of a shard's records, and the numbers of the lines that are none."""
    held = content(CORPUS / shard)
    rows, malformed = [], []
    if isinstance(held, pa.Table):
        rows = held.to_pylist()
    else:
        for number, line in enumerate(held.removesuffix(b"\n").split(b"\n"), 1):
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, UnicodeDecodeError):
                malformed.append(number)
                continue
            if isinstance(row.get("text", row.get("content")), str):
                rows.append(row)
            else:
                malformed.append(number)
    return [
        (row.get("source") or urlsplit(row["url"]).hostname, row.get("text", row.get("content"))) for row in rows
    ], malformed


def test_a_build_makes_the_files_that_are_checked_in(built: Path, expected: dict[str, Any]) -> None:
    corpus = built / "corpus"
    assert sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*") if path.is_file()) == SHARDS
    fresh = json.loads((built / "expected.json").read_text("utf-8"))
    assert {**fresh, "built_with": None} == {**expected, "built_with": None}


@pytest.mark.parametrize("shard", SHARDS)
def test_a_shard_is_built_byte_for_byte(built: Path, expected: dict[str, Any], shard: str) -> None:
    fresh, stored = built / "corpus" / shard, CORPUS / shard
    assert content(fresh) == content(stored)
    if expected["built_with"] == BUILT_WITH or shard.endswith(".jsonl"):
        assert fresh.read_bytes() == stored.read_bytes()


def test_the_examples_stay_small() -> None:
    files = [path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files) <= 2_000_000
    assert all(path.stat().st_size <= 50_000 for path in (EXAMPLES / "texts").glob("*.jsonl"))


def test_every_shard_holds_the_records_and_malformed_lines_that_are_expected(expected: dict[str, Any]) -> None:
    assert sorted(expected["shards"]) == SHARDS
    for shard, facts in expected["shards"].items():
        found, malformed = records(shard)
        assert len(found) == facts["records"]
        assert malformed == [bad["line"] for bad in facts["malformed"]]
        assert Counter(source for source, _ in found) == {n: f["records"] for n, f in facts["sources"].items()}


def test_the_lexicon_finds_the_shares_that_are_expected(expected: dict[str, Any]) -> None:
    texts: dict[str, set[str]] = defaultdict(set)
    for shard in SHARDS:
        for source, text in records(shard)[0]:
            texts[source].add(text)
    assert set(texts) == set(expected["sources"])
    lexicon = Lexicon(tuple(str(ROOT / folder) for folder in expected["lists"]))
    for source, facts in expected["sources"].items():
        findings = lexicon.tag(Documents.of(sorted(texts[source])))
        unlawful = {f.row for f in findings if f.score > 0.5 and not f.category.startswith("A.5.")}
        possible = {finding.row for finding in findings} - unlawful
        assert len(texts[source]) == facts["distinct"], source
        assert (len(unlawful), len(possible)) == (facts["unlawful"], facts["possible_only"]), source


def test_states_follow_from_the_counts_read_literally(expected: dict[str, Any]) -> None:
    for source, facts in expected["sources"].items():
        over = facts["unlawful"] * 20 > facts["distinct"]
        state = "clean" if not over else "blacklisted" if facts["distinct"] >= 100 else "hold"
        assert facts["state"] == state, source
    shares = {source: (facts["unlawful"], facts["distinct"]) for source, facts in expected["sources"].items()}
    assert shares["shop.example"] == (20, 400)
    assert shares["deals.example"] == (19, 400)
    assert shares["flyers.example"] == (6, 100)
    assert shares["tiny-ads.example"] == (6, 60)
    assert {facts["state"] for facts in expected["sources"].values()} == {"clean", "hold", "blacklisted"}


def test_no_address_is_outside_the_reserved_domains() -> None:
    for shard in SHARDS:
        for source, text in records(shard)[0]:
            assert source.endswith(".example")
            for word in text.split("@")[1:]:
                domain = word.split("@")[0].lstrip()[:20]
                assert domain.startswith(("example.", "mail.example.")) or not domain[:1].isascii(), text


def test_the_readme_shows_the_expected_table(expected: dict[str, Any]) -> None:
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    for source, facts in expected["sources"].items():
        counts = " | ".join(str(facts[key]) for key in ("records", "distinct", "unlawful"))
        assert f"| {source} | {', '.join(facts['shards'])} | {counts} | {facts['share']} | {facts['state']} |" in readme


def test_the_index_of_works_is_what_its_script_builds(tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "register.py"), str(tmp_path / "index")]
    subprocess.run(command, check=True, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True)
    shipped = ROOT / "configs" / "indexes" / "illustrative"
    names = sorted(path.name for path in shipped.iterdir())
    assert names == sorted(path.name for path in (tmp_path / "index").iterdir())
    for name in names:
        if name == "works.parquet":
            assert pq.read_table(shipped / name).equals(pq.read_table(tmp_path / "index" / name))
        elif name != "artefact.json":  # it has the digest of works.parquet, which depends on the version of pyarrow
            assert (shipped / name).read_bytes() == (tmp_path / "index" / name).read_bytes(), name
