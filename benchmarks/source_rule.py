"""How good the interval reading of the five per cent rule is: coverage, known mixtures of real records, and nights with many sources.

    python benchmarks/source_rule.py DATA [--page docs/source-rule.md] [--picture docs/source-rule.svg]

DATA is the development data, with ``harm/`` and ``corpora/``. Seeds are fixed. Prints Markdown, writes it into the page below its marker, and
draws the nights. Exits with 1 if a bound is broken. A minute or two.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from model_data import half
from source_rule_nights import nights, picture

from models.category_model import load_model, model_artefact
from models.intervals import Calibration, Interval, mover, rogan_gladen, wilson
from models.operating import chance_of_passing, least_blacklisted, most_clean
from models.source_reading import SourceReading
from models.source_rule import Audit, Evidence, judge

SHIPPED = Path(__file__).parent.parent / "configs/models/zh-discrimination-demo"
MARKER = "<!-- below: make bench-sources -->\n"
SHARES = (0.01, 0.03, 0.05, 0.08, 0.15)
LEAST_COVERED, MOST_COVERED, MOST_WIDTH = 0.93, 0.97, 2.0
SURE = 2.06
"""A ``z_clean`` that keeps the bound on the dangerous side everywhere; the default, 1.96, cannot (:func:`counts`)."""
MOST_DANGEROUS, MOST_AT_DEFAULT = 0.02, 0.027
"""The bound, which breaks this command at ``SURE`` and in mixtures, and what breaks it at 1.96, where one side has 2.5 % by design."""
DRAWS, RESAMPLINGS, CHUNK = 20_000, 2_000, 250

broken: list[str] = []
Rows = Iterator[tuple[str, ...]]


def table(head: tuple[str, ...], rows: Rows) -> str:
    """Return a table in Markdown, with numbers to the right."""
    lines = ["| " + " | ".join(row) + " |" for row in (head, ("---", *["---:"] * (len(head) - 1)), *rows)]
    return "\n".join(lines) + "\n"


def pct(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def told(
    name: str,
    found: Interval,
    truth: float,
    least: float = 0.0,
    most: float = 1.0,
    dangerous_most: float = MOST_DANGEROUS,
) -> tuple[str, ...]:
    """Return coverage, misses on the dangerous side (all of the interval below the truth), and median width.

    With a least coverage, what is outside the bounds is noted.
    """
    low, high = found.low > truth + 1e-12, found.high < truth - 1e-12
    covered, dangerous = 1 - (low | high).mean(), high.mean()
    if least and not (least <= covered <= most and dangerous <= dangerous_most):
        broken.append(f"{name}, true {pct(truth, 0)}: covered {pct(covered)}, dangerous {pct(dangerous, 2)}")
    return pct(covered), pct(dangerous, 2), pct(float(np.median(found.high - found.low)), 2)


def below(name: str, found: Interval, truth: float) -> str:
    """Return misses on the dangerous side alone, and note them if they are over the bound."""
    dangerous = float((found.high < truth - 1e-12).mean())
    if dangerous > MOST_DANGEROUS:
        broken.append(f"{name}, z_clean {SURE:g}, true {pct(truth, 0)}: dangerous {pct(dangerous, 2)}")
    return pct(dangerous, 2)


def counts(reading: SourceReading) -> Rows:
    """What counts of unlawful verdicts decide, and how often they find a source clean that stands at the limit, by exact binomial sums."""
    n = np.array([73, 100, 200, 400, 1_000, 2_000, 4_000, 10_000])
    once, nightly = (least_blacklisted(n, reading.limit, z) for z in (reading.z_review, reading.z_nightly))
    clean = most_clean(n, reading.limit, reading.z_clean), most_clean(n, reading.limit, Fraction(str(SURE)))
    for number, (audited, *decided) in enumerate(zip(n.tolist(), clean[0], once, nightly, strict=True)):
        surely = int(clean[1][number])
        wrongly = [chance_of_passing(int(most[number]), audited, float(reading.limit)) for most in clean]
        if wrongly[1] > MOST_DANGEROUS:
            broken.append(f"n = {audited:,}, z_clean {SURE:g}: clean at the limit {pct(wrongly[1], 2)}")
        yield (
            f"{audited:,}",
            *map(str, decided),
            pct(wrongly[0], 2),
            str(surely) if surely >= 0 else "none",
            pct(wrongly[1], 2),
        )


def coverage(rng: np.random.Generator) -> Rows:
    """Audits of a source of a million records with known shares: one stratum, and three made by a detector (Se 0.85, Sp 0.97)."""
    of_bad, of_good = np.array([0.60, 0.25, 0.15]), np.array([0.003, 0.027, 0.97])
    for n in (400, 1_000, 4_000):
        for truth in SHARES:
            bad, good = np.round(truth * 1e6 * of_bad), np.round((1 - truth) * 1e6 * of_good)
            audited = np.array([n * 3 // 10, n * 2 // 10, n // 2])
            unlawful, in_strata = rng.binomial(n, truth, DRAWS), rng.binomial(audited, bad / (bad + good), (DRAWS, 3))
            share = float(bad.sum() / (bad + good).sum())
            cells: list[str] = []
            for name, true, found in (
                (f"one stratum, n = {n:,}", truth, partial(wilson, unlawful, n)),
                (f"three strata, n = {n:,}", share, partial(mover, bad + good, in_strata, audited)),
            ):
                cells += told(name, found(1.96), true, LEAST_COVERED, MOST_COVERED, MOST_AT_DEFAULT)
                cells.append(below(name, found(SURE), true))
            yield f"{n:,}", pct(truth, 0), *cells


class Pool:
    """Records of one kind by the detector's margin over its threshold, of which each resampling draws disjoint parts."""

    def __init__(self, margins: np.ndarray) -> None:
        self.margins = margins

    def draw(self, rng: np.random.Generator, *counts: int) -> list[np.ndarray]:
        """Return margins of disjoint random parts of so many records, each of shape (CHUNK, count)."""
        order = np.argsort(rng.random((CHUNK, len(self.margins))), axis=1)
        ends = np.cumsum(counts)
        assert ends[-1] <= len(self.margins), "the parts of a resampling must be disjoint"
        return [self.margins[order[:, end - count : end]] for end, count in zip(ends, counts, strict=True)]


def mixture(
    rng: np.random.Generator, truth: float, size: int, harmful: Pool, benign: Pool, calibrated_on: Pool | None = None
) -> tuple[list[Interval], ...]:
    """Return Rogan-Gladen's interval, that of a classifier whose errors are known, and two-phase, for one chunk of resamplings.

    Half of the harmful and half of the benign records are for calibration, or half of another pool in place of the benign.
    """
    bad = round(truth * size)
    to_catch, bad_rows = harmful.draw(rng, len(harmful.margins) // 2, bad)
    if calibrated_on is None:
        to_pass, good_rows = benign.draw(rng, len(benign.margins) // 2, size - bad)
    else:
        (to_pass,), (good_rows,) = (
            calibrated_on.draw(rng, len(calibrated_on.margins) // 2),
            benign.draw(rng, size - bad),
        )
    margins = np.concatenate([bad_rows, good_rows], axis=1)
    flagged = (margins >= 0).sum(axis=1)
    known = [(to_catch >= 0).sum(axis=1), to_catch.shape[1], (to_pass < 0).sum(axis=1), to_pass.shape[1]]
    many = 10**12
    sure = [round((harmful.margins >= 0).mean() * many), many, round((benign.margins < 0).mean() * many), many]
    estimates = (rogan_gladen(flagged, size, Calibration(*each), 1.96) for each in (known, sure))
    return *(Interval(*each[:3]) for each in estimates), two_phase(rng, margins, bad)


def two_phase(rng: np.random.Generator, margins: np.ndarray, bad: int) -> Interval:
    """Audit up to 150 flagged, up to 100 nearly flagged and 250 other records of each resampling."""
    stratum = np.where(margins >= 0, 0, np.where(margins >= -4, 1, 2))
    sizes = np.stack([(stratum == h).sum(axis=1) for h in range(3)], axis=1)
    unlawful = np.stack([(stratum[:, :bad] == h).sum(axis=1) for h in range(3)], axis=1)
    audited = np.minimum(sizes, [150, 100, 250])
    return mover(sizes, rng.hypergeometric(unlawful, sizes - unlawful, audited), audited, 1.96)


def mixtures(draw: Callable[[float], tuple[Interval, ...]], *, bound: bool) -> Rows:
    """Rows of a table of known mixtures: what is estimated on average, and what the intervals hold."""
    for truth in (0.0, *SHARES):
        parts = [draw(truth) for _ in range(RESAMPLINGS // CHUNK)]
        corrected, sure, audits = (
            Interval(*map(np.concatenate, zip(*each, strict=True))) for each in zip(*parts, strict=True)
        )
        widths = [float(np.median(each.high - each.low)) for each in (corrected, sure)]
        cells: list[str] = []
        for name, each in (("Rogan-Gladen", corrected), ("two-phase", audits)):
            least = LEAST_COVERED if bound or name == "two-phase" else 0.0
            covered, dangerous, width = told(f"mixture, {name}", each, truth, least)
            cells += [pct(float(np.nanmean(each.share)), 2), covered, dangerous, width]
        if bound and widths[0] > MOST_WIDTH * widths[1]:
            broken.append(
                f"mixture, true {pct(truth, 0)}: width {widths[0] / widths[1]:.2f} times that with known errors"
            )
        yield (pct(truth, 0), *cells[:4], f"{widths[0] / widths[1]:.2f}", *cells[4:])


def pools(data: Path) -> dict[str, Pool]:
    """Score real records: posts by label, and the web pages that the model's threshold was not chosen on."""
    model = load_model(model_artefact(SHIPPED))
    threshold = np.array([label.threshold for label in model.facts.labels.values()])

    def read(path: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (data / path).read_text("utf-8").splitlines()]

    def pool(texts: list[str]) -> Pool:
        return Pool((model.record_margins(list(dict.fromkeys(texts))) - threshold).max(axis=1))

    posts = read("harm/cold_dev.jsonl")
    return {
        "harmful": pool([each["text"] for each in posts if int(each["label"])]),
        "posts": pool([each["text"] for each in posts if not int(each["label"])]),
        "pages": pool([each["text"] for each in read("corpora/c4_zh_sample/lines.jsonl") if not half(each["text"])]),
    }


def speed(rng: np.random.Generator) -> str:
    """Judge a million sources of three strata."""
    sizes = rng.integers(1_000, 100_000, (1_000_000, 3))
    audited = np.full(sizes.shape, 200)
    audit = Audit(sizes, audited, rng.binomial(audited, 0.04))
    begin = time.process_time()
    judge(Evidence(sizes.sum(axis=1), np.zeros(len(sizes), np.int64), audit=audit), SourceReading(reading="interval"))
    return f"{time.process_time() - begin:.1f}"


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    rng = np.random.default_rng(20260101)
    real = pools(given.data)
    harmful, posts, pages = real["harmful"], real["posts"], real["pages"]
    facts = ", ".join(
        f"{name} {len(each.margins):,} ({pct((each.margins >= 0).mean(), 2)} flagged)" for name, each in real.items()
    )
    head = ("true", "RG mean", "holds the truth", "all below it", "width", "× known Se, Sp")
    head += ("two-phase mean", "holds the truth", "all below it", "width")
    interval = SourceReading(reading="interval")
    night_table, curves = nights(rng)
    sections = [
        "### What counts decide\n\nUnlawful verdicts in one stratum, limit 5 %. *Wrongly* is the chance that a source just over the limit "
        + f"is found clean, exactly; to the right with `z_clean: {SURE:g}`.\n",
        table(
            (
                "verdicts",
                "clean up to",
                "blacklisted from, one review",
                "blacklisted from, every night",
                "wrongly clean",
                f"clean up to, {SURE:g}",
                f"wrongly clean, {SURE:g}",
            ),
            counts(interval),
        ),
        "### Coverage\n\n"
        + f"Each row is {DRAWS:,} audits; 95 % intervals. *Below* is the dangerous side: the whole interval lies below the truth. Left one "
        + "stratum (Wilson); right three strata of a source of a million records (MOVER), with as many verdicts in all; beside each the same "
        + f"side with `z_clean: {SURE:g}`.\n",
        table(
            (
                "verdicts",
                "true",
                *(
                    name
                    for how in ("Wilson", "MOVER")
                    for name in (f"{how} holds", "below", "width", f"below, {SURE:g}")
                ),
            ),
            coverage(rng),
        ),
        "### Known mixtures of real records\n\n"
        + f"Detector: the shipped `zh-discrimination-demo` at its threshold. Records: {facts}. Each resampling draws anew which half "
        + f"calibrates and what is mixed from the rest; {RESAMPLINGS:,} resamplings of 1,000 records. RG is Rogan–Gladen; two-phase has up to 500 verdicts, "
        + "and no correction for being half of all records, so its intervals are too wide.\n",
        table(head, mixtures(lambda truth: mixture(rng, truth, 1_000, harmful, posts), bound=True)),
        "### The same with errors measured elsewhere\n\nCalibrated on posts, but the harmless records are web pages; 400 records:\n",
        table(head, mixtures(lambda truth: mixture(rng, truth, 400, harmful, pages, posts), bound=False)),
        "Calibrated on web pages, but the harmless records are posts; 1,000 records:\n",
        table(head, mixtures(lambda truth: mixture(rng, truth, 1_000, harmful, posts, pages), bound=False)),
        night_table,
        f"Judging a million sources of three strata: {speed(rng)} CPU-seconds.\n",
    ]
    kept = "All kept." if not broken else "Broken: " + "; ".join(broken) + "."
    first = (
        f"Made by `make bench-sources` on {time.strftime('%Y-%m-%d')}, fixed seeds. Bounds: coverage {pct(LEAST_COVERED, 0)} to {pct(MOST_COVERED, 0)}, and at least "
        f"{pct(LEAST_COVERED, 0)} in mixtures; at most {pct(MOST_DANGEROUS, 0)} on the dangerous side with `z_clean: {SURE:g}` and in mixtures, {pct(MOST_AT_DEFAULT)} at 1.96; "
        f"width at most {MOST_WIDTH:g} times that with known errors. {kept}\n"
    )
    text = "\n".join([first, *sections])
    print(text)
    if given.page:
        before, marker, _ = given.page.read_text("utf-8").partition(MARKER)
        given.page.write_text(before + marker + "\n" + text, "utf-8")
    if given.picture:
        given.picture.write_text(picture(curves), "utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
