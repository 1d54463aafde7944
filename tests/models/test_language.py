"""The language of a record is told by its script and its function words, the same whatever stands beside it."""

import functools
import importlib.resources
import itertools

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.language import _LONGEST, _RARE, _SCRIPTS, PIECE, _samples, languages

SENTENCES = {
    "en": "The children of the village had to walk to the school and they were not often late for it.",
    "de": "Die Kinder aus dem Dorf mussten zu Fuß in die Schule gehen und kamen nicht oft zu spät.",
    "fr": "Les enfants du village devaient aller à l'école à pied et ils ne sont pas souvent arrivés en retard.",
    "es": "Los niños del pueblo tenían que ir a la escuela a pie y no llegaban tarde con frecuencia, pero a veces sí.",
    "pt": "As crianças da aldeia não podiam ir à escola de carro, mas elas foram sempre a pé e com os seus pais.",
    "it": "I bambini della scuola non sono arrivati in ritardo, anche se il paese è più lontano di quello che pensi.",
    "nl": "De kinderen van het dorp moesten naar de school lopen en zij waren niet vaak te laat voor de les.",
    "pl": "Dzieci z tej wsi nie jeżdżą do szkoły, ale chodzą po drodze, która jest długa, i się nie spóźniają.",
    "tr": "Köydeki çocuklar okula yürümek için çok erken kalkar ve bu yol olarak bilinen bir patikadan gider.",
    "vi": "Trẻ em của làng này đã đi bộ đến trường và không có ai đến muộn trong những ngày đó.",
    "id": "Anak-anak di desa itu harus berjalan kaki ke sekolah karena mereka tidak terlambat untuk pelajaran yang pertama.",
    "ru": "Дети из деревни шли в школу пешком, и они не часто опаздывали на уроки, если это было возможно.",
    "uk": "Діти з цього села ходили до школи пішки, але вони не запізнювалися, якщо це було можливо від ранку.",
    "ar": "كان الأطفال في القرية يذهبون إلى المدرسة على الأقدام ولم يتأخروا عن الدرس في ذلك اليوم.",
    "fa": "بچه‌های روستا باید پیاده به مدرسه می رفتند و این راه را با هم طی می کردند.",
    "hi": "गाँव के बच्चे स्कूल पैदल जाते थे और वे समय पर पहुँचने के लिए जल्दी निकलते हैं।",
    "zh": "村里的孩子们走路去上学，很少迟到。",
    "ja": "村の子供たちは歩いて学校に行き、めったに遅刻しませんでした。",
    "ko": "마을 아이들은 걸어서 학교에 갔고 거의 늦지 않았습니다.",
    "th": "เด็กในหมู่บ้านเดินไปโรงเรียน",
    "el": "Τα παιδιά του χωριού πήγαιναν στο σχολείο με τα πόδια.",
}


def tell(*texts: str) -> list[str]:
    return languages(pa.array(texts, pa.string()))


@pytest.mark.parametrize("code", SENTENCES)
def test_a_plain_sentence_has_its_language(code: str) -> None:
    assert tell(SENTENCES[code]) == [code]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "zxx"),
        ("123 -- 456 %%", "zxx"),
        ("Xylophon Quark", "und-Latn"),
        ("ᚠᚢᚦᚨᚱᚲ", "zxx"),
        ("电视剧の主题曲很好听，我们都喜欢这首歌曲", "zh"),
        ("请访问 www.example.com/index 了解详情，欢迎大家使用我们的产品", "zh"),
    ],
)
def test_what_cannot_be_told_is_said_and_scripts_decide_by_what_they_carry(text: str, code: str) -> None:
    assert tell(text) == [code]


@given(st.lists(st.sampled_from([*SENTENCES.values(), "", "\n", "the", "🙂"]) | st.text(max_size=40), max_size=8))
def test_a_records_language_does_not_depend_on_its_neighbours(texts: list[str]) -> None:
    assert tell(*texts) == [code for text in texts for code in tell(text)]


def test_a_slice_of_an_array_is_read_as_its_own_records() -> None:
    texts = pa.array(list(SENTENCES.values()), pa.string())
    assert languages(texts.slice(3, 4)) == list(SENTENCES)[3:7]


def test_a_long_record_is_judged_by_its_start_and_its_middle() -> None:
    menu = "Home | Login | Cart\n"
    body = SENTENCES["de"] + "\n"
    assert tell(menu * 5 + body * (6 * PIECE // len(body)) + menu * 5) == ["de"]


@given(st.integers(0, 3))
def test_a_character_cut_in_two_changes_nothing(shift: int) -> None:
    assert tell("a" * shift + " " + "中文字" * PIECE) == ["zh"]


WORDS = {
    code: words
    for line in importlib.resources.files("models").joinpath("function_words.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
    for code, *words in [line.split()]
}
WHOLE = 12


def plainly(text: str) -> str:
    """Tell the language of one text, letter by letter and word by word."""
    letters = [(letter, script_of(letter)) for letter in sample_of(text).lower()]
    counts = {code: sum(script == code for _, script in letters) for code, *_ in _SCRIPTS}
    if not any(counts.values()):
        return "zxx"
    main = max(_SCRIPTS, key=lambda each: counts[each[0]] * each[2])
    east = {each[0]: each for each in _SCRIPTS if each[0] in ("Hani", "Kana")}
    if main[0] in east:
        main = east["Kana" if counts["Kana"] * 10 >= counts["Hani"] + counts["Kana"] else "Hani"]
    if main[1]:
        return main[1]
    runs = (list(run) for inside, run in itertools.groupby(letters, lambda each: each[1] is not None) if inside)
    words = ["".join(letter for letter, _ in run) for run in runs if len(run) <= _LONGEST]
    scores = {code: sum(worth(word) for word in words if word in own) for code, own in WORDS.items()}
    most = max(scores.values())
    best = [code for code, score in scores.items() if score == most]
    sure = most >= WHOLE and most * _RARE >= WHOLE * len(words) and len(best) == 1
    return best[0] if sure else f"und-{main[0]}"


def sample_of(text: str) -> str:
    data = text.encode()
    if len(data) > 3 * PIECE:
        middle = len(data) // 2
        data = data[:PIECE] + b"\n" + data[middle : middle + PIECE]
    return data.decode("utf-8", "ignore")


@functools.cache
def script_of(letter: str) -> str | None:
    return next((code for code, *_, ranges in _SCRIPTS if any(a <= ord(letter) < b for a, b in ranges)), None)


@functools.cache
def worth(word: str) -> int:
    return max(1, WHOLE // sum(word in own for own in WORDS.values()))


FRAGMENTS = (
    *SENTENCES.values(),
    *(
        "THE",
        "Der",
        "Não",
        "İle",
        "İ",
        "Kelvin \u212a",
        "ΑΣ",
        "ẞ",
        "\U0001f642",
        "\U00020000",
        "\u00a0",
        "\0",
        "\n",
        "1234",
        "e\u0301",
    ),
    *("donaudampfschifffahrt", "a" * 12, "б" * 13, "の", "中文", " "),
)


@settings(deadline=None)  # the slow plain way, on a busy machine
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(FRAGMENTS) | st.text(max_size=9), st.integers(1, 9)), max_size=9), max_size=4
    )
)
def test_whole_batches_are_told_as_one_text_is_letter_by_letter(texts: list[list[tuple[str, int]]]) -> None:
    joined = [" ".join(piece * count for piece, count in text) for text in texts]
    assert tell(*joined) == [plainly(text) for text in joined]


@pytest.mark.parametrize("code", WORDS)
def test_every_function_word_speaks_for_its_languages(code: str) -> None:
    for word in WORDS[code]:
        text = " ".join([word.upper() if word.upper().lower() == word else word] * WHOLE)
        assert tell(text) == [plainly(text)]
        assert tell(text)[0] in (code, f"und-{script_of(word[0])}")


@pytest.mark.parametrize("letter", ["a", "é", "中", "\U00020000"])
def test_what_is_looked_at_begins_and_ends_with_whole_characters(letter: str) -> None:
    texts = ["b" * shift + letter * (size // len(letter.encode())) for size in range(755, 785) for shift in range(5)]
    sample, bounds = _samples(pa.array(texts, pa.string()))
    cuts = itertools.pairwise(bounds.tolist())
    assert [sample[start:end].decode() for start, end in cuts] == [sample_of(text) + "\n" for text in texts]
