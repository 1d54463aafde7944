"""The nightly DAG with its plan and run on a Flink cluster: only the configuration differs, and nothing in what comes out."""

import os
import sys
from pathlib import Path

import pytest
from cluster import Cluster, running
from nightly_site import NIGHTS, Site
from rows import FLINK, TOOLS

pytestmark = [pytest.mark.airflow, pytest.mark.cluster]

cluster = pytest.fixture(scope="module")(running)


def test_a_night_on_flink_ends_in_the_same_bytes(tmp_path: Path, cluster: Cluster) -> None:
    state = os.environ["WINNOW_FLINK_STATE"]
    site = Site(
        tmp_path,
        NIGHTS[:1],
        within=f"env WINNOW_FLINK_STATE='{state}' WINNOW_PYTHON='{sys.executable}' '{FLINK}/within'",
        runner="flink",
        beam={
            "flink_master": "localhost:8081",
            "flink_job_server_jar": str(TOOLS / "beam-flink-job-server.jar"),
            "environment_type": "EXTERNAL",
            "environment_config": "localhost:50000",
            "parallelism": 2,
        },
    )
    site.night(NIGHTS[0])
    assert cluster.jobs().count("FINISHED") == 2, "plan and run are jobs of the cluster"
    site.check_against_one_run()
