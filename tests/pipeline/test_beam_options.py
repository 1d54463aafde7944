"""Options of Beam: read in one way wherever they come from, and refused by name where they mean nothing."""

from pathlib import Path
from typing import Any

import pytest

from models.errors import UsageError
from pipeline.beam_options import read_beam_options
from pipeline.engines import check_workers, make_engine

FLINK = {"job_endpoint": "localhost:8099", "environment_type": "LOOPBACK"}
DATAFLOW = {"project": "demo-project", "region": "us-central1", "temp_location": "gs://b/t", "sdk_container_image": "x"}


def test_values_are_read_as_in_a_run_file() -> None:
    words = [
        "--parallelism=4",
        "object_reuse=true",
        "no_auth",
        "--x=-1.5",
        "environment_config=localhost:50000",
        "v=007",
    ]
    assert read_beam_options(words) == {
        "parallelism": 4,
        "object_reuse": True,
        "no_auth": True,
        "x": -1.5,
        "environment_config": "localhost:50000",
        "v": "007",
    }
    assert read_beam_options(["labels=a=b", "labels=2", "labels=c"]) == {"labels": ["a=b", "2", "c"]}
    for word in ("=4", "", "two words"):
        with pytest.raises(UsageError, match="say NAME=VALUE"):
            read_beam_options([word])


@pytest.mark.parametrize(
    ("runner", "options", "said"),
    [
        (
            "local",
            {"flink_master": "localhost:8081"},
            "flink_master is an option of runner flink and means nothing here",
        ),
        ("local", {"parallelism": 4}, "parallelism"),
        ("local", {"environment_type": "EXTERNAL"}, "environment_type is an option of runners prism and flink"),
        ("local", {"max_num_workers": 4}, "max_num_workers is an option of runner dataflow"),
        ("flink", FLINK | {"direct_num_workers": 2}, "direct_num_workers is an option of runner local"),
        ("flink", FLINK | {"prism_location": "/x"}, "prism_location is an option of runner prism"),
        ("flink", FLINK | {"environment_type": "LOOPBAK"}, "did you mean 'LOOPBACK'"),
        ("flink", FLINK | {"environment_type": "EXTERNAL"}, "EXTERNAL needs environment_config"),
        (
            "dataflow",
            DATAFLOW | {"environment_type": "DOCKER"},
            "environment_type is an option of runners prism and flink",
        ),
        ("dataflow", DATAFLOW | {"flink_master": "x"}, "flink_master is an option of runner flink"),
    ],
)
def test_an_option_of_another_engine_is_refused_by_name(runner: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make_engine(runner, options)


def test_what_is_right_is_taken(tmp_path: Path) -> None:
    jar = tmp_path / "server.jar"
    jar.touch()
    for runner, options in (
        ("local", {"direct_running_mode": "multi_processing"}),
        ("flink", FLINK | {"parallelism": 2}),
        ("flink", {"flink_master": "[local]", "flink_job_server_jar": str(jar)}),
        ("prism", {"job_endpoint": "localhost:8073", "environment_type": "LOOPBACK"}),
        ("dataflow", DATAFLOW | {"max_num_workers": 3}),
    ):
        assert make_engine(runner, options).name == runner


def test_a_number_of_processes_is_refused_where_an_engine_has_its_own() -> None:
    check_workers("local", 4)
    check_workers("flink", None)
    with pytest.raises(UsageError, match="say --beam parallelism=N"):
        check_workers("flink", 4)
