"""Assembles and runs: command line, run files, the graph, publishing, reports."""
