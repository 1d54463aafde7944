"""Malformed shards and hostile texts of public test suites: no crash, no hang, every entry by one door, counts as in a table.

Reads ``../shared/data/robustness`` beside the repository. Absent data is a failure, not a skip. Each file goes through planning,
tagging and release in a worker process, so that a crash in native code or an endless loop names the file. The table
``robustness.tsv`` holds what became of each file; look at every difference before making it anew:

    python tests/data/test_robustness.py --regenerate
"""

import base64
import collections
import csv
import io
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.data

ROBUSTNESS = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "robustness"
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
TAGGERS: dict[str, dict[str, Any]] = {
    "lexicon": {"lists": ["illustrative"]},
    "category": {"models": ["zh-discrimination-demo", "en-abuse-demo"]},
    "fingerprint": {"indexes": ["illustrative"]},
    "personal": {},
    "provenance": {"registry": [str(EXAMPLES / "lists/sources")]},
    "blocked": {"lists": [str(EXAMPLES / "lists/blocked")]},
}
"""All that are built in."""
TABLE = Path(__file__).with_name("robustness.tsv")
TIMEOUT = 60.0
"""Seconds for one file; all take well under one, but for the first, for which taggers load."""


class Case(NamedTuple):
    """A file of a suite, and the form in which it becomes a shard.

    Attributes:
        form: ``shard`` as it is, ``member`` as the value in an object on one line, ``elements`` likewise with the strings of the
            array that it is as text, ``records`` its texts as records.
    """

    suite: str
    file: str
    form: str


class Row(NamedTuple):
    """What became of a file: ``refused``, or ``released`` with its entries, those that live, and the dead by class."""

    suite: str
    file: str
    form: str
    outcome: str
    entries: int
    live: int
    dead: int
    errors: str


def cases() -> list[Case]:
    """Return every file in every form it is tried in."""
    if not ROBUSTNESS.is_dir():
        raise FileNotFoundError("the development data is absent: it belongs in shared/data beside the repository")
    found = []
    for path in sorted((ROBUSTNESS / "json_test_suite").rglob("*.json")):
        name = str(path.relative_to(ROBUSTNESS / "json_test_suite"))
        found.append(Case("json_test_suite", name, "shard"))
        data = path.read_bytes()
        if not set(data) & set(b"\r\n"):
            forms = ["member", "elements"] if data.strip().startswith(b"[") else ["member"]
            found += [Case("json_test_suite", name, form) for form in forms]
    for path in sorted((ROBUSTNESS / "parquet_testing").rglob("*")):
        if path.suffix in (".parquet", ".encrypted"):
            found += [Case("parquet_testing", str(path.relative_to(ROBUSTNESS / "parquet_testing")), "shard")]
    for path in sorted((ROBUSTNESS / "utf8").iterdir()):
        found += [Case("utf8", path.name, form) for form in ("shard", "records")]
    for suite in ("naughty_strings", "mojibake"):
        found += [Case(suite, path.name, "records") for path in sorted((ROBUSTNESS / suite).iterdir())]
    return found


def test_every_built_in_tagger_looks_at_the_suites() -> None:
    from models.taggers import BUILT_IN

    assert set(TAGGERS) == set(BUILT_IN)


# The worker


def work() -> None:
    """Examine the cases that come on the standard input, one JSON array a line, and answer each with a row."""
    from pipeline.config import from_options, make_job

    make_job(from_options({"inputs": ("x",), "output": "x", "as_of": "2026-01-01", "taggers": TAGGERS}))
    os.fsync = lambda _handle: None  # thousands of small files, none of which must survive
    print("ready", flush=True)
    for line in sys.stdin:
        with tempfile.TemporaryDirectory(prefix="winnow-robustness-") as folder:
            row = examine(Case(*json.loads(line)), Path(folder))
        print(json.dumps(row), flush=True)


def examine(case: Case, folder: Path) -> Row:
    """Take one file through planning, tagging and release."""
    from models.errors import UsageError
    from models.files import LocalOpener
    from models.planning import plan_shard
    from pipeline.config import from_options, make_job

    data, ending = shard_of(case)
    path = folder / f"shard{ending}"
    path.write_bytes(data)
    column = text_column(path) if case.suite == "parquet_testing" else "a[]" if case.form == "elements" else "a"
    options = {"inputs": (str(path),), "output": str(folder / "out"), "as_of": "2026-01-01", "taggers": TAGGERS}
    job = make_job(from_options(options | {"columns": {"text": column}}))
    try:
        shard = plan_shard(LocalOpener(), str(folder), path.name, job.reading, 64_000_000)
    except UsageError as error:
        return Row(*case, "refused" if str(path) in str(error) else "refused without a name", 0, 0, 0, "")
    return released(case, shard, job, folder)


def released(case: Case, shard: Any, job: Any, folder: Path) -> Row:
    """Tag and release a planned shard, and check that every entry went out by one door."""
    import numpy as np

    from models.files import LocalOpener
    from models.release_pass import release_digest
    from models.release_split import release_split
    from models.sources import SourceStates
    from models.store import LocalStore
    from models.tag_pass import tag_split

    store = LocalStore(folder / "out")
    store.prepare()
    places = ("clean", "quarantine", "dead", "audit")
    states = SourceStates(np.array([], np.uint64), np.array([], np.uint8))
    totals: collections.Counter[str] = collections.Counter()
    errors: collections.Counter[str] = collections.Counter()
    for split in shard.splits():
        opener = LocalOpener()
        tagged = tag_split(split, (), job, opener, store, folder, lambda *_: None)
        digest = release_digest(split.digest(job.reading), tagged.known, job, states)
        stores, folders = dict.fromkeys(places, store), dict.fromkeys(places, folder)
        release = release_split(split, tagged.layers, job, states, opener, stores, folders, digest, None)
        assert tagged.entries == release.counts["read"], "the second reading has other entries than the first"
        for file in release.files:
            assert file.place == "audit" or records_in(store.local(file.object)) == file.records
        totals.update(release.counts)
        errors.update(release.errors)
    live = totals["clean"] + totals["quarantined"] + totals["dropped"]
    assert totals["read"] == live + totals["dead"], "an entry left by no door or by two"
    said = " ".join(f"{name}:{count}" for name, count in sorted(errors.items()))
    return Row(*case, "released", totals["read"], live, totals["dead"], said)


def records_in(path: Path) -> int:
    """Count the records of a written part."""
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        return int(pq.ParquetFile(path).metadata.num_rows)
    data = path.read_bytes()
    return data.count(b"\n") + (not data.endswith(b"\n"))


def shard_of(case: Case) -> tuple[bytes, str]:
    """Return the shard that a case makes, and the ending of its name."""
    data = (ROBUSTNESS / case.suite / case.file).read_bytes()
    if case.suite == "parquet_testing":
        return data, ".parquet"
    if case.form == "shard":
        return data, ".jsonl"
    if case.form in ("member", "elements"):
        return b'{"a":' + data + b"}\n", ".jsonl"
    return b"".join(b'{"a":"' + escaped(text) + b'"}\n' for text in texts_of(case, data)), ".jsonl"


def texts_of(case: Case, data: bytes) -> list[bytes]:
    """Return the texts in a file of texts; their bytes need not be UTF-8."""
    if case.suite == "utf8":
        return data.split(b"\n")
    if case.suite == "mojibake":
        lines = (json.loads(line) for line in data.splitlines())
        return [value.encode() for line in lines for value in line.values() if isinstance(value, str)]
    strings = json.loads(data)
    return [base64.b64decode(text) if "base64" in case.file else text.encode() for text in strings]


def escaped(text: bytes) -> bytes:
    """Return bytes as the inside of a JSON string, with bytes that are no UTF-8 as they are."""
    pieces = (rb"\u%04x" % byte if byte < 0x20 or byte in b'"\\' else bytes([byte]) for byte in text)
    return b"".join(pieces)


def text_column(path: Path) -> str:
    """Return the path of the first column of strings, the first column if there is none, ``text`` if nothing can be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError):
        return "text"
    return next((found for field in schema for found in leaves(field.name, field.type)), schema.names[0])


def leaves(path: str, kind: Any) -> Iterator[str]:
    """Give the paths of strings under a column, as the columns of a run file name them."""
    import pyarrow as pa

    from models.columns import is_textual

    if pa.types.is_struct(kind):
        for field in kind:
            yield from leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from leaves(f"{path}[]", kind.value_type)
    elif is_textual(kind):
        yield path


# The test


class Worker:
    """A worker process; a new one takes the place of one that crashed or hung."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, case: Case) -> Row | str:
        """Return the row of a case, or how the worker died of it."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(case).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._answer()
        return answer if isinstance(answer, str) else Row(*answer)

    def _start(self) -> None:
        command = [sys.executable, "-X", "faulthandler", __file__, "--worker"]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0
        )
        assert self._line() == b"ready\n", self._last_words()

    def _line(self) -> bytes | None:
        """Return the next line, empty if the worker ended, or None if it says nothing in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([self._process.stdout], [], [], TIMEOUT)[0]:
                return None
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                return b""
            line += part
        return line

    def _answer(self) -> Any:
        line = self._line()
        if line:
            return json.loads(line)
        assert self._process is not None
        self._process.kill()
        code = self._process.wait()
        self._process = None
        return f"hangs for {TIMEOUT:g} s" if line is None else f"ends the process ({code}): {self._last_words()}"

    def _last_words(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace")[:1500]

    def close(self) -> None:
        if self._process is not None:
            self._process.communicate()
            self._process = None


def examine_all() -> tuple[list[Row], list[str]]:
    """Return the rows of all cases, and the faults of those that have none."""
    worker, rows, faults = Worker(), [], []
    for case in cases():
        answer = worker.ask(case)
        if isinstance(answer, Row):
            rows.append(answer)
        else:
            faults.append(f"{'/'.join(case)} {answer}")
    worker.close()
    return rows, faults


@pytest.fixture(scope="module")
def examined() -> list[Row]:
    rows, faults = examine_all()
    assert not faults, "\n".join(faults)
    return rows


def test_every_file_comes_to_what_the_table_says(examined: list[Row]) -> None:
    with TABLE.open(encoding="utf-8", newline="") as file:
        expected = {tuple(row[:3]): row[3:] for row in csv.reader(file, delimiter="\t")}
    found = {row[:3]: [str(value) for value in row[3:]] for row in examined}
    different = [
        f"{'/'.join(case)}: {found.get(case)} instead of {expected.get(case)}"
        for case in sorted({*expected.keys() - {Row._fields[:3]}, *found.keys()})
        if found.get(case) != expected.get(case)
    ]
    assert not different, "\n".join(different)


def test_json_that_must_be_accepted_is_never_bad_json(examined: list[Row]) -> None:
    # A value with line feeds in it is more than one line of a shard, and none of them is JSON.
    lines = [row for row in examined if _label(row) == "y" and row.entries == 1]
    assert len(lines) > 220
    assert not [row for row in lines if "bad_json" in row.errors or "bad_encoding" in row.errors]


def test_strings_that_must_be_accepted_are_records(examined: list[Row]) -> None:
    rows = [row for row in examined if Path(row.file).name.startswith("y_string_") and row.form == "elements"]
    assert len(rows) > 40
    assert all(row.live == 1 for row in rows)


def test_json_that_must_be_rejected_gives_no_record(examined: list[Row]) -> None:
    rows = [row for row in examined if _label(row) == "n"]
    assert len(rows) > 360
    assert not [row for row in rows if row.live]


def test_a_parquet_file_is_read_or_dead_or_refused(examined: list[Row]) -> None:
    rows = [row for row in examined if row.suite == "parquet_testing"]
    assert len(rows) > 80
    assert all(row.outcome == "refused" or row.entries for row in rows)


def _label(row: Row) -> str:
    return Path(row.file).name[:1] if row.suite == "json_test_suite" and "test_parsing" in row.file else ""


def regenerate() -> None:
    rows, faults = examine_all()
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter="\t", lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(rows)
    TABLE.write_text(sheet.getvalue(), "utf-8")
    sys.exit("\n".join(faults))


if __name__ == "__main__":
    work() if "--worker" in sys.argv else regenerate()
