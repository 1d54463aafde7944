"""One corpus, every engine: identical names and bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nights
import pytest
from cluster import Cluster, running
from rows import EXTERNAL, LOCAL, PROCESS, REFERENCE, ROOT, Row

from pipeline.corpus import Corpus
from pipeline.verify import verify

cluster = pytest.fixture(scope="module")(running)


@dataclass(frozen=True)
class Course:
    """Runs over one output, one after another, and what each leaves on the reference engine."""

    runs: tuple[Path, ...]
    expected: tuple[dict[str, str], ...]


def follow(row: Row, runs: tuple[Path, ...], output: Path) -> Iterator[dict[str, str]]:
    """Do the runs, and give the content of the release after each."""
    for run in runs:
        row.finish(run, output)
        assert list(verify(Corpus(output))) == []
        yield nights.contents(output)


@pytest.fixture(scope="session")
def courses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Course]:
    """The example corpus, and two nights of made-up shards in many splits: on the second a source is recalled."""
    folder = tmp_path_factory.mktemp("matrix")
    corpus = ROOT / "examples" / "corpus"
    shards = nights.write_shards(folder / "in", range(9), 60, bad_from=3)
    runs = {
        "example": (nights.write_run_file(folder / "example.yaml", [str(corpus)], corpus),),
        "nights": tuple(
            nights.write_run_file(folder / f"{name}.yaml", some, folder / "in", split_size="20KB")
            for name, some in (("first", shards[:3]), ("second", shards))
        ),
    }
    courses = {name: Course(files, tuple(follow(REFERENCE, files, folder / name))) for name, files in runs.items()}
    first, second = courses["nights"].expected
    parts = {name: second.get(name) for name in first if name.startswith("clean/")}
    assert any(digest != first[name] for name, digest in parts.items()), "nothing was recalled"
    return courses


def check(row: Row, courses: dict[str, Course], folder: Path) -> None:
    for name, course in courses.items():
        assert tuple(follow(row, course.runs, folder / name)) == course.expected, name


@pytest.mark.engines
@pytest.mark.parametrize("row", LOCAL, ids=lambda row: row.name)
def test_an_engine_of_this_machine_makes_the_same_bytes(row: Row, courses: dict[str, Course], tmp_path: Path) -> None:
    check(row, courses, tmp_path)


@pytest.mark.cluster
@pytest.mark.parametrize("row", [EXTERNAL, PROCESS], ids=lambda row: row.name)
def test_a_flink_cluster_makes_the_same_bytes(
    row: Row, courses: dict[str, Course], tmp_path: Path, cluster: Cluster
) -> None:
    check(row, courses, tmp_path)
