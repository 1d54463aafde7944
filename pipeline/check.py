"""Check: all that can be known of a run before it."""

from collections import Counter
from collections.abc import Iterator

from models.agenda import check_mapped
from models.coverage import coverage, coverage_in_words, unheard
from models.errors import UsageError
from models.planning import peek_columns
from models.taxonomy import load_taxonomy
from pipeline.config import Settings, absolute, input_root, make_job
from pipeline.corpus import Corpus, check_same
from pipeline.engines import make_engine, not_asked, preflight
from transforms.listing import list_shards
from transforms.workspace import open_store, workspace

_PEEKED = 20


def check(settings: Settings) -> Iterator[str]:
    """Load and compare everything a run needs, and give what was found in lines for people.

    Raises:
        UsageError: at the first thing that would stop the run.
    """
    job = make_job(settings)
    engine = make_engine(settings.file.runner, settings.file.beam)
    policy = job.policy
    yield f"policy {policy.name}@{policy.version}: {len(policy.rules)} rules, reading {policy.sources.reading}"
    covered = load_taxonomy(policy.taxonomy).ids
    yield f"taxonomy {policy.taxonomy}: {len(covered)} risks"
    for tagger in job.taggers:
        yield f"tagger {tagger.name}: loaded, {tagger.digest[:12]}"
        for line in getattr(tagger, "in_words", tuple)():  # what some have to say of their artefacts
            yield f"  {line}"
    yield from coverage_in_words(coverage(job))
    for each in unheard(job):
        yield f"no rule looks at {each}; what is found of it changes nothing"
    root = input_root(settings)
    patterns = [absolute(pattern, settings.folder) for pattern in settings.file.inputs]
    shards: dict[str, str] = {}
    for pattern in patterns:
        found = list_shards(pattern, root, (job.root, job.restricted))
        if not found and not job.allow_empty:
            raise UsageError(f"{settings.name}: {pattern} matches nothing; check the path, or say allow_empty")
        shards |= {each.path: each.generation for each in found}
    yield f"inputs: {len(shards)} shards below {root}"
    opener = workspace(job).opener
    said: Counter[str] = Counter()
    peeked = []
    for path in sorted(shards)[:_PEEKED]:
        peeked.append(peek_columns(opener, root, path, job.reading, shards[path]))
        said[peeked[-1][0].in_words()] += 1
    if len(peeked) == len(shards):
        check_mapped(peeked)
    for columns, count in sorted(said.items()):
        yield f"columns: {columns} ({count} of the first {min(len(shards), _PEEKED)} shards)"
    check_same(Corpus(job.root), job)
    for folder in {job.root, job.restricted}:
        open_store(folder).check()
        yield f"output: {folder} can be written"
    for fault in preflight(engine, {"output": job.root, "restricted": job.restricted, "inputs": root}):
        raise UsageError(f"runner {engine.name}: {fault}")
    unasked = not_asked(engine)
    yield f"runner {engine.name}: ready" if unasked is None else f"runner {engine.name}: {unasked}"
    yield "all that can be known before a run is well"
    again = (
        f"winnow run {settings.name}" if settings.name.endswith((".yaml", ".yml")) else "winnow run with the same words"
    )
    yield f"nothing was screened or written yet; what happens next: {again}"
