"""Drawing records by salted hash: the same ones whatever the cuts, the order of shards, workers or engine.

The draw of a record is the first 8 bytes, big endian, of HMAC-SHA256 (RFC 2104, FIPS 180-4) of what tells the record, keyed by the salt. To whoever
does not know the salt it is a random number, so the ``n`` least of a stratum are a uniform sample without replacement of it. A sample is
therefore told by its *bound*: what was drawn is exactly what has ``draw < bound``.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.digest import digest_of
from models.errors import UsageError
from models.tally import STRATA

Draws = npt.NDArray[np.uint64]

ALL = (1 << 64) - 1
"""Bound of a stratum that was drawn whole."""

_LEAST = 16
_BINS = 1 << 16
_SLACK = 1 << 16


def check_salt(salt: str) -> bytes:
    """Return a salt as the key of draws.

    Raises:
        UsageError: if it has fewer than 16 bytes: whoever guesses it knows what will be drawn.
    """
    key = salt.encode()
    if len(key) < _LEAST:
        raise UsageError(
            f"--salt: it has {len(key)} bytes, which can be guessed, and with it what will be drawn; take {_LEAST} random bytes or more, such as "
            "those of: openssl rand -hex 16"
        )
    return key


def draws(salt: bytes, values: Iterable[bytes]) -> Draws:
    """Return the draw of each value, shape (n,)."""
    heads = b"".join(hmac.digest(salt, value, "sha256")[:8] for value in values)
    return np.frombuffer(heads, ">u8").astype(np.uint64)


def record_values(records: pa.Table) -> list[bytes]:
    """Return what tells records apart where each one counts: hash of the id, content hash and source.

    Content is among them so that records with one id, as where a column of ids is a constant, are still drawn each by itself.

    Args:
        records: ``id``, ``content`` and ``source`` of :data:`models.layer.RECORDS`.
    """
    columns = records["id"].to_pylist(), records["content"].to_pylist(), records["source"].cast(pa.string()).to_pylist()
    return [b"record\0" + name + content + source.encode() for name, content, source in zip(*columns, strict=True)]


def strata_digest(taggers: Mapping[str, str], counting: str) -> str:
    """Return the digest of what puts records into strata: all taggers, and what counts as unlawful.

    Args:
        taggers: digests by name.
        counting: see :attr:`models.policy.Policy.counting_digest`.
    """
    return digest_of({"taggers": dict(taggers), "counting": counting})


def task_id(salt: bytes, purpose: str, content: bytes) -> str:
    """Return the id of the question about a text: it tells neither the text's hash nor the draw."""
    return hmac.digest(salt, b"task\0" + purpose.encode() + b"\0" + content, "sha256")[:16].hex()


class Bottom:
    """The rows of least draw in each group, of tables that come one after another, in bounded memory.

    The result is the same in whichever order they come.

    Args:
        size: rows wanted of each group; one more is kept, whose draw is the bound.
        group: columns that make a group.
        unit: columns of which equal rows of a group are one, the first by ``order``; none if every row counts.
        order: columns by which rows are ordered after group and draw; together they must tell any two rows apart.
    """

    def __init__(self, size: int, group: Sequence[str], unit: Sequence[str], order: Sequence[str]) -> None:
        self._keep, self._group, self._unit = size + 1, tuple(group), tuple(unit)
        self._keys = [(name, "ascending") for name in (*group, "draw", *order)]
        self._tables: list[pa.Table] = []
        self._rows = self._kept = 0

    def add(self, table: pa.Table) -> None:
        """Add rows; they have the columns named and ``draw``, uint64."""
        if len(table):
            self._tables.append(table)
            self._rows += len(table)
        if self._rows > 2 * self._kept + _SLACK:
            self._shrink()

    def _shrink(self) -> None:
        table = pa.concat_tables(self._tables).sort_by(self._keys).combine_chunks()
        if self._unit:
            table = table.filter(pa.array(_differs(table, (*self._group, "draw", *self._unit))))
        starts = np.flatnonzero(_differs(table, self._group))
        sizes = np.diff(np.append(starts, len(table)))
        rank = np.arange(len(table)) - np.repeat(starts, sizes)
        self._tables = [table.filter(pa.array(rank < self._keep)).combine_chunks()]
        self._rows = self._kept = len(self._tables[0])

    def table(self) -> pa.Table | None:
        """Return the rows of least draw, sorted: up to one more than wanted of each group; None if none came."""
        if not self._tables:
            return None
        self._shrink()
        return self._tables[0]


def _differs(table: pa.Table, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell of each row whether it differs from the one before in some columns; the first does."""
    differs = np.zeros(len(table), np.bool_)
    differs[:1] = True
    for name in names:
        column = table[name].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        differs[1:] |= pc.not_equal(column.slice(1), column.slice(0, len(column) - 1)).to_numpy(zero_copy_only=False)
    return differs


def bound_of(ordered: Draws, size: int) -> int:
    """Return the bound below which at most ``size`` of some draws lie: the draw after them, or :data:`ALL`.

    Args:
        ordered: ascending; all there are, or at least one more than ``size``.
    """
    return ALL if len(ordered) <= size else int(ordered[size])


def shares(available: Sequence[int], size: int) -> list[int]:
    """Divide a number of records over strata: to each the same, what one does not have to the others, what is left over to the last first.

    Args:
        available: records of each stratum, or ``size`` if there are more.
    """
    given = [0] * len(available)
    left = min(size, sum(available))
    while left:
        open_ones = [at for at, there in enumerate(available) if given[at] < there]
        each, extra = divmod(left, len(open_ones))
        for place, at in enumerate(reversed(open_ones)):
            more = min(available[at] - given[at], each + (place < extra))
            given[at] += more
            left -= more
    return given


def cut_by_stratum(rows: pa.Table, size: int) -> pa.Table:
    """Return what is drawn of sources, ``size`` records of each divided over its strata, with the column ``bound``.

    A text that stands in two strata of a source, which only findings on ids or addresses bring about, is of the worse.

    Args:
        rows: of :class:`Bottom` by ``source`` and ``stratum`` (uint8, index in :data:`models.tally.STRATA`).
    """
    starts = np.append(np.flatnonzero(_differs(rows, ("source", "stratum"))), len(rows))
    sources = rows["source"].combine_chunks()
    stratum, draw = rows["stratum"].to_numpy(), rows["draw"].to_numpy()
    spans: dict[str, dict[int, tuple[int, int]]] = {}
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        spans.setdefault(sources[start].as_py(), {})[int(stratum[start])] = start, end
    bounds = np.zeros(len(rows), np.uint64)
    for own in spans.values():
        there = [own.get(code, (0, 0)) for code in range(len(STRATA))]
        wanted = shares([min(size, end - start) for start, end in there], size)
        for (start, end), count in zip(there, wanted, strict=True):
            bounds[start:end] = bound_of(draw[start:end], count) if end > start else 0
    drawn = rows.append_column("bound", pa.array(bounds)).filter(pa.array(draw < bounds))
    drawn = drawn.sort_by(
        [("source", "ascending"), ("draw", "ascending"), ("content", "ascending"), ("stratum", "ascending")]
    )
    return drawn.filter(pa.array(_differs(drawn, ("source", "draw", "content")))).combine_chunks()


def cut(rows: pa.Table, size: int) -> pa.Table:
    """Return the ``size`` rows of least draw with the column ``bound``; rows of equal draw are drawn together or not at all.

    Args:
        rows: of :class:`Bottom` without groups.
    """
    draw = rows["draw"].to_numpy()
    bound = bound_of(draw, size)
    bounds = pa.array(np.full(len(rows), bound, np.uint64))
    return rows.append_column("bound", bounds).filter(pa.array(draw < np.uint64(bound))).combine_chunks()


class Histogram:
    """How many draws lie where: enough to find a bound below which a share of them lies, without keeping any."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, draw: Draws) -> None:
        self._counts += np.bincount((draw >> np.uint64(48)).astype(np.int64), minlength=_BINS)

    @property
    def total(self) -> int:
        return int(self._counts.sum())

    def bound(self, least: int) -> int:
        """Return the least multiple of 2^48 below which ``least`` or more lie, or :data:`ALL`."""
        at = int(np.searchsorted(np.cumsum(self._counts), least)) + 1
        return min(at << 48, ALL)
