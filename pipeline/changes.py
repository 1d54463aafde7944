"""What changed since the release before: counts by door, states of sources, shards, policy and detectors."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.catalogue import TOTALS

SHOWN = 50
"""Sources and shards that are named; all are counted."""

Facts = Mapping[str, Any]


def changes(before: Facts, now: Facts, lists: tuple[Facts, Facts], old: Path, sources: pa.Table) -> dict[str, Any]:
    """Return what is different between two releases.

    Args:
        before, now: their manifests.
        lists: their ``blacklist.json``.
        old: the first one's ``sources.parquet`` on this machine; it is read as a stream.
        sources: the second one's table.

    Returns:
        ``base``, ``counts`` (door: before and now), ``sources`` (``states``: how many went from which to which, ``named``: key, state
        before and now, records; "" for a source that was not there), ``shards`` and ``digests`` (name, kind, before, now).
    """
    return {
        "base": before["release"],
        "counts": {total: [before["counts"][total], now["counts"][total]] for total in TOTALS},
        "sources": _sources(*lists, old, sources),
        "shards": _shards(before["inputs"], now["inputs"]),
        "digests": _digests(before["job"], now["job"]),
    }


def _sources(was: Facts, now: Facts, old: Path, sources: pa.Table) -> dict[str, Any]:
    """Compare states by what is not clean, of which there is little."""
    states = [
        {entry["key"]: state for state in ("blacklisted", "hold", "watch") for entry in each.get(state, ())}
        for each in (was, now)
    ]
    keys = sorted(key for key in states[0].keys() | states[1].keys() if states[0].get(key) != states[1].get(key))
    wanted = pa.array(keys, pa.string())
    there = _those_in(old, wanted)
    rows = sources.filter(pc.is_in(sources["source"], wanted)).select(["source", "state", "read"]).to_pylist()
    here = {row["source"]: row for row in rows}
    named = []
    for key in keys:
        row = here.get(key, {"state": "", "read": 0})
        named.append([key, there.get(key, ""), row["state"] or "", row["read"] or 0])
    ways = Counter((before, after) for _, before, after, _ in named)
    named.sort(key=lambda each: (-each[3], each[0]))
    return {"states": [[*way, count] for way, count in sorted(ways.items())], "named": named[:SHOWN]}


def _those_in(table: Path, keys: pa.Array) -> dict[str, str]:
    """Return the states of those of some sources that a table has."""
    found: dict[str, str] = {}
    with contextlib.closing(pq.ParquetFile(table)) as file:
        for batch in file.iter_batches(columns=["source", "state"]):
            some = batch.filter(pc.is_in(batch.column(0), keys))
            found.update((row["source"], row["state"] or "") for row in some.to_pylist())
    return found


def _shards(was: Sequence[Facts], now: Sequence[Facts]) -> dict[str, Any]:
    before, after = ({shard["path"]: shard["sha256"] for shard in shards} for shards in (was, now))
    kinds = {
        "new": sorted(after.keys() - before.keys()),
        "changed": sorted(path for path in after.keys() & before.keys() if after[path] != before[path]),
        "gone": sorted(before.keys() - after.keys()),
    }
    return {kind: {"count": len(paths), "named": paths[:SHOWN]} for kind, paths in kinds.items()}


def _digests(was: Facts, now: Facts) -> list[list[str]]:
    names = [
        (
            "policy",
            f"{now['policy']['name']} {now['policy']['version']}",
            was["policy"]["digest"],
            now["policy"]["digest"],
        ),
        *(
            ("detector", name, was["taggers"].get(name, ""), now["taggers"].get(name, ""))
            for name in sorted(was["taggers"].keys() | now["taggers"].keys())
        ),
        ("version", "winnow", was["version"], now["version"]),
    ]
    return [[kind, name, before, after] for kind, name, before, after in names if before != after]
