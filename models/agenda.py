"""What a run has to do: the shards of the corpus after it, and the tasks that workers take."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from models.catalogue import Catalogue, Row
from models.errors import UsageError
from models.job import Job
from models.parsing import is_source_in_path, source_of_path
from models.shard import Columns, Reading, Shard, Split
from models.tag_pass import LayerRef


@dataclass(frozen=True)
class TagTask:
    """Splits for one worker, with the layers that the catalogue has of each; those of a compressed shard are in order."""

    splits: tuple[tuple[Split, tuple[LayerRef, ...]], ...]


@dataclass(frozen=True)
class Agenda:
    """All shards of the corpus once the run is done.

    Attributes:
        shards: by path.
        new: paths of shards that the catalogue does not have with this content.
        gone: paths that leave the corpus.
        twins: path of each shard whose content another has too, and that one's path.
        records_in_all: lines or rows of all shards, also those beyond a limit.
    """

    shards: tuple[Shard, ...]
    new: frozenset[str]
    gone: tuple[str, ...]
    twins: tuple[tuple[str, str], ...]
    records_in_all: int

    def splits(self) -> Iterable[Split]:
        return (split for shard in self.shards for split in shard.splits())

    def summary(self, catalogue: Catalogue, job: Job) -> dict[str, Any]:
        """Return what people want to know of a plan: numbers, the columns that were recognised, and what would be read."""
        columns: dict[str, list[str]] = {}
        for shard in self.shards:
            columns.setdefault(shard.columns.in_words(), []).append(shard.path)
        todo = [split for split in self.splits() if reusable(split, catalogue, job) is None]
        return {
            "shards": len(self.shards),
            "new": sum(shard.path in self.new for shard in self.shards),
            "gone": list(self.gone),
            "twins": [list(pair) for pair in self.twins],
            "bytes": sum(shard.size for shard in self.shards),
            "records": sum(split.cut.records for split in self.splits()),
            "records_in_all": self.records_in_all,
            "splits": sum(len(shard.cuts) for shard in self.shards),
            "splits_to_tag": len(todo),
            "bytes_to_tag": sum(split.size for split in todo),
            "columns": [[said, len(paths), paths[0]] for said, paths in sorted(columns.items())],
            "lacking": [
                [role, len(paths), paths[0]]
                for role in ("id", "source", "url")
                if (paths := [shard.path for shard in self.shards if role in shard.lacks])
            ],
        }


def settle(planned: Sequence[Shard], catalogue: Catalogue, job: Job, exact: bool) -> Agenda:
    """Join the shards that the globs named with those that the catalogue has.

    Args:
        exact: shards that were not named leave the corpus.

    Raises:
        UsageError: if a path is in the catalogue from another root: one would silently replace the other.
    """
    check_mapped([(shard.columns, shard.lacks) for shard in planned])
    named = {shard.path: shard for shard in planned}
    new = set()
    for path, shard in named.items():
        before = catalogue.shard(path)
        if before is None or before.checksum != shard.checksum:
            new.add(path)
        elsewhere = before is not None and before.root != shard.root
        if before is not None and elsewhere and path in new and not exact:
            raise UsageError(
                f"{path} is in this corpus from {before.root} and was now found with other content in {shard.root}. "
                "If they are different shards, set input_root to a folder above both; if it moved, run with --exact "
                "from its new place"
            )
    others = [] if exact else [path for path in catalogue.paths if path not in named]
    gone = tuple(sorted(path for path in catalogue.paths if path not in named)) if exact else ()
    for path in others:
        kept = catalogue.shard(path)
        assert kept is not None
        if kept.reading != job.reading.digest:
            raise UsageError(
                f"{path} is in this corpus, but was read in another way (columns, encoding, source_from, max_record_bytes); "
                "name all shards again, so that all are read alike, or choose another output"
            )
        named[path] = kept
    shards, twins = _find_twins([named[path] for path in sorted(named)], job.reading)
    count = sum(cut.records for shard in shards for cut in shard.cuts)
    return Agenda(tuple(_limit(shards, job.reading.limit)), frozenset(new), gone, twins, count)


def check_mapped(shards: Sequence[tuple[Columns, tuple[str, ...]]]) -> None:
    """Refuse a mapping of ``id``, ``source`` or ``url`` to a column that no shard has: a slip of the pen would pass for a choice.

    Raises:
        UsageError: naming the column.
    """
    for role in ("id", "source", "url"):
        if shards and all(role in lacks for _, lacks in shards):
            raise UsageError(
                f"columns.{role}: no shard has {getattr(shards[0][0], role)!r} (looked for in the schema, or the first records); "
                "name a column that is there, or leave it out"
            )


def _find_twins(shards: Sequence[Shard], reading: Reading) -> tuple[list[Shard], tuple[tuple[str, str], ...]]:
    first: dict[tuple[str, int, str], str] = {}
    marked, twins = [], []
    for shard in shards:
        # The same bytes are other records where the path says whose they are.
        source = source_of_path(shard.path) if is_source_in_path(shard.columns, reading) else ""
        path = first.setdefault((shard.checksum, shard.size, source), shard.path)
        twin = path if path != shard.path and shard.size else ""
        marked.append(replace(shard, twin=twin))
        if twin:
            twins.append((shard.path, twin))
    return marked, tuple(twins)


def _limit(shards: Sequence[Shard], limit: int) -> Iterable[Shard]:
    if not limit:
        yield from shards
        return
    left = limit
    for shard in shards:
        cuts = []
        for cut in shard.cuts:
            if left <= 0:
                break
            cuts.append(replace(cut, limit=min(left, max(1, cut.records))))
            left -= cut.records
        if cuts:
            yield replace(shard, cuts=tuple(cuts))


def reusable(split: Split, catalogue: Catalogue, job: Job) -> Row | None:
    """Return the catalogue's row of a split if nothing about it needs to be looked up in layers."""
    row = catalogue.find(split.digest(job.reading))
    return row if row is not None and row.is_valid(job) else None


def tag_tasks(agenda: Agenda, catalogue: Catalogue, job: Job) -> Iterable[TagTask]:
    """Return the tagging that the run needs: splits without valid findings, small ones several a task."""
    waiting: list[tuple[Split, tuple[LayerRef, ...]]] = []
    size = 0
    for shard in agenda.shards:
        todo = []
        for split in shard.splits():
            if reusable(split, catalogue, job) is None:
                row = catalogue.find(split.digest(job.reading))
                todo.append((split, row.layers if row else ()))
        if shard.container and todo:
            yield TagTask(tuple(todo))
            continue
        for item in todo:
            waiting.append(item)
            size += shard.size // max(1, len(shard.cuts))
            if size >= job.split_size:
                yield TagTask(tuple(waiting))
                waiting, size = [], 0
    if waiting:
        yield TagTask(tuple(waiting))
