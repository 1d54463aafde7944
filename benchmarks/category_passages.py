"""How much of what a category model finds alone it still finds inside ordinary text, by the size of its windows.

    python benchmarks/category_passages.py FOLDER [--model MODEL]        # as made by benchmarks/model_data.py

A window has one score. The longer it is, the more a short passage is outweighed by what stands round it. Posts of COLD's dev part that have a
risk are put in the middle of 300 characters of web pages, a line of its own each, and the shipped model, at its own threshold, is asked for the
post alone, for the page with it, and for ordinary lines: with its own windows, and with others. Pages on which it flags anything by
themselves are not used. Prints a table in Markdown; nothing is trained.
"""

import argparse
import itertools
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.category_model import CategoryModel, load_model, model_artefact
from models.strict import load_yaml, parse
from models.training_data import Options, distinct, read_benign, read_examples

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "configs/models/zh-discrimination-demo"
PAGES = ("web-zh-a", "web-zh-b")
"""Nothing was trained on them; the threshold was chosen on the first, which a passage put into it does not profit from."""
AROUND = 300
"""Characters of a page that stand round a post, half of them before it."""
WINDOWS = ((128, 64), (64, 32))
"""Size and stride of the windows that a model is tried with beside its own."""


def passages(model: CategoryModel, posts: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Return a table of what a model finds of posts alone and in pages, a row for each size of windows."""
    own = model.facts.size, model.facts.stride
    models = {windows: _with_windows(model, *windows) for windows in dict.fromkeys((own, *WINDOWS))}
    pages = _pages(lines)
    quiet = ~np.any([_flagged(each, pages) for each in models.values()], axis=0)
    pages = [page for page, is_quiet in zip(pages, quiet.tolist(), strict=True) if is_quiet]
    planted = [_planted(post, page) for post, page in zip(posts, itertools.cycle(pages), strict=False)]
    known = _flagged(model, posts)
    length = statistics.median(len(post) for post, is_found in zip(posts, known.tolist(), strict=True) if is_found)
    rows = [
        f"{len(posts):,} posts, {len(pages):,} pages; posts that are found alone with windows of {own[0]} have {length:g} characters in the median.\n",
        f"| windows, one every | found alone | found in a page | in a page, of those found alone with {own[0]} | ordinary lines flagged |",
        "|---|---|---|---|---|",
    ]
    for (size, stride), each in models.items():
        alone, inside, harmless = _flagged(each, posts), _flagged(each, planted), _flagged(each, lines)
        rows.append(
            f"| {size}, {stride} | {_share(alone)} | {_share(inside)} | {_share(inside[known])} | {_share(harmless)} |"
        )
    return rows


def _with_windows(model: CategoryModel, size: int, stride: int) -> CategoryModel:
    return model.with_facts(model.facts.model_copy(update={"size": size, "stride": stride}))


def _pages(lines: Sequence[str]) -> list[str]:
    """Put lines together to pages of just so many characters."""
    whole = "\n".join(lines)
    return [whole[at : at + AROUND] for at in range(0, len(whole) - AROUND, AROUND)]


def _planted(post: str, page: str) -> str:
    return f"{page[: AROUND // 2]}\n{post}\n{page[AROUND // 2 :]}"


def _flagged(model: CategoryModel, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    threshold = np.array([label.threshold for label in model.facts.labels.values()])
    return np.asarray((model.record_margins(texts) >= threshold).any(axis=1), bool)


def _share(found: npt.NDArray[np.bool_]) -> str:
    return f"{found.sum():,} of {len(found):,} ({found.mean():.2%})"


def main() -> None:
    """Measure the shipped model and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, default=SHIPPED)
    given = parser.parse_args()
    folder = given.folder
    path = HERE / "model_options/cold.yaml"
    options = parse(Options, load_yaml(path), str(path))
    posts = [each.text for each in distinct(read_examples(folder / "cold_dev.jsonl", options), {})[0] if each.labels]
    lines = [each.text for name in PAGES for each in distinct(read_benign(folder / f"{name}.jsonl"), {})[0]]
    print("\n".join(passages(load_model(model_artefact(given.model)), posts, lines)))


if __name__ == "__main__":
    main()
