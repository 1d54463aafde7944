"""All cores of one machine inside one DoFn: a process pool that opens no port and never sees a record's text pickled.

Beam's in-memory runner runs a stage's elements one after another. This DoFn hands them to worker processes and gives the results
on as they come. Elements are small (splits), results are receipts.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from models.errors import ToolError, WinnowError
from models.taggers import BUILT_IN
from transforms.guard import guard
from transforms.notes import Notes
from transforms.trying import tried, wait_after

Beat = Callable[[str, int], None]
Work = Callable[[Any, Any, Beat], Any]
"""A function of the element, the shared argument and a place to report to; importable by name."""

# Imported once, by the process that all workers are forked from.
_PRELOAD = [
    "transforms.tag",
    "transforms.release",
    "transforms.plan",
    *(place.split(":")[0] for place in BUILT_IN.values()),
]


class Watch:
    """Hears where every worker stands; for the process that launched the run.

    Attributes:
        listener: told the stage and the bytes of every report.
        last: by number of task, when it reported last, from where, and its process.
        planned, done: tasks by stage.
        findings: of all taggers.
        pids: of every process that reported.
    """

    def __init__(self) -> None:
        self.listener: Callable[[str, int], None] | None = None
        self.last: dict[int, tuple[float, str, int]] = {}
        self.planned: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.findings = 0
        self.pids: set[int] = set()

    def hear(self, number: int, pid: int, stage: str, place: str, count: int) -> None:
        self.last[number] = (time.monotonic(), place, pid)
        self.pids.add(pid)
        if self.listener is not None:
            self.listener(stage, count)

    def finish(self, stage: str) -> None:
        self.done[stage] += 1
        if self.listener is not None:
            self.listener(stage, 0)

    def count(self, counts: Mapping[str, int]) -> None:
        self.findings += sum(count for name, count in counts.items() if name.startswith("findings_"))

    def stalled(self, running: set[int], timeout: float) -> tuple[str, int] | None:
        """Return place and process of a task that said nothing for too long."""
        now = time.monotonic()
        for number in running:
            since, place, pid = self.last.get(number, (now, "", 0))
            if pid and now - since > timeout:
                return place, pid
        return None


WATCH = Watch()
_NUMBERS = itertools.count(1)
"""Of tasks, never used twice: what is known of one that ended must not be taken for one that waits. 0 is this process."""
_beats: Any = None


def _initialize(beats: Any) -> None:
    global _beats
    _beats = beats
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A worker whose launcher was killed would wait for its next task for ever.
        threading.Thread(target=_die_with, args=(parent,), daemon=True).start()


def _die_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _call(work: Work, number: int, stage: str, element: Any, shared: Any) -> Any:
    def beat(place: str, count: int) -> None:
        _beats.put((number, os.getpid(), stage, place, count))

    beat("", 0)
    return work(element, shared, beat)


class Pool:
    """A process pool that can be made anew after a worker died."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._executor = self._make()

    def _make(self) -> ProcessPoolExecutor:
        # A queue for each: a worker that is killed while it reports holds the queue's lock for ever.
        beats = self._context.SimpleQueue()
        threading.Thread(target=_listen, args=(beats,), daemon=True).start()
        return ProcessPoolExecutor(self._workers, self._context, _initialize, (beats,))

    def submit(self, *args: Any) -> "Future[Any]":
        return self._executor.submit(_call, *args)

    def renew(self) -> None:
        """Start anew after a worker died."""
        self.end()
        self._executor = self._make()

    def end(self) -> None:
        """Stop at once, whatever is under way."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            if child.pid in WATCH.pids:
                child.kill()


def warm_up() -> None:
    """Begin to import what workers need, while the launcher reads its run file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOAD)
    forkserver.ensure_running()


def _listen(beats: Any) -> None:
    while True:
        try:
            WATCH.hear(*beats.get())
        except (EOFError, OSError):
            return


_pool: Pool | None = None


def _shared_pool(workers: int) -> Pool:
    global _pool
    if _pool is None:
        _pool = Pool(workers)
    return _pool


def end_pool() -> None:
    """Stop all workers at once, after a run that failed or was interrupted."""
    global _pool
    if _pool is not None:
        _pool.end()
        _pool = None


class Pooled(beam.DoFn):
    """Applies ``work(element, shared, beat)`` to every element, in processes of its own.

    A task that fails with an input or output error is tried three times. A worker that dies takes its task with it: what was
    under way is then tried alone, once; what kills a worker again fails the run. A task that reports nothing for
    ``stall_timeout`` seconds is killed and fails the run, which names where it stood: a pattern that never ends must not
    hang a night, and time must not decide what is found.

    With no workers the work is done in this process, which is an engine's: that tries again what fails, and a guard ends the process if a
    task stalls; none does if ``stall_timeout`` is 0.

    Args:
        notes: where errors of ours are kept for the launcher.
        name: what to call an element in errors.
        is_small: tells elements that are not worth a process.
    """

    def __init__(
        self,
        stage: str,
        work: Work,
        shared: Any,
        notes: Notes,
        workers: int,
        stall_timeout: float,
        name: Callable[[Any], str],
        is_small: Callable[[Any], bool] = lambda _: False,
    ) -> None:
        self._stage, self._work, self._shared, self._notes = stage, work, shared, notes
        self._workers, self._stall, self._name, self._is_small = workers, stall_timeout, name, is_small

    def start_bundle(self) -> None:
        self._running: dict[Future[Any], tuple[int, Any, int]] = {}
        self._lost: list[Any] = []

    def process(self, element: Any) -> Iterator[Any]:
        with self._notes.step():
            yield from self._process(element)

    def _process(self, element: Any) -> Iterator[Any]:
        if not self._workers or self._is_small(element):
            result = self._here(element)
            WATCH.finish(self._stage)
            yield result
            return
        self._submit(element, 1)
        while self._lost or len(self._running) >= 2 * self._workers:
            yield from self._collect()

    def _here(self, element: Any) -> Any:
        """Do a task in this process, under the eyes of a guard where this is an engine's."""

        def hear(place: str, count: int) -> None:
            WATCH.hear(0, 0, self._stage, place, count)

        def work(beat: Beat) -> Any:
            return tried(self._stage, self._name(element), lambda: self._work(element, self._shared, beat))

        if self._workers or not self._stall:
            return work(hear)
        watcher = guard(self._notes.root, self._notes.run, self._stall)
        return watcher.watched(self._stage, work, hear)

    def finish_bundle(self) -> Iterator[Any]:
        with self._notes.step():
            while self._running or self._lost:
                for result in self._collect():
                    yield GlobalWindows.windowed_value(result)

    def _submit(self, element: Any, tries: int) -> None:
        number = next(_NUMBERS)
        try:
            future = _shared_pool(self._workers).submit(self._work, number, self._stage, element, self._shared)
        except BrokenProcessPool:
            self._lost.append(element)  # a worker died since the last look
            return
        self._running[future] = (number, element, tries)

    def _collect(self) -> list[Any]:
        done, _ = wait(self._running, timeout=1.0, return_when=FIRST_COMPLETED)
        if not done:
            self._check_stall({number for number, _, _ in self._running.values()})
        results = []
        lost, self._lost = self._lost, []
        for future in done:
            number, element, tries = self._running.pop(future)
            WATCH.last.pop(number, None)
            try:
                results.append(future.result())
                WATCH.finish(self._stage)
            except BrokenProcessPool:
                lost.append(element)
            except WinnowError:
                raise
            except OSError as error:
                wait_after(tries, self._stage, self._name(element), error)
                self._submit(element, tries + 1)
        return results + (self._alone(lost) if lost else [])

    def _check_stall(self, running: set[int]) -> None:
        stalled = WATCH.stalled(running, self._stall)
        if stalled is None:
            return
        place, pid = stalled
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        raise ToolError(
            f"{self._stage}: no progress for {self._stall:g} s at {place}; a pattern or tool does not end there. "
            "Mend the tagger, or raise stall_timeout"
        )

    def _alone(self, lost: list[Any]) -> list[Any]:
        """Try one by one what was under way when a worker died."""
        lost += [element for _, element, _ in self._running.values()]
        self._running.clear()
        pool = _shared_pool(self._workers)
        pool.renew()
        return [self._one(element, pool) for element in lost]

    def _one(self, element: Any, pool: Pool) -> Any:
        for tries in itertools.count(1):
            number = next(_NUMBERS)
            future = pool.submit(self._work, number, self._stage, element, self._shared)
            while not wait([future], timeout=1.0).done:
                self._check_stall({number})
            try:
                result = future.result()
            except BrokenProcessPool:
                raise ToolError(
                    f"{self._name(element)}: the worker process died twice on it (killed, out of memory, or a crash in "
                    "native code); nothing of it was released"
                ) from None
            except WinnowError:
                raise
            except OSError as error:
                wait_after(tries, self._stage, self._name(element), error)
            else:
                WATCH.finish(self._stage)
                return result
        raise AssertionError("not reached")
