"""``fingerprint``: text that registered works have, too, in whatever layout.

Of each record and work there is one finding ``copyright.<claim>`` whose rule is the id of the work, whose score is *containment*, the share of
the record that lies in runs shared with the work, and whose span is the longest run. Each further run is a finding
``copyright.run``. The claim is the work's: ``reserved``, ``licensed``, ``public_domain`` or ``takedown``. What that means for the
record is for the policy to say. See :mod:`models.fingerprints` for what is surely found.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from models.artefact import Artefact, read_artefact
from models.digest import digest_of
from models.documents import Documents
from models.errors import UsageError
from models.findings import UNSCANNED, Finding, Findings
from models.fingerprint_index import KIND, Index, read_index
from models.fingerprints import VERSION
from models.shared_runs import MOST_HITS, shared_runs

RUN = "copyright.run"
"""Category of runs besides the longest of a record and work."""
TOLD = ("title", "holder", "licence", "claim")
"""What an index says of a work to people, see :data:`models.fingerprint_index.WORKS`."""


@dataclass(frozen=True)
class Fingerprint:
    """Finds runs that records share with registered works.

    Attributes:
        indexes: folders of ``fingerprint`` artefacts; ``illustrative`` is the shipped one.
        least_run: code points; shorter runs are not reported. At 0 all that is found is.
    """

    name: ClassVar[str] = "fingerprint"
    version: ClassVar[int] = 1
    identifiers: ClassVar[bool] = False
    paths: ClassVar[tuple[str, ...]] = ("indexes",)

    indexes: tuple[str, ...]
    least_run: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.least_run, int) or isinstance(self.least_run, bool) or self.least_run < 0:
            raise ValueError(f"least_run must be a whole number of characters, is {self.least_run!r}")

    @property
    def digest(self) -> str:
        """Digest of configuration, the indexes' contents and code, not of where the indexes lie."""
        facts = {
            "tagger": self.name,
            "version": self.version,
            "fingerprints": list(VERSION),
            "least_run": self.least_run,
        }
        return digest_of(facts | {"indexes": [artefact.digest for artefact in self._artefacts()]})

    def load(self) -> None:
        artefacts = self._artefacts()
        digests = tuple(artefact.digest for artefact in artefacts)
        if self.indexes not in _LOADED or _LOADED[self.indexes][0] != digests:
            indexes = tuple(read_index(artefact) for artefact in artefacts)
            _check_distinct(indexes)
            _LOADED[self.indexes] = digests, indexes

    def tag(self, documents: Documents) -> Findings:
        found = [each for index in self._indexes() for each in self._found(documents, index)]
        return Findings.of(len(documents), found)

    def in_words(self) -> Iterator[str]:
        """Say what the indexes hold, a line each."""
        for place, index in zip(self.indexes, self._indexes(), strict=True):
            yield (
                f"index {place}: {len(index.works):,} works, {len(index.hashes):,} fingerprints, "
                f"{len(index.common_distinct):,} set aside as common"
                f"{f', {short:,} works shorter than what is surely found' if (short := len(index.short)) else ''}"
            )

    def registered(self, ids: Collection[str]) -> dict[str, dict[str, str]]:
        """See :class:`models.matched_works.Registering`."""
        self.load()  # a process may have another state of the index from an earlier job
        wanted = pa.array(list(ids), pa.string())
        found: dict[str, dict[str, str]] = {}
        for index in self._indexes():
            rows = index.works.filter(pc.is_in(index.works["id"], value_set=wanted)).select(["id", *TOLD])
            found |= {row.pop("id"): row for row in rows.to_pylist()}
        return found

    def _found(self, documents: Documents, index: Index) -> Iterator[Finding]:
        view = documents.safe
        for row, works, is_cut_short in shared_runs(view, index, self.least_run):
            for shared in works:
                work, claim, (start, end) = index.ids[shared.work], index.claims[shared.work], shared.longest
                yield Finding(row, self.name, f"copyright.{claim}", work, shared.containment, start, end, view.name)
            if is_cut_short:
                yield Finding(row, self.name, UNSCANNED, f"more than {MOST_HITS} fingerprints of works", 1.0)
            for shared in works:
                longest = shared.longest
                for span in shared.spans:
                    if span != longest:
                        yield Finding(row, self.name, RUN, index.ids[shared.work], 1.0, *span, view.name)

    def _indexes(self) -> tuple[Index, ...]:
        if self.indexes not in _LOADED:
            self.load()
        return _LOADED[self.indexes][1]

    def _artefacts(self) -> list[Artefact]:
        return [read_artefact(folder, KIND) for folder in self.indexes]


_LOADED: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[Index, ...]]] = {}
"""By folders: what was loaded from them last, and its digests; a process may outlive an index's contents."""


def _check_distinct(indexes: tuple[Index, ...]) -> None:
    seen: set[str] = set()
    for index in indexes:
        if twice := sorted(seen.intersection(index.ids)):
            raise UsageError(f"{index.folder}: work {twice[0]!r} is in another index too; remove it from one of them")
        seen.update(index.ids)
