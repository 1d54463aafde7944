"""``winnow source``: what was decided about sources, and decisions of people."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

import typer
from rich.console import Console

from models.errors import UsageError
from pipeline.command_options import JsonOption, Output, corpus_at, day

if TYPE_CHECKING:
    from models.decisions import Decisions
    from pipeline.corpus import Corpus

app = typer.Typer(no_args_is_help=True, help="Show what was decided about sources, decide otherwise, tell crawlers.")
out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)

Key = Annotated[str, typer.Argument(metavar="SOURCE", help="Key of a source, as the tables show it.")]
AsOfOption = Annotated[
    str | None, typer.Option(help="The day on which overrides are in force; default is that of the current release.")
]


@app.command("list")
def source_list(
    output: Output,
    state: Annotated[list[str] | None, typer.Option(help="Only sources in this state; may be given again.")] = None,
    as_of: AsOfOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say the state of every source in the current release, its figures, since when, and what a person decided."""
    from models.sources import STATES
    from models.strict import near_miss
    from pipeline.source_words import line_of

    for each in state or ():
        if each not in STATES:
            raise UsageError(f"--state {each}: there are {', '.join(STATES)}{near_miss(each, STATES)}")
    corpus = corpus_at(output)
    for row in _rows(corpus, _decisions(corpus), _day(corpus, as_of)):
        if not state or row["state"] in state:
            out.print(_json(row) if as_json else line_of(row), markup=False)


@app.command("show")
def source_show(output: Output, source: Key, as_of: AsOfOption = None, as_json: JsonOption = False) -> None:
    """Say all that was decided about a source: its figures now, and every decision with what it rests on."""
    from pipeline.source_words import line_of, plain, told

    corpus = corpus_at(output)
    decisions = _decisions(corpus)
    now = next(iter(_rows(corpus, decisions, _day(corpus, as_of), source)), None)
    history = decisions.history(source)
    if now is None and not history:
        raise UsageError(
            f"no source {source} in release {corpus.number}, and no decision on one; see: winnow source list {output}"
        )
    if as_json:
        out.print(_json({"now": now, "history": history}), markup=False)
        return
    absent = f"not in release {corpus.number}" if corpus.number else "no release yet"
    out.print(line_of(now) if now else plain(f"{source}: {absent}"), markup=False)
    for row in history:
        out.print(told(row), markup=False)


@app.command("override")
def source_override(
    output: Output,
    source: Key,
    state: Annotated[
        str,
        typer.Option(
            help="clean, insufficient, watch, hold or blacklisted; judged ends an override.", show_default=False
        ),
    ],
    reviewer: Annotated[str, typer.Option(help="Who answers for it, by name.", show_default=False)],
    reason: Annotated[str, typer.Option(help="What it rests on, or a reference.", show_default=False)],
    until: Annotated[
        str | None, typer.Option(help="The last day on which it holds; judged needs none.", show_default=False)
    ] = None,
    decided: Annotated[str | None, typer.Option(help="The first day; default is today in UTC.")] = None,
    unseen: Annotated[bool, typer.Option("--unseen", help="The source is in no release yet.")] = False,
) -> None:
    """Decide about a source in place of the figures: in force with runs as of these days, on all that it has in the corpus."""
    from models.deciding import override
    from models.decisions import JUDGED
    from models.source_keys import canonical_key
    from pipeline.source_decisions import enter_changes
    from pipeline.targets import HIDDEN, shown

    if HIDDEN in (shown(source), shown(unquote(source))):
        raise UsageError(
            "SOURCE: it holds personal data, which the ledger would keep for ever; name it as the tables do, (personal …)"
        )
    corpus = corpus_at(output)
    first = day("--decided", decided)
    if until is None and state != JUDGED:
        raise UsageError("--until is missing: say the last day on which the decision holds")
    days = first, first if until is None else day("--until", until)
    if _has_rules(corpus) and (meant := canonical_key(source)) != source:
        raise UsageError(f"{source}: no source can have that key; the tables name it {meant}")
    if corpus.number:
        enter_changes(corpus)  # so that what was before this decision stands before it
    decisions = _decisions(corpus)
    is_known = (
        bool(decisions.history(source))
        or any(_rows(corpus, decisions, days[0], source))
        or bool(_below(corpus, source))
    )
    if not unseen and not is_known:
        raise UsageError(
            f"no source {source} in release {corpus.number}; see: winnow source list {output}. To decide before it comes: --unseen"
        )
    if state == JUDGED and not any(row["kind"] == "override" for row in decisions.history(source)):
        raise UsageError(f"{source}: nobody decided on it, so there is nothing to end; nothing was entered")
    entry = override(corpus.store, source, state, reviewer=reviewer, reason=reason, decided=days[0], until=days[1])
    reach = ""
    if below := _below(corpus, source):
        reach = (
            f", and so are the {below:,} sources at or below it that are not worse"
            if state != "clean"
            else ", not what lies below it"
        )
    if state == JUDGED:
        out.print(
            f"{entry.id}: from {first} on the figures decide on {source} again; in force from the next run on",
            markup=False,
        )
        return
    out.print(
        f"{entry.id}: {source} is {state} by decision of {entry.facts['actor']} in runs as of {days[0]} to {days[1]}{reach}; "
        "in force from the next run on",
        markup=False,
    )


@app.command("acknowledge")
def source_acknowledge(
    output: Output,
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE…", help="Keys of sources, as the tables show them.")],
    by: Annotated[str, typer.Option(help="Who looked at them, by name.", show_default=False)],
    reason: Annotated[str, typer.Option(help="What was seen, or a reference.", show_default=False)],
    decided: Annotated[str | None, typer.Option(help="The day; default is today in UTC.")] = None,
) -> None:
    """Say that sources on hold for their removals may be used as they are now: the figures decide again, and the next comparison is with these."""
    from models.deciding import acknowledge
    from pipeline.source_decisions import enter_changes

    corpus = corpus_at(output)
    today = day("--decided", decided)
    corpus.check_exists()
    enter_changes(corpus)
    decisions = _decisions(corpus)
    held, seen, wanted = decisions.held(), decisions.seen(), list(dict.fromkeys(sources))
    figures = {}
    for source in wanted:
        now = next(iter(_rows(corpus, decisions, today, source)), None)
        if source not in held:
            raise UsageError(
                f"{source}: it is not on hold for its removals, so there is nothing to acknowledge; nothing was entered. "
                f"To decide in place of the figures: winnow source override {output} {source}"
            )
        if source in seen and seen[source].entry > held[source].entry:
            raise UsageError(f"{source}: D{seen[source].entry:04} acknowledges it; run again. Nothing was entered")
        if now is None:
            raise UsageError(f"{source}: release {corpus.number} has no record of it; nothing was entered")
        figures[source] = now["removed"], now["removed_of"]
    for source in wanted:
        entry = acknowledge(
            corpus.store, source, figures[source], by=by, reason=reason, decided=today, release=corpus.number
        )
        removed, of = figures[source]
        out.print(
            f"{entry.id}: {entry.facts['actor']} has seen {source} with {removed:,} of {of:,} records removed; in force from the next run on",
            markup=False,
        )


@app.command("export")
def source_export(
    output: Output,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="domains, url-prefixes, robots, jsonl: what not to collect; ledger, parquet: every decision.",
        ),
    ] = "domains",
    since: Annotated[str | None, typer.Option(help="Only decisions from this day on.")] = None,
    until: Annotated[str | None, typer.Option(help="Only decisions up to this day.")] = None,
    as_of: AsOfOption = None,
    to: Annotated[Path | None, typer.Option("--to", help="File to write; parquet needs one.")] = None,
) -> None:
    """Tell crawlers what must not be collected, or everybody what was decided."""
    from models.decision_export import FORMATS, crawler_lines, jsonl, refused, sites_of, write_parquet
    from models.strict import near_miss

    corpus = corpus_at(output)
    known = (*FORMATS, "ledger", "parquet")
    if form not in known:
        raise UsageError(f"--format {form}: there are {', '.join(known)}{near_miss(form, known)}")
    days = {
        "since": day("--since", since) if since else "",
        "until": day("--until", until) if until else "9999-12-31",
    }
    if days["until"] < days["since"]:
        raise UsageError(f"--until {days['until']} is before --since {days['since']}; nothing could be between them")
    decisions = _decisions(corpus)
    if form in ("ledger", "parquet") and (since or until):
        raise UsageError(f"--format {form} has every decision; leave --since and --until out")
    if form == "parquet":
        if to is None:
            raise UsageError("--format parquet: name a file with --to")
        write_parquet(decisions, to)
        return
    if form == "ledger":
        lines = jsonl(row for table in decisions.tables() for row in table.to_pylist())
    else:
        # A run may be as of an earlier day than the one before; what it came to counts all the same, unless a day is asked for.
        released = _day(corpus, as_of) if as_of else "9999-12-31"
        rows = refused(decisions, _day(corpus, as_of), released, **days, reaches=_has_rules(corpus))
        lines = jsonl(rows)
        if form != "jsonl":
            sites, others = sites_of(rows)
            own = {site.key for site in sites if not site.path and not site.by_person}
            has_below = _with_some_below(corpus, own)
            # Domains leave such hosts out, so what lies below them need not be looked for among all sources.
            spared = _spared(corpus, has_below) if form != "domains" else {}
            lines = crawler_lines(sites, form, has_below, spared)
            for count, said in (
                (len(others), "sources are no addresses and left out; --format jsonl has them"),
                *_left_out(form, sum(bool(site.path) for site in sites), len(has_below), len(spared)),
            ):
                if count:
                    err.print(f"{count:,} {said}", markup=False)
    _write(lines, to)


def _left_out(form: str, parts: int, above: int, spared: int) -> Iterator[tuple[int, str]]:
    """Give what a list for crawlers cannot say, each with the number of sources."""
    if form == "domains":
        yield parts, "sources are parts of hosts and left out; --format url-prefixes has them"
        yield (
            above,
            "hosts are over the limit by their own pages, which says nothing of the sources below them, and left out; --format url-prefixes has them",
        )
    if form == "url-prefixes":
        yield (
            spared,
            "prefixes of hosts shut out sources below them that may be collected; --format robots excepts these",
        )


def _has_rules(corpus: "Corpus") -> bool:
    """Return whether sources are named by rules, so that their keys say what they lie in."""
    return bool(corpus.number) and "source_keys" in corpus.manifest()["job"]


def _with_some_below(corpus: "Corpus", keys: set[str]) -> set[str]:
    """Return those keys that other sources of the current release lie in."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not keys or not _has_rules(corpus):
        return set()
    with corpus.release().fetched("rollups.parquet") as path:
        found = pq.read_table(path, columns=["key", "sources"], filters=[("key", "in", keys), ("sources", ">", 1)])
    return set(pc.unique(found["key"]).to_pylist())


def _spared(corpus: "Corpus", hosts: set[str]) -> dict[str, list[str]]:
    """Return the paths on hosts that are sources of their own and may be collected."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    found: dict[str, list[str]] = {}
    if not hosts:
        return found
    wanted = pa.array(sorted(hosts), pa.string())
    with corpus.release().fetched("sources.parquet") as path, pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=["source", "collect_allowed"]):
            host = pc.list_element(pc.split_pattern(batch.column("source"), "/", max_splits=1), 0)
            is_spared = pc.and_(pc.is_in(host, wanted), pc.fill_null(batch.column("collect_allowed"), False))
            for source in batch.column("source").filter(is_spared).to_pylist():
                own, mark, rest = source.partition("/")
                if mark:
                    found.setdefault(own, []).append(f"/{rest}")
    return found


def _write(lines: Iterator[str], to: Path | None) -> None:
    if to is None:
        for line in lines:
            out.print(line, markup=False)
        return
    with to.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _rows(corpus: "Corpus", decisions: "Decisions", as_of: str, only: str | None = None) -> Iterator[dict[str, Any]]:
    """Give the sources of the current release, if there is one, with what the ledger says of each."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from models.decisions import FIGURES

    if not corpus.number:
        return
    wanted = ["source", "kind", "state", "counted", *FIGURES, "collect_allowed", "train_allowed", "basis", "mark"]
    latest, overrides = decisions.latest(), decisions.overrides(as_of)
    with corpus.release().fetched("sources.parquet") as path, pq.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=wanted):
            found = batch if only is None else batch.filter(pc.equal(batch.column("source"), only))
            for row in found.to_pylist():
                decided, over = latest.get(row["source"]), overrides.get(row["source"])
                yield row | {
                    "since": decided["as_of"] if decided else None,
                    "entry": decided["entry"] if decided else None,
                    "override": None
                    if over is None
                    else {"entry": over.entry, "state": over.state, "until": over.until},
                }


def _below(corpus: "Corpus", key: str) -> int:
    """Return how many sources of the current release lie at or below a key that is more than one source."""
    import pyarrow.parquet as pq

    if not corpus.number:
        return 0
    with corpus.release().fetched("rollups.parquet") as path:
        found = pq.read_table(path, columns=["sources"], filters=[("key", "=", key)])["sources"].to_pylist()
    return int(found[0]) if found else 0


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True)


def _decisions(corpus: "Corpus") -> "Decisions":
    """Return the ledger; what a run that was killed has left to be entered is shown, and entered by the next."""
    from pipeline.source_decisions import read_entered

    decisions = read_entered(corpus)
    if count := len(decisions.pending):
        err.print(
            f"release {corpus.number} changed the states of {count:,} sources and its run was killed before it entered them: shown as "
            "(pending), and entered by the next run",
            markup=False,
        )
    return decisions


def _day(corpus: "Corpus", given: str | None) -> str:
    return day("--as-of", given) if given or not corpus.number else str(corpus.manifest()["as_of"])
