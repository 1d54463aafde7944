"""What comes back from people: refused as a whole and by name, or entered once."""

import hashlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.drawing import ALL, draws, task_id
from models.errors import BrokenChainError, UsageError
from models.review_entering import Draw, enter_sample
from models.review_files import read_answers, shown_hash
from models.review_import import Imported, Terms, import_answers, read_register
from models.review_standing import CURVE, operating_curve, standing
from models.reviews import DRAWN, VERDICTS, Sample, chain_of, final_verdicts, read_reviews, verify
from models.store import LocalStore
from models.taxonomy import load_taxonomy

SALT = "a salt of enough bytes"
DAY = "2026-01-02"
TEXTS = [f"text {number}" for number in range(6)]
Row = dict[str, str]


def content(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def task(text: str, purpose: str = "sources") -> str:
    return task_id(SALT.encode(), purpose, content(text))


class Desk:
    """A store with one sample, and files that come back."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store = folder, LocalStore(folder / "store")
        self.files = 0

    def draw(
        self, texts: list[str], purpose: str = "sources", release: int = 1, salt: str = SALT, why: str = ""
    ) -> Sample:
        rows = [
            {
                "task": task_id(salt.encode(), purpose, content(text)),
                "source": "s.example",
                "stratum": "unflagged" if purpose == "sources" else "",
                "content": content(text),
                "record": bytes(8),
                "draw": int(draws(salt.encode(), [content(text)])[0]),
                "bound": ALL,
                "shown": shown_hash(text),
                "shard": "a.jsonl",
                "position": number,
            }
            for number, text in enumerate(texts)
        ]
        table = pa.Table.from_pylist(rows, DRAWN).sort_by([("source", "ascending"), ("draw", "ascending")])
        draw = Draw(purpose, salt, why, DAY, release, len(rows), "run")
        return enter_sample(self.store, self.folder, draw, table, {"size": len(rows), "sources": []})[0]

    def rows(
        self, who: str, words: list[str], role: str = "annotator", texts: list[str] = TEXTS, **more: str
    ) -> list[Row]:
        return [
            {"task": task(text), "text": text, "verdict": word, role: who, **more}
            for text, word in zip(texts, words, strict=True)
        ]

    def bring(self, *files: list[Row], **terms: Any) -> Imported:
        answers = []
        for rows in files:
            self.files += 1
            path = self.folder / f"f{self.files}.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
            answers.append(read_answers(path))
        return import_answers(self.store, self.folder, answers, Terms(load_taxonomy(), DAY, **terms))

    def refused(self, *files: list[Row], **terms: Any) -> str:
        before = len(chain_of(self.store).entries())
        with pytest.raises(UsageError) as error:
            self.bring(*files, **terms)
        assert len(chain_of(self.store).entries()) == before
        return str(error.value)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path)
    desk.draw(TEXTS)
    return desk


ANN = ["lawful", "lawful", "unlawful", "unlawful", "lawful", "unsure"]
BOB = ["lawful", "lawful", "unlawful", "lawful", "unfit", "unsure"]
CAL = ["unlawful", "lawful", "lawful"]
DISPUTED = TEXTS[3:]


def test_verdicts_count_when_all_of_a_sample_are_final(desk: Desk) -> None:
    assert final_verdicts(desk.store).schema.equals(VERDICTS)
    assert len(final_verdicts(desk.store)) == 0
    desk.bring(desk.rows("Ann", ANN))
    done = desk.bring(desk.rows("Bob", BOB))
    facts = standing(done.reviews, done.reviews.samples["R0001"])
    assert (facts["final"], facts["disputed"], facts["open"], facts["complete"]) == (3, 3, 0, False)
    # Same on 4 of 6; by chance (3·3 + 2·1 + 0·1 + 1·1) / 36, so (24 - 12) / (36 - 12).
    assert facts["agreement"] == [{"people": ["Ann", "Bob"], "records": 6, "same": 4, "kappa": 0.5}]
    assert len(final_verdicts(desk.store)) == 0
    done = desk.bring(desk.rows("Cal", CAL, "reviewer", DISPUTED))
    facts = standing(done.reviews, done.reviews.samples["R0001"])
    assert (facts["final"], facts["complete"], facts["unlawful"]) == (6, True, 2)
    found = final_verdicts(desk.store)
    assert found.schema.equals(VERDICTS)
    assert {row["content"]: row["unlawful"] for row in found.to_pylist()} == {
        content(text): number in (2, 3) for number, text in enumerate(TEXTS)
    }
    assert found["draw"].to_pylist() == draws(SALT.encode(), found["content"].to_pylist()).tolist()
    assert found["content"].to_pylist() == sorted(found["content"].to_pylist())
    assert verify(desk.store) == 4


def test_a_file_that_comes_twice_is_entered_once(desk: Desk) -> None:
    assert desk.bring(desk.rows("Ann", ANN)).entry == "R0002"
    again = desk.bring(desk.rows("Ann", ANN))
    assert (again.entry, again.fresh, again.samples) == ("", 0, ("R0001",))
    more = desk.bring(desk.rows("Ann", ANN), desk.rows("Bob", BOB))
    assert (more.entry, more.fresh) == ("R0003", 6)


def test_who_contradicts_himself_must_say_why_and_the_old_stays(desk: Desk) -> None:
    desk.bring(desk.rows("Ann", ANN))
    other = ["unlawful", *ANN[1:]]
    assert f"ANN said lawful of task {task(TEXTS[0])} before, now unlawful" in desk.refused(desk.rows("ＡＮＮ", other))
    assert "--replace REASON" in desk.refused(desk.rows("Ann", ANN), desk.rows("Ann", other), replace="x")
    done = desk.bring(desk.rows("Ann", other), replace="misread the first")
    assert (done.entry, done.fresh) == ("R0003", 1)
    entries = chain_of(desk.store).entries()
    assert (entries[2].facts["replaced"], entries[2].facts["reason"]) == (1, "misread the first")
    first = pq.read_table(desk.store.local(entries[1].facts["table"]["name"])).to_pylist()
    assert {row["verdict"] for row in first if row["task"] == task(TEXTS[0])} == {"lawful"}
    assert [each.verdict for each in done.reviews.said(task(TEXTS[0]), "label")] == ["unlawful"]


def test_one_person_never_judges_a_record_and_decides_on_it(desk: Desk) -> None:
    desk.bring(desk.rows("Ann", ANN), desk.rows("Bob", BOB))
    said = desk.refused(desk.rows(" bob ", CAL, "reviewer", DISPUTED))
    assert "one person never judges a record and decides on it" in said
    assert all(f"{task(text)} (bob)" in said for text in DISPUTED)
    # Nor the other way round, in one go.
    desk2 = Desk(desk.folder / "two")
    desk2.folder.mkdir()
    desk2.draw(TEXTS)
    row = {"task": task(TEXTS[3]), "text": TEXTS[3], "verdict": "lawful", "annotator": "Ann", "reviewer": "Ann"}
    assert "one person is never both" in desk2.refused([row], partial=True)


def test_a_third_decides_only_where_two_differ(desk: Desk) -> None:
    desk.bring(desk.rows("Ann", ANN), desk.rows("Bob", BOB))
    one = desk.rows("Cal", ["lawful"], "reviewer", TEXTS[:1])
    assert f"task {task(TEXTS[0])} is not in dispute" in desk.refused(one, partial=True)
    assert "has its two verdicts already, of Ann and Bob" in desk.refused(desk.rows("Cal", ANN))
    assert "cannot be unsure" in desk.refused(desk.rows("Cal", ["unsure"], "reviewer", TEXTS[3:4]), partial=True)
    left = desk.refused(desk.rows("Cal", CAL[:2], "reviewer", DISPUTED[:2]))
    assert f"1 tasks of the package of R0001 have no verdict of cal: {task(TEXTS[5])}" in left
    desk.bring(desk.rows("Cal", CAL, "reviewer", DISPUTED))
    assert "was decided on by somebody else" in desk.refused(desk.rows("Dee", CAL, "reviewer", DISPUTED))


def test_what_is_missing_is_named_and_a_part_is_not_final(desk: Desk) -> None:
    said = desk.refused(desk.rows("Ann", ANN[:4], texts=TEXTS[:4]))
    assert all(task(text) in said for text in TEXTS[4:])
    assert "2 tasks of the package of R0001 have no verdict of ann" in said
    done = desk.bring(desk.rows("Ann", ANN[:4], texts=TEXTS[:4]), partial=True)
    assert standing(done.reviews, done.reviews.samples["R0001"])["open"] == 6
    # What came before counts: the rest makes it whole.
    assert desk.bring(desk.rows("Ann", ANN[4:], texts=TEXTS[4:])).fresh == 2
    assert "no verdict is in the files (package of R0001)" in desk.refused(desk.rows("", [""] * 6))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "f" * 32}, f"task {'f' * 32} is of no sample"),
        ({"text": "another"}, "is not the one that was given out"),
        ({"verdict": "unlawfull"}, "verdict 'unlawfull'; did you mean 'unlawful'?"),
        ({"category": "A.1.h"}, "category 'A.1.h' does not go with lawful; lawful goes without one"),
        ({"verdict": "unlawful", "category": "A.5.a"}, "category 'A.5.a' does not go with unlawful; did you mean"),
        ({"verdict": "unfit", "category": "A.1.a"}, "category 'A.1.a' does not go with unfit"),
        ({"verdict": "", "category": "A.1.a"}, "a category is filled in, but no verdict"),
        ({"annotator": ""}, "name one person"),
        ({"started_at": "soon"}, "started_at 'soon': say a time such as"),
        ({"started_at": "2026-01-02T10:00:00Z", "ended_at": "2026-01-02T09:00:00Z"}, "ended_at is before started_at"),
    ],
)
def test_a_row_that_is_wrong_is_refused_by_its_place(desk: Desk, change: Row, said: str) -> None:
    rows = desk.rows("Ann", ANN)
    rows[1] = rows[1] | change
    found = desk.refused(rows)
    assert "f1.jsonl: line 2: " in found
    assert said in found


def test_a_row_that_is_there_twice_is_refused(desk: Desk) -> None:
    rows = desk.rows("Ann", ANN)
    assert "was answered by the same person in f1.jsonl: line 1 already" in desk.refused([*rows, rows[0]])


def test_who_is_not_qualified_at_the_time_is_refused(desk: Desk) -> None:
    path = desk.folder / "people.csv"
    path.write_text("name,qualified_until\nAnn,2026-01-31\n", "utf-8")
    register = read_register(path)
    day = {"ended_at": "2026-01-31T23:00:00Z"}
    assert "Bob is not in people.csv" in desk.refused(desk.rows("Bob", BOB, **day), register=register)
    assert "no time is given" in desk.refused(desk.rows("Ann", ANN), register=register)
    late = desk.rows("Ann", ANN, ended_at="2026-02-01T00:00:00Z")
    assert "Ann was qualified until 2026-01-31, the verdict is of 2026-02-01" in desk.refused(late, register=register)
    done = desk.bring(desk.rows("Ann", ANN, started_at="2026-01-31T22:59:00Z", **day), register=register)
    assert chain_of(desk.store).entries()[-1].facts["register"]["sha256"] == register.sha256
    assert standing(done.reviews, done.reviews.samples["R0001"])["seconds"] == {"p10": 60, "p50": 60, "p90": 60}
    for wrong in (
        "name\nAnn\n",
        "name,qualified_until\nAnn,soon\n",
        "name,qualified_until\nAnn,2026-01-31\nann,2026-01-31\n",
    ):
        path.write_text(wrong, "utf-8")
        with pytest.raises(UsageError, match=r"people\.csv: row"):
            read_register(path)


def test_a_later_sample_asks_only_what_is_new_and_goes_by_what_was_said(desk: Desk) -> None:
    desk.bring(desk.rows("Ann", ANN), desk.rows("Bob", BOB))
    desk.bring(desk.rows("Cal", CAL, "reviewer", DISPUTED))
    assert desk.draw(TEXTS).entry == "R0001"
    later = desk.draw([*TEXTS[2:], "text 6"], release=2)
    assert (later.entry, later.asked) == ("R0004", {task("text 6")})
    # Until the new one is final, the last sample that is complete counts.
    assert len(final_verdicts(desk.store)) == 6
    for who in ("Ann", "Bob"):
        desk.bring(desk.rows(who, ["lawful"], texts=["text 6"]))
    assert set(final_verdicts(desk.store)["content"].to_pylist()) == {content(text) for text in [*TEXTS[2:], "text 6"]}


def test_another_salt_begins_a_new_series_or_is_refused(desk: Desk) -> None:
    other = "another salt, long enough"
    with pytest.raises(UsageError, match="draws by another one, that of series 1"):
        desk.draw(TEXTS, salt=other)
    new = desk.draw(TEXTS, salt=other, why="the first was sent by mail")
    assert (new.facts["series"], new.asked) == (2, new.tasks)
    with pytest.raises(UsageError, match="its series ended after R0001"):
        desk.draw(TEXTS, why="back again")


def test_verify_names_a_table_that_was_touched(desk: Desk) -> None:
    desk.bring(desk.rows("Ann", ANN))
    path = desk.store.local(chain_of(desk.store).entries()[1].facts["table"]["name"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"Ann", b"Eve"))
    for look in (verify, read_reviews, final_verdicts):
        with pytest.raises(BrokenChainError, match="not what R0002 of the reviews says"):
            look(desk.store)  # type: ignore[operator]


def test_what_many_bring_in_at_once_is_checked_against_what_the_others_brought(desk: Desk) -> None:
    start = threading.Barrier(3)

    def bring(who: str) -> str:
        own = Desk(desk.folder / who)
        own.folder.mkdir()
        own.store = desk.store
        start.wait()
        try:
            return own.bring(own.rows(who, ANN)).entry
        except UsageError as error:
            return str(error)

    with ThreadPoolExecutor(3) as clerks:
        said = list(clerks.map(bring, ("Ann", "Bob", "Cal")))
    # Two of them may judge each task, whichever came first; the third is told so.
    assert sorted(each for each in said if each.startswith("R")) == ["R0002", "R0003"]
    assert sum("has its two verdicts already" in each for each in said) == 1
    assert verify(desk.store) == 3
    assert len(read_reviews(desk.store).said(task(TEXTS[0]), "label")) == 2


def test_the_test_by_people_passes_at_96_percent_of_records(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    texts = [f"text {number}" for number in range(50)]
    sample = desk.draw(texts, "human")
    for bad, passed in ((2, True), (3, False)):
        words = ["unlawful", *["unfit"] * (bad - 1), *["lawful"] * (50 - bad)]
        for who in ("Ann", "Bob"):
            rows = [
                {"task": task(text, "human"), "text": text, "verdict": word, "annotator": who}
                for text, word in zip(texts, words, strict=True)
            ]
            done = desk.bring(rows, replace="again")
        facts = standing(done.reviews, sample)
        assert (facts["bad"], facts["allowed"], facts["passed"]) == (bad, 2, passed)
    assert len(final_verdicts(desk.store)) == 0


def test_the_operating_curve_of_4000_records() -> None:
    # The measured figures of the reading of TC260-003, 9.2 a.
    curve = operating_curve(4000)
    assert (curve["allowed"], curve["shows"]) == (160, 139)
    shown = {share: round(100 * chance, 1) for share, chance in curve["passes"].items()}
    assert {share: shown[share] for share in ("3.5%", "4.0%", "4.5%")} == {"3.5%": 95.9, "4.0%": 52.1, "4.5%": 6.7}
    assert len(shown) == len(CURVE)
    assert operating_curve(50)["shows"] == -1
