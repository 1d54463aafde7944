"""Nights that count over whole sources: whatever their order, and whatever segments splits move between, the end is the same."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_nights import FRUITFUL, Corpus, days, make_shard, mark

from models import catalogue as catalogue_module
from models.agenda import Agenda, TagTask
from models.bundle import bundle
from models.job import Job
from models.judging import Judged, judge_sources
from models.shard import Split
from models.sketch_files import keep_split
from models.sketches import Sketch
from models.tag_pass import Tagged
from pipeline.config import from_options, make_job

POLICY = """
policy: whole
version: "1"
taxonomy: tc260-003
sources:
  reading: literal
  basis: detector
  unlawful: {categories: [UNLAWFUL29], at_least_score: 0.5}
  limit: 5/100
  min_records: 100
  duplicates: source
  blacklisted: quarantine
  hold: quarantine
rules:
  - {id: a, match: {category: [A.1.h]}, action: drop}
"""


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "policy.yaml").write_text(POLICY, "utf-8")
    given = {"inputs": ("in",), "output": str(folder), "as_of": "2026-01-02", "policy": str(folder / "policy.yaml")}
    made = make_job(from_options(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}}))
    return replace(made, reading=replace(made.reading, source_from="column"))


def texts_of(split: Split) -> list[str]:
    """Return what the records of a split say, of every source: half of it stands in other splits as well."""
    own = mark(split.cut.checksum)
    return [mark("common", int(own[:2], 16) % 4, at) if at % 2 else mark(own, at) for at in range(FRUITFUL)]


@dataclass
class Whole(Corpus):
    """A corpus whose splits have sketches."""

    def tagged(self, split: Split) -> Tagged:
        receipt, texts = super().tagged(split), texts_of(split)
        names = [name for name in self.names(split) for _ in texts]
        content = pa.array([bytes.fromhex(text[:32]) for text in texts] * len(self.names(split)), pa.binary(16))
        strata = np.full(len(names), 2, np.uint8)
        sketch = Sketch.of(1024, pa.array(names), content, strata, np.full(len(names), 7, np.int32))
        return replace(receipt, sketch=keep_split(sketch, receipt.split, self.store, self.folder))

    def judge(self, agenda: Agenda, tasks: list[TagTask]) -> Judged:  # type: ignore[override]
        by_segment: dict[int, list[Tagged]] = {}
        for task in tasks:
            by_segment.setdefault(task.segment, []).extend(self.tagged(split) for split, _ in task.splits)
        bundles = [bundle(number, some, self.store, self.folder, 1024) for number, some in by_segment.items()]
        return judge_sources(agenda, bundles, self.job, self.store, self.folder)


def test_nights_in_any_order_and_shards_that_leave_end_in_the_same_sketches_and_table(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue_module, "AVERAGE", 4)
    monkeypatch.setattr(catalogue_module, "MOST", 8)
    made = days(job, 3, 4)
    made[2][1] = make_shard(job, made[2][1].path, made[0][3].path)  # a twin of another day's
    sources = {shard.path: ["all", f"s{number % 3}"] for day in made for number, shard in enumerate(day)}
    sources[made[2][1].path] = sources[made[0][3].path]
    every = [shard for day in made for shard in day]
    at_once = Whole(job, tmp_path / "at-once", sources)
    whole = at_once.night(every)
    assert len({ref.sketch for ref in at_once.catalogue.segments} - {""}) > 2
    table = {row["source"]: row for row in pq.read_table(at_once.store.local(whole.sources)).to_pylist()}
    texts = {text for shard in every for split in shard.splits() for text in texts_of(split)}
    assert (table["all"]["counted"], table["all"]["distinct"]) == ("source exact", len(texts))
    for number, order in enumerate([(2, 0, 1), (1, 2, 0)]):
        corpus = Whole(job, tmp_path / str(number), sources)
        late = make_shard(job, "day01/999-gone.jsonl")
        corpus.sources = {**sources, late.path: ["all"]}
        for day in order:
            outcome = corpus.night(made[day] + ([late] if number else []))
        if number:
            assert outcome.sources != whole.sources
            outcome = corpus.night(every, exact=True)
        assert (outcome.index, outcome.sources) == (whole.index, whole.sources)
