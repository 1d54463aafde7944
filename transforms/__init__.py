"""Beam and only Beam: one module per arrow of the graph, each a thin shell over a function of ``models``."""
