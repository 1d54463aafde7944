"""Nights over made-up shards, from settling to the new catalogue, with receipts that are made up too: no text is read.

Segments are small here, so that few shards have many of them.
"""

import hashlib
import itertools
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import catalogue as catalogue_module
from models import source_states, summing
from models.agenda import Agenda, Pack, TagTask, settle, tag_tasks
from models.breakdown import SCHEMA as BREAKDOWN
from models.breakdown import batch_of
from models.bundle import bundle
from models.catalogue import TOTALS, Catalogue, SegmentRef
from models.errors import ConservationError, UsageError
from models.job import Job
from models.judging import Judged, judge_sources, release_tasks
from models.layer import Known
from models.outcome import Outcome, conclude, conclude_segment
from models.parts import PartFile
from models.release_pass import Released
from models.release_split import keep_receipt
from models.shard import Columns, Cut, Shard, Split
from models.store import LocalStore
from models.tag_pass import LayerRef, Tagged
from models.tally import SCHEMA
from models.verdicts import DOORS
from pipeline.config import from_options, make_job

FRUITFUL = 20
"""Records of every source of a split."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_module, "AVERAGE", 4)
    monkeypatch.setattr(catalogue_module, "MOST", 8)


@pytest.fixture(scope="session")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    given = {"inputs": ("in",), "output": str(tmp_path_factory.mktemp("corpus")), "as_of": "2026-01-02"}
    made = make_job(from_options(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}}))
    return replace(made, reading=replace(made.reading, source_from="column"))


def mark(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def make_shard(job: Job, path: str, content: str = "") -> Shard:
    content = content or path
    count = 1 + int(mark(content)[:4], 16) % 3
    cuts = tuple(Cut(at * 100, at * 100 + 100, 0, FRUITFUL, mark(content, at)) for at in range(count))
    columns = Columns(("text",), None, "source", None)
    checksum = mark("content", content)
    return Shard("in", path, 100 * count, checksum, "jsonl", "", "utf-8", columns, cuts, "", job.reading.digest)


@dataclass
class Corpus:
    """A corpus that nights are added to.

    Attributes:
        sources: of each shard by its path; others have one named after their first folder.
        unlawful: how many records of a source in each split are.
    """

    job: Job
    folder: Path
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unlawful: Mapping[str, int] = field(default_factory=dict)
    index: str = ""
    base: int = 0

    def __post_init__(self) -> None:
        self.store = LocalStore(self.folder / "store")
        self.store.prepare()

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue.open(self.store, self.index)

    def settle(self, shards: Sequence[Shard], exact: bool = False) -> Agenda:
        packs = [Pack.of([shard]) for shard in sorted(shards, key=lambda shard: shard.path)]
        random.Random(len(packs)).shuffle(packs)
        return settle(packs, self.catalogue, self.job, exact, self.store, self.folder)

    def night(self, shards: Sequence[Shard], exact: bool = False) -> Outcome:
        agenda = self.settle(shards, exact)
        tasks = list(tag_tasks(agenda, self.job, self.store))
        judged = self.judge(agenda, tasks)
        outcome = self.conclude(agenda, judged)
        self.index, self.base = outcome.index, self.base + 1
        return outcome

    def judge(self, agenda: Agenda, tasks: Sequence[TagTask]) -> Judged:
        by_segment: dict[int, list[Tagged]] = {}
        for task in tasks:
            by_segment.setdefault(task.segment, []).extend(self.tagged(split) for split, _ in task.splits)
        bundles = [bundle(number, some, self.store, self.folder) for number, some in by_segment.items()]
        return judge_sources(agenda, bundles, self.job, self.store, self.folder)

    def conclude(self, agenda: Agenda, judged: Judged) -> Outcome:
        means = self.job, self.store, self.folder
        tasks = release_tasks(judged, agenda, self.job, self.store)
        concluded = []
        for number, some in itertools.groupby(tasks, lambda task: task.segment):
            items = [item for task in some for item in task.splits]
            released = {split.digest(self.job.reading): self.released(split, digest) for split, _, digest in items}
            concluded.append(conclude_segment(agenda, judged, number, released, *means))
        return conclude(agenda, judged, concluded, self.base, *means)

    def names(self, split: Split) -> list[str]:
        path = split.shard.path
        return sorted(self.sources.get(path, (path.split("/")[0],)))

    def tagged(self, split: Split) -> Tagged:
        names = self.names(split)
        rows = [
            {"source": name, "records": FRUITFUL, "distinct": FRUITFUL, "unlawful": self.unlawful.get(name, 0)}
            | {"characters": 7 * FRUITFUL, "unlawful_characters": 7 * self.unlawful.get(name, 0)}
            | {"low": 0, "low_characters": 0, "removed": self.unlawful.get(name, 0)}
            for name in names
        ]
        known = Known(mark("known", split.cut.checksum, rows), (("lexicon", "A.1.a"),), tuple(names))
        layers = (LayerRef(f"layers/{mark(split.name)}", dict(self.job.wanted)),)
        entries = FRUITFUL * len(names)
        digest = split.digest(self.job.reading)
        table = pa.Table.from_pylist(rows, SCHEMA)
        return Tagged(digest, layers, known, table, entries, {}, 0, 7 * entries, {}, tuple(self.job.wanted))

    def released(self, split: Split, digest: str) -> Released:
        names = self.names(split)
        schema = pa.schema([("source", pa.string()), *((door, pa.int64()) for door in DOORS)])
        doors = [{"source": name, **dict.fromkeys(DOORS, 0), DOORS[0]: FRUITFUL} for name in names]
        counts = dict.fromkeys(TOTALS, 0) | {"read": FRUITFUL * len(names), "clean": FRUITFUL * len(names)}
        file = PartFile("clean", split.name, f"parts/{digest}", 9, mark(digest), counts["read"])
        released = Released(digest, (file,), counts, pa.Table.from_pylist(doors, schema), {}, {})
        batch = batch_of(split.shard.path)
        kept = {"language": "en", "batch": batch, "dimension": "action", "value": "keep", "records": FRUITFUL}
        rows = [{"source": name, **kept, "characters": 7 * FRUITFUL, "findings": 0} for name in names]
        keep_receipt(released, pa.Table.from_pylist(rows, BREAKDOWN), self.store, self.folder)
        return released

    def segments(self) -> dict[str, SegmentRef]:
        return {ref.name: ref for ref in self.catalogue.segments}


@pytest.fixture
def corpus(job: Job, tmp_path: Path) -> Corpus:
    return Corpus(job, tmp_path)


def days(job: Job, count: int, shards: int = 10) -> list[list[Shard]]:
    return [[make_shard(job, f"day{day:02}/{at:03}.jsonl") for at in range(shards)] for day in range(count)]


@given(st.permutations(range(5)), st.lists(st.booleans(), min_size=5, max_size=5))
@settings(deadline=None, max_examples=15)
def test_nights_in_any_order_end_in_the_same_index_and_table(
    job: Job, tmp_path_factory: pytest.TempPathFactory, order: list[int], together: list[bool]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_module, "AVERAGE", 4)
        patch.setattr(catalogue_module, "MOST", 8)
        # A content that stands twice: which one is the twin depends on paths, not on who came first.
        made = days(job, 5)
        made[3][2] = make_shard(job, made[3][2].path, made[1][4].path)
        at_once, by_night = (Corpus(job, tmp_path_factory.mktemp("corpus")) for _ in range(2))
        whole = at_once.night([shard for day in made for shard in day])
        for day, again in zip(order, together, strict=True):
            known = [shard for path in by_night.catalogue.paths if (shard := by_night.catalogue.shard(path))]
            outcome = by_night.night(made[day] + (known if again else []))
    assert outcome.index == whole.index
    assert outcome.sources == whole.sources
    assert outcome.twins == whole.twins == ((made[3][2].path, made[1][4].path),)
    assert outcome.counts == whole.counts


def test_segments_that_a_night_does_not_touch_keep_their_digest(corpus: Corpus, job: Job) -> None:
    made = days(job, 12)
    corpus.night([shard for day in made for shard in day])
    before = corpus.segments()
    late = [make_shard(job, f"day05/{at:03}-late.jsonl") for at in range(2)]
    corpus.night(late)
    after = corpus.segments()
    touched = [ref for name, ref in after.items() if name not in before]
    assert len(before) > 30
    assert 1 <= len(touched) <= 4
    for ref in touched:
        assert any(ref.first <= shard.path <= ref.last for shard in late) or ref.first[:5] == "day05"


def test_a_recall_rewrites_the_segments_that_hold_the_source(job: Job, tmp_path: Path) -> None:
    made = days(job, 12)
    home = {day: made[day][day % 10].path for day in (2, 7)}
    late = make_shard(job, "day20/000.jsonl")
    corpus = Corpus(job, tmp_path, {**{path: ["bad"] for path in home.values()}, late.path: ["bad"]})
    corpus.night([shard for day in made for shard in day])
    before = corpus.segments()
    corpus.unlawful = {"bad": FRUITFUL // 2}
    agenda = corpus.settle([late])
    judged = corpus.judge(agenda, list(tag_tasks(agenda, job, corpus.store)))
    tasks = list(release_tasks(judged, agenda, job, corpus.store))
    paths = {split.shard.path for task in tasks for split, _, _ in task.splits}
    assert paths == {*home.values(), late.path}
    assert judged.splits == sum(len(task.splits) for task in tasks)
    corpus.index = corpus.conclude(agenda, judged).index
    gone = [ref for name, ref in before.items() if name not in corpus.segments()]
    assert 2 <= len(gone) <= 3  # and the last one, which is open
    assert all(any(ref.first <= path <= ref.last for ref in gone) for path in home.values())


def test_states_by_name_and_by_key_give_the_same_releases(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [shard for day in days(job, 4) for shard in day]
    ends = []
    for few in (0, 100):
        monkeypatch.setattr(source_states, "FEW", few)
        corpus = Corpus(job, tmp_path / str(few), {}, {"day01": FRUITFUL, "day03": 2})
        ends.append(corpus.night(made).index)
    assert ends[0] == ends[1]


def test_an_idle_night_reads_and_rewrites_nothing(corpus: Corpus, job: Job) -> None:
    made = [shard for day in days(job, 4) for shard in day]
    first = corpus.night(made)
    for named in ([], made[7:9], made):
        agenda = corpus.settle(named)
        assert all(portion.kept is not None and not portion.todo for portion in agenda.portions(corpus.store))
        assert list(tag_tasks(agenda, job, corpus.store)) == []
        again = corpus.night(named)
        assert (again.index, again.sources, again.work["released"]) == (first.index, first.sources, 0)


def test_a_changed_tagger_tags_every_split_and_releases_what_changed(corpus: Corpus, job: Job) -> None:
    made = [shard for day in days(job, 3) for shard in day]
    splits = sum(len(shard.cuts) for shard in made)
    corpus.night(made)
    segments = corpus.segments()
    again = Corpus(replace(job), corpus.folder, {}, {}, corpus.index, 1)
    again.job.__dict__["wanted"] = {name: mark(digest) for name, digest in job.wanted.items()}
    agenda = again.settle([])
    assert agenda.facts(again.store)["splits_to_tag"] == splits
    assert sum(len(task.splits) for task in tag_tasks(agenda, again.job, again.store)) == splits
    outcome = again.night([])
    assert outcome.work == {"tagged": splits, "released": 0, "splits": splits, "new_shards": 0}
    assert not segments.keys() & again.segments().keys()


def test_shards_that_leave_are_gone_from_index_and_table(corpus: Corpus, job: Job) -> None:
    made = days(job, 4)
    kept = made[0] + made[2]
    corpus.night([shard for day in made for shard in day])
    outcome = corpus.night(kept, exact=True)
    assert corpus.catalogue.paths == sorted(shard.path for shard in kept)
    assert set(outcome.gone) == {shard.path for shard in made[1] + made[3]}
    alone = Corpus(job, corpus.folder / "alone")
    assert alone.night(kept).index == outcome.index


def test_the_table_of_sources_is_the_same_when_sums_go_by_the_disk(
    corpus: Corpus, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.sources = {
        shard.path: [f"s{int(mark(shard.path, at)[:3], 16) % 90}" for at in range(3)] for shard in days(job, 4)[1]
    }
    corpus.sources = {path: sorted(set(names)) for path, names in corpus.sources.items()}
    made = [shard for day in days(job, 4) for shard in day]
    outcome = corpus.night(made)
    table = pq.read_table(corpus.store.local(outcome.sources))
    assert sum(table["read"].to_pylist()) == outcome.counts["read"] == sum(table["clean"].to_pylist())
    assert table["source"].to_pylist() == sorted(table["source"].to_pylist())
    monkeypatch.setattr(summing.Sums.__init__, "__kwdefaults__", {"rows": 5, "keys": ("source",)})
    other = Corpus(job, corpus.folder / "other", corpus.sources)
    assert other.night(made).sources == outcome.sources


def _receipts_but(corpus: Corpus, agenda: Agenda, left_out: int) -> Iterator[TagTask]:
    tasks = list(tag_tasks(agenda, corpus.job, corpus.store))
    task = tasks[left_out]
    tasks[left_out] = TagTask(task.segment, task.splits[1:])
    return iter(tasks)


def test_a_receipt_that_is_missing_is_named(corpus: Corpus, job: Job) -> None:
    agenda = corpus.settle(days(job, 2)[0])
    with pytest.raises(ConservationError, match=r"not the splits planned: 1 missing \(day00/"):
        corpus.judge(agenda, list(_receipts_but(corpus, agenda, 0)))


def test_a_release_that_is_missing_fails_the_night(corpus: Corpus, job: Job) -> None:
    agenda = corpus.settle(days(job, 1)[0])
    judged = corpus.judge(agenda, list(tag_tasks(agenda, job, corpus.store)))
    with pytest.raises(ConservationError, match=r"releases are missing of \d+; run again"):
        conclude(agenda, judged, [], 0, job, corpus.store, corpus.folder)


def test_a_shard_of_the_same_name_elsewhere_is_refused(corpus: Corpus, job: Job) -> None:
    (made,) = days(job, 1)
    corpus.night(made)
    with pytest.raises(UsageError, match="is in this corpus from in and was now found with other content in elsewhere"):
        corpus.settle([replace(make_shard(job, made[3].path, "other"), root="elsewhere")])
