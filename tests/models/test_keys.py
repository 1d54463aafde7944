"""Keys: one that is missing, short or another is refused."""

import pytest

from models.errors import UsageError
from models.keys import key_from, key_id, same_key


def test_work_goes_on_with_the_key_that_it_was_begun_with_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "a key of the launcher's own")
    begun = key_id(key_from("KEY"))
    assert same_key("KEY", begun) == b"a key of the launcher's own"
    assert same_key(None, "") is None
    monkeypatch.setenv("KEY", "a key that was rotated since")
    with pytest.raises(UsageError, match="not the one that the run was launched with"):
        same_key("KEY", begun)
