"""Building indexes of fingerprints, adding works and removing them.

An index is made anew each time, in a folder beside it that then takes its place, so that runs which have the old one open keep it. All
happens in memory: some 60 bytes a fingerprint at the most, that is 1 GB for 16 million, or some 300 MB of text.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from models.artefact import Artefact, describe, read_description
from models.errors import UsageError
from models.fingerprint_form import form_of
from models.fingerprint_index import (
    FILES,
    FORMAT,
    KIND,
    SETTINGS,
    TABLE,
    WORKS,
    Index,
    Numbers,
    gate_of,
    open_index,
    settings,
)
from models.fingerprints import GRAM, GUARANTEE, Hashes, fingerprints
from models.view import View, safe_view
from models.works import Work

MOST_WORKS = 100
"""Fingerprints that more works have are set aside: they tell of a licence or a formula, not of a work."""

_BATCH = 1 << 22  # characters of works whose view is made in one go
_SHOWN = 5


@dataclass(frozen=True)
class _Pairs:
    """Works, and each of their fingerprints with the number of its work, each pair once, in any order.

    Attributes:
        works: rows of :data:`WORKS`, but for the counts of fingerprints.
    """

    works: list[dict[str, object]]
    hashes: Hashes
    owners: Numbers


def build_index(
    works: Iterable[Work],
    folder: Path,
    *,
    most_works: int = MOST_WORKS,
    title: str = "",
    licence: str = "",
    short: bool = False,
) -> Artefact:
    """Make the index of works in a folder, in place of the index that is there.

    Args:
        works: in any order.
        folder: where to.
        most_works: fingerprints that more works have are set aside.
        title, licence: of the index.
        short: whether works are taken that are shorter than what is surely found.

    Raises:
        UsageError: if a work comes twice, has no fingerprint that could find it, or is short and that is not allowed, naming it; nothing
            is changed then.
    """
    with _locked(folder):
        return _write(_pairs_of(works, short), folder, most_works, title, licence)


def add_works(folder: Path, works: Iterable[Work], *, short: bool = False) -> Artefact:
    """Add works to an index; ``short`` and UsageError as in ``build_index``, and UsageError for works that it has."""
    with _locked(folder):
        index = open_index(folder)
        return _rewrite(_joined(_pairs_in(index), _pairs_of(works, short)), index)


def remove_works(folder: Path, ids: Sequence[str]) -> Artefact:
    """Remove works from an index; UsageError for works that it has not, or if none would be left."""
    with _locked(folder):
        index = open_index(folder)
        if unknown := sorted(set(ids) - set(index.ids)):
            raise UsageError(f"{folder}: has no work {_some(unknown)}; see: winnow index stat {folder} --works")
        had = _pairs_in(index)
        stays = np.array([each not in set(ids) for each in index.ids])
        numbers = np.cumsum(stays, dtype=np.uint32) - 1
        kept = stays[had.owners]
        rows = [work for work, here in zip(had.works, stays.tolist(), strict=True) if here]
        return _rewrite(_Pairs(rows, had.hashes[kept], numbers[had.owners[kept]].astype(np.uint32)), index)


def _pairs_of(works: Iterable[Work], short: bool) -> _Pairs:
    rows: list[dict[str, object]] = []
    hashes: list[Hashes] = []
    owners: list[Numbers] = []
    for batch in _batches(works):
        view = safe_view(pa.array([work.text for work in batch], pa.string()))
        parts = list(fingerprints(view))
        number = np.concatenate([part.rows for part in parts]) + len(rows)
        found = np.concatenate([part.hashes for part in parts])
        order = np.lexsort((number, found))
        number, found = number[order], found[order]
        is_new = np.ones(len(found), bool)
        is_new[1:] = (found[1:] != found[:-1]) | (number[1:] != number[:-1])
        hashes.append(found[is_new])
        owners.append(number[is_new].astype(np.uint32))
        said = ("id", "title", "holder", "licence", "claim")
        rows += [
            {name: getattr(work, name) for name in said} | {"characters": len(work.text), "form_bytes": size}
            for work, size in zip(batch, _form_bytes(view), strict=True)
        ]
    if not short:
        _check_all_are_surely_found({str(row["id"]): int(str(row["form_bytes"])) for row in rows})
    none: Hashes = np.zeros(0, np.uint64)
    return _Pairs(rows, np.concatenate([none, *hashes]), np.concatenate([np.zeros(0, np.uint32), *owners]))


def _form_bytes(view: View) -> Iterator[int]:
    return (len(form_of(view.data[start : end - 1])) for start, end in pairwise(view.bounds.tolist()))


def _batches(works: Iterable[Work]) -> Iterator[list[Work]]:
    batch: list[Work] = []
    size = 0
    for work in works:
        batch.append(work)
        size += len(work.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _pairs_in(index: Index) -> _Pairs:
    said = [name for name in WORKS.names if name not in ("fingerprints", "common")]
    hashes = np.concatenate((index.hashes, index.common))
    return _Pairs(index.works.select(said).to_pylist(), hashes, np.concatenate((index.owners, index.common_owners)))


def _joined(one: _Pairs, two: _Pairs) -> _Pairs:
    owners = np.concatenate((one.owners, two.owners + np.uint32(len(one.works))))
    return _Pairs([*one.works, *two.works], np.concatenate((one.hashes, two.hashes)), owners)


def _rewrite(pairs: _Pairs, index: Index) -> Artefact:
    said = read_description(index.folder)
    return _write(pairs, index.folder, index.most_works, said.get("title", ""), said.get("licence", ""))


def _write(pairs: _Pairs, folder: Path, most_works: int, title: str, licence: str) -> Artefact:
    ids = [str(work["id"]) for work in pairs.works]
    if not ids:
        raise UsageError(f"{folder}: an index of no works finds nothing; name at least one")
    if twice := sorted(each for each, count in Counter(ids).items() if count > 1):
        raise UsageError(
            f"work {_some(twice)} is there twice; join its parts, or remove the one before adding the other"
        )
    by_id = sorted(range(len(ids)), key=lambda number: ids[number])
    rank = np.empty(len(ids), np.uint32)
    rank[by_id] = np.arange(len(ids), dtype=np.uint32)
    owners = rank[pairs.owners]
    order = np.lexsort((owners, pairs.hashes))
    hashes, owners = pairs.hashes[order], owners[order]
    del order
    first = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1]))) if len(hashes) else np.zeros(0, int)
    count = np.diff(np.append(first, len(hashes)))
    is_common = np.repeat(count > most_works, count)
    every = np.bincount(owners, minlength=len(ids))
    common = np.bincount(owners[is_common], minlength=len(ids))
    _check_all_can_be_found([ids[number] for number in by_id], every.tolist(), common.tolist(), most_works)
    rows = [
        pairs.works[number] | {"fingerprints": int(each), "common": int(aside)}
        for number, each, aside in zip(by_id, every, common, strict=True)
    ]
    arrays: dict[str, npt.NDArray[Any]] = {
        "fingerprints.npy": hashes[~is_common],
        "owners.npy": owners[~is_common],
        "common.npy": hashes[is_common],
        "common_owners.npy": owners[is_common],
    }
    arrays["gate.npy"] = gate_of(arrays["fingerprints.npy"], arrays["common.npy"])
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        made = Path(scratch) / "new"
        made.mkdir()
        for name, array in arrays.items():
            np.save(made / name, array, allow_pickle=False)
        pq.write_table(pa.Table.from_pylist(rows, WORKS), made / TABLE)
        (made / SETTINGS).write_text(json.dumps(settings(most_works), indent=2) + "\n", "utf-8")
        said = {"title": title, "licence": licence or "not stated", "made_with": "winnow index"}
        artefact = describe(made, kind=KIND, version=FORMAT, names=list(FILES), **said)
        _put_in_place(made, folder, Path(scratch) / "old")
    return Artefact(folder, artefact.kind, artefact.format, artefact.files, artefact.title, artefact.licence)


def _check_all_can_be_found(ids: list[str], every: list[int], common: list[int], most_works: int) -> None:
    """Refuse works that no record could be found by: registered, they would seem to be looked for."""
    without = [name for name, count in zip(ids, every, strict=True) if not count]
    if without:
        raise UsageError(
            f"work {_some(without)} has no fingerprint: less than {GRAM} bytes of letters and digits; leave it out, or join it to others"
        )
    usual = [name for name, count, aside in zip(ids, every, common, strict=True) if count == aside]
    if usual:
        raise UsageError(
            f"work {_some(usual)} has only fingerprints that more than {most_works} works have, which are set aside; leave such works "
            "out, or build the index with a higher --most-works"
        )


def _check_all_are_surely_found(sizes: dict[str, int]) -> None:
    """Refuse works of which a copy, word for word, may share no fingerprint with them."""
    # Those without any are named by `_check_all_can_be_found`, whatever is allowed.
    if short := [name for name, size in sizes.items() if GRAM <= size < GUARANTEE]:
        raise UsageError(
            f"work {_some(short)} is shorter than what is surely found: {min(sizes[name] for name in short)} of {GUARANTEE} bytes of letters "
            "and digits, so most records that have it would pass; join it to others, leave it out, or take it all the same: --short"
        )


def _put_in_place(made: Path, folder: Path, aside: Path) -> None:
    if folder.exists():
        if any(folder.iterdir()) and read_description(folder).get("kind") != KIND:
            raise UsageError(f"{folder}: is a folder with other things in it; name a new one")
        folder.rename(aside)
    made.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one at a time change the indexes of a folder: of two that add at once, one would be lost."""
    parent = folder.resolve().parent
    parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
