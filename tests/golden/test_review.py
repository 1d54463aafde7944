"""Review by people, from a release to final verdicts: drawn alike by any cut, judged alone, decided by a third, and never with text in the store."""

import csv
import hashlib
import hmac
import json
import stat
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BANNED, MAIL, POLICY, UNLAWFUL, Cli, Screen, line, records, write_list, write_shard
from test_purge import blocked

from models.artefact import describe
from models.clauses import technical_test
from models.drawing import ALL, strata_digest
from models.reviews import chain_of, final_verdicts, read_reviews
from models.store import LocalStore
from pipeline.corpus import Corpus
from pipeline.document_facts import Chosen, gather
from pipeline.gc import collect
from pipeline.launch import launch, prepare
from pipeline.verify import verify as verify_release

SALT = "0123456789abcdef0123456789abcdef"
HINT = "perhaps a wheel"
"""A term that may mean what is unlawful: it is flagged low."""
Row = dict[str, Any]


def store(out: Path) -> LocalStore:
    return LocalStore(out / "store")


def planted() -> list[Row]:
    """Return records of two sources with every stratum, equal texts, personal data, and ids of their own or none."""
    rows = records("big.example", 90, unlawful=6) + records("small.example", 12, unlawful=2)
    for row in rows[10:20]:
        row["text"] = f"{HINT} {row['id']}"
    rows[30]["text"] = rows[31]["text"] = "the same text twice"
    rows[40]["text"] = f"Write to {MAIL}"
    rows[41]["text"] = f"A {BANNED}"
    for row in rows[50:60]:
        del row["id"]
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the planted records as every kind of shard."""
    rows = planted()
    write_shard(tmp_path / "in" / "a.jsonl", rows[:40])
    write_shard(tmp_path / "in" / "b.jsonl.gz", [*rows[40:70], b"{broken\n"])
    pq.write_table(pa.Table.from_pylist(rows[70:]), tmp_path / "in" / "c.parquet", row_group_size=9)
    return tmp_path / "in"


@pytest.fixture
def again(screen: Screen, folder: Path) -> Callable[..., Any]:
    # Sources are over the usual limit, so that there is something to find; they are to be kept all the same.
    screen.policy.write_text(POLICY.replace("limit: 5/100", "limit: 1/2"), "utf-8")
    hints = screen.folder / "hints"
    hints.mkdir()
    (hints / "terms.tsv").write_text(f"term\tcategory\tlevel\n{HINT}\tA.1.a\tpossible\n", "utf-8")
    describe(hints, kind="lexicon", version=1, names=["terms.tsv"], title="t", licence="CC0-1.0", made_with="a test")

    def run(out: Path, inputs: Any = folder, **options: Any) -> Any:
        taggers = {"personal": {}, "lexicon": {"lists": [str(screen.list), str(hints)]}} | options.pop("more", {})
        return screen(inputs, out, taggers=taggers, **options)

    return run


def tasks(package: Path) -> list[Row]:
    [file] = package.glob("tasks.*")
    if file.suffix == ".jsonl":
        return [json.loads(each) for each in file.read_text("utf-8").splitlines()]
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return list(csv.DictReader(opened))


def judged(path: Path, rows: Iterable[Row], verdict: Callable[[Row], str], **names: str) -> Path:
    """Write a package as a person sends it back."""
    path.write_bytes(b"".join(line(row | names | {"verdict": verdict(row)}) for row in rows))
    return path


def truth(row: Row) -> str:
    return "unlawful" if UNLAWFUL in row["text"] else "lawful"


def sample(cli: Cli, out: Path, to: Path, *more: object, purpose: str = "sources") -> str:
    code, said, error = cli("review", "sample", out, "--for", purpose, "--salt", SALT, "--to", to, *more)
    assert code == 0, error
    return said


def test_from_a_sample_to_final_verdicts(again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    again(out)
    policy = ("--policy", screen.policy)
    said = sample(cli, out, tmp_path / "p", *policy, "--size", 30)
    assert said.startswith("R0001: 42 of 102 records of 2 sources in release 1, 42 texts")
    rows = tasks(tmp_path / "p")
    assert len(rows) == 42
    # Texts are those before redaction, for those alone who judge; what detectors found is not said.
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "p").iterdir()} == {0o600}
    assert set(rows[0]) == {
        *("task", "source", "text", "verdict", "category", "annotator", "reviewer", "started_at", "ended_at")
    }
    table = read_reviews(store(out)).samples["R0001"].table.to_pylist()
    strata = {
        (row["source"], row["stratum"]): [
            r for r in table if (r["source"], r["stratum"]) == (row["source"], row["stratum"])
        ]
        for row in table
    }
    # A third of 30 each; the seven flagged high are all there are, what they leave goes to the others.
    assert {key: len(each) for key, each in strata.items()} == {
        ("big.example", "high"): 7,
        ("big.example", "low"): 10,
        ("big.example", "unflagged"): 13,
        ("small.example", "high"): 2,
        ("small.example", "unflagged"): 10,
    }
    assert {row["bound"] for row in strata["big.example", "high"]} == {ALL}
    texts = {
        r["text"]
        for r in planted()
        if r["source"] == "big.example" and not any(each in r["text"] for each in (UNLAWFUL, BANNED, HINT))
    }
    by_draw = {hmac.digest(SALT.encode(), content(text), "sha256")[:8]: content(text) for text in texts}
    drawn = {row["content"] for row in strata["big.example", "unflagged"]}
    assert drawn == {value for _, value in sorted(by_draw.items())[:13]}
    assert {row["bound"] for row in strata["big.example", "unflagged"]} == {int.from_bytes(sorted(by_draw)[13], "big")}

    ann = judged(tmp_path / "ann.jsonl", rows, truth, annotator="Ann")
    strict = lambda row: "unlawful" if HINT in row["text"] else truth(row)  # noqa: E731
    bob = judged(tmp_path / "bob.jsonl", rows, strict, annotator="Bob")
    assert cli("review", "import", out, ann)[0] == 0
    third = tmp_path / "third"
    code, said, error = cli("review", "import", out, bob, "--adjudicate", third, "--format", "csv")
    assert code == 0, error
    # Same on 32 of 42; by chance (34·24 + 8·18) / 42²: (42·32 - 960) / (42² - 960) = 384 / 804.
    assert "Ann and Bob: the same on 32 of 42, Cohen's kappa 0.478" in said
    assert "32 final, 10 for a third person, 0 open" in said
    assert len(final_verdicts(store(out))) == 0
    disputed = tasks(third)
    assert {row["text"] for row in disputed} == {row["text"] for row in rows if HINT in row["text"]}
    assert {(row["label_1"], row["label_2"]) for row in disputed} == {("lawful", "unlawful")}
    refused = judged(tmp_path / "ann2.jsonl", disputed, truth, reviewer="Ann")
    code, _, error = cli("review", "import", out, refused)
    assert (code, "one person never judges a record and decides on it" in error) == (2, True)
    cal = judged(tmp_path / "cal.jsonl", disputed, truth, reviewer="Cal")
    code, said, _ = cli("review", "import", out, cal)
    assert (code, "8 unlawful; counts for its sources from the next run on" in said) == (0, True)

    found = final_verdicts(store(out)).to_pylist()
    assert [(row["source"], row["content"]) for row in found] == sorted((r["source"], r["content"]) for r in found)
    assert len(found) == 42
    unlawful = {content(row["text"]) for row in planted() if UNLAWFUL in row["text"]}
    assert all(row["unlawful"] == (row["content"] in unlawful) for row in found)
    assert sum(row["unlawful"] for row in found) == 8
    assert {row["shard"] for row in found} == {"a.jsonl", "b.jsonl.gz", "c.parquet"}
    # What a run under other detectors needs: below the least bound of a source's strata all of it was drawn.
    job = Corpus(out).manifest()["job"]
    assert {row["by"] for row in found} == {strata_digest(job["taggers"], job["policy"]["counting"])}
    for row in found:
        assert row["least"] == min(each["bound"] for each in found if each["source"] == row["source"])

    # No text and no name of a record is in the store, and nothing that gc deletes.
    for path in (out / "store" / "reviews").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not any(each in data for each in (b"weather", UNLAWFUL.encode(), MAIL.encode(), b"big.example-"))
    collect(Corpus(out), 1, 0, is_trial=False)
    assert not list(verify_release(Corpus(out)))
    assert len(final_verdicts(store(out))) == 42
    # The same again enters nothing; a larger one asks what is new.
    assert sample(cli, out, tmp_path / "q", *policy, "--size", 30).startswith("R0001: ")
    assert [row["task"] for row in tasks(tmp_path / "q")] == [row["task"] for row in rows]
    assert "52 texts, 42 of them asked before" in sample(cli, out, tmp_path / "r", *policy, "--size", 40)
    assert not {row["task"] for row in tasks(tmp_path / "r")} & {row["task"] for row in rows}
    assert len(final_verdicts(store(out))) == 42
    entry = out / "store" / "reviews" / "R0002.json"
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace("ann.jsonl", "eve.jsonl"))
    code, said, _ = cli("verify", out)
    assert (code, "R0003.json: was made after another content of R0002" in said) == (1, True)


def content(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def test_any_cut_workers_and_order_of_nights_draw_the_same(
    again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path, folder: Path
) -> None:
    drawn = []
    for number, (nights, options) in enumerate(
        [
            ([folder], {}),
            ([folder], {"split_size": 600, "workers": 4}),
            ([folder / "c.parquet", folder / "b.jsonl.gz", folder / "a.jsonl"], {"split_size": 2000}),
        ]
    ):
        out = tmp_path / f"out{number}"
        for night in nights:
            again(out, night, input_root=str(folder), **options)
        for purpose in ("sources", "human"):
            more = ("--policy", screen.policy) if purpose == "sources" else ()
            sample(cli, out, tmp_path / f"{purpose}{number}", "--size", 20, *more, purpose=purpose)
        tables = [each.facts["table"]["name"] for each in chain_of(store(out)).entries()]
        packages = [(tmp_path / f"{each}{number}" / "tasks.jsonl").read_bytes() for each in ("sources", "human")]
        drawn.append((tables, packages))
    assert drawn[0] == drawn[1] == drawn[2]


def test_only_what_was_kept_is_drawn_for_the_corpus_and_nothing_withdrawn(
    again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    gone = next(row["text"] for row in planted() if row.get("id") == "big.example-25")
    purge = f"content\t{hashlib.sha256(gone.encode()).hexdigest()}\tpurge\ta reference"
    again(out, more={"blocked": {"lists": [blocked(tmp_path / "purge", purge)]}})
    withdraw = ("withdraw", "add", out, "--basis", "erasure", "--by", "A", "--reason", "r", "--received", "2026-01-01")
    assert cli(*withdraw, "--record", "small.example-5")[0] == 0
    said = sample(cli, out, tmp_path / "h", "--blind", purpose="human")
    rows = tasks(tmp_path / "h")
    assert "source" not in rows[0]
    kept = {
        json.loads(each)["text"] for each in (out / "clean" / "a.jsonl-00001-of-00001.jsonl").read_bytes().splitlines()
    }
    texts = {row["text"] for row in rows}
    assert kept <= texts
    assert f"Write to {MAIL}" in texts
    withdrawn = next(row["text"] for row in planted() if row.get("id") == "small.example-5")
    assert not {withdrawn, gone} & texts
    assert not [text for text in texts if UNLAWFUL in text or BANNED in text]
    assert "every record is in the sample" in said
    sample(cli, out, tmp_path / "s", "--policy", screen.policy)
    texts = {row["text"] for row in tasks(tmp_path / "s")}
    assert not {withdrawn, gone} & texts
    assert any(BANNED in text for text in texts)


def test_a_trial_on_some_records_can_be_sampled_too(
    again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    launch(replace(prepare(screen.settings(folder, out), sample_ppm=400_000, limit=30), workers=0), to_publish=True)
    sample(cli, out, tmp_path / "h", purpose="human")
    assert len(tasks(tmp_path / "h")) == Corpus(out).manifest()["counts"]["clean"] > 10


def test_a_tenth_is_tested_by_a_detector_that_had_no_part_in_filtering(
    again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    again(out)
    held_out = write_list(tmp_path / "heldout", {"weather": "A.5.b", "Note 7": "A.1.b"})

    def check(lists: list[Path], *more: object, **taggers: Any) -> tuple[int, str, str]:
        run = tmp_path / "detector.yaml"
        given = screen.given(folder, tmp_path / "unused")
        given["taggers"] = {"lexicon": {"lists": [str(each) for each in lists]}} | taggers
        run.write_text(json.dumps(given), "utf-8")
        return cli("review", "sample", out, "--for", "technical", "--salt", SALT, "--detector", run, *more)

    code, _, error = check([screen.list, held_out])
    assert (code, "--detector: list/terms.tsv of tagger lexicon filtered release 1 as well" in error) == (2, True)
    code, _, error = check([held_out], personal={})
    assert (code, "--detector: tagger personal (" in error) == (2, True)
    code, said, error = check([held_out], "--json")
    assert code == 0, error
    facts = json.loads(said)
    # Nearly every text that was kept speaks of the weather, which this list takes for a risk of A.5.
    clean = Corpus(out).manifest()["counts"]["clean"]
    assert facts["population"] == clean
    assert clean / 10 <= facts["checked"] < clean
    assert 0 < facts["bad"] <= facts["checked"]
    assert facts["by_category"]["A.5.b"] == facts["bad"]
    assert facts["passed"] is False
    harmless = write_list(tmp_path / "harmless", {"never there": "A.1.a"})
    code, said, _ = check([harmless])
    assert (code, f": 0 bad of {facts['checked']} checked, 0 allowed (98 %): passed" in said) == (0, True)
    assert facts["detector"]["taggers"]["lexicon"][:12] not in said
    assert SALT not in cli("review", "status", out, "--json")[1]
    entries = chain_of(store(out)).entries()
    assert [each.facts["kind"] for each in entries] == ["check", "check"]
    assert set(entries[0].facts["filter"]["taggers"]) == {"lexicon", "personal"}
    # One that failed counts, whatever another says.
    shown = technical_test(gather(Corpus(out), Corpus(out).release(), Chosen(), 5).facts)
    assert shown.status == "not_met"
    assert [(each.key, each.values["check"], each.values["bad"]) for each in shown.evidence] == [
        ("technical", "R0001", facts["bad"]),
        ("technical", "R0002", 0),
    ]


def test_what_cannot_be_drawn_is_refused_by_name(
    again: Callable[..., Any], screen: Screen, cli: Cli, tmp_path: Path, folder: Path
) -> None:
    out = tmp_path / "out"
    again(out)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    other = tmp_path / "other.yaml"
    other.write_text(POLICY.replace("at_least_score: 0.5}\n  limit", "at_least_score: 0.3}\n  limit"), "utf-8")
    base = ("review", "sample", out, "--salt", SALT)
    for more, said in [
        (
            ("--for", "humans", "--to", tmp_path / "x"),
            "--for humans: there are human, technical, sources; did you mean",
        ),
        (("--for", "human"), "name a new folder"),
        (("--for", "human", "--to", tmp_path / "full"), "is there and not empty"),
        (("--for", "human", "--to", out / "x"), "is in the corpus"),
        (("--for", "human", "--to", tmp_path / "x", "--source", "big.example"), "--source is for sources"),
        (("--for", "sources", "--to", tmp_path / "x"), "the policy of release 1, golden@1, does not ship"),
        (("--for", "sources", "--to", tmp_path / "x", "--policy", other), "counts other records as unlawful"),
        (
            ("--for", "sources", "--to", tmp_path / "x", "--policy", screen.policy, "--source", "big.exmple"),
            "no such source in release 1; did you mean 'big.example'?",
        ),
        (("--for", "technical"), "name the run file of a detector"),
        (("--for", "human", "--to", tmp_path / "x", "--salt", "short"), "can be guessed"),
    ]:
        code, _, error = cli(*base, *more)
        assert (code, said in error) == (2, True), (more, error)
    # A shard that is not what the release was made of: nothing is entered, and no text is left behind.
    shard = folder / "a.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"Note 20 of", b"Nose 20 of"))
    code, _, error = cli(*base, "--for", "human", "--to", tmp_path / "x")
    assert (code, "a.jsonl changed" in error) == (1, True)
    assert not chain_of(store(out)).entries()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith((".x", "x"))]
