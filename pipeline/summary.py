"""What a run says at its end."""

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from models.tag_pass import PRIVATE_SOURCE
from pipeline.build import Run
from pipeline.corpus import Corpus, Release
from pipeline.launch import Result
from pipeline.removals import in_words


def show_result(out: Console, run: Run, result: Result) -> None:
    """Print what became of everything."""
    plan, judged = result.stages.get("plan"), result.stages.get("judge")
    if plan:
        _show_plan(out, plan)
    if judged:
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(judged["states"].items()))
        out.print(f"sources: {states or 'none'}")
    outcome = result.outcome
    if outcome is None:
        if judged:
            out.print(
                f"a release would rewrite {judged['splits_to_release']:,} splits, {judged['bytes_to_release'] / 1e6:,.1f} MB"
            )
        out.print(f"{run.until}: done in {result.seconds:.1f} s; nothing was released")
        return
    counts, work = outcome.counts, outcome.work
    table = Table(title="What became of everything", title_justify="left")
    table.add_column("door")
    table.add_column("records", justify="right")
    for name in ("clean", "quarantined", "dropped", "dead"):
        note = f" (of them redacted: {counts['redacted']:,})" if name == "clean" and counts["redacted"] else ""
        table.add_row(name + note, f"{counts[name]:,}")
    table.add_section()
    table.add_row("read", f"{counts['read']:,}")
    out.print(table)
    out.print(
        f"{work['new_shards']} new shards; {work['tagged']} of {work['splits']} splits tagged, {work['released']} released; "
        f"{result.seconds:.1f} s"
    )
    if outcome.gone:
        out.print(f"{len(outcome.gone)} shards left the corpus")
    if run.job.sample and plan:
        _show_projection(out, run, result, plan)
    published = result.published
    if published is None:
        out.print(f"not published; publish with: winnow publish {run.job.root} --run {run.name}", markup=False)
    elif published.is_new:
        out.print(f"release {published.number} is in {run.job.root}", markup=False)
    else:
        out.print(f"nothing to do: release {published.number} is up to date", markup=False)


def show_notices(corpus: Corpus, log: Callable[[str], None] | None = None) -> None:
    """Say what the people of the current release must be told, on standard error where no log takes it."""
    release = corpus.release()
    manifest = release.manifest
    for notice in (*manifest.get("notices", ()), *in_words(manifest), *_joined(release)):
        if log is not None:
            log(notice)
        else:
            Console(stderr=True, highlight=False, soft_wrap=True).print(f"notice: {notice}", markup=False)


def _joined(release: Release) -> Iterator[str]:
    """Say it if sources were put together because their names may not be shown: each answers for all of them then."""
    with release.fetched("sources.parquet") as path:
        found = pq.read_table(path, columns=["read", "state"], filters=[("source", "==", PRIVATE_SOURCE)]).to_pylist()
    for row in found:
        yield (
            f"all sources whose names hold personal data are one source here, {PRIVATE_SOURCE}: {row['read']:,} records, "
            f"{row['state'] or 'no state'}; with a key each is judged by itself: key_env in the run file"
        )


def _show_plan(out: Console, plan: dict[str, Any]) -> None:
    out.print(
        f"{plan['shards']:,} shards, {plan['new']:,} new, {plan['bytes'] / 1e6:,.1f} MB in {plan['splits']:,} splits; "
        f"{plan['splits_to_tag']:,} to tag ({plan['bytes_to_tag'] / 1e6:,.1f} MB)"
    )
    for said, count, example in plan["columns"]:
        out.print(f"columns: {said} ({count:,} shards, {example} among them)", markup=False)
    for role, count, example in plan["lacking"]:
        out.print(
            f"warning: {count:,} shards have no such {role} column in their first records: {example}", markup=False
        )
    for path, twin in plan["twins"]:
        out.print(f"warning: {path} has the same content as {twin}; it is tallied once", markup=False)


def _show_projection(out: Console, run: Run, result: Result, plan: dict[str, Any]) -> None:
    """Say what the whole corpus would come to if all of it is like what was tried."""
    assert result.outcome is not None
    counts = result.outcome.counts
    if not counts["read"]:
        out.print("the trial read no record; take a larger share")
        return
    factor = 1_000_000 / run.job.reading.sample_ppm
    if run.job.reading.limit:
        factor = max(1.0, plan["records_in_all"] / counts["read"])
    table = Table(title=f"Projected for all records from {run.job.sample}", title_justify="left")
    table.add_column("door")
    table.add_column("records", justify="right")
    table.add_column("share", justify="right")
    for name in ("clean", "quarantined", "dropped", "dead"):
        table.add_row(name, f"{counts[name] * factor:,.0f}", f"{counts[name] / counts['read']:.2%}")
    out.print(table)
    out.print("a source's state in a trial rests on the records tried; fewer than the policy's least number make hold")
