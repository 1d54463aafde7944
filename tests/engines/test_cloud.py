"""Everything on an object store: the same bytes, pinned reads, late writers that change nothing, copies once a machine."""

import gzip
import json
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import emulator
import nights
import pytest
from google.cloud import storage
from rows import ROOT
from test_matrix import Course

from models.agenda import TagTask
from models.artefact import describe
from models.errors import ShardChangedError, StoreConflictError, UsageError
from models.shard import Split, pinned
from models.taggers.lexicon import Lexicon
from pipeline.config import make_job, read_run_file
from pipeline.corpus import Corpus
from pipeline.explain import explain
from pipeline.gc import collect
from pipeline.launch import launch, prepare
from pipeline.publish import publish
from pipeline.report import copy_of
from pipeline.verify import verify
from transforms import cloud
from transforms.cloud import CloudOpener, CloudStore, fetch_folder, find, machine_folder
from transforms.listing import list_shards
from transforms.notes import Notes
from transforms.tag import tag_task

pytestmark = pytest.mark.engines


def finish(run: Path, *more: str, code: int = 0) -> str:
    return nights.finish_here(["run", str(run), *nights.AS_OF, *more], code=code)


def finish_apart(run: Path, code: int = 0) -> str:
    """Run in a process that has nothing of another run, and return what was said."""
    return nights.finish(["run", str(run), *nights.AS_OF], code=code)


def test_an_object_store_holds_the_same_bytes(
    courses: dict[str, Course], proxy: emulator.Proxy, tmp_path: Path
) -> None:
    course = courses["example"]
    finish(emulator.moved(course.runs[0], tmp_path))
    assert list(verify(Corpus("gs://out/corpus"))) == []
    assert emulator.contents("gs://out/corpus") == course.expected[0]


_MADE = {
    "lists/illustrative": ROOT / "configs" / "lists" / "illustrative",
    "models/zh": ROOT / "configs" / "models" / "zh-discrimination-demo",
    "models/en": ROOT / "configs" / "models" / "en-abuse-demo",
    "indexes/works": ROOT / "configs" / "indexes" / "illustrative",
    "registry": Path(str(nights.EVERY_TAGGER["provenance"]["registry"][0])),  # type: ignore[index]
    "blocked": ROOT / "examples" / "lists" / "blocked",
}
"""Everything that decides on records, by what it is called on the object store."""


def test_all_that_a_run_needs_and_makes_is_on_the_object_store(
    courses: dict[str, Course], proxy: emulator.Proxy, tmp_path: Path
) -> None:
    """Lists, models, index, registry, policy, inputs, state, output and restricted root; two workers, two nights, the second with a recall."""
    course = courses["nights"]
    for name, folder in _MADE.items():
        emulator.upload(folder, f"gs://made/{name}")
    policy = storage.Client().bucket("made").blob("policy.yaml")
    policy.upload_from_filename(str(ROOT / "configs" / "policies" / "cn-tc260-003.yaml"))
    at = {name: f"gs://made/{name}" for name in _MADE}
    taggers = {
        "lexicon": {"lists": [at["lists/illustrative"]]},
        "category": {"models": [at["models/zh"], at["models/en"]]},
        "fingerprint": {"indexes": [at["indexes/works"]]},
        "personal": {},
        "provenance": {"registry": [at["registry"]]},
        "blocked": {"lists": [at["blocked"]]},
    }
    settings = {"taggers": taggers, "policy": "gs://made/policy.yaml", "workers": 2}
    held = {blob.name for blob in storage.Client().list_blobs("made")} - {"policy.yaml"}
    runs = [emulator.moved(run, tmp_path, **settings) for run in course.runs]
    start = len(proxy.seen)
    for run, expected in zip(runs, course.expected, strict=True):
        finish_apart(run)
        assert list(verify(Corpus("gs://out/corpus"))) == []
        assert emulator.contents("gs://out/corpus") == expected
    fetched = {name: emulator.downloads(proxy, name, start) for name in _MADE}
    assert {name for some in fetched.values() for name in some} == held
    assert all(set(some.values()) == {1} for some in fetched.values()), "by two launchers and their workers together"
    apart = {name.split("/")[-1].split(".")[0] for name in emulator.generations("private") if "/parts/" in name}
    assert apart == {"quarantine", "dead"}, "what is restricted, and nothing else, is in the restricted bucket"
    for made in _MADE:
        name = max(each for each in held if each.startswith(f"{made}/") and not each.endswith("artefact.json"))
        blob = storage.Client().bucket("made").blob(name)
        whole = blob.download_as_bytes()
        blob.upload_from_string(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(UsageError, match=f"{name.rpartition('/')[2]}: content is not what artefact.json says"):
            make_job(read_run_file(runs[0]))
        blob.upload_from_string(whole)
    policy.delete()
    with pytest.raises(UsageError, match=r"gs://made/policy\.yaml: is not there"):
        make_job(read_run_file(runs[0]))


ODD = (
    "a#123.jsonl",
    "part#1700000000000000",
    "what?.jsonl",
    "50%25 of%.jsonl",
    "two words.jsonl",
    "图书馆/新闻 #7.jsonl.gz",
    "[x].jsonl",
    "a+b&c=d;e.jsonl",
)
"""Names that addresses, patterns or pins could take for something else."""


def test_shards_may_have_any_name_that_a_folder_can_hold(proxy: emulator.Proxy, tmp_path: Path) -> None:
    for number, name in enumerate(ODD):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(json.dumps({"text": f"weather {number} {row}, real money baccarat"}) + "\n" for row in range(5))
        path.write_bytes(gzip.compress(lines.encode(), mtime=0) if name.endswith(".gz") else lines.encode())
    emulator.upload(tmp_path / "in", "gs://in/odd")
    for name in ("a", "part", "whatX.jsonl", "x.jsonl"):  # what a wrong reading of the names would find
        storage.Client().bucket("in").blob(f"other/{name}").upload_from_string(b'{"text": "other"}\n')
    for name in ("a", "part"):
        storage.Client().bucket("in").blob(f"odd/{name}").upload_from_string(b'{"text": "other"}\n')
    made = {}
    for place, top in (("gs://out/odd", "gs://in/odd"), (str(tmp_path / "out"), str(tmp_path / "in"))):
        given = {"inputs": [top, f"{top}/{ODD[1]}"], "input_root": top, "output": place, "as_of": "2026-01-01"}
        run = tmp_path / "run.yaml"
        run.write_text(json.dumps(given | {"taggers": {"lexicon": {"lists": ["illustrative"]}}, "workers": 1}), "utf-8")
        made[place] = launch(prepare(read_run_file(run)), to_publish=True)
        assert {each["path"] for each in Corpus(place).manifest()["inputs"]} == set(ODD)
        assert list(verify(Corpus(place))) == []
        for name in ODD:
            (found,) = explain(Corpus(place), f"{name}#0")
            assert (found.shard, found.position) == (name, 0)
    assert emulator.contents("gs://out/odd") == nights.contents(tmp_path / "out")


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("gs://in/c/what?.jsonl", ["what?.jsonl"]),
        ("gs://in/c/wha??.jsonl", ["what?.jsonl", "whatX.jsonl"]),
        ("gs://in/c/[x].jsonl", ["[x].jsonl"]),
        ("gs://in/c/part#17", ["part#17"]),
        ("gs://in/c/part", ["part"]),
        ("gs://in/c/*#17", ["part#17"]),
    ],
)
def test_the_name_of_an_object_comes_before_what_it_means_as_a_pattern(
    pattern: str, found: list[str], proxy: emulator.Proxy
) -> None:
    for name in ("what?.jsonl", "whatX.jsonl", "[x].jsonl", "x.jsonl", "part", "part#17"):
        storage.Client().bucket("in").blob(f"c/{name}").upload_from_string(name.encode())
    listed = list_shards(pattern, "gs://in/c")
    assert [each.path for each in listed] == found
    for each in listed:
        with CloudOpener().open(pinned(f"gs://in/c/{each.path}", each.generation)) as file:
            assert file.read().decode() == each.path


def test_a_name_that_ends_like_a_pin_is_not_one(proxy: emulator.Proxy) -> None:
    """Unpinned, ``part#17`` could mean an object, or generation 17 of another."""
    storage.Client().bucket("in").blob("part").upload_from_string(b"x")
    for place in ("gs://in/part", "gs://in/a#b"):
        with pytest.raises(UsageError, match="names no generation"):
            CloudOpener().open(place)
    with pytest.raises(ShardChangedError, match="generation is gone"):
        CloudOpener().open("gs://in/part#17")


@pytest.mark.parametrize("proxy", ["memory"], indirect=True)
@pytest.mark.parametrize("name", ["up/../../x.jsonl", "./x.jsonl", "a//b.jsonl", "/x.jsonl"])
def test_a_name_that_leads_elsewhere_in_a_folder_is_refused(name: str, proxy: emulator.Proxy) -> None:
    storage.Client().bucket("in").blob(f"c/{name}").upload_from_string(b"x")
    with pytest.raises(UsageError, match=r"an empty name, \. or \.\. between two slashes"):
        list_shards(f"gs://in/c/{name}", "gs://in/c")
    if "." in name.split("/") or ".." in name.split("/"):
        assert list_shards("gs://in/c", "gs://in/c") == [], "hidden, as all that begins with a point"
    else:
        with pytest.raises(UsageError, match="rename it"):
            list_shards("gs://in/c", "gs://in/c")


def test_an_idle_night_reads_no_shard_and_publishes_nothing(
    proxy: emulator.Proxy, one_night: Path, tmp_path: Path
) -> None:
    run = emulator.moved(one_night, tmp_path)
    finish(run)
    before, start = emulator.generations("out", "private"), len(proxy.seen)
    assert "nothing to do" in finish(run)
    read = [
        path for method, path in proxy.seen[start:] if "/in/" in path and ("alt=media" in path or "/download/" in path)
    ]
    assert read == []
    after = emulator.generations("out", "private")
    of_the_run = ("/runs/", "/agendas/")
    assert not [name for name in before.keys() ^ after.keys() if not any(part in name for part in of_the_run)]
    assert all(after[name] == generation for name, generation in before.items())


def test_a_shard_that_was_uploaded_anew_is_read_again(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    finish(run)
    expected = emulator.contents("gs://out/corpus")
    nights.write_shards(tmp_path / "in", [0], 70, bad_from=1)
    emulator.moved(one_night, tmp_path)
    finish(run)
    changed = emulator.contents("gs://out/corpus")
    assert changed != expected
    finish(one_night, "-o", str(tmp_path / "local"))
    del changed["blacklist.json"]  # says since which run
    assert changed == nights.contents(
        tmp_path / "local", [place for place in nights.COMPARED if place != "blacklist.json"]
    )


def test_reads_are_pinned_to_a_generation(proxy: emulator.Proxy) -> None:
    blob = storage.Client().bucket("in").blob("a.jsonl")
    blob.upload_from_string(b"first\n" * 4_000_000)
    ((address, generation, _),) = find("gs://in/a.jsonl")
    opener = CloudOpener()
    place = pinned(address, str(generation))
    assert opener.stamp(place) == str(generation)
    with opener.open(place) as file:
        assert file.read(6) == b"first\n"
        blob.upload_from_string(b"other\n" * 4_000_000)
        with pytest.raises(ShardChangedError, match="generation is gone"):
            while data := file.read(1 << 20):
                assert b"other" not in data
    with pytest.raises(ShardChangedError, match="generation is gone"):
        opener.open(place)


def test_a_shard_that_changes_during_a_run_fails_it(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = prepare(read_run_file(emulator.moved(one_night, tmp_path)), until="tag")
    launch(run, to_publish=False)
    planned = next(iter(list_shards("gs://in/crawl", "gs://in/crawl")))
    storage.Client().bucket("in").blob(f"crawl/{planned.path}").upload_from_string(b'{"id": "x", "text": "other"}\n')
    full = prepare(read_run_file(emulator.moved(one_night, tmp_path)))
    launch(full, to_publish=True)  # uploaded anew by emulator.moved(): the same content under other generations
    split = _a_split()
    storage.Client().bucket("in").blob(f"crawl/{split.shard.path}").upload_from_string(
        b'{"id": "x", "text": "other"}\n'
    )
    fresh = replace(full.job, root="gs://out/other", restricted="gs://out/other")
    with pytest.raises(ShardChangedError, match="generation is gone"):
        tag_task(TagTask(0, ((split, ()),)), fresh, lambda place, size: None)


def _a_split() -> Split:
    return next(iter(Corpus("gs://out/corpus").catalogue().rows())).split


def test_a_late_writer_changes_nothing(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    """A worker that everyone took for dead wakes up after the release: it tags again, writes again, and wants to publish."""
    settings = read_run_file(emulator.moved(one_night, tmp_path))
    zombie = prepare(settings)
    late = launch(zombie, to_publish=False)
    assert late.outcome is not None
    finish(emulator.moved(one_night, tmp_path))
    before = emulator.generations("out", "private")
    for row in Corpus("gs://out/corpus").catalogue().rows():
        tag_task(TagTask(0, ((row.split, ()),)), zombie.job, lambda place, size: None)
    assert emulator.generations("out", "private") == before
    with pytest.raises(StoreConflictError, match="release 1 was published since"):
        publish(Corpus("gs://out/corpus"), late.outcome, "2026-01-01T00:00:00+00:00")
    name = next(row.layers[0].name for row in Corpus("gs://out/corpus").catalogue().rows())
    (tmp_path / "wrong").write_bytes(b"what a broken worker makes of it")
    with pytest.raises(StoreConflictError, match="other content"):
        CloudStore("gs://out/corpus/store").create_once(name, tmp_path / "wrong")
    assert emulator.generations("out", "private") == before
    assert list(verify(Corpus("gs://out/corpus"))) == []


def test_a_pointer_that_is_set_while_it_is_read_is_not_one_that_was_never_set(
    proxy: emulator.Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CloudStore("gs://out/race")
    store.swap("current.json", b"one", 0)
    download, between = storage.Blob.download_as_bytes, iter([True])

    def set_first(blob: storage.Blob, *args: object, **more: object) -> bytes:
        if next(between, False):
            storage.Client().bucket("out").blob("race/current.json").upload_from_string(b"two")
        return download(blob, *args, **more)

    monkeypatch.setattr(storage.Blob, "download_as_bytes", set_first)
    assert store.pointer("current.json")[0] == b"two"


def test_of_two_that_publish_at_once_one_wins(proxy: emulator.Proxy) -> None:
    store = CloudStore("gs://out/race")
    store.swap("current.json", b"one", 0)
    _, generation = store.pointer("current.json")
    store.swap("current.json", b"two", generation)
    with pytest.raises(StoreConflictError, match="another process"):
        store.swap("current.json", b"three", generation)
    assert store.pointer("current.json")[0] == b"two"


def test_a_list_is_fetched_once_a_machine_and_again_when_it_changes(
    proxy: emulator.Proxy, one_night: Path, tmp_path: Path
) -> None:
    terms = tmp_path / "list"
    terms.mkdir()

    def describe_as(text: str) -> None:
        (terms / "terms.tsv").write_text(f"term\tcategory\tlevel\n{text}\tA.1.a\tcertain\n", "utf-8")
        describe(
            terms, kind=Lexicon.name, version=1, names=["terms.tsv"], title="t", licence="CC0-1.0", made_with="a test"
        )
        emulator.upload(terms, "gs://in/lists/mine")

    def fetches(start: int) -> int:
        return sum("terms.tsv" in path and "alt=media" in path for _, path in proxy.seen[start:])

    describe_as("real money baccarat")
    run = emulator.moved(one_night, tmp_path, taggers={"lexicon": {"lists": ["gs://in/lists/mine"]}})
    start = len(proxy.seen)
    finish_apart(run)
    assert fetches(start) == 1, "by the launcher and two workers together"
    first = Corpus("gs://out/corpus").manifest()["counts"]["quarantined"]
    describe_as("fake passport for sale")
    finish_apart(run)
    assert fetches(start) == 2
    assert Corpus("gs://out/corpus").manifest()["counts"]["quarantined"] != first
    storage.Client().bucket("in").blob("lists/mine/terms.tsv").upload_from_string(
        "term\tcategory\tlevel\nx\tA.1.a\tcertain\n"
    )
    assert "content is not what artefact.json says" in finish_apart(run, code=2)
    with pytest.raises(FileNotFoundError):
        fetch_folder("gs://in/lists/other")


def test_what_only_begins_like_an_input_is_not_listed(proxy: emulator.Proxy) -> None:
    bucket = storage.Client().bucket("in")
    for name in ("crawl/a.jsonl", "crawl/b/c.jsonl", "crawl-archive/a.jsonl", "crawler.jsonl"):
        bucket.blob(name).upload_from_string(b"x")
    start = len(proxy.seen)
    below = {"gs://in/crawl/a.jsonl", "gs://in/crawl/b/c.jsonl"}
    assert {each.address for each in find("gs://in/crawl")} == below
    assert {each.address for each in find("gs://in/crawl/")} == below
    listed = [path for _, path in proxy.seen[start:] if "prefix=" in path]
    assert len(listed) == 2
    assert all("prefix=crawl/" in path for path in listed)
    assert len(list(find("gs://in"))) == 4
    assert list(find("gs://in/cra")) == []


def test_a_lease_goes_with_its_holder_though_an_answer_was_lost(proxy: emulator.Proxy) -> None:
    store = CloudStore("gs://out/corpus/store")
    proxy.choose("POST", "/upload/storage/v1/b/out/o", "cut after")
    with store.in_use():
        assert proxy.failed == 1
        assert len(list(store.list("leases"))) == 1
    assert list(store.list("leases")) == []


def test_gc_keeps_what_a_release_names(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    finish(run)
    nights.write_shards(tmp_path / "in", [0, 1, 2], 50, bad_from=1)
    emulator.moved(one_night, tmp_path)
    finish(run)
    corpus = Corpus("gs://out/corpus")
    assert list(corpus.numbers()) == [1, 2]
    expected = emulator.contents("gs://out/corpus")
    with corpus.store.in_use(), pytest.raises(UsageError, match="a run is under way"):
        collect(corpus, 1, 0, is_trial=False)
    assert collect(corpus, 2, 30, is_trial=False).objects == 0
    done = collect(corpus, 1, 0, is_trial=False)
    assert done.releases == (1,)
    assert done.objects > 20
    assert list(corpus.numbers()) == [2]
    assert list(verify(corpus)) == []
    assert emulator.contents("gs://out/corpus") == expected
    assert "nothing to do" in finish(run)


def test_of_two_gc_at_once_one_begins(proxy: emulator.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked, and seen nobody, before either says that it begins."""
    one, other = CloudStore("gs://out/corpus/store"), CloudStore("gs://out/corpus/store")
    swap, began = CloudStore.swap, []

    def begin_first(store: CloudStore, name: str, value: bytes, generation: int) -> None:
        if store is one:
            began.append(other.not_in_use())
            began[0].__enter__()
        swap(store, name, value, generation)

    monkeypatch.setattr(CloudStore, "swap", begin_first)
    with pytest.raises(UsageError, match="another gc began at the same time"), one.not_in_use():
        pass
    with pytest.raises(UsageError, match="another gc is under way"), CloudStore("gs://out/corpus/store").not_in_use():
        pass
    began[0].__exit__(None, None, None)
    with CloudStore("gs://out/corpus/store").not_in_use():
        pass


def test_a_part_that_went_before_a_run_was_published_is_named(
    proxy: emulator.Proxy, one_night: Path, tmp_path: Path
) -> None:
    run = emulator.moved(one_night, tmp_path)
    finish(run, "--no-publish", "--name", "waits")
    (part, *_) = [name for name in emulator.generations("out") if "/parts/" in name and name.endswith("clean.jsonl")]
    storage.Client().bucket("out").blob(part.removeprefix("gs://out/")).delete()
    said = nights.finish_here(["publish", "gs://out/corpus", "--run", "waits"], code=1)
    assert f"{part} is gone, which is clean/" in said
    assert "run again, which makes it anew" in said
    finish(run)
    assert list(verify(Corpus("gs://out/corpus"))) == []


def test_status_writes_nothing(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    finish(emulator.moved(one_night, tmp_path), "--no-publish")
    start = len(proxy.seen)
    assert "finished" in nights.finish_here(["status", "gs://out/corpus"])
    assert {method for method, _ in proxy.seen[start:]} == {"GET"}
    assert not [path for _, path in proxy.seen[start:] if "store/layers" in path], "what is done is not listed"


@pytest.mark.parametrize(
    ("policies", "said"),
    [
        ({"retentionPolicy": {"retentionPeriod": "3600"}}, "the bucket has a retention policy"),
        ({"defaultEventBasedHold": True}, "the bucket has holds by default"),
    ],
)
def test_a_bucket_whose_objects_cannot_be_replaced_is_refused(
    policies: dict[str, object], said: str, proxy: emulator.Proxy
) -> None:
    proxy.policies = policies
    with pytest.raises(UsageError, match=said):
        CloudStore("gs://out/corpus").check()


@pytest.mark.parametrize("fate", ["cut before", "cut after", "503"])
def test_an_upload_in_parts_that_is_interrupted_goes_on(fate: str, proxy: emulator.Proxy, tmp_path: Path) -> None:
    """Over 8 MB an object goes in parts, each in a request of its own."""
    big = tmp_path / "big"
    big.write_bytes(random.Random(1).randbytes(20_000_000))
    store = CloudStore("gs://out/parts")
    for _ in range(3):
        proxy.choose("PUT", "/upload/", fate)
    digest = store.create_once("big", big)
    assert proxy.failed == 3
    assert store.read("big") == big.read_bytes()
    assert store.create_once("big", big) == digest


def test_a_pointer_whose_answer_was_lost_is_set(proxy: emulator.Proxy) -> None:
    store = CloudStore("gs://out/race")
    store.swap("current.json", b"one", 0)
    generation = store.pointer("current.json")[1]
    proxy.choose("POST", "/upload/storage/v1/b/out/o", "cut after")
    store.swap("current.json", b"two", generation)
    assert proxy.failed == 1
    value, now = store.pointer("current.json")
    assert (value, now != generation) == (b"two", True)
    with pytest.raises(StoreConflictError, match="set by another process"):
        store.swap("current.json", b"three", generation)


def test_what_killed_processes_left_in_the_cache_goes_after_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path))
    old, young = time.time() - 8 * 86_400, time.time() - 6 * 86_400
    for name, when in (("old", old), ("young", young)):
        for place in ("objects/root/layers", "tmp", f"artefacts/{name}-list", f"release-{name}/staged"):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            (tmp_path / place / name).write_bytes(b"x")
            os.utime(tmp_path / place / name, (when, when))
        for folder in (f"artefacts/{name}-list", f"release-{name}"):
            os.utime(tmp_path / folder, (when, when))
    machine_folder()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [
        *("artefacts/young-list/young", "objects/root/layers/young", "release-young/staged/young", "tmp/young"),
    ]


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_copy_is_on_the_disk_before_it_has_its_name(
    is_folder: bool, proxy: emulator.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.Client().bucket("out").blob("c/store/one/two").upload_from_string(b"x")
    synced: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def note(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115
        fsync(handle)

    def check(path: Path, target: Path) -> Path:
        assert str(path / "two" if is_folder else path) in synced
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "rename", check)
    place = (
        fetch_folder("gs://out/c/store/one") / "two" if is_folder else CloudStore("gs://out/c/store").local("one/two")
    )
    assert place.read_bytes() == b"x"
    assert str(place.parent.parent if is_folder else place.parent) in synced


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("gs://in/c", ["a.jsonl", "deep/b.jsonl.gz", "deep/er/c.parquet"]),
        ("gs://in/c/", ["a.jsonl", "deep/b.jsonl.gz", "deep/er/c.parquet"]),
        ("gs://in/c/*", ["a.jsonl", "notes.txt"]),
        ("gs://in/c/**/*.parquet", ["deep/er/c.parquet"]),
        ("gs://in/c/**.gz", ["deep/b.jsonl.gz"]),
        ("gs://in/c/?.jsonl", ["a.jsonl"]),
        ("gs://in/c/[b-z].jsonl", []),
        ("gs://in/c/[!b-z].jsonl", ["a.jsonl"]),
        ("gs://in/c/notes.txt", ["notes.txt"]),
        ("gs://in/c/absent", []),
    ],
)
def test_a_pattern_names_objects(pattern: str, found: list[str], proxy: emulator.Proxy) -> None:
    hidden = (
        "_SUCCESS",
        ".hidden.jsonl",
        "_temporary/0/part.jsonl",
        "deep/.tmp/x.parquet",
        "_delta_log/1.parquet",
        "deep/",
        "",
    )
    for name in ("a.jsonl", "deep/b.jsonl.gz", "deep/er/c.parquet", "notes.txt", *hidden):
        storage.Client().bucket("in").blob(f"c/{name}").upload_from_string(b"x")
    storage.Client().bucket("in").blob("cc/d.jsonl").upload_from_string(b"x")
    assert [each.path for each in list_shards(pattern, "gs://in/c")] == found


def test_listing_goes_page_by_page(proxy: emulator.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "_PAGE", 10)
    bucket = storage.Client().bucket("in")
    for number in range(23):
        bucket.blob(f"many/{number:05}.jsonl").upload_from_string(b"x")
    start = len(proxy.seen)
    found = list_shards("gs://in/many", "gs://in/many")
    assert [each.path for each in found] == [f"{number:05}.jsonl" for number in range(23)]
    asked = [path for _, path in proxy.seen[start:]]
    assert sum("/o?" in path for path in asked) == 3
    # Besides the pages: is there an object of this name, and if not, is there the bucket?
    assert len(asked) <= 5


def test_what_is_wrong_is_said_with_the_remedy(proxy: emulator.Proxy, tmp_path: Path, one_night: Path) -> None:
    shards = str(tmp_path / "in")
    assert "there is no such bucket" in nights.finish_here(["run", shards, "-o", "gs://absent/x", "-q"], code=2)
    assert "only folders and gs:// can be written" in nights.finish_here(
        ["run", shards, "-o", "s3://b/x", "-q"], code=2
    )
    assert "both be folders or both be on gs://" in nights.finish_here(
        ["run", str(emulator.moved(one_night, tmp_path, restricted=str(tmp_path / "private")))], code=2
    )
    assert "between two slashes" in nights.finish_here(["run", shards, "-o", "gs://out//x", "-q"], code=2)
    assert "nothing matches" in nights.finish_here(["run", "gs://in/none/*.jsonl", "-o", "gs://out/x", "-q"], code=2)
    said = nights.finish_here(
        ["run", shards, "-o", str(tmp_path / "o"), "-q", "--runner", "dataflow", *_DATAFLOW], code=2
    )
    assert "is a folder of this machine" in said
    assert "no corpus here" in nights.finish_here(["publish", "gs://out/nothing"], code=2)


_DATAFLOW = tuple(
    word
    for option in ("project=demo-project", "region=us-central1", "temp_location=gs://out/tmp", "sdk_container_image=x")
    for word in ("--beam", option)
)


def test_commands_work_on_an_address(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    assert "all that can be known before a run is well" in nights.finish_here(["check", str(run)])
    finish(run, "--no-publish")
    assert "release 1 is in gs://out/corpus" in nights.finish_here(["publish", "gs://out/corpus/"])
    assert "release 1 is as it says" in nights.finish_here(["verify", "gs://out/corpus"])
    listed = nights.finish_here(["files", "gs://out/corpus", "all"]).split()
    assert all(next(find(address))[0] == address for address in listed)
    release = Corpus("gs://out/corpus").release()
    clean = Corpus("gs://out/corpus").releases.read(1, "clean.files.txt").decode().split()
    assert clean == nights.finish_here(["files", "gs://out/corpus"]).split()
    said = nights.finish_here(["explain", "gs://out/corpus", "s1r5"])
    assert "shard-001.jsonl.gz" in said
    page = tmp_path / "report.html"
    nights.finish_here(["report", "gs://out/corpus", "--to", str(page)])
    assert page.read_bytes() == copy_of(release.read("report.html"))


def test_notes_of_a_run_are_read_back(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = prepare(read_run_file(emulator.moved(one_night, tmp_path)))
    notes = Notes(run.job.root, run.name)
    assert notes.read("started") is None
    with pytest.raises(UsageError, match="does not see the output"):
        notes.check_here()
    notes.begin("2026-01-01T00:00:00+00:00", "local", "release")
    notes.check_here()
    with pytest.raises(UsageError, match="mend it"), notes.step():
        raise UsageError("mend it")
    (kept,) = notes.errors()
    assert (type(kept.as_ours), str(kept.as_ours)) == (UsageError, "mend it")


def test_the_example_is_read_by_beams_own_file_system(
    proxy: emulator.Proxy, courses: dict[str, Course], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a release lists can be read by a Beam pipeline of anybody's."""
    import apache_beam as beam
    from apache_beam.testing.util import assert_that, equal_to

    monkeypatch.setenv("NO_GCE_CHECK", "true")  # there is no metadata server to wait for
    emulator.upload(ROOT / "examples" / "corpus", "gs://in/example")
    nights.finish_here(["run", "gs://in/example", "-o", "gs://out/example", *nights.AS_OF])
    release = Corpus("gs://out/example").release()
    parts = [f for f in release.manifest["files"] if f["path"].startswith("clean/") and f["path"].endswith(".parquet")]
    runner = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
    with beam.Pipeline(runner=runner) as pipeline:
        rows = (
            pipeline
            | beam.Create([release.where(part["path"]) for part in parts])
            | beam.io.ReadAllFromParquet()
            | beam.combiners.Count.Globally()
        )
        assert_that(rows, equal_to([sum(part["records"] for part in parts)]))
