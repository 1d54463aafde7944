"""What a run says at its end."""

from rich.console import Console
from rich.table import Table

from pipeline.build import Run
from pipeline.launch import Result


def show_result(out: Console, run: Run, result: Result) -> None:
    """Print what became of everything."""
    outcome = result.outcome
    if outcome is None:
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
    for path, twin in outcome.twins:
        out.print(f"warning: {path} has the same content as {twin}; it is tallied once", markup=False)
    if outcome.gone:
        out.print(f"{len(outcome.gone)} shards left the corpus")
    published = result.published
    if published is None:
        out.print(f"not published; publish with: winnow publish {run.job.root}", markup=False)
    elif published.is_new:
        out.print(f"release {published.number} is in {run.job.root}", markup=False)
    else:
        out.print(f"nothing to do: release {published.number} is up to date", markup=False)
