"""Digests: the same for the same value however it is written, different for every other."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.digest import digest_of, digest_of_file

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def same(one: Any, two: Any) -> bool:
    """Compare as JSON does: True is not 1."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return type(one) is type(two) and one == two


@given(VALUES, VALUES)
@settings(deadline=None)
def test_digests_are_equal_exactly_for_equal_values(one: Any, two: Any) -> None:
    assert (digest_of(one) == digest_of(two)) == same(one, two)


@given(st.dictionaries(st.text(max_size=3), VALUES, min_size=2, max_size=5))
@settings(deadline=None)
def test_the_order_of_keys_does_not_matter_and_that_of_lists_does(value: dict[str, Any]) -> None:
    assert digest_of(dict(reversed(value.items()))) == digest_of(value)
    pairs = [[key, number] for number, key in enumerate(value)]
    assert digest_of(pairs) != digest_of(pairs[::-1])


def test_a_digest_is_that_of_the_canonical_text() -> None:
    assert digest_of({"b": [1, None], "a": "中"}) == hashlib.sha256('{"a":"中","b":[1,null]}'.encode()).hexdigest()


@pytest.mark.parametrize("value", [0.5, [1.0], {"a": {"b": (1, float("nan"))}}, {0.5: 1}])
def test_floats_are_refused_wherever_they_stand(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot hold the float"):
        digest_of(value)


@pytest.mark.parametrize("value", [b"x", {1, 2}, object(), Path("x")])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        digest_of(value)


def test_half_a_surrogate_pair_has_a_digest() -> None:
    """File names that are no UTF-8 hold them."""
    assert digest_of("\udcff") != digest_of("\udcfe")


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_digest_of_a_file_is_the_sha_256_of_its_bytes(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert digest_of_file(path) == hashlib.sha256(b"x" * size).hexdigest()
