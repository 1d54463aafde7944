"""An explanation in words says what is so, whatever the policy keeps."""

from typing import Any

import pytest

from models.sources import STATES
from pipeline.explain import Explanation, in_words

MANIFEST: dict[str, Any] = {
    "release": 1,
    "job": {
        "policy": {
            "name": "p",
            "version": "1",
            "basis": "audit",
            "limit": "1/20",
            "reading": "interval",
            "digest": "0" * 64,
        }
    },
}


@pytest.mark.parametrize("state", [*STATES, None])
def test_a_kept_record_is_told_with_the_state_of_its_source(state: str | None) -> None:
    audit = {"door": "clean", "action": "keep", "reasons": None, "redactions": None, "error": None}
    source = {"source": "a.example", "state": state, "basis": "audit", "unlawful": 0, "distinct": 3}
    said = "\n".join(in_words(Explanation("a.jsonl", 0, audit, source, "clean/a", ""), MANIFEST))
    assert ("its source is clean" in said) == (state == "clean")
    if state is None:
        assert "nothing is known against its source" in said
    elif state != "clean":
        assert f"the policy keeps such records of a source that is {state}" in said
