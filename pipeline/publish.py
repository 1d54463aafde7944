"""Publish: from a run's outcome to the current release."""

import csv
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from models import ledgers
from models.catalogue import Catalogue
from models.decisions import by_override
from models.digest import digest_of, digest_of_file
from models.job import without_words
from models.outcome import Outcome
from models.parts import RESTRICTED, PartFile
from models.reading_words import LANGUAGES
from models.source_reading import SourceReading, words_of
from models.sources import BLACKLISTED, HOLD, WATCH
from pipeline import purged
from pipeline.changes import changes
from pipeline.corpus import MANIFEST_FORMAT, Corpus
from pipeline.figures import Figures, gather
from pipeline.presence import check_present
from pipeline.releases import Staged, gone
from pipeline.removals import in_manifest, moves_of
from pipeline.report import PAGES, form, render_report
from pipeline.report_reading import false_blacklistings
from pipeline.report_rollups import rollups_of
from pipeline.report_words import Words
from pipeline.source_decisions import enter_changes, overridden, with_override_basis
from pipeline.waiting import published_as
from pipeline.withdrawals import manifest_rows, with_withdrawn
from transforms.workspace import open_store

BLACKLIST_FORMAT = 2

LISTED = (BLACKLISTED, HOLD, WATCH)
"""States that ``blacklist.json`` lists. Sources of which too little is known are none: by the interval reading they may be nearly all."""

_KEPT = {"breakdown.parquet": "breakdown", "registry.parquet": "registry", "rollups.parquet": "rollups"}
"""Tables that the run wrote as they are published, each with what the catalogue calls it."""

MOVED = "moved.parquet"
"""Sources of which suddenly more or less is removed, see :data:`models.source_states.MOVES`."""

_TABLES = (
    *_KEPT,
    MOVED,
    "sources.parquet",
    "sources.csv",
    "blacklist.json",
    purged.FILE,
    "summary.json",
    "audit/taggers.json",
)


@dataclass(frozen=True)
class Published:
    """What publishing came to: the number of the release, and whether it is a new one."""

    number: int
    is_new: bool


def publish(corpus: Corpus, outcome: Outcome, started: str) -> Published:
    """Make a run's outcome the current release, unless a release holds it already.

    Raises:
        OutrunError: if another release was published since the run started.
        InputOutputError: if something that the release needs is gone.
        BrokenChainError: if a ledger was changed, cut off or rewritten.
    """
    if number := published_as(corpus, outcome):
        enter_changes(corpus)
        return Published(number, False)
    if corpus.number:
        ledgers.check(corpus.store, corpus.manifest())
        enter_changes(
            corpus
        )  # of a run that was killed before it came to it; and nothing is published over a broken ledger
    try:
        with laid_out(corpus, outcome, started) as laid:
            if corpus.number == outcome.base:  # else it was outrun, which is said there
                check_present(corpus, outcome, laid.catalogue)
            number = corpus.publish(laid.staged, outcome.base)
    except FileNotFoundError as error:
        raise gone(str(error.filename or error), "named by the outcome of the run") from None
    enter_changes(corpus)
    return Published(number, True)


@dataclass(frozen=True)
class LaidOut:
    """An outcome as the release that publishing makes of it.

    Attributes:
        catalogue: of the outcome.
    """

    staged: Staged
    manifest: Mapping[str, Any]
    catalogue: Catalogue
    root: str

    def read(self, path: str) -> bytes:
        """Return a table."""
        return (self.staged.tables / path).read_bytes()

    @contextmanager
    def fetched(self, path: str) -> Iterator[Path]:
        """Give a path on this machine that holds a file's bytes.

        Raises:
            FileNotFoundError: if it is not there.
        """
        name = self._objects.get(path)
        if name is None:
            yield self.staged.tables / path
            return
        root = self.staged.restricted if path.split("/")[0] in RESTRICTED else self.root
        with open_store(f"{root}/store").fetched(name) as here:
            yield here

    @property
    def purged(self) -> Mapping[str, Mapping[str, Any]]:
        """Parts that were purged: none, before it is a release."""
        return {}

    @cached_property
    def _objects(self) -> dict[str, str]:
        return {f"{part.place}/{part.name}": part.object for part in self.staged.parts}


@contextmanager
def laid_out(corpus: Corpus, outcome: Outcome, started: str) -> Iterator[LaidOut]:
    """Lay out an outcome as a release; what is not moved away goes again."""
    described = dict(outcome.job)
    store = corpus.store
    catalogue = Catalogue.open(store, outcome.index)
    sources = with_reading(pq.read_table(store.local(outcome.sources)), described)
    sources = with_override_basis(sources, corpus, described)
    sources = with_withdrawn(sources, corpus, described)
    # Not of the catalogue, which holds paths: the same work elsewhere is the same run.
    splits = [[row.digest, row.release.digest] for row in catalogue.rows()]
    run = digest_of({"job": without_words(described), "splits": splits, "as_of": outcome.as_of, "base": outcome.base})[
        :16
    ]
    moves, rollups = moves_of(store.local(outcome.moves)), rollups_of(store.local(outcome.rollups))
    figures = replace(gather(catalogue.rows()), moves=moves, rollups=rollups)
    reading = SourceReading.model_validate(described["policy"]["parameters"])
    manifest = {
        "format": MANIFEST_FORMAT,
        "release": outcome.base + 1,
        "base": outcome.base,
        "run": run,
        "as_of": outcome.as_of,
        "started": started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "counts": dict(outcome.counts),
        "languages": languages_of(figures),
        "work": dict(outcome.work),
        "restricted": outcome.restricted,
        "shards": len(catalogue.paths),
        "twins": [list(pair) for pair in outcome.twins],
        "gone": list(outcome.gone),
        "withdrawals": manifest_rows(corpus, catalogue, described, outcome.base, outcome.as_of),
        "ledgers": ledgers.heads(store),
        "overridden": overridden(corpus, described),
        "false_blacklistings": false_blacklistings(sources, described["policy"]),
        "removals": in_manifest(figures, reading),
        "form": form(),
        "catalogue": outcome.catalogue,
        "job": described,
        "inputs": [
            {"path": path, "sha256": shard.checksum, "size": shard.size}
            for path in catalogue.paths
            if (shard := catalogue.shard(path)) is not None
        ],
    }
    contents = purged.purged(catalogue.rows(), manifest, purged.previous(corpus))
    manifest["purged"] = found = purged.facts(contents, manifest, corpus.manifest(outcome.base) if outcome.base else {})
    manifest["notices"] = purged.told(found, Words(LANGUAGES[0]))
    with corpus.releases.staging() as folder:
        for table, name in _KEPT.items():
            shutil.copyfile(store.local(outcome.catalogue[name]), folder / table)
        shutil.copyfile(store.local(outcome.moves), folder / MOVED)
        write_json(folder / purged.FILE, contents)
        parts = [part for row in catalogue.rows() for part in row.release.files]
        _stage(folder, figures, manifest, sources, corpus, parts)
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        yield LaidOut(Staged(folder, parts, corpus.restricted(manifest)), manifest, catalogue, corpus.root)


def languages_of(figures: Figures) -> dict[str, dict[str, int]]:
    """Return records and characters by language as a manifest says them."""
    return {
        language: {"records": records, "characters": characters}
        for language, (records, characters) in figures.languages.items()
    }


def _stage(
    staged: Path,
    figures: Figures,
    manifest: dict[str, Any],
    sources: pa.Table,
    corpus: Corpus,
    parts: Sequence[PartFile],
) -> None:
    """Write the tables, the report and the manifest of a release."""
    files: list[dict[str, Any]] = [
        {
            "path": f"{part.place}/{part.name}",
            "size": part.size,
            "sha256": part.sha256,
            "records": part.records,
            "object": part.object,
        }
        for part in parts
    ]
    (staged / "audit").mkdir()
    write_json(
        staged / "audit" / "taggers.json", {"taggers": manifest["job"]["taggers"], "policy": manifest["job"]["policy"]}
    )
    pq.write_table(sources, staged / "sources.parquet", compression="zstd")
    write_csv(staged / "sources.csv", sources)
    previous = _previous(corpus)
    black = blacklist(sources, manifest, previous)
    write_json(staged / "blacklist.json", black)
    figures = replace(figures, changes=_changes(corpus, manifest, (previous, black), sources))
    write_json(staged / "summary.json", figures.to_dict())
    # From what will be read again: verify makes the same pages of it.
    manifest = json.loads(json.dumps(manifest, sort_keys=True))
    for language, name in PAGES.items():
        (staged / name).write_text(render_report(manifest | manifest["job"], sources, figures, language), "utf-8")
    for name in (*_TABLES, *PAGES.values()):
        path = staged / name
        files.append({"path": name, "size": path.stat().st_size, "sha256": digest_of_file(path)})
    write_json(staged / "manifest.json", manifest | {"files": files})


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys for people and programs."""
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")


def write_csv(path: Path, table: pa.Table) -> None:
    """Write a table as CSV (RFC 4180); cells that a spreadsheet would take for a formula get a leading apostrophe."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.schema.names)
        for batch in table.to_batches(max_chunksize=1 << 16):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                writer.writerow([_cell(value) for value in row])


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def with_reading(sources: pa.Table, job: dict[str, Any]) -> pa.Table:
    """Say with every source how the rule was read, and in full with the table: in its schema's metadata, by language."""
    sources = sources.append_column("reading", pa.repeat(pa.scalar(job["policy"]["reading"]), len(sources)))
    return sources.replace_schema_metadata({f"reading.{each}": words_of(job["policy"], each) for each in LANGUAGES})


def _changes(
    corpus: Corpus, manifest: Mapping[str, Any], lists: tuple[Mapping[str, Any], Mapping[str, Any]], sources: pa.Table
) -> dict[str, Any]:
    """Return what changed since the release that this one is made from; nothing if it is the first, or the other is gone."""
    base = manifest["base"]
    if base != corpus.number or not base:
        return {}
    with corpus.release(base).fetched("sources.parquet") as old:
        return changes(corpus.manifest(base), manifest, lists, old, sources)


def _previous(corpus: Corpus) -> dict[str, Any]:
    return json.loads(corpus.releases.read(corpus.number, "blacklist.json")) if corpus.number else {}


def blacklist(sources: pa.Table, manifest: dict[str, Any], previous: dict[str, Any]) -> dict[str, Any]:
    """Return the blacklist: sources to shut out, those on hold, and those that are watched, with share, number of records and since when; and what
    people decided in place of the figures, whatever it came to.

    The form is that of ``pipeline/blacklist.schema.json``.
    """
    before = {(e["key"], e["state"]): e for state in LISTED for e in previous.get(state, [])}
    policy = manifest["job"]["policy"]
    lists: dict[str, list[dict[str, Any]]] = {state: [] for state in LISTED}
    decided = {each["entry"]: each for each in manifest.get("overridden", ())}
    for row in sources.filter(pc.is_in(sources["state"], pa.array(list(lists)))).to_pylist():
        known = before.get((row["source"], row["state"]), {})
        lists[row["state"]].append(
            {
                "key": row["source"],
                "kind": row["kind"],
                "state": row["state"],
                "share": f"{row['unlawful']}/{row['distinct']}",
                "n": row["distinct"],
                "basis": row["basis"],
                "since": known.get("since", manifest["as_of"]),
                "run": known.get("run", manifest["run"]),
                "policy": f"{policy['name']}@{policy['version']}",
                **(_override(decided[entry]) if (entry := _entry_of(row["basis"])) in decided else {}),
            }
        )
    meant = "estimated from detectors, not audited"
    if policy["reading"] == "interval":
        meant = "by verdicts of people; shares are what detectors found, not audited"
    whole = ", duplicates: source" if policy.get("exact_up_to") else ""
    reading = f"reading: {policy['reading']}, basis: {policy['basis']} ({meant}){whole}"
    overridden = [
        {"key": each["source"], "state": each["state"], **_override(each)} for each in manifest.get("overridden", ())
    ]
    return {
        "format": BLACKLIST_FORMAT,
        "reading": reading,
        "limit": policy["limit"],
        **lists,
        "overridden": overridden,
    }


def _entry_of(basis: str) -> str:
    """Return the entry of the override that a state rests on, on the source or on what it lies in; empty for none."""
    return (by_override(basis) or ("", ""))[0]


def _override(decided: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {"override": {name: decided[name] for name in ("entry", "reviewer", "until")}}
