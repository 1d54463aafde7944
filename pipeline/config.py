"""Run files: everything a run can be told, read strictly."""

import codecs
import dataclasses
import itertools
import os
from datetime import UTC, date, datetime
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from models.coverage import unheard
from models.errors import UsageError
from models.evidence import EVIDENCE
from models.job import Job, Output
from models.keys import key_from, key_id
from models.policy import Policy, load_policy
from models.shard import Columns, Reading
from models.source_rules import SourceRules
from models.strict import Strict, as_tuple, load_yaml, near_miss, parse
from models.taggers import Tagger, tagger_class
from pipeline.engines import EngineName
from transforms.cloud import SCHEME
from transforms.workspace import fetched

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _size(value: Any) -> Any:
    """Read ``64MB`` and the like as bytes."""
    if not isinstance(value, str):
        return value
    number = value.strip().rstrip("BKMGIbkmgi ")
    unit = value.strip()[len(number) :].strip().upper()
    if not number.isdecimal() or unit not in _UNITS:
        raise ValueError(f"must be a size such as 64MB or 16MiB, is {value!r}")
    return int(number) * _UNITS[unit]


def _parts_per_million(value: Any) -> Any:
    """Read ``0.1%`` or ``0.001`` as parts per million."""
    text = str(value).strip()
    try:
        share = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"must be a share such as 0.1% or 0.001, is {value!r}") from None
    if not 0 <= share <= 1:
        raise ValueError(f"must lie between 0 and 100%, is {value!r}")
    return int(share * 1_000_000)


def _names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]
Share = Annotated[int, BeforeValidator(_parts_per_million)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names), Field(min_length=1)]


class ColumnMapping(Strict):
    """Where the canonical columns are; paths such as ``meta.url`` or ``messages[].content``."""

    text: Names
    id: str | None = None
    source: str | None = None
    url: str | None = None
    provenance: dict[str, str] = Field(default_factory=dict)

    @field_validator("provenance")
    @classmethod
    def _check_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if name not in EVIDENCE:
                raise ValueError(f"unknown key {name!r}{near_miss(name, EVIDENCE)}")
        return value

    @property
    def columns(self) -> Columns:
        return Columns(self.text, self.id, self.source, self.url, tuple(sorted(self.provenance.items())))


class MaxDead(Strict):
    """How many dead letters a run may have: this share, and always so many."""

    share: Share = 1000
    at_least: int = Field(100, ge=0)


class RunFile(Strict):
    """A run file.

    Attributes:
        inputs: globs, folders or files of shards, on any file system that Beam knows.
        output: folder of the corpus, or ``gs://bucket/folder``.
        input_root: shards are known by their path below it; default is the folder that all inputs have in common.
        restricted: root of quarantine and dead letters; default is ``output``.
        columns: default is to recognise usual names.
        source_from: ``column``, ``url``, ``path``, ``auto`` for the first of these that a shard has, or ``keys`` for ``source_keys``.
        source_keys: rules by which sources are told apart; with ``source_from: keys`` only, whose default they replace.
        encoding: of JSONL.
        policy: a shipped policy's name, a path, or an address on ``gs://``.
        taggers: their settings by name; default is ``lexicon`` with the illustrative list, and ``personal``.
        split_size: bytes from which on a shard is cut.
        max_record_bytes: longer records are dead letters.
        workers: processes of the local runner, 0 for one a core; other engines have an option of their own, such as ``parallelism``.
        as_of: the date that comparisons use; default is the run's start in UTC.
        max_dead: more dead letters fail the run.
        gzip_level: of compressed JSONL outputs.
        dead_bytes: ``keep`` the bytes of dead letters or only their ``hash``.
        key_env: environment variable with the key for pseudonyms and value hashes.
        exact: shards that the inputs do not name leave the corpus.
        allow_empty: inputs may match nothing and new shards may hold no record.
        stall_timeout: seconds without progress of a task after which the local runner fails the run; on another engine the worker is
            ended, and the engine tries the task as often as it does.
        runner: ``local``, ``prism``, ``flink`` or ``dataflow``.
        beam: pipeline options of Beam and its runners, by their own names.
    """

    inputs: Names
    output: str
    input_root: str | None = None
    restricted: str | None = None
    columns: ColumnMapping | None = None
    source_from: Literal["auto", "column", "url", "path", "keys"] = "auto"
    source_keys: SourceRules | None = None
    encoding: str = "utf-8"
    policy: str = "cn-tc260-003"
    taggers: dict[str, dict[str, Any]] | None = None
    split_size: Size = 64_000_000
    max_record_bytes: Size = 16 << 20
    workers: int = Field(0, ge=0)
    as_of: date | None = None
    max_dead: MaxDead = MaxDead()
    gzip_level: int = Field(1, ge=1, le=9)
    dead_bytes: Literal["keep", "hash"] = "keep"
    key_env: str | None = None
    exact: bool = False
    allow_empty: bool = False
    stall_timeout: float = Field(600, gt=0)
    runner: EngineName = "local"
    beam: dict[str, bool | int | float | str | list[str]] = Field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Settings:
    """A run file and the place that its relative paths start from."""

    file: RunFile
    folder: Path
    name: str


def read_run_file(path: Path) -> Settings:
    """Read a run file.

    Raises:
        UsageError: with all mistakes, each with its place and the near miss.
    """
    return Settings(parse(RunFile, load_yaml(path), str(path)), path.resolve().parent, str(path))


def from_options(options: dict[str, Any]) -> Settings:
    """Return the settings of a run without a run file."""
    given = {name: value for name, value in options.items() if value is not None}
    return Settings(parse(RunFile, given, "command line"), Path.cwd(), "command line")


def absolute(path: str, folder: Path) -> str:
    """Return a path or URL that does not depend on the working folder."""
    return path.rstrip("/") if "://" in path else os.path.normpath(folder / path)


def make_job(settings: Settings, sample_ppm: int = 1_000_000, limit: int = 0) -> Job:
    """Return the job of a run file, its policy, taggers and artefacts checked and loaded.

    Raises:
        UsageError: if one of them is missing or wrong.
    """
    file, folder = settings.file, settings.folder
    columns = file.columns
    mapped = None if columns is None else columns.columns
    if mapped is None and file.source_from in ("column",):
        raise UsageError(f"{settings.name}: source_from: column needs columns.source")
    if file.source_keys is not None and file.source_from != "keys":
        raise UsageError(
            f"{settings.name}: source_keys needs source_from: keys; without it, the rules would do nothing"
        )
    keys = (file.source_keys or SourceRules()) if file.source_from == "keys" else None
    encoding = _encoding(file.encoding)
    reading = Reading(mapped, file.source_from, encoding, file.max_record_bytes, sample_ppm, limit, keys)
    key = key_from(file.key_env)
    for name, value in (("output", file.output), ("restricted", file.restricted or "")):
        if "://" in value and not value.startswith(SCHEME):
            raise UsageError(f"{settings.name}: {name}: {value}: only folders and {SCHEME} can be written")
        if "//" in value.removeprefix(SCHEME):
            raise UsageError(f"{settings.name}: {name}: {value}: has an empty name between two slashes; leave one out")
    if file.restricted and file.restricted.startswith(SCHEME) != file.output.startswith(SCHEME):
        raise UsageError(
            f"{settings.name}: output and restricted must both be folders or both be on {SCHEME}; a release is shown in one way"
        )
    root = absolute(file.output, folder)
    as_of = (file.as_of or datetime.now(UTC).date()).isoformat()
    policy = _policy(_policy_path(file.policy, folder))
    _check_key(policy, key)
    job = Job(
        reading=reading,
        taggers=make_taggers(file.taggers, folder, settings.name, file.key_env, as_of),
        policy=policy,
        output=Output(file.gzip_level, file.dead_bytes),
        root=root,
        restricted=absolute(file.restricted, folder) if file.restricted else root,
        split_size=file.split_size,
        key_env=file.key_env,
        key_id=key_id(key),
        as_of=as_of,
        max_dead_share_ppm=file.max_dead.share,
        max_dead_least=file.max_dead.at_least,
        allow_empty=file.allow_empty,
    )
    unheard(job)  # refuses what is not a risk; what no rule looks at is said by check
    assert job.wanted is not None  # computed here, once, and sent along: workers need not hash artefacts again
    return job


def _policy_path(name: str, folder: Path) -> str:
    is_path = "/" in name or name.endswith((".yaml", ".yml"))
    return absolute(name, folder) if is_path else name


def _policy(name_or_path: str) -> Policy:
    if "://" not in name_or_path:
        return load_policy(name_or_path)
    with fetched(name_or_path) as copy:
        return load_policy(name_or_path, copy)


def _check_key(policy: Policy, key: bytes | None) -> None:
    wanting = [rule.id for rule in policy.rules if rule.redact and rule.redact.form == "pseudonym"]
    if wanting and key is None:
        raise UsageError(
            f"policy {policy.name}: rules {', '.join(wanting)} replace values by pseudonyms, which needs a key: name the "
            "environment variable that holds one (key_env: …), or redact with placeholder"
        )


def _encoding(name: str) -> str:
    try:
        known = codecs.lookup(name).name.replace("_", "-").removesuffix("-sig")
    except LookupError:
        raise UsageError(
            f"encoding: Python knows no {name!r}{near_miss(name, ['utf-8', 'gb18030', 'utf-16'])}"
        ) from None
    signs = '\r\n{}[]":,'
    try:
        has_plain_lines = signs.encode(known) == signs.encode()
    except (LookupError, UnicodeEncodeError):
        has_plain_lines = False
    if not has_plain_lines and not known.startswith("utf-16"):
        raise UsageError(f"encoding: lines cannot be told apart in {name!r}; convert the shards to UTF-8")
    return known


def make_taggers(
    given: dict[str, dict[str, Any]] | None, folder: Path, place: str, key_env: str | None, as_of: str
) -> tuple[Tagger, ...]:
    """Return configured taggers, loaded.

    Raises:
        UsageError: naming an unknown tagger or setting, or a missing artefact.
    """
    wanted = given if given is not None else {"lexicon": {"lists": ["illustrative"]}, "personal": {}}
    taggers = []
    for name, settings in wanted.items():
        kind = tagger_class(name)
        fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]
        values = {}
        for key, value in (settings or {}).items():
            if key not in fields:
                raise UsageError(f"{place}: taggers.{name}: unknown key {key!r}{near_miss(key, sorted(fields))}")
            if key in kind.paths or str(fields[key].type) == str(tuple[str, ...]):
                value = as_tuple(value, f"{place}: taggers.{name}.{key}")
            value = tuple(value) if isinstance(value, list) else value
            values[key] = _artefacts(value, folder, key) if key in kind.paths else value
        if "key_env" in fields and key_env is not None:
            values.setdefault("key_env", key_env)
        if "as_of" in fields:
            values.setdefault("as_of", as_of)
        try:
            tagger = kind(**values)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{place}: taggers.{name}: {error}") from None
        tagger.load()
        taggers.append(tagger)
    return tuple(taggers)


def _artefacts(names: tuple[str, ...], folder: Path, kind: str) -> tuple[str, ...]:
    """Return paths of artefacts; a name without a slash that is shipped (in ``configs/lists``, ``configs/models``) is the shipped one."""
    return tuple(shipped_or_own(name, folder, kind) for name in names)


def shipped_or_own(name: str, folder: Path, kind: str) -> str:
    """Return the path of the shipped artefact of a name without a slash, otherwise that of the folder it names."""
    shipped = files("configs") / kind / name
    return str(shipped) if "/" not in name and shipped.is_dir() else absolute(name, folder)


def input_root(settings: Settings) -> str:
    """Return the folder below which shards are named: as given, or what all inputs have in common."""
    file, folder = settings.file, settings.folder
    if file.input_root is not None:
        return absolute(file.input_root, folder)
    fixed = [_fixed_folder(absolute(pattern, folder)) for pattern in file.inputs]
    if any("://" in path for path in fixed):
        return fixed[0] if len(set(fixed)) == 1 else _common_url(fixed)
    return os.path.commonpath(fixed)


def _fixed_folder(pattern: str) -> str:
    """Return the longest folder of a pattern that has no wildcard."""
    wild = min((pattern.index(char) for char in "*?[" if char in pattern), default=-1)
    if wild >= 0:
        return pattern[:wild].rsplit("/", 1)[0] or "/"
    return pattern if "://" not in pattern and Path(pattern).is_dir() else pattern.rsplit("/", 1)[0] or "/"


def _common_url(folders: list[str]) -> str:
    parts = zip(*(folder.split("/") for folder in folders), strict=False)
    common = [names[0] for names in itertools.takewhile(lambda names: len(set(names)) == 1, parts)]
    if len(common) < 3:
        raise UsageError(f"inputs on different stores ({', '.join(folders)}) need input_root")
    return "/".join(common)
