"""What can go wrong that a person must act on; everything else is a bug and raises as itself."""

import errno

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of errors by which a system says that a disk, or a user's share of it, is full."""


def way_out(error: OSError) -> str:
    """Return what a person can do about an error of the system, in a few words."""
    return "Make room there, or choose a folder with more" if error.errno in NO_ROOM else "Mend it"


class WinnowError(Exception):
    """A failure whose message names the place and the remedy. The command line prints it without a traceback."""

    exit_code = 1


class UsageError(WinnowError):
    """The command, the run file or an artefact cannot be used as given."""

    exit_code = 2


class ShardChangedError(WinnowError):
    """A shard's bytes are not those that were planned or tagged."""


class ConservationError(WinnowError):
    """Counts of one split or source do not add up, or a stage's splits are not those of the stage before."""


class DeadLetterLimitError(WinnowError):
    """More records were dead than ``max_dead`` allows."""

    exit_code = 3


class StoreConflictError(WinnowError):
    """A name that is created once exists with other content, or a pointer was moved by another run."""


class BrokenChainError(WinnowError):
    """A ledger is not as it was written: an entry was changed, taken out or put in."""


class OutrunError(StoreConflictError):
    """Another run published since this one started; what it made is kept, and running again plans from there."""

    exit_code = 4


class InputOutputError(WinnowError):
    """Reading a shard or writing failed, however often it was tried."""


class ToolError(WinnowError):
    """A tagger broke its contract; its findings cannot be trusted and the run must not go on."""
