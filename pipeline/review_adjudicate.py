"""Packing what two people differ on for a third, from the texts that they sent back."""

from collections.abc import Collection, Mapping, Sequence

from models.review_files import Answers
from models.reviews import ADJUDICATION, LABEL, Reviews
from pipeline.review_package import Packaged, Place, begun, finish


def adjudicate(
    reviews: Reviews, files: Sequence[Answers], answered: Collection[str], place: Place, taxonomy: str
) -> Packaged | None:
    """Write a package of the texts in some files that are in dispute; None if none is.

    Args:
        files: that came back; their texts were compared with what was given out.
        answered: tasks that they answer.
    """
    disputed = {task for task in answered if reviews.is_disputed(task)}
    if not disputed:
        return None
    with begun(place) as texts:
        for file in files:
            for answer in file.rows:
                task = answer.values["task"]
                if task in disputed and task not in texts:
                    texts.add(task, answer.values["text"])
        samples = [each for each in reviews.samples.values() if disputed & each.asked]
        said = {
            "purpose": samples[0].purpose,
            "role": ADJUDICATION,
            "samples": [each.entry for each in samples],
        }
        tasks = [_row(reviews, task) for task in disputed]
        return finish(place, texts, tasks, said, taxonomy, ("label_1", "label_2"))


def _row(reviews: Reviews, task: str) -> Mapping[str, str]:
    # In the order of words: that of names would tell who said what.
    labels = sorted(f"{e.verdict} {e.category}".strip() for e in reviews.said(task, LABEL))
    return {"task": task, "label_1": labels[0], "label_2": labels[1]}
