"""A guard beside a worker of another engine: a process that ends the worker when a task reports nothing for too long.

A thread of the worker could not do it: what never ends, such as the search for a pattern, may hold the interpreter's lock.
The engine then tries the task again elsewhere, and gives up after its own number of tries.
"""

import functools
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable

Beat = Callable[[str, int], None]
_NUMBERS = itertools.count(1)
_EVERY = 1.0


class Guard:
    """The worker's side.

    Args:
        root, run: of the notes in which a stall is noted.
        timeout: seconds.
    """

    def __init__(self, root: str, run: str, timeout: float) -> None:
        command = [sys.executable, "-m", "transforms.guard", root, run, str(timeout)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()

    def watched(self, stage: str, work: Callable[[Beat], object], beat: Beat) -> object:
        """Do some work that reports now and then, and return what it gives."""
        number, last = next(_NUMBERS), 0.0

        def tell(place: str, count: int) -> None:
            nonlocal last
            beat(place, count)
            if time.monotonic() - last > _EVERY:
                last = time.monotonic()
                self._say(number, f"{stage}: no progress for {{}} s at {place or 'its begin'}")

        tell("", 0)
        try:
            return work(tell)
        finally:
            self._say(number, "")

    def _say(self, number: int, said: str) -> None:
        # In one piece, for threads of the worker share the pipe: so much is never mixed with what others write.
        while len(line := json.dumps([number, said]).encode() + b"\n") > select.PIPE_BUF:
            said = said[: len(said) * 3 // 4]
        os.write(self._pipe, line)

    @property
    def lives(self) -> bool:
        return self._process.poll() is None


@functools.cache
def _started(root: str, run: str, timeout: float, process: int) -> Guard:
    del process  # a forked process needs a guard of its own
    return Guard(root, run, timeout)


def guard(root: str, run: str, timeout: float) -> Guard:
    """Return the guard of this process for a run, started if there is none, or none any more."""
    found = _started(root, run, timeout, os.getpid())
    if not found.lives:
        _started.cache_clear()
        found = _started(root, run, timeout, os.getpid())
    return found


def watch(root: str, run: str, timeout: float) -> None:
    """Read what tasks report until the worker ends, and end it if one of them falls silent."""
    last: dict[int, tuple[float, str]] = {}
    rest = b""
    while True:
        if select.select([0], [], [], min(_EVERY, timeout / 4))[0]:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                number, said = json.loads(line)
                last.pop(number, None)
                if said:
                    last[number] = time.monotonic(), said
        for since, said in last.values():
            if time.monotonic() - since > timeout:
                _end(root, run, said.replace("{}", f"{timeout:g}", 1))
                return


def _end(root: str, run: str, said: str) -> None:
    from models.errors import ToolError
    from transforms.notes import Notes

    message = f"{said}; a pattern or tool does not end there. Mend the tagger, or raise stall_timeout"
    sys.stderr.write(f"winnow: {message}\n")
    try:
        Notes(root, run).note(ToolError(message))
    finally:
        os.kill(os.getppid(), signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the worker's end is its own
    watch(sys.argv[1], sys.argv[2], float(sys.argv[3]))
