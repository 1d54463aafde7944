"""Real text cut in other places, or spread over other numbers of workers: the same records at the same doors."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from models.artefact import describe
from pipeline.config import from_options
from pipeline.corpus import Corpus
from pipeline.launch import launch, prepare
from pipeline.verify import verify

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
SHARDS = (
    DATA / "harm" / "cold_train.jsonl",
    DATA / "harm" / "davidson.jsonl",
    DATA / "pii" / "presidio_synth_v2.jsonl",
)

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of 2,000 public terms, so that sources come out on both sides of the limit."""
    folder = tmp_path_factory.mktemp("terms")
    lines = (DATA / "lists" / "ldnoobw.jsonl").read_text("utf-8").splitlines()
    found = sorted({json.loads(line)["term"].strip() for line in lines} - {""})
    kept = [term for term in found if not set(term) & set('\t"#') and len(term) > 1]
    rows = ["term\tcategory\tlevel", *(f"{term}\tA.1.h\tcertain" for term in kept)]
    (folder / "terms.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    describe(folder, kind="lexicon", version=1, names=["terms.tsv"], title="", licence="CC-BY-4.0", made_with="")
    return folder


def doors(out: Path) -> dict[tuple[str, int], Any]:
    """Return door, action and error of every record by shard and position, runs of kept records taken apart by position."""
    found: dict[tuple[str, int], Any] = {}
    for path in sorted((out / "audit").resolve().rglob("*.parquet")):
        shard = path.name.rsplit("-", 3)[0]
        for row in pq.read_table(path).to_pylist():
            if row["action"] != "keep":
                found[shard, row["position"]] = (row["door"], row["action"], row["error"], row["id"], row["reasons"])
    return found


def screened(out: Path, terms: Path, **options: Any) -> tuple[dict[tuple[str, int], Any], list[dict[str, Any]], int]:
    given = {
        "inputs": [str(path) for path in SHARDS],
        "output": str(out),
        "input_root": str(DATA),
        "policy": "cn-tc260-003",
        "taggers": {"lexicon": {"lists": [str(terms)]}, "personal": {}},
        "as_of": "2026-01-01",
    }
    launch(prepare(from_options(given | options)), to_publish=True)
    assert not list(verify(Corpus(out)))
    manifest = Corpus(out).manifest()
    tables = (
        pq.read_table(out / "sources.parquet").select(["source", "state", "read", "clean", "quarantine"]).to_pylist()
    )
    return doors(out), tables, manifest["counts"]["read"]


def test_split_size_and_workers_move_no_record_to_another_door(tmp_path: Path, terms: Path) -> None:
    whole = screened(tmp_path / "whole", terms, workers=1)
    assert whole[2] > 40_000
    assert {"clean", "blacklisted"} <= {source["state"] for source in whole[1]}
    for number, options in enumerate(({"split_size": 300_000, "workers": 2}, {"split_size": 1_000_000, "workers": 1})):
        assert screened(tmp_path / str(number), terms, **options) == whole
