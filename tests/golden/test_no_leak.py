"""Invariant 6, no leak: a personal value stands in quarantine and dead letters, and in nothing else that a run writes or says."""

import base64
import csv
import html
import io
import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from conftest import (
    BANNED,
    CARD,
    MAIL,
    MOBILE,
    RESIDENT,
    UNLAWFUL,
    WINNOW,
    Screen,
    records,
    unpacked,
    write_run_file,
    write_shard,
)
from pyarrow import ipc

from models.view import fold_term

VALUES = {"e-mail": MAIL, "mobile": MOBILE, "resident id": RESIDENT, "card": CARD}
HIDDEN = ("quarantine", "dead")
WITHHELD = f"{BANNED} number"
"""Text of records that are dropped or quarantined; it must not stand in the clean files either."""


def forms(value: str) -> dict[str, re.Pattern[bytes]]:
    """Return what a value may look like in a file: as it is, folded, in digits alone, and encoded."""
    raw = value.encode()
    found = {"raw": re.escape(raw), "folded": re.escape(fold_term(value).encode())}
    found["url-encoded"] = re.escape(urllib.parse.quote(value, safe="").encode())
    found["html"] = re.escape(html.escape(value).encode())
    found["utf-16"] = re.escape(value.encode("utf-16-le"))
    found["hex"] = re.escape(raw.hex().encode())
    # Base64 has three forms, by where in its groups of three bytes the value begins; the characters at its ends depend on
    # the neighbours and are left out.
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + raw)[[0, 2, 3][shift] :].rstrip(b"=")
        found[f"base64+{shift}"] = re.escape(coded[: len(coded) - (len(raw) + shift) % 3])
    return {
        name: re.compile(pattern, re.IGNORECASE if name in ("folded", "hex") else 0) for name, pattern in found.items()
    }


def finder(values: Iterable[str]) -> list[tuple[str, str, re.Pattern[bytes]]]:
    return [(value, name, pattern) for value in values for name, pattern in forms(value).items()]


def found_in(data: bytes, values: Iterable[str]) -> set[str]:
    """Return which values stand in some bytes, in any form; digits are also sought with everything else taken out."""
    found = {f"{value} ({name})" for value, name, pattern in finder(values) if pattern.search(data)}
    folded = fold_term(data.decode("utf-8", "ignore"))
    found |= {f"{value} (folded text)" for value in values if fold_term(value) in folded}
    for digits in re.findall(r"\d(?:[\s().·-]{0,2}\d)+", folded):
        bare = re.sub(r"\D", "", digits)
        found |= {f"{value} (digits)" for value in values if value.isdecimal() and value in bare}
    return found


def decoded(path: Path) -> Iterator[bytes]:
    """Give a file's bytes, and what it holds once decompressed, unpacked or unescaped."""
    data = path.read_bytes()
    yield data
    if path.suffix in (".gz", ".zst", ".bz2"):
        yield unpacked(path)
    if data[:4] == b"PAR1":
        yield from _parquet(path)
    if data[:4] == b"\xff\xff\xff\xff" or data[:6] == b"ARROW1":
        yield from _arrow(data)
    if path.suffix == ".html":
        yield html.unescape(data.decode()).encode()
    if path.suffix == ".json":
        yield _flat(json.loads(data))
    if path.suffix == ".csv":
        yield "\n".join(cell for row in csv.reader(io.StringIO(data.decode())) for cell in row).encode()


def _flat(value: Any) -> bytes:
    """Return every key and value, one a line, strings that are JSON themselves opened."""
    if isinstance(value, dict):
        return b"\n".join(_flat(each) for pair in value.items() for each in pair)
    if isinstance(value, (list, tuple)):
        return b"\n".join(_flat(each) for each in value)
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return _flat(json.loads(value))
        except ValueError:
            pass
    return str(value).encode()


def _parquet(path: Path) -> Iterator[bytes]:
    facts = pq.read_metadata(path)
    yield _flat(facts.metadata or {})
    yield str(facts.to_dict()).encode()  # statistics: least and greatest values
    with pq.ParquetFile(path) as file:
        # Dictionaries as they are written: with values that no row refers to.
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            yield _flat(table.to_pylist())
            yield _flat(dict(table.schema.metadata or {}))
            for column in table.columns:
                for chunk in column.chunks:
                    yield from _buffers(chunk)


def _buffers(array: pa.Array) -> Iterator[bytes]:
    if pa.types.is_dictionary(array.type):
        yield from _buffers(array.dictionary)
    yield from (buffer.to_pybytes() for buffer in array.buffers() if buffer is not None)


def _arrow(data: bytes) -> Iterator[bytes]:
    source = pa.BufferReader(data)
    opens = ipc.open_file if data[:6] == b"ARROW1" else ipc.open_stream
    while source.tell() < len(data):
        with opens(source) as reader:
            table = reader.read_all()
        yield _flat(table.to_pylist())
        yield _flat(dict(table.schema.metadata or {}))
        if opens is ipc.open_file:
            return


def leaks(out: Path, values: Iterable[str], but: tuple[str, ...] = HIDDEN) -> dict[str, set[str]]:
    """Return the files below a folder that hold a value, but for those places and what the store has of them."""
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(out)
        is_hidden = any(part in but for part in name.parts) or path.name.split(".")[0] in but
        here = set() if is_hidden else set().union(*(found_in(data, values) for data in decoded(path)))
        if here:
            found[str(name)] = here
    return found


def planted(folder: Path) -> Path:
    """Write a corpus with every value in text, id, URL and source, in good records and in lines that are none."""
    plain = records("plain.example", 100)
    for record in plain:
        record["url"] = f"https://plain.example/{record['id']}"
    hidden: list[dict[str, Any] | bytes] = []
    for number, value in enumerate(VALUES.values()):
        base: dict[str, Any] = {
            "id": f"p{number}",
            "source": "plain.example",
            "url": "https://plain.example/",
            "text": "nothing to see",
        }
        wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in value)
        hidden += [
            base | {"text": f"One {value} and again: {value}."},
            base | {"text": f"全角{wide}。"},
            base | {"text": f"{value} {UNLAWFUL}", "source": "bad.example"},
            base | {"text": f"{value} in a {WITHHELD} {number}", "source": "bad.example"},
            base | {"id": value},
            base | {"url": f"https://plain.example/user/{value}?q={value}"},
            base | {"source": value},
            base
            | {"source": f"of {value}", "id": f"id {value}", "url": f"https://{value}/", "text": f"{value}{value}"},
            f'{{"id": "{value}", "text": "{value}"\n'.encode(),
            f'{{"id": "{value}", "text": "\xff {value}"}}\n'.encode("latin-1"),
            f'{{"id": "{value}", "source": "{value}", "text": 5}}\n'.encode(),
            f'["{value}"]\n'.encode(),
        ]
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst"):
        write_shard(folder / name, [*plain, *hidden])
    rows = [
        *plain,
        *(row for row in hidden if isinstance(row, dict)),
        plain[0] | {"text": None, "id": MAIL, "source": MAIL},
    ]
    schema = pa.schema([(name, pa.dictionary(pa.int32(), pa.string())) for name in ("id", "source", "url", "text")])
    pq.write_table(pa.Table.from_pylist(rows), folder / "d.parquet", row_group_size=40)
    pq.write_table(
        pa.Table.from_pylist(rows).select(schema.names).cast(schema), folder / "e.parquet", row_group_size=60
    )
    broken = (folder / "c.jsonl.zst").read_bytes()
    (folder / "f.jsonl.zst").write_bytes(broken[: len(broken) // 2])
    return folder


@pytest.fixture(scope="module")
def screened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of the planted corpus by the command, with two workers, and everything that it said."""
    folder = tmp_path_factory.mktemp("leak")
    (folder / "in").mkdir()
    run = write_run_file(
        folder / "run.yaml", Screen(folder), planted(folder / "in"), workers=2, max_dead={"share": "90%"}
    )
    done = subprocess.run([*WINNOW, "run", run], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "out", done.stdout + done.stderr


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_the_finder_finds_a_value_planted_in_the_audit(screened: tuple[Path, str], tmp_path: Path, value: str) -> None:
    out = tmp_path / "out"
    place = out / "audit"
    place.mkdir(parents=True)
    audit = next((screened[0] / "audit").glob("a.jsonl*"))
    rows = pq.read_table(audit).to_pylist()
    coded = (base64.b64encode(b"x" * shift + value.encode() + b"yz").decode() for shift in range(3))
    wide = "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in value)
    written = [value, wide, value.upper(), urllib.parse.quote(value, safe=""), *coded]
    written += ["-".join(value)] if value.isdecimal() else []
    for number, each in enumerate(written):
        rows[0]["detail"] = f"…{each}…"
        pq.write_table(pa.Table.from_pylist(rows, pq.read_schema(audit)), place / f"{number}.parquet")
    schema = pq.read_schema(audit).with_metadata({"note": value})
    pq.write_table(schema.empty_table(), place / "metadata.parquet")
    encoded = pa.array(["x", value]).dictionary_encode().take(pa.array([0]))
    pq.write_table(pa.table({"x": encoded}), place / "dictionary.parquet")
    (out / "report.html").write_text(f"<p>{html.escape(value)}</p>")
    (out / "x.json").write_text(json.dumps({"a": [{value: 1}]}))
    (out / "x.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(value.encode()))
    shutil.copytree(screened[0] / "store" / "layers", out / "layers")
    with (
        (out / "layers" / "x.arrow").open("wb") as file,
        ipc.new_stream(file, pa.schema([("x", pa.string())])) as writer,
    ):
        writer.write_table(pa.table({"x": [value]}))
    expected = {f"audit/{number}.parquet" for number in range(len(written))}
    expected |= {
        "audit/metadata.parquet",
        "audit/dictionary.parquet",
        "report.html",
        "x.json",
        "x.jsonl.zst",
        "layers/x.arrow",
    }
    assert leaks(out, [value]).keys() == expected


def test_no_personal_value_stands_in_any_output_but_quarantine_and_dead(screened: tuple[Path, str]) -> None:
    out, _ = screened
    assert leaks(out, VALUES.values()) == {}
    seen = {path.name.split(".")[0] for path in out.rglob("*") if path.is_file()}
    assert {"manifest", "report", "sources", "blacklist", "a", "e"} <= seen


def test_quarantine_and_dead_letters_hold_them_and_nothing_else_would_be_tested(screened: tuple[Path, str]) -> None:
    found = leaks(screened[0] / "releases" / "1", VALUES.values(), but=())
    assert {name.split("/")[0] for name in found} == set(HIDDEN)
    assert {value.rsplit(" (", 1)[0] for here in found.values() for value in here} == set(VALUES.values())


def test_a_run_says_no_personal_value(screened: tuple[Path, str]) -> None:
    assert "What became of everything" in screened[1]
    assert found_in(screened[1].encode(), VALUES.values()) == set()


def test_text_that_was_withheld_stands_in_no_clean_file(screened: tuple[Path, str]) -> None:
    """A Parquet dictionary would keep it: it holds the values of rows that are not in the file."""
    clean = list((screened[0] / "clean").iterdir())
    assert len(clean) == 5
    for path in clean:
        for data in decoded(path):
            assert found_in(data, [BANNED, UNLAWFUL]) == set(), path.name


def test_other_commands_say_no_personal_value(screened: tuple[Path, str], cli: Any) -> None:
    out = screened[0]
    said = "".join(
        cli("explain", out, f"{shard}#{row}")[1] for shard in ("d.parquet", "e.parquet") for row in range(60, 93, 4)
    )
    assert said.count("release 1") > 10
    for command in ("verify", "report", "files"):
        code, told, errors = cli(command, out)
        assert code == 0
        said += told + errors
    assert found_in(said.encode(), VALUES.values()) == set()


def test_dead_letters_keep_only_hashes_where_that_is_wanted(screen: Screen, tmp_path: Path) -> None:
    shards = planted(tmp_path / "in") if (tmp_path / "in").mkdir() is None else None
    assert shards is not None
    screen([shards / "a.jsonl", shards / "d.parquet"], tmp_path / "out", dead_bytes="hash", max_dead={"share": "90%"})
    assert leaks(tmp_path / "out", VALUES.values(), but=("quarantine",)) == {}
    letters = pa.concat_tables([pq.read_table(path) for path in (tmp_path / "out" / "dead").iterdir()]).to_pylist()
    assert len(letters) == 17
    assert all(letter["raw"] is None and len(letter["sha256"]) == 64 for letter in letters)
