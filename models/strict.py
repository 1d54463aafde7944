"""Reading YAML into strict models, with mistakes that name their place.

A file that a person wrote is refused as a whole or taken as a whole: an unknown key is never ignored, a key given twice never
wins silently, and all mistakes are reported at once, one per line:
``policy.yaml: rules[2].match: unknown key 'at_lest_score'; did you mean 'at_least_score'?``
"""

import difflib
import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, TypeVar, get_args

import pydantic
import yaml
from pydantic import PlainValidator
from pydantic_core import ErrorDetails

from models.errors import UsageError

_SHOWN = 60  # characters of a wrong value that a message repeats


class Strict(pydantic.BaseModel):
    """Base of everything read from a file a person wrote: unknown keys are mistakes, values do not change."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


def _exact(value: Any) -> Fraction:
    if isinstance(value, (int, float, str, Fraction)) and not isinstance(value, bool):
        try:
            # A float is read as the decimal that was written (0.1), not as the binary number nearest to it.
            return Fraction(str(value))
        except (ValueError, ZeroDivisionError):
            pass
    raise ValueError(f"must be a number such as 0.5 or 5/100, is {_show(value)}")


def _share(value: Any) -> Fraction:
    share = _exact(value)
    if not 0 <= share <= 1:
        raise ValueError(f"must lie between 0 and 1, is {_show(value)}")
    return share


def _density(value: Any) -> Fraction:
    density = _exact(value)
    if density <= 0:
        raise ValueError(f"must be over 0, is {_show(value)}; leave the key out for no limit")
    return density


def _cluster(value: Any) -> Fraction:
    cluster = _exact(value)
    if cluster < 1:
        raise ValueError(f"must be 1 or more, is {_show(value)}")
    return cluster


def _quantile(value: Any) -> Fraction:
    quantile = _exact(value)
    if quantile <= 0:
        raise ValueError(f"must be over 0, is {_show(value)}")
    return quantile


Share = Annotated[Fraction, PlainValidator(_share)]
"""An exact number from 0 to 1, written as a decimal or as a fraction such as ``5/100``."""
Density = Annotated[Fraction, PlainValidator(_density)]
"""An exact number over 0."""
Cluster = Annotated[Fraction, PlainValidator(_cluster)]
"""How many records a cluster has on average, an exact number from 1 on."""
Quantile = Annotated[Fraction, PlainValidator(_quantile)]
"""A quantile of the normal distribution on its upper half, as an exact number such as 1.96."""

M = TypeVar("M", bound=pydantic.BaseModel)


def load_yaml(path: Path, place: str = "") -> Any:
    """Return the one document of a YAML 1.1 file in UTF-8, as plain Python values; None if it is empty.

    Args:
        place: what to call the file; default is its path.

    Raises:
        UsageError: naming file and line, if the file cannot be opened, is not UTF-8, not YAML, or gives a key twice.
    """
    named = place or str(path)
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise UsageError(f"{named}: cannot be read: {error.strerror}; check the path") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{named}: line {line}: not UTF-8; save the file as UTF-8") from None
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{named}: line {mark.line + 1}" if mark else named
        raise UsageError(f"{where}: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{named}: line {line}: character U+{ord(text[error.position]):04X} is not allowed") from None
    except (ValueError, OverflowError) as error:
        # PyYAML takes 2024-02-30 for a date and lets the calendar raise.
        raise UsageError(f"{named}: a value is written like a date or number but is none ({error}); quote it") from None
    except RecursionError:
        raise UsageError(f"{named}: nested too deeply") from None


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where PyYAML lets the last one win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        # Composing comes before merge keys (``<<``) are put in, which may be overridden by right.
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if line := first.get((key.tag, key.value)):
                    problem = f"key {key.value!r} is given twice, first in line {line}"
                    raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
                first[key.tag, key.value] = key.start_mark.line + 1
        return node


def parse(model: type[M], data: Any, place: str) -> M:
    """Return ``data`` as a ``model``; ``place`` names where it came from (a file's name) in messages.

    Raises:
        UsageError: with all mistakes, one per line.
    """
    try:
        return model.model_validate(data)
    except pydantic.ValidationError as error:
        mistakes = [each for each in error.errors(include_url=False) if not _follows(each)]
        lines = [line for each in mistakes for line in _lines(model, data, place, dict(each))]
        # Members of a union repeat each other's complaints.
        raise UsageError("\n".join(dict.fromkeys(lines))) from None


def _follows(mistake: ErrorDetails) -> bool:
    # A list whose entries were refused is called too short as well.
    return mistake["type"] == "too_short" and len(mistake["input"]) >= mistake["ctx"]["min_length"]


def as_tuple(value: Any, place: str) -> tuple[str, ...]:
    """Return one name or a list of names as a tuple: a plain string is one name, never the list of its letters.

    Raises:
        UsageError: if it is neither.
    """
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)):
        raise UsageError(f"{place}: must be a name or a list of names, is {value!r}")
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"{place}: must hold names, has {name!r}; put it in quotes")
    return tuple(names)


def near_miss(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the nearest known word, or, if none is near, ``; known: x, y``."""
    known = sorted(set(known))
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


def _lines(model: type[pydantic.BaseModel], data: Any, place: str, mistake: dict[str, Any]) -> list[str]:
    location, kind = list(mistake["loc"]), mistake["type"]
    if kind == "extra_forbidden":
        key = location.pop()
        text = f"unknown key {str(key)!r}{near_miss(str(key), _keys(model, location))}"
    elif kind == "missing":
        text = f"key {str(location.pop())!r} is missing"
    else:
        text = _explain(kind, mistake)
    # A validator that compares several keys reports several mistakes in as many lines.
    return [": ".join(part for part in (place, _path(data, location), line) if part) for line in text.splitlines()]


def _path(data: Any, location: list[int | str]) -> str:
    """Return a location as ``rules[2].match``, without pydantic's names for members of unions, which are not in the data."""
    path = ""
    for part in location:
        if isinstance(part, int) and isinstance(data, (list, tuple)) and part < len(data):
            path += f"[{part}]"
        elif isinstance(data, dict) and part in data:
            path += f".{part}"
        else:
            continue
        data = data[part]
    return path.removeprefix(".")


def _keys(model: type[pydantic.BaseModel], location: list[int | str]) -> set[str]:
    """Return the keys that may stand at a location; of a union, those of the member whose tag the location holds."""
    models: list[type[pydantic.BaseModel]] = [model]
    for part in location:
        fields = [
            field for each in models for name, field in each.model_fields.items() if (field.alias or name) == part
        ]
        if fields:
            models = [each for field in fields for each in _models(field.annotation)]
        else:
            models = [each for each in models if part == each.__name__ or part in _tags(each)] or models
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models(annotation: Any) -> list[type[pydantic.BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    return [each for argument in get_args(annotation) for each in _models(argument)]


def _tags(model: type[pydantic.BaseModel]) -> list[Any]:
    return [value for field in model.model_fields.values() for value in get_args(field.annotation)]


_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "path": "a path",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}
_BOUNDS = {"greater_than": "over", "greater_than_equal": "at least", "less_than": "under", "less_than_equal": "at most"}


def _explain(kind: str, mistake: dict[str, Any]) -> str:
    value, context = mistake["input"], mistake.get("ctx", {})
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float")):
        hint = "; put it in quotes" if kind == "string_type" and not isinstance(value, (list, dict, NoneType)) else ""
        return f"must be {expected}, is {_show(value)}{hint}"
    if kind in ("literal_error", "enum"):
        near = difflib.get_close_matches(str(value), _quoted(context["expected"]), n=1)
        return f"must be {context['expected']}, is {_show(value)}" + (f"; did you mean {near[0]!r}?" if near else "")
    if kind == "union_tag_invalid":
        tag = context["tag"]
        return f"unknown {context['discriminator']} {tag!r}{near_miss(tag, _quoted(context['expected_tags']))}"
    if kind == "union_tag_not_found":
        return f"key {context['discriminator']} is missing"
    if kind in _BOUNDS:
        (bound,) = context.values()
        return f"must be {_BOUNDS[kind]} {bound}, is {_show(value)}"
    if kind in ("too_short", "string_too_short"):
        return f"must have at least {context.get('min_length')} entries or characters, is {_show(value)}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}, is {_show(value)}"
    if kind == "value_error":
        return str(context["error"])
    message: str = mistake["msg"]
    return f"{message[:1].lower()}{message[1:]}, is {_show(value)}"


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _show(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    kind = {str: "the text", bool: "the truth value", int: "the number", float: "the number"}.get(type(value), "")
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"{kind} {shown}".lstrip()
