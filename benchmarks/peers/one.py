"""Runs one peer over one file of JSON Lines, in the peers' environment; called by ``benchmarks/peers/run.py``.

    python one.py datatrove|dolma|presidio SHARD FOLDER

Each reads the records, looks for personal data with what it ships that needs no download, and writes what it writes.
"""

import gzip
import json
import logging
import shutil
import sys
from pathlib import Path


def datatrove(shard: Path, folder: Path) -> None:
    """Read, replace addresses by its formatter, write gzip JSON Lines."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.formatters import PIIFormatter
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    steps = [
        JsonlReader(str(shard.parent), glob_pattern=shard.name),
        PIIFormatter(),
        JsonlWriter(str(folder / "out")),
    ]
    LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(folder / "logs")).run()


def dolma(shard: Path, folder: Path) -> None:
    """Read, find addresses, telephone numbers and IP addresses by its regular expressions, write attributes."""
    from dolma.core.runtime import create_and_run_tagger

    documents = folder / "documents"
    documents.mkdir(parents=True)
    with shard.open("rb") as plain, gzip.open(documents / "0.jsonl.gz", "wb", 1) as packed:
        shutil.copyfileobj(plain, packed)
    create_and_run_tagger(
        documents=[str(documents / "*.jsonl.gz")],
        taggers=["pii_regex_with_counts_fast_v2"],
        destination=[str(folder / "attributes")],
        metadata=str(folder / "metadata"),
        num_processes=1,
    )


def presidio(shard: Path, folder: Path) -> None:
    """Analyse every text with the default recognisers on a blank pipeline: its models are not in any package."""
    import spacy
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    class Blank(SpacyNlpEngine):
        def __init__(self) -> None:
            super().__init__(ner_model_configuration=NerModelConfiguration())
            self.nlp = {"en": spacy.blank("en")}

        def is_loaded(self) -> bool:
            return True

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL)
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # it would fetch a list
    engine = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"])
    with shard.open(encoding="utf-8") as lines, (folder / "found.jsonl").open("w", encoding="utf-8") as out:
        for line in lines:
            found = engine.analyze(json.loads(line)["text"], "en")
            out.write(json.dumps([[each.entity_type, each.start, each.end, each.score] for each in found]) + "\n")


if __name__ == "__main__":
    name, shard, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    {"datatrove": datatrove, "dolma": dolma, "presidio": presidio}[name](shard, folder)
