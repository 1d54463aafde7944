"""A run on an engine is seen from outside while it goes on: its status in the output, and what its workers log."""

import contextlib
import json
import re
import time
from pathlib import Path

import nights
import pytest
from cluster import Cluster, running
from rows import EXTERNAL, ON_THIS_MACHINE, PROCESS, Row

from models.errors import UsageError
from pipeline.corpus import Corpus
from pipeline.status import Status, status

cluster = pytest.fixture(scope="module")(running)
NAME = "watched"
# Words of the made-up records, and what they hold of persons.
_TEXT = re.compile("weather|kitchen|图书馆|anna\\.berg|13812345678|赌场")


def _watch(row: Row, folder: Path) -> tuple[list[Status], str]:
    """Run some made-up shards to the end, looking all the while; return what was seen, and what the launcher said."""
    shards = nights.write_shards(folder / "in", range(9), 300)
    run = nights.write_run_file(folder / "run.yaml", shards, folder / "in", split_size="20KB")
    output, said = folder / "out", folder / "said"
    arguments = [*row.arguments(run, output), "--log-json", "--name", NAME]
    process, seen = nights.start(arguments, within=("sh", "-c", f'exec "$@" >{said} 2>&1', "sh", *row.within)), []
    while process.poll() is None:
        with contextlib.suppress(UsageError, FileNotFoundError):  # it has not begun
            seen.append(status(Corpus(output)))
        time.sleep(0.1)
    assert process.returncode == 0, said.read_text()
    return [*seen, status(Corpus(output))], said.read_text()


def _check_status(seen: list[Status], engine: str) -> None:
    assert {each.engine for each in seen} == {engine}
    assert seen[-1].state == "published"
    for stage, state in (("tag", "tagging"), ("release", "releasing")):
        done = [last for each in seen if each.state == state for last in each.stages[-1:] if last.stage == stage]
        assert any(0 < each.done < each.of for each in done), f"{state} was never seen half done"
        assert [each.done for each in done] == sorted(each.done for each in done)


def _lines(text: str) -> list[dict[str, object]]:
    """Return the structured lines in a log, whatever the engine put around them."""
    starts = [found.start() for found in re.finditer(r'\{"(?:time|event)": ', text)]
    lines = [json.JSONDecoder().raw_decode(text, start)[0] for start in starts]
    assert {line["run"] for line in lines} == {NAME}
    return lines


def _check_lines(lines: list[dict[str, object]], output: Path) -> None:
    counts = Corpus(output).manifest()["counts"]
    by_event = {event: [line for line in lines if line["event"] == event] for event in ("tag", "release")}
    assert sum(int(line["records"]) + int(line["dead"]) for line in by_event["tag"]) == counts["read"]  # type: ignore[call-overload]
    for door in ("clean", "quarantined", "dropped", "dead"):
        assert sum(int(line[door]) for line in by_event["release"]) == counts[door]  # type: ignore[call-overload]


def _check_metrics(lines: list[dict[str, object]], output: Path) -> None:
    """No worker died and nothing was tried again, so that the engine's figures are those of the release."""
    (metrics,) = [line for line in lines if line["event"] == "metrics"]
    manifest = Corpus(output).manifest()
    counts, work = manifest["counts"], manifest["work"]
    assert int(metrics["tag_records"]) + int(metrics["tag_dead"]) == counts["read"]  # type: ignore[call-overload]
    for door in ("clean", "quarantined", "dropped", "dead"):
        assert metrics[f"release_{door}"] == counts[door]
    assert metrics["tag_splits"] == metrics["release_splits"] == work["splits"]
    assert all(int(metrics[f"tag_findings_{name}"]) > 0 for name in ("lexicon", "personal"))  # type: ignore[call-overload]
    spread = metrics["tag_split_milliseconds"]
    assert isinstance(spread, dict)
    assert spread["count"] == work["splits"]
    assert 0 <= spread["min"] <= spread["max"] <= spread["sum"]


@pytest.mark.engines
@pytest.mark.parametrize("row", [each for each in ON_THIS_MACHINE if "runner" in str(each.values)])
def test_a_run_on_an_engine_of_this_machine_is_seen_live(row: Row, tmp_path: Path) -> None:
    seen, said = _watch(row, tmp_path)
    _check_status(seen, row.options[row.options.index("--runner") + 1])
    _check_metrics(_lines(said), tmp_path / "out")
    assert not _TEXT.search(said)


@pytest.mark.cluster
@pytest.mark.parametrize("row", [EXTERNAL, PROCESS], ids=lambda row: row.name)
def test_a_run_on_a_cluster_is_seen_live_and_its_workers_log(row: Row, tmp_path: Path, cluster: Cluster) -> None:
    before = cluster.logs()
    seen, said = _watch(row, tmp_path)
    _check_status(seen, "flink")
    cluster.wait_idle()
    logged = "".join(text[len(before.get(name, "")) :] for name, text in cluster.logs().items())
    _check_lines(_lines(logged), tmp_path / "out")
    assert not _TEXT.search(said + logged)
