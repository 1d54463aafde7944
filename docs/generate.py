"""Writes ``docs/run-file.md`` from the run file's model: ``python docs/generate.py``.

The words are those of the docstrings in ``pipeline/config.py`` and the taggers; a test compares the page with what this would
write.
"""

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from models.strict import Strict
from models.taggers import BUILT_IN, tagger_class
from pipeline.config import ColumnMapping, MaxDead, RunFile

PAGE = Path(__file__).resolve().parent / "run-file.md"

HEAD = """\
# Reference: the run file

<!-- Written by docs/generate.py from pipeline/config.py; change it there and run: make docs -->

A run file says everything that a run can be told. It is YAML. `winnow run run.yaml` uses it, `winnow check run.yaml` checks all
that can be known before a run. An unknown key is refused, with file, place and the nearest key that exists. Relative paths are
relative to the run file. Only `inputs` and `output` are required:

```yaml
inputs: shards/*.jsonl.gz
output: out
```

and with more:

```yaml
inputs: [crawl/*.parquet, forum/*.jsonl.zst]
output: out
restricted: private
columns: {text: [title, body], id: nr, source: site}
policy: cn-tc260-003
taggers:
  lexicon: {lists: [illustrative, lists/mine]}
  personal: {entities: [email, cn_mobile, cn_resident_id]}
max_dead: {share: 0.5%, at_least: 20}
```

Sizes are numbers of bytes or such as `64MB` and `16MiB`; shares are such as `0.1%` or `0.001`.
"""

_MORE = {
    "ColumnMapping": {
        "text": "where the text is; several are joined by a line feed, in this order",
        "id": "default is shard and position, as in `web.jsonl#1234`",
        "source": "who the record is from; what the 5 % rule counts by",
        "provenance": "names and paths of [evidence](show-where-data-comes-from.md)",
        "url": "the source is its registrable domain where no column names one",
    },
    "MaxDead": {
        "share": "of all entries of the corpus",
        "at_least": "so many are allowed however small the corpus",
    },
    "Lexicon": {"lists": "names of shipped lists, or folders that hold an `artefact.json`"},
}
"""What docstrings leave to the name of a key."""

_WORDS = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "date": "date", "dict": "by name"}
_VALIDATED = {"_size": "size", "_parts_per_million": "share", "_names": "text, or a list of them"}


def attributes(described: type) -> dict[str, str]:
    """Return what a docstring's section "Attributes" says of each name (several may share a line)."""
    section = (inspect.getdoc(described) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^ {4}(?=\w[\w, ]*:)", section, flags=re.M)[1:]
    said = dict(_MORE.get(described.__name__, {}))
    for entry in entries:
        names, _, words = entry.partition(":")
        for name in names.split(","):
            said[name.strip()] = _named(" ".join(words.split()).replace("``", "`").removesuffix("."), described)
    return said


def _named(words: str, described: type) -> str:
    """Put the values of a constant of the module in place of its name."""
    values = vars(sys.modules[described.__module__])
    return re.sub(r":data:`(\w+)`", lambda match: ", ".join(f"`{value}`" for value in values[match[1]]), words)


def kind(field: FieldInfo) -> str:
    """Return a field's type in words."""
    for mark in field.metadata:
        if (name := getattr(getattr(mark, "func", None), "__name__", "")) in _VALIDATED:
            return _VALIDATED[name]
    return _kind(field.annotation)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is UnionType:
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    if hasattr(annotation, "__metadata__"):
        return _VALIDATED[annotation.__metadata__[0].func.__name__]
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return f"[see below](#{annotation.__name__.lower()})"
    return _WORDS[(get_origin(annotation) or annotation).__name__]


def default(field: FieldInfo) -> str:
    """Return a field's default as one would write it."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None:
        return ""
    if isinstance(value, Strict):
        return " ".join(f"{name}: {default(type(value).model_fields[name])}" for name in type(value).model_fields)
    if kind(field) == "share":
        return f"`{value / 10_000:g}%`"
    if kind(field) == "size":
        return f"`{value >> 20}MiB`" if value % (1 << 20) == 0 else f"`{value // 10**6}MB`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(model: type[Strict]) -> str:
    """Return a model's keys as a Markdown table.

    Raises:
        KeyError: if the docstring says nothing of a key.
    """
    said = attributes(model)
    rows = [f"| `{name}` | {kind(f)} | {default(f)} | {said[name]} |" for name, f in model.model_fields.items()]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def tagger_table(name: str) -> str:
    """Return the settings of a tagger as a Markdown table.

    Raises:
        KeyError: if the docstring says nothing of a setting.
    """
    kind_of = tagger_class(name)
    said = attributes(kind_of)
    rows = []
    for field in dataclasses.fields(kind_of):  # type: ignore[arg-type]
        value = field.default
        shown = (
            "**required**"
            if value is dataclasses.MISSING
            else ""
            if value in (None, "", ())
            else f"`{_written(value)}`"
        )
        rows.append(f"| `{field.name}` | {shown} | {said[field.name]} |")
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _written(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def summary(described: type) -> str:
    """Return the first sentence of a docstring."""
    return " ".join((inspect.getdoc(described) or "").split("\n\n")[0].split()).replace("``", "`")


def page() -> str:
    """Return the page."""
    parts = [HEAD, "## All keys", table(RunFile)]
    for model in (ColumnMapping, MaxDead):
        parts += [f"## {model.__name__}", summary(model), table(model)]
    for name in sorted(BUILT_IN):
        parts += [f"## Tagger `{name}`", summary(tagger_class(name)), tagger_table(name)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
