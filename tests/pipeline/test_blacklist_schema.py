"""blacklist.json has the form that its schema says, and the schema says enough to refuse other forms."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sources import STATES
from pipeline.publish import blacklist

SCHEMA = json.loads((files("pipeline") / "blacklist.schema.json").read_text("utf-8"))
MANIFEST = {
    "as_of": "2026-01-31",
    "run": "0123456789abcdef",
    "job": {
        "policy": {
            "name": "cn-tc260-003",
            "version": "2024.1",
            "reading": "literal",
            "basis": "detector",
            "limit": "1/20",
            "min_records": 100,
        }
    },
}
SOURCES = pa.schema(
    [
        ("source", pa.string()),
        ("kind", pa.string()),
        ("state", pa.string()),
        ("basis", pa.string()),
        ("unlawful", pa.int64()),
        ("distinct", pa.int64()),
    ]
)
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
NOTES = {"$schema", "$id", "$defs", "title", "description"}


def faults(value: Any, schema: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Give what a value has against a schema: JSON Schema 2020-12 as far as this schema uses it, and nothing else quietly."""
    for word, wanted in schema.items():
        match word:
            case "type":
                if not TYPES[wanted](value):
                    yield f"{place}: not {wanted}"
                    return
            case "$ref":
                yield from faults(value, SCHEMA["$defs"][wanted.removeprefix("#/$defs/")], place)
            case "allOf":
                for part in wanted:
                    yield from faults(value, part, place)
            case "required":
                yield from (f"{place}: {name} is missing" for name in wanted if name not in value)
            case "properties":
                # As the standard has it, a word about objects says nothing of other values.
                for name in wanted.keys() & value.keys() if isinstance(value, dict) else ():
                    yield from faults(value[name], wanted[name], f"{place}.{name}")
            case "additionalProperties":
                assert wanted is False
                yield from (f"{place}: unknown {name}" for name in value.keys() - schema["properties"].keys())
            case "items":
                for index, item in enumerate(value):
                    yield from faults(item, wanted, f"{place}[{index}]")
            case "const" | "enum":
                if value not in ([wanted] if word == "const" else wanted):
                    yield f"{place}: {value!r} is not {wanted}"
            case "pattern":
                if not re.search(wanted, value):
                    yield f"{place}: {value!r} does not match {wanted}"
            case "minimum":
                if value < wanted:
                    yield f"{place}: {value} is under {wanted}"
            case "minLength":
                if len(value) < wanted:
                    yield f"{place}: too short"
            case _:
                assert word in NOTES, f"the test does not know {word}"


def sources(rows: list[tuple[str, str, str, str, int, int]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SOURCES.names, row, strict=True)) for row in rows], SOURCES)


@pytest.fixture
def written() -> dict[str, Any]:
    """What is written for a source of each state."""
    rows = [
        ("a.example", "name", "blacklisted", "detector", 48, 300),
        ("b.example", "domain", "clean", "audit", 5, 100),
        ("c.example", "path", "hold", "override D0012", 6, 60),
        ("d.example", "key", "watch", "rogan-gladen", 4, 100),
        ("e.example", "key", "insufficient", "detector", 4, 100),
    ]
    decided = {"entry": "D0012", "reviewer": "A. Reviewer", "until": "2026-02-28"}
    overridden = [{"source": key, "state": state, **decided} for key, state in (("c.example", "hold"), ("f", "clean"))]
    return json.loads(json.dumps(blacklist(sources(rows), MANIFEST | {"overridden": overridden}, {})))


def test_a_blacklist_has_the_form_of_its_schema(written: dict[str, Any]) -> None:
    assert not list(faults(written, SCHEMA))
    assert [entry["key"] for entry in written["blacklisted"]] == ["a.example"]
    assert [entry["key"] for entry in written["hold"]] == ["c.example"]
    assert [entry["key"] for entry in written["watch"]] == ["d.example"]
    assert written["hold"][0]["override"] == {"entry": "D0012", "reviewer": "A. Reviewer", "until": "2026-02-28"}
    assert "override" not in written["blacklisted"][0]
    # What a person cleared is on no list, and told.
    assert [(each["key"], each["state"]) for each in written["overridden"]] == [("c.example", "hold"), ("f", "clean")]


@given(
    st.lists(
        st.tuples(
            st.text(max_size=8),
            st.sampled_from(("name", "domain", "path", "mixed")),
            st.sampled_from(STATES),
            st.sampled_from(("detector", "audit", "override D0001", "override D0001 of x", "moved")),
            st.integers(0, 10**12),
            st.integers(1, 10**12),
        ),
        max_size=6,
    )
)
def test_whatever_the_sources_the_form_is_that_of_the_schema(rows: list[tuple[str, str, str, str, int, int]]) -> None:
    first = blacklist(sources(rows), MANIFEST, {})
    again = blacklist(sources(rows), MANIFEST | {"as_of": "2026-02-01", "run": "f" * 16}, first)
    assert not list(faults(first, SCHEMA))
    # The date and run that first gave a state stay as long as it lasts.
    assert again == first


BROKEN: list[Callable[[dict[str, Any]], Any]] = [
    lambda page: page.pop("overridden"),
    lambda page: page["overridden"][0].update(state="judged"),
    lambda page: page["hold"][0]["override"].pop("reviewer"),
    lambda page: page["hold"][0]["override"].update(entry="W0001"),
    lambda page: page.pop("hold"),
    lambda page: page.pop("watch"),
    lambda page: page["hold"][0].update(basis="manual"),
    lambda page: page.update(more=1),
    lambda page: page.update(format=1),
    lambda page: page.update(limit=0.05),
    lambda page: page.update(reading=""),
    lambda page: page["hold"][0].pop("since"),
    lambda page: page["hold"][0].update(note="why"),
    lambda page: page["hold"][0].update(state="blacklisted"),
    lambda page: page["hold"][0].update(share=0.1),
    lambda page: page["hold"][0].update(share="6/0"),
    lambda page: page["hold"][0].update(n=0),
    lambda page: page["hold"][0].update(n="60"),
    lambda page: page["hold"][0].update(kind=""),
    lambda page: page["blacklisted"][0].update(since="31.1.2026"),
    lambda page: page["blacklisted"][0].update(run="latest"),
    lambda page: page["blacklisted"].append("d.example"),
]


@pytest.mark.parametrize("spoil", BROKEN)
def test_the_schema_refuses_another_form(written: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]) -> None:
    page = copy.deepcopy(written)
    spoil(page)
    assert len(list(faults(page, SCHEMA))) >= 1
