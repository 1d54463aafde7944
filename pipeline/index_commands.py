"""``winnow index``: register works, and ask what is registered."""

import json
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from models.errors import UsageError

index_app = typer.Typer(no_args_is_help=True, help="Register works whose text is looked for; no text is stored.")
out = Console(highlight=False, soft_wrap=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the index.")]
Readable = Annotated[str, typer.Argument(help="Folder of an index, or the name of a shipped one.")]
Sources = Annotated[
    list[Path],
    typer.Argument(help="Works: .jsonl or .parquet with id and text, or a folder of .txt files with works.csv."),
]
ShortOption = Annotated[
    bool, typer.Option("--short", help="Take works that are shorter than what is surely found; most records pass them.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Say it for programs.")]
_SHOWN = 20


@index_app.command()
def build(
    works: Sources,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the index; an index there is replaced.")],
    most_works: Annotated[
        int, typer.Option(help="Fingerprints of more works than that are set aside as common.", min=1)
    ] = 100,
    title: Annotated[str, typer.Option(help="What it is.")] = "",
    licence: Annotated[str, typer.Option(help="Under what terms the index may be used.")] = "",
    short: ShortOption = False,
) -> None:
    """Make an index of works. A work that no record could be found by, or not surely, fails it by name."""
    from models.fingerprint_build import build_index
    from models.works import read_works

    every = chain.from_iterable(read_works(path) for path in works)
    title = title or output.resolve().name
    build_index(every, output, most_works=most_works, title=title, licence=licence, short=short)
    _say_what_is_there(output)


@index_app.command()
def add(index: Folder, works: Sources, short: ShortOption = False) -> None:
    """Add works to an index."""
    from models.fingerprint_build import add_works
    from models.works import read_works

    add_works(index, chain.from_iterable(read_works(path) for path in works), short=short)
    _say_what_is_there(index)


@index_app.command()
def remove(index: Folder, ids: Annotated[list[str], typer.Argument(help="Ids of works.")]) -> None:
    """Remove works from an index."""
    from models.fingerprint_build import remove_works

    remove_works(index, ids)
    _say_what_is_there(index)


@index_app.command()
def stat(
    index: Readable,
    works: Annotated[bool, typer.Option("--works", help="List the works.")] = False,
    common: Annotated[bool, typer.Option("--common", help="List every fingerprint that is set aside.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what an index holds, and which fingerprints are set aside."""
    from models.fingerprint_index import open_index, summary

    found = open_index(_shipped_or_own(index))
    facts = summary(found)
    if as_json:
        rows = {"works": found.works.to_pylist()} if works else {}
        aside = {"common": list(_common(found))} if common else {}
        out.print(json.dumps(facts | rows | aside, ensure_ascii=False, sort_keys=True), markup=False)
        return
    for name, value in facts.items():
        out.print(
            f"{name.replace('_', ' ')}: {value:,}" if isinstance(value, int) else f"{name}: {value}", markup=False
        )
    _say_what_is_short(found)
    listed = list(_common(found))
    for each in listed if common else listed[:_SHOWN]:
        out.print(f"  set aside: {each['fingerprint']}, in {each['works']:,} works, one is {each['one']}", markup=False)
    if len(listed) > _SHOWN and not common:
        out.print(f"  and {len(listed) - _SHOWN:,} more; list them with --common", markup=False)
    if works:
        for row in found.works.to_pylist():
            out.print("\t".join(str(value) for value in row.values()), markup=False)


@index_app.command()
def query(
    index: Readable,
    file: Annotated[Path | None, typer.Argument(help="A file of text in UTF-8; - for standard input.")] = None,
    text: Annotated[str | None, typer.Option("--text", help="The text itself.")] = None,
    work: Annotated[str | None, typer.Option("--work", help="Say what is registered of a work instead.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which works a text shares runs with: the longest, the share of the text, and where."""
    from models.documents import Documents
    from models.fingerprint_index import open_index
    from models.shared_runs import shared_runs

    found = open_index(_shipped_or_own(index))
    if [file, text, work].count(None) != 2:
        raise UsageError("name one of these: a file, --text or --work")
    if work is not None:
        if work not in found.ids:
            raise UsageError(f"{index}: has no work {work!r}; list them with: winnow index stat {index} --works")
        _print([found.works.slice(found.ids.index(work), 1).to_pylist()[0]], as_json)
        return
    asked = text if text is not None else _read(file)
    answers: list[dict[str, Any]] = []
    for _, shared, is_cut_short in shared_runs(Documents.of([asked]).safe, found):
        if is_cut_short:
            raise UsageError("the text is too long to be looked at whole; ask for parts of it")
        for each in shared:
            row = found.works.slice(each.work, 1).to_pylist()[0]
            said = {name: row[name] for name in ("id", "title", "holder", "licence", "claim")}
            start, end = each.longest
            facts = {
                "containment": round(each.containment, 4),
                "longest": end - start,
                "spans": [list(s) for s in each.spans],
            }
            answers.append(said | facts)
    _print(answers, as_json)
    if not answers and not as_json:
        out.print("no work of the index shares a run with it", markup=False)


def _shipped_or_own(index: str) -> Path:
    from pipeline.config import shipped_or_own

    return Path(shipped_or_own(index, Path.cwd(), "indexes"))


def _read(file: Path | None) -> str:
    assert file is not None
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{file}: not UTF-8; save it as UTF-8") from None


def _print(answers: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps(answers, ensure_ascii=False, sort_keys=True), markup=False)
        return
    for each in answers:
        if "spans" not in each:
            for name, value in each.items():
                out.print(f"{name}: {value}", markup=False)
            continue
        title = f" {each['title']}" if each["title"] else ""
        where = ", ".join(f"{start} to {end}" for start, end in each["spans"][:_SHOWN])
        more = f" and {len(each['spans']) - _SHOWN} more" if len(each["spans"]) > _SHOWN else ""
        out.print(
            f"{each['id']}{title} ({each['claim']}): {each['longest']:,} characters at the most, containment "
            f"{100 * each['containment']:.0f} %, characters {where}{more}",
            markup=False,
        )


def _common(index: Any) -> Iterator[dict[str, Any]]:
    """Give the fingerprints that are set aside, those of most works first."""
    import numpy as np

    values, first, count = np.unique(index.common, return_index=True, return_counts=True)
    for place in np.lexsort((values, -count)).tolist():
        one = index.ids[int(index.common_owners[first[place]])]
        yield {"fingerprint": f"{int(values[place]):016x}", "works": int(count[place]), "one": one}


def _say_what_is_there(folder: Path) -> None:
    from models.fingerprint_index import open_index, summary

    found = open_index(folder)
    facts = summary(found)
    out.print(
        f"{folder}: {facts['works']:,} works, {facts['fingerprints']:,} fingerprints, {facts['common']:,} set aside as common, "
        f"{facts['bytes'] / 1e6:.1f} MB",
        markup=False,
    )
    _say_what_is_short(found)


def _say_what_is_short(found: Any) -> None:
    """Name the works that a record may have word for word without being found."""
    from models.fingerprints import GUARANTEE

    for name, size in list(found.short.items())[:_SHOWN]:
        out.print(f"  not surely found: {name}, {size} of {GUARANTEE} bytes of letters and digits", markup=False)
    if len(found.short) > _SHOWN:
        out.print(f"  and {len(found.short) - _SHOWN:,} more; list them with stat --works (form_bytes)", markup=False)
