"""Coverage: which risks of a taxonomy the taggers of a job can find at all, and which none can."""

from typing import Protocol, runtime_checkable

from models.errors import UsageError
from models.job import Job
from models.taxonomy import load_taxonomy, matches


@runtime_checkable
class Covering(Protocol):
    """What a tagger may have besides the contract: it says which risks its artefacts can tell."""

    def covers(self) -> dict[str, tuple[str, ...]]:
        """Return the risks, each with the names of what covers it (a list has terms of it, a model a label for it)."""
        ...


def coverage(job: Job) -> dict[str, tuple[str, ...]]:
    """Return every risk of the policy's taxonomy, in its order, with what covers it as ``<tagger>:<name>``; empty for none.

    That something covers a risk says that it can be found, not how well: lists know their own terms, models what they were trained on.
    """
    risks = load_taxonomy(job.policy.taxonomy).ids
    found: dict[str, list[str]] = {risk: [] for risk in risks}
    for tagger in job.taggers:
        if isinstance(tagger, Covering):
            for risk, names in tagger.covers().items():
                if risk in found:
                    found[risk] += [f"{tagger.name}:{name}" for name in names]
    return {risk: tuple(names) for risk, names in found.items()}


def unheard(job: Job) -> list[str]:
    """Return the categories that artefacts can find and that neither a rule nor the limit of sources looks at, as ``<tagger>:<name>: <category>``.

    Raises:
        UsageError: if a category reads like a risk of the policy's taxonomy and is none: a slip of the pen would let through what a list names.
    """
    taxonomy = load_taxonomy(job.policy.taxonomy)
    names = [
        *job.policy.sources.unlawful.categories,
        *(name for rule in job.policy.rules for name in rule.match.category),
    ]
    heard, found = taxonomy.patterns(names), []
    for tagger in job.taggers:
        for category, whence in sorted(tagger.covers().items()) if isinstance(tagger, Covering) else ():
            try:
                taxonomy.patterns([category])
            except UsageError as error:
                raise UsageError(f"{tagger.name}: {', '.join(whence)}: category {error}") from None
            if not matches(category, heard):
                found.append(f"{tagger.name}:{', '.join(whence)}: {category}")
    return found


def coverage_in_words(covered: dict[str, tuple[str, ...]]) -> list[str]:
    """Return the lines by which a person is told what covers the risks, and for which there is no model or nothing at all."""
    by: dict[str, list[str]] = {}
    for risk, names in covered.items():
        for name in names:
            by.setdefault(name, []).append(risk)
    without_model = [risk for risk, names in covered.items() if not any(name.startswith("category:") for name in names)]
    nothing = [risk for risk, names in covered.items() if not names]
    lines = [f"covered by {name}: {', '.join(risks)}" for name, risks in by.items()]
    if without_model:
        lines.append(f"no model covers {len(without_model)} of {len(covered)} risks: {', '.join(without_model)}")
    if nothing:
        lines.append(f"nothing covers {len(nothing)} of {len(covered)} risks: {', '.join(nothing)}")
    return lines
