"""What stands there once a run has ended: notices that somebody must read, and copies of the report that lead nowhere."""

from pathlib import Path

import pytest
from conftest import MAIL, Cli, Screen, records, write_shard

from pipeline.corpus import Corpus
from pipeline.summary import show_notices


@pytest.mark.parametrize("with_key", [False, True])
def test_sources_that_became_one_for_their_personal_data_are_told_with_the_remedy(
    screen: Screen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_key: bool,
) -> None:
    monkeypatch.setenv("WINNOW_TEST_KEY", "a key of at least sixteen bytes")
    shard = write_shard(tmp_path / "a.jsonl", records(MAIL, 3) + records("bo.smith@mail.example.org", 2))
    given = {"key_env": "WINNOW_TEST_KEY"} if with_key else {}
    screen(shard, tmp_path / "out", **given)
    show_notices(Corpus(tmp_path / "out"))
    error = capsys.readouterr().err
    assert ("one source here, (personal): 5 records, clean; with a key" in error) != with_key
    assert ("key_env in the run file" in error) != with_key
    assert MAIL not in error


def test_a_copy_of_the_report_has_no_link_to_a_page_that_is_not_there(screen: Screen, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "out"
    screen(write_shard(tmp_path / "a.jsonl", records("good.example", 3)), out)
    for language, name, other in (("en", "report.html", "report.zh.html"), ("zh", "report.zh.html", "report.html")):
        assert f'href="{other}"' in (out / name).read_text("utf-8")
        assert cli("report", out, "--language", language, "--to", tmp_path / "copy.html")[0] == 0
        copy = (tmp_path / "copy.html").read_text("utf-8")
        assert other not in copy
        assert "good.example" in copy
        assert copy.endswith("</html>\n")
