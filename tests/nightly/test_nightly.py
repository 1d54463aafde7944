"""The nightly DAG under a real Airflow: ``airflow dags test`` with the pipeline's command in its own environment."""

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from nightly_site import DAG, NIGHTS, PYTHON, ROOT, TASKS, Site, release, wait_for

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Three nights in their order, undisturbed; not to be changed."""
    site = Site(tmp_path_factory.mktemp("in-order"))
    for night in NIGHTS:
        site.night(night)
    return site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def first_release(site: Site) -> dict[str, bytes]:
    return release(site.out / "releases" / "1")


def states(site: Site) -> dict[str, str]:
    return {row["source"]: row["state"] for row in pq.read_table(site.out / "sources.parquet").to_pylist()}


def test_the_dag_is_imported_without_errors(in_order: Site) -> None:
    errors = in_order.airflow("dags", "list-import-errors", "--local", "-o", "json")
    assert errors.splitlines()[-1] == "[]"
    assert in_order.rows("select max_active_runs, has_import_errors from dag where dag_id = ?", DAG) == [(1, 0)]


def test_a_wrong_configuration_is_an_import_error_that_names_it(site: Site) -> None:
    told = json.loads(site.nightly.read_text("utf-8"))
    site.nightly.write_text(json.dumps({**told, "output": "out", "retrys": 1}), "utf-8")
    errors = site.airflow("dags", "list-import-errors", "--local", "-o", "json", code=1)
    assert "must be an absolute path" in errors
    assert "retrys" in errors


def test_a_night_is_screened_as_of_its_end_and_reported(in_order: Site) -> None:
    for number, night in enumerate(NIGHTS, 1):
        manifest = json.loads((in_order.out / "releases" / str(number) / "manifest.json").read_text("utf-8"))
        assert [each["path"] for each in manifest["inputs"]] == [
            f"{night.replace('-', '/')}/a.jsonl" for night in NIGHTS[:number]
        ]
        assert manifest["as_of"] == f"2026-01-0{number + 2}"
        report = in_order.folder / "reports" / f"{night}.html"
        assert report.read_bytes() == (in_order.out / "releases" / str(number) / "report.html").read_bytes()
    assert states(in_order) == {"calm.example": "clean", "turns.example": "blacklisted"}


def test_a_backfill_in_reverse_ends_in_the_same_bytes(in_order: Site, site: Site) -> None:
    for night in reversed(NIGHTS):
        site.night(night)
    assert site.number() == in_order.number() == len(NIGHTS)
    assert site.release() == in_order.release()
    assert "release 3 is up to date" in site.night(NIGHTS[0]), "a night that is run again makes no release"
    assert site.number() == len(NIGHTS)


def test_a_failure_at_each_task_and_then_a_night_end_as_if_nothing_had_been(in_order: Site, site: Site) -> None:
    night = NIGHTS[0]
    store, reports, shard = site.out / "store", site.folder / "reports", site.write_night(night, 0)

    gone = site.list.rename(site.folder / "list-gone")  # a missing list
    assert "list" in site.night(night, failed="check")
    gone.rename(site.list)
    assert [event["eventType"] for event in events_of(site, "check")] == ["START", "FAIL"]

    site.out.mkdir()
    store.write_text("a file where the store should be")  # an output that cannot be written
    site.night(night, failed="plan")
    store.unlink()

    whole = shard.read_bytes()
    shard.write_bytes(whole + b"{ broken\n" * 4)  # a shard with more broken lines than are allowed
    assert "4 bad_json" in site.night(night, failed="run")
    shard.write_bytes(whole)

    releases = site.out / "releases"
    releases.write_text("a file where the releases should be")
    site.night(night, failed="publish")
    releases.unlink()

    part = next(path for path in sorted((store / "parts").rglob("clean.jsonl")) if path.read_bytes())
    part.chmod(0o644)
    part.write_bytes(part.read_bytes()[:-20])  # a damaged file, made by the run that was not published
    assert "content is not what the manifest says" in site.night(night, failed="verify")
    assert not releases.exists(), "nothing is published that was not verified"
    part.unlink()

    reports.rename(site.folder / "reports-gone")
    site.night(night, failed="report")
    (site.folder / "reports-gone").rename(reports)

    site.night(night)
    assert site.number() == 1
    assert release(site.out) == first_release(in_order)


def test_a_task_is_tried_again_after_a_while(tmp_path: Path, in_order: Site) -> None:
    site = Site(tmp_path, retries=4, retry_seconds=1)
    late = site.write_night(NIGHTS[0], 0)
    late.rename(tmp_path / "late")
    process = site.start(*site.test_of(NIGHTS[0]))
    tries = "select try_number from task_instance where task_id = 'check' and try_number > 1"
    try:
        wait_for(lambda: site.rows(tries), 120)  # the shard was not there when it was first looked for
        shutil.move(tmp_path / "late", late)
        said = process.communicate(timeout=300)[0]
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert site.states(NIGHTS[0]) == dict.fromkeys(TASKS, "success")
    assert release(site.out) == first_release(in_order)


def test_a_night_that_another_run_outruns_is_made_again_from_there(in_order: Site, site: Site) -> None:
    process = site.start(*site.test_of(NIGHTS[0]))
    try:
        wait_for(lambda: list((site.out / "store" / "runs").glob(f"{NIGHTS[0]}-*/outcome.json")), 120)
        os.killpg(process.pid, signal.SIGSTOP)  # made, but not yet published
        for night in NIGHTS[1:]:
            inputs = (str(site.shards / night.replace("-", "/")), "--input-root", str(site.shards))
            command = (str(site.folder / "winnow"), "run", str(site.folder / "run.yaml"), *inputs)
            subprocess.run([*command, "--output", str(site.out), "-q"], check=True, capture_output=True)
        os.killpg(process.pid, signal.SIGCONT)
        said = process.communicate(timeout=300)[0]
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert "another run published since" in said
    assert site.number() == len(NIGHTS)
    assert site.release() == in_order.release()


def events_of(site: Site, task: str) -> list[dict[str, Any]]:
    return [event for event in site.events() if event["job"]["name"] == f"{DAG}.{task}"]


def names(event: dict[str, Any], side: str) -> set[str]:
    assert all(each["namespace"] == "file" for each in event[side])
    return {each["name"] for each in event[side]}


def test_lineage_says_what_each_task_read_and_wrote(in_order: Site) -> None:
    out = str(in_order.out)
    for task in TASKS:
        events = events_of(in_order, task)
        assert [event["eventType"] for event in events] == ["START", "COMPLETE"] * len(NIGHTS)
        assert len({event["run"]["runId"] for event in events}) == len(NIGHTS)
    for night, event in zip(NIGHTS, events_of(in_order, "run")[1::2], strict=True):
        assert names(event, "inputs") == {str(in_order.shards / night.replace("-", "/"))}
        assert names(event, "outputs") == {f"{out}/store"}
        assert event["run"]["facets"]["nominalTime"]["nominalStartTime"].startswith(night)
    event = events_of(in_order, "publish")[-1]
    assert names(event, "inputs") == {f"{out}/store"}
    assert f"{out}/clean" in names(event, "outputs")
    assert f"{out}/quarantine" in names(event, "outputs")
    assert names(events_of(in_order, "report")[-1], "outputs") == {
        str(in_order.folder / "reports" / f"{NIGHTS[2]}.html")
    }


def test_every_event_is_of_the_schema(in_order: Site) -> None:
    checked = subprocess.run(
        [PYTHON, Path(__file__).with_name("lineage.py"), in_order.lineage], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")
    # Of the run itself only the end: "dags test" does not tell that it starts.
    assert int(checked.stdout) == len(in_order.events()) == len(NIGHTS) * (2 * len(TASKS) + 1)


@pytest.mark.parametrize(
    "broken", [{"eventTime": "today"}, {"run": {"runId": "1"}}, {"job": {"name": "a"}}, {"more": 1}]
)
def test_what_is_not_of_the_schema_is_noticed(in_order: Site, tmp_path: Path, broken: dict[str, Any]) -> None:
    (tmp_path / "events.jsonl").write_text(json.dumps(in_order.events()[0] | broken), "utf-8")
    checker = [PYTHON, Path(__file__).with_name("lineage.py"), tmp_path / "events.jsonl"]
    assert subprocess.run(checker, capture_output=True, check=False).returncode == 1


def test_the_example_of_a_configuration_is_one_and_a_night_has_the_date_of_its_time_zone(site: Site) -> None:
    site.environment["WINNOW_NIGHTLY"] = str(ROOT / "deploy" / "airflow" / "winnow_nightly.yaml")
    site.airflow("dags", "reserialize")
    said = site.airflow("tasks", "render", DAG, "check", "2026-01-02T00:00:00+08:00")
    wanted = "'check', '/etc/winnow/run.yaml', '/data/shards/2026/01/01', '--input-root', '/data/shards'"
    assert f"[{wanted}, '--output', '/data/corpus', '--as-of', '2026-01-02']" in said
