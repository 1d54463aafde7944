"""Verify what a release says beyond its counts: manifest, summary and both reports are made again from catalogue and tables, and compared."""

import contextlib
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models.catalogue import Catalogue
from models.errors import ConservationError, UsageError
from models.source_reading import SourceReading
from models.verdicts import DOORS
from pipeline import purged
from pipeline.changes import changes
from pipeline.corpus import Corpus, Release
from pipeline.figures import FORMAT, Figures, gather
from pipeline.publish import MOVED, LaidOut, languages_of, write_csv
from pipeline.removals import in_manifest, moves_of
from pipeline.report import PAGES, form, render_report
from pipeline.report_reading import false_blacklistings
from pipeline.report_rollups import rollups_of
from pipeline.report_words import LANGUAGES, Words

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError)
"""What a file raises that is not of the form that this version writes."""


def readable(what: str, faults: Iterator[str]) -> Iterator[str]:
    """Give faults, and say it as one more if what is looked at is not of the form that this version writes; what is missing was said of the files."""
    try:
        yield from faults
    except FileNotFoundError:
        return
    except _UNREADABLE as error:
        yield f"{what}: not of the form that this version writes ({type(error).__name__}: {error})"


def verify_figures(release: Release | LaidOut, catalogue: Catalogue) -> Iterator[str]:
    """Give everything in manifest, summary and reports that does not follow from the catalogue and the tables of sources."""
    manifest = release.manifest
    yield from _verify_parts(manifest, catalogue)
    summary = json.loads(release.read("summary.json"))
    sources = pq.read_table(io.BytesIO(release.read("sources.parquet")))
    moves, rollups = _of(release, MOVED, moves_of), _of(release, "rollups.parquet", rollups_of)
    figures = replace(gather(catalogue.rows()), moves=moves, rollups=rollups)
    yield from _verify_manifest(release, catalogue, figures, sources)
    yield from _verify_doors(catalogue, sources)
    # What changed since the release before is looked at in verify_changes.
    figures = replace(figures, changes=summary["changes"])
    is_other = is_other_version(manifest)
    yield from _verify_summary(summary, figures, is_other)
    if is_other:
        return
    if release.read("sources.csv") != _csv_of(sources):
        yield "sources.csv: not what sources.parquet says"
    if manifest["form"] != form():
        return
    try:
        for language, page in PAGES.items():
            if release.read(page) != render_report(manifest | manifest["job"], sources, figures, language).encode():
                yield f"{page}: not the report of these figures"
    except ConservationError as error:
        yield f"{error}; no report may say that"


def is_other_version(manifest: Mapping[str, Any]) -> bool:
    """Say whether a release was made by another version than this one, which may word notices and reports in another way."""
    return bool(manifest["job"]["version"] != version("winnow-corpus"))


def verify_changes(corpus: Corpus, release: Release) -> Iterator[str]:
    """Say it if what a release says to have changed is not what changed since the one that it was made from, as long as that is there."""
    manifest = release.manifest
    if is_other_version(manifest):
        return
    base = manifest["base"]
    found: dict[str, Any] = {}
    # What is missing or damaged there is that release's fault, and here a fault of the files.
    with contextlib.suppress(FileNotFoundError, UsageError, *_UNREADABLE):
        if base in set(corpus.numbers()):
            lists = json.loads(corpus.releases.read(base, "blacklist.json")), json.loads(release.read("blacklist.json"))
            sources = pq.read_table(io.BytesIO(release.read("sources.parquet")))
            with corpus.release(base).fetched("sources.parquet") as old:
                found = changes(corpus.manifest(base), manifest, lists, old, sources)
        elif base:
            return
        if _as_read(found) != json.loads(release.read("summary.json"))["changes"]:
            yield f"summary.json: its changes are not those since {f'release {base}' if base else 'nothing'}"


def _verify_parts(manifest: Mapping[str, Any], catalogue: Catalogue) -> Iterator[str]:
    """Compare the list of files with the parts that the catalogue has."""
    listed = {file["path"]: file for file in manifest["files"] if "object" in file}
    parts = {f"{part.place}/{part.name}": part for row in catalogue.rows() for part in row.release.files}
    for path in sorted(listed.keys() | parts.keys()):
        if path not in listed or path not in parts:
            yield f"{path}: {'not in the catalogue' if path in listed else 'not in the manifest'}"
            continue
        for name in ("size", "sha256", "records", "object"):
            if listed[path][name] != getattr(parts[path], name):
                yield f"manifest: {path} has {name} {listed[path][name]}, by the catalogue {getattr(parts[path], name)}"


def _verify_manifest(
    release: Release | LaidOut, catalogue: Catalogue, figures: Figures, sources: pa.Table
) -> Iterator[str]:
    manifest = release.manifest
    policy = manifest["job"]["policy"]
    inputs = [
        {"path": path, "sha256": shard.checksum, "size": shard.size}
        for path in catalogue.paths
        if (shard := catalogue.shard(path)) is not None
    ]
    wanted: dict[str, Any] = {
        "languages": languages_of(figures),
        "shards": len(inputs),
        "inputs": inputs,
    }
    if not is_other_version(manifest):
        wanted["removals"] = in_manifest(figures, SourceReading.model_validate(policy["parameters"]))
        wanted["false_blacklistings"] = false_blacklistings(sources, policy)
    if not is_other_version(manifest) and manifest["form"] == form():
        found = purged.facts(json.loads(release.read(purged.FILE)), manifest, {})
        if found and "earlier" in manifest["purged"]:
            # Whether earlier releases may hold the text hangs on the one before, which may be gone.
            found["earlier"] = bool(manifest["base"] and manifest["purged"]["earlier"])
        wanted["purged"], wanted["notices"] = found, purged.told(found, Words(LANGUAGES[0]))
    for name, value in wanted.items():
        if manifest.get(name) != _as_read(value):
            yield f"manifest: its {name} are not what the release comes to"
    named, splits = Counter[str](), Counter[str]()
    for row in catalogue.rows():
        named.update(row.withdrawn)
        splits.update(row.withdrawn.keys())
    for row in manifest["withdrawals"]:
        if (row["records"], row["splits"]) != (named[row["id"]], splits[row["id"]]):
            yield (
                f"manifest: withdrawal {row['id']} names {row['records']} records in {row['splits']} splits, by the catalogue "
                f"{named[row['id']]} in {splits[row['id']]}"
            )
    if lost := named.keys() - {row["id"] for row in manifest["withdrawals"]}:
        yield f"manifest: without withdrawal {', '.join(sorted(lost))}, which the catalogue names"


def _verify_doors(catalogue: Catalogue, sources: pa.Table) -> Iterator[str]:
    """Compare the records of each source, in all and by door, with what the catalogue has of its splits."""
    names = ("records", *DOORS)
    pieces = [pa.table({"source": pa.array([], pa.string()), **{name: pa.array([], pa.int64()) for name in names}})]
    for ref in catalogue.segments:
        table = catalogue.read(ref).tallies("source", *names)
        pieces.append(_by_source(table.set_column(0, "source", table["source"].cast(pa.string())), names))
    summed = _by_source(pa.concat_tables(pieces), names)
    summed = summed.filter(pc.not_equal(summed["source"], ""))  # dead letters without a source
    said = sources.select(["source", "read", *DOORS]).rename_columns(["source", *(f"{name}_said" for name in names)])
    both = summed.join(said, "source", join_type="full outer", use_threads=False).sort_by("source")
    for name in names:
        come, told = (pc.fill_null(both[each], 0) for each in (name, f"{name}_said"))
        wrong = both.filter(pc.not_equal(come, told)).slice(0, 1).to_pylist()
        for row in wrong:
            what = "read" if name == "records" else name
            yield f"source {row['source']}: {row[f'{name}_said'] or 0} {what} in the table, {row[name] or 0} by the catalogue"


def _by_source(table: pa.Table, names: Sequence[str]) -> pa.Table:
    summed = table.group_by("source", use_threads=False).aggregate([(name, "sum") for name in names])
    return summed.select(["source", *(f"{name}_sum" for name in names)]).rename_columns(["source", *names])


def _verify_summary(summary: Mapping[str, Any], figures: Figures, is_other: bool) -> Iterator[str]:
    if is_other and summary["format"] != FORMAT:
        return
    for name, value in _as_read(figures.to_dict()).items():
        if name not in summary and is_other:
            continue  # a figure that its version did not have
        if name not in summary or summary[name] != value:
            yield f"summary.json: its {name} are not what audit and catalogue come to"


def _of(release: Release | LaidOut, table: str, read: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    with release.fetched(table) as path:
        return read(path)


def _csv_of(sources: pa.Table) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sources.csv"
        write_csv(path, sources)
        return path.read_bytes()


def _as_read(value: Any) -> Any:
    """Return a value as it is once it was written as JSON."""
    return json.loads(json.dumps(value))
