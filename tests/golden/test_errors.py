"""What a new user gets wrong: each mistake is named with its place and a remedy, in a line and without a traceback."""

import json
import os
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import (
    MAIL,
    UNLAWFUL,
    Cli,
    Screen,
    contents,
    manifest,
    records,
    states,
    texts,
    write_run_file,
    write_shard,
)

from models.errors import UsageError
from pipeline.corpus import MANIFEST_FORMAT

HERE = ("--workers", "1", "-q")


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    return write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 30))


def refused(answer: tuple[int, str, str], *said: str, code: int = 2) -> None:
    """Check that a command failed as it should, with a message that says all this and is a message, not a traceback."""
    assert answer[0] == code, answer
    for each in said:
        assert each in answer[2], answer[2]
    assert "Traceback" not in answer[2]
    assert "while running" not in answer[2], "Beam's words are of no use here"
    # On a slow machine a line of progress may stand before it.
    assert re.search("^(winnow: |Usage:)", answer[2], re.MULTILINE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"polcy": "minimal"}, "run.yaml: unknown key 'polcy'; did you mean 'policy'?"),
        (
            {"columns": {"text": "text", "soruce": "s"}},
            "run.yaml: columns: unknown key 'soruce'; did you mean 'source'?",
        ),
        (
            {"taggers": {"lexikon": {}}},
            "no tagger is called 'lexikon'; there are: blocked, category, fingerprint, lexicon, personal, provenance",
        ),
        (
            {"taggers": {"lexicon": {"list": ["x"]}}},
            "run.yaml: taggers.lexicon: unknown key 'list'; did you mean 'lists'?",
        ),
        ({"taggers": {"personal": {"entities": ["emale"]}}}, "no entity 'emale'; did you mean 'email'?"),
        ({"taggers": {"lexicon": {"lists": ["no/such/list"]}}}, "no/such/list: no lexicon artefact there"),
        ({"policy": "minmal"}, "did you mean 'minimal'?"),
        ({"policy": "mine.yaml"}, "mine.yaml: cannot be read"),
        ({"encoding": "gb10830"}, "Python knows no 'gb10830'; did you mean 'gb18030'?"),
        ({"split_size": "64 parsecs"}, "run.yaml: split_size: must be a size such as 64MB or 16MiB"),
        ({"workers": -1}, "run.yaml: workers: must be at least 0, is the number -1"),
        ({"source_from": "columns"}, "run.yaml: source_from: must be"),
        ({"source_from": "column", "columns": {"text": "text"}}, "source"),
        ({"gzip_level": 12}, "run.yaml: gzip_level: must be at most 9"),
        ({"key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY"),
        ({"output": None}, "run.yaml: output: must be text, is empty"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_mistake_in_a_run_file_is_named_with_its_place(
    tmp_path: Path, shard: Path, cli: Cli, change: dict[str, Any], said: str, command: str
) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(json.dumps({"inputs": ["in"], "output": "out", "workers": 1} | change))
    refused(cli(command, run), said)
    assert not (tmp_path / "out" / "current").exists()


def test_a_run_file_that_is_no_yaml_is_named_with_its_line(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "run.yaml").write_text("inputs: [in]\noutput: 'out\n")
    refused(cli("run", tmp_path / "run.yaml"), "run.yaml: line ")
    (tmp_path / "run.yaml").write_text("inputs: [in]\noutput: out\ninputs: [other]\n")
    refused(cli("run", tmp_path / "run.yaml"), "run.yaml: line 3: key 'inputs' is given twice, first in line 1")
    refused(cli("run", tmp_path / "runn.yaml"), "runn.yaml: cannot be read: No such file or directory")


def test_a_list_whose_content_is_not_as_described_is_refused(
    tmp_path: Path, screen: Screen, shard: Path, cli: Cli
) -> None:
    run = write_run_file(tmp_path / "run.yaml", screen, shard)
    with (screen.list / "terms.tsv").open("a") as file:
        file.write("another\tA.1.h\tcertain\n")
    refused(cli("run", run), "terms.tsv: content is not what artefact.json says")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a run file, or shards and an output"),
        (("a.jsonl",), "name an output folder: -o OUT"),
        (("a.jsonl", "-o", "out", "--id", "n"), "--id, --source and --url go with --text"),
        (("a.jsonl", "-o", "out", "--sample", "lots"), "--sample lots: say a share such as 1% or 0.01"),
        (("a.jsonl", "-o", "out", "--sample", "120%"), "must be over 0 and at most 100%"),
        (("a.jsonl", "-o", "out", "--as-of", "tomorrow"), "as_of"),
        (("missing.jsonl", "-o", "out"), "missing.jsonl"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(
    shard: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(shard.parent)
    refused(cli("run", *arguments, *HERE), said)


def test_an_option_that_there_is_not_is_named_with_the_one_there_is(cli: Cli) -> None:
    code, _, said = cli("run", "a.jsonl", "--outptu", "x")
    assert code == 2
    assert "--output" in said


def test_an_output_that_cannot_be_written_is_named_before_anything_is_read(
    tmp_path: Path, shard: Path, cli: Cli
) -> None:
    (tmp_path / "file").write_text("not a folder")
    refused(cli("run", shard, "-o", tmp_path / "file" / "out", *HERE), f"{tmp_path}/file/out", "cannot write there")
    refused(cli("check", shard, "-o", tmp_path / "file" / "out"), "cannot write in")


def test_a_command_on_a_folder_without_a_release_says_how_to_make_one(tmp_path: Path, cli: Cli) -> None:
    for command in (("verify",), ("report",), ("files",), ("explain", "x")):
        refused(cli(command[0], tmp_path, *command[1:]), "no release", "winnow run")
    refused(cli("publish", tmp_path), "no corpus here", "winnow run")


def test_a_full_disk_is_told_with_its_folder_and_what_to_do(tmp_path: Path, cli: Cli) -> None:
    rows = [
        each | {"text": f"{each['text']} {random.Random(n).randbytes(600).hex()}"}
        for n, each in enumerate(records("s.example", 3000))
    ]
    shard, disk = write_shard(tmp_path / "in" / "a.jsonl", rows), tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", disk], capture_output=True, check=False
    ).returncode:
        pytest.skip("needs the right to mount a file system of 2 MB")
    try:
        run = ("run", shard, "-o", disk / "out", "--policy", "minimal", *HERE)
        advice = "Make room there, or choose a folder with more"
        refused(cli(*run), "No space left on device", f"{disk}/out", advice, code=1)
        assert not (disk / "out" / "current").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert cli(*run)[0] == 0
    finally:
        subprocess.run(["umount", disk], check=True)


# Other encodings


CHINESE = [
    {"id": f"g{n}", "source": "s.example", "text": f"第{n}条：今天的天气很好。" + (MAIL if n == 7 else "")}
    for n in range(200)
]


def encoded(path: Path, encoding: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in CHINESE)
    path.write_bytes(lines.encode(encoding))
    return path


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_a_file_in_another_encoding_fails_with_the_advice_to_say_so(tmp_path: Path, cli: Cli, encoding: str) -> None:
    shard = encoded(tmp_path / "in" / "a.jsonl", encoding)
    refused(cli("run", shard, "-o", tmp_path / "out", *HERE), "set encoding (gb18030, utf-16)", "a.jsonl", code=3)
    assert not (tmp_path / "out" / "current").exists()


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-le"])
def test_a_few_records_in_another_encoding_are_not_taken_for_wrong_paths(
    tmp_path: Path, cli: Cli, encoding: str
) -> None:
    """So few that the limit of dead letters is not reached; ASCII in UTF-16 without a mark at its start is UTF-8 byte by byte."""
    lines = "".join(
        json.dumps({"text": f"plain {n}"} if encoding == "utf-16-le" else each, ensure_ascii=False) + "\n"
        for n, each in enumerate(CHINESE[:9])
    )
    (tmp_path / "a.jsonl").write_bytes(lines.encode(encoding))
    refused(
        cli("run", tmp_path / "a.jsonl", "-o", tmp_path / "out", *HERE),
        "no record at all: all entries are dead letters (",
        "if the shards are not UTF-8, set encoding (gb18030, utf-16), or convert them (iconv -f GB18030 -t UTF-8)",
    )


def test_records_without_text_are_not_taken_for_another_encoding(tmp_path: Path, cli: Cli) -> None:
    shard = write_shard(tmp_path / "a.jsonl", [{"text": None}, {"text": 5}])
    _, _, said = answer = cli("run", shard, "-o", tmp_path / "out", *HERE)
    refused(
        answer, "no record at all: all entries are dead letters (1 no_text, 1 ", "check the paths and the text column"
    )
    assert "UTF-8" not in said


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-be"])
def test_a_file_in_another_encoding_works_with_it(tmp_path: Path, cli: Cli, encoding: str) -> None:
    shard = encoded(tmp_path / "in" / "a.jsonl", encoding)
    code, said, _ = cli("run", shard, "-o", tmp_path / "out", "--encoding", encoding, *HERE)
    assert code == 0, said
    assert manifest(tmp_path / "out")["counts"] == manifest(tmp_path / "out")["counts"] | {"clean": 200, "redacted": 1}
    (clean,) = (tmp_path / "out" / "clean").iterdir()
    kept = clean.read_bytes()
    assert kept.decode(encoding) == shard.read_bytes().decode(encoding).replace(MAIL, "[EMAIL]")
    assert kept == shard.read_bytes().decode(encoding).replace(MAIL, "[EMAIL]").encode(encoding)
    assert cli("verify", tmp_path / "out")[0] == 0


# Columns


def test_own_column_names_are_given_with_text(tmp_path: Path, cli: Cli) -> None:
    rows = [{"nr": n, "wo": "s.example", "inhalt": f"Beitrag {n} " + (UNLAWFUL if n == 3 else "")} for n in range(30)]
    shard = write_shard(tmp_path / "in" / "a.jsonl", rows)
    refused(
        cli("run", shard, "-o", tmp_path / "out", *HERE),
        "no column is called text, content, contents, body, raw_content; it has: nr, wo, inhalt",
        "--text",
    )
    columns = ("--text", "inhalt", "--id", "nr", "--source", "wo")
    code, said, _ = cli("run", shard, "-o", tmp_path / "out", *columns, *HERE)
    assert code == 0, said
    assert "columns: text=inhalt, id=nr, source=wo" in said
    code, said, _ = cli("explain", tmp_path / "out", "3")
    assert code == 0
    assert "a.jsonl at " in said


def test_a_missing_text_column_is_named_with_those_there_are(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"inhalt": ["x"], "text": [5]}), path)
    refused(
        cli("run", path, "-o", tmp_path / "out", *HERE),
        "text column 'text': it is int64, expected strings",
        "inhalt: string",
    )
    refused(
        cli("run", path, "-o", tmp_path / "out", "--text", "inhallt", *HERE),
        "text column 'inhallt': there is none, expected strings",
        "inhalt: string",
    )
    refused(cli("check", path, "-o", tmp_path / "out"), "text column 'text'")


def test_the_recognised_columns_are_said(tmp_path: Path, shard: Path, cli: Cli) -> None:
    code, said, _ = cli("run", shard, "-o", tmp_path / "out", *HERE)
    assert code == 0
    assert "columns: text=text, id=id, source=source (1 shards, a.jsonl among them)" in said


def test_a_column_that_the_first_record_leaves_out_is_recognised_all_the_same(tmp_path: Path, screen: Screen) -> None:
    rows: list[dict[str, Any]] = records("s.example", 30)
    del rows[0]["source"]
    rows[4]["url"] = f"https://host.example/{MAIL}"
    screen(write_shard(tmp_path / "in" / "a.jsonl", rows), tmp_path / "out")
    assert len(texts(tmp_path / "out")) == 29
    (held,) = contents(tmp_path / "out")["a.jsonl"]["quarantine"]
    assert json.loads(held)["id"] == "s.example-4"


def test_messages_of_a_conversation_are_one_text(tmp_path: Path, cli: Cli) -> None:
    talks = [
        {
            "uuid": f"c{n}",
            "messages": [{"role": "user", "content": f"Question {n}"}, {"role": "bot", "content": "Answer"}],
        }
        for n in range(30)
    ]
    talks[3]["messages"][1]["content"] = f"Write to {MAIL}"
    talks[4]["messages"] += [{"role": "user", "content": f"a {UNLAWFUL}"}]
    talks[5]["messages"] += [{"role": "tool", "content": None}]
    write_shard(tmp_path / "in" / "a.jsonl", talks)
    pq.write_table(pa.Table.from_pylist(talks), tmp_path / "in" / "b.parquet")
    run = tmp_path / "run.yaml"
    columns = {"text": "messages[].content", "id": "uuid"}
    given = {
        "inputs": ["in"],
        "output": "out",
        "workers": 1,
        "columns": columns,
        "source_from": "path",
        "policy": "minimal",
    }
    given["taggers"] = {"lexicon": {"lists": ["list"]}, "personal": {}}
    Screen(tmp_path)
    run.write_text(json.dumps(given))
    code, _, errors = cli("run", run, "-q")
    assert code == 0, errors
    counts = manifest(tmp_path / "out")["counts"]
    assert (counts["read"], counts["dead"]) == (60, 0)
    assert counts["quarantined"] == 2, "each file is a source of its own, with one in thirty"
    found = contents(tmp_path / "out")
    for shard in ("a.jsonl", "b.parquet"):
        kept = [each if isinstance(each, dict) else json.loads(each) for each in found[shard]["clean"]]
        assert [each["uuid"] for each in kept] == [f"c{n}" for n in range(30) if n != 4]
        assert kept[3]["messages"] == [
            {"role": "user", "content": "Question 3"},
            {"role": "bot", "content": "Write to [EMAIL]"},
        ]
        assert kept[4]["messages"] == talks[5]["messages"]


def test_a_trial_does_not_mix_with_the_whole(tmp_path: Path, shard: Path, cli: Cli) -> None:
    code, said, _ = cli("run", shard, "-o", tmp_path / "out", "--limit", "10", *HERE)
    assert code == 0
    assert "Projected for all records" in said
    assert manifest(tmp_path / "out")["counts"]["read"] == 10
    refused(cli("run", shard, "-o", tmp_path / "out", *HERE), "give the trial an output of its own")


def test_a_short_key_is_refused(tmp_path: Path, shard: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHORT_KEY", "fifteen bytes..")
    run = tmp_path / "run.yaml"
    run.write_text(json.dumps({"inputs": [str(shard)], "output": "out", "key_env": "SHORT_KEY"}))
    refused(cli("check", run), "the key in SHORT_KEY (key_env) has 15 bytes", "at least 16 random bytes")


def test_something_else_in_the_place_of_the_release_is_named_before_the_work(
    tmp_path: Path, shard: Path, cli: Cli
) -> None:
    (tmp_path / "out" / "clean").mkdir(parents=True)
    for command in ("check", "run"):
        options = HERE if command == "run" else ()
        refused(cli(command, shard, "-o", tmp_path / "out", *options), f"{tmp_path / 'out' / 'clean'} is in the way")
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name != "store"] == ["clean"]


def test_check_leaves_nothing_behind(tmp_path: Path, shard: Path, cli: Cli) -> None:
    assert cli("check", shard, "-o", tmp_path / "a" / "b" / "out")[0] == 0
    assert not (tmp_path / "a").exists()


def test_a_file_name_that_is_not_utf8_is_named(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/caf\xe9.jsonl", "wb") as file:
        file.write(b'{"text": "x"}\n')
    refused(cli("run", folder, "-o", tmp_path / "out", *HERE), "caf\\xe9.jsonl: the name is not UTF-8")


@pytest.mark.parametrize("name", ["a\nb", "a\rb", "a\x1b[31mb", "a\x85b", "a\u2028b"])
def test_a_file_name_that_would_break_a_list_of_names_is_refused_by_name(tmp_path: Path, cli: Cli, name: str) -> None:
    write_shard(tmp_path / "in" / f"{name}.jsonl", records("s.example", 1))
    answer = cli("check", tmp_path / "in", "-o", tmp_path / "out")
    refused(answer, f"{f'{name}.jsonl'!r}: the name has a line feed or another control character", "rename it")
    assert answer[2].count("\n") == 1


def test_empty_texts_are_kept_and_count_once_for_their_source(tmp_path: Path, cli: Cli) -> None:
    rows = [*records("s.example", 3), *({"id": f"e{n}", "source": "s.example", "text": ""} for n in range(5))]
    shard = write_shard(tmp_path / "in" / "a.jsonl", [*rows, {"id": "w", "source": "s.example", "text": " \u3000\n"}])
    assert cli("run", shard, "-o", tmp_path / "out", *HERE)[0] == 0
    assert manifest(tmp_path / "out")["counts"]["clean"] == 9
    assert (tmp_path / "out" / "clean" / "a.jsonl-00001-of-00001.jsonl").read_bytes() == shard.read_bytes()
    (row,) = pq.read_table(tmp_path / "out" / "sources.parquet").to_pylist()
    assert (row["read"], row["distinct"]) == (9, 5)


def test_check_and_withdraw_say_what_happens_next(tmp_path: Path, shard: Path, cli: Cli) -> None:
    run = tmp_path / "run.yaml"
    run.write_text(json.dumps({"inputs": ["in"], "output": "out", "policy": "minimal", "workers": 1}))
    code, said, _ = cli("check", run)
    assert (code, said.splitlines()[-1]) == (
        0,
        f"nothing was screened or written yet; what happens next: winnow run {run}",
    )
    assert cli("run", run, "-q")[0] == 0
    code, said, _ = cli(
        "withdraw", "add", tmp_path / "out", "--record", "s.example-1", "--basis", "erasure", "--by", "L. Chen"
    )
    assert code == 0
    for each in (
        "W0001: record s.example-1 is withdrawn (erasure",
        "nothing has left the corpus yet",
        "next: the next winnow run takes it out",
        f"winnow query {tmp_path}/out with the same option",
        f"winnow withdraw lift {tmp_path}/out W0001",
    ):
        assert each in said


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("command", ["run", "check"])
def test_a_mapped_column_that_no_shard_has_is_refused(tmp_path: Path, cli: Cli, suffix: str, command: str) -> None:
    rows = records("s.example", 30)
    shard = tmp_path / "in" / f"a.{suffix}"
    write_shard(shard, rows)
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), shard)
    options = HERE if command == "run" else ()
    answer = cli(command, shard, "-o", tmp_path / "out", "--text", "text", "--source", "sorce", *options)
    refused(answer, "columns.source: no shard has 'sorce'", "leave it out")


def test_a_mapped_column_that_some_shards_lack_is_warned_of(tmp_path: Path, cli: Cli) -> None:
    write_shard(tmp_path / "in" / "a.jsonl", records("s.example", 30))
    write_shard(tmp_path / "in" / "b.jsonl", [{"text": f"no source {n}"} for n in range(30)])
    code, said, _ = cli("run", tmp_path / "in", "-o", tmp_path / "out", "--text", "text", "--source", "source", *HERE)
    assert code == 0
    assert "warning: 1 shards have no such source column in their first records: b.jsonl" in said


def test_a_link_to_nothing_is_named(tmp_path: Path, shard: Path, cli: Cli) -> None:
    (tmp_path / "in" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    for command in ("run", "check"):
        options = HERE if command == "run" else ()
        refused(cli(command, tmp_path / "in", "-o", tmp_path / "out", *options), "gone.jsonl: is no regular file")


def test_a_linked_folder_is_read_once(tmp_path: Path, screen: Screen) -> None:
    write_shard(tmp_path / "real" / "sub" / "a.jsonl", records("s.example", 30))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "back").symlink_to(folder)
    screen(folder, tmp_path / "out")
    assert [each["path"] for each in manifest(tmp_path / "out")["inputs"]] == ["linked/sub/a.jsonl"]


def test_two_outputs_cannot_share_a_restricted_root(tmp_path: Path, shard: Path, screen: Screen) -> None:
    apart = str(tmp_path / "apart")
    screen(shard, tmp_path / "one", restricted=apart)
    screen(shard, tmp_path / "one", restricted=apart)
    with pytest.raises(UsageError, match="apart is that of another corpus"):
        screen(shard, tmp_path / "two", restricted=apart)


def test_an_error_of_the_system_is_a_line_too(tmp_path: Path, shard: Path, screen: Screen, cli: Cli) -> None:
    screen(shard, tmp_path / "out")
    code, _, said = cli("report", tmp_path / "out", "--to", tmp_path / "no" / "x.html")
    assert (code, said.startswith("winnow: "), "Traceback" in said) == (1, True, False)
    refused(cli("explain", tmp_path / "out", "a.jsonl#²"), "no record", code=1)


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_tells_its_byte_order(tmp_path: Path, screen: Screen, codec: str) -> None:
    shard = tmp_path / "in" / "a.jsonl"
    shard.parent.mkdir()
    shard.write_bytes("".join(json.dumps(r) + "\n" for r in records("s.example", 5)).encode(codec))
    assert screen(shard, tmp_path / "out", encoding="utf-16").outcome.counts["clean"] == 5


def test_a_release_of_another_format_is_refused(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_shard(tmp_path / "in" / "a.jsonl", records("a.example", 3))
    assert cli("run", tmp_path / "in", "-o", out)[0] == 0
    path = out / "releases" / "1" / "manifest.json"
    path.chmod(0o644)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"format": 1}), "utf-8")
    for command in (("run", tmp_path / "in", "-o", out), ("verify", out), ("explain", out, "a.example-1")):
        code, _, said = cli(*command)
        assert code == 2
        assert f"release 1 has manifest format 1, this version reads {MANIFEST_FORMAT}" in said


@pytest.mark.parametrize("damage", ['{"', "[]", "{}"])
def test_a_damaged_manifest_is_named(cli: Cli, tmp_path: Path, damage: str) -> None:
    out = tmp_path / "out"
    write_shard(tmp_path / "in" / "a.jsonl", records("a.example", 3))
    assert cli("run", tmp_path / "in", "-o", out)[0] == 0
    path = out / "releases" / "1" / "manifest.json"
    path.chmod(0o644)
    path.write_text(damage, "utf-8")
    for command in (("run", tmp_path / "in", "-o", out), ("verify", out), ("files", out), ("status", out), ("gc", out)):
        code, _, said = cli(*command)
        assert (code, "the manifest of release 1 is damaged" in said) == (2, True), command


@pytest.mark.parametrize("many", [1, 3])
def test_lines_that_are_too_long_hide_no_columns(screen: Screen, tmp_path: Path, many: int) -> None:
    huge = [json.dumps({"id": f"h{n}", "text": "x" * 3_000_000, "source": "bad.example"}).encode() for n in range(many)]
    lines = [*huge, *(json.dumps(each).encode() for each in records("bad.example", 5))]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    screen(tmp_path / "in", tmp_path / "out", max_record_bytes=2_500_000)
    assert list(states(tmp_path / "out")) == ["bad.example"]
