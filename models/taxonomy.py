"""Taxonomies: the categories that a published instrument names, and the sets of them that its rules speak of."""

import functools
import importlib.resources
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from models.errors import UsageError
from models.strict import Strict, load_yaml, near_miss, parse

_SET_NAME = re.compile(r"[A-Z][A-Z0-9_]+")


def _glob(value: str) -> str:
    if set(value) & set("[]!"):
        raise ValueError(f"{value!r} may use the wildcards * and ? only")
    return value


Glob = Annotated[str, Field(min_length=1), AfterValidator(_glob)]
"""A name in which ``*`` stands for any characters and ``?`` for one."""
Name = Annotated[str, Field(min_length=1)]


class Risk(Strict):
    """One category: its id (``A.1.f``) and its names in Chinese and English."""

    id: Name
    zh: Name
    en: Name


class Section(Strict):
    """A heading of the instrument with the risks under it."""

    id: Name
    zh: Name
    en: Name
    risks: tuple[Risk, ...] = Field(min_length=1)


class Taxonomy(Strict):
    """The risks of one instrument, in its order, and named sets of them."""

    name: Name = Field(alias="taxonomy")
    instrument: Name
    sections: tuple[Section, ...] = Field(min_length=1)
    sets: dict[str, tuple[Glob, ...]]

    @model_validator(mode="after")
    def _check(self) -> "Taxonomy":
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("risks: an id is given twice")
        for section in self.sections:
            for risk in section.risks:
                if not risk.id.startswith(f"{section.id}."):
                    raise ValueError(f"sections: risk {risk.id!r} does not belong under {section.id!r}")
        for name, globs in self.sets.items():
            if not _SET_NAME.fullmatch(name):
                raise ValueError(f"sets: {name!r} must be upper-case letters and digits")
            for glob in globs:
                if not any(fnmatchcase(each, glob) for each in self.ids):
                    raise ValueError(f"sets.{name}: {glob!r} matches no risk")
        return self

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids, in the instrument's order."""
        return tuple(risk.id for section in self.sections for risk in section.risks)

    def expand(self, names: Iterable[str]) -> frozenset[str]:
        """Return the ids that sets (``UNLAWFUL29``), globs (``A.1.*``) or ids name.

        Raises:
            UsageError: if a name stands for no id.
        """
        found: set[str] = set()
        for name in names:
            globs = self.sets.get(name, (name,))
            named = {each for each in self.ids if matches(each, globs)}
            if not named:
                raise UsageError(f"{name!r} names no risk of {self.name}{self._near(name)}")
            found |= named
        return frozenset(found)

    def patterns(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return names with sets replaced by their ids, sorted and each once; other globs stay as they are.

        A policy may also name categories that no instrument has (``personal.*``), so a name is a mistake only if it
        looks like a set or begins like an id of this taxonomy and yet names nothing: such a rule would never act.

        Raises:
            UsageError: for such a name.
        """
        roots = {each.split(".")[0] for each in self.ids}
        found: set[str] = set()
        for name in names:
            ours = name in self.sets or _SET_NAME.fullmatch(name) or name.split(".")[0] in roots
            ids = self.expand([name]) if ours else frozenset()
            found |= ids if name in self.sets else {name}
        return tuple(sorted(found))

    def _near(self, name: str) -> str:
        known: tuple[str, ...] = tuple(self.sets) if _SET_NAME.fullmatch(name) else self.ids
        return near_miss(name, known)


def matches(word: str, globs: Sequence[str]) -> bool:
    """Return whether any of the globs matches a category."""
    return any(fnmatchcase(word, glob) for glob in globs)


@functools.cache
def load_taxonomy(name: str = "tc260-003") -> Taxonomy:
    """Return a shipped taxonomy.

    Raises:
        UsageError: if none has that name.
    """
    return parse(Taxonomy, load_shipped("taxonomies", name), f"{name}.yaml")


def load_shipped(folder: str, name: str) -> Any:
    """Return the content of ``<name>.yaml`` in a folder of the package data ``configs``.

    Raises:
        UsageError: if there is none of that name; the message says which are near.
    """
    files = importlib.resources.files("configs").joinpath(folder)
    names = [file.name.removesuffix(".yaml") for file in files.iterdir() if file.name.endswith(".yaml")]
    if name not in names:
        raise UsageError(f"{folder}: there is no {name!r}{near_miss(name, names)}")
    with importlib.resources.as_file(files.joinpath(f"{name}.yaml")) as path:
        return load_yaml(path)
