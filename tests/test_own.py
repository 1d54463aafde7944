"""The examples of one's own pipeline, notebook and tagger run, and show what they say."""

import csv
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.documents import Documents
from models.errors import UsageError
from models.taggers.personal import Personal
from models.tagging import tag

ROOT = Path(__file__).resolve().parents[1]
OWN = ROOT / "examples" / "own"
NEWS = ROOT / "examples" / "corpus" / "news-zh.parquet"


def test_a_pipeline_of_ones_own_finds_what_the_taggers_find(tmp_path: Path) -> None:
    output = tmp_path / "findings.csv"
    command = [sys.executable, str(OWN / "pipeline.py"), str(NEWS), str(output)]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
    rows = list(csv.DictReader(output.open(encoding="utf-8", newline="")))
    table = pq.read_table(NEWS)
    ids = dict(zip(table["doc_id"].to_pylist(), table["text"].to_pylist(), strict=True))
    personal = sorted((row["id"], row["category"]) for row in rows if row["category"].startswith("personal."))
    expected = [(list(ids)[f.row], f.category) for f in tag(Documents.of(list(ids.values())), [Personal()])]
    assert personal == sorted(expected)
    assert sum(row["category"].startswith("A.") for row in rows) >= 4  # those that the example has planted


def test_the_notebook_shows_what_running_it_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    example: dict[str, Any] = runpy.run_path(str(OWN / "notebook.py"))
    stored = json.loads(example["NOTEBOOK"].read_text("utf-8"))
    assert stored == example["notebook"](), "run: python examples/own/notebook.py"
    shown = json.dumps(stored, ensure_ascii=False)
    assert "[CN_MOBILE]" in shown
    assert "redact ['personal', 'personal-sensitive']" in shown


def test_a_tagger_of_ones_own_is_found_once_it_is_installed(tmp_path: Path) -> None:
    """Installed by pip into a folder of its own, then named in a run file."""
    source, site, out = tmp_path / "source", tmp_path / "site", tmp_path / "out"
    source.mkdir()
    for path in (OWN / "tagger").glob("*.py"):  # building leaves files beside it
        (source / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True, capture_output=True)
    shard = tmp_path / "in" / "a.jsonl"
    shard.parent.mkdir()
    texts = ["BUY NOW BUY NOW BUY NOW BUY NOW", "all is quiet here, as it should be"]
    shard.write_text("".join(json.dumps({"id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)), "utf-8")
    policy = (ROOT / "configs" / "policies" / "cn-tc260-003.yaml").read_text("utf-8")
    rule = '\n  - {id: shouting, match: {category: ["quality.shouting"], at_least_score: 0.9}, action: quarantine}\n'
    (tmp_path / "policy.yaml").write_text(policy + rule, "utf-8")
    run = tmp_path / "run.yaml"
    run.write_text("inputs: in\noutput: out\npolicy: ./policy.yaml\ntaggers: {shouting: {letters: 10}}\n", "utf-8")
    environment = os.environ | {"PYTHONPATH": str(site)}
    winnow = [sys.executable, "-m", "pipeline.cli"]
    for words in (["run", str(run), "--quiet"], ["explain", str(out), "0"]):
        done = subprocess.run(
            [*winnow, *words], check=True, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
        )
    assert "quarantine by rule shouting: quality.shouting (capitals, score 1.00)" in done.stdout
    counts = json.loads((out / "manifest.json").read_text("utf-8"))["counts"]
    assert (counts["read"], counts["clean"], counts["quarantined"]) == (2, 1, 1)


def test_a_table_of_ones_own_must_have_its_columns_and_texts() -> None:
    table = pa.table({"text": ["one", None], "meta": [{"site": "a"}, {"site": None}]})
    with pytest.raises(UsageError, match=r"column 'body' is not there; there are text, meta"):
        Documents.from_table(table, text="body")
    with pytest.raises(UsageError, match=r"column 'text': row 1 has no text"):
        Documents.from_table(table)
    documents = Documents.from_table(table.slice(0, 1), source="meta.site")
    assert documents.source.to_pylist() == ["a"]
    assert documents.id.to_pylist() == ["0"]
