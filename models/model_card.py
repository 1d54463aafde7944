"""The card of a category model: what it finds, how well, on what it was trained, what it cannot do. Made from its metrics."""

from collections.abc import Iterator
from typing import Any

from models.category_model import Facts
from models.taxonomy import load_taxonomy
from models.training_data import Options


def card(facts: Facts, metrics: dict[str, Any], options: Options) -> str:
    """Return the card in Markdown."""
    return "\n".join(_lines(facts, metrics, options)) + "\n"


def _lines(facts: Facts, metrics: dict[str, Any], options: Options) -> Iterator[str]:
    yield f"# {options.title}\n"
    yield f"`{facts.name}`, for {', '.join(facts.languages)}; licence {options.licence}. A fastText classifier for the tagger `category`."
    yield f"Text is looked at in windows of {facts.size} code points, one every {facts.stride}.\n"
    yield "## What it finds\n"
    yield from _table(("label", "risks", "threshold (logit)", "slope"), _label_rows(facts))
    yield "\nA score of 0.5 stands at the threshold. It was chosen on benign text, see below; the slope was fitted on held-out text."
    yield from _uncovered(facts)
    yield "\n## How well\n"
    yield from _figures({"held out (dev)": metrics["dev"]} | metrics["test"])
    yield "\n*At threshold*: what the tagger flags. *Even odds*: detection at 1/2 before the threshold, for comparison with other classifiers."
    yield "Macro-F1 is over having any risk or none. By label, at the threshold:\n"
    parts = {"dev": metrics["dev"]} | metrics["test"]
    rows = [
        (part, label, each["found"] + each["missed"], each["precision"], each["recall"], each["f1"])
        for part, figures in parts.items()
        for label, each in figures["labels"].items()
    ]
    yield from _table(("data", "label", "records", "precision", "recall", "F1"), rows)
    yield "\n## Benign text\n"
    yield f"The threshold lets at most {float(options.most_flagged):.2%} of any file that it was chosen on be flagged.\n"
    chosen = [("chosen on", *row) for row in _benign_rows(metrics["threshold_chosen_on"])]
    measured = [("measured on", *row) for row in _benign_rows(metrics["benign_test"])]
    yield from _table(("use", "data", "records", "flagged", "share", "at even odds"), [*chosen, *measured])
    yield "\n## Trained on\n"
    trained = metrics["trained_on"]
    yield f"{trained['records']:,} labelled records and {trained['negatives']:,} of benign text. Left out before:\n"
    yield from _table(
        ("part", "exact duplicates", "but for case, width, signs", "with other labels", "in a later part"),
        _removed(trained),
    )
    if options.origins:
        yield ""
        yield from _table(
            ("origin", "licence", "address"), [(each.name, each.licence, each.url) for each in options.origins]
        )
    yield ""
    yield from _table(("file", "SHA-256"), [(name, f"`{digest}`") for name, digest in metrics["data"].items()])
    yield "\n## Limits\n"
    yield "- It knows what its training data called by these labels, in text like that data. Figures on other text will be lower."
    yield (
        f"- It judges each window of {facts.size} code points as a whole: a passage that is much shorter is outweighed by what stands round "
        "it, and mostly missed. Where such passages must be found, train with a smaller `size` and `stride`, and with ordinary text as negatives."
    )
    yield "- Scores are probabilities where text with and without risk weigh the same, not shares to be expected in a corpus."
    yield "- Which model reads a text is told by script, not by language."
    yield from (f"- {limit}" for limit in options.limits)


def _label_rows(facts: Facts) -> list[tuple[Any, ...]]:
    names = {risk.id: risk for section in load_taxonomy(facts.taxonomy).sections for risk in section.risks}
    return [
        (
            name,
            "; ".join(f"{risk} {names[risk].en} {names[risk].zh}" for risk in label.risks),
            label.threshold,
            label.slope,
        )
        for name, label in facts.labels.items()
    ]


def _uncovered(facts: Facts) -> Iterator[str]:
    taxonomy = load_taxonomy(facts.taxonomy)
    covered = {risk for label in facts.labels.values() for risk in label.risks}
    without = [risk for risk in taxonomy.ids if risk not in covered]
    yield f"\nThis model covers {len(covered)} of the {len(taxonomy.ids)} risks of {taxonomy.instrument}. It has no label for: {', '.join(without)}."


def _figures(parts: dict[str, dict[str, Any]]) -> Iterator[str]:
    rows = []
    for name, figures in parts.items():
        at, even = figures["at_threshold"], figures["at_even_odds"]
        rows.append(
            (
                name,
                figures["records"],
                figures["risky"],
                at["precision"],
                at["recall"],
                at["macro_f1"],
                even["recall"],
                even["macro_f1"],
            )
        )
    heads = ("data", "records", "with a risk", "precision at threshold", "recall at threshold", "macro-F1 at threshold")
    yield from _table((*heads, "recall at even odds", "macro-F1 at even odds"), rows)


def _benign_rows(parts: dict[str, dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        (name, each["records"], each["flagged"], f"{each['share']:.2%}", each["flagged_at_even_odds"])
        for name, each in parts.items()
    ]


def _removed(trained: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (part, each["exact"], each["normalised"], each["conflicting"], sum(each["leaked"].values()))
        for part, each in trained["removed"].items()
    ]


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row)} |"
