"""The examples of one's own pipeline, notebook and tagger run, and show what they say."""

import ast
import csv
import json
import os
import re
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


def test_a_pipeline_of_ones_own_finds_what_the_taggers_find_in_any_folder_under_any_id(tmp_path: Path) -> None:
    output, shard = tmp_path / "findings.csv", tmp_path / "news.parquet"
    table = pq.read_table(NEWS)
    ids = [f'{each}, "a"' for each in table["doc_id"].to_pylist()]
    table = table.set_column(table.schema.get_field_index("doc_id"), "doc_id", pa.array(ids))
    pq.write_table(table, shard)
    command = [sys.executable, str(OWN / "pipeline.py"), str(shard), str(output)]
    subprocess.run(command, check=True, cwd=tmp_path, capture_output=True)
    rows = list(csv.DictReader(output.open(encoding="utf-8", newline="")))
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


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder into which pip has installed the example, by the options that the page on taggers gives."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for path in (OWN / "tagger").glob("*.py"):  # building leaves files beside it
        (source / path.name).write_bytes(path.read_bytes())
    page = (ROOT / "docs" / "write-a-tagger.md").read_text("utf-8")
    told = re.search(r"^\.venv/bin/python -m pip (install.*) examples/own/tagger$", page, re.M)
    assert told is not None
    command = [sys.executable, "-m", "pip", *told[1].split(), "--quiet", "--target", str(site), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return site


def test_the_page_on_taggers_has_the_whole_example() -> None:
    """Docstrings stand in the file alone, comments on the page alone."""
    page = (ROOT / "docs" / "write-a-tagger.md").read_text("utf-8")
    shown = re.search(r"```python\n(.*?)```", page, re.S)
    assert shown is not None
    here, there = ast.parse(shown[1]), ast.parse((OWN / "tagger" / "winnow_shouting.py").read_text("utf-8"))
    plain = [ast.unparse(each) for each in here.body]
    for node in ast.walk(there):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Expr(ast.Constant(...))]
    assert plain == [ast.unparse(each) for each in there.body]


def test_a_tagger_of_ones_own_is_held_to_the_contract(installed: Path) -> None:
    page = (ROOT / "docs" / "write-a-tagger.md").read_text("utf-8")
    told = re.search(r"^PYTHONPATH=(\S+) (WINNOW_TAGGER_SAMPLE)=(\S+) \\\n  \.venv/bin/python (.*)$", page, re.M)
    assert told is not None
    environment = os.environ | {"PYTHONPATH": f"{installed}:{told[1]}", told[2]: told[3]}
    command = [sys.executable, *told[4].split(), "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    assert int(re.findall(r"(\d+) passed", done.stdout)[0]) > 15


def test_a_tagger_of_ones_own_is_found_once_it_is_installed(installed: Path, tmp_path: Path) -> None:
    """Installed by pip into a folder of its own, then named in a run file."""
    site, out = installed, tmp_path / "out"
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
