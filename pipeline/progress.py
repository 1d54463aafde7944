"""Progress on long work: what is done of what was planned, how fast, and how long it will take."""

import sys
import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from transforms.pool import WATCH

_STAGES = ("plan", "tag", "release")
_LINE_EVERY = 15.0


class Shown:
    """Shows progress while a run is under way: bars on a terminal, a line now and then elsewhere."""

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True)
        self._quiet = quiet
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._bytes = dict.fromkeys(_STAGES, 0)
        self._began: dict[str, float] = {}
        self._last = time.monotonic()
        self._lock = threading.Lock()

    def __enter__(self) -> "Shown":
        if self._quiet:
            return self
        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn("{task.description:8}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total} tasks"),
                TextColumn("{task.fields[speed]}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[found]}"),
                console=self._console,
            )
            self._progress.start()
        WATCH.listener = self._hear
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        WATCH.listener = None
        if self._progress is not None:
            self._progress.stop()

    def _hear(self, stage: str, count: int) -> None:
        with self._lock:
            if stage not in self._bytes:
                return
            now = time.monotonic()
            self._began.setdefault(stage, now)
            self._bytes[stage] += count
            seconds = max(now - self._began[stage], 1e-3)
            speed = f"{self._bytes[stage] / seconds / 1e6:.1f} MB/s" if self._bytes[stage] else ""
            done, planned = WATCH.done.get(stage, 0), WATCH.planned.get(stage, 0)
            found = f"{WATCH.findings:,} findings" if stage == "tag" else ""
            if self._progress is not None:
                if stage not in self._tasks:
                    self._tasks[stage] = self._progress.add_task(stage, total=planned, speed="", found="")
                self._progress.update(
                    self._tasks[stage], completed=done, total=planned or None, speed=speed, found=found
                )
            elif now - self._last > _LINE_EVERY:
                self._last = now
                left = f"about {seconds / done * (planned - done):.0f} s left" if done else ""
                said = [f"{stage}: {done}/{planned} tasks", speed, found, left]
                sys.stderr.write(", ".join(filter(None, said)) + "\n")
                sys.stderr.flush()
