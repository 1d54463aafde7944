"""Withdrawal: what is withdrawn is gone after one run, only the splits that hold it are rewritten, and nothing of its text stays."""

import itertools
import json
import multiprocessing
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    files,
    manifest,
    objects,
    records,
    write_list,
    write_shard,
)
from test_no_leak import leaks

from models.errors import UsageError
from models.ledger import add, lift, read_ledger
from models.store import LocalStore
from models.withdrawals import Withdrawal, work_target
from pipeline.corpus import Corpus
from pipeline.gc import collect
from pipeline.verify import verify

ROOT = Path(__file__).resolve().parents[2]
KEY = "WINNOW_TEST_KEY"
WORK = "the clockmaker of delft"
"""Found by a list, in a category of works: to withdrawals a finding is a finding, whatever tagger made it."""

GIVEN = ("--basis", "takedown", "--by", "a.clerk", "--received", "2025-12-01", "--decided", "2025-12-02")
Nights = Callable[[int], None]


def secret(kind: str, number: int = 0) -> str:
    """Return a token that stands in no text but that of what is withdrawn."""
    return f"token{kind}{number}x"


def planted(source: str, kind: str, text: str = "", number: int = 0, **more: Any) -> dict[str, Any]:
    base = {"id": f"{kind}-{number}", "source": source, "url": f"https://{source}/{kind}/{number}"}
    return base | {"text": f"{text} {secret(kind, number)} in the evening."} | more


def night(folder: Path, number: int) -> list[Path]:
    """Write the shards of one of three nights; all that is going to be withdrawn is spread over them."""
    plain = [
        record | {"url": f"https://plain.example/{record['id']}"}
        for record in records("plain.example", 30, first=100 * number)
    ]
    quiet = write_shard(folder / f"quiet-{number}.jsonl", records("calm.example", 30, first=100 * number))
    if number == 0:
        held = [
            planted("plain.example", "work", f"From {WORK}:"),
            planted("plain.example", "subject", f"Write to {MAIL}."),
            planted("plain.example", "subject", f"{UNLAWFUL}, says {MAIL}.", 1),
            planted("plain.example", "work", f"{UNLAWFUL}: {WORK}", 1),
        ]
        return [quiet, write_shard(folder / "a.jsonl", [*plain[:10], *held, *plain[10:]])]
    if number == 1:
        held = [planted("gone.example", "source", number=each) for each in range(4)]
        held += [planted("gone.example", "source", UNLAWFUL, number=4), planted("plain.example", "work", WORK, 2)]
        return [quiet, write_shard(folder / "b.jsonl.gz", [*plain, *held])]
    held = [
        planted("plain.example", "page", url="https://Plain.example:443/a/../page?x=1#top"),
        planted("plain.example", "folder", url="http://plain.example/of/ada/1.html"),
        planted("plain.example", "host", url="https://blog.gone.example/"),
        planted("plain.example", "record"),
        planted("plain.example", "copy", id="copy-of"),
    ]
    pq.write_table(pa.Table.from_pylist([*plain, *held]), folder / "c.parquet", row_group_size=20)
    broken = f'{{"id": "dead", "text": "{secret("dead")}"'.encode() + b"\n"
    return [
        quiet,
        folder / "c.parquet",
        write_shard(folder / "d.jsonl", [*records("calm.example", 5, first=900), broken]),
    ]


WITHDRAWN = {
    "work": ("--work", WORK),
    "subject": ("--subject", MAIL.upper(), "--key-env", KEY),
    "source": ("--source", "gone.example"),
    "page": ("--url", "http://plain.example/page?x=1"),
    "folder": ("--url", "https://plain.example/of/ada/*"),
    "host": ("--url", "gone.example"),
    "record": ("--record", "record-0"),
    "copy": ("--record", "c.parquet#34"),
    "dead": ("--record", "d.jsonl#{dead}"),
}
COUNTS = {"work": 3, "subject": 2, "source": 5, "page": 1, "folder": 1, "host": 6, "record": 1, "copy": 1, "dead": 1}
"""How many entries each names: the host is that of the source's five records too."""

TOUCHED = {"a.jsonl", "b.jsonl.gz", "c.parquet", "d.jsonl"}
SECRETS = [secret("work", n) for n in range(3)] + [secret("subject", n) for n in range(2)]
SECRETS += [secret("source", n) for n in range(5)] + [
    secret(kind) for kind in ("page", "folder", "host", "record", "copy", "dead")
]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "0123456789abcdef-a-key-of-a-test")


@pytest.fixture
def screening(screen: Screen) -> Screen:
    screen.list = write_list(screen.folder / "list", {UNLAWFUL: "A.1.h", BANNED: "A.2.i", WORK: "copyright.protected"})
    return screen


def parts(out: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in Corpus(out).catalogue().rows():
        found.setdefault(row.split.shard.path, set()).update(part.object for part in row.release.files)
    return found


def dead_at(out: Path) -> int:
    return next(int(row["position"]) for row in audit(out) if row["door"] == "dead")


@pytest.fixture
def three_nights(screening: Screen, tmp_path: Path) -> tuple[Path, Callable[..., Any]]:
    """Three releases of a corpus in which everything is still, and what runs it again."""
    folder, out = tmp_path / "in", tmp_path / "out"

    def again(shards: Any = None, **options: Any) -> Any:
        given = {"key_env": KEY, "input_root": str(folder)} | options
        return screening(folder if shards is None else shards, out, **given)

    for number in range(3):
        again(night(folder, number))
    assert Corpus(out).number == 3
    return out, again


def withdraw_all(cli: Cli, out: Path) -> dict[str, str]:
    ids = {}
    for kind, given in WITHDRAWN.items():
        at = [each.format(dead=dead_at(out)) for each in given]
        code, said, error = cli("withdraw", "add", out, *at, *GIVEN)
        assert code == 0, error
        ids[kind] = said.split(":")[0]
    return ids


def test_what_is_withdrawn_is_gone_after_one_run_and_after_gc_from_every_file(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli, tmp_path: Path
) -> None:
    out, again = three_nights
    assert {each for value in leaks(out, SECRETS, ()).values() for each in value} >= {f"{s} (raw)" for s in SECRETS}
    before, counts = parts(out), manifest(out)["counts"]
    ids = withdraw_all(cli, out)
    assert list(ids.values()) == [f"W{number:04}" for number in range(1, 10)]

    # No night's shards are among the inputs: what is withdrawn leaves earlier releases too.
    new = write_shard(tmp_path / "in" / "new.jsonl", records("calm.example", 20, first=2000))
    result = again([new])
    assert result.outcome.work == result.outcome.work | {"tagged": 1, "released": 5}
    after = parts(out)
    assert {shard for shard in before if after[shard] != before[shard]} == TOUCHED
    assert not leaks(out / "releases" / "4", SECRETS, ())
    assert not list(verify(Corpus(out)))

    # Counts balance, and the manifest says how much, and how long it took.
    now = manifest(out)
    assert now["counts"]["read"] == counts["read"] + 20
    assert now["counts"]["dropped"] == counts["dropped"] + sum(COUNTS.values()) - 5 - COUNTS["dead"]
    assert {row["id"]: row["records"] for row in now["withdrawals"]} == {
        ids[kind]: count for kind, count in COUNTS.items()
    }
    assert {(row["release"], row["as_of"], row["days"]) for row in now["withdrawals"]} == {(4, "2026-01-02", 32)}
    dead = [row for path in (out / "dead").rglob("d.jsonl*") for row in pq.read_table(path).to_pylist()]
    assert [(row["raw"], row["error"]) for row in dead] == [(None, "bad_json")]

    assert not again([new]).published.is_new
    assert leaks(out, SECRETS, ())  # in the releases of before
    trial = collect(Corpus(out), 5, 7, is_trial=True)
    code, said, _ = cli("gc", out, "--keep", "5")
    assert code == 0
    assert f"objects gone: {trial.objects:,}" in said
    assert "with withdrawn text" in said
    assert not leaks(out, SECRETS, ())
    assert [path.name for path in sorted((out / "releases").iterdir())] == ["1", "2", "3", "4"]
    for number in (1, 2, 3, 4):
        assert not list(verify(Corpus(out), number))
    code, said, _ = cli("verify", out, "--release", "2")
    assert code == 0
    assert "purged by withdrawal" in said
    assert "is as it says" in said
    code, listed, _ = cli("files", out, "all", "--release", "3")
    assert all(Path(line).exists() for line in listed.splitlines())
    assert collect(Corpus(out), 5, 7, is_trial=False).withdrawn == 0


def test_explain_and_query_say_so(three_nights: tuple[Path, Callable[..., Any]], cli: Cli) -> None:
    out, again = three_nights
    code, said, _ = cli("query", out, "--work", WORK)
    assert code == 0
    assert said.startswith("used in release 3: 2 clean, 1 quarantine")
    withdraw_all(cli, out)
    assert (
        "withdrawn by W0001 (takedown, received 2025-12-01): in force from the next run on"
        in cli("query", out, "--work", WORK)[1]
    )
    again()
    for kind, given in WITHDRAWN.items():
        code, said, error = cli("query", out, *(each.format(dead=dead_at(out)) for each in given))
        assert code == 0, error
        assert said.startswith("not used in release 4: "), (kind, said)
        assert "received 2025-12-01): gone since release 4" in said
    assert cli("query", out, "--url", "https://plain.example/nowhere")[1] == "not used: never seen in release 4\n"
    facts = json.loads(cli("query", out, "--source", "calm.example", "--json")[1])
    assert facts["used"]
    assert facts["doors"] == {"clean": 95}
    for record in ("work-0", "subject-1", "source-3", "page-0", "record-0", "c.parquet#34"):
        code, said, _ = cli("explain", out, record)
        assert code == 0
        assert "dropped in release 4" in said
        assert "(takedown, received 2025-12-01), in force since release 4" in said
    code, said, _ = cli("withdraw", "list", out)
    assert code == 0
    assert "W0003  in force: source gone.example; takedown" in said
    assert "5 records, since release 4 (32 days)" in said
    rows = pq.read_table(out / "sources.parquet").to_pylist()
    assert {row["source"]: row["withdrawn"] for row in rows if row["withdrawn"]} == {"gone.example": "W0003"}
    assert MAIL.lower() not in "".join(
        path.read_text().lower() for path in (out / "store" / "withdrawals").glob("*.json")
    )
    assert not leaks(out, [MAIL], ("quarantine", "dead"))


def test_a_lifted_withdrawal_brings_back_the_same_bytes(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli
) -> None:
    out, again = three_nights
    before = files(out)
    ids = withdraw_all(cli, out)
    again()
    assert cli("gc", out, "--keep", "5", "--grace", "0")[0] == 0
    for name in ids.values():
        assert (
            cli(
                "withdraw",
                "lift",
                out,
                name,
                "--by",
                "a.clerk",
                "--reason",
                "counter notice",
                "--decided",
                "2025-12-30",
            )[0]
            == 0
        )
    code, _, error = cli("withdraw", "lift", out, "W0001", "--by", "b", "--reason", "c")
    assert (code, "W0001 was lifted on 2025-12-30 by a.clerk" in error) == (2, True)
    again()
    after = files(out)
    assert {name for name in before if before[name] != after[name]} <= {"sources.csv", "sources.parquet"}
    assert {row["lifted"] for row in manifest(out)["withdrawals"]} == {5}
    assert "lifted" in cli("withdraw", "list", out)[1]
    assert not list(verify(Corpus(out)))


@pytest.mark.parametrize("order", [(2, 1, 0), (1, 2, 0)])
def test_nights_in_another_order_end_in_the_same_bytes(
    three_nights: tuple[Path, Callable[..., Any]], screening: Screen, cli: Cli, tmp_path: Path, order: tuple[int, ...]
) -> None:
    out, again = three_nights
    withdraw_all(cli, out)
    again()
    other = tmp_path / "other"
    shards = [night(tmp_path / "in", number) for number in range(3)]
    for place, number in enumerate(order):
        screening(shards[number], other, key_env=KEY, input_root=str(tmp_path / "in"))
        if place == 0:  # decided before the other nights come: a copy of the ledger, as the commands wrote it
            shutil.copytree(out / "store" / "withdrawals", other / "store" / "withdrawals", dirs_exist_ok=True)
    made, wanted = files(other), files(out)
    # It says since which release a source is on hold.
    del made["blacklist.json"], wanted["blacklist.json"]
    assert made == wanted


def test_a_run_that_loses_the_race_does_not_undo_a_withdrawal(
    three_nights: tuple[Path, Callable[..., Any]], screening: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawal is decided, and comes into force by another run, while a run that began before is under way."""
    out, again = three_nights
    from pipeline import launch as launching

    execute, done = launching._execute, []

    def outrun(run: Any) -> Any:
        made = execute(run)
        if not done:
            done.append(run.name)
            decision = Withdrawal("", work_target(WORK), "takedown", "2025-12-01", "2025-12-02", "a.clerk")
            assert add(Corpus(out).store, decision).id == "W0001"
            again([tmp_path / "in" / "a.jsonl"])
        return made

    monkeypatch.setattr(launching, "_execute", outrun)
    new = write_shard(
        tmp_path / "in" / "new.jsonl", [planted("plain.example", "work", WORK, 9), *records("calm.example", 9)]
    )
    assert again([new]).published.number == 5
    assert any("planning again" in line for line in screening.said)
    held = [row for row in audit(out) if any(r["policy_rule"] == "withdrawn:W0001" for r in row["reasons"] or ())]
    assert len(held) == 4
    assert not leaks(out / "releases" / "5", [secret("work", n) for n in (0, 1, 2, 9)], ())


def test_what_a_killed_run_left_behind_goes_without_grace(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli, tmp_path: Path
) -> None:
    out, again = three_nights
    # As after a kill: parts that no release names, and a file on its way.
    again(write_shard(tmp_path / "in" / "e.jsonl", [planted("plain.example", "work", WORK, 7)]), to_publish=False)
    shutil.rmtree(out / "store" / "runs")
    (out / "store" / "tmp").mkdir(exist_ok=True)
    (out / "store" / "tmp" / "half").write_text(secret("work", 7))
    time.sleep(1.1)  # a release says in whole seconds when its run started
    assert cli("withdraw", "add", out, "--work", WORK, *GIVEN)[0] == 0
    again()
    assert secret("work", 7) in str(leaks(out, [secret("work", 7)], ()))
    assert cli("gc", out)[0] == 0
    assert not leaks(out, [secret("work", n) for n in (0, 1, 2, 7)], ())


def test_a_gc_that_is_cut_short_is_finished_by_the_next(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, again = three_nights
    withdraw_all(cli, out)
    again()

    def fail(store: LocalStore, name: str) -> None:
        raise OSError(f"{store.root}/{name}: the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(LocalStore, "delete", fail)
        assert cli("gc", out, "--keep", "5")[0] == 1
    assert leaks(out, SECRETS, ())
    assert not list(verify(Corpus(out), 3))
    assert cli("gc", out, "--keep", "5")[0] == 0
    assert not leaks(out, SECRETS, ())
    for number in (1, 2, 3, 4):
        assert not list(verify(Corpus(out), number))


def test_what_lies_apart_and_what_left_the_corpus_is_purged_too(screening: Screen, tmp_path: Path, cli: Cli) -> None:
    out, apart, folder = tmp_path / "out", tmp_path / "apart", tmp_path / "in"
    given = {"key_env": KEY, "input_root": str(folder), "restricted": str(apart)}
    first, second = night(folder, 0), night(folder, 1)
    screening([*first, *second], out, **given)
    tokens = [each for each in SECRETS if "work" in each or "source" in each]
    # The shard with two of the work's records leaves, the other one stays.
    screening([first[0], *second], out, exact=True, **given)
    assert cli("withdraw", "add", out, *WITHDRAWN["work"], *GIVEN)[0] == 0
    assert cli("withdraw", "add", out, *WITHDRAWN["source"], *GIVEN)[0] == 0
    screening([first[0], *second], out, exact=True, **given)
    assert leaks(out, tokens, ())
    assert leaks(apart, tokens, ())
    assert cli("gc", out, "--keep", "5")[0] == 0
    assert not leaks(out, tokens, ())
    assert not leaks(apart, tokens, ())
    for number in (1, 2, 3):
        assert not list(verify(Corpus(out), number))


def test_a_subject_under_another_key_stops_the_run(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, again = three_nights
    assert cli("withdraw", "add", out, *WITHDRAWN["subject"], *GIVEN)[0] == 0
    monkeypatch.setenv(KEY, "another-key-another-key-another")
    with pytest.raises(UsageError, match="W0001 knows a person by hashes under another key"):
        again()
    assert "not that of the runs" in cli("query", out, *WITHDRAWN["subject"])[2]
    with pytest.raises(UsageError, match="only the tagger personal finds"):
        again(taggers={"lexicon": {"lists": []}})


def test_a_run_that_would_not_find_what_is_withdrawn_is_refused(
    three_nights: tuple[Path, Callable[..., Any]], cli: Cli
) -> None:
    out, again = three_nights
    assert cli("withdraw", "add", out, *WITHDRAWN["subject"], *GIVEN)[0] == 0
    other = {"lexicon": {"lists": []}, "personal": {"entities": ["iban"]}}
    with pytest.raises(
        UsageError, match=r"W0001 is about a person by personal\.email, which this run does not look for"
    ):
        again(taggers=other)
    assert cli("withdraw", "lift", out, "W0001", "--by", "a", "--reason", "b")[0] == 0
    assert cli("withdraw", "add", out, *WITHDRAWN["work"], *GIVEN)[0] == 0
    with pytest.raises(UsageError, match="W0003 is of the work 'the clockmaker of delft', which no list or index"):
        again(taggers={"lexicon": {"lists": []}, "personal": {}})
    assert again().published.number == 4


def test_what_nothing_looked_for_cannot_be_told(screening: Screen, tmp_path: Path, cli: Cli) -> None:
    out, key = tmp_path / "out", ("--key-env", KEY)
    shard = write_shard(tmp_path / "a.jsonl", records("a.example", 3))
    index = ROOT / "configs" / "indexes" / "illustrative"
    taggers = {"personal": {"entities": ["iban"]}, "fingerprint": {"indexes": ["illustrative"]}}
    screening(shard, out, key_env=KEY, taggers=taggers)
    for given, said in (
        (("--subject", MAIL, *key), "its runs do not look for personal.email"),
        (("--url", "https://a.example/x"), "no record has a URL"),
        (("--work", "harbour-lamp"), "does not say whether its lists and indexes have this work"),
        (("--work", "harbour-lam", "--index", index), "no index that was named has this work"),
    ):
        code, told, _ = cli("query", out, *given)
        assert code == 6, (given, told)
        assert said in told
        assert json.loads(cli("query", out, *given, "--json")[1])["used"] is None
    assert cli("query", out, "--work", "harbour-lamp", "--index", index)[:2] == (
        0,
        "not used: never seen in release 1\n",
    )
    assert "was not made with it" in cli("query", out, "--work", "x", "--index", ROOT / "configs/lists/illustrative")[2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "exactly one of"),
        (("--record", ""), "--record: nothing is named"),
        (("--work", "a", "--source", "b"), "exactly one of"),
        (("--subject", MAIL), "--key-env"),
        (("--subject", "nobody", "--key-env", KEY), "no kind of personal data"),
        (("--url", "https://a.example/b*"), "ends at a slash"),
        (("--url", f"https://a.example/{'b/' * 9}*"), "8 folders deep"),
        (("--source", MAIL), "without a key all such sources have one name"),
        (("--work", "a", "--received", "yesterday"), "say a date"),
        (("--work", "a", "--received", "2999-01-01", "--decided", "2999-01-02"), "still to come"),
        (("--record", "sha256:zz"), "64 hexadecimal digits"),
        (("--record", "sha256:" + "ab" * 31), "64 hexadecimal digits"),
        (("--work", "a", "--received", "2026-02-02", "--decided", "2026-02-01"), "is after"),
    ],
)
def test_what_cannot_be_withdrawn_is_refused_by_name(
    screening: Screen, tmp_path: Path, cli: Cli, given: tuple[str, ...], said: str
) -> None:
    out = tmp_path / "out"
    screening(write_shard(tmp_path / "a.jsonl", records("a.example", 3)), out, key_env=KEY)
    code, _, error = cli("withdraw", "add", out, *given, "--basis", "takedown", "--by", "a")
    assert code == 2
    assert said in error
    assert MAIL not in error
    assert not read_ledger(LocalStore(out / "store"))


def _add_some(root: Path, name: str) -> None:
    for number in range(10):
        add(
            LocalStore(root),
            Withdrawal("", work_target(f"{name}-{number}"), "takedown", "2025-12-01", "2025-12-02", name),
        )


def test_decisions_that_are_entered_at_once_are_all_kept(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("forkserver")
    clerks = [fork.Process(target=_add_some, args=(tmp_path, name)) for name in "abc"]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
        assert clerk.exitcode == 0
    found = read_ledger(LocalStore(tmp_path))
    assert [each.id for each in found] == [f"W{number:04}" for number in range(1, 31)]
    wanted = {f"{name}-{number}" for name, number in itertools.product("abc", range(10))}
    assert {each.target.shown for each in found} == wanted
    lift(LocalStore(tmp_path), "W0007", "2026-01-01", "a", "b")
    assert [each.id for each in read_ledger(LocalStore(tmp_path)) if not each.in_force] == ["W0007"]


def test_withdrawals_that_name_nothing_rewrite_nothing(three_nights: tuple[Path, Callable[..., Any]], cli: Cli) -> None:
    out, again = three_nights
    made = {name for name in objects(out) if name.startswith(("parts/", "layers/"))}
    assert cli("withdraw", "add", out, "--source", "never.example", *GIVEN)[0] == 0
    result = again()
    assert result.published.number == 4  # a release that says so
    assert result.outcome.work == result.outcome.work | {"tagged": 0, "released": 0}
    assert {name for name in objects(out) if name.startswith(("parts/", "layers/"))} == made
