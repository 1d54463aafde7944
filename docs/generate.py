"""Writes the reference pages from the code: ``python docs/generate.py``.

``run-file.md`` and ``policy.md`` come from the models of the files, ``output-format.md`` from the schemas that are written with. The
words are those of the docstrings and comments there; a test compares the pages with what this would write.
"""

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pyarrow as pa
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from models.breakdown import DIMENSIONS
from models.breakdown import SCHEMA as BREAKDOWN
from models.outcome import SOURCES
from models.parts import AUDIT, DEAD
from models.policy import ACTIONS, Calibrated, Match, Policy, Redact, Rule, Sources, Unlawful
from models.registered import REGISTRY
from models.rollups import ROLLUPS
from models.source_reading import Removals
from models.source_rules import Shared, SourceColumns, SourceRules
from models.source_states import MOVES
from models.strict import Strict
from models.taggers import BUILT_IN, tagger_class
from models.taxonomy import load_taxonomy
from pipeline.config import ColumnMapping, MaxDead, RunFile

DOCS = Path(__file__).resolve().parent

HEAD = """\
# Reference: the run file

<!-- Written by docs/generate.py from pipeline/config.py; change it there and run: make docs -->

A run file says everything that a run can be told. It is YAML. `winnow run run.yaml` uses it, `winnow check run.yaml` checks all
that can be known before a run. An unknown key is refused, with file, place and the nearest key that exists. Relative paths are
relative to the run file. Only `inputs` and `output` are required:

```yaml
inputs: shards/*.jsonl.gz
output: out
```

and with more:

```yaml
inputs: [crawl/*.parquet, forum/*.jsonl.zst]
output: out
restricted: private
columns: {text: [title, body], id: nr, source: site}
policy: cn-tc260-003
taggers:
  lexicon: {lists: [illustrative, lists/mine]}
  personal: {entities: [email, cn_mobile, cn_resident_id]}
max_dead: {share: 0.5%, at_least: 20}
```

Sizes are numbers of bytes or such as `64MB` and `16MiB`; shares are such as `0.1%` or `0.001`.
"""

_MORE = {
    "ColumnMapping": {
        "text": "where the text is; several are joined by a line feed, in this order",
        "id": "default is shard and position, as in `web.jsonl#1234`",
        "source": "who the record is from; what the 5 % rule counts by",
        "provenance": "names and paths of [evidence](show-where-data-comes-from.md)",
        "url": "the source is its registrable domain where no column names one",
    },
    "MaxDead": {
        "share": "of all entries of the corpus",
        "at_least": "so many are allowed however small the corpus",
    },
    "Policy": {
        "name": "stands with the version in the manifest and in `blacklist.json`",
        "version": "raise it when a rule changes; quote it, it is text",
        "instrument": "the law or standard that the rules are drawn from; shown in the report",
        "taxonomy": "which risks the categories are: a file of `configs/taxonomies`",
        "sources": "when the share of unlawful records makes a source unusable",
        "rules": "any number; all that act are reasons, the strictest action wins",
    },
    "Sources": {
        "basis": "what states rest on: `detector` with the literal reading, `audit` with the interval reading",
        "unlawful": "which records count",
        "limit": "of the source's distinct records",
        "duplicates": "within what exact duplicates of a source count once: `split`, or the whole `source`, however it is cut",
        "exact_up_to": "with `duplicates: source`: distinct records of a source that are always counted exactly; beyond, the figures of a source "
        "that is not near the limit are estimated from a sample of so many",
        "min_records": "distinct records from which on an over-limit source is blacklisted; with fewer it is on hold",
        "blacklisted": "what becomes of all records of a blacklisted source",
        "hold": "what becomes of all records of a source on hold",
        "watch": "the same of a watched one, unless `watch_use: allow`",
        "insufficient": "the same of one of which too little is known, unless `on_insufficient: allow`",
        "calibration": "known errors of the detectors, for Rogan–Gladen, which only orders the work",
    },
    "Unlawful": {
        "categories": "any one of these; sets of the taxonomy by name",
        "at_least_score": "of one finding",
    },
    "Rule": {
        "id": "small letters, digits and `. _ -`; stands in the audit",
        "title": "for people, in English; decides nothing",
        "title_zh": "the same in Chinese",
        "clause": "which clause of the instrument the rule serves; decides nothing",
        "match": "which findings, and how many",
        "action": "what becomes of the record",
        "redact": "how spans are replaced; stands with the action `redact` and only there",
    },
    "Match": {
        "category": "of a finding: risks, sets of them, `personal.*`, `copyright.*`, `provenance.*`, `blocked.*`, `unscanned`",
        "tagger": "who found it",
        "at_least_score": "findings of a lower score are not counted",
        "at_least_span": "findings of a shorter span, in code points, are not counted, nor those on the whole record",
        "at_least_count": "from so many findings on the rule acts",
        "at_least_per_1000_chars": "and from so many per 1,000 characters of the record on, where it is given",
    },
    "Redact": {"form": "`placeholder`: `[EMAIL]`; `pseudonym`: the same word for the same value, which needs a key"},
    "Lexicon": {"lists": "names of shipped lists, or folders that hold an `artefact.json`"},
}
"""What docstrings leave to the name of a key."""

_WORDS = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "date": "date", "dict": "by name"}
_VALIDATED = {
    "_size": "size",
    "_parts_per_million": "share",
    "_names": "text, or a list of them",
    "_share": "number from 0 to 1, or a fraction",
    "_density": "number over 0, or a fraction",
    "_quantile": "number over 0, or a fraction",
    "_cluster": "number from 1 on, or a fraction",
    "_glob": "glob",
}


def attributes(described: type) -> dict[str, str]:
    """Return what a docstring's section "Attributes" says of each name (several may share a line)."""
    above = (base for base in described.__bases__ if issubclass(base, Strict) and base is not Strict)
    said = {name: words for base in above for name, words in attributes(base).items()} | _MORE.get(
        described.__name__, {}
    )
    section = (inspect.getdoc(described) or "").partition("Attributes:\n")[2].partition("\n\n")[0]
    entries = re.split(r"^ {4}(?=\w[\w, ]*:)", section, flags=re.M)[1:]
    for entry in entries:
        names, _, words = entry.partition(":")
        for name in names.split(","):
            said[name.strip()] = _named(" ".join(words.split()).replace("``", "`").removesuffix("."), described)
    return said


def _named(words: str, described: type) -> str:
    """Put the values of a constant of the module in place of its name."""
    values = vars(sys.modules[described.__module__])
    return re.sub(r":data:`(\w+)`", lambda match: ", ".join(f"`{value}`" for value in values[match[1]]), words)


def kind(field: FieldInfo) -> str:
    """Return a field's type in words."""
    for mark in field.metadata:
        if (name := getattr(getattr(mark, "func", None), "__name__", "")) in _VALIDATED:
            return _VALIDATED[name]
    return _kind(field.annotation)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (UnionType, Union):
        return _kind(next(part for part in get_args(annotation) if part is not type(None)))
    if hasattr(annotation, "__metadata__"):
        return next(
            (_VALIDATED[mark.func.__name__] for mark in annotation.__metadata__ if hasattr(mark, "func")),
            _WORDS.get(annotation.__origin__.__name__, ""),
        )
    if get_origin(annotation) is tuple:
        return f"list of {_kind(get_args(annotation)[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return f"[see below](#{annotation.__name__.lower()})"
    return _WORDS[(get_origin(annotation) or annotation).__name__]


def default(field: FieldInfo) -> str:
    """Return a field's default as one would write it."""
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "**required**"
    if value is None or value == "":
        return ""
    if isinstance(value, Strict):
        said = ((name, default(each)) for name, each in type(value).model_fields.items())
        return " ".join(f"{name}: {each}" for name, each in said if each)
    if kind(field) == "share":
        return f"`{value / 10_000:g}%`"
    if kind(field) == "size":
        return f"`{value >> 20}MiB`" if value % (1 << 20) == 0 else f"`{value // 10**6}MB`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def table(model: type[Strict]) -> str:
    """Return a model's keys as a Markdown table.

    Raises:
        KeyError: if the docstring says nothing of a key.
    """
    said = attributes(model)
    rows = [
        f"| `{f.alias or name}` | {kind(f)} | {default(f)} | {said[name]} |" for name, f in model.model_fields.items()
    ]
    return "\n".join(["| key | value | default | meaning |", "|---|---|---|---|", *rows])


def tagger_table(name: str) -> str:
    """Return the settings of a tagger as a Markdown table.

    Raises:
        KeyError: if the docstring says nothing of a setting.
    """
    kind_of = tagger_class(name)
    said = attributes(kind_of)
    rows = []
    for field in dataclasses.fields(kind_of):  # type: ignore[arg-type]
        value = field.default
        shown = (
            "**required**"
            if value is dataclasses.MISSING
            else ""
            if value in (None, "", ())
            else f"`{_written(value)}`"
        )
        rows.append(f"| `{field.name}` | {shown} | {said[field.name]} |")
    return "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _written(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def summary(described: type) -> str:
    """Return the first sentence of a docstring."""
    return " ".join((inspect.getdoc(described) or "").split("\n\n")[0].split()).replace("``", "`")


POLICY_HEAD = """\
# Reference: the policy

<!-- Written by docs/generate.py from models/policy.py; change it there and run: make docs -->

A policy says what becomes of a record, given what was found in it, and of a source, given how much was found in its records. It is YAML; an
unknown key is refused, with place and the nearest key that exists. [Write a policy](write-a-policy.md) shows how to go about it;
[cn-tc260-003.yaml](../configs/policies/cn-tc260-003.yaml) is a whole one. Numbers are exact: `0.05`, `5/100` and `1/20` are the same.
A glob may use `*` for any characters and `?` for one.
"""

OUTPUT_HEAD = """\
# Reference: the output's formats

<!-- Written by docs/generate.py from the schemas in models and pipeline; change them there and run: make docs -->

[Read the output](read-the-output.md) says what is where and what it means. Here are the exact columns. Kept records themselves have the columns
and the format of their shard. Whatever stands in `store/` beside what `manifest.json` names is private and may change with any version.
"""

_FILES = (
    (
        "`audit/*.parquet`",
        AUDIT,
        "A row for every entry of which there is more to say than that it was kept, and one for each run of entries that were (`records` of them, from `position` "
        "through `through`). `explain` reads it.",
    ),
    (
        "`dead/*.parquet`",
        DEAD,
        "A row a dead letter; see [Dead letters](dead-letters.md). `raw` is null where only the hash is kept.",
    ),
    (
        "`sources.parquet`, `sources.csv`",
        pa.schema([*SOURCES, ("reading", pa.string()), ("withdrawn", pa.string())]),
        "A row a source, sorted by source. Null where a source has no tally of its own or no state. `removed` of `removed_of` records are removed by the rules "
        "whatever the state; `was_removed` of `was_removed_of` is what a source was compared with that is on hold for that, else null. `basis` is `detector`, "
        "`rogan-gladen`, `audit`, `moved`, `nearly-all-removed`, `override D0001` or `override D0001 of KEY`. The metadata of the Parquet schema has the reading "
        "in words: `reading.en`, `reading.zh`; so has that of roll-ups and of `moved.parquet`.",
    ),
    (
        "`moved.parquet`",
        MOVES,
        "A row a source whose removal rate moved since the last release, or of which nearly all is removed, held or only told of. It hangs on the release before.",
    ),
    (
        "`rollups.parquet`",
        ROLLUPS,
        "A row a key in which more lies than the source of that name: a host, domain, dataset, publisher or product, with the sums of it and all below. "
        "`worst` is the worst state of these, `own` the state of the source of that key. Empty unless `source_from` is `keys`.",
    ),
    (
        "`breakdown.parquet`",
        BREAKDOWN,
        "Counts of records, of their characters and of findings by source, language, batch (the shard's folder below the inputs, `.` for none) and the value of one "
        "dimension, sorted by these. Source and language are empty for dead letters and purged records. Dimensions: "
        + "; ".join(f"`{name}`: {words}" for name, words in DIMENSIONS.items())
        + ".",
    ),
    (
        "`registry.parquet`",
        REGISTRY,
        "A row a source of the corpus that a source registry of the run names. `entry` is `valid`; else it says why none is: `valid_until` (the last has ended) or "
        "`valid_from` (it has yet to begin). `evidence` names what the entry refers to.",
    ),
)

_MANIFEST = (
    ("format", "number of this format; readers refuse others"),
    ("release, base", "number of the release, and of the one that it was made from (0 for none)"),
    ("run", "name of the run: a digest of what it was told and made"),
    ("as_of, started, finished", "the date that comparisons used; times of the run, UTC"),
    ("counts", "`read`, `clean`, `redacted` (of the clean), `quarantined`, `dropped`, `dead`"),
    ("languages", "`records` and `characters` by language (BCP 47), dead letters left out"),
    ("work", "what the run did: `new_shards`, `splits`, `tagged`, `released`"),
    ("shards, inputs", "how many; path, size and SHA-256 of each"),
    ("twins, gone", "pairs of shards with the same content; shards that left"),
    ("notices", "sentences that the people of the release must be told"),
    (
        "purged",
        "what they say: `records`, `contents`, how many are `new`, titles of `lists`, and whether `earlier` releases may still hold the text; empty for none",
    ),
    ("withdrawals", "withdrawals, lifted ones too: id, kind, basis, dates, records and the release since which"),
    ("restricted", "root of quarantine and dead letters, empty where it is the output"),
    (
        "job",
        "`policy` with digests, rules and limit; `taggers` with digests; `coverage` of risks; `keywords` of lists; `works` that most "
        "records match, with title, holder, licence and claim; `reading`, `sample`, `version` …",
    ),
    (
        "ledgers",
        "`entry` and `sha256` of the last entry of `decisions`, `reviews` and `withdrawals` there was before this release, where there was one",
    ),
    (
        "overridden",
        "overrides that the release went by: `source`, `state`, `entry` of the ledger, `reviewer`, `until`",
    ),
    (
        "form",
        "digest of the code and words that made the reports and notices: `verify` makes them again only where these are the same",
    ),
    (
        "false_blacklistings",
        "of `sources` with enough verdicts, how many one look is expected to blacklist falsely, `at_most`; null by the literal reading, where nobody knows",
    ),
    (
        "removals",
        "`removed` records; `one_cause`: terms and rules that alone remove more than the policy's share of them; `moved`: how many sources, and what "
        "became of them",
    ),
    ("catalogue", "names in the private store"),
    ("files", "`path`, `size`, `sha256` of every file; `records` and `object` of parts"),
)
_SUMMARY = (
    ("reasons", "records by `category⇥action`, the action being what a rule asked for"),
    (
        "fates",
        "records by `category⇥fate`: what became of them, for whatever reason: `keep`, `redact`, `quarantine`, `drop`, `dead`; one redacted for other values "
        "counts as kept where something of the category is left in it; withdrawals are one category, `withdrawn`",
    ),
    ("applied", "records that each `rule⇥action⇥tagger` applied to, whichever decided"),
    ("flow", "records that were not simply kept by `action⇥rule⇥tagger` of the reason that decided: each once"),
    ("errors", "dead letters by class"),
    ("dead_by_shard, dead_shards", "shards with most dead letters; how many shards have any"),
    (
        "works, works_found, works_exact",
        "`[id, records, longest run]` of the works with most records; how many; whether exact or lower bounds",
    ),
    ("languages", "`[records, characters]` by language"),
    (
        "removed, causes",
        "records removed for what was found in them; what alone removes most of them: `[rule or term, tagger, id, records]`, the id of a list's term being "
        "12 digits of its SHA-256",
    ),
    (
        "moves",
        "sources of `moved.parquet`: `count`, and `named`: `[source, reason, removed, of, was removed, was of]`",
    ),
    (
        "rollups",
        "keys of `rollups.parquet`: `count`, and `named`: `[key, worst state, sources, of that state, unlawful, distinct, removed, of]`",
    ),
    ("changes", "since the release before: `counts`, `sources`, `shards`, `digests`; empty for the first"),
)


def policy_page() -> str:
    """Return ``policy.md``."""
    parts = [POLICY_HEAD, "## All keys", table(Policy)]
    for model in (Sources, Unlawful, Removals, Calibrated, Rule, Match, Redact):
        parts += [f"## {model.__name__}", summary(model), table(model)]
    taxonomy = load_taxonomy()
    sets = [f"| `{name}` | {', '.join(f'`{glob}`' for glob in globs)} |" for name, globs in taxonomy.sets.items()]
    risks = [f"| `{risk.id}` | {risk.en} | {risk.zh} |" for section in taxonomy.sections for risk in section.risks]
    parts += ["## Actions", "From mild to strict: " + ", ".join(f"`{action}`" for action in ACTIONS) + "."]
    parts += ["## Sets of risks", "\n".join(["| set | risks |", "|---|---|", *sets])]
    parts += [f"## Risks of {taxonomy.instrument}", "\n".join(["| id | English | 中文 |", "|---|---|---|", *risks])]
    return _joined(parts)


def output_page() -> str:
    """Return ``output-format.md``."""
    parts = [OUTPUT_HEAD]
    for title, schema, words in _FILES:
        parts += [f"## {title}", words, schema_table(schema)]
    parts += ["## `manifest.json`", _keys(_MANIFEST)]
    parts += [
        "## `summary.json`",
        "What the report shows besides; `report.html` is made from it, the manifest and `sources.parquet` alone.",
    ]
    parts += [_keys(_SUMMARY)]
    parts += ["## `blacklist.json`", "A JSON Schema is in [blacklist.schema.json](../pipeline/blacklist.schema.json)."]
    return _joined(parts)


def _keys(rows: tuple[tuple[str, str], ...]) -> str:
    lines = [f"| {', '.join(f'`{key}`' for key in keys.split(', '))} | {words} |" for keys, words in rows]
    return "\n".join(["| key | meaning |", "|---|---|", *lines])


def schema_table(schema: pa.Schema) -> str:
    """Return the columns of an Arrow schema as a Markdown table; those of nested records stand after a dot."""
    rows = [row for field in schema for row in _columns(field, "")]
    return "\n".join(["| column | type | null |", "|---|---|---|", *rows])


def _columns(field: pa.Field, before: str) -> list[str]:
    name, null = f"{before}{field.name}", "may be" if field.nullable else "never"
    if pa.types.is_list(field.type) and pa.types.is_struct(field.type.value_type):
        parts = [row for each in field.type.value_type for row in _columns(each, f"{name}[].")]
        return [f"| `{name}` | list of records | {null} |", *parts]
    return [f"| `{name}` | {field.type} | {null} |"]


def _joined(parts: list[str]) -> str:
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def run_file_page() -> str:
    """Return ``run-file.md``."""
    parts = [HEAD, "## All keys", table(RunFile)]
    for model in (ColumnMapping, SourceRules, SourceColumns, Shared, MaxDead):
        parts += [f"## {model.__name__}", summary(model), table(model)]
    for name in sorted(BUILT_IN):
        parts += [f"## Tagger `{name}`", summary(tagger_class(name)), tagger_table(name)]
    return _joined(parts)


PAGES = {"run-file.md": run_file_page, "policy.md": policy_page, "output-format.md": output_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), "utf-8")
