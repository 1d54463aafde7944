"""Withdrawal on an object store: the ledger, one run, and gc with tombstones, as on a file system."""

import gzip
import threading
from pathlib import Path

import emulator
import nights
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from google.cloud import storage

from models.deciding import override
from models.decisions import read_decisions
from models.decisions import verify as verify_decisions
from models.ledger import add, read_ledger
from models.withdrawals import Withdrawal, source_target
from pipeline.corpus import Corpus
from pipeline.verify import verify
from transforms.cloud import CloudStore

pytestmark = pytest.mark.engines

OUT = "gs://out/corpus"


def held(source: str) -> list[str]:
    """Return the objects that hold records of a source."""
    found = []
    for bucket in ("out", "private"):
        for blob in storage.Client().list_blobs(bucket):
            if "/parts/" not in blob.name or "/audit" in blob.name:
                continue
            data = blob.download_as_bytes(raw_download=True)
            if blob.name.endswith(".parquet"):
                data = str(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
            elif blob.name.endswith(".gz"):
                data = gzip.decompress(data)
            if source.encode() in data:
                found.append(blob.name)
    return found


def test_what_is_withdrawn_is_gone_from_the_buckets(proxy: emulator.Proxy, one_night: Path, tmp_path: Path) -> None:
    run = emulator.moved(one_night, tmp_path)
    nights.finish_here(["run", str(run), *nights.AS_OF])
    assert held("spam.example")
    given = ["--basis", "complaint", "--by", "a.clerk", "--received", "2025-12-01", "--decided", "2025-12-02"]
    nights.finish_here(["withdraw", "add", OUT, "--source", "spam.example", *given])
    nights.finish_here(["run", str(run), *nights.AS_OF])
    said = nights.finish_here(["query", OUT, "--source", "spam.example"])
    assert "withdrawn by W0001 (complaint, received 2025-12-01): gone since release 2" in said
    assert "with withdrawn text" in nights.finish_here(["gc", OUT])
    assert held("spam.example") == []
    assert held("calm.example")
    assert "purged by withdrawal W0001" in nights.finish_here(["verify", OUT, "--release", "1"])
    assert list(verify(Corpus(OUT))) == []
    nights.finish_here(["withdraw", "lift", OUT, "W0001", "--by", "a.clerk", "--reason", "a mistake"])
    nights.finish_here(["run", str(run), *nights.AS_OF])
    assert held("spam.example")
    assert list(verify(Corpus(OUT))) == []


def test_decisions_that_are_entered_at_once_are_all_kept(proxy: emulator.Proxy) -> None:
    def enter(clerk: str) -> None:
        for number in range(4):
            decision = Withdrawal("", source_target(f"{clerk}{number}"), "other", "2025-12-01", "2025-12-02", clerk)
            add(CloudStore(f"{OUT}/store"), decision)

    clerks = [threading.Thread(target=enter, args=(clerk,)) for clerk in "abc"]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
    found = read_ledger(CloudStore(f"{OUT}/store"))
    assert [each.id for each in found] == [f"W{number:04}" for number in range(1, 13)]
    assert {each.target.shown for each in found} == {f"{clerk}{number}" for clerk in "abc" for number in range(4)}


def test_decisions_on_sources_are_one_chain_there_too(proxy: emulator.Proxy) -> None:
    def decide(clerk: str) -> None:
        for number in range(4):
            said = {"reviewer": clerk, "reason": "read", "decided": "2025-12-01", "until": "2026-12-01"}
            override(CloudStore(f"{OUT}/store"), f"{clerk}{number}", "hold", **said)

    clerks = [threading.Thread(target=decide, args=(clerk,)) for clerk in "abc"]
    for clerk in clerks:
        clerk.start()
    for clerk in clerks:
        clerk.join()
    assert verify_decisions(CloudStore(f"{OUT}/store")) == 12
    in_force = read_decisions(CloudStore(f"{OUT}/store")).overrides("2026-01-01")
    assert set(in_force) == {f"{clerk}{number}" for clerk in "abc" for number in range(4)}
