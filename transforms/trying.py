"""Trying again: what fails with an input or output error may pass, and is tried three times in every step of the graph."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from models.errors import InputOutputError, WinnowError, way_out

TRIES = 3
T = TypeVar("T")


def tried(stage: str, name: str, work: Callable[[], T]) -> T:
    """Return what some work gives.

    Args:
        name: what it is about.

    Raises:
        InputOutputError: if it failed each time.
    """
    for tries in itertools.count(1):
        try:
            return work()
        except WinnowError:
            raise
        except OSError as error:
            wait_after(tries, stage, name, error)
    raise AssertionError("not reached")


def tried_each(stage: str, name: str, make: Callable[[], Iterable[T]]) -> Iterator[T]:
    """Give what an iterable gives, each once: after an error it is made anew, and what was given is passed over.

    Args:
        make: gives the same in the same order each time.

    Raises:
        InputOutputError: if it failed each time.
    """
    given = 0
    for tries in itertools.count(1):
        try:
            for each in itertools.islice(make(), given, None):
                given += 1
                yield each
        except WinnowError:
            raise
        except OSError as error:
            wait_after(tries, stage, name, error)
        else:
            return


def wait_after(tries: int, stage: str, name: str, error: OSError) -> None:
    """Wait before the next try.

    Raises:
        InputOutputError: if there is none.
    """
    if tries >= TRIES:
        raise InputOutputError(
            f"{stage}: {name}: {error} (tried {TRIES} times); nothing of this run was published. {way_out(error)} and run again: "
            "what is done is not done anew"
        ) from error
    time.sleep(0.2 * tries)
