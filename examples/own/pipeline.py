"""Taggers in a Beam pipeline of your own: Parquet in, one line a finding out.

    python examples/own/pipeline.py examples/corpus/news-zh.parquet findings.csv

Everything of Beam works round ``Tag``: other sources, other runners, your own rule for what happens to a record. Policies, doors,
source states and audit are what ``winnow run`` adds.
"""

import csv
import io
import logging
import sys
from collections.abc import Iterator
from importlib.resources import files

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.parquetio import ReadFromParquetBatched

from models.findings import Findings
from models.taggers.lexicon import Lexicon
from models.taggers.personal import Personal
from transforms.tag import Tag


def lines(tagged: tuple[pa.Table, Findings]) -> Iterator[str]:
    """Give a line of CSV for each finding: never the matched value, which no finding holds."""
    batch, findings = tagged
    for found in findings:
        line = io.StringIO()
        score = f"{found.score:.2f}"
        values = (batch["doc_id"][found.row], found.category, found.rule, score, found.start, found.end)
        csv.writer(line, lineterminator="").writerow(values)
        yield line.getvalue()


def main(shards: str, output: str) -> None:
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    shipped = files("configs") / "lists" / "illustrative"  # wherever Winnow is installed
    taggers = (Lexicon((str(shipped),)), Personal())
    with beam.Pipeline(runner="apache_beam.runners.portability.fn_api_runner.FnApiRunner") as pipeline:
        (
            pipeline
            | ReadFromParquetBatched(shards)
            | Tag(taggers, id="doc_id", source="source", url="url")
            | beam.FlatMap(lines)
            | beam.io.WriteToText(output, shard_name_template="", header="id,category,rule,score,start,end")
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
