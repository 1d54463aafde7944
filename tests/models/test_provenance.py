"""The tagger ``provenance``: what each kind of source must show, and what registries and columns say."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.artefact import describe, read_artefact
from models.documents import Documents
from models.errors import UsageError
from models.licences import is_allowed, spdx_expression
from models.placeholders import PLACEHOLDERS, evident, is_evident
from models.source_registry import read_registry
from models.taggers import BUILT_IN, tagger_class
from models.taggers.provenance import LICENCES, Provenance
from pipeline.config import make_taggers

DAY = "2026-01-02"


def registry(folder: Path, content: str, name: str = "sources.yaml") -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content, "utf-8")
    describe(folder, kind="provenance", version=1, names=[name], title="", licence="", made_with="a test")
    return str(folder)


def sources(folder: Path, *rows: str) -> str:
    return registry(folder, "\n".join(["sources:", *(f"  - {{{row}}}" for row in rows), ""]))


def found(tagger: Provenance, source: str = "s", **columns: str | None) -> list[tuple[str, str]]:
    evidence = {name: pa.array([value], pa.string()) for name, value in columns.items()}
    documents = dataclasses.replace(Documents.of(["text"]), source=pa.array([source]), provenance=evidence)
    return [(each.category.removeprefix("provenance."), each.rule) for each in tagger.tag(documents)]


BARE = Provenance()
CASES = [
    ({}, [("missing", "registry")]),
    ({"kind": "open", "licence": "CC-BY-4.0"}, []),
    ({"kind": "open"}, [("missing", "licence")]),
    ({"kind": "open", "licence": " "}, [("missing", "licence")]),
    ({"kind": "open", "licence": "my own"}, [("licence_unknown", "licence")]),
    ({"kind": "open", "licence": "cc-by-nc-4.0"}, [("licence_not_allowed", "CC-BY-NC-4.0")]),
    ({"kind": "self_collected", "crawl_record": "r", "robots": "allow"}, []),
    ({"kind": "self_collected", "crawl_record": "r", "robots": "Disallow"}, [("refused", "robots")]),
    ({"kind": "self_collected", "crawl_record": "r", "robots": "maybe"}, [("missing", "robots (not understood)")]),
    ({"kind": "self_collected", "robots": "allow"}, [("missing", "crawl_record")]),
    ({"kind": "commercial", "contract": "c"}, [("missing", "assurance")]),
    ({"kind": "commercial", "contract": "c", "assurance": "a"}, []),
    ({"kind": "user_input", "authorisation": "a", "opt_out": "false"}, []),
    ({"kind": "user_input", "authorisation": "a", "opt_out": "case 7"}, [("refused", "opt_out")]),
    ({"kind": "synthetic"}, []),
    ({"kind": "unknown"}, [("missing", "kind")]),
    ({"kind": "scraped"}, [("missing", "kind (not understood)")]),
    (
        {"kind": "commercial", "contract": "none", "assurance": " N/A"},
        [("missing", "contract"), ("missing", "assurance")],
    ),
    ({"kind": "user_input", "authorisation": "（暂无）"}, [("missing", "authorisation")]),
]


@pytest.mark.parametrize(("columns", "expected"), CASES)
def test_a_record_must_show_what_its_kind_needs(columns: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(BARE, **columns) == expected


def test_a_record_of_a_registered_source_needs_to_say_nothing(tmp_path: Path) -> None:
    tagger = Provenance((sources(tmp_path, "key: s, kind: open, licence: CC0-1.0"),), DAY)
    assert found(tagger) == []
    assert found(tagger, "other") == [("missing", "registry")]


def test_a_records_own_licence_counts_before_that_of_its_source(tmp_path: Path) -> None:
    tagger = Provenance((sources(tmp_path, "key: s, kind: open, licence: CC0-1.0"),), DAY)
    assert found(tagger, licence="CC-BY-ND-4.0") == [("licence_not_allowed", "CC-BY-ND-4.0")]


def test_what_was_refused_by_either_is_refused(tmp_path: Path) -> None:
    tagger = Provenance((sources(tmp_path, "key: s, kind: self_collected, crawl_record: r, robots: disallow"),), DAY)
    assert found(tagger, robots="allow") == [("refused", "robots")]


def test_a_placeholder_is_no_evidence(tmp_path: Path) -> None:
    row = "sources.csv", "key,kind,contract,assurance\ns,commercial,n/a,-\n"
    tagger = Provenance((registry(tmp_path, row[1], row[0]),), DAY)
    assert found(tagger) == [("missing", "contract"), ("missing", "assurance")]
    assert found(tagger, contract="TBD", assurance="a") == [("missing", "contract")]
    needy = Provenance(required={"synthetic": ["origin", "collected_at"]})
    nothing = found(needy, kind="synthetic", origin="unknown", collected_at="NaN")
    assert nothing == [("missing", "collected_at"), ("missing", "origin")]


@pytest.mark.parametrize(
    "value", ["", " ", "\u3000", "—", "?", "ＮＯＮＥ", "[null]", "Not available", "无", *PLACEHOLDERS]
)
def test_placeholders_are_told_however_they_are_dressed(value: str) -> None:
    assert not is_evident(value)


def test_the_page_has_the_whole_list_of_placeholders() -> None:
    page = (Path(__file__).parents[2] / "docs/show-where-data-comes-from.md").read_text("utf-8")
    assert [each for each in PLACEHOLDERS if f"`{each}`" not in page] == []


@pytest.mark.parametrize(
    "value", ["c", "7", "contract/2024-117", "合同 7", "none-0001", "Nanjing", "https://a.example/n/a"]
)
def test_what_only_looks_like_a_placeholder_is_evidence(value: str) -> None:
    assert evident(pa.array([value, None])).to_pylist() == [True, False]


def test_a_record_that_names_another_kind_is_not_freed_of_what_its_source_needs(tmp_path: Path) -> None:
    rows = "key: s, kind: commercial", "key: u, kind: unknown", "key: o, kind: open, licence: MIT"
    tagger = Provenance((sources(tmp_path, *rows),), DAY)
    assert found(tagger, kind="synthetic") == [("missing", "contract"), ("missing", "assurance")]
    assert found(tagger, kind="synthetic", contract="c", assurance="a") == []
    both = [("missing", "licence"), ("missing", "contract"), ("missing", "assurance")]
    assert found(tagger, kind="open") == both
    assert found(tagger, "u", kind="open", licence="MIT") == [("missing", "kind")]
    assert found(tagger, "o", kind="unknown") == [("missing", "kind")]


@pytest.mark.parametrize(("content", "name"), [("sources: []\n", "s.yaml"), ("key,kind\n", "s.csv"), ("", "s.csv")])
def test_a_registry_without_a_source_is_refused_by_name(tmp_path: Path, content: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"{name}: holds no source; enter one, or take the file out"):
        Provenance((registry(tmp_path, content, name),), DAY).load()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2025-12-31", [("expired", "valid_from")]),
        ("2026-01-01", []),
        ("2026-06-30", []),
        ("2026-07-01", [("expired", "valid_until")]),
        ("2026-08-01", []),
    ],
)
def test_an_entry_counts_from_its_first_day_through_its_last(
    tmp_path: Path, day: str, expected: list[tuple[str, str]]
) -> None:
    entry = "key: s, kind: open, licence: MIT"
    folder = sources(
        tmp_path, f"{entry}, valid_from: 2026-01-01, valid_until: 2026-06-30", f"{entry}, valid_from: 2026-08-01"
    )
    assert found(Provenance((folder,), day)) == expected


def test_the_digest_changes_when_what_the_day_selects_does_and_not_each_night(tmp_path: Path) -> None:
    folder = sources(tmp_path, "key: s, kind: open, licence: MIT, valid_from: 2026-01-01, valid_until: 2026-06-30")
    before, first, later, after = (
        Provenance((folder,), day).digest for day in ("2025-12-31", "2026-01-01", "2026-06-30", "2026-07-01")
    )
    assert first == later
    assert len({before, first, after}) == 3


def test_the_same_registry_may_be_yaml_csv_or_parquet(tmp_path: Path) -> None:
    rows = [
        {"key": "a", "kind": "open", "licence": "MIT", "evidence": ["https://a.example/l"], "valid_until": "2027-01-01"}
    ]
    yaml = registry(
        tmp_path / "yaml",
        "sources:\n- {key: a, kind: open, licence: MIT, evidence: [https://a.example/l], valid_until: 2027-01-01}\n",
    )
    csv = registry(
        tmp_path / "csv",
        "key,kind,licence,evidence,valid_until,contract\na,open,MIT,https://a.example/l,2027-01-01,\n",
        "s.csv",
    )
    (tmp_path / "parquet").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "parquet" / "s.parquet")
    describe(
        tmp_path / "parquet",
        kind="provenance",
        version=1,
        names=["s.parquet"],
        title="",
        licence="",
        made_with="a test",
    )
    entries = [read_registry(read_artefact(folder, "provenance")) for folder in (yaml, csv, tmp_path / "parquet")]
    assert entries[0] == entries[1] == entries[2]
    assert len({Provenance((str(folder),), DAY).digest for folder in (yaml, csv, tmp_path / "parquet")}) == 1


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (
            "sources:\n- {key: a, kind: open}\n- {key: b, kind: opne}\n",
            "s.yaml",
            r"s\.yaml: line 3: kind: 'opne' is not known; did you mean 'open'",
        ),
        (
            "sources:\n- {key: a, kind: open, licens: MIT}\n",
            "s.yaml",
            r"line 2: unknown key 'licens'; did you mean 'licence'",
        ),
        ("key,kind\na,open\n,open\n", "s.csv", r"s\.csv: line 3: key 'key' is missing"),
        ("key,kind\na,open,more\n", "s.csv", r"line 2: 3 cells, the header has 2"),
        ("key,kind,valid_until\na,open,soon\n", "s.csv", r"line 2: valid_until: must be a day such as 2026-01-31"),
        (
            "key,kind,valid_until\na,open,\na,open,2026-01-01\n",
            "s.csv",
            r"line 3: key: 'a' is given twice for one day, first at .*line 2",
        ),
        ("key,kind,valid_from,valid_until\na,open,2026-02-01,2026-01-01\n", "s.csv", r"is before valid_from"),
        ("- a\n", "s.yaml", "under the one key 'sources'"),
    ],
)
def test_a_mistake_in_a_registry_names_file_line_and_remedy(tmp_path: Path, content: str, name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Provenance((registry(tmp_path, content, name),), DAY).load()


def test_dates_without_a_day_to_compare_them_with_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as_of is missing"):
        Provenance((sources(tmp_path, "key: s, kind: open, valid_until: 2026-06-30"),)).load()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"required": {"opn": ["licence"]}}, "no kind 'opn'; did you mean 'open'"),
        ({"required": {"open": ["license"]}}, "no field 'license'; did you mean 'licence'"),
        ({"as_of": "soon"}, "must be a day"),
        ({"required": {"open": None}}, "required.open: must be a name or a list of names, is None"),
        ({"required": "open"}, "required: must be a mapping of kinds to fields"),
        ({"allowed_licences": {"*": 1}}, "allowed_licences: must be a name or a list of names"),
        ({"allowed_licences": [1]}, "allowed_licences: must hold names, has 1; put it in quotes"),
    ],
)
def test_a_mistake_in_the_configuration_is_refused(fields: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Provenance(**fields)  # type: ignore[arg-type]


def test_a_single_name_is_one_name_and_not_its_letters() -> None:
    tagger = Provenance(allowed_licences="CC-BY-*", required={"synthetic": "contract"})  # type: ignore[arg-type]
    assert found(tagger, kind="open", licence="GPL-3.0-only") == [("licence_not_allowed", "GPL-3.0-only")]
    assert found(tagger, kind="open", licence="CC-BY-4.0") == []
    assert found(tagger, kind="synthetic") == [("missing", "contract")]


NAMES = [
    (name, field.name)
    for name in BUILT_IN
    for field in dataclasses.fields(tagger_class(name))  # type: ignore[arg-type]
    if str(field.type) == "tuple[str, ...]" and field.name not in tagger_class(name).paths
]


@pytest.mark.parametrize(("name", "key"), NAMES)
def test_a_run_file_may_give_any_list_of_a_tagger_as_one_name(tmp_path: Path, name: str, key: str) -> None:
    value = {"entities": "email", "phone_regions": "CN"}.get(key, "CC-BY-*")
    (tagger,) = make_taggers({name: {key: value}}, tmp_path, "run.yaml", None, DAY)
    assert getattr(tagger, key) == (value,)
    with pytest.raises(UsageError, match=rf"run\.yaml: taggers\.{name}\.{key}: must be a name or a list of names"):
        make_taggers({name: {key: {"*": 1}}}, tmp_path, "run.yaml", None, DAY)


def test_a_run_file_may_say_what_a_kind_needs_as_one_name(tmp_path: Path) -> None:
    settings = {"provenance": {"required": {"synthetic": "contract", "open": ["licence", "origin"]}}}
    (tagger,) = make_taggers(settings, tmp_path, "run.yaml", None, DAY)
    assert isinstance(tagger, Provenance)
    assert found(tagger, kind="synthetic") == [("missing", "contract")]
    assert found(tagger, kind="open", licence="MIT") == [("missing", "origin")]


def test_what_a_kind_needs_can_be_said_anew() -> None:
    tagger = Provenance(required={"synthetic": ["contract"]})
    assert found(tagger, kind="synthetic") == [("missing", "contract")]
    assert found(tagger, kind="open") == [("missing", "licence")]


@pytest.mark.parametrize(
    ("written", "expression"),
    [
        ("https://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("http://creativecommons.org/licenses/by-nc-sa/2.0/fr/deed.fr", "CC-BY-NC-SA-2.0-FR"),
        ("https://creativecommons.org/licenses/by/2.0/fr/", "CC-BY-2.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/legalcode", "CC0-1.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 International", "CC-BY-SA-4.0"),
        ("cc by 4.0", "CC-BY-4.0"),
        ("mit or apache-2.0", "MIT OR Apache-2.0"),
        ("LicenseRef-ours", "LicenseRef-ours"),
        ("https://spdx.org/licenses/MIT.html", "MIT"),
        ("cc-by", None),
        ("all rights reserved", None),
        ("MIT WITH MIT", None),
        ("(" * 300 + "MIT" + ")" * 300, "MIT"),
    ],
)
def test_a_licence_is_understood_as_it_is_written(written: str, expression: str | None) -> None:
    assert spdx_expression(written) == expression


@pytest.mark.parametrize(
    ("written", "allowed"),
    [
        *(
            (each, True)
            for each in (
                "CC-BY-4.0",
                "CC-BY-3.0-IGO",
                "CC-BY-SA-2.1-JP",
                "MIT OR GPL-3.0-only",
                "Apache-2.0 WITH LLVM-exception",
            )
        ),
        *(
            (each, False)
            for each in (
                "CC-BY-NC-4.0",
                "CC-BY-ND-4.0",
                "CC-BY-NC-SA-3.0-IGO",
                "MIT AND GPL-3.0-only",
                "LicenseRef-ours",
            )
        ),
    ],
)
def test_by_default_noncommercial_and_noderivatives_are_not_allowed(written: str, allowed: bool) -> None:
    assert is_allowed(written, LICENCES) is allowed


def test_many_records_of_few_sources_are_found_each_for_itself() -> None:
    names = ["a", "b"] * 500
    evidence = {
        "kind": pa.array(["open", "user_input"] * 500),
        "licence": pa.array(["MIT", None] * 499 + [None, "x y"]),
    }
    documents = dataclasses.replace(Documents.of(["t"] * 1000), source=pa.array(names), provenance=evidence)
    together = [(each.row, each.category, each.rule) for each in BARE.tag(documents)]
    alone = [
        (row, *pair) for row in range(1000) for pair in [(e.category, e.rule) for e in BARE.tag(documents.only(row))]
    ]
    assert together == alone
    assert len(together) == 502


_FIRST_USE = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from models import licences
from models.licences import spdx_expression
sys.setswitchinterval(1e-5)
written = ["MIT", "CC-BY-4.0", "Apache-2.0", "MIT OR Apache-2.0", "BSD-3-Clause", "CC0-1.0", "ISC", "0BSD"]
for number in range(4):
    spdx_expression.cache_clear()
    licences._spdx.cache_clear()
    licences._spdx()
    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda name: (start.wait(), spdx_expression(name))[1], written))
    assert found == written, found
"""


def test_licences_are_read_by_several_threads_at_once_from_the_first_on() -> None:
    subprocess.run([sys.executable, "-c", _FIRST_USE], check=True)
