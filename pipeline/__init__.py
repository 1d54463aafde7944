"""Assembles and runs: command line, run files, the graph, publishing, reports."""

import transforms  # noqa: F401 - quiets an import warning of Beam's, so it comes first
