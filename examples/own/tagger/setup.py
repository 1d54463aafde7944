"""Registers the tagger: Winnow finds it by its entry point wherever this is installed."""

from setuptools import setup

setup(
    name="winnow-shouting",
    version="1",
    py_modules=["winnow_shouting"],
    entry_points={"winnow.taggers": ["shouting=winnow_shouting:Shouting"]},
)
