"""The shard files of the example corpus: one writer for each format that the readers should know."""

import gzip
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from backports import zstd


@dataclass(frozen=True)
class Record:
    """A record on its way into a shard: its source, its number there, its text, and its address if that is an odd one."""

    source: str
    number: int
    text: str
    address: str | None = None

    @property
    def id(self) -> str:
        """The record's own id, made of its source and number."""
        return f"{self.source.removesuffix('.example')}-{self.number:05d}"

    @property
    def url(self) -> str:
        """An address on the source's reserved host."""
        return self.address or f"https://{self.source}/p/{self.number}"

    @property
    def when(self) -> int:
        """Seconds since 1970 of a made-up time in January 2026."""
        return 1767600000 + self.number * 2220


@dataclass(frozen=True)
class Malformed:
    """A line that is no record: where it goes (counted from 1 in the finished file), its bytes, and what is wrong."""

    line: int
    data: bytes
    wrong: str


def write_news(path: Path, records: Sequence[Record]) -> None:
    """Write Parquet with snappy, several row groups, a timestamp and a nested column."""
    languages = ["en" if record.text.isascii() else "zh" for record in records]
    tags = [[f"page-{record.number % 9}", *(["front"] if record.number % 4 == 0 else [])] for record in records]
    meta = pa.struct([("lang", pa.string()), ("tags", pa.list_(pa.string()))])
    table = pa.table(
        {
            "doc_id": [record.id for record in records],
            "text": [record.text for record in records],
            "source": [record.source for record in records],
            "url": [record.url for record in records],
            "published": pa.array([record.when * 1_000_000 for record in records], pa.timestamp("us", "UTC")),
            "meta": pa.array(
                [{"lang": lang, "tags": some} for lang, some in zip(languages, tags, strict=True)],
                meta,
            ),
        }
    )
    pq.write_table(table, path, compression="snappy", row_group_size=250)


def write_encyclopedia(path: Path, records: Sequence[Record]) -> None:
    """Write Parquet with zstd, a large_string text and a dictionary column; the text column is called ``content``."""
    table = pa.table(
        {
            "id": [record.id for record in records],
            "title": pa.array([None if r.number % 3 else f"第{r.number}条" for r in records], pa.string()),
            "content": pa.array([record.text for record in records], pa.large_string()),
            "source": pa.array([record.source for record in records]).dictionary_encode(),
            "revision": pa.array([record.number % 17 for record in records], pa.int16()),
        }
    )
    pq.write_table(table, path, compression="zstd", compression_level=9, row_group_size=200)


def write_plain(path: Path, records: Sequence[Record], malformed: Sequence[Malformed]) -> None:
    """Write JSONL; every seventh line has its keys in another order and its text escaped."""
    lines = []
    for place, record in enumerate(records):
        row = {"id": record.id, "text": record.text, "source": record.source, "url": record.url}
        if place % 7 == 3:
            lines.append(_line(dict(reversed(row.items())), escaped=True))
        else:
            lines.append(_line(row))
    path.write_bytes(b"".join(_with(lines, malformed)))


def write_gzip(path: Path, records: Sequence[Record], malformed: Sequence[Malformed]) -> None:
    """Write gzip JSONL without spaces; the source is known by the URL alone."""
    lines = [
        _line({"doc_id": r.id, "content": r.text, "url": r.url, "lang": "zh"}, separators=(",", ":")) for r in records
    ]
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write(b"".join(_with(lines, malformed)))
    path.write_bytes(buffer.getvalue())


def write_zstd(path: Path, records: Sequence[Record]) -> None:
    """Write zstd JSONL with numbers and a null beside the text."""
    lines = [
        _line(
            {"source": r.source, "id": r.id, "posted": r.when, "score": r.number / 4, "reply_to": None, "text": r.text}
        )
        for r in records
    ]
    path.write_bytes(zstd.compress(b"".join(lines), level=9))


def write_crawl(path: Path, records: Sequence[Record]) -> None:
    """Write JSONL in a folder of its own: no ids, nested objects, what robots.txt said, escaped text, no line feed at the end."""
    lines = [
        _line(
            {
                "url": r.url,
                "source": r.source,
                "http": {"status": 200, "type": "text/html"},
                "robots_verdict": "disallow" if r.source == "small-blog.example" and r.number % 8 == 0 else "allow",
                "text": r.text,
            },
            escaped=r.number % 2 == 0,
        )
        for r in records
    ]
    path.write_bytes(b"".join(lines).removesuffix(b"\n"))


def write_talk(path: Path, records: Sequence[Record]) -> None:
    """Write JSONL with the text last."""
    lines = [_line({"id": r.id, "source": r.source, "url": r.url, "text": r.text}) for r in records]
    path.write_bytes(b"".join(lines))


def _line(row: dict[str, Any], *, escaped: bool = False, separators: tuple[str, str] = (", ", ": ")) -> bytes:
    return json.dumps(row, ensure_ascii=escaped, separators=separators).encode() + b"\n"


def _with(lines: list[bytes], malformed: Sequence[Malformed]) -> list[bytes]:
    lines = list(lines)
    for bad in sorted(malformed, key=lambda bad: bad.line):
        lines.insert(bad.line - 1, bad.data + b"\n")
    return lines
