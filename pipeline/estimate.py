"""Estimate: core-hours, time, objects and cost of a run, from the sizes of its shards and what stages were measured to take."""

import importlib.resources
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from models.catalogue import AVERAGE
from models.errors import UsageError
from models.taggers import tagger_class
from pipeline.config import Settings, absolute, input_root
from transforms.listing import list_shards

Format = Literal["parquet", "jsonl", "gzip"]
Density = Literal["ordinary", "dense"]

FORMATS: dict[str, Format] = {
    ".parquet": "parquet",
    ".gz": "gzip",
    ".zst": "gzip",
    ".bz2": "gzip",
}
"""By the end of a name; others are plain. Of compressed lines only gzip was measured, and all are taken for it."""

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
DEFAULT_TAGGERS = ("lexicon", "personal")
"""Of a run that names none."""
SEEN_SAFE = frozenset({"lexicon", "personal", "category", "fingerprint"})
"""Taggers that look at the safe view, which is made once for all of them."""
PAGE = 1000
"""Names that one request lists, on GCS and S3."""

OBJECTS_A_SPLIT = 5
"""A layer, a receipt of release, and parts: clean, audit, and in about every split quarantine."""
REQUESTS_A_SPLIT = 3
"""Further requests: to look for layer and receipt, and to read the layer again."""
OBJECTS_A_SEGMENT = 4
"""Receipts of tagging, the agenda's part, what is due, and the catalogue's segment."""


def measured() -> dict[str, Any]:
    """Return the table of what was measured, each part with its date and command."""
    facts: dict[str, Any] = json.loads(
        importlib.resources.files("pipeline").joinpath("measured.json").read_text("utf-8")
    )
    return facts


@dataclass(frozen=True)
class Input:
    """What there is to read of one format: bytes as they are stored, in how many shards and splits."""

    format: Format
    size: int
    shards: int
    splits: int

    @property
    def text(self) -> float:
        """Megabytes of text, about."""
        return self.size * float(measured()["formats"]["text"][self.format]) / 1e6


@dataclass(frozen=True)
class Means:
    """What a run has, and what it pays.

    Attributes:
        cores: that work at once.
        taggers: names of those that the run has.
        terms: key of the lexicon's figures.
        density: key of the figures of personal data.
        new: share of the corpus that a night adds.
        changed: share of splits in which a new list finds something else.
        list_seconds: of one request of a listing.
        core_hour, gigabyte_month, thousand_operations: prices in any one currency, or None where there is none to reckon with.
    """

    cores: int
    taggers: tuple[str, ...] = DEFAULT_TAGGERS
    terms: str = "illustrative"
    density: Density = "ordinary"
    new: float = 0.01
    changed: float = 0.01
    list_seconds: float = 0.2
    core_hour: float | None = None
    gigabyte_month: float | None = None
    thousand_operations: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What one kind of night comes to.

    Attributes:
        core_hours: of all processes.
        hours: from start to end, with all cores at work but for what one process does.
        objects: written.
        operations: requests to the store.
        cost: of cores and operations, or None without prices.
    """

    name: str
    core_hours: float
    hours: float
    objects: int
    operations: int
    cost: float | None


def taggers_of(settings: Settings) -> tuple[str, ...]:
    """Return the names of a run's taggers.

    Raises:
        UsageError: naming one that does not exist.
    """
    names = DEFAULT_TAGGERS if settings.file.taggers is None else tuple(settings.file.taggers)
    for name in names:
        tagger_class(name)
    return names


def unmeasured(means: Means) -> list[str]:
    """Return the taggers of which nothing is known, such as the user's own: no estimate holds what they take."""
    return [name for name in means.taggers if name not in measured()["stages"]["taggers"]]


def inputs_of(settings: Settings) -> list[Input]:
    """List a run's shards and return what there is to read, by format.

    Raises:
        UsageError: if there are none.
    """
    root, split_size = input_root(settings), settings.file.split_size
    found: dict[Format, list[int]] = {}
    for pattern in settings.file.inputs:
        for path, size in _sizes(absolute(pattern, settings.folder), root):
            found.setdefault(_format(path), []).append(size)
    if not found:
        raise UsageError(f"{settings.name}: the inputs match nothing; check the paths, or say --bytes and --format")
    return [
        Input(form, sum(sizes), len(sizes), sum(_splits(form, size, split_size) for size in sizes))
        for form, sizes in sorted(found.items())
    ]


def supposed(size: str, name: str, shard_size: str, split_size: int) -> Input:
    """Return an input that need not exist, such as ``100TB`` of ``jsonl.gz``.

    Raises:
        UsageError: if the size or the format is not one.
    """
    total, each = parse_bytes(size), parse_bytes(shard_size)
    form = name if name in get_args(Format) else FORMATS.get("." + name.rsplit(".", 1)[-1])
    if name == "jsonl.gz":
        form = "gzip"
    if form is None:
        raise UsageError(f"--format {name}: there are parquet, jsonl, jsonl.gz")
    shards = max(1, math.ceil(total / each))
    return Input(form, total, shards, shards * _splits(form, total // shards, split_size))  # type: ignore[arg-type]


def parse_bytes(text: str) -> int:
    """Read a size such as ``100TB``, in powers of ten.

    Raises:
        UsageError: if it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGTP]?)B?\s*", text, re.I)
    if found is None or not float(found[1]):
        raise UsageError(f"{text}: say a number of bytes such as 5GB or 100TB")
    return int(float(found[1]) * UNITS[found[2].upper()])


def _sizes(pattern: str, root: str) -> Iterator[tuple[str, int]]:
    for found in list_shards(pattern, root):
        yield found.path, (Path(root) / found.path).stat().st_size if found.size < 0 else found.size


def _format(path: str) -> Format:
    return FORMATS.get(Path(path).suffix.lower(), "jsonl")


def _splits(form: Format, size: int, split_size: int) -> int:
    """Return how many splits a shard is cut into; compressed lines are cut by their length when decompressed."""
    text = measured()["formats"]["text"]
    return max(1, math.ceil(size * (text[form] / text["jsonl"] if form == "gzip" else 1) / split_size))


def estimates(inputs: Iterable[Input], means: Means) -> list[Estimate]:
    """Return what the first night comes to, a later one, a new list if the run has lists of terms, and a new policy."""
    inputs, every = list(inputs), means.taggers
    listed = _estimate("weekly list change", inputs, means, planned=0, tagged=(("lexicon",), 1), released=means.changed)
    return [
        _estimate("first night", inputs, means, planned=1, tagged=(every, 1), released=1),
        _estimate(
            f"later night, {100 * means.new:g} % new",
            inputs,
            means,
            planned=means.new,
            tagged=(every, means.new),
            released=means.new,
        ),
        *([listed] if "lexicon" in every else []),
        _estimate("policy change", inputs, means, planned=0, tagged=(every, 0), released=1),
    ]


def _estimate(
    name: str, inputs: list[Input], means: Means, planned: float, tagged: tuple[tuple[str, ...], float], released: float
) -> Estimate:
    facts = measured()
    stages, books = facts["stages"], facts["bookkeeping"]
    taggers, share = tagged
    milliseconds = 0.0
    for each in inputs:
        tag = _tagging(stages, each.format, means, taggers) * share
        per_megabyte = stages["plan"][each.format] * planned + tag + stages["release"][each.format] * released
        milliseconds += each.text * per_megabyte
    splits, shards = sum(each.splits for each in inputs), sum(each.shards for each in inputs)
    anew = splits * max(share, released)
    milliseconds += books["spread"] * anew
    alone = (books["all"] * splits + books["new"] * anew) / 3.6e6
    listing = listing_seconds(shards, means) * bool(planned) / 3600
    core_hours = milliseconds / 3.6e6 + alone
    objects = round(
        splits * (share + (OBJECTS_A_SPLIT - 1) * released) + OBJECTS_A_SEGMENT * min(anew, splits / AVERAGE + 1)
    )
    operations = objects + round(REQUESTS_A_SPLIT * splits * max(share, released)) + math.ceil(shards / PAGE)
    cost = None
    if means.core_hour is not None and means.thousand_operations is not None:
        cost = core_hours * means.core_hour + operations / 1000 * means.thousand_operations
    return Estimate(name, core_hours, (core_hours - alone) / means.cores + alone + listing, objects, operations, cost)


def _tagging(stages: Mapping[str, Any], form: Format, means: Means, taggers: tuple[str, ...]) -> float:
    """Return milliseconds per MB of tagging with some taggers; those that nobody measured count as nothing."""
    always = ("ids, URLs and sources", "content hashes and layer", "merge, receipt and tally")
    total = float(stages["read and parse"][form]) + sum(float(stages[name]["any"]) for name in always)
    if SEEN_SAFE.intersection(taggers):
        total += float(stages["safe view"]["any"])
    kinds = {"lexicon": means.terms, "personal": means.density}
    found = stages["taggers"]
    return total + sum(float(found[name][kinds.get(name, "any")]) for name in taggers if name in found)


def listing_seconds(shards: int, means: Means) -> float:
    """Return how long listing takes, one request after another."""
    return math.ceil(shards / PAGE) * means.list_seconds


def stored_gigabytes(inputs: Iterable[Input]) -> float:
    """Return what the first release takes in the store, in gigabytes."""
    written = measured()["formats"]["written"]
    return float(sum(each.size * written[each.format] for each in inputs)) / 1e9


def in_words(inputs: list[Input], means: Means) -> Iterator[str]:
    """Say an estimate in lines of plain text."""
    for each in inputs:
        yield (
            f"{each.format}: {each.size / 1e9:,.1f} GB in {each.shards:,} shards, about {each.text / 1e3:,.1f} GB of text, "
            f"{each.splits:,} splits"
        )
    shards = sum(each.shards for each in inputs)
    yield f"listing: {listing_seconds(shards, means):,.1f} s at {means.list_seconds:g} s for {PAGE:,} names"
    yield f"{'':28}{'core-hours':>14}{'hours':>10}{'objects':>14}{'operations':>14}{'cost':>12}"
    for night in estimates(inputs, means):
        cost = "" if night.cost is None else f"{night.cost:,.2f}"
        yield (
            f"{night.name:28}{night.core_hours:14,.1f}{night.hours:10,.2f}{night.objects:14,}{night.operations:14,}{cost:>12}"
        )
    stored = stored_gigabytes(inputs)
    price = "" if means.gigabyte_month is None else f", {stored * means.gigabyte_month:,.2f} a month"
    yield f"stored beside the input after the first night: {stored:,.1f} GB{price}"
    facts = measured()
    for name in ("stages", "formats", "bookkeeping"):
        yield f"{name}: measured {facts[name]['date']} by {facts[name]['command']}"
    yield f"taggers: {', '.join(means.taggers) or 'none'}"
    if missing := unmeasured(means):
        yield (
            f"not measured, and not in these figures: {', '.join(missing)}; measure the CPU that a small run takes with and "
            "without, and add it"
        )
    yield f"hours are with {means.cores} cores at work all the time, but for what one process does; starting an engine is not in them"
