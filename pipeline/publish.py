"""Publish: from a run's outcome to the current release."""

import csv
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from models.catalogue import Catalogue, Row
from models.digest import digest_of, digest_of_file
from models.errors import InputOutputError
from models.outcome import Outcome
from models.parts import PLACES, RESTRICTED
from models.store import sync_tree
from pipeline.corpus import Corpus
from pipeline.report import render_report
from pipeline.waiting import published_as

BLACKLIST_FORMAT = 1


@dataclass(frozen=True)
class Published:
    """What publishing came to: the number of the release, and whether it is a new one."""

    number: int
    is_new: bool


def publish(corpus: Corpus, outcome: Outcome, started: str) -> Published:
    """Make a run's outcome the current release, unless a release holds it already.

    Raises:
        OutrunError: if another release was published since the run started.
    """
    if number := published_as(corpus, outcome):
        return Published(number, False)
    with staged(corpus, outcome, started) as release:
        number = corpus.publish(release.folder, release.apart, outcome.base)
    return Published(number, True)


class Staged(NamedTuple):
    """An outcome laid out as a release, not yet published.

    Attributes:
        folder: holds it, on the output's file system.
        apart: root of quarantine and dead letters and the folder staged there, if that is not the output.
        catalogue: of the outcome.
    """

    folder: Path
    apart: tuple[Path, Path] | None
    catalogue: Catalogue


@contextmanager
def staged(corpus: Corpus, outcome: Outcome, started: str) -> Iterator[Staged]:
    """Lay out an outcome as a release; what is not moved away goes again."""
    described = dict(outcome.job)
    store = corpus.root / "store"
    catalogue = Catalogue.read(store / outcome.splits, store / outcome.tallies)
    sources = with_kind(pq.read_table(store / outcome.sources), catalogue, described)
    # Not of the catalogue, which holds paths: the same work elsewhere is the same run.
    splits = [[row.digest, row.release.digest] for row in catalogue.rows()]
    run = digest_of({"job": described, "splits": splits, "as_of": outcome.as_of, "base": outcome.base})[:16]
    manifest = {
        "format": 1,
        "release": outcome.base + 1,
        "base": outcome.base,
        "run": run,
        "as_of": outcome.as_of,
        "started": started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": dict(outcome.counts),
        "work": dict(outcome.work),
        "restricted": outcome.restricted,
        "shards": len(catalogue.paths),
        "twins": [list(pair) for pair in outcome.twins],
        "gone": list(outcome.gone),
        "catalogue": outcome.catalogue,
        "job": described,
        "inputs": [
            {"path": path, "sha256": shard.checksum, "size": shard.size}
            for path in catalogue.paths
            if (shard := catalogue.shard(path)) is not None
        ],
    }
    restricted = corpus.restricted(manifest)
    is_apart = restricted != corpus.root
    with _staging(corpus.root) as folder, _staging(restricted) as private:
        _stage(folder, private if is_apart else folder, catalogue, manifest, sources, corpus, restricted)
        yield Staged(folder, (restricted, private) if is_apart else None, catalogue)


@contextmanager
def _staging(root: Path) -> Iterator[Path]:
    """Give an empty folder on a root's own file system, and remove what is left of it."""
    folder = root / "store" / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="release-") as name:
        staged = Path(name) / "staged"
        staged.mkdir()
        yield staged


def _stage(
    staged: Path,
    private: Path,
    catalogue: Catalogue,
    manifest: dict[str, Any],
    sources: pa.Table,
    corpus: Corpus,
    restricted: Path,
) -> None:
    """Lay out a release in a folder, quarantine and dead letters in ``private``: links to the parts, and the tables."""
    for place in PLACES:
        (private if place in RESTRICTED else staged).joinpath(place).mkdir(mode=0o700 if place in RESTRICTED else 0o755)
    files = []
    for row in catalogue.rows():
        for part in row.release.files:
            link = (private if part.place in RESTRICTED else staged) / part.place / part.name
            link.parent.mkdir(parents=True, exist_ok=True)
            made = (restricted if part.place in RESTRICTED else corpus.root) / "store" / part.object
            try:
                os.link(made, link)
            except FileNotFoundError:
                raise InputOutputError(
                    f"{made} is gone, which is {part.place}/{part.name}; if this run made it, run again, which makes it "
                    "anew; otherwise restore it"
                ) from None
            files.append(
                {"path": f"{part.place}/{part.name}", "size": part.size, "sha256": part.sha256, "records": part.records}
            )
    write_json(
        staged / "audit" / "taggers.json", {"taggers": manifest["job"]["taggers"], "policy": manifest["job"]["policy"]}
    )
    pq.write_table(sources, staged / "sources.parquet", compression="zstd")
    write_csv(staged / "sources.csv", sources)
    write_json(staged / "blacklist.json", blacklist(sources, manifest, _previous(corpus)))
    reasons, errors, dead = _sums(catalogue.rows())
    page = render_report(manifest | manifest["job"], sources, reasons, errors, dead)
    (staged / "report.html").write_text(page, "utf-8")
    for name in ("sources.parquet", "sources.csv", "blacklist.json", "report.html", "audit/taggers.json"):
        path = staged / name
        files.append({"path": name, "size": path.stat().st_size, "sha256": digest_of_file(path)})
    write_json(staged / "manifest.json", manifest | {"files": files})
    sync_tree(staged)
    sync_tree(private)


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys for people and programs."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table as CSV (RFC 4180); cells that a spreadsheet would take for a formula get a leading apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.schema.names)
        for row in table.to_pylist():
            writer.writerow([_cell(value) for value in row.values()])


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def with_kind(sources: pa.Table, catalogue: Catalogue, job: dict[str, Any]) -> pa.Table:
    """Add the kind of each source's key: ``name`` (a column), ``domain`` (of a URL), ``path``, or ``mixed``."""
    kinds: dict[str, str] = {}
    by_row = [_kind(row, job["source_from"]) for row in catalogue.rows()]
    pairs = pa.table({"row": catalogue.tallies["row"], "source": catalogue.tallies["source"]})
    for row, source in zip(pairs["row"].to_pylist(), pairs["source"].to_pylist(), strict=True):
        kind = by_row[row]
        kinds[source] = kind if kinds.get(source, kind) == kind else "mixed"
    column = pa.array([kinds.get(name, "") for name in sources["source"].to_pylist()], pa.string())
    policy = job["policy"]
    count = len(sources)
    return (
        sources.add_column(1, "kind", column)
        .append_column("reading", pa.array([policy["reading"]] * count, pa.string()))
        .append_column("basis", pa.array([policy["basis"]] * count, pa.string()))
    )


def _kind(row: Row, origin: str) -> str:
    columns = row.split.shard.columns
    if origin == "auto":
        origin = "column" if columns.source else "url" if columns.url else "path"
    return {"column": "name", "url": "domain", "path": "path"}[origin]


def _previous(corpus: Corpus) -> dict[str, Any]:
    return json.loads((corpus.release(corpus.number) / "blacklist.json").read_text("utf-8")) if corpus.number else {}


def blacklist(sources: pa.Table, manifest: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
    """Return the blacklist: sources to shut out, and those on hold, with share, number of records and since when.

    The form is that of ``pipeline/blacklist.schema.json``.
    """
    before = {(e["key"], e["state"]): e for e in [*previous.get("blacklisted", []), *previous.get("hold", [])]}
    policy = manifest["job"]["policy"]
    lists: dict[str, list[dict[str, Any]]] = {"blacklisted": [], "hold": []}
    for row in sources.to_pylist():
        if row["state"] not in lists:
            continue
        known = before.get((row["source"], row["state"]), {})
        lists[row["state"]].append(
            {
                "key": row["source"],
                "kind": row["kind"],
                "state": row["state"],
                "share": f"{row['unlawful']}/{row['distinct']}",
                "n": row["distinct"],
                "since": known.get("since", manifest["as_of"]),
                "run": known.get("run", manifest["run"]),
                "policy": f"{policy['name']}@{policy['version']}",
            }
        )
    reading = f"reading: {policy['reading']}, basis: {policy['basis']} (estimated from detectors, not audited)"
    return {"format": BLACKLIST_FORMAT, "reading": reading, "limit": policy["limit"], **lists}


def _sums(rows: Iterable[Row]) -> tuple[dict[str, int], dict[str, int], list[tuple[str, int]]]:
    reasons: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    dead: Counter[str] = Counter()
    for row in rows:
        reasons.update(row.release.reasons)
        errors.update(row.release.errors)
        if row.release.counts["dead"]:
            dead[row.split.shard.path] += row.release.counts["dead"]
    worst = sorted(dead.items(), key=lambda item: (-item[1], item[0]))
    return dict(sorted(reasons.items())), dict(sorted(errors.items())), worst
