"""The report of a release: one page of HTML that stands alone, holds nobody's text, and can be printed."""

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from string import Template
from typing import Any

import pyarrow as pa

from models.errors import ConservationError
from models.sources import BLACKLISTED, HOLD
from pipeline.report_markup import Markup, count, exact_percent, fill, joined, name, percent
from pipeline.report_plots import stacked_bar
from pipeline.report_sources import sources_section, state_counts
from pipeline.report_tables import actions_section, basis_section, dead_section

_SHOWN = 20
_DOORS = (
    ("clean", "clean", "go on to training"),
    ("quarantined", "quarantine", "wait for a human"),
    ("dropped", "dropped", "not stored"),
    ("dead", "dead", "not usable as records"),
)


def render_report(
    manifest: dict[str, Any],
    sources: pa.Table,
    reasons: Mapping[str, int],
    errors: Mapping[str, int],
    dead_by_shard: Sequence[tuple[str, int]],
) -> str:
    """Return the page. The same arguments give the same page.

    Args:
        manifest: the release's manifest with the description of its job.
        sources: one row a source with its counts, doors, kind and state.
        reasons: how many records each ``category\\taction`` applied to.
        errors: how many dead letters of each class.
        dead_by_shard: how many dead letters of each shard.

    Raises:
        ConservationError: if the counts do not add up: no such page may be shown.
    """
    counts, policy = manifest["counts"], manifest["policy"]
    _check(counts, errors, dead_by_shard)
    page = Template(importlib.resources.files("pipeline").joinpath("report.html").read_text("utf-8"))
    return page.substitute(
        title=fill("Winnow release {n}", n=str(manifest["release"])),
        identity=_identity(manifest),
        summary=_summary(manifest, state_counts(sources)),
        warnings=_warnings(manifest),
        totals=_totals(counts),
        actions=actions_section(reasons),
        sources=sources_section(sources, policy, counts),
        dead=dead_section(counts["dead"], counts["read"], errors, dead_by_shard),
        basis=basis_section(manifest),
        limit=exact_percent(Fraction(str(policy["limit"]))),
        least=f"{policy['min_records']:,}",
        version=fill("{version}", version=manifest["version"]),
    )


def _check(counts: Mapping[str, int], errors: Mapping[str, int], dead_by_shard: Sequence[tuple[str, int]]) -> None:
    out = sum(counts[key] for key, _, _ in _DOORS)
    if counts["read"] != out or counts["redacted"] > counts["clean"]:
        raise ConservationError(f"report: {counts['read']} records read, {out} went out")
    for what, total in (("class", sum(errors.values())), ("shard", sum(dead for _, dead in dead_by_shard))):
        if total != counts["dead"]:
            raise ConservationError(f"report: {counts['dead']} dead letters, {total} by {what}")


def _identity(manifest: Mapping[str, Any]) -> Markup:
    policy, base = manifest["policy"], manifest["base"]
    facts = {
        "Policy": f"{policy['name']} {policy['version']}",
        "Instrument": policy["instrument"] or "none named",
        "Limit per source": f"over {exact_percent(Fraction(str(policy['limit'])))}",
        "As of": manifest["as_of"],
        "Started": manifest["started"],
        "Finished": manifest["finished"],
        "Made from": f"release {base}" if base else "nothing: the first release",
        "Run": manifest["run"],
    }
    return joined(
        fill("<div><dt>{what}</dt><dd>{value}</dd></div>", what=what, value=value) for what, value in facts.items()
    )


def _summary(manifest: Mapping[str, Any], states: Mapping[str, int]) -> Markup:
    counts, work, base = manifest["counts"], manifest["work"], manifest["base"]
    said = [
        fill(
            "<strong>Of {read} in {shards}, {clean} ({share}) are in the clean corpus</strong>, "
            "{redacted} of them with passages redacted.",
            read=count(counts["read"], "record"),
            shards=count(manifest["shards"], "shard"),
            clean=counts["clean"],
            share=percent(counts["clean"], counts["read"]),
            redacted=counts["redacted"] or "none",
        ),
        fill(
            "{quarantined} {wait} in quarantine for a human to decide, {dropped} {were} dropped, "
            "and {dead} could not be used as records.",
            quarantined=counts["quarantined"] or "None",
            wait="waits" if counts["quarantined"] == 1 else "wait",
            dropped=counts["dropped"] or "none",
            were="was" if counts["dropped"] == 1 else "were",
            dead=counts["dead"] or "none",
        ),
        fill(
            "Of {sources}, {bad} {are} blacklisted and {held} {stand} on hold.",
            sources=count(sum(states.values()), "source"),
            bad=states[BLACKLISTED] or "none",
            are="is" if states[BLACKLISTED] == 1 else "are",
            held=states[HOLD] or "none",
            stand="is" if states[HOLD] == 1 else "are",
        ),
    ]
    begun = fill("This run started from release {base}:", base=str(base)) if base else "This is the first release:"
    did = fill(
        "{begun} the run found {new}, tagged {tagged} and released {released} of {splits}.",
        begun=begun,
        new=count(work["new_shards"], "new shard"),
        tagged=work["tagged"],
        released=work["released"],
        splits=count(work["splits"], "split"),
    )
    return fill(
        '<p class="lead">{said}</p><p>{did} All counts on this page are of the whole corpus as it now stands.</p>',
        said=joined(said, " "),
        did=did,
    )


def _warnings(manifest: Mapping[str, Any]) -> Markup:
    twins, gone = sorted(map(tuple, manifest["twins"])), sorted(manifest["gone"])
    found = []
    if manifest["sample"]:
        found.append(
            fill(
                "<p><b>A trial on a sample: {sample}.</b> The counts hold for the sample, not for the corpus.</p>",
                sample=manifest["sample"],
            )
        )
    if twins:
        pairs = (fill("{path} is {twin}", path=name(path), twin=name(twin)) for path, twin in twins)
        what = f"{count(len(twins), 'shard has', 'shards have')} the same content as another"
        found.append(_listed(what, "counted once in the shares of sources; the records are released from both", pairs))
    if gone:
        what = f"{count(len(gone), 'shard was', 'shards were')} withdrawn"
        found.append(_listed(what, "no longer among the input; nothing of them is in this release", map(name, gone)))
    if not found:
        return Markup('<p class="ok">No warnings: a whole corpus, no shard twice, none withdrawn.</p>')
    return fill('<div class="warnings">{found}</div>', found=joined(found))


def _listed(what: str, meaning: str, items: Iterable[Markup]) -> Markup:
    everything = list(items)
    rest = len(everything) - _SHOWN
    return fill(
        "<p><b>{what}</b>: {meaning}.</p><ul>{items}{more}</ul>",
        what=what,
        meaning=meaning,
        items=joined(fill("<li>{item}</li>", item=item) for item in everything[:_SHOWN]),
        more=fill("<li>and {rest} more, see <code>manifest.json</code></li>", rest=rest) if rest > 0 else Markup(""),
    )


def _totals(counts: Mapping[str, int]) -> Markup:
    """Return the doors as a bar and as a sum that a reader can check."""
    kept = counts["clean"] - counts["redacted"]
    parts = [("keep", kept), ("redact", counts["redacted"]), *((kind, counts[key]) for key, kind, _ in _DOORS[1:])]
    tile = '<div class="tile {kind}"><b>{n}</b><span>{what}</span><small>{share} · {means}</small></div>'
    tiles = [
        fill(
            tile,
            kind=kind,
            n=counts[key],
            what=key,
            share=percent(counts[key], counts["read"]),
            means=means,
        )
        for key, kind, means in _DOORS
    ]
    return fill(
        """{bar}
<p class="key"><span class="keep">kept as they were {kept}</span> <span class="redact">redacted {redacted}</span>
<span class="quarantine">quarantined</span> <span class="dropped">dropped</span> <span class="dead">dead</span></p>
<div class="equation"><div class="tile read"><b>{read}</b><span>read</span><small>every entry of the input</small></div>
<i>=</i>{tiles}</div>
<p class="sum">{read} read = {clean} clean + {quarantined} quarantined + {dropped} dropped + {dead} dead
<span>clean {clean} = {kept} kept as they were + {redacted} redacted</span></p>""",
        bar=stacked_bar(parts, ", ".join(f"{kind} {size:,}" for kind, size in parts)),
        kept=kept,
        tiles=joined(tiles, "<i>+</i>"),
        **{key: counts[key] for key in ("read", "clean", "redacted", "quarantined", "dropped", "dead")},
    )
