"""Many patterns at once over bytes, by hyperscan."""

import threading
from collections.abc import Callable, Sequence

import hyperscan


class Scanner:
    """A compiled set of expressions. Threads may scan at once: engines run several bundles in one process.

    Args:
        expressions: at least one; a match is told by the index of its expression.
        literal: whether they are taken literally.
    """

    def __init__(self, expressions: Sequence[bytes], *, literal: bool = False) -> None:
        count = len(expressions)
        self._database = hyperscan.Database()
        self._database.compile(
            expressions=list(expressions), ids=list(range(count)), elements=count, flags=[0] * count, literal=literal
        )
        # A scratch that two threads use raises, so each thread has its own.
        self._own = threading.local()

    def scan(self, data: bytes, on_match: Callable[[int, int], None]) -> None:
        """Call ``on_match`` with expression and end of every match."""
        if not hasattr(self._own, "scratch"):
            self._own.scratch = hyperscan.Scratch(self._database)

        def tell(expression: int, _start: int, end: int, _flags: int, _context: object) -> None:
            on_match(expression, end)

        self._database.scan(data, match_event_handler=tell, scratch=self._own.scratch)
