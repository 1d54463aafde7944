"""Verify: every count and state of a release derived again from its files."""

import contextlib
import io
import json
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from models import ledgers
from models.catalogue import TOTALS, Catalogue, Row
from models.containers import open_container
from models.decisions import by_override
from models.digest import digest_of_file
from models.errors import BrokenChainError
from models.lines import blocks
from models.overrides import InForce
from models.policy import Calibrated
from models.removals import REASONS
from models.sketch_files import is_as_named
from models.source_reading import SourceReading
from models.source_states import state_by_figures
from models.sources import BLACKLISTED, HOLD, STATES
from models.store import Store
from pipeline import purged
from pipeline.audit_sums import AuditSums, read_audit
from pipeline.corpus import Corpus, Release
from pipeline.publish import LISTED, LaidOut, laid_out
from pipeline.releases import TOMBSTONES
from pipeline.source_decisions import in_force, verify_states
from pipeline.verify_figures import readable, verify_changes, verify_figures
from pipeline.waiting import Waiting


def verify(corpus: Corpus, number: int | None = None) -> Iterator[str]:
    """Give everything about a release that is not as it says; nothing if all is well."""
    release = corpus.release(number)
    yield from _verify(release, corpus.catalogue(release.number), corpus.store)
    listed = {file["path"] for file in release.manifest["files"]} | {"manifest.json"}
    for name in release.releases.names(release.number) or ():
        if name not in listed and not name.startswith(f"{TOMBSTONES}/"):
            yield f"{name}: in the release, but not in the manifest"
    yield from verify_changes(corpus, release)
    with contextlib.suppress(BrokenChainError):  # said below
        yield from readable("sources.parquet", verify_states(release, corpus.store))
    # Ledgers belong to no release, and the current one holds the latest heads.
    yield from ledgers.verify(corpus.store, {release.number: release.manifest, corpus.number: corpus.manifest()})


def verify_waiting(corpus: Corpus, run: Waiting) -> Iterator[str]:
    """Give the same about a finished run, laid out as the release that publishing would make of it."""
    with laid_out(corpus, run.outcome, run.started) as laid:
        yield from _verify(laid, laid.catalogue, corpus.store)


def _verify(release: Release | LaidOut, catalogue: Catalogue, store: Store) -> Iterator[str]:
    manifest = release.manifest
    for file in manifest["files"]:
        try:
            with release.fetched(file["path"]) as path:
                if digest_of_file(path) != file["sha256"]:
                    yield f"{file['path']}: content is not what the manifest says"
        except FileNotFoundError:
            if file["path"] not in release.purged:
                yield f"{file['path']}: missing"
    counts: Counter[str] = Counter()
    doors: dict[str, Counter[str]] = {}
    hashes: Counter[str] = Counter()
    for row in catalogue.rows():
        yield from _verify_split(release, row, counts, doors, hashes)
        if f"audit/{_audit_of(row)}" not in release.purged:
            yield from (f"{each.name}: missing in the store" for each in row.layers if not store.exists(each.name))
    for ref in catalogue.segments:
        if ref.sketch and not is_as_named(ref.sketch, store):
            yield f"{ref.sketch}: missing in the store, or not what its name says"
    counts["read"] = sum(counts[name] for name in ("clean", "quarantined", "dropped", "dead"))
    for name in TOTALS:
        if counts[name] != manifest["counts"][name]:
            yield f"manifest: {manifest['counts'][name]} {name}, {counts[name]} by the files"
    overrides = in_force(store, manifest["job"])
    # What the audit said of a purged split's sources is gone with it.
    is_whole = not any(path.startswith("audit/") for path in release.purged)
    yield from readable(
        "sources.parquet and blacklist.json", _verify_sources(release, doors if is_whole else None, overrides)
    )
    if "notices" in manifest:  # releases of before have no such table
        yield from readable(purged.FILE, _verify_purged(release, hashes))
    yield from readable("manifest.json, summary.json and their tables", verify_figures(release, catalogue))


def _verify_purged(release: Release | LaidOut, hashes: Counter[str]) -> Iterator[str]:
    said = json.loads(release.read(purged.FILE))["purged"]
    if hashes != Counter({entry["sha256"]: entry["count"] for entry in said if entry["count"]}):
        yield f"{purged.FILE}: its contents are not those that the audit says were purged"


def _audit_of(row: Row) -> str:
    return next((part.name for part in row.release.files if part.place == "audit"), "")


def _verify_split(
    release: Release | LaidOut,
    row: Row,
    counts: Counter[str],
    doors: dict[str, Counter[str]],
    hashes: Counter[str],
) -> Iterator[str]:
    here: Counter[str] = Counter()
    parts = {part.place: part for part in row.release.files}
    for place, name in (("clean", "clean"), ("quarantine", "quarantined"), ("dead", "dead")):
        if place in parts and f"{place}/{parts[place].name}" in release.purged:
            here[name] = parts[place].records
        elif place in parts:
            # What is missing was said above.
            with contextlib.suppress(FileNotFoundError), release.fetched(f"{place}/{parts[place].name}") as path:
                here[name] = _count(path, row)
    audit = parts.get("audit")
    said = AuditSums()
    if audit is not None and f"audit/{audit.name}" in release.purged:
        said = _by_receipt(row)
    elif audit is not None:
        with contextlib.suppress(FileNotFoundError), release.fetched(f"audit/{audit.name}") as path:
            said = read_audit(path)
    hashes.update(said.hashes)
    for source, found in said.by_source.items():
        doors.setdefault(source, Counter()).update(found)
    here["dropped"], here["redacted"] = said.doors["dropped"], said.doors["redacted"]
    counts.update(here)
    for name in ("clean", "redacted", "quarantined", "dropped", "dead"):
        if not here[name] == said.doors[name] == row.release.counts[name]:
            yield (
                f"{row.split.name}: {here[name]} {name} in the files, {said.doors[name]} in the audit, "
                f"{row.release.counts[name]} in the catalogue"
            )
    if said.withdrawn != row.withdrawn:
        yield f"{row.split.name}: withdrawn by the audit {dict(said.withdrawn)}, by the catalogue {dict(row.withdrawn)}"
    for name in ("reasons", "flow", "errors", "causes", "fates", "applied"):
        if getattr(said, name) != getattr(row.release, name):
            yield f"{row.split.name}: other {name} in the audit than in the catalogue"
    if (out := here.total() - here["redacted"]) != row.entries:  # redacted ones are among the clean
        yield f"{row.split.name}: {row.entries} entries, {out} went out"


def _by_receipt(row: Row) -> AuditSums:
    """Return what a part of the audit that was purged is taken to have come to: nothing else knows it any more."""
    made = row.release
    hashes = Counter[str]()
    for sha256, _, count in made.purged:
        hashes[sha256] += count
    return AuditSums(
        doors=Counter(made.counts),
        hashes=hashes,
        withdrawn=Counter(row.withdrawn),
        reasons=Counter(made.reasons),
        flow=Counter(made.flow),
        errors=Counter(made.errors),
        causes=dict(made.causes),
        fates=dict(made.fates),
        applied=dict(made.applied),
    )


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


def _verify_sources(
    release: Release | LaidOut, doors: dict[str, Counter[str]] | None, overrides: InForce
) -> Iterator[str]:
    policy = release.manifest["job"]["policy"]
    reading = SourceReading.model_validate(policy["parameters"])
    listed: dict[str, set[str]] = {state: set() for state in LISTED}
    known = tuple(map(Calibrated.model_validate, policy["calibration"]))
    known = tuple(each for each in known if each.epoch in ("", release.manifest["job"]["epoch"]))
    table = pq.read_table(io.BytesIO(release.read("sources.parquet")))
    judged = table.filter(pc.is_valid(table["state"]))
    by_figures = state_by_figures(judged, reading, known)
    decided = overrides.over(judged["source"], by_figures)
    wanted_of = iter(zip(by_figures.tolist(), decided.tolist(), strict=True))
    for source in table.to_pylist():
        key, state = source["source"], source["state"]
        for door in ("quarantine", "dropped"):
            if doors is not None and (source[door] or 0) != doors.get(key, Counter())[door]:
                yield f"source {key}: {source[door]} {door} in the table, {doors.get(key, Counter())[door]} in the audit"
        if state is None:
            continue
        code, after = next(wanted_of)
        wanted = STATES[code]
        if by_override(source["basis"]) or key in overrides.entries:
            if state != STATES[after]:
                yield f"source {key}: {state}, by decision of people it is {STATES[after]}"
        elif source["basis"] in REASONS:
            if state != HOLD or max(code, after) >= STATES.index(HOLD):
                yield f"source {key}: {state} for its removals, its figures say {wanted}"
        elif state != STATES[after] and not (state == BLACKLISTED and source["mark"] is not None):
            yield f"source {key}: {state}, its figures say {wanted}"
        if state in listed:
            listed[state].add(key)
        if source["clean"] and policy["actions"].get(state, "keep") != "keep":
            yield f"source {key}: {state}, yet {source['clean']} of its records are clean"
    black = json.loads(release.read("blacklist.json"))
    for state, keys in listed.items():
        if {entry["key"] for entry in black[state]} != keys:
            yield f"blacklist.json: its {state} sources are not those of sources.parquet"
