"""``provenance``: whether a record's origin is shown, by its own columns and by the operator's source registry.

What must be shown depends on how the record was come by, its kind (TC260-003, 5.1 c); see :data:`REQUIRED`. Where the record names one kind
and the entry of its source another, what both need must be there: who supplies records does not free them of what the operator entered. As
evidence a record's own column counts before the entry, and a placeholder (:mod:`models.placeholders`) counts as nothing. What was refused, by
either, is refused. Findings are on the whole record:

- ``provenance.missing``: the rule names the field; ``registry`` where neither registry nor record says anything of the source;
- ``provenance.expired``: no entry of the source is valid on ``as_of``; the rule is ``valid_until``, or ``valid_from`` where it has yet to begin;
- ``provenance.refused``: by ``robots`` or ``opt_out``;
- ``provenance.licence_unknown``: the licence is no SPDX expression, Creative Commons address or name in use;
- ``provenance.licence_not_allowed``: the rule is the licence, as SPDX writes it.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from models.artefact import Artefact, read_artefact
from models.digest import digest_of
from models.documents import Documents
from models.errors import UsageError
from models.evidence import EVIDENCE
from models.findings import SCHEMA, Findings
from models.licences import is_allowed, spdx_expression
from models.placeholders import evident, is_evident
from models.source_registry import KINDS, Entry, Selected, read_registry, select
from models.strict import as_tuple, near_miss

REQUIRED = {
    "open": ("licence",),  # 5.1 c1: open-source licence or authorisation
    "self_collected": ("crawl_record", "robots"),  # 5.1 c2: collection record, nothing that others refused
    "commercial": ("contract", "assurance"),  # 5.1 c3: contract, and the supplier's undertakings and proof
    "user_input": ("authorisation",),  # 5.1 c4: authorisation record
    "synthetic": (),  # the clause names none; that it is synthetic must be said
    "unknown": ("kind",),  # nothing shows that it is lawful
}
"""Which evidence a kind needs."""

LICENCES = (
    *("CC0-1.0", "CC-PDM-1.0", "CC-PDDC", "CC-BY-?.?", "CC-BY-?.?-*", "CC-BY-SA-?.?", "CC-BY-SA-?.?-*"),
    *("PDDL-1.0", "ODC-By-1.0", "ODbL-1.0", "CDLA-Permissive-*", "OGL-*", "etalab-2.0", "DL-DE-*"),
    *("MIT", "MIT-0", "Apache-2.0", "BSD-?-Clause", "0BSD", "ISC", "Zlib", "Unlicense", "BSL-1.0", "MulanPSL-2.0"),
)
"""Allowed by default: dedications, attribution, share-alike of data, and permissive code. Not among them: NonCommercial and NoDerivatives,
which a model trained for a service may well break, and copyleft of code. What is not allowed waits for a human by the shipped policy."""

_YES = frozenset({"allow", "allowed", "yes", "true", "1", "ok", "permitted", "granted"})
_NO = frozenset({"disallow", "disallowed", "no", "false", "0", "deny", "denied", "refused", "forbidden", "blocked"})
_NOT_REFUSED = frozenset({"no", "false", "0", "none", "n"})

_OWN = re.compile(r"LicenseRef-[A-Za-z0-9.-]+")
_NOTHING, _ALLOWED, _REFUSED, _UNCLEAR = range(4)
"""What a value says; of fields that are only references it is nothing or allowed."""

Required = tuple[tuple[str, tuple[str, ...]], ...]


class _Claim(NamedTuple):
    category: str
    rule: str


@dataclass(frozen=True)
class Provenance:
    """Finds records whose lawful origin is not shown.

    Attributes:
        registry: folders of artefacts of kind ``provenance``; none: a record's own columns must show everything.
        as_of: the day on which entries must be valid, ISO 8601; that of the run unless given.
        allowed_licences: globs over SPDX identifiers.
        required: by kind, the evidence that must be there; kinds left out need what they need by default.

    Raises:
        UsageError: if a kind, field or day does not exist.
    """

    name: ClassVar[str] = "provenance"
    version: ClassVar[int] = 2
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ("registry",)

    registry: tuple[str, ...] = ()
    as_of: str = ""
    allowed_licences: tuple[str, ...] = LICENCES
    required: Required | Mapping[str, Sequence[str]] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.required, (Mapping, tuple)):
            raise UsageError(f"provenance: required: must be a mapping of kinds to fields, is {self.required!r}")
        given = dict(self.required)
        for kind, fields in given.items():
            if kind not in KINDS:
                raise UsageError(f"provenance: required: no kind {kind!r}{near_miss(kind, KINDS)}")
            for field in as_tuple(fields, f"provenance: required.{kind}"):
                if field not in EVIDENCE:
                    raise UsageError(f"provenance: required.{kind}: no field {field!r}{near_miss(field, EVIDENCE)}")
        rows = ((kind, as_tuple(given.get(kind, fields), "required")) for kind, fields in REQUIRED.items())
        object.__setattr__(self, "required", tuple(rows))
        allowed = as_tuple(self.allowed_licences, "provenance: allowed_licences")
        object.__setattr__(self, "allowed_licences", allowed)
        try:
            object.__setattr__(self, "as_of", date.fromisoformat(str(self.as_of)).isoformat() if self.as_of else "")
        except ValueError:
            raise UsageError(f"provenance: as_of: must be a day such as 2026-01-31, is {self.as_of!r}") from None

    @property
    def digest(self) -> str:
        """Digest of configuration and of what the day selects of the registries: it changes when that does, not every night."""
        selected = _selected(self._artefacts(), self.as_of)
        return digest_of(
            {
                "tagger": self.name,
                "version": self.version,
                "valid": {
                    key: [entry.kind, entry.origin, dict(entry.references)] for key, entry in selected.valid.items()
                },
                "ended": dict(selected.ended),
                "allowed_licences": sorted(set(self.allowed_licences)),
                "required": [[kind, list(fields)] for kind, fields in dict(self.required).items()],
            }
        )

    def selected(self) -> Selected:
        """Return what the day selects of the registries."""
        return _selected(self._artefacts(), self.as_of)

    def load(self) -> None:
        _selected(self._artefacts(), self.as_of)
        _LOADED[self.registry] = self._artefacts()

    def tag(self, documents: Documents) -> Findings:
        if self.registry not in _LOADED:
            self.load()
        return _tagged(self, _selected(_LOADED[self.registry], self.as_of), documents)

    def _artefacts(self) -> tuple[Artefact, ...]:
        return tuple(read_artefact(folder, self.name) for folder in self.registry)


_LOADED: dict[tuple[str, ...], tuple[Artefact, ...]] = {}
"""By folders: the artefacts last loaded from them, so that tagging hashes no file."""
_SELECTED: dict[tuple[tuple[str, ...], str], Selected] = {}
"""By the digests of registries and the day."""
_CLAIMS: dict[tuple["Provenance", object], dict[tuple[object, ...], tuple[_Claim, ...]]] = {}
"""By tagger and what was selected: by columns and what they say, what is wrong; batches of a corpus say much the same."""
_MOST_KNOWN = 1 << 16


def _selected(artefacts: tuple[Artefact, ...], as_of: str) -> Selected:
    key = tuple(artefact.digest for artefact in artefacts), as_of
    if key not in _SELECTED:
        entries: list[Entry] = []
        keys: dict[str, Artefact] = {}
        for artefact in artefacts:
            found = read_registry(artefact)
            for entry in found:
                if keys.setdefault(entry.key, artefact) is not artefact:
                    raise UsageError(
                        f"{artefact.folder}: source {entry.key!r} is in {keys[entry.key].folder} too; leave it in one registry"
                    )
            entries += found
        if not as_of and any(entry.valid_from or entry.valid_until for entry in entries):
            raise UsageError("provenance: as_of is missing: the registry's entries have days, say which one it is")
        _SELECTED[key] = replace(select(entries, as_of), id=key)
    return _SELECTED[key]


def _tagged(tagger: Provenance, selected: Selected, documents: Documents) -> Findings:
    """Return the findings, by looking once at each combination of source and what columns say that occurs."""
    count = len(documents)
    columns = {"source": documents.source, **documents.provenance}
    values, codes = [], []
    for name, array in columns.items():
        said, code = _said(name, array, tagger.allowed_licences)
        values.append(said)
        codes.append(code)
    if not count:
        return Findings.of(0, [])
    combined, seen = codes[0], len(values[0])
    parts = [np.arange(seen)]
    for said, code in zip(values[1:], codes[1:], strict=True):
        # Numbered anew after every column, so that numbers stay small.
        distinct, combined = np.unique(combined * len(said) + code, return_inverse=True)
        parts = [part[distinct // len(said)] for part in parts] + [distinct % len(said)]
    occurring, combined = np.unique(combined, return_inverse=True)
    known = _CLAIMS.setdefault((tagger, selected.id), {})
    if len(known) > _MOST_KNOWN:
        known.clear()
    claims = []
    for meant in zip(
        *([of[i] for i in part[occurring].tolist()] for of, part in zip(values, parts, strict=True)), strict=True
    ):
        key = (*columns, *meant)
        if key not in known:
            known[key] = _claims(tagger, selected, dict(zip(columns, meant, strict=True)))
        claims.append(known[key])
    return _findings(tagger.name, claims, combined)


def _said(name: str, array: pa.Array, licences: tuple[str, ...]) -> tuple[list[object], npt.NDArray[np.int64]]:
    """Return what a column says, as few values as matter, and for each record which of them."""
    if name not in ("source", "kind", "licence", "robots", "opt_out"):
        return [_NOTHING, _ALLOWED], evident(array).to_numpy(zero_copy_only=False).astype(np.int64)
    encoded = pc.dictionary_encode(array)
    read = {"licence": lambda value: _licence(value, licences), "robots": _robots, "opt_out": _opt_out}.get(name, str)
    meanings: list[object] = [read(value) for value in encoded.dictionary.to_pylist()]
    # Many values mean the same; the last is what null means.
    meanings.append(None if name in ("source", "kind") else _NOTHING)
    distinct = list(dict.fromkeys(meanings))
    places = {meaning: place for place, meaning in enumerate(distinct)}
    to = np.array([places[each] for each in meanings], np.int64)
    codes = pc.fill_null(encoded.indices, len(meanings) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    return distinct, to[codes]


def _robots(value: str) -> int:
    word = value.strip().lower()
    return _NOTHING if not word else _ALLOWED if word in _YES else _REFUSED if word in _NO else _UNCLEAR


def _opt_out(value: str) -> int:
    word = value.strip().lower()
    return _NOTHING if not word else _ALLOWED if word in _NOT_REFUSED else _REFUSED


def _licence(value: str, allowed: tuple[str, ...]) -> object:
    """Return nothing, allowed, unclear, or the name of a licence that is not allowed."""
    if not value.strip():
        return _NOTHING
    expression = _expression(value)
    if expression is None:
        return _UNCLEAR
    return _ALLOWED if is_allowed(expression, allowed) else expression


@functools.lru_cache(maxsize=1 << 12)
def _expression(value: str) -> str | None:
    return spdx_expression(value)


def _claims(tagger: Provenance, selected: Selected, said: Mapping[str, object]) -> tuple[_Claim, ...]:
    """Return what is wrong with records of one source whose columns say the same."""
    source = str(said["source"])
    entry, why = selected.valid.get(source), selected.ended.get(source)
    named = str(said.get("kind") or "").strip().lower()
    found: list[_Claim] = []
    if why:
        found.append(_Claim("provenance.expired", why))
    if named and named not in KINDS:
        found.append(_Claim("provenance.missing", "kind (not understood)"))
    elif not named and entry is None:
        found += [] if why else [_Claim("provenance.missing", "registry")]
    else:
        kinds = {kind for kind in (named, entry.kind if entry else "") if kind}
        wanted = {field for kind in kinds for field in dict(tagger.required)[kind]}
        needed = [field for field in EVIDENCE if field in wanted]
        shown = {field: _shown(field, said, entry, tagger.allowed_licences) for field in needed if field != "kind"}
        missing = [field for field in needed if shown.get(field, _NOTHING) == _NOTHING]
        if "unknown" not in kinds and "kind" in missing:
            missing.remove("kind")
        found += [_Claim("provenance.missing", field) for field in missing]
    licence = _shown("licence", said, entry, tagger.allowed_licences)
    if licence == _UNCLEAR:
        found.append(_Claim("provenance.licence_unknown", "licence"))
    elif isinstance(licence, str):
        # A reference of the record's own is free text: it may hold anything, and a rule is shown in the audit.
        found.append(_Claim("provenance.licence_not_allowed", _OWN.sub("LicenseRef", licence)))
    robots = {said.get("robots", _NOTHING), _of_entry("robots", entry, ())}
    if _REFUSED in robots:
        found.append(_Claim("provenance.refused", "robots"))
    if _UNCLEAR in robots:
        found.append(_Claim("provenance.missing", "robots (not understood)"))
    if said.get("opt_out") == _REFUSED:
        found.append(_Claim("provenance.refused", "opt_out"))
    return tuple(found)


def _shown(field: str, said: Mapping[str, object], entry: Entry | None, licences: tuple[str, ...]) -> object:
    own = said.get(field, _NOTHING)
    return own if own != _NOTHING else _of_entry(field, entry, licences)


def _of_entry(field: str, entry: Entry | None, licences: tuple[str, ...]) -> object:
    value = "" if entry is None else entry.origin if field == "origin" else entry.references.get(field, "")
    if field == "origin":
        return _ALLOWED if is_evident(value) else _NOTHING
    if field == "licence":
        return _licence(value, licences)
    return _robots(value) if field == "robots" else _ALLOWED if is_evident(value) else _NOTHING


def _findings(name: str, claims: Sequence[tuple[_Claim, ...]], which: npt.NDArray[np.int64]) -> Findings:
    """Return the claims of each record's combination as findings on the whole record."""
    sizes = np.array([len(each) for each in claims], np.int64)
    first = np.cumsum(sizes) - sizes
    counts = sizes[which]
    rows = np.repeat(np.arange(len(which)), counts)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    at = pa.array(first[which[rows]] + within)
    flat = [claim for each in claims for claim in each]
    zeros = np.zeros(len(rows), np.int32)
    arrays = [
        pa.array(rows, pa.int64()),
        pa.repeat(pa.scalar(name), len(rows)),
        pa.array([claim.category for claim in flat], pa.string()).take(at),
        pa.array([claim.rule for claim in flat], pa.string()).take(at),
        pa.array(np.ones(len(rows), np.float32)),
        pa.array(zeros),
        pa.array(zeros),
        pa.repeat(pa.scalar("raw"), len(rows)),
        pa.nulls(len(rows), pa.string()),
    ]
    return Findings(len(which), pa.Table.from_arrays(arrays, schema=SCHEMA))
