"""Records that lists purge leave nothing behind but position, hash and date; blocked and unproven ones leave by the door of the policy."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Cli, Record, Screen, audit, contents, manifest, records, states, texts, write_shard
from test_no_leak import leaks

from models.artefact import describe
from models.documents import Documents
from models.findings import Findings
from models.store import LocalStore
from models.taggers.lexicon import Lexicon
from pipeline.corpus import Corpus
from pipeline.verify import verify

SECRET = {
    "id": "an-id-of-nobody",
    "source": "nobody.example",
    "url": "https://nobody.example/an-address",
    "text": "Words that nothing may keep, sure win at the wheel.",
}
SHA256 = hashlib.sha256(SECRET["text"].encode()).hexdigest()
VALUES = [*SECRET.values(), "a secret reference"]
RULES = """
  - id: blocked
    match: {category: ["blocked", "blocked.*"]}
    action: drop
  - id: provenance
    match: {category: ["provenance.*"]}
    action: quarantine
"""


def artefact(folder: Path, kind: str, name: str, content: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, "utf-8")
    describe(folder, kind=kind, version=1, names=[name], title=f"the {folder.name}", licence="", made_with="a test")
    return str(folder)


def blocked(folder: Path, *rows: str) -> str:
    return artefact(folder, "blocked", "list.tsv", "\n".join(["kind\tvalue\tclass\treference", *rows, ""]))


PURGE = f"content\t{SHA256}\tpurge\ta secret reference"


def corpus(folder: Path) -> Path:
    """Write the secret among others, in every format; also under a source that is bad as a whole."""
    plain = records("plain.example", 40)
    bad: list[Record] = [*records("bad.example", 30, unlawful=20), SECRET | {"source": "bad.example", "id": "b"}]
    write_shard(folder / "a.jsonl", [*plain[:20], SECRET, *plain[20:], SECRET, *bad])
    write_shard(folder / "b.jsonl.gz", [SECRET, *records("plain.example", 5, first=40)])
    pq.write_table(pa.Table.from_pylist([*plain, SECRET, *records("plain.example", 9, first=50)]), folder / "c.parquet")
    return folder


def taggers(screen: Screen, *lists: str) -> dict[str, Any]:
    return {"lexicon": {"lists": [str(screen.list)]}, "personal": {}, "blocked": {"lists": list(lists)}}


@pytest.fixture
def strict(screen: Screen) -> Screen:
    screen.policy.write_text(screen.policy.read_text("utf-8") + RULES, "utf-8")
    return screen


def purged(out: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((out / "purged.json").read_text("utf-8"))["purged"]
    return found


def test_nothing_of_a_purged_record_stands_in_any_file_but_its_hash(strict: Screen, tmp_path: Path) -> None:
    out = tmp_path / "out"
    given = taggers(strict, blocked(tmp_path / "orders", PURGE))
    strict(corpus(tmp_path / "in"), out, taggers=given)
    assert leaks(out, [*VALUES, "nobody.example"], but=()) == {}
    rows = [row for row in audit(out) if row["sha256"]]
    assert len(rows) == 5
    for row in rows:
        said = {name for name, value in row.items() if value is not None}
        assert said == {"shard", "position", "through", "records", "door", "action", "sha256"}
        assert (row["door"], row["sha256"]) == ("dropped", SHA256)
    assert [(entry["sha256"], entry["count"], entry["lists"]) for entry in purged(out)] == [(SHA256, 5, ["the orders"])]
    assert manifest(out)["counts"]["dropped"] == 5
    assert "nobody.example" not in states(out)
    assert list(verify(Corpus(str(out)))) == []


def test_a_purge_that_comes_later_takes_the_record_out_of_everything_current(strict: Screen, tmp_path: Path) -> None:
    """Layers of the first night hold no text, but findings and the source's name; later readings of them must not."""
    out, given = tmp_path / "out", corpus(tmp_path / "in")
    strict(given, out, taggers=taggers(strict, blocked(tmp_path / "orders", "host\tother.example")))
    assert SECRET["text"] in texts(out, "quarantine")
    strict(given, out, taggers=taggers(strict, blocked(tmp_path / "orders", PURGE)))
    anew = tmp_path / "anew"
    strict(given, anew, taggers=taggers(strict, str(tmp_path / "orders")))
    assert contents(out) == contents(anew)
    assert (out / "sources.csv").read_bytes() == (anew / "sources.csv").read_bytes()
    assert SECRET["text"] not in texts(out, "quarantine") + texts(out)
    assert list(verify(Corpus(str(out)))) == []


def _earlier(strict: Screen, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    """Two releases with the secret and a third that purged it; its first shard left the corpus, another one came."""
    out, folder = tmp_path / "out", corpus(tmp_path / "in")
    shards = sorted(folder.iterdir())
    given = {"input_root": str(folder)}
    before = taggers(strict, blocked(tmp_path / "orders", "host\tother.example"))
    strict(shards, out, taggers=before, **given)
    more = write_shard(folder / "more.jsonl", records("plain.example", 9, first=200))
    strict([more], out, taggers=before, **given)
    after = taggers(strict, blocked(tmp_path / "orders", PURGE))
    strict([*shards[1:], more], out, taggers=after, exact=True, **given)
    return out, after


def test_gc_takes_a_purged_record_out_of_earlier_releases_and_layers(strict: Screen, tmp_path: Path, cli: Cli) -> None:
    out, _ = _earlier(strict, tmp_path)
    held = [SECRET["text"], SECRET["id"], SECRET["url"]]
    assert leaks(out, held, but=())
    at = next(row for row in audit(out) if row["sha256"])
    assert cli("gc", out, "--keep", "5")[0] == 0
    assert leaks(out, held, but=()) == {}
    # The layers that are left know no source, id or finding of it; tables of earlier releases still name the source.
    assert not {name.split("/")[0] for name in leaks(out / "store", ["nobody.example"], but=())} & {"layers", "parts"}
    for number in (1, 2, 3):
        assert list(verify(Corpus(str(out)), number)) == []
    assert "purged by a list of contents to purge on" in cli("verify", out, "--release", "1")[1]
    place = f"{at['shard']}#{at['position']}"
    assert "its part of the audit was purged by a list" in cli("explain", out, place, "--release", "1")[1]
    assert f"SHA-256 of its text, {SHA256}" in cli("explain", out, place)[1]
    assert "kept: no rule" in cli("explain", out, "plain.example-200", "--release", "2")[1]
    # Of a shard that is gone from the corpus, too.
    assert "its part of the audit was purged by a list" in cli("explain", out, "a.jsonl#0", "--release", "1")[1]
    assert "5 records are purged" not in cli("query", out, "--record", SECRET["id"])[1]
    assert "2 records are purged, of which only the hash is known" in cli("query", out, "--record", SECRET["id"])[1]
    assert cli("query", out, "--record", f"sha256:{SHA256}")[1].startswith("not used in release 3: 2 dropped")
    assert "objects gone: 0" in cli("gc", out, "--keep", "5")[1]


def test_a_layer_that_is_missing_is_told_and_not_taken_for_a_purged_one(
    strict: Screen, tmp_path: Path, cli: Cli
) -> None:
    out, _ = _earlier(strict, tmp_path)
    name = next(Corpus(str(out)).catalogue().rows()).layers[0].name
    (out / "store" / name).unlink()
    assert f"{name}: missing in the store" in list(verify(Corpus(str(out))))
    code, _, error = cli("explain", out, "plain.example-200")
    assert (code != 0, name in error) == (True, True)


def test_a_record_that_is_both_withdrawn_and_purged_is_gone_too(strict: Screen, tmp_path: Path, cli: Cli) -> None:
    out, after = _earlier(strict, tmp_path)
    given = ("--basis", "takedown", "--by", "a.clerk", "--received", "2025-12-01", "--decided", "2025-12-02")
    assert cli("withdraw", "add", out, "--record", SECRET["id"], *given)[0] == 0
    assert cli("withdraw", "add", out, "--record", "plain.example-3", *given)[0] == 0
    folder = tmp_path / "in"
    strict([folder / "more.jsonl"], out, taggers=after, input_root=str(folder))
    assert cli("gc", out, "--keep", "5")[0] == 0
    # The id is what the decision in the ledger is about.
    assert leaks(out, [SECRET["text"], SECRET["url"]], but=()) == {}
    for number in (1, 2, 3, 4):
        assert list(verify(Corpus(str(out)), number)) == []


def test_a_gc_of_purged_records_that_is_cut_short_is_finished_by_the_next(
    strict: Screen, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = _earlier(strict, tmp_path)
    real, left = LocalStore.delete, [3]

    def delete(store: LocalStore, name: str) -> None:
        if not left[0]:
            raise OSError(f"{store.root}/{name}: the disk is gone")
        left[0] -= 1
        real(store, name)

    while True:
        with monkeypatch.context() as patched:
            patched.setattr(LocalStore, "delete", delete)
            code = cli("gc", out, "--keep", "5")[0]
        for number in (1, 2, 3):
            assert list(verify(Corpus(str(out)), number)) == []
        if code == 0:
            break
        left[0] = 3
    assert leaks(out, [SECRET["text"], SECRET["id"], SECRET["url"]], but=()) == {}


def test_a_new_list_of_another_tagger_makes_no_layer_with_the_purged_record(strict: Screen, tmp_path: Path) -> None:
    out, given, lists = tmp_path / "out", corpus(tmp_path / "in"), blocked(tmp_path / "orders", PURGE)
    strict(given, out, taggers={"blocked": {"lists": [lists]}})
    strict(given, out, taggers=taggers(strict, lists))
    assert leaks(out, [*VALUES, "nobody.example"], but=()) == {}


def test_a_purge_outranks_a_tagger_that_raises(strict: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Lexicon.tag

    def tag(self: Lexicon, documents: Documents) -> Findings:
        if any("nothing may keep" in text for text in documents.text.to_pylist()):
            raise ValueError("on purpose")
        return real(self, documents)

    monkeypatch.setattr(Lexicon, "tag", tag)
    out = tmp_path / "out"
    strict(corpus(tmp_path / "in"), out, taggers=taggers(strict, blocked(tmp_path / "orders", PURGE)))
    assert manifest(out)["counts"]["dead"] == 0
    assert leaks(out, VALUES, but=()) == {}


def test_a_policy_that_forgets_to_drop_cannot_keep_a_purged_record(screen: Screen, tmp_path: Path) -> None:
    out = tmp_path / "out"
    screen(corpus(tmp_path / "in"), out, taggers=taggers(screen, blocked(tmp_path / "orders", PURGE)))
    assert leaks(out, VALUES, but=()) == {}


def test_a_record_that_a_list_lets_go_stays_purged_for_its_layers_do_not_know_it(
    strict: Screen, tmp_path: Path
) -> None:
    out, given = tmp_path / "out", corpus(tmp_path / "in")
    strict(given, out, taggers=taggers(strict, blocked(tmp_path / "orders", PURGE)))
    strict(given, out, taggers=taggers(strict, blocked(tmp_path / "orders", "host\tz.example")))
    assert purged(out)[0]["count"] == 5
    assert purged(out)[0]["lists"] == ["an earlier list", "the orders"]
    assert leaks(out, VALUES, but=()) == {}


def test_what_is_purged_stays_so_when_its_list_goes_and_all_layers_are_made_anew(
    strict: Screen, tmp_path: Path
) -> None:
    out, given = tmp_path / "out", corpus(tmp_path / "in")
    gone, none = blocked(tmp_path / "orders", PURGE), blocked(tmp_path / "none", "host\tz.example")
    # Made before the purge, and valid again after it.
    strict(given, out, taggers={"blocked": {"lists": [none]}})
    strict(given, out, taggers={"blocked": {"lists": [gone]}})
    strict(given, out, taggers={"blocked": {"lists": [none]}})
    assert purged(out)[0]["count"] == 5
    assert SECRET["text"] not in texts(out)
    other = taggers(strict, none) | {"personal": {"phone_regions": ["CN"]}}
    strict(given, out, taggers=other)
    assert purged(out)[0]["count"] == 5
    assert SECRET["text"] not in texts(out) + texts(out, "quarantine")
    assert list(verify(Corpus(str(out)))) == []


def test_since_is_carried_over_and_what_is_gone_stays_with_a_count_of_nought(strict: Screen, tmp_path: Path) -> None:
    out, given = tmp_path / "out", corpus(tmp_path / "in")
    lists = taggers(strict, blocked(tmp_path / "orders", PURGE))
    strict(given, out, taggers=lists)
    first = purged(out)[0]
    write_shard(given / "more.jsonl", [SECRET, *records("plain.example", 3, first=70)])
    strict(given, out, taggers=lists, as_of="2026-02-03")
    assert purged(out) == [first | {"count": 6}]
    assert first["since"] == "2026-01-02"
    write_shard(tmp_path / "other" / "d.jsonl", records("plain.example", 3))
    strict(tmp_path / "other", out, taggers=lists, exact=True)
    assert purged(out) == [first | {"count": 0}]
    assert manifest(out)["notices"] == []


def test_the_command_tells_of_purged_records_and_of_the_duty_to_report(
    strict: Screen, tmp_path: Path, cli: Cli
) -> None:
    lists = taggers(strict, blocked(tmp_path / "orders", PURGE))
    run = tmp_path / "run.yaml"
    out = tmp_path / "out"
    run.write_text(json.dumps(strict.given(corpus(tmp_path / "in"), out, taggers=lists)), "utf-8")
    code, _, errors = cli("run", run, "-q")
    assert code == 0, errors
    assert "notice: 5 records are purged (contents: 1, new: 1) by: the orders" in errors
    assert "oblige you to report" in errors
    assert "5 records are purged" in cli("status", out)[1]
    at = next(row for row in audit(out) if row["sha256"])["position"]
    assert (
        f"purged: nothing is kept of it but the SHA-256 of its text, {SHA256}"
        in cli("explain", out, f"a.jsonl#{at}")[1]
    )
    assert cli("explain", out, SECRET["id"])[0] != 0
    assert cli("verify", out)[0] == 0


def test_verify_compares_the_table_of_purged_contents_with_the_audit(strict: Screen, tmp_path: Path) -> None:
    out = tmp_path / "out"
    strict(corpus(tmp_path / "in"), out, taggers=taggers(strict, blocked(tmp_path / "orders", PURGE)))
    path = (out / "purged.json").resolve()
    path.chmod(0o600)
    path.write_text(path.read_text("utf-8").replace('"count": 5', '"count": 4'), "utf-8")
    assert any(said.startswith("purged.json: its contents are not") for said in verify(Corpus(str(out))))


def test_blocked_and_unproven_records_leave_by_the_doors_of_the_policy_and_count_for_no_source(
    strict: Screen, tmp_path: Path
) -> None:
    plain = [
        each | {"url": f"https://www.plain.example/{n}", "robots_verdict": "allow"}
        for n, each in enumerate(records("plain.example", 30))
    ]
    plain[3]["url"] = "https://sub.blocked.example/"
    plain[4]["robots_verdict"] = "disallow"
    plain[5]["url"] = "https://"
    write_shard(tmp_path / "in" / "a.jsonl", [*plain, *records("ended.example", 25), *records("new.example", 25)])
    registry = artefact(
        tmp_path / "registry",
        "provenance",
        "sources.csv",
        "key,kind,crawl_record,licence,valid_until\nplain.example,self_collected,c/1,,\nended.example,open,,MIT,2025-12-31\n",
    )
    lists = blocked(tmp_path / "orders", "host\tblocked.example\t\torder 1")
    given = taggers(strict, lists) | {"provenance": {"registry": [registry]}}
    out = tmp_path / "out"
    strict(tmp_path / "in", out, taggers=given)
    doors = {
        row["id"]: (row["door"], [(r["category"], r["rule"]) for r in row["reasons"]])
        for row in audit(out)
        if row["id"]
    }
    assert doors["plain.example-3"] == ("dropped", [("blocked.host", "order 1")])
    assert doors["plain.example-4"] == ("quarantine", [("provenance.refused", "robots")])
    assert doors["plain.example-5"] == ("quarantine", [("unscanned", "url")])
    assert doors["ended.example-0"] == ("quarantine", [("provenance.expired", "valid_until")])
    assert doors["new.example-0"] == ("quarantine", [("provenance.missing", "registry")])
    assert len(doors) == 53
    assert set(states(out).values()) == {"clean"}


def test_another_night_tags_anew_only_when_the_registry_says_something_else(strict: Screen, tmp_path: Path) -> None:
    registry = artefact(
        tmp_path / "registry",
        "provenance",
        "s.csv",
        "key,kind,licence,valid_until\nplain.example,open,MIT,2026-01-31\n",
    )
    write_shard(tmp_path / "in" / "a.jsonl", records("plain.example", 25))
    given = {"lexicon": {"lists": [str(strict.list)]}, "provenance": {"registry": [registry]}}
    tagged = []
    for day in ("2026-01-02", "2026-01-31", "2026-02-01", "2026-03-01"):
        result = strict(tmp_path / "in", tmp_path / "out", taggers=given, as_of=day)
        assert result.outcome is not None
        tagged.append(result.outcome.work["tagged"])
    assert tagged == [1, 0, 1, 0]
    assert manifest(tmp_path / "out")["counts"]["quarantined"] == 25
