"""What the source registries of a run say of the sources of a corpus, as a table of the release: origin, kind, evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.addressed import keep
from models.job import Job
from models.source_registry import Entry, Selected
from models.store import Store
from models.summing import GroupWriter

VALID = "valid"
REGISTRY = pa.schema(
    [
        *(
            (name, pa.string())
            for name in ("source", "entry", "kind", "origin", "licence", "valid_from", "valid_until")
        ),
        ("evidence", pa.list_(pa.string())),
    ]
)
"""A row a source of the corpus that a registry names. ``entry`` is ``valid``; else why none is: ``valid_until``, the last one has ended, or
``valid_from``, it has yet to begin, and the other columns are null. ``evidence`` names what the entry refers to, not where it lies."""


@runtime_checkable
class Registering(Protocol):
    """What a tagger that goes by source registries may have besides the contract."""

    def selected(self) -> Selected:
        """Return what the registries say on the day of the run."""
        ...


def keep_registry(sources: str, job: Job, store: Store, folder: Path) -> str:
    """Write the table and return its name; it has no row where no registry was used.

    Sources whose own name is hidden are not found in a registry, as the table would tell it.

    Args:
        sources: table of sources, name in the store.
    """
    selected = [tagger.selected() for tagger in job.taggers if isinstance(tagger, Registering)]
    valid: dict[str, Entry] = {}
    ended: dict[str, str] = {}
    for each in selected:
        valid |= each.valid
        ended |= each.ended

    def write(path: Path) -> None:
        writer = GroupWriter(path, REGISTRY)
        known = pa.array(sorted({*valid, *ended}), pa.string())
        with pq.ParquetFile(store.local(sources)) as file:
            for batch in file.iter_batches(columns=["source"]):
                names = batch.filter(pc.is_in(batch["source"], known))["source"].to_pylist()
                writer.write(pa.Table.from_pylist([_row(name, valid, ended) for name in names], REGISTRY))
        writer.close()

    return keep(store, folder, "catalogues", ".registry.parquet", write)


def _row(source: str, valid: Mapping[str, Entry], ended: Mapping[str, str]) -> dict[str, object]:
    entry = valid.get(source)
    if entry is None:
        return {"source": source, "entry": ended[source], "evidence": []}
    return {
        "source": source,
        "entry": VALID,
        "kind": entry.kind,
        "origin": entry.origin,
        "licence": entry.references.get("licence"),
        "valid_from": entry.valid_from or None,
        "valid_until": entry.valid_until or None,
        "evidence": sorted([*entry.references, *(["evidence"] if entry.evidence else [])]),
    }
