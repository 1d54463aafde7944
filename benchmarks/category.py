"""How well the tagger ``category`` does on COLD, and how much benign text it flags: three seeds, and the shipped demonstration beside them.

    python benchmarks/category.py FOLDER        # as made by benchmarks/model_data.py

Trained on COLD's training part without what is also in its dev part, with manuals and sayings as text without risk. The threshold is chosen on
one half of the web pages and on a tenth of the training part's harmless posts, which is not trained on; what is measured is the other half of
the pages, the dev part's harmless posts, and packages that nothing was trained or chosen on. Exits with 1 if a bound is broken. Prints tables in
Markdown and CPU time of tagging.
"""

import argparse
import hashlib
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from models.category_model import CategoryModel, load_model, model_artefact
from models.documents import Documents
from models.evaluation import confusion
from models.model_build import TrainingSet, build_model
from models.strict import load_yaml, parse
from models.taggers.category import Category
from models.training_data import Example, Options, distinct, read_benign, read_examples

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "configs/models/zh-discrimination-demo"
SEEDS = (0, 1, 2)
NEGATIVES = ("manpages-zh", "debian-edu-zh", "maint-guide-zh", "fortunes-zh-a")
CHOSEN_ON = ("web-zh-a",)
MEASURED = ("web-zh-b", "debian-reference-zh", "debian-faq-zh", "kicad-zh", "libreoffice-help-zh")
SAME_PACKAGE = "fortunes-zh-b"
"""Told, but not counted: the model was trained on other sayings of this package."""
EASY = "libreoffice-help-zh"
"""More than half of what is measured, and next to nothing of it is ever flagged: the share is told, and bounded, without it too."""
HARMLESS = 1000
"""Records of COLD's dev part without risk that are counted among the benign."""
HELD_BACK = 26
"""Of 256 harmless posts of the training part: the threshold is chosen on them."""
SHARE, SHARE_OF_HARD = "share of these", f"share without {EASY}"
LEAST_F1, LEAST_RECALL, MOST_FLAGGED = 0.89, 0.5, 0.005


def figures(
    model: CategoryModel,
    dev: list[Example],
    outside: dict[str, list[Example]],
    sayings: list[Example],
    *,
    even_odds: bool,
) -> dict[str, Any]:
    """Return what one decision (the model's thresholds, or even odds) does on COLD's dev part and on benign text."""
    threshold = np.array([0.0 if even_odds else label.threshold for label in model.facts.labels.values()])

    def flagged(part: list[Example]) -> np.ndarray:
        return (model.record_margins([each.text for each in part]) >= threshold).any(axis=1)

    risky, found = np.array([bool(each.labels) for each in dev]), flagged(dev)
    harmless = found[~risky]
    order = np.argsort([digest(each) for each in dev if not each.labels])
    counted = harmless[order[:HARMLESS]]
    apart = {name: flagged(part) for name, part in outside.items()}
    count, hits = sum(map(len, apart.values())), int(sum(each.sum() for each in apart.values()))
    both, of_both = hits + int(counted.sum()), count + len(counted)
    hard, of_hard = both - int(apart[EASY].sum()), of_both - len(apart[EASY])
    rates = confusion(risky, found)
    return {
        "macro-F1 on dev": rates["macro_f1"],
        "recall on dev positives": rates["recall"],
        "outside flagged": f"{hits} of {count:,} ({hits / count:.2%})",
        "harmless dev records flagged": f"{harmless.sum()} of {len(harmless):,} ({harmless.mean():.2%})",
        f"outside and {HARMLESS:,} harmless": f"{both} of {of_both:,}",
        SHARE: round(both / of_both, 4),
        f"these without {EASY}": f"{hard} of {of_hard:,}",
        SHARE_OF_HARD: round(hard / of_hard, 4),
    } | {
        f"… {name}": f"{each.sum()} of {len(each):,} ({each.mean():.2%})"
        for name, each in (apart | {SAME_PACKAGE: flagged(sayings)}).items()
    }


def digest(example: Example) -> str:
    """Return what orders and parts examples, whatever their order in a file."""
    return hashlib.sha256(example.key.encode()).hexdigest()


def speed(texts: list[str], model: Path) -> float:
    """Return CPU milliseconds of tagging a MB of records of about 2 kB."""
    records = ["\n".join(texts[at : at + 12]) for at in range(0, len(texts), 12)]
    tagger = Category((str(model),))
    batches = [Documents.of(records[at : at + 256]) for at in range(0, len(records), 256)]
    size = sum(
        len(batch.safe.data) for batch in batches
    )  # the view is made once for all taggers, so it is not counted here
    tagger.tag(batches[0])
    begin = time.process_time()
    for batch in batches:
        tagger.tag(batch)
    return (time.process_time() - begin) * 1e3 / (size / 1e6)


def main() -> int:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    path = HERE / "model_options/cold.yaml"
    options = parse(Options, load_yaml(path), str(path))

    def benign(names: tuple[str, ...]) -> dict[str, list[Example]]:
        return {name: distinct(read_benign(folder / f"{name}.jsonl"), {})[0] for name in names}

    dev = distinct(read_examples(folder / "cold_dev.jsonl", options), {})[0]
    outside, sayings = benign(MEASURED), benign((SAME_PACKAGE,))[SAME_PACKAGE]
    negatives = [each for part in benign(NEGATIVES).values() for each in part]
    measured = {f"{name} (measured)": part for name, part in (outside | {SAME_PACKAGE: sayings}).items()}
    posts = read_examples(folder / "cold_train.jsonl", options)
    chosen_on = benign(CHOSEN_ON) | {
        "harmless posts held back": [
            each for each in posts if not each.labels and int(digest(each)[:2], 16) < HELD_BACK
        ]
    }
    data = TrainingSet(posts, chosen_on, negatives, dev=dev, benign_test=measured)
    columns: dict[str, dict[str, Any]] = {}
    for seed in SEEDS:
        fitting = options.fitting.model_copy(update={"seed": seed})
        model = build_model(data, options.model_copy(update={"fitting": fitting})).model
        columns[f"seed {seed}, at the threshold"] = figures(model, dev, outside, sayings, even_odds=False)
        columns[f"seed {seed}, at even odds"] = figures(model, dev, outside, sayings, even_odds=True)
    columns["shipped, at its threshold"] = figures(
        load_model(model_artefact(SHIPPED)), dev, outside, sayings, even_odds=False
    )
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} | " + " | ".join(str(each[row]) for each in columns.values()) + " |")
    f1 = statistics.median(columns[f"seed {seed}, at even odds"]["macro-F1 on dev"] for seed in SEEDS)
    at = [columns[f"seed {seed}, at the threshold"] for seed in SEEDS]
    recall = min(each["recall on dev positives"] for each in at)
    share, hard = (max(each[name] for each in at) for name in (SHARE, SHARE_OF_HARD))
    print(
        f"\nmacro-F1 at even odds, median {f1:.4f} (bound {LEAST_F1}); at the threshold: recall, least of seeds {recall:.4f} (bound {LEAST_RECALL}),"
    )
    print(
        f"benign flagged, harmless posts among them, most of seeds {share:.2%}, without {EASY} {hard:.2%} (bound {MOST_FLAGGED:.2%})"
    )
    texts = [each.text for part in outside.values() for each in part]
    print(f"tagging with the shipped model: {speed(texts, SHIPPED):.0f} CPU-ms/MB of Chinese")
    return 0 if f1 >= LEAST_F1 and recall >= LEAST_RECALL and max(share, hard) <= MOST_FLAGGED else 1


if __name__ == "__main__":
    sys.exit(main())
