"""Source states: strictly over the limit, in integers, and looked up as in a dictionary."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models import sources as sources_module
from models.errors import ToolError
from models.source_reading import SourceReading
from models.source_rule import BASES, Evidence, judge
from models.sources import BLACKLISTED, CLEAN, HOLD, STATES, SourceStates, StatesByName, source_keys

FIVE = Fraction("5/100")


def state(unlawful: int, distinct: int, limit: Fraction = FIVE, least: int = 100) -> str:
    """Return the state by the literal reading."""
    # What is over its limit is not compared with another one, which the interval reading has.
    reading = SourceReading().model_copy(update={"limit": limit, "min_records": least})
    found = judge(Evidence(np.array([distinct]), np.array([unlawful])), reading)
    assert BASES[found.basis[0]] == "detector"
    return STATES[found.state[0]]


@pytest.mark.parametrize(
    ("unlawful", "distinct", "expected"),
    [
        (5, 100, CLEAN),
        (6, 100, BLACKLISTED),
        (6, 119, BLACKLISTED),
        (6, 120, CLEAN),
        (1, 19, HOLD),
        (1, 20, CLEAN),
        (1, 1, HOLD),
        (99, 99, HOLD),
        (100, 100, BLACKLISTED),
        (0, 1, CLEAN),
        (0, 0, CLEAN),
        (0, 10**12, CLEAN),
        (5 * 10**10, 10**12, CLEAN),
        (5 * 10**10 + 1, 10**12, BLACKLISTED),
    ],
)
def test_a_source_is_over_only_strictly_and_held_below_the_least_number(
    unlawful: int, distinct: int, expected: str
) -> None:
    assert state(unlawful, distinct) == expected


def test_a_limit_of_nothing_and_of_everything() -> None:
    assert (state(1, 1000, Fraction(0)), state(0, 1000, Fraction(0))) == (BLACKLISTED, CLEAN)
    assert state(1000, 1000, Fraction(1)) == CLEAN


COUNTS = st.integers(0, 2**50).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
LIMITS = st.fractions(0, 1) | st.sampled_from(
    [Fraction("0.333333333333"), Fraction("0.05000000000000000000001"), Fraction(1, 3)]
)


@given(COUNTS, LIMITS, st.integers(1, 1000))
@example((0, 0), Fraction(5000000000000000000001, 100000000000000000000000), 1)
@settings(deadline=None)
def test_the_comparison_is_exact_for_any_counts_and_any_limit(
    counts: tuple[int, int], limit: Fraction, least: int
) -> None:
    unlawful, distinct = counts
    over = distinct > 0 and Fraction(unlawful, distinct) > limit
    assert state(unlawful, distinct, limit, least) == ((BLACKLISTED if distinct >= least else HOLD) if over else CLEAN)


NAMES = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=20)


@given(NAMES, st.data())
@settings(deadline=None)
def test_looking_up_is_as_in_a_dictionary_before_and_after_writing(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    otherwise = data.draw(st.sampled_from([STATES.index("clean"), STATES.index("insufficient")]))
    codes = {name: data.draw(st.integers(0, len(STATES) - 1)) for name in names}
    made = SourceStates.of(pa.array(names, pa.string()), np.array(list(codes.values()), np.uint8), otherwise)
    path = tmp_path_factory.getbasetemp() / "states.arrow"
    path.unlink(missing_ok=True)
    made.write(path)
    asked = [*data.draw(st.lists(st.sampled_from(names) if names else st.text(), max_size=10)), "not judged", ""]
    expected = [codes.get(name, otherwise) for name in asked]
    bad = {name: code for name, code in codes.items() if code != otherwise}
    by_name = StatesByName(pa.array(list(bad), pa.string()), np.array(list(bad.values()), np.uint8), otherwise)
    assert by_name.lookup(pa.array(asked, pa.string())).tolist() == expected
    for states in (made, SourceStates.read(path)):
        assert states.lookup(pa.array(asked, pa.string())).tolist() == expected
        assert states.lookup(pa.array([], pa.string())).tolist() == []
        assert (np.diff(states.keys.astype(object)) > 0).all()
        assert len(states.keys) == len(bad)


def test_the_bytes_of_a_state_file_do_not_depend_on_the_order_of_sources(tmp_path: Path) -> None:
    for name, order in (("one", {"a": 4, "b": 0, "c": 3}), ("two", {"c": 3, "a": 4, "b": 0})):
        codes = np.array(list(order.values()), np.uint8)
        SourceStates.of(pa.array(list(order)), codes).write(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_key_is_the_first_eight_bytes_of_a_sha_256() -> None:
    assert source_keys(pa.array(["abc"])).tolist() == [0xBA7816BF8F01CFEA]


@pytest.mark.parametrize(
    ("codes", "refused"),
    [([0, 0, 0], False), ([2, 0, 0], True), ([0, 1, 0], True), ([0, 0, 2], False), ([1, 2, 0], True)],
)
def test_two_sources_with_one_key_are_refused_if_one_of_them_is_not_clean(
    codes: list[int], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"a": 7, "b": 7, "c": 3}
    monkeypatch.setattr(
        sources_module, "source_keys", lambda names: np.array([keys[n] for n in names.to_pylist()], np.uint64)
    )
    names = pa.array(["a", "b", "c"])
    if refused:
        with pytest.raises(ToolError, match="share an 8-byte key"):
            SourceStates.of(names, np.array(codes, np.uint8))
    else:
        assert SourceStates.of(names, np.array(codes, np.uint8)).lookup(names).tolist() == codes
