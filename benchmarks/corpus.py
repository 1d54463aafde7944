"""Makes the text corpus that the benchmarks run on.

Real text, Chinese and English, from Debian's documentation packages and the development data, cut into records of 1 to 4 kB. No line
of more than 30 characters occurs twice in the distinct part; beyond it, records repeat with a counter appended, so that no two are
equal. Every third record is Chinese; there is less Chinese text in Debian, so that it repeats sooner. The same packages give the
same bytes. The texts are for measuring only.

    python benchmarks/corpus.py [FOLDER] --size 1GB --format parquet
"""

import argparse
import concurrent.futures
import functools
import gzip
import hashlib
import html
import itertools
import json
import random
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

PACKAGES = (
    *("manpages-zh", "debian-reference-zh-cn", "debian-faq-zh-cn", "maint-guide-zh-cn", "fortunes-zh"),
    *("libreoffice-help-zh-cn", "gnome-user-docs", "installation-guide-amd64", "debian-handbook"),
    *("manpages", "manpages-dev", "python3-doc", "git-doc", "perl-doc", "harden-doc", "dict-wn", "linux-doc"),
)
"""Packages whose text is taken; of those without files of their own, what they depend on."""

FOLDER = Path(tempfile.gettempdir()) / "winnow-bench"
DISTINCT_LEAST = 100_000_000
FORMATS = {"parquet": ".parquet", "jsonl": ".jsonl", "gzip": ".jsonl.gz"}
SHARD_BYTES = 50_000_000
GROUP_BYTES = 16_000_000
CORPORA = Path(__file__).resolve().parents[2] / "shared" / "data" / "corpora"

SCHEMA = pa.schema([(name, pa.string()) for name in ("id", "text", "source", "url")])

# Translations other than Chinese, as folders or endings of file names.
_OTHER_LANGUAGE = re.compile(
    r"(?:/|[._-])(?:ar|bg|bn|ca|cs|cz|da|de|el|eo|es|eu|fa|fi|fr|gl|gu|he|hi|hr|hu|id|it|ja|kn|ko|lt|lv|ml|mr|nb|nl|nn|oc|pa|"
    r"pl|pt|ro|ru|sk|sl|sr|sv|ta|te|th|tr|uk|vi)(?:[-_@](?:[A-Z]{2}|latin|sp_SP|it_IT|ja_JP|ko_KR))?(?:/|\.(?:html|txt|page)|$)"
)
_DROPPED = re.compile(r"<(script|style|head|nav)\b.*?</\1\s*>|<!--.*?-->", re.S | re.I)
_BLOCK = re.compile(r"</?(?:p|div|li|tr|h[1-6]|br|dt|dd|pre|section|title|item|note|media)\b[^>]*>", re.I)
_TAG = re.compile(r"<[^>]*>")
_ROFF = re.compile(r"\\f(?:\[[^]]*\]|\(..|.)|\\s[-+]?\d|\\[&|^]|\\\*\(..|\\$")


class Record(NamedTuple):
    """A record of the distinct part."""

    text: str
    source: str
    url: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="default is %(default)s")
    parser.add_argument("--size", default="1GB", help="UTF-8 text in all: 200MB, 1GB (default)")
    parser.add_argument("--format", choices=[*FORMATS, "all"], default="all")
    options = parser.parse_args()
    formats = list(FORMATS) if options.format == "all" else [options.format]
    for name in formats:
        print(make(options.folder, parse_size(options.size), name))


def parse_size(text: str) -> int:
    """Return the bytes of ``200MB`` and the like."""
    number, unit = re.fullmatch(r"(\d+)(MB|GB)", text.strip().upper()).groups()
    return int(number) * {"MB": 10**6, "GB": 10**9}[unit]


def make(folder: Path, size: int, form: str) -> Path:
    """Write the shards of one size and format below ``folder`` and return their folder; what is there already stays."""
    target = folder / f"{size // 10**6}MB-{form}"
    facts = target / "facts.json"
    if not facts.exists():
        target.mkdir(parents=True, exist_ok=True)
        records = _distinct(folder)
        taken = _write(records, size, form, target)
        facts.write_text(json.dumps(taken, indent=1) + "\n", "utf-8")
    said = json.loads(facts.read_text("utf-8"))
    print(
        f"{target.name}: {said['total'] / 1e6:.1f} MB of UTF-8 text, {said['distinct'] / 1e6:.1f} MB distinct, "
        f"duplication factor {said['total'] / said['distinct']:.2f}; {said['records']} records in {said['shards']} shards; "
        f"{100 * said['han'] / said['characters']:.0f} % of the characters are Han",
        file=sys.stderr,
    )
    return target


def _distinct(folder: Path) -> list[Record]:
    """Return the distinct records, made once per folder."""
    kept = folder / "distinct.parquet"
    if not kept.exists():
        folder.mkdir(parents=True, exist_ok=True)
        records = list(_cut(_lines(_documents(folder / "packages"))))
        random.Random(0).shuffle(records)
        size = sum(len(record.text.encode()) for record in records)
        if size < DISTINCT_LEAST:
            raise SystemExit(f"only {size} bytes of distinct text, wanted are {DISTINCT_LEAST}; add packages")
        columns = zip(*records, strict=True)
        pq.write_table(pa.table([pa.array(list(c)) for c in columns], names=list(Record._fields)), kept)
    return [Record(*row) for row in zip(*(c.to_pylist() for c in pq.read_table(kept).columns), strict=True)]


def _documents(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Give source, URL and plain text of every file, those of the development data first."""
    yield from _development_data()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [(name, path) for package in PACKAGES for name, path in _files(package, folder)]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        texts = pool.map(_plain, [path for _, path in paths], chunksize=64)
        for (name, path), text in zip(paths, texts, strict=True):
            if text:
                inside = path.relative_to(folder / name)
                yield name, f"https://{name}.packages.example/{inside}", text


def _development_data() -> Iterator[tuple[str, str, str]]:
    if not CORPORA.is_dir():
        raise SystemExit(f"{CORPORA}: no development data there")
    for name in ("c4_zh_sample/lines.jsonl", "dolma_cc_sample/docs.jsonl"):
        for line in (CORPORA / name).read_bytes().splitlines():
            record = orjson.loads(line)
            text = record.get("text") or record.get("content") or ""
            url = record.get("url") or f"https://{name.split('/')[0]}.example/{record.get('id', '')}"
            yield url.split("/")[2], url, text
    for path in sorted((CORPORA / "dpk_parquet").rglob("*.parquet")):
        table = pq.read_table(path)
        column = next((name for name in ("contents", "text") if name in table.column_names), None)
        texts = table[column].to_pylist() if column and pa.types.is_string(table[column].type) else []
        for number, text in enumerate(texts):
            yield "dpk.example", f"https://dpk.example/{path.stem}/{number}", text or ""


def _files(package: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Give the text files of a package, and of those it stands for, in the order of their paths."""
    for name in _real(package):
        place = folder / name
        if not place.exists():
            _unpack(name, folder)
        for path in sorted(place.rglob("*")):
            wanted = (
                path.name.endswith((".html", ".txt", ".page", ".pod", ".dict.dz", ".gz", ".rst")) or not path.suffix
            )
            inside = "/" + str(path.relative_to(place))
            if wanted and path.is_file() and not path.is_symlink() and not _OTHER_LANGUAGE.search(inside):
                yield name, path


@functools.cache
def _real(package: str) -> list[str]:
    """Return the package, and the documentation that it merely depends on (``linux-doc`` on ``linux-doc-6.1``)."""
    said = subprocess.run(["apt-cache", "depends", "--important", package], capture_output=True, text=True, check=True)
    there = re.findall(r"^ +Depends: (\S+-doc\S*)$", said.stdout, re.M)
    return [package, *there]


def _unpack(package: str, folder: Path) -> None:
    """Download a package without installing it, and unpack it beside the download."""
    subprocess.run(["apt-get", "download", "-q", package], cwd=folder, check=True, stdout=sys.stderr)
    archive = next(iter(sorted(folder.glob(f"{package}_*.deb"))))
    print(f"unpacking {archive.name}", file=sys.stderr)
    subprocess.run(["dpkg", "-x", archive.name, package], cwd=folder, check=True)


def _plain(path: Path) -> str:
    """Return a file as plain text, or nothing if it is not UTF-8 text."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    if "\0" in text:
        return ""
    if "<" in text[:200] and re.search(r"<(?:!doctype|html|\?xml|page)", text[:400], re.I):
        text = html.unescape(_TAG.sub("", _BLOCK.sub("\n", _DROPPED.sub("", text))))
    elif re.search(r"^\.(?:TH|SH|Dd)\b", text, re.M):
        kept = (line for line in text.split("\n") if not line.startswith(('.\\"', "'\\\"")))
        text = "\n".join(_ROFF.sub("", re.sub(r"^[.'][A-Za-z]{1,2}\b ?", "", line)) for line in kept)
    return text.replace("\\-", "-").replace("\r", "")


def _lines(documents: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, list[str]]]:
    """Leave out blank lines, and long lines that were there before: menus, licences."""
    seen: set[int] = set()
    for source, url, text in documents:
        kept = []
        for line in (" ".join(line.split()) for line in text.split("\n")):
            key = hash_of(line)
            if line and not (len(line) > 30 and key in seen):
                seen.add(key)
                kept.append(line)
        if kept:
            yield source, url, kept


def hash_of(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "big")


def _cut(documents: Iterable[tuple[str, str, list[str]]]) -> Iterator[Record]:
    """Cut documents into records of 1 to 4 kB; shorter ends go to the next record of the source."""
    draw = random.Random(1)
    waiting: list[str] = []
    size, wanted, last = 0, draw.randint(1000, 4000), ""
    for source, url, lines in documents:
        if source != last:
            waiting, size, last = [], 0, source
        for line in lines:
            for start in range(0, len(line), 1000):
                waiting.append(line[start : start + 1000])
                size += len(waiting[-1].encode()) + 1
                if size >= wanted:
                    yield Record("\n".join(waiting), source, url)
                    waiting, size, wanted = [], 0, draw.randint(1000, 4000)


def _write(records: list[Record], size: int, form: str, target: Path) -> dict[str, int]:
    """Write shards until they hold ``size`` bytes of text."""
    facts = {"total": 0, "distinct": 0, "records": 0, "shards": 0, "han": 0, "characters": 0}
    rows: list[dict[str, str]] = []
    waiting = 0
    for number, (record, copy) in enumerate(_repeated(records)):
        text = f"{record.text}\n[{copy}]" if copy else record.text
        length = len(text.encode())
        rows.append({"id": f"r{number:08}", "text": text, "source": record.source, "url": record.url})
        facts["total"] += length
        facts["distinct"] += 0 if copy else length
        facts["records"] += 1
        facts["characters"] += len(text)
        facts["han"] += len(_HAN.findall(text))
        waiting += length
        done = facts["total"] >= size
        if waiting >= SHARD_BYTES or done:
            path = target / f"shard-{facts['shards']:03}{FORMATS[form]}"
            _write_rows(rows, path)
            facts["shards"] += 1
            rows, waiting = [], 0
        if done:
            return facts
    raise AssertionError("not reached")


_HAN = re.compile("[\u3400-\u9fff]")


def _repeated(records: list[Record]) -> Iterator[tuple[Record, int]]:
    """Give records with the number of the copy for ever, two that are not Chinese and one that is."""
    chinese = [len(_HAN.findall(record.text)) * 5 >= len(record.text) for record in records]
    others = _copies([record for record, han in zip(records, chinese, strict=True) if not han])
    ours = _copies([record for record, han in zip(records, chinese, strict=True) if han])
    while True:
        yield from (next(others), next(others), next(ours))


def _copies(records: list[Record]) -> Iterator[tuple[Record, int]]:
    return ((record, copy) for copy in itertools.count() for record in records)


def _write_rows(rows: list[dict[str, str]], path: Path) -> None:
    if path.suffix == ".parquet":
        size = sum(len(row["text"].encode()) for row in rows)
        table = pa.Table.from_pylist(rows, SCHEMA)
        groups = max(1, round(size / GROUP_BYTES))
        pq.write_table(table, path, compression="zstd", row_group_size=-(-len(rows) // groups))
        return
    data = b"".join(orjson.dumps(row) + b"\n" for row in rows)
    if path.suffix == ".gz":
        packer = zlib.compressobj(6, wbits=31)
        data = packer.compress(data) + packer.flush()
    path.write_bytes(data)


if __name__ == "__main__":
    main()
