"""Tags and releases every split of some shards in threads of this one process, as engines do, and prints what came out."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from models.files import LocalOpener
from models.planning import plan_shard
from models.release_pass import release_digest
from models.release_split import release_split
from models.shard import Split
from models.sources import SourceStates
from models.store import LocalStore
from models.tag_pass import Tagged, tag_split
from pipeline.config import make_job, read_run_file

PLACES = ("clean", "quarantine", "dead", "audit")


def main(run: Path, folder: Path, threads: int) -> None:
    settings = read_run_file(run)
    job = make_job(settings)
    root = Path(settings.file.inputs[0]).parent
    shards = [
        plan_shard(LocalOpener(), str(root), Path(path).name, job.reading, job.split_size)
        for path in settings.file.inputs
    ]
    splits = [split for shard in shards for split in shard.splits()]
    store = LocalStore(folder)
    store.prepare()
    sys.setswitchinterval(1e-4)  # seconds; 50 times as often as by default, so that what can come in between does

    def do(split: Split) -> Tagged:
        return tag_split(split, (), job, LocalOpener(), store, folder, lambda _place, _bytes: None, None)

    states = SourceStates(np.array([], np.uint64), np.array([], np.uint8))

    def release(split: Split, receipt: Tagged) -> list[str]:
        digest = release_digest(split.digest(job.reading), receipt.known, job, states)
        stores, folders = dict.fromkeys(PLACES, store), dict.fromkeys(PLACES, folder)
        made = release_split(split, receipt.layers, job, states, LocalOpener(), stores, folders, digest, None)
        return [f"{file.place} {file.sha256}" for file in made.files]

    with ThreadPoolExecutor(threads) as pool:
        receipts = list(pool.map(do, splits))
        parts = list(pool.map(release, splits, receipts))
    facts = {
        split.name: [receipt.known.digest, dict(receipt.findings), dict(receipt.errors), files]
        for split, receipt, files in zip(splits, receipts, parts, strict=True)
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
