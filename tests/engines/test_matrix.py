"""One corpus, every engine: identical names and bytes, and where people judge sources, the same sample and ledger."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nights
import pytest
from cluster import Cluster, running
from rows import EXTERNAL, ON_THIS_MACHINE, PROCESS, REFERENCE, ROOT, Row

from models.decisions import FIGURES, read_decisions
from models.store import LocalStore, locked
from pipeline.corpus import Corpus
from pipeline.verify import verify

cluster = pytest.fixture(scope="module")(running)


@dataclass(frozen=True)
class Course:
    """Runs over one output, one after another, and what each leaves on the reference engine."""

    runs: tuple[Path, ...]
    expected: tuple[dict[str, str], ...]


def follow(row: Row, runs: tuple[Path, ...], output: Path) -> Iterator[dict[str, str]]:
    """Do the runs, and give the content of the release after each.

    Where a run's policy goes by verdicts, people judge its sources after it; what was drawn for them and what the ledger says is given too.
    """
    for number, run in enumerate(runs):
        row.finish(run, output)
        assert list(verify(Corpus(output))) == []
        found = nights.contents(output)
        policy = run.with_name("by-verdicts.yaml")
        if str(policy) == json.loads(run.read_text("utf-8")).get("policy"):
            place = output.with_name(f"{output.name}-review-{number}")
            found["sample"] = nights.review(
                output, place, policy, lambda text: any(term in text for term in nights.BAD)
            )
            found["ledger"] = json.dumps(ledger(output), sort_keys=True)
        yield found


def ledger(output: Path) -> dict[str, list[object]]:
    """Return the state and the figures that were last entered for each source."""
    latest = read_decisions(LocalStore(output / "store")).latest()
    return {source: [entry["state"], *(entry[name] for name in FIGURES)] for source, entry in latest.items()}


@pytest.fixture(scope="session")
def courses(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> dict[str, Course]:
    """The example corpus, two nights of made-up shards in many splits, on the second of which a source is recalled, and two judged by verdicts.

    Made once, by whichever process of the tests needs it first.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder if worker_id == "master" else folder.parent) / "courses"
    folder.mkdir(exist_ok=True)
    with locked(folder):
        kept = folder / "courses.json"
        if not kept.exists():
            kept.write_text(json.dumps(_made(folder)), "utf-8")
        found = json.loads(kept.read_text("utf-8"))
    return {name: Course(tuple(map(Path, runs)), tuple(expected)) for name, (runs, expected) in found.items()}


def _made(folder: Path) -> dict[str, tuple[list[str], list[dict[str, str]]]]:
    """Write shards and run files, and return the run files and what the reference engine makes of them."""
    corpus = ROOT / "examples" / "corpus"
    shards = nights.write_shards(folder / "in", range(9), 60, bad_from=3)
    policy = folder / "by-verdicts.yaml"
    policy.write_text(_by_verdicts((ROOT / "configs" / "policies" / "minimal.yaml").read_text("utf-8")), "utf-8")
    runs = {
        "example": (nights.write_run_file(folder / "example.yaml", [str(corpus)], corpus),),
        "verdicts": tuple(
            nights.write_run_file(folder / f"verdicts-{name}.yaml", some, folder / "in", policy=str(policy))
            for name, some in (("first", shards[:3]), ("second", shards[:5]))
        ),
        "nights": tuple(
            nights.write_run_file(folder / f"{name}.yaml", some, folder / "in", split_size="20KB")
            for name, some in (("first", shards[:3]), ("second", shards))
        ),
    }
    expected = {name: list(follow(REFERENCE, files, folder / name)) for name, files in runs.items()}
    first, second = expected["nights"]
    parts = {name: second.get(name) for name in first if name.startswith("clean/")}
    assert any(digest != first[name] for name, digest in parts.items()), "nothing was recalled"
    states = {entry[0] for entry in json.loads(expected["verdicts"][1]["ledger"]).values()}
    assert {"clean", "blacklisted"} <= states, f"verdicts decided nothing: {states}"
    return {name: (list(map(str, files)), expected[name]) for name, files in runs.items()}


def _by_verdicts(policy: str) -> str:
    """Return a policy that lets verdicts decide, so few of them that the made-up shards have enough."""
    return (
        policy.replace("reading: literal", "reading: interval")
        .replace("basis: detector", "basis: audit")
        .replace("limit: 5/100", "limit: 12/100\n  leave_limit: 10/100\n  min_audited: 20\n  duplicates: source")
        .replace("  min_records: 100\n", "")
    )


def check(row: Row, courses: dict[str, Course], folder: Path) -> None:
    for name, course in courses.items():
        assert tuple(follow(row, course.runs, folder / name)) == course.expected, name


@pytest.mark.engines
@pytest.mark.parametrize("row", ON_THIS_MACHINE)
def test_an_engine_of_this_machine_makes_the_same_bytes(row: Row, courses: dict[str, Course], tmp_path: Path) -> None:
    check(row, courses, tmp_path)


@pytest.mark.cluster
@pytest.mark.parametrize("row", [EXTERNAL, PROCESS], ids=lambda row: row.name)
def test_a_flink_cluster_makes_the_same_bytes(
    row: Row, courses: dict[str, Course], tmp_path: Path, cluster: Cluster
) -> None:
    check(row, courses, tmp_path)
