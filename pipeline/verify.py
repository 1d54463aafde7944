"""Verify: every count and state of a release derived again from its files."""

import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from models.catalogue import Catalogue, Row
from models.containers import open_container
from models.digest import digest_of_file
from models.lines import blocks
from models.parts import RESTRICTED
from pipeline.corpus import Corpus
from pipeline.publish import staged
from pipeline.waiting import Waiting


def verify(corpus: Corpus, number: int | None = None) -> Iterator[str]:
    """Give everything about a release that is not as it says; nothing if all is well."""
    manifest = corpus.manifest(number)
    yield from _verify(corpus.release(manifest["release"]), corpus.catalogue(manifest["release"]))


def verify_waiting(corpus: Corpus, run: Waiting) -> Iterator[str]:
    """Give the same about a finished run, laid out as the release that publishing would make of it.

    Raises:
        InputOutputError: if a part is gone.
    """
    with staged(corpus, run.outcome, run.started) as release:
        if release.apart is not None:
            for place in sorted(RESTRICTED):
                (release.folder / place).symlink_to(release.apart[1] / place)
        yield from _verify(release.folder, release.catalogue)


def _verify(folder: Path, catalogue: Catalogue) -> Iterator[str]:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    for file in manifest["files"]:
        path = folder / file["path"]
        if not path.is_file():
            yield f"{file['path']}: missing"
        elif digest_of_file(path) != file["sha256"]:
            yield f"{file['path']}: content is not what the manifest says"
    listed = {file["path"] for file in manifest["files"]} | {"manifest.json"}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and str(path.relative_to(folder)) not in listed:
            yield f"{path.relative_to(folder)}: in the release, but not in the manifest"
    counts: Counter[str] = Counter()
    doors: dict[str, Counter[str]] = {}
    for row in catalogue.rows():
        yield from _verify_split(folder, row, counts, doors)
    for name in ("clean", "quarantined", "dropped", "dead"):
        if counts[name] != manifest["counts"][name]:
            yield f"manifest: {manifest['counts'][name]} {name}, the files hold {counts[name]}"
    if sum(counts.values()) != manifest["counts"]["read"]:
        yield f"manifest: {manifest['counts']['read']} read, {sum(counts.values())} went out"
    yield from _verify_sources(folder, manifest, doors)


def _verify_split(folder: Path, row: Row, counts: Counter[str], doors: dict[str, Counter[str]]) -> Iterator[str]:
    here: Counter[str] = Counter()
    parts = {part.place: part for part in row.release.files}
    for place, name in (("clean", "clean"), ("quarantine", "quarantined"), ("dead", "dead")):
        if place in parts and (folder / place / parts[place].name).is_file():
            here[name] = _count(folder / place / parts[place].name, row)
    audit = parts.get("audit")
    said: Counter[str] = Counter()
    if audit is not None and (folder / "audit" / audit.name).is_file():
        table = pq.read_table(folder / "audit" / audit.name, columns=["door", "records", "source", "action"])
        for line in table.to_pylist():
            said[{"quarantine": "quarantined"}.get(line["door"], line["door"])] += line["records"]
            if line["action"] != "keep":
                doors.setdefault(line["source"] or "", Counter())[line["door"]] += line["records"]
    here["dropped"] = said["dropped"]
    counts.update(here)
    for name in ("clean", "quarantined", "dropped", "dead"):
        if not here[name] == said[name] == row.release.counts[name]:
            yield (
                f"{row.split.name}: {here[name]} {name} in the files, {said[name]} in the audit, "
                f"{row.release.counts[name]} in the catalogue"
            )
    if sum(here.values()) != row.entries:
        yield f"{row.split.name}: {row.entries} entries, {sum(here.values())} went out"


def _count(path: Path, row: Row) -> int:
    """Count the records of a part."""
    if path.suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    shard = row.split.shard
    with path.open("rb") as file:
        stream = open_container(file, shard.container)
        size = 0
        while piece := stream.read(1 << 20):
            size += len(piece)
    with path.open("rb") as file:
        stream = open_container(file, shard.container)
        skip = 2 if shard.encoding.startswith("utf-16") and stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else 0
        if not skip:
            file.seek(0)
            stream = open_container(file, shard.container)
        return sum(
            len(part.starts)
            for part in blocks(stream, skip, size - skip, shard.encoding, 1 << 40)
            if hasattr(part, "starts")
        )


def _verify_sources(folder: Path, manifest: dict[str, Any], doors: dict[str, Counter[str]]) -> Iterator[str]:
    policy = manifest["job"]["policy"]
    limit = Fraction(policy["limit"])
    listed: dict[str, set[str]] = {"blacklisted": set(), "hold": set()}
    for source in pq.read_table(folder / "sources.parquet").to_pylist():
        key, state = source["source"], source["state"]
        for door in ("quarantine", "dropped"):
            if (source[door] or 0) != doors.get(key, Counter())[door]:
                yield f"source {key}: {source[door]} {door} in the table, {doors.get(key, Counter())[door]} in the audit"
        if state is None:
            continue
        over = source["unlawful"] > source["distinct"] * limit
        wanted = ("blacklisted" if source["distinct"] >= policy["min_records"] else "hold") if over else "clean"
        if state != wanted:
            yield f"source {key}: {state}, its figures say {wanted}"
        if state in listed:
            listed[state].add(key)
            if source["clean"] and policy["actions"][state] != "keep":
                yield f"source {key}: {state}, yet {source['clean']} of its records are clean"
    black = json.loads((folder / "blacklist.json").read_text("utf-8"))
    for state, keys in listed.items():
        if {entry["key"] for entry in black[state]} != keys:
            yield f"blacklist.json: its {state} sources are not those of sources.parquet"
