"""Structured logs: a JSON object a line, with the run's name, and never text of a record."""

import json
import logging
import sys
from datetime import UTC, datetime

from apache_beam.runners.worker.log_handler import FnApiLogRecordHandler

LOGGER = logging.getLogger("winnow")
"""Of the structured logs: each message is a JSON object with the run's name, and never holds text of a record."""


class JsonLines(logging.Formatter):
    """Writes a record of the log as one line of JSON: ``time`` (ISO 8601, UTC), ``level``, ``logger``, and what the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        said = record.getMessage()
        facts = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), "level": record.levelname}
        facts["logger"] = record.name
        try:
            more = json.loads(said)
        except ValueError:
            more = None
        return json.dumps(facts | (more if isinstance(more, dict) else {"message": said}), ensure_ascii=False)


def log_to_stderr() -> None:
    """Send the structured logs to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False


def log_notice(run: str, notice: str) -> None:
    """Log what the people of a release must be told."""
    LOGGER.warning(json.dumps({"run": run, "event": "notice", "notice": notice}, ensure_ascii=False))


def is_told_nothing() -> bool:
    """Tell whether nobody hears what this process logs: workers of Beam's external pool lack the log service that others have."""
    served = any(isinstance(each, FnApiLogRecordHandler) for each in logging.getLogger().handlers)
    return not served and not LOGGER.handlers


def keep_silent() -> None:
    """Say that this process is a launcher, and logs only where it was asked to."""
    if not LOGGER.handlers:
        LOGGER.addHandler(logging.NullHandler())
