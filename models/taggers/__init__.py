"""The tagger contract and the table of taggers.

A tagger is a frozen dataclass that is its own configuration. Adding one takes a module of about 30 lines, one line in
:data:`BUILT_IN` (or an entry point in the group ``winnow.taggers``), and one example; the contract tests pick it up.
"""

import importlib
from importlib.metadata import entry_points
from typing import ClassVar, Protocol

from models.documents import Documents
from models.errors import UsageError
from models.findings import Findings

BUILT_IN = {
    "blocked": "models.taggers.blocked:Blocked",
    "category": "models.taggers.category:Category",
    "fingerprint": "models.taggers.fingerprint:Fingerprint",
    "lexicon": "models.taggers.lexicon:Lexicon",
    "personal": "models.taggers.personal:Personal",
    "provenance": "models.taggers.provenance:Provenance",
}
"""Name of a tagger: where its class is."""


class Tagger(Protocol):
    """What the engine asks of a tagger.

    Laws, tested for every registered tagger: findings cover every record of the batch; scores are in [0, 1]; spans lie in the
    text; findings of a record do not depend on the other records of the batch; threads may tag at once; the tagger survives
    pickling; any change of configuration, artefact or code that can change findings changes ``digest``. Artefacts are loaded on
    first use, once a process, never in the constructor.
    """

    name: ClassVar[str]
    identifiers: ClassVar[bool]
    """Whether ids, URLs and sources are to be shown to the tagger like text, because what it finds must not appear in any output."""
    paths: ClassVar[tuple[str, ...]]
    """Fields that hold paths of artefacts; relative ones are relative to the run file."""

    def __hash__(self) -> int: ...

    @property
    def digest(self) -> str:
        """Digest of configuration, artefacts and code version."""
        ...

    def load(self) -> None:
        """Load what tagging needs.

        Raises:
            UsageError: if an artefact is missing or broken, naming it and the remedy.
        """
        ...

    def tag(self, documents: Documents) -> Findings:
        """Return the findings on every record of the batch."""
        ...


def tagger_class(name: str) -> type[Tagger]:
    """Return the class registered under a name.

    Raises:
        UsageError: if there is none, naming those there are.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found: type[Tagger] = getattr(importlib.import_module(module), attribute)
        return found
    others = {point.name: point for point in entry_points(group="winnow.taggers")}
    if name in others:
        loaded: type[Tagger] = others[name].load()
        return loaded
    known = ", ".join(sorted({*BUILT_IN, *others}))
    raise UsageError(f"no tagger is called {name!r}; there are: {known}")
