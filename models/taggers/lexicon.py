"""``lexicon``: terms of operator lists, found in the safe view.

A list is an artefact of kind ``lexicon`` with TSV files: ``term``, ``category`` and ``level`` by tab, a header line, ``#`` for
comments. Terms are folded as the view folds text, so full-width, traditional, upper-case and zero-width variants of a term are
one term. Levels state how surely the bare term means the category: ``certain`` 1.0, ``likely`` 0.8, ``possible`` 0.4.
"""

import bisect
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from models.artefact import Artefact, read_artefact
from models.digest import digest_of
from models.documents import Documents
from models.errors import UsageError
from models.findings import COPYRIGHT, Finding, Findings
from models.taggers.scanner import Scanner
from models.view import SEPARATOR, View, fold_term

_LONGEST = 4096  # bytes of a term; hyperscan refuses literals somewhere above
LEVELS = {"certain": 1.0, "likely": 0.8, "possible": 0.4}


@dataclass(frozen=True)
class Term:
    """A folded term: what it stands for and how surely."""

    text: str
    category: str
    level: str
    written: str


@dataclass(frozen=True)
class Lexicon:
    """Finds the terms of ``lists``, each the folder of a ``lexicon`` artefact."""

    name: ClassVar[str] = "lexicon"
    version: ClassVar[int] = 1
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ("lists",)

    lists: tuple[str, ...]

    @property
    def digest(self) -> str:
        """Digest of the lists' contents, not of where they lie."""
        return digest_of({"tagger": self.name, "version": self.version, "lists": [a.digest for a in self._artefacts()]})

    def covers(self) -> dict[str, tuple[str, ...]]:
        """Return the categories that lists have terms of, with the lists' folder names."""
        covered: dict[str, list[str]] = {}
        for artefact in self._artefacts():
            for category in sorted({term.category for term in read_terms(artefact)}):
                covered.setdefault(category, []).append(artefact.folder.name)
        return {category: tuple(names) for category, names in covered.items()}

    def terms(self) -> dict[str, frozenset[str]]:
        """Return the folded terms of each category, of all lists together."""
        found: dict[str, set[str]] = defaultdict(set)
        for artefact in self._artefacts():
            for term in read_terms(artefact):
                found[term.category].add(term.text)
        return {category: frozenset(terms) for category, terms in found.items()}

    def registered(self, ids: Collection[str]) -> dict[str, dict[str, str]]:
        """Return the terms that stand for works, see :class:`models.matched_works.Registering`: they have neither title nor holder."""
        found = {}
        for artefact in self._artefacts():
            for term in read_terms(artefact):
                if term.written in ids and term.category.startswith(COPYRIGHT):
                    told = {"title": "", "holder": "", "licence": "", "claim": term.category.removeprefix(COPYRIGHT)}
                    found[term.written] = told
        return found

    def libraries(self) -> list[tuple[str, str]]:
        """Return folder name and digest of each list."""
        return [(artefact.folder.name, artefact.digest) for artefact in self._artefacts()]

    def load(self) -> None:
        digest = self.digest
        if self.lists not in _LOADED or _LOADED[self.lists][0] != digest:
            _LOADED[self.lists] = digest, _matcher(self.lists)

    def tag(self, documents: Documents) -> Findings:
        if self.lists not in _LOADED:
            self.load()
        matcher, view = _LOADED[self.lists][1], documents.safe
        hits: dict[int, list[tuple[int, int, Term]]] = defaultdict(list)
        for row, start, end, term in matcher.hits(view):
            hits[row].append((start, end, term))
        found = []
        for row, found_here in hits.items():
            spans = view.spans(row, [(start, end) for start, end, _ in found_here])
            for (start, end), (_, _, term) in zip(spans, found_here, strict=True):
                score = LEVELS[term.level]
                found.append(Finding(row, self.name, term.category, term.written, score, start, end, view.name))
        return Findings.of(len(documents), found)

    def _artefacts(self) -> list[Artefact]:
        return [read_artefact(folder, self.name) for folder in self.lists]


class Matcher:
    """A compiled set of terms."""

    def __init__(self, terms: list[Term]) -> None:
        self._terms: dict[str, list[Term]] = defaultdict(list)
        for term in terms:
            self._terms[term.text].append(term)
        self._literals = sorted(self._terms)
        self._bytes = [literal.encode() for literal in self._literals]
        self._bounded = [(_is_word(literal[0]), _is_word(literal[-1])) for literal in self._literals]
        self._scanner = Scanner(self._bytes, literal=True) if self._literals else None

    def hits(self, view: View) -> list[tuple[int, int, int, Term]]:
        """Return record, byte span in the view and term of every match that stands on its word boundaries, in text order."""
        if self._scanner is None:
            return []
        raw: list[tuple[int, int]] = []
        self._scanner.scan(view.data, lambda literal, end: raw.append((end, literal)))
        raw.sort()
        bounds = view.bounds.tolist()
        found = []
        for end, literal in raw:
            start = end - len(self._bytes[literal])
            if self._stands_alone(view.data, start, end, literal):
                row = bisect.bisect_right(bounds, start) - 1
                found += [(row, start, end, term) for term in self._terms[self._literals[literal]]]
        return found

    def _stands_alone(self, data: bytes, start: int, end: int, literal: int) -> bool:
        before, after = self._bounded[literal]
        if before and start and _is_word(_character_before(data, start)):
            return False
        return not (after and end < len(data) and _is_word(_character_at(data, end)))


def _is_word(char: str) -> bool:
    """Tell whether a character continues a word of a script that puts spaces between words."""
    # A mark belongs to the letter before it (UAX #29, WB4): vowel signs of Hindi, accents written apart.
    return (char.isalnum() or unicodedata.category(char)[0] == "M") and not _unspaced(ord(char))


def _unspaced(code: int) -> bool:
    # Thai to Myanmar and Khmer; Hangul Jamo to Kana, Bopomofo and Han; Hangul syllables (particles follow without space);
    # the compatibility and supplementary ideographs.
    return (
        0x0E00 <= code < 0x0F00
        or 0x1000 <= code < 0x10A0
        or 0x1100 <= code < 0x1200
        or 0x1780 <= code < 0x1800
        or 0x2E80 <= code < 0xA000
        or 0xAC00 <= code < 0xD7B0
        or 0xF900 <= code < 0xFB00
        or 0x20000 <= code < 0x40000
    )


def _character_at(data: bytes, at: int) -> str:
    if data[at] < 0x80:
        return chr(data[at])
    if data[at] == SEPARATOR:
        return " "
    return data[at : at + 4].decode(errors="ignore")[0]


def _character_before(data: bytes, at: int) -> str:
    start = at - 1
    while data[start] & 0xC0 == 0x80:
        start -= 1
    return _character_at(data, start)


_LOADED: dict[tuple[str, ...], tuple[str, Matcher]] = {}
"""By folders: what was loaded from them last, and its digest; a process may outlive a list's contents."""


def _matcher(lists: tuple[str, ...]) -> Matcher:
    return Matcher([term for folder in lists for term in read_terms(read_artefact(folder, Lexicon.name))])


def read_terms(artefact: Artefact) -> list[Term]:
    """Return the folded terms of a list; variants that fold to one term of the same category are one.

    Raises:
        UsageError: naming file and line of a term that is empty once folded, or has no category or an unknown level.
    """
    terms: dict[tuple[str, str], Term] = {}
    for name in sorted(artefact.files):
        path = artefact.folder / name
        for number, row in _rows(path):
            term = _term(row, f"{path}: line {number}")
            known = terms.setdefault((term.text, term.category), term)
            if LEVELS[term.level] > LEVELS[known.level]:
                terms[term.text, term.category] = term
    return list(terms.values())


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Return each row of a list with its line number. There are no quotes in TSV: a term may begin with one."""
    header: list[str] | None = None
    for number, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            cells = line.decode().removesuffix("\r").split("\t")
        except UnicodeDecodeError:
            raise UsageError(f"{path}: line {number}: not UTF-8; save the file as UTF-8") from None
        if cells == [""] or cells[0].startswith("#"):
            continue
        if header is None:
            header = cells
            if missing := {"term", "category", "level"} - set(header):
                raise UsageError(f"{path}: line {number}: the header has no column {', '.join(sorted(missing))}")
        else:
            yield number, dict(zip(header, cells, strict=False))


def _term(row: dict[str, str], place: str) -> Term:
    written, category, level = (row.get(key) or "" for key in ("term", "category", "level"))
    text = fold_term(written).strip()
    if not text:
        raise UsageError(f"{place}: {written!r} is empty once folded; remove it")
    if "\0" in text or len(text.encode()) > _LONGEST:
        raise UsageError(f"{place}: a term of more than {_LONGEST} bytes, or with a NUL; shorten or remove it")
    if not category:
        raise UsageError(f"{place}: {written!r} has no category")
    if level not in LEVELS:
        raise UsageError(f"{place}: level {level!r} of {written!r} is not one of {', '.join(LEVELS)}")
    return Term(text, category, level, written)
