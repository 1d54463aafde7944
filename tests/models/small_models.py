"""A small real model for tests: it knows a few made-up insults in Chinese and English."""

import random
from pathlib import Path
from typing import Any

from models.model_build import Built, TrainingSet, build_model, write_model
from models.training_data import Example, Options, key_of

BAD = ("你这个坏蛋真讨厌", "讨厌的坏蛋滚出去", "you nasty fool go away", "what a nasty nasty fool")
GOOD = ("今天天气很好", "我们去公园散步吧", "the weather is fine today", "let us walk in the park")
OTHER = ("书店里有很多新书", "a shop that sells new books", "火车三点钟开", "the train leaves at three")


def example(text: str, *labels: str) -> Example:
    return Example(text, labels, key_of(text))


def options(**changed: Any) -> Options:
    given: dict[str, Any] = {
        "name": "small",
        "title": "A small model",
        "licence": "CC0-1.0",
        "languages": ["zh", "en"],
        "labels": {"insult": {"risks": ["A.4.c"], "when": {"label": 1}}},
        "none": {"when": {"label": 0}},
        "size": 32,
        "stride": 24,
        "most_flagged": "1/100",
        "fitting": {"dimensions": 4, "ngrams": 2, "buckets": 500, "epochs": 40, "rate": 0.5},
    }
    return Options.model_validate(given | changed)


def varied(texts: tuple[str, ...], count: int, *labels: str) -> list[Example]:
    """Texts put together of these, no two the same."""
    chance = random.Random(count)
    return [example(f"{'，'.join(chance.sample(texts, 2))} {chr(0x4E00 + number)}", *labels) for number in range(count)]


def training_set() -> TrainingSet:
    return TrainingSet([*varied(BAD, 120, "insult"), *varied(GOOD, 130)], {"books": varied(OTHER, 100)})


def build(**changed: Any) -> Built:
    return build_model(training_set(), options(**changed))


def make_model(folder: Path, **changed: Any) -> str:
    """Write a small model, and return its folder."""
    wanted = options(**changed)
    write_model(folder, build_model(training_set(), wanted), wanted, {})
    return str(folder)
