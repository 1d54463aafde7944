"""What comes back from people: checked as a whole, and entered or refused as a whole."""

import csv
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.chain import Entry
from models.digest import digest_of_file
from models.errors import UsageError
from models.review_files import Answer, Answers, shown_hash
from models.reviews import (
    ADJUDICATION,
    IMPORT,
    LABEL,
    SAID,
    UNFIT,
    UNLAWFUL,
    UNSURE,
    WORDS,
    Reviews,
    Said,
    Sample,
    chain_of,
    keep_table,
    person_key,
)
from models.store import Store
from models.strict import near_miss
from models.taxonomy import Taxonomy

_CLOCKS_DIFFER = timedelta(days=1)
_TOLD = 20  # faults that a message tells, and tasks that it names


@dataclass(frozen=True)
class Register:
    """People who may judge, and until when.

    Attributes:
        sha256: of the file.
        until: last day, ISO 8601, by :func:`models.reviews.person_key`.
    """

    name: str
    sha256: str
    until: Mapping[str, str]


def read_register(path: Path) -> Register:
    """Read a CSV file with the columns ``name`` and ``qualified_until``.

    Raises:
        UsageError: naming what is wrong where.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read as CSV in UTF-8 ({type(error).__name__}); check the file") from None
    until: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        try:
            key, day = person_key(row["name"]), date.fromisoformat(row["qualified_until"].strip()).isoformat()
        except (KeyError, TypeError, AttributeError):
            raise UsageError(f"{path}: row {number}: needs the columns name and qualified_until") from None
        except ValueError:
            raise UsageError(f"{path}: row {number}: qualified_until must be a day such as 2026-12-31") from None
        if not key or key in until:
            raise UsageError(f"{path}: row {number}: the name is empty or there already; give each person one row")
        until[key] = day
    return Register(path.name, digest_of_file(path), until)


@dataclass(frozen=True)
class Terms:
    """On which terms verdicts are taken.

    Attributes:
        taxonomy: whose risks a category may be.
        day: of the import, ISO 8601.
        partial: whether tasks may still lack an answer.
        replace: why a verdict takes the place of another by the same person; empty if none may.
        register: of people who may judge; None for anybody.
    """

    taxonomy: Taxonomy
    day: str
    partial: bool = False
    replace: str = ""
    register: Register | None = None


@dataclass(frozen=True)
class Imported:
    """What an import came to.

    Attributes:
        entry: its id, empty if everything was there already.
        reviews: the ledger as it then stands.
        samples: ids of the samples whose packages were answered.
        answered: tasks that the files answer.
        fresh: verdicts that were not there.
    """

    entry: str
    reviews: Reviews
    samples: tuple[str, ...]
    answered: frozenset[str]
    fresh: int


@dataclass(frozen=True)
class _Row:
    place: str
    task: str
    said: Said


def import_answers(store: Store, folder: Path, files: Sequence[Answers], terms: Terms) -> Imported:
    """Enter what people said.

    Verdicts that are there already change nothing, so a file may come twice.

    Args:
        folder: on this machine, for the table while it is written.

    Raises:
        UsageError: with all that is wrong, each with its place; nothing is entered then.
    """
    done: list[tuple[Reviews, list[_Row], list[_Row]]] = []

    def make(entries: Sequence[Entry]) -> Mapping[str, Any] | None:
        reviews = Reviews(store, entries)
        checker = _Checker(reviews, terms)
        rows = [row for file in files for row in checker.rows(file)]
        fresh, replaced = checker.against(rows)
        checker.check_complete(rows, [answer for file in files for answer in file.rows])
        checker.raise_faults()
        done[:] = [(reviews, rows, fresh)]
        if not fresh:
            return None
        register = {"name": terms.register.name, "sha256": terms.register.sha256} if terms.register else None
        return {
            "kind": IMPORT,
            "imported": terms.day,
            "samples": sorted({checker.sample_of[row.task].entry for row in rows}),
            "files": [{"name": each.name, "sha256": each.sha256} for each in files],
            "partial": terms.partial,
            "replaced": len(replaced),
            "reason": terms.replace.strip() if replaced else "",
            "register": register,
            "table": keep_table(store, folder, IMPORT, _table(fresh)),
        }

    entry = chain_of(store).append(make)
    reviews, rows, fresh = done[0]
    if entry is not None:
        reviews = Reviews(store, chain_of(store).entries())
    owners = {task: each.entry for each in reviews.samples.values() for task in each.asked}
    answered = frozenset(row.task for row in rows)
    named = tuple(sorted({owners[task] for task in answered}))
    return Imported(entry.id if entry else "", reviews, named, answered, len(fresh) if entry else 0)


def _table(rows: Iterable[_Row]) -> pa.Table:
    found = [{"task": row.task, **row.said._asdict()} for row in rows]
    return pa.Table.from_pylist(
        sorted(found, key=lambda row: (row["task"], row["role"], person_key(row["person"]))), SAID
    )


class _Checker:
    """Finds everything that is wrong with what came back."""

    def __init__(self, reviews: Reviews, terms: Terms) -> None:
        self._reviews, self._terms = reviews, terms
        self._faults: list[str] = []
        self.sample_of: dict[str, Sample] = {}
        self._shown: dict[str, bytes] = {}
        for sample in reviews.samples.values():
            for task, shown in zip(sample.table["task"].to_pylist(), sample.table["shown"].to_pylist(), strict=True):
                if task in sample.asked:
                    self.sample_of[task], self._shown[task] = sample, shown
        self._unlawful = terms.taxonomy.expand(["UNLAWFUL29"])

    def raise_faults(self) -> None:
        if self._faults:
            more = len(self._faults) - _TOLD
            told = "\n".join(self._faults[:_TOLD]) + (f"\nand {more:,} more" if more > 0 else "")
            raise UsageError(f"nothing was entered:\n{told}")

    def rows(self, file: Answers) -> Iterator[_Row]:
        """Give the verdicts of a file."""
        seen: dict[tuple[str, str], str] = {}
        for answer in file.rows:
            task = answer.values["task"]
            key = task, person_key(answer.values["annotator"] or answer.values["reviewer"])
            if task not in self.sample_of:
                self._fault(answer, f"task {task or '(none)'} is of no sample of this corpus; leave its package's rows")
            elif shown_hash(answer.values["text"]) != self._shown[task]:
                self._fault(
                    answer,
                    f"the text of task {task} is not the one that was given out; take it from the package again, and where a spreadsheet "
                    "changed it (long texts, control characters), use JSON Lines",
                )
            elif key in seen:
                self._fault(
                    answer, f"task {task} was answered by the same person in {seen[key]} already; leave one row"
                )
            elif answer.is_given:
                seen[key] = answer.place
                said = self._said(answer)
                if said is not None:
                    yield _Row(answer.place, task, said)
            elif answer.values["category"]:
                self._fault(answer, "a category is filled in, but no verdict; give one, or empty the row")

    def _fault(self, answer: Answer, said: str) -> None:
        self._faults.append(f"{answer.place}: {said}")

    def _said(self, answer: Answer) -> Said | None:
        values, before = answer.values, len(self._faults)
        verdict = values["verdict"].casefold()
        role, name = (ADJUDICATION, "reviewer") if values["reviewer"] else (LABEL, "annotator")
        person = " ".join(unicodedata.normalize("NFKC", values[name]).split())
        if bool(values["reviewer"]) == bool(values["annotator"]):
            self._fault(
                answer,
                "name one person: as annotator who judged alone, or as reviewer who decided between two; one person is never both",
            )
        if verdict not in WORDS:
            self._fault(answer, f"verdict {values['verdict']!r}{near_miss(verdict, WORDS)}")
        elif role == ADJUDICATION and verdict == UNSURE:
            self._fault(answer, "who decides between two cannot be unsure; say lawful, unfit or unlawful")
        self._check_category(answer, verdict)
        started, ended = (self._time(answer, each) for each in ("started_at", "ended_at"))
        if started is not None and ended is not None and ended < started:
            self._fault(answer, "ended_at is before started_at")
        self._check_qualified(answer, person, ended if ended is not None else started)
        if len(self._faults) > before:
            return None
        return Said("", role, person, verdict, values["category"], started, ended)

    def _check_category(self, answer: Answer, verdict: str) -> None:
        category = answer.values["category"]
        if not category:
            return
        allowed = {
            UNLAWFUL: sorted(self._unlawful),
            UNFIT: [each for each in self._terms.taxonomy.ids if each not in self._unlawful],
        }.get(verdict, [])
        if category not in allowed:
            known = near_miss(category, allowed) if allowed else f"; {verdict or 'no verdict'} goes without one"
            self._fault(answer, f"category {category!r} does not go with {verdict or 'no verdict'}{known}")

    def _time(self, answer: Answer, name: str) -> int | None:
        written = answer.values[name]
        if not written:
            return None
        try:
            found = datetime.fromisoformat(written)
        except ValueError:
            self._fault(answer, f"{name} {written!r}: say a time such as 2026-11-01T09:30:00+08:00")
            return None
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        if found > datetime.now(UTC) + _CLOCKS_DIFFER:
            self._fault(answer, f"{name} {written!r} is in the future")
            return None
        return int(found.timestamp())

    def _check_qualified(self, answer: Answer, person: str, at: int | None) -> None:
        register = self._terms.register
        if register is None or not person:
            return
        until = register.until.get(person_key(person))
        if until is None:
            self._fault(answer, f"{person} is not in {register.name}; who judges must be qualified")
        elif at is None:
            self._fault(
                answer, f"no time is given, so it cannot be told whether {person} was qualified (until {until})"
            )
        elif (day := datetime.fromtimestamp(at, UTC).date().isoformat()) > until:
            self._fault(answer, f"{person} was qualified until {until}, the verdict is of {day}")

    def against(self, rows: Sequence[_Row]) -> tuple[list[_Row], list[_Row]]:
        """Return the verdicts that are not there yet, and those of them that take the place of another by the same person."""
        fresh, replaced = [], []
        both: list[str] = []
        now: dict[tuple[str, str, str], Said] = {}
        standing = {
            task: {(e.role, person_key(e.person)): e for e in self._all(task)} for task in {r.task for r in rows}
        }
        disputed = {task for task in standing if self._reviews.is_disputed(task)}
        # Labels first: of two files given at once the one may decide on what the other labels.
        for row in sorted(rows, key=lambda row: row.said.role != LABEL):
            here, key = standing[row.task], (row.said.role, person_key(row.said.person))
            other = ADJUDICATION if row.said.role == LABEL else LABEL
            if (other, key[1]) in here:
                both.append(f"{row.task} ({row.said.person})")
                continue
            once = now.setdefault((row.task, *key), row.said)
            if (there := here.get(key)) is not None:
                if _told(once) == _told(there) == _told(row.said):
                    continue
                # Of two files that come together neither takes the place of the other.
                if once is row.said and self._terms.replace.strip():
                    replaced.append(row)
                else:
                    self._faults.append(
                        f"{row.place}: {row.said.person} said {_told(there)} of task {row.task} before, now {_told(row.said)}; give one, or "
                        "replace it: --replace REASON"
                    )
                    continue
            elif full := self._full(row, here, disputed):
                self._faults.append(f"{row.place}: task {row.task} {full}")
                continue
            here[key] = row.said
            labels = [each for (role, _), each in here.items() if role == LABEL]
            words = {each.verdict for each in labels}
            if len(labels) == 2:
                (disputed.add if len(words) > 1 or UNSURE in words else disputed.discard)(row.task)
            fresh.append(row)
        if both:
            named = ", ".join(both[:_TOLD]) + (f" and {len(both) - _TOLD:,} more" if len(both) > _TOLD else "")
            self._faults.append(
                f"one person never judges a record and decides on it: {named}; let somebody else decide these"
            )
        return fresh, replaced

    def _all(self, task: str) -> list[Said]:
        return [*self._reviews.said(task, LABEL), *self._reviews.said(task, ADJUDICATION)]

    @staticmethod
    def _full(row: _Row, here: Mapping[tuple[str, str], Said], disputed: set[str]) -> str:
        given = Counter(role for role, _ in here)
        if row.said.role == LABEL and given[LABEL] >= 2:
            people = " and ".join(each.person for (role, _), each in sorted(here.items()) if role == LABEL)
            return f"has its two verdicts already, of {people}; a third decides only where they differ, as reviewer"
        if row.said.role == ADJUDICATION and given[ADJUDICATION]:
            return "was decided on by somebody else already"
        if row.said.role == ADJUDICATION and row.task not in disputed:
            return (
                "is not in dispute: nothing is to be decided until two people have judged it and differ, or are unsure"
            )
        return ""

    def check_complete(self, rows: Sequence[_Row], answers: Sequence[Answer]) -> None:
        """Note which tasks of a package somebody who answers it has left out."""
        if self._terms.partial:
            return
        people: dict[tuple[str, str, str], set[str]] = {}
        for row in rows:
            key = self.sample_of[row.task].entry, row.said.role, person_key(row.said.person)
            people.setdefault(key, set()).add(row.task)
        for (entry, role, person), done in sorted(people.items()):
            sample = self._reviews.samples[entry]
            wanted = sample.asked if role == LABEL else {t for t in sample.asked if self._reviews.is_disputed(t)}
            done |= {t for t in wanted if any(person_key(e.person) == person for e in self._reviews.said(t, role))}
            self._say_missing(sorted(wanted - done), entry, person)
        if not rows and not self._faults:
            named = sorted(
                {self.sample_of[a.values["task"]].entry for a in answers if a.values["task"] in self.sample_of}
            )
            self._faults.append(
                f"no verdict is in the files{f' (package of {named[0]})' if named else ''}; fill them in first"
            )

    def _say_missing(self, missing: Sequence[str], entry: str, person: str) -> None:
        if missing:
            named = ", ".join(missing[:_TOLD]) + (f" and {len(missing) - _TOLD:,} more" if len(missing) > _TOLD else "")
            self._faults.append(
                f"{len(missing):,} tasks of the package of {entry} have no verdict of {person}: {named}; answer them, or take what is there as "
                "a part (--partial): the sample does not count until all are final"
            )


def _told(said: Said) -> str:
    return f"{said.verdict}{f' ({said.category})' if said.category else ''}"
