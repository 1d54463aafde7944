"""What the tests of engines share: an emulated object store, and a night of made-up shards."""

from collections.abc import Iterator
from multiprocessing import forkserver
from pathlib import Path

import emulator
import nights
import pytest
from google.cloud import storage
from test_matrix import courses

from transforms import cloud
from transforms.pool import end_pool

__all__ = ["courses"]


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[emulator.Proxy]:
    with emulator.emulated(tmp_path, getattr(request, "param", "filesystem")) as made:
        for name, value in emulator.environment(made, tmp_path / "cache").items():
            monkeypatch.setenv(name, value)
        # What knows the emulator of the test before goes: clients, and the process that workers are forked from.
        cloud._client.cache_clear()
        end_pool()
        forkserver._forkserver._stop()
        for bucket in ("in", "out", "private"):
            storage.Client().create_bucket(bucket)
        yield made


@pytest.fixture
def one_night(tmp_path: Path) -> Path:
    shards = nights.write_shards(tmp_path / "in", range(3), 60, bad_from=1)
    # All taggers are in the matrix; here it is about what becomes of objects.
    taggers = {"lexicon": {"lists": ["illustrative"]}, "personal": {}}
    return nights.write_run_file(tmp_path / "night.yaml", shards, tmp_path / "in", split_size="20KB", taggers=taggers)
