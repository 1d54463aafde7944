"""Beam metrics of what passed: records, bytes, findings by tagger, dead letters, seconds by split."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter

from transforms.notes import Notes
from transforms.pool import WATCH

NAMESPACE = "winnow"
T = TypeVar("T")


class Measured(NamedTuple, Generic[T]):
    """A receipt with what it took.

    Attributes:
        split: its name.
        seconds: of wall time.
        size: bytes of the shard that were its share.
        receipt: of the split.
    """

    split: str
    seconds: float
    size: int
    receipt: T


class Count(beam.DoFn):
    """Counts and logs receipts, and gives them on alone.

    Metrics, in the namespace ``winnow``: the counters ``<stage>_splits``, ``<stage>_bytes``, ``<stage>_<what>`` for all
    that ``counts`` of a receipt says, and the distribution ``<stage>_split_milliseconds``.

    Args:
        counts: what to count of a receipt, by name.
    """

    def __init__(self, stage: str, notes: Notes, counts: Any) -> None:
        self._stage, self._notes, self._counts = stage, notes, counts

    def process(self, some: list[Measured[Any]]) -> Iterator[Any]:
        with self._notes.step():
            yield from self._process(some)

    def _process(self, some: list[Measured[Any]]) -> Iterator[Any]:
        for split, seconds, size, receipt in some:
            counts: Mapping[str, int] = self._counts(receipt)
            for name, count in {"splits": 1, "bytes": size, **counts}.items():
                Metrics.counter(NAMESPACE, f"{self._stage}_{name}").inc(count)
            Metrics.distribution(NAMESPACE, f"{self._stage}_split_milliseconds").update(round(seconds * 1000))
            self._notes.log(self._stage, {"split": split, "seconds": round(seconds, 3), "bytes": size, **counts})
            WATCH.count(counts)
            yield receipt


def totals(result: Any) -> dict[str, int | dict[str, int]]:
    """Return what a job's metrics of ours came to, by name, whatever step counted; distributions are count, sum, min and max.

    What an engine tried again is counted again, unless it tells what was committed.

    Args:
        result: of a pipeline that has ended.
    """
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))
    sums: Counter[str] = Counter()
    for each in found["counters"]:
        sums[each.key.metric.name] += int(each.result or 0)
    spread: dict[str, dict[str, int]] = {}
    for each in found["distributions"]:
        data = each.result
        if data is None or not data.count:
            continue
        here = {"count": int(data.count), "sum": int(data.sum), "min": int(data.min), "max": int(data.max)}
        name = each.key.metric.name
        if (known := spread.get(name)) is not None:
            ends = {"min": min(known["min"], here["min"]), "max": max(known["max"], here["max"])}
            here = {"count": known["count"] + here["count"], "sum": known["sum"] + here["sum"], **ends}
        spread[name] = here
    named: dict[str, int | dict[str, int]] = {**sums, **spread}
    return dict(sorted(named.items()))
