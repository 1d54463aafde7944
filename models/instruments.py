"""Instruments: what a law or standard asks, clause by clause, as versioned data, and the answers of people to what no tool can know."""

import functools
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.errors import UsageError
from models.strict import Strict, load_yaml, near_miss, parse
from models.taxonomy import load_shipped

Name = Annotated[str, Field(min_length=1)]
Read = Literal["primary", "second_hand", "unread"]
"""Whether what is said rests on the published text itself, on what others say of it, or on nothing yet."""
Modality = Literal["must", "should", "note"]

PEOPLE = "people"
"""In place of what shows a clause, where nothing of a release can."""

MET, NOT_MET, NOT_APPLICABLE, NOT_SHOWN, OPEN = "met", "not_met", "not_applicable", "not_shown", "people"
STATUSES = (MET, NOT_MET, NOT_APPLICABLE, NOT_SHOWN, OPEN)
"""What can be said of a clause. ``not_shown``: the tool could show it, and the release does not; ``people``: it is for people to say."""


class Said(Strict):
    """Words in both languages."""

    en: Name
    zh: Name


class Text(Strict):
    """A text that bears on the subject, and whether it was read."""

    name: Name
    read: Read


class Chapter(Said):
    """A part of the instrument."""

    id: Name


class Clause(Said):
    """One thing that the instrument asks: ``en`` and ``zh`` say it in words of our own.

    Attributes:
        clause: its number in the text.
        shown_by: what of a release can show it, see :data:`models.clauses.CHECKS`, or :data:`PEOPLE`.
        read: where it differs from the instrument's.
    """

    id: str = Field(pattern=r"^[A-Z]\d+$")
    chapter: Name
    clause: Name
    modality: Modality
    shown_by: Name
    read: Read | None = None


class Instrument(Strict):
    """All clauses, in order."""

    id: Name = Field(alias="instrument")
    version: Name
    name: Said
    read: Read
    texts: tuple[Text, ...]
    chapters: tuple[Chapter, ...] = Field(min_length=1)
    clauses: tuple[Clause, ...] = Field(min_length=1)
    signatures: tuple[Said, ...]

    @model_validator(mode="after")
    def _check(self) -> "Instrument":
        chapters, ids = {each.id for each in self.chapters}, [each.id for each in self.clauses]
        wrong = [f"clauses: {each!r} is given twice" for n, each in enumerate(ids) if each in ids[:n]]
        wrong += [f"{each.id}: no chapter {each.chapter!r}" for each in self.clauses if each.chapter not in chapters]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self

    def read_of(self, clause: Clause) -> Read:
        """Return whether the text of a clause was read."""
        return clause.read or self.read


@functools.cache
def load_instrument(name: str) -> Instrument:
    """Return a shipped instrument.

    Raises:
        UsageError: if none has that name.
    """
    return parse(Instrument, load_shipped("instruments", name), f"{name}.yaml")


class Answer(Strict):
    """What a person answers for: the status of a clause, by whom, when, and on what it rests."""

    status: Literal["met", "not_met", "not_applicable"]
    by: Name
    day: date
    evidence: Name


class _Answers(Strict):
    answers: dict[str, Answer]


def read_answers(path: Path, instrument: Instrument) -> dict[str, Answer]:
    """Return the answers of a YAML file by clause.

    Raises:
        UsageError: with every mistake of the file, and for a clause that the instrument does not have.
    """
    given = parse(_Answers, load_yaml(path), str(path)).answers
    known = [clause.id for clause in instrument.clauses]
    for clause, answer in given.items():
        if clause not in known:
            raise UsageError(f"{path}: answers: no clause {clause!r} in {instrument.id}{near_miss(clause, known)}")
        for key in ("by", "evidence"):
            if not getattr(answer, key).strip():
                raise UsageError(
                    f"{path}: answers.{clause}.{key}: is empty; say who answers for it, and on what it rests"
                )
    return given
