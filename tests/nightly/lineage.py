"""Checks OpenLineage events against the schema as the standard client has it: ``.airflow/bin/python lineage.py EVENTS.jsonl``.

Runs in Airflow's environment. ``openlineage.client`` is generated from OpenLineage's JSON schemas, the version of which it puts into each
event; its classes refuse unknown and missing keys, and values that are no UUID, time or URI. An event must go through them unchanged.
"""

import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attr
import openlineage.client.generated as generated
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde

BASES = {"facets": "Dataset", "inputFacets": "InputDataset", "outputFacets": "OutputDataset"}


def known_facets() -> dict[str, type]:
    """Return the classes of the standard's facets by the name of their schema."""
    modules = [f"{generated.__name__}.{module.name}" for module in pkgutil.iter_modules(generated.__path__)]
    return dict(pair for name in modules for pair in inspect.getmembers(importlib.import_module(name), inspect.isclass))


KNOWN = known_facets()


def check_facets(facets: dict[str, dict[str, Any]], place: str) -> None:
    """Check that each facet says who made it and by which schema, and has the form of that if it is the standard's own."""
    for name, facet in facets.items():
        for key in ("_producer", "_schemaURL"):
            if not urlsplit(facet[key]).scheme:
                raise ValueError(f"{place}.{name}: {key} is no URI: {facet[key]}")
        kind = KNOWN.get(facet["_schemaURL"].rpartition("/")[2])
        if kind is not None and kind.__name__ not in (
            "RunFacet",
            "JobFacet",
        ):  # those are bases: anything may stand in them
            wanted = {field.name for field in kind.__attrs_attrs__ if field.default is attr.NOTHING}
            if missing := wanted - facet.keys():
                raise ValueError(f"{place}.{name}: lacks {', '.join(sorted(missing))}")


def check(event: dict[str, Any]) -> None:
    """Raise if an event is not of the schema."""
    check_facets(event["run"].get("facets", {}), "run")
    check_facets(event["job"].get("facets", {}), "job")
    for side in ("inputs", "outputs"):
        for number, each in enumerate(event[side]):
            for key in each.keys() & BASES.keys():
                check_facets(each[key], f"{side}[{number}]")
    told = {key: value for key, value in event.items() if key != "schemaURL"}
    rebuilt = RunEvent(
        **told
        | {
            "eventType": RunState(event["eventType"]),
            "run": Run(**event["run"]),
            "job": Job(**event["job"]),
            "inputs": [InputDataset(**each) for each in event["inputs"]],
            "outputs": [OutputDataset(**each) for each in event["outputs"]],
        }
    )
    if json.loads(Serde.to_json(rebuilt)) != event:
        raise ValueError("an event of the client's own classes has another form")


def main() -> None:
    """Check a file of events, one a line, and say how many there are."""
    lines = Path(sys.argv[1]).read_text("utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        try:
            check(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            sys.exit(f"{sys.argv[1]}:{number}: {type(error).__name__}: {error}")
    print(len(lines))


if __name__ == "__main__":
    main()
