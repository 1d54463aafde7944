"""Releasing one split, whatever its format; a release that was finished before is only read back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.breakdown import as_text, batch_of, breakdown, of_text
from models.errors import ConservationError
from models.files import Opener
from models.job import Job
from models.layer import known_of
from models.parts import PartFile, open_parts
from models.records import ShardStream, open_stream
from models.release_lines import release_lines
from models.release_pass import Released, ReleasePass, release_digest
from models.release_rows import UnreadableGroup, release_rows
from models.shard import Split
from models.sources import SourceStates
from models.store import Store, scratch_file
from models.tag_pass import LayerRef, read_merged, withdrawn_rows
from models.verdicts import DOORS

_ENDINGS = {"": ".jsonl", "gzip": ".jsonl.gz", "zstd": ".jsonl.zst", "bz2": ".jsonl.bz2"}


def receipt_name(digest: str) -> str:
    """Return the store name of the receipt of a release, given its digest."""
    return f"receipts/{digest[:2]}/{digest}.json"


def release_split(
    split: Split,
    layers: Sequence[LayerRef],
    job: Job,
    states: SourceStates,
    opener: Opener,
    stores: Mapping[str, Store],
    folders: Mapping[str, Path],
    digest: str,
    stream: ShardStream | None,
) -> Released:
    """Write a split's parts, or read the receipt if that was done.

    Args:
        stores, folders: by place.
        digest: what the release must be by the catalogue.

    Raises:
        ShardChangedError: if the shard is not what was tagged.
        ConservationError: if layers, states and catalogue do not fit.
    """
    receipt = receipt_name(digest)
    store = stores["audit"]
    if store.exists(receipt):
        released = _from_json(store.read(receipt))
        if all(stores[file.place].exists(file.object) for file in released.files):
            return released
        store.delete(receipt)  # of parts that are gone
    known = read_merged(layers, split, job, store)
    withdrawn = withdrawn_rows(known, split, job, store)
    ids = {name for names in withdrawn.values() for name in names}
    if release_digest(split.digest(job.reading), known_of(known), job, states, ids) != digest:
        raise ConservationError(
            f"{split.name}: layers, source states or withdrawals are not those that were judged; run again"
        )
    unreadable: dict[int, str] = {}
    while True:
        with open_parts(folders) as parts:
            release = ReleasePass.start(split, known, job, states, parts, withdrawn)
            try:
                if split.shard.format == "parquet":
                    release_rows(release, opener, unreadable)
                elif stream is not None:
                    release_lines(release, stream)
                else:
                    with open_stream(opener, split.shard) as own:
                        release_lines(release, own)
            except UnreadableGroup as error:
                unreadable[error.group] = error.detail
                continue
            released = release.finish(stores, _names(split), digest)
            counted = breakdown(known, release.verdicts, batch_of(split.shard.path))
        keep_receipt(released, counted, store, folders["audit"])
        return released


def keep_receipt(released: Released, counted: pa.Table, store: Store, folder: Path) -> None:
    """Write the receipt of a release, from which on it counts as done.

    Args:
        counted: see :func:`models.breakdown.breakdown`.
        folder: on this machine, for the file while it is written.
    """
    with scratch_file(folder) as path:
        path.write_text(_to_json(released, counted), "utf-8")
        store.create_once(receipt_name(released.digest), path)


def _names(split: Split) -> dict[str, str]:
    ending = ".parquet" if split.shard.format == "parquet" else _ENDINGS[split.shard.container]
    stem = split.name
    return {
        "clean": stem + ending,
        "quarantine": stem + ending,
        "dead": f"{stem}.parquet",
        "audit": f"{stem}.parquet",
    }


def breakdown_of(digest: str, store: Store) -> pa.Table:
    """Return the breakdown of a split that was released, from its receipt; it is not carried from worker to worker."""
    return of_text(json.loads(store.read(receipt_name(digest)))["breakdown"])


def _to_json(released: Released, counted: pa.Table) -> str:
    facts = {
        "digest": released.digest,
        "files": [asdict(file) for file in released.files],
        "counts": dict(released.counts),
        "doors": released.doors.to_pydict(),
        "reasons": dict(released.reasons),
        "errors": dict(released.errors),
        "purged": [list(each) for each in released.purged],
        "flow": dict(released.flow),
        "works": {work: list(figures) for work, figures in released.works.items()},
        "causes": dict(released.causes),
        "fates": dict(released.fates),
        "applied": dict(released.applied),
        "breakdown": as_text(counted),
    }
    return json.dumps(facts, sort_keys=True, ensure_ascii=False) + "\n"


def _from_json(text: bytes) -> Released:
    facts: dict[str, Any] = json.loads(text)
    schema = pa.schema([("source", pa.string()), *((name, pa.int64()) for name in DOORS)])
    return Released(
        facts["digest"],
        tuple(PartFile(**file) for file in facts["files"]),
        facts["counts"],
        pa.table(facts["doors"], schema=schema),
        facts["reasons"],
        facts["errors"],
        tuple((sha256, title, count) for sha256, title, count in facts["purged"]),
        facts["flow"],
        facts["works"],
        facts["causes"],
        facts["fates"],
        facts["applied"],
    )
