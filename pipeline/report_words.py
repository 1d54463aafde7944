"""The report's words in one of its languages, from the table ``report_messages.yaml``."""

import functools
import importlib.resources
from collections.abc import Mapping
from string import Formatter
from typing import Any

from models.strict import load_yaml
from models.taxonomy import Risk, Section
from pipeline.report_markup import Markup, fill

LANGUAGES = ("en", "zh")
"""In which the report is written; the first is that of ``report.html``."""


REPORT = "report_messages.yaml"
"""Table of the report's messages."""


@functools.cache
def messages(name: str = REPORT) -> dict[str, dict[str, str]]:
    """Return every message of a table by key, in each language."""
    with importlib.resources.as_file(importlib.resources.files("pipeline").joinpath(name)) as path:
        table: dict[str, dict[str, str]] = load_yaml(path)
    return table


def places(template: str) -> set[str]:
    """Return the names that a message has places for."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


class Words:
    """Says the messages of a table in one language."""

    def __init__(self, language: str, name: str = REPORT) -> None:
        self.language = language
        self._messages = messages(name)

    def __contains__(self, key: str) -> bool:
        return key in self._messages

    def template(self, key: str) -> str:
        """Return a message with its places."""
        return self._messages[key][self.language]

    def __call__(self, key: str, **values: str | int) -> Markup:
        """Return a message as markup; what is filled in is escaped, integers get thousands separators."""
        return fill(self._messages[key][self.language], **values)

    def count(self, key: str, n: int, **values: str | int) -> Markup:
        """Return a message with a number ``n``, in the form that the number asks for."""
        one, bar, many = self._messages[key][self.language].partition("|")
        return fill(many if bar and n != 1 else one, n=n, **values)

    def plain_count(self, key: str, n: int, **values: str | int) -> str:
        """Return a message with a number ``n`` that has no markup, in the form that the number asks for."""
        one, bar, many = self._messages[key][self.language].partition("|")
        return _plain(many if bar and n != 1 else one, {"n": n, **values})

    def rest(self, key: str, n: int) -> Markup:
        """Return a paragraph on the ``n`` rows that a table leaves out; nothing if there is none."""
        return fill("<p>{rest}</p>", rest=self(key, n=n)) if n else Markup("")

    def plain(self, key: str, **values: str | int) -> str:
        """Return a message that has no markup, to be escaped where it is put."""
        return _plain(self._messages[key][self.language], values)

    def name(self, key: str, otherwise: str) -> str:
        """Return a message that has neither markup nor places, or a text if there is none, to be escaped where it is put."""
        return self._messages[key][self.language] if key in self._messages else otherwise

    def pick(self, named: Risk | Section) -> str:
        """Return the name of a risk or a section in this language."""
        return named.zh if self.language == "zh" else named.en


def _plain(template: str, values: Mapping[str, str | int]) -> str:
    return template.format(
        **{name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
    )


def rule_names(policy: Mapping[str, Any], language: str) -> dict[str, str]:
    """Return the titles of a policy's rules by id, as the manifest has them."""
    names = {}
    for rule in policy.get("rules", ()):
        titles = [rule["title_zh"], rule["title"]] if language == "zh" else [rule["title"]]
        names[rule["id"]] = next((title for title in titles if title), rule["id"])
    return names
