"""Block lists: hosts, URLs and contents that must not be corpus, compiled to sorted hashes.

A list is an artefact of kind ``blocked`` with TSV files: a header line with ``kind`` and ``value``, and if wanted ``class`` and
``reference``; ``#`` for comments. An entry takes 27 bytes of memory: 16 of a hash of its canonical form (BLAKE2b, RFC 7693), so that two
different forms are never taken for one, and where it stands. Nothing compiled is kept on disk.

- ``host``: the host and everything below it; ``prefix``: a URL and everything below it, on the borders of path segments, of this very host;
  ``url``: this URL alone; see :mod:`models.addresses` for when two are one.
- ``content``: SHA-256 (64 hexadecimal digits) or MD5 (32) of the text in UTF-8.
- class ``block`` (as if nothing stands there): the record is found. Class ``purge``: nothing of the record may be kept.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.addresses import LONGEST_HOST, PLAIN_HOST, canonical_host, canonical_url
from models.artefact import Artefact
from models.errors import UsageError
from models.strict import near_miss
from models.view import octets

KINDS = ("host", "prefix", "url", "content")
CLASSES = ("block", "purge")

_COLUMNS = ("kind", "value", "class", "reference")
_DIGITS = frozenset("0123456789abcdef")
_LONGEST_REFERENCE = 200
_MOST_MISTAKES = 20
_AT_ONCE = 1 << 16  # lines


class Hit(NamedTuple):
    """An entry that matches.

    Attributes:
        purge: whether it is of class ``purge``.
        reference: of the entry, or ``<file>:<line>`` where it has none.
        title: of the list.
    """

    purge: bool
    reference: str
    title: str


@dataclass(frozen=True)
class Blocklist:
    """The entries of one or more lists.

    Attributes:
        keys: ``S16``, shape (n,), sorted; of equal ones purges come first.
        lines: int32: line of the entry in its file.
        references: int32: index in ``texts``; 0 is none.
        files: uint16: index in ``names``.
        purges: bool.
        texts: references.
        names: of files, each with the title of its list.
        counts: entries by kind.
        digests: hashes by which contents are listed: ``sha256``, ``md5``.
        hosts: ``S16``, sorted: keys of the hosts that have a prefix or URL.
    """

    keys: npt.NDArray[np.bytes_]
    lines: npt.NDArray[np.int32]
    references: npt.NDArray[np.int32]
    files: npt.NDArray[np.uint16]
    purges: npt.NDArray[np.bool_]
    texts: tuple[str, ...]
    names: tuple[tuple[str, str], ...]
    counts: dict[str, int]
    digests: frozenset[str]
    hosts: npt.NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """Bytes of the compiled entries."""
        arrays = (self.keys, self.lines, self.references, self.files, self.purges, self.hosts)
        return sum(each.nbytes for each in arrays)

    def find(self, keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
        """Return for each key the place of its (first) entry, -1 where there is none."""
        return _find(self.keys, keys)

    def have_addresses(self, hosts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Tell which hosts have a prefix or URL in the lists; only URLs of these need to be looked at whole."""
        return _find(self.hosts, [key_of("", host) for host in hosts]) >= 0

    def hit(self, at: int) -> Hit:
        """Return the entry at a place."""
        file, title = self.names[self.files[at]]
        reference = self.texts[self.references[at]] or f"{file}:{self.lines[at]}"
        return Hit(bool(self.purges[at]), reference, title)


def _find(table: npt.NDArray[np.bytes_], keys: Sequence[bytes]) -> npt.NDArray[np.int64]:
    if not len(table) or not len(keys):
        return np.full(len(keys), -1, np.int64)
    # Sorted, so that neighbours in the question are neighbours in memory.
    wanted, back = np.unique(np.array(keys, "S16"), return_inverse=True)
    at = np.searchsorted(table, wanted)
    found = table[np.minimum(at, len(table) - 1)] == wanted
    return np.where(found, at, -1)[back]


def key_of(kind: str, value: str) -> bytes:
    """Return the key of a canonical host, prefix or URL; that of a content is the first 16 bytes of its hash."""
    return hashlib.blake2b(f"{kind}\0{value}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def read_blocklist(artefacts: Sequence[Artefact]) -> Blocklist:
    """Return the compiled entries of lists.

    Raises:
        UsageError: with the entries that have no canonical form, up to 20, each with file, line and remedy.
    """
    compiling = _Compiling()
    for artefact in artefacts:
        for name in sorted(artefact.files):
            compiling.names.append((name, artefact.title or artefact.folder.name))
            for numbers, columns in _rows(artefact.folder / name):
                compiling.add(artefact.folder / name, numbers, columns)
    return compiling.done()


@dataclass
class _Compiling:
    """Lists on their way into sorted arrays."""

    names: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[npt.NDArray[Any], ...]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=lambda: {"": 0})
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    digests: set[str] = field(default_factory=set)
    hosts: set[bytes] = field(default_factory=set)
    mistakes: list[str] = field(default_factory=list)

    def add(self, path: Path, numbers: npt.NDArray[np.int64], columns: Sequence[pa.Array]) -> None:
        """Add rows of a file, given their line numbers, kinds, values, classes and references."""
        kinds, values, classes, references = columns
        is_plain = _are_plain(kinds, values, classes, references)
        keys: npt.NDArray[np.bytes_] = np.zeros(len(kinds), "S16")
        keys[is_plain] = _keys_of_hosts(values.filter(pa.array(is_plain)))
        self.counts["host"] += int(is_plain.sum())
        good = np.ones(len(kinds), bool)
        for at in np.flatnonzero(~is_plain).tolist():
            try:
                keys[at] = self._key(*(column[at].as_py() for column in columns))
            except ValueError as error:
                good[at] = False
                self._refuse(f"{path}: line {numbers[at]}: {error}")
        encoded = pc.dictionary_encode(references)
        codes = [self.texts.setdefault(text, len(self.texts)) for text in encoded.dictionary.to_pylist()]
        at_text = np.array(codes, np.int32)[encoded.indices.to_numpy()]
        purges = pc.equal(classes, "purge").to_numpy(zero_copy_only=False)
        files = np.full(len(kinds), len(self.names) - 1, np.uint16)
        self.parts.append(tuple(each[good] for each in (keys, numbers.astype(np.int32), at_text, files, purges)))

    def done(self) -> Blocklist:
        if self.mistakes:
            raise UsageError("\n".join(self.mistakes))
        empty = (np.zeros(0, "S16"), *(np.zeros(0, kind) for kind in (np.int32, np.int32, np.uint16, bool)))
        keys, lines, references, files, purges = (np.concatenate(each) for each in zip(empty, *self.parts, strict=True))
        # Stable, so that of equal keys those that purge stay before the others.
        first = np.argsort(~purges, kind="stable")
        order = first[np.argsort(keys[first], kind="stable")]
        return Blocklist(
            keys[order],
            lines[order],
            references[order],
            files[order],
            purges[order],
            tuple(self.texts),
            tuple(self.names),
            self.counts,
            frozenset(self.digests),
            np.array(sorted(self.hosts), "S16"),
        )

    def _refuse(self, mistake: str) -> None:
        self.mistakes.append(mistake)
        if len(self.mistakes) >= _MOST_MISTAKES:
            raise UsageError("\n".join(self.mistakes))

    def _key(self, kind: str, value: str, name: str, reference: str) -> bytes:
        """Return the key of an entry; ValueError says what is wrong with it."""
        value = value.strip()
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}{near_miss(kind, KINDS)}")
        if name and name not in CLASSES:
            raise ValueError(f"unknown class {name!r}{near_miss(name, CLASSES)}")
        if len(reference) > _LONGEST_REFERENCE:
            raise ValueError(f"a reference of more than {_LONGEST_REFERENCE} characters; shorten it")
        key = self._key_of_content(value) if kind == "content" else None
        if kind == "host":
            key = key_of(kind, _host(value))
        elif key is None:
            key = self._key_of_url(kind, value)
        self.counts[kind] += 1
        return key

    def _key_of_content(self, value: str) -> bytes:
        digits = value.lower()
        if not set(digits) <= _DIGITS or len(digits) not in (32, 64):
            raise ValueError("content must be a SHA-256 of 64 or an MD5 of 32 hexadecimal digits")
        self.digests.add("sha256" if len(digits) == 64 else "md5")
        return bytes.fromhex(digits)[:16]

    def _key_of_url(self, kind: str, value: str) -> bytes:
        found = canonical_url(value)
        if found is None:
            raise ValueError(f"{value!r} cannot be read as a URL; write it whole, with https:// and host")
        if kind == "prefix" and "?" in found.rest:
            raise ValueError(f"{value!r} has a query; a prefix ends with a path, or say kind url")
        self.hosts.add(key_of("", found.place))
        return key_of(kind, found.whole.rstrip("/") if kind == "prefix" else found.whole)


def _host(value: str) -> str:
    found = canonical_host(value)
    if found is None:
        raise ValueError(
            f"{value!r} is no host; write it without scheme, port, path and wildcard: what lies below a host is meant with it"
        )
    return found


def _are_plain(kinds: pa.Array, values: pa.Array, classes: pa.Array, references: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which entries are hosts that are canonical as they stand: nearly all of a large list."""
    tests = (
        pc.equal(kinds, "host"),
        pc.match_substring_regex(values, f"^(?:{PLAIN_HOST})$"),
        pc.invert(pc.match_substring_regex(values, r"xn--|(^|\.)([0-9]+|0x[^.]*)$")),
        pc.less_equal(pc.binary_length(values), LONGEST_HOST),
        pc.is_in(classes, pa.array(["", *CLASSES])),
        pc.less_equal(pc.utf8_length(references), _LONGEST_REFERENCE),
    )
    plain: npt.NDArray[np.bool_] = np.logical_and.reduce([each.to_numpy(zero_copy_only=False) for each in tests])
    return plain


def _keys_of_hosts(hosts: pa.Array) -> npt.NDArray[np.bytes_]:
    joined = pc.binary_join_element_wise(pa.scalar("host"), hosts, "\0")
    sha = hashlib.blake2b
    return np.array([sha(each, digest_size=16).digest() for each in octets(joined)], "S16")


def _rows(path: Path) -> Iterator[tuple[npt.NDArray[np.int64], list[pa.Array]]]:
    """Give the rows of a list in portions: line numbers, kinds, values, classes, references. There are no quotes in TSV."""
    places: list[int] | None = None
    width, first = 0, 1
    with path.open("rb") as file:
        while lines := list(itertools.islice(file, _AT_ONCE)):
            if first == 1:
                lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            texts = pc.utf8_rtrim(_decoded(lines, path, first), "\r\n")
            is_row = pc.invert(pc.or_(pc.equal(texts, ""), pc.starts_with(texts, "#")))
            numbers = np.flatnonzero(is_row.to_numpy(zero_copy_only=False)) + first
            texts = texts.filter(is_row)
            first += len(lines)
            if places is None and len(texts):
                header = texts[0].as_py().split("\t")
                places, width = _header(header, f"{path}: line {numbers[0]}"), len(header)
                texts, numbers = texts.slice(1), numbers[1:]
            if places is not None and len(texts):
                cells = _cells(texts, width, path, numbers)
                blank = pa.array([""] * len(texts), pa.string())
                yield numbers, [pc.list_element(cells, place) if place >= 0 else blank for place in places]


def _decoded(lines: list[bytes], path: Path, first: int) -> pa.Array:
    try:
        return pa.array(lines, pa.binary()).cast(pa.string())
    except pa.ArrowInvalid:
        for number, line in enumerate(lines, first):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise UsageError(f"{path}: line {number}: not UTF-8; save the file as UTF-8") from None
        raise


def _cells(texts: pa.Array, width: int, path: Path, numbers: Iterable[int]) -> pa.Array:
    """Return the cells of rows, ``width`` in each; those left out at the end of a line are empty."""
    cells = pc.split_pattern(texts, "\t")
    counts = pc.list_value_length(cells).to_numpy()
    if (counts == width).all():
        return cells
    for number, count in zip(numbers, counts.tolist(), strict=True):
        if count > width:
            raise UsageError(f"{path}: line {number}: {count} cells, the header has {width}; take out tabs")
    return pa.array([row + [""] * (width - len(row)) for row in cells.to_pylist()])


def _header(cells: list[str], place: str) -> list[int]:
    for cell in cells:
        if cell not in _COLUMNS:
            raise UsageError(f"{place}: unknown column {cell!r}{near_miss(cell, _COLUMNS)}")
    if missing := {"kind", "value"} - set(cells):
        raise UsageError(f"{place}: the header has no column {', '.join(sorted(missing))}")
    if len(set(cells)) < len(cells):
        raise UsageError(f"{place}: a column is given twice")
    return [cells.index(name) if name in cells else -1 for name in _COLUMNS]
