"""The form of documents: a few kinds of blocks, written as Markdown, as a page of HTML, or, facts alone, as JSON."""

import html
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Any

from pipeline.report_markup import Markup, fill, joined, name, table, visible
from pipeline.report_words import Words

MESSAGES = "document_messages.yaml"
FORMATS = ("md", "html", "json")


class Name(str):
    """A name that came with the data: shown apart from the text round it, whatever it holds."""

    __slots__ = ()


@dataclass(frozen=True)
class Phrase:
    """A sentence with places; what is filled in is data."""

    template: str
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True)
class Badge:
    """A status or state: a word that has a look of its own."""

    kind: str
    word: str


Cell = str | int | Phrase | Badge


@dataclass(frozen=True)
class Paragraph:
    said: Phrase
    is_note: bool = False


@dataclass(frozen=True)
class Listed:
    items: Sequence[Phrase]


@dataclass(frozen=True)
class Table:
    """Rows of cells; a cell may hold several things, one under another. Numbers stand right."""

    head: Sequence[str]
    rows: Sequence[Sequence[Cell | Sequence[Cell]]]


@dataclass(frozen=True)
class Signatures:
    """Lines to sign: who, name, signature, date."""

    lines: Sequence[str]
    columns: Sequence[str]


Block = Paragraph | Listed | Table | Signatures


@dataclass(frozen=True)
class Part:
    """A section with its title."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A document in one language.

    Attributes:
        identity: what it is about: label and value.
        lead: what it comes to.
        warnings: what a reader must know before the rest.
        facts: the same for programs, whatever the language.
    """

    language: str
    title: str
    identity: Sequence[tuple[str, str]]
    lead: Sequence[Phrase]
    warnings: Sequence[Phrase]
    parts: Sequence[Part]
    footer: str
    facts: Mapping[str, Any]


def said(language: str) -> Words:
    """Return the words of documents in a language."""
    return Words(language, MESSAGES)


def write(document: Document, form: str) -> str:
    """Return a document in one of :data:`FORMATS`. The same document gives the same text."""
    if form == "json":
        return json.dumps(document.facts, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    return _markdown(document) if form == "md" else _html(document)


# Markdown


def _markdown(document: Document) -> str:
    lines = [f"# {_plain(document.title)}", ""]
    between = said(document.language).template("between")
    lines += [f"- {_plain(label)}{between}{_plain(value)}" for label, value in document.identity]
    lines += ["", *(f"**{_md(each)}**\n" for each in document.lead)]
    lines += [f"> {_md(each)}\n" for each in document.warnings]
    for part in document.parts:
        lines += [f"## {_plain(part.title)}", ""]
        for block in part.blocks:
            lines += [*_md_block(block), ""]
    return "\n".join([*lines, "---", "", _plain(document.footer), ""])


def _md_block(block: Block) -> Iterable[str]:
    if isinstance(block, Paragraph):
        return [_md(block.said)]
    if isinstance(block, Listed):
        return [f"- {_md(item)}" for item in block.items]
    if isinstance(block, Signatures):
        rows: Sequence[Sequence[Cell]] = [[line, "", "", ""] for line in block.lines]
        return _md_table(block.columns, rows)
    return _md_table(block.head, block.rows)


def _md_table(head: Sequence[str], rows: Sequence[Sequence[Cell | Sequence[Cell]]]) -> list[str]:
    lines = [f"| {' | '.join(map(_plain, head))} |", f"|{'---|' * len(head)}"]
    return lines + [f"| {' | '.join('<br>'.join(map(_md, _cells(cell))) for cell in row)} |" for row in rows]


def _cells(cell: Cell | Sequence[Cell]) -> Sequence[Cell]:
    return [cell] if isinstance(cell, (str, int, Phrase, Badge)) else cell


def _md(cell: Cell) -> str:
    if isinstance(cell, Phrase):
        return cell.template.format(**{key: _md(value) for key, value in cell.values.items()})
    if isinstance(cell, Badge):
        return f"**{_plain(cell.word)}**"
    if isinstance(cell, int):
        return f"{cell:,}"
    return _plain(cell)


def _plain(text: str) -> str:
    """Escape what Markdown, or the HTML in it, would take for its own."""
    shown = html.escape(visible(text), quote=False)
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", shown) if isinstance(text, Name) else re.sub(r"([|*`])", r"\\\1", shown)


# HTML


def _html(document: Document) -> str:
    page = Template(importlib.resources.files("pipeline").joinpath("report.html").read_text("utf-8"))
    words = said(document.language)
    return page.substitute(
        lang={"zh": "zh-CN"}.get(document.language, document.language),
        title=fill("{title}", title=document.title),
        kicker=words("kicker"),
        other="",
        identity=joined(
            fill("<div><dt>{label}</dt><dd>{value}</dd></div>", label=label, value=value)
            for label, value in document.identity
        ),
        summary=joined(fill('<p class="lead">{each}</p>', each=_markup(each)) for each in document.lead),
        warnings=fill(
            '<div class="warnings">{all}</div>',
            all=joined(fill("<p>{each}</p>", each=_markup(each)) for each in document.warnings),
        )
        if document.warnings
        else "",
        contents_title=words("contents"),
        contents=joined(
            fill('<li><a href="#{key}">{title}</a></li>', key=part.key, title=part.title) for part in document.parts
        ),
        sections=joined((_section(part) for part in document.parts), "\n"),
        footer=fill("{footer}", footer=document.footer),
    )


def _section(part: Part) -> Markup:
    return fill(
        '<section id="{key}"><h2>{title}</h2>\n{body}</section>',
        key=part.key,
        title=part.title,
        body=joined((_block(block) for block in part.blocks), "\n"),
    )


def _block(block: Block) -> Markup:
    if isinstance(block, Paragraph):
        return fill('<p class="{kind}">{said}</p>', kind="note" if block.is_note else "", said=_markup(block.said))
    if isinstance(block, Listed):
        items = joined(fill("<li>{item}</li>", item=_markup(item)) for item in block.items)
        return fill("<ul>{items}</ul>", items=items)
    if isinstance(block, Signatures):
        row = '<tr><th scope="row">{line}</th><td></td><td></td><td></td></tr>'
        return table("signatures", [("", each) for each in block.columns], [fill(row, line=x) for x in block.lines])
    numeric = [all(isinstance(row[at], int) for row in block.rows) for at in range(len(block.head))]
    head = [("n" if is_number else "", title) for is_number, title in zip(numeric, block.head, strict=True)]
    rows = [
        fill(
            "<tr>{cells}</tr>",
            cells=joined(
                fill(
                    '<td class="{kind}">{said}</td>',
                    kind="n" if is_number else "",
                    said=joined((_markup(each) for each in _cells(cell)), "<br>"),
                )
                for is_number, cell in zip(numeric, row, strict=True)
            ),
        )
        for row in block.rows
    ]
    return table("document", head, rows)


def _markup(cell: Cell) -> Markup:
    if isinstance(cell, Phrase):
        values = {key: _markup(value) for key, value in cell.values.items()}
        return fill(cell.template, **values)
    if isinstance(cell, Badge):
        return fill('<span class="state {kind}">{word}</span>', kind=cell.kind, word=cell.word)
    return name(cell) if isinstance(cell, Name) else fill("{cell}", cell=cell)
