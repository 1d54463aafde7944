"""Garbage collection: the only thing that deletes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from models.catalogue import Catalogue
from models.errors import UsageError
from models.release_split import receipt_name
from models.store import Entry, Store
from pipeline import purged
from pipeline.corpus import Corpus
from pipeline.purge import purge
from pipeline.status import ENDED, begun, status
from pipeline.waiting import all_waiting
from transforms.notes import Notes
from transforms.workspace import open_store

DAY = 86_400.0
SILENT = DAY
"""A run that nobody watches counts as under way until it has given no sign of life for so many seconds: a task may take hours."""


@dataclass(frozen=True)
class Collected:
    """What was (or would be) deleted: releases, how many store objects of how many bytes, and how many held what is withdrawn or purged."""

    releases: tuple[int, ...]
    objects: int
    bytes: int
    withdrawn: int


def collect(corpus: Corpus, keep: int, grace_days: float, *, is_trial: bool) -> Collected:
    """Delete releases but the current and the last ``keep``, and store objects that neither they nor a finished run names.

    Withdrawn and purged text has no grace time: parts that hold some go from earlier releases too, which keep a tombstone; and while
    something is withdrawn or purged, so do unnamed parts from before the run that made the current release.

    Objects younger than the grace time stay, by the clock of the file system that holds them: a run that was killed finds them
    when it is started again.

    Raises:
        UsageError: if there is no corpus, or a run is under way.
    """
    corpus.check_exists()
    with corpus.store.not_in_use():
        _check_unwatched(corpus)
        return _collect(corpus, keep, grace_days, is_trial)


def give_up(corpus: Corpus, runs: Iterable[str]) -> None:
    """Note of runs that they have ended, though nobody saw them end.

    Raises:
        UsageError: if one was never started.
    """
    for run in runs:
        status(corpus, run)
        Notes(corpus.root, run).end("failed", "Lost")


def _check_unwatched(corpus: Corpus) -> None:
    """Make sure that no job goes on without its launcher, whose lease would tell: detached, or left behind by a kill.

    Raises:
        UsageError: naming one that may.
    """
    for run in begun(corpus):
        if not (Notes(corpus.root, run).read("started") or {}).get("outlives"):  # gone since it was listed
            continue
        found = status(corpus, run)
        if found.state not in ENDED and found.silent < SILENT:
            raise UsageError(
                f"{corpus.root}: run {run} on {found.engine} has not ended, as far as is known: {found.state}, last sign of it "
                f"{found.silent:,.0f} s ago; try again when it has. If it is known to be dead: winnow gc {corpus.root} --ended {run}"
            )


def _collect(corpus: Corpus, keep: int, grace_days: float, is_trial: bool) -> Collected:
    current = corpus.number
    # A number beyond the current one was staged by a run that died before it moved the pointer.
    numbers = [number for number in corpus.numbers() if number <= current]
    kept = {*numbers[-max(1, keep) :], current} & set(numbers)
    dropped = tuple(number for number in numbers if number not in kept)
    named: set[str] = set()
    for number in kept:
        named |= _named(corpus, corpus.manifest(number)["catalogue"])
    for run, outcome, _ in all_waiting(corpus):
        named.add(f"runs/{run}/outcome.json")
        named |= {*_named(corpus, outcome.catalogue), outcome.moves}
    roots = {corpus.restricted(corpus.manifest(number)) for number in numbers} - {corpus.root}
    has_text = _may_hold_text(corpus)
    held = purge(corpus, is_trial=is_trial) if current else {}
    count, size = len(held), sum(held.values())
    for number in dropped:  # before what they consist of
        if not is_trial:
            corpus.releases.remove(number, corpus.restricted(corpus.manifest(number)))
    for store in (corpus.store, *(open_store(f"{root}/store") for root in sorted(roots))):
        # What says that a release was made goes before what was made: half done, nothing says so of parts that are gone.
        stale = _stale(store, named, grace_days, has_text)
        for entry in sorted(stale, key=lambda entry: not entry.name.startswith("receipts/")):
            if (store.root.removesuffix("/store"), entry.name) in held:
                continue  # of a trial
            count, size = count + 1, size + entry.size
            if not is_trial:
                store.delete(entry.name)
    return Collected(dropped, count, size, len(held))


def _named(corpus: Corpus, catalogue: Mapping[str, str]) -> set[str]:
    """Return every store object that a catalogue names."""
    opened = Catalogue.open(corpus.store, catalogue["index"])
    named = {*catalogue.values(), *(name for ref in opened.segments for name in ref.objects)}
    for row in opened.rows():
        named |= {part.object for part in row.release.files}
        named |= {layer.name for layer in row.layers}
        named.add(receipt_name(row.release.digest))
    return named


def _may_hold_text(corpus: Corpus) -> Callable[[Entry], bool]:
    """Return what tells the objects that may hold withdrawn text although no release names them: of killed and outrun runs.

    Only what is older than the start of the run that made the current release, which knew what is withdrawn: a run that started
    before cannot publish any more.
    """
    manifest = corpus.manifest() if corpus.number else None
    is_purged = bool(purged.previous(corpus).get("purged"))
    if manifest is None or not (manifest["job"]["withdrawn"] or is_purged):
        return lambda _: False
    before = datetime.fromisoformat(manifest["started"]).timestamp()

    def is_text(entry: Entry) -> bool:
        top, _, rest = entry.name.partition("/")
        # Of what is purged the audit and layers of such runs tell too much as well.
        is_part = top == "parts" and (is_purged or not rest.rpartition("/")[2].startswith("audit"))
        return (is_part or top == "tmp" or (is_purged and top == "layers")) and entry.modified < before

    return is_text


def _stale(store: Store, named: set[str], grace_days: float, has_text: Callable[[Entry], bool]) -> Iterator[Entry]:
    before = store.now() - grace_days * DAY
    return (
        entry
        for entry in store.list("")
        if entry.name not in named
        and (entry.modified < before or has_text(entry))
        and not Path(entry.name).name.startswith(".")
        and not entry.name.startswith(
            ("leases/", "withdrawals/", "decisions/", "reviews/")
        )  # the ones run out by themselves, the others never
    )
