"""Beam and only Beam: one module per arrow of the graph, each a thin shell over a function of ``models``."""

import logging


def _is_ours(record: logging.LogRecord) -> bool:
    # Beam warns on import about a BigQuery client that nothing here uses.
    return "apitools not found" not in record.getMessage()


logging.getLogger().addFilter(_is_ours)
