"""The manifests for Kubernetes fit the schema of Flink's operator. They were never run."""

import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from rows import FLINK, TOOLS

pytestmark = pytest.mark.engines

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """Return the operator's schema of a FlinkDeployment, from its own package."""
    with zipfile.ZipFile(TOOLS / "flink-kubernetes-operator-api.jar") as jar:
        name = next(name for name in jar.namelist() if "flinkdeployments" in name and name.endswith(".yml"))
        definition = yaml.safe_load(jar.read(name))
    version = next(each for each in definition["spec"]["versions"] if each["name"] == "v1beta1")
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def faults(value: Any, schema: dict[str, Any], place: str = "") -> Iterator[str]:
    """Give what the API server would refuse or silently drop, by the structural schemas that Kubernetes allows."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, int | str):
            yield f"{place}: must be a number or a string"
        return
    kind = schema.get("type")
    if kind is not None and (not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{place}: must be of type {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value} is none of {', '.join(map(str, schema['enum']))}"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from faults(each, schema.get("items", {}), f"{place}[{number}]")
    elif isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties")
        yield from (f"{place}.{name}: is missing" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            if name in known:
                yield from faults(each, known[name], f"{place}.{name}")
            elif isinstance(others, dict):
                yield from faults(each, others, f"{place}.{name}")
            elif not (others or schema.get("x-kubernetes-preserve-unknown-fields")) and (known or kind is None):
                yield f"{place}.{name}: is unknown"


def deployment() -> dict[str, Any]:
    documents = yaml.safe_load_all((FLINK / "kubernetes" / "session.yaml").read_text("utf-8"))
    found: dict[str, Any] = next(each for each in documents if each["kind"] == "FlinkDeployment")
    return found


def test_the_cluster_fits_the_operators_schema(schema: dict[str, Any]) -> None:
    given = deployment()
    spec = given["spec"]
    assert given["apiVersion"] == "flink.apache.org/v1beta1"
    assert list(faults(spec, schema["properties"]["spec"], "spec")) == []
    assert list(faults(spec | {"flinkVersion": "v0_1"}, schema["properties"]["spec"], "spec"))
    assert list(faults(spec | {"taskmanager": {}}, schema["properties"]["spec"], "spec")) == [
        "spec.taskmanager: is unknown"
    ]


def test_the_cluster_has_what_the_trial_cluster_needed() -> None:
    wanted = yaml.safe_load((FLINK / "config.yaml").read_text("utf-8"))
    given = deployment()["spec"]["flinkConfiguration"]
    for name in ("restart-strategy.type", "taskmanager.memory.task.off-heap.size"):
        assert given[name] == wanted[name]
