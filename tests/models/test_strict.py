"""A mistake names its place, and all are named at once."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from models.errors import UsageError
from models.strict import Density, Share, Strict, load_yaml, parse


class Match(Strict):
    at_least: int = Field(ge=1)
    category: tuple[str, ...] = Field(default=("*",), min_length=1)


class Redact(Strict):
    form: Literal["placeholder", "pseudonym"] = Field(alias="with")


class Rule(Strict):
    name: str
    match: Match
    redact: Redact | None = None


class Lexicon(Strict):
    kind: Literal["lexicon"]
    lists: list[str]


class Personal(Strict):
    kind: Literal["personal"]
    regions: list[str]


class File(Strict):
    rules: tuple[Rule, ...] = ()
    taggers: list[Annotated[Lexicon | Personal, Field(discriminator="kind")]] = Field(default=[])
    tables: dict[str, Match] = Field(default={})
    share: Share = Fraction(1)
    density: Density = Fraction(1)
    on: bool = True


def mistakes(data: object) -> list[str]:
    with pytest.raises(UsageError) as caught:
        parse(File, data, "policy.yaml")
    return str(caught.value).splitlines()


def rule(**changes: object) -> dict[str, object]:
    return {"name": "a", "match": {"at_least": 1}} | changes


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"ruels": []}, "policy.yaml: unknown key 'ruels'; did you mean 'rules'?"),
        (
            {"rules": [rule(), rule(), rule(match={"at_least": 1, "at_lest": 2})]},
            "policy.yaml: rules[2].match: unknown key 'at_lest'; did you mean 'at_least'?",
        ),
        ({"rules": [rule(redact={"with": "placeholder", "wit": 1})]}, "policy.yaml: rules[0].redact: unknown key 'wit'; did you mean 'with'?"),
        ({"tables": {"x": {"at_least": 1, "zzz": 1}}}, "policy.yaml: tables.x: unknown key 'zzz'; known: at_least, category"),
        (
            {"taggers": [{"kind": "personal", "regions": [], "region": 1}]},
            "policy.yaml: taggers[0]: unknown key 'region'; did you mean 'regions'?",
        ),
        (
            {"taggers": [{"kind": "personal", "regions": [], "list": 1}]},
            "policy.yaml: taggers[0]: unknown key 'list'; known: kind, regions",
        ),
        ({"taggers": [{"kind": "lexikon"}]}, "policy.yaml: taggers[0]: unknown 'kind' 'lexikon'; did you mean 'lexicon'?"),
        ({"taggers": [{"lists": []}]}, "policy.yaml: taggers[0]: key 'kind' is missing"),
        ({"rules": [{"match": {"at_least": 1}}]}, "policy.yaml: rules[0]: key 'name' is missing"),
        ({"rules": [rule(redact={})]}, "policy.yaml: rules[0].redact: key 'with' is missing"),
        ({"rules": [rule(name=2024.1)]}, "policy.yaml: rules[0].name: must be text, is the number 2024.1; put it in quotes"),
        ({"rules": [rule(name=None)]}, "policy.yaml: rules[0].name: must be text, is empty"),
        ({"rules": [rule(match="A.1")]}, "policy.yaml: rules[0].match: must be a mapping of keys to values, is the text 'A.1'"),
        ({"rules": {"a": 1}}, "policy.yaml: rules: must be a list, is a mapping"),
        ({"rules": [rule(match={"at_least": "many"})]}, "policy.yaml: rules[0].match.at_least: must be a whole number, is the text 'many'"),
        ({"rules": [rule(match={"at_least": 1.5})]}, "policy.yaml: rules[0].match.at_least: must be a whole number, is the number 1.5"),
        ({"rules": [rule(match={"at_least": 0})]}, "policy.yaml: rules[0].match.at_least: must be at least 1, is the number 0"),
        ({"rules": [rule(match={"at_least": 1, "category": []})]}, "policy.yaml: rules[0].match.category: must have at least 1 entries or characters, is an empty list"),
        (
            {"rules": [rule(redact={"with": "placeholdr"})]},
            "policy.yaml: rules[0].redact.with: must be 'placeholder' or 'pseudonym', is the text 'placeholdr'; did you mean 'placeholder'?",
        ),
        ({"on": "perhaps"}, "policy.yaml: on: must be true or false, is the text 'perhaps'"),
        ({"share": 1.5}, "policy.yaml: share: must lie between 0 and 1, is the number 1.5"),
        ({"share": True}, "policy.yaml: share: must be a number such as 0.5 or 5/100, is the truth value true"),
        ({"share": float("nan")}, "policy.yaml: share: must be a number such as 0.5 or 5/100, is the number nan"),
        ({"density": 0}, "policy.yaml: density: must be over 0, is the number 0; leave the key out for no limit"),
        (None, "policy.yaml: must be a mapping of keys to values, is empty"),
        ([], "policy.yaml: must be a mapping of keys to values, is an empty list"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place_and_the_remedy(data: object, message: str) -> None:
    assert mistakes(data) == [message]


def test_all_mistakes_are_reported_one_per_line() -> None:
    data = {"rules": [{"nmae": "a", "match": {"at_least": 0}}], "taggers": 3, "densty": 1}
    assert mistakes(data) == [
        "policy.yaml: rules[0]: key 'name' is missing",
        "policy.yaml: rules[0].match.at_least: must be at least 1, is the number 0",
        "policy.yaml: rules[0]: unknown key 'nmae'; did you mean 'name'?",
        "policy.yaml: taggers: must be a list, is the number 3",
        "policy.yaml: unknown key 'densty'; did you mean 'density'?",
    ]


def test_long_values_are_not_repeated_in_full() -> None:
    (message,) = mistakes({"taggers": "x" * 500})
    assert len(message) < 150


def test_decimals_and_fractions_are_exact() -> None:
    assert parse(File, {"share": 0.1}, "f").share == Fraction(1, 10)
    assert parse(File, {"share": "5/100"}, "f").share == Fraction(1, 20)


def test_a_model_that_was_read_does_not_change() -> None:
    with pytest.raises(ValidationError):
        parse(File, {}, "f").on = False


def written(folder: Path, data: bytes) -> Path:
    path = folder / "run.yaml"
    path.write_bytes(data)
    return path


def test_yaml_is_read_as_plain_values(tmp_path: Path) -> None:
    path = written(tmp_path, "base: &b {x: 1, y: 1}\nother: {<<: *b, x: 2}\nname: 词\n".encode())
    assert load_yaml(path) == {"base": {"x": 1, "y": 1}, "other": {"x": 2, "y": 1}, "name": "词"}
    assert load_yaml(written(tmp_path, b"")) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "run.yaml: line 5: key 'c' is given twice, first in line 3"),
        (b"{a: 1, a: 1}", "run.yaml: line 1: key 'a' is given twice, first in line 1"),
        (b"a: 1\nb: \xd6\xd0\n", "run.yaml: line 2: not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "run.yaml: line 1: not UTF-8; save the file as UTF-8"),
        (b"a: 1\nb: [1\nc: 2\n", "run.yaml: line 3: "),
        (b"a: 1\n\tb: 2\n", "run.yaml: line 2: found character '\\t' that cannot start any token"),
        (b"a: 1\nb: \x07\n", "run.yaml: line 2: character U+0007 is not allowed"),
        (b"a: 1\n---\nb: 2\n", "run.yaml: line 2: but found another document"),
        (b"a: !!python/object:os.system {}\n", "run.yaml: line 1: could not determine a constructor"),
        (b"a: 2024-02-30\n", "run.yaml: a value is written like a date or number but is none"),
        (b"[" * 5000, "run.yaml: nested too deeply"),
        (b"? [a]\n: 1\n", "run.yaml: line 1: found unhashable key"),
    ],
)
def test_what_is_not_yaml_is_refused_with_its_line(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load_yaml(written(tmp_path, data))
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.yaml: cannot be read: No such file or directory; check the path"):
        load_yaml(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        load_yaml(tmp_path)
