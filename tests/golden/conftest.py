"""Small corpora, a run in this process (about a second), and what a release holds, read back from its files."""

import bz2
import contextlib
import gzip
import io
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from nights import descendants

from models.artefact import describe
from pipeline.build import Run
from pipeline.config import Settings, from_options
from pipeline.launch import Result, launch, prepare

AS_OF = "2026-01-02"
"""Every run's date, so that no test depends on the day."""

UNLAWFUL, BANNED = "sure win at the wheel", "strictly withheld notice"
"""Terms of the list that the fixtures write: the one quarantines a record, the other drops it."""

MAIL, MOBILE, RESIDENT, CARD = (
    "ada.lovelace@mail.example.org",
    "13912345678",
    "110101199003078515",
    "6222020200112230004",
)
"""Made-up personal values with checksums that hold."""

POLICY = """
policy: golden
version: "1"
taxonomy: tc260-003
sources:
  reading: literal
  basis: detector
  unlawful: {categories: [UNLAWFUL29], at_least_score: 0.5}
  limit: 5/100
  min_records: 20
  blacklisted: quarantine
  hold: quarantine
rules:
  - id: unlawful
    title: Unlawful
    match: {category: ["A.1.*"], at_least_score: 0.5}
    action: quarantine
  - id: banned
    match: {category: ["A.2.*"], at_least_score: 0.5}
    action: drop
  - id: personal
    match: {category: ["personal.*"], at_least_score: 0.5}
    action: redact
    redact: {with: placeholder}
  - id: unscanned
    match: {category: ["unscanned"]}
    action: quarantine
"""

TABLES = ("sources.parquet", "sources.csv", "blacklist.json", "breakdown.parquet", "registry.parquet")
PLACES = ("clean", "quarantine", "dead", "audit")
Record = dict[str, Any]


def write_list(folder: Path, terms: dict[str, str]) -> Path:
    """Write a lexicon artefact: term to category, each certain."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["term\tcategory\tlevel", *(f"{term}\t{category}\tcertain" for term, category in terms.items())]
    (folder / "terms.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    describe(folder, kind="lexicon", version=1, names=["terms.tsv"], title="t", licence="CC0-1.0", made_with="a test")
    return folder


def line(record: Record) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"


def packed(data: bytes, name: str) -> bytes:
    """Compress data as a shard's name says."""
    if name.endswith(".gz"):
        return gzip.compress(data, mtime=0)
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor().compress(data)
    return bz2.compress(data) if name.endswith(".bz2") else data


def unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".zst":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
    return bz2.decompress(data) if path.suffix == ".bz2" else data


def write_shard(path: Path, records: Iterable[Record | bytes]) -> Path:
    """Write a JSONL shard; bytes are taken as lines as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(each if isinstance(each, bytes) else line(each) for each in records)
    path.write_bytes(packed(data, path.name))
    return path


def records(source: str, count: int, *, unlawful: int = 0, first: int = 0) -> list[Record]:
    """Return records of one source, the first ``unlawful`` of them with the unlawful term."""
    return [
        {
            "id": f"{source}-{number}",
            "source": source,
            "text": f"Note {number} of {source} on the weather. "
            + (UNLAWFUL if number < first + unlawful else "Rain."),
        }
        for number in range(first, first + count)
    ]


MALFORMED = (
    b'{"id": "m-1", "text": "no end"\n',
    b'{"id": "m-2", "text": "\xff"}\n',
    b'{"text": 5}\n',
    b'{"id": "m-4"}\n',
)
"""One line of each kind that is no record: bad JSON, bad UTF-8, wrong type, no text."""


def everyday(folder: Path) -> Path:
    """Write a corpus with every format, every door and every state of a source."""
    mixed = records("good.example", 60, unlawful=1) + records("bad.example", 30, unlawful=6)
    for record in mixed:
        record["url"] = f"https://{record['source']}/{record['id']}"
    mixed[10]["text"] = f"Write to {MAIL} or ring {MOBILE}."
    mixed[11]["text"] = f"A {BANNED} of no use."
    mixed[12]["id"] = MAIL
    mixed[13]["text"] = f"她的身份证号{RESIDENT}，卡号{CARD}。"
    mixed[14]["url"] = f"https://host.example/u/{MAIL}"
    mixed[15]["source"] = MAIL
    write_shard(folder / "a.jsonl", [*mixed[:40], *MALFORMED, *mixed[40:]])
    write_shard(
        folder / "deep" / "b.jsonl.gz", records("tiny.example", 8, unlawful=1) + records("good.example", 50, first=60)
    )
    write_shard(folder / "c.jsonl.zst", records("bad.example", 25, first=30, unlawful=2) + records("zst.example", 40))
    rows = records("rows.example", 90, unlawful=2)
    rows[5]["text"] = f"Reach me under {MAIL}"
    rows[6]["text"] = f"A {BANNED} in a table"
    rows[7]["text"] = None
    pq.write_table(pa.Table.from_pylist(rows), folder / "d.parquet", row_group_size=25)
    return folder


@pytest.fixture(scope="session")
def everyday_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The everyday corpus, made once; not to be changed."""
    return everyday(tmp_path_factory.mktemp("everyday") / "in")


class Screen:
    """Runs the whole graph in this process, unless ``workers`` are asked for, on the corpus and list of a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.list = write_list(folder / "list", {UNLAWFUL: "A.1.h", BANNED: "A.2.i"})
        self.policy = folder / "policy.yaml"
        self.policy.write_text(POLICY, "utf-8")
        self.said: list[str] = []
        self.others: dict[str, Any] = {"personal": {}}
        """Taggers besides the list; those of invariants are all there are."""

    def given(self, inputs: Path | Sequence[Path], out: Path, **options: Any) -> dict[str, Any]:
        """Return a run file's content."""
        patterns = [str(path) for path in ([inputs] if isinstance(inputs, Path) else inputs)]
        given: dict[str, Any] = {
            "inputs": patterns,
            "output": str(out),
            "policy": str(self.policy),
            "taggers": self.others | {"lexicon": {"lists": [str(self.list)]}},
            "workers": 1,
            "as_of": AS_OF,
        }
        return given | options

    def settings(self, inputs: Path | Sequence[Path], out: Path, **options: Any) -> Settings:
        return from_options(self.given(inputs, out, **options))

    def prepare(self, inputs: Path | Sequence[Path], out: Path, until: str = "release", **options: Any) -> Run:
        run = prepare(self.settings(inputs, out, **options), until=until)
        return run if options.get("workers") else replace(run, workers=0)

    def __call__(
        self,
        inputs: Path | Sequence[Path],
        out: Path,
        *,
        until: str = "release",
        to_publish: bool = True,
        **options: Any,
    ) -> Result:
        run = self.prepare(inputs, out, until, **options)
        return launch(run, to_publish=to_publish, say=self.said.append)


@pytest.fixture
def screen(tmp_path: Path) -> Screen:
    return Screen(tmp_path)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return everyday(tmp_path / "in")


Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Give the ``winnow`` command in this process: exit code, output and errors."""
    from pipeline.cli import main

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["winnow", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@dataclass(frozen=True)
class Watched:
    """One run by the command with two worker processes, watched from outside.

    Attributes:
        out: the corpus.
        said: everything that it wrote to the terminal.
        pids: of all its processes that were seen.
        sockets: TCP and UDP sockets that were seen in one of them.
    """

    out: Path
    said: str
    pids: frozenset[int]
    sockets: frozenset[str]


def sockets_of(pids: Iterable[int]) -> set[str]:
    """Return the TCP and UDP sockets, of either IP version and in any state, that processes hold open."""
    inodes = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for handle in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(OSError):
                    inodes.add(str(handle.readlink()))
    found = set()
    for pid in pids:
        for kind in ("tcp", "tcp6", "udp", "udp6"):
            with contextlib.suppress(OSError):
                for row in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
                    if f"socket:[{row.split()[9]}]" in inodes:
                        found.add(f"{kind} {row.split()[1]} {row.split()[3]}")
    return found


def write_run_file(path: Path, screen: Screen, inputs: Path, **options: Any) -> Path:
    """Write the run file of what a screen does in this process."""
    path.write_text(json.dumps(screen.given(inputs, path.parent / "out", **options)), "utf-8")  # JSON is YAML
    return path


WINNOW = (sys.executable, "-m", "pipeline.cli")


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, everyday_corpus: Path) -> Watched:
    """Run the everyday corpus by the command, and look at its processes all the while."""
    folder = tmp_path_factory.mktemp("watched")
    run_file = write_run_file(
        folder / "run.yaml", Screen(folder), everyday_corpus, workers=2, input_root=str(everyday_corpus)
    )
    pids: set[int] = set()
    sockets: set[str] = set()
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen([*WINNOW, "run", run_file], stdout=said, stderr=said, cwd=folder)
        while process.poll() is None:
            now = descendants([process.pid])
            pids |= now
            sockets |= sockets_of(now)
            time.sleep(0.02)
    told = (folder / "said").read_text("utf-8")
    assert process.returncode == 0, told
    return Watched(folder / "out", told, frozenset(pids), frozenset(sockets))


def files(out: Path) -> dict[str, bytes]:
    """Return every file of a release that must come out the same: the four places and the tables of sources."""
    found = {name: (out / name).read_bytes() for name in TABLES}
    for place in PLACES:
        top = out / place
        found |= {
            f"{place}/{path.relative_to(top)}": path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()
        }
    return found


def objects(out: Path) -> dict[str, int]:
    """Return the files of the store but the notes and agendas of runs, with their inodes."""
    store = out / "store"
    return {
        name: path.stat().st_ino
        for path in sorted(store.rglob("*"))
        if path.is_file() and not (name := str(path.relative_to(store))).startswith(("runs/", "agendas/", "tmp/"))
    }


def shard_of(part: str) -> str:
    """Return the shard that a part's name starts with."""
    return part[: part.rindex("-of-")].rpartition("-")[0]


def contents(out: Path) -> dict[str, dict[str, list[Any]]]:
    """Return what each shard's records became, by door, whatever the splits: lines, rows, dead letters, audited entries."""
    found: dict[str, dict[str, list[Any]]] = {}
    for place in PLACES:
        top = out / place
        for path in sorted(path for path in top.rglob("*-of-*") if path.is_file()):
            here = found.setdefault(shard_of(str(path.relative_to(top))), {}).setdefault(place, [])
            if path.suffix == ".parquet":
                rows = pq.read_table(path).to_pylist()
                here += [row for row in rows if row["action"] != "keep"] if place == "audit" else rows
            else:
                here += unpacked(path).splitlines(keepends=True)
    return found


def texts(out: Path, place: str = "clean") -> list[str]:
    """Return the texts of all records in a place."""
    lines = [each for shard in contents(out).values() for each in shard.get(place, [])]
    return [each["text"] if isinstance(each, dict) else json.loads(each)["text"] for each in lines]


def manifest(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "manifest.json").read_text("utf-8"))
    return found


def audit(out: Path) -> list[dict[str, Any]]:
    """Return all rows of the audit, each with its shard."""
    rows = []
    for path in sorted((out / "audit").rglob("*.parquet")):
        shard = shard_of(str(path.relative_to(out / "audit")))
        rows += [{"shard": shard, **row} for row in pq.read_table(path).to_pylist()]
    return rows


def states(out: Path) -> dict[str, str]:
    table = pq.read_table(out / "sources.parquet").to_pylist()
    return {row["source"]: row["state"] for row in table}
