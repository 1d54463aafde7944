"""What the tests of kills and races share: made-up shards, the command, and the bytes that must come out."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

WINNOW = str(Path(sys.executable).parent / "winnow")
AS_OF = ("--as-of", "2026-01-01", "-q")
COMPARED = ("clean", "quarantine", "dead", "audit", "sources.parquet", "sources.csv", "blacklist.json")
MARK = "WINNOW_TEST_RUN"
"""Environment variable by which the processes of a run are found, whatever group or parent they have by then."""

_WORDS = re.findall(
    r"\w+",
    "the river town market weather museum story science garden window history music people water school bridge letter "
    "summer morning kitchen travel season village paper colour evening teacher mountain science 春天 河流 学校 图书馆 "
    "天气 音乐 历史 城市 花园 老师 旅行 故事 早晨 村庄 科学 桥梁 节日 海洋 电影 新闻",
)
ROOT = Path(__file__).resolve().parents[2]

EVERY_TAGGER: dict[str, dict[str, object]] = {
    "lexicon": {"lists": ["illustrative"]},
    "category": {"models": ["zh-discrimination-demo", "en-abuse-demo"]},
    "fingerprint": {"indexes": ["illustrative"]},
    "personal": {},
    "provenance": {"registry": [str(Path(__file__).with_name("registry"))]},
    "blocked": {"lists": [str(ROOT / "examples" / "lists" / "blocked")]},
}
"""All that are built in, with what ships: what holds must hold with all of them at once."""

_WORK = json.loads((ROOT / "examples" / "texts" / "works.jsonl").read_text("utf-8").splitlines()[0])["text"]
_HARASSMENT = ("河南人都是骗子，偷井盖的，真恶心", "What an idiot. Stupid liar, pathetic loser.")
BAD = ("线上赌场开户", "real money baccarat", "代开发票", "fake passport for sale")
_PERSONAL = ("mail to anna.berg@example.org please", "手机13812345678", "host 203.0.113.77 is down")


def write_shards(
    folder: Path, numbers: Iterable[int], records: int, *, bad_from: int = 0, subfolders: bool = False
) -> list[str]:
    """Write made-up shards, plain, gzip and Parquet in turn, and return their paths.

    Of the records of source ``turns.example``, none is unlawful in shards below ``bad_from`` and many are in those from there on.
    """
    paths = []
    for number in numbers:
        rows = [_record(random.Random(f"{number}/{row}"), number, row, bad_from) for row in range(records)]
        place = folder / f"part{number % 3}" if subfolders else folder
        place.mkdir(parents=True, exist_ok=True)
        path = place / f"shard-{number:03}{('.jsonl', '.jsonl.gz', '.parquet')[number % 3]}"
        if number % 3 == 2:
            table = pa.Table.from_pylist(rows)
            pq.write_table(table, path, row_group_size=max(1, records // 5), compression="zstd")
        else:
            lines = [json.dumps(row, ensure_ascii=False).encode() for row in rows]
            lines.insert(records // 2, b'{"id": "broken", "text": ')
            data = b"\n".join(lines) + b"\n"
            path.write_bytes(gzip.compress(data, 1, mtime=0) if number % 3 == 1 else data)
        paths.append(str(path))
    return paths


def _record(dice: random.Random, shard: int, row: int, bad_from: int) -> dict[str, str]:
    words = dice.choices(_WORDS, k=dice.randrange(40, 200))
    source = dice.choice(("calm.example", "turns.example", "spam.example", "few.example", "quiet.example"))
    share = {"spam.example": 0.3, "turns.example": 0.3 if shard >= bad_from else 0.0, "few.example": 0.02}.get(
        source, 0
    )
    if dice.random() < share:
        words.insert(dice.randrange(len(words)), dice.choice(BAD))
    if dice.random() < 0.1:
        words.insert(dice.randrange(len(words)), dice.choice(_PERSONAL))
    text, other = " ".join(words), dice.random()
    if other < 0.01:
        text = dice.choice(_HARASSMENT)
    elif other < 0.02:
        text = _WORK[: dice.randrange(300, 900)] + text
    page = "p/199" if other > 0.99 else f"q/{row}"
    host = "shop.example" if other > 0.98 else source
    return {"id": f"s{shard}r{row}", "source": source, "url": f"https://{host}/{page}", "text": text}


def write_run_file(path: Path, inputs: Iterable[str], root: Path, **settings: object) -> Path:
    """Write a run file whose splits are small, with every tagger."""
    run = {"inputs": list(inputs), "input_root": str(root), "split_size": 100_000, "workers": 2}
    run |= {"taggers": EVERY_TAGGER, **settings}
    run |= {"max_dead": {"share": 0.5, "at_least": 1000}, "output": str(path.with_suffix(".out"))}
    path.write_text(json.dumps(run), "utf-8")  # JSON is YAML
    return path


def start(
    arguments: Iterable[str], mark: str = "", cwd: Path | None = None, *, within: Iterable[str] = ()
) -> "subprocess.Popen[str]":
    """Start the command as the leader of a process group of its own.

    Args:
        within: a command that runs it.
    """
    return subprocess.Popen(
        [*within, WINNOW, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {MARK: mark, "COLUMNS": "200"},
        start_new_session=True,
        cwd=cwd,
    )


def finish(arguments: Iterable[str], mark: str = "", *, code: int = 0, within: Iterable[str] = ()) -> str:
    """Run the command to its end and return what it said."""
    process = start(arguments, mark, within=within)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == code, said
    return said


def finish_here(arguments: Iterable[str], *, code: int = 0) -> str:
    """Run the command to its end in this process, which spares loading all that it needs, and return what it said."""
    from pipeline.cli import main

    said, left = io.StringIO(), 0
    before, sys.argv = sys.argv, ["winnow", *arguments]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            main()
    except SystemExit as stop:
        left = int(stop.code or 0)
    finally:
        sys.argv = before
    assert left == code, said.getvalue()
    return said.getvalue()


def descendants(pids: Iterable[int]) -> set[int]:
    """Return processes, those of them that live, and all below them."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = set(pids) & parents.keys()
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def processes(mark: str) -> list[int]:
    """Return the processes of a marked run that are not just waiting to be reaped."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            alive = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            continue
        if marked and alive:
            found.append(int(folder.name))
    return found


def all_gone(mark: str, seconds: float = 15) -> list[int]:
    """Wait until no process of a marked run is left, and return those that would not go."""
    deadline = time.monotonic() + seconds
    while (left := processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def contents(output: Path, places: Iterable[str] = COMPARED) -> dict[str, str]:
    """Return the SHA-256 of every file of the current release that must come out the same, by its path."""
    found = {}
    for place in places:
        top = output / place
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file():
                found[str(path.relative_to(output))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def review(output: Path, folder: Path, policy: Path, unlawful: Callable[[str], bool]) -> str:
    """Have the sources of the current release judged by two people who agree, and return the SHA-256 of what was drawn.

    Args:
        folder: for the package and what is sent back.
    """
    folder.mkdir(parents=True)
    package = ("--policy", str(policy), "--to", str(folder / "package"))
    finish_here(["review", "sample", str(output), "--for", "sources", "--salt", "5a" * 16, *package])
    drawn = (folder / "package" / "tasks.jsonl").read_bytes()
    for person in ("Ann", "Bob"):
        rows = [json.loads(each) | {"annotator": person} for each in drawn.splitlines()]
        rows = [row | {"verdict": "unlawful" if unlawful(row["text"]) else "lawful"} for row in rows]
        sent = folder / f"{person}.jsonl"
        sent.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        finish_here(["review", "import", str(output), str(sent)])
    return hashlib.sha256(drawn).hexdigest()


def is_whole(path: Path) -> bool:
    """Tell whether a part can be read to its end."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return len(pq.read_table(io.BytesIO(data))) > 0
    lines = (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines(keepends=True)
    return len(lines) > 0 and all(line.endswith(b"\n") and json.loads(line) is not None for line in lines)
