"""What a run made or reused must still be there when it is published: a gc may have met it, since nobody held a lease."""

from models.catalogue import Catalogue
from models.outcome import Outcome
from pipeline.corpus import Corpus
from pipeline.releases import gone


def check_present(corpus: Corpus, outcome: Outcome, catalogue: Catalogue) -> None:
    """Look for the catalogue and the layers that the release before does not have; parts are looked for when they are shown.

    What that release has is kept by gc. Copies of this machine are not asked: they outlive the objects.

    Args:
        catalogue: of the outcome.

    Raises:
        InputOutputError: naming one that is gone.
    """
    before = corpus.catalogue() if corpus.number else Catalogue.empty()
    kept, now = ({ref.name for ref in each.segments} for each in (before, catalogue))
    wanted = dict.fromkeys(outcome.catalogue.values(), "the run's catalogue")
    for ref in catalogue.segments:
        if ref.name in kept:
            continue
        wanted |= dict.fromkeys(ref.objects, "a segment of the run's catalogue")
        for row in catalogue.read(ref).rows():
            wanted |= {layer.name: f"a layer of {row.split.name}" for layer in row.layers}
    for ref in before.segments:
        if ref.name not in now:
            for row in before.read(ref).rows():
                for layer in row.layers:
                    wanted.pop(layer.name, None)
    store = corpus.store
    folders = sorted({name.rpartition("/")[0] for name in wanted})
    there = {entry.name for folder in folders for entry in store.list(folder)}
    for name, what in wanted.items():
        if name not in there:
            raise gone(f"{store.root}/{name}", what)
