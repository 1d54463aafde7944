"""Training data: labelled records from JSON Lines, each text once, and none on both sides of a split."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import orjson
from pydantic import BeforeValidator, Field, model_validator

from models.category_model import NONE, Language, check_stride
from models.errors import UsageError
from models.strict import Share, Strict, near_miss
from models.taxonomy import load_taxonomy
from models.view import fold_term


def _alternatives(value: Any) -> Any:
    return (value,) if isinstance(value, dict) else value


Value = bool | int | str
When = Annotated[tuple[dict[str, Value | tuple[Value, ...]], ...], BeforeValidator(_alternatives), Field(min_length=1)]
"""Columns and the value, or one of several, that each must have; of several such objects one must hold."""


class LabelRule(Strict):
    """A label: which records have it, and which risks of the taxonomy it stands for."""

    risks: tuple[str, ...] = Field(min_length=1)
    when: When


class NoneRule(Strict):
    """Which records have no risk at all."""

    when: When


class Fitting(Strict):
    """What fastText is told; ``buckets`` and ``dimensions`` make the size, 4 bytes times their product.

    Attributes:
        dimensions: of the vectors.
        ngrams: longest run of tokens that is a feature of its own; 3 for Chinese split into characters.
        epochs, rate: passes over the data and learning rate.
        buckets: that runs of tokens are hashed to.
        least_count: tokens seen less often are left out.
        seed: of the order of lines and of fastText.
    """

    dimensions: int = Field(16, ge=1, le=300)
    ngrams: int = Field(3, ge=1, le=6)
    epochs: int = Field(10, ge=1, le=100)
    rate: float = Field(0.3, gt=0, le=2)
    buckets: int = Field(500_000, ge=1, le=10_000_000)
    least_count: int = Field(1, ge=1)
    seed: int = Field(0, ge=0)


class Origin(Strict):
    """Where data came from; told in the card."""

    name: str
    licence: str
    url: str = ""


class Options(Strict):
    """The options file of ``winnow model train``.

    Attributes:
        name: of the model, in lower case.
        title, licence: of the artefact.
        languages: ISO 639-1 codes of what it is trained on.
        text: column with the text.
        labels: by name; a record has every label whose rule holds.
        none: which records have no risk; a record that neither has a label nor is one of these is a mistake.
        size, stride: of windows, in code points.
        fitting: what fastText is told.
        most_flagged: the largest share of any file of benign text that the threshold lets the model flag.
        origins, limits: told in the card.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    title: str
    licence: str
    languages: tuple[Language, ...] = Field(min_length=1)
    text: str = "text"
    labels: dict[str, LabelRule] = Field(min_length=1)
    none: NoneRule
    size: int = Field(256, ge=16)
    stride: int = Field(208, ge=1)
    fitting: Fitting = Fitting()
    most_flagged: Share = Fraction(5, 1000)
    origins: tuple[Origin, ...] = ()
    limits: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> "Options":
        for label in self.labels:
            if label == NONE or not label.isascii() or not label.replace("-", "").isalnum():
                raise ValueError(f"labels: {label!r} must be letters, digits and dashes, and not {NONE!r}")
        taxonomy = load_taxonomy()
        for name, rule in self.labels.items():
            for risk in rule.risks:
                if risk not in taxonomy.ids:
                    near = near_miss(risk, taxonomy.ids)
                    raise ValueError(f"labels.{name}.risks: {risk!r} is no risk of {taxonomy.name}{near}")
        check_stride(self.size, self.stride)
        return self


class Example(NamedTuple):
    """A labelled text; without labels it has no risk. ``key`` is the same for texts that differ in case, width, signs and spaces only."""

    text: str
    labels: tuple[str, ...]
    key: str


@dataclass(frozen=True)
class Removed:
    """How many examples were left out, and why.

    Attributes:
        exact, normalised: the same text again, and the same but for case, width, signs and spaces.
        conflicting: of these, with other labels than the one kept, which is the first.
        leaked: by the later part that holds them too.
    """

    exact: int
    normalised: int
    conflicting: int
    leaked: dict[str, int]


def key_of(text: str) -> str:
    """Return what is compared: letters and digits of the safe view; the text itself if it has none."""
    return "".join(char for char in fold_term(text) if char.isalnum()) or text


def read_examples(path: Path, options: Options) -> list[Example]:
    """Return the labelled records of a JSON Lines file.

    Raises:
        UsageError: naming the line that is not JSON, has no text, or to which no rule of the options applies.
    """
    found = []
    for place, record in _records(path, options.text):
        labels = tuple(name for name, rule in options.labels.items() if _holds(rule.when, record))
        if not labels and not _holds(options.none.when, record):
            raise UsageError(
                f"{place}: no label's rule holds, and none's does not either; say in the options what this record is"
            )
        text = record[options.text]
        found.append(Example(text, labels, key_of(text)))
    return found


def read_benign(path: Path, column: str = "text") -> list[Example]:
    """Return the records of a JSON Lines file of which none has a risk.

    Raises:
        UsageError: naming the line that is not JSON or has no text.
    """
    return [Example(record[column], (), key_of(record[column])) for _, record in _records(path, column)]


def _records(path: Path, column: str) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}; check the path") from None
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{path}: line {number}"
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UsageError(f"{place}: not JSON: {error}") from None
        if not isinstance(record, dict) or not isinstance(record.get(column), str):
            raise UsageError(f"{place}: no text in {column!r}; name the column in the options (text: …)")
        yield place, record


def _holds(when: tuple[dict[str, Any], ...], record: dict[str, Any]) -> bool:
    return any(all(_is_one(record.get(column), wanted) for column, wanted in each.items()) for each in when)


def _is_one(value: Any, wanted: Any) -> bool:
    among = wanted if isinstance(wanted, tuple) else (wanted,)
    return any(type(value) is type(each) and value == each for each in among)  # true is not 1


def distinct(examples: Sequence[Example], later: dict[str, Sequence[Example]]) -> tuple[list[Example], Removed]:
    """Return each text once, the first, without those that a later part of the data holds too.

    Args:
        examples: in their order.
        later: parts by name on which a model is chosen or measured; no text of theirs may be trained on.
    """
    elsewhere = {name: {each.key for each in part} for name, part in later.items()}
    first: dict[str, Example] = {}
    exact = normalised = conflicting = 0
    leaked = dict.fromkeys(later, 0)
    for each in examples:
        holders = [name for name, keys in elsewhere.items() if each.key in keys]
        for name in holders:
            leaked[name] += 1
        if holders:
            continue
        known = first.setdefault(each.key, each)
        if known is not each:
            exact += known.text == each.text
            normalised += known.text != each.text
            conflicting += known.labels != each.labels
    return list(first.values()), Removed(exact, normalised, conflicting, leaked)


def held_out(examples: Sequence[Example], one_in: int = 10) -> tuple[list[Example], list[Example]]:
    """Return examples in two parts, the second about one in ``one_in``, chosen by a hash of the text."""
    chosen = [int.from_bytes(hashlib.sha256(each.key.encode()).digest()[:4], "big") % one_in == 0 for each in examples]
    train = [each for each, is_out in zip(examples, chosen, strict=True) if not is_out]
    return train, [each for each, is_out in zip(examples, chosen, strict=True) if is_out]
