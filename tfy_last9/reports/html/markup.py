"""Escaping, numbers and the frame of every picture: caption, plot, table and download."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfy_last9.model.verdict import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NOTHING = "\N{EN DASH}"
Cell = str | int | float | None

GLYPHS = {
    State.PASS: "✓",
    State.WARN: "!",
    State.FAIL: "✕",
    State.INCONCLUSIVE: "?",
    State.NO_DATA: "∅",
    State.ERROR: "⚠",
}
"""A state is told by word and sign, never by colour alone."""


@dataclass(frozen=True, slots=True)
class Table:
    """The numbers behind a picture, embedded once and offered as table and CSV."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """One picture."""

    name: str
    """Unique in the page, and the name of its CSV file."""
    title: str
    lead: str
    """What it says, in a sentence; with n."""
    plots: str
    """Markup; empty when there is nothing to draw."""
    table: Table | None = None
    empty: str = ""
    """Why there is nothing to draw."""
    legend: str = ""
    wide: bool = False


def esc(text: object) -> str:
    """Return text that is safe in HTML and in quoted attributes; what cannot be printed is replaced."""
    shown = "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in str(text)
    )
    return html.escape(shown, quote=True)


def num(value: float) -> str:
    """Return a coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")


def chip(state: State) -> str:
    """Return a state as a coloured label."""
    glyph = GLYPHS.get(state, "·")
    name = state.value.replace("_", " ")
    return f'<span class="chip {css(state)}"><span aria-hidden="true">{glyph}</span> {name}</span>'


def css(state: State) -> str:
    """Return the class that carries the colour of a state."""
    return f"is-{state.value.lower().replace('_', '-')}"


def legend(names: Iterable[str], *, first: int = 0) -> str:
    """Return the names of series with their colours, in the order of the series."""
    items = "".join(
        f'<li><svg class="swatch" viewBox="0 0 16 8" aria-hidden="true">'
        f'<line class="line s{place % 6}" x1="0" x2="16" y1="4" y2="4"/></svg>{esc(name)}</li>'
        for place, name in enumerate(names, start=first)
    )
    return f'<ul class="legend">{items}</ul>'


def svg(width: float, height: float, body: str, label: str) -> str:
    """Return a picture with its text alternative."""
    return (
        f'<svg viewBox="0 0 {num(width)} {num(height)}" role="img" aria-label="{esc(label)}">'
        f"{body}</svg>"
    )


def figure(drawn: Figure) -> str:
    """Return the picture in its frame; an empty one says why."""
    wide = " wide" if drawn.wide else ""
    title = f'<figcaption><h3 id="{drawn.name}-title">{esc(drawn.title)}</h3>'
    if not drawn.plots:
        why = f'<p class="empty"><span aria-hidden="true">∅</span> {esc(drawn.empty)}</p>'
        return f'<figure class="card{wide}" id="{drawn.name}">{title}</figcaption>{why}</figure>'
    tools = ""
    if drawn.table is not None:
        tools = (
            f'<div class="tools"><details data-table="{drawn.name}"><summary>Numbers</summary>'
            f'<div class="scroll long" tabindex="0" role="region" aria-label="{esc(drawn.title)}: numbers">'
            f'</div></details><button type="button" data-csv="{drawn.name}">Download CSV'
            f'<span class="hidden"> of {esc(drawn.title)}</span></button></div>'
        )
    return (
        f'<figure class="card{wide}" id="{drawn.name}">{title}<p>{esc(drawn.lead)}</p></figcaption>'
        f'{drawn.legend}{drawn.plots}<p class="readout" aria-live="polite"></p>{tools}</figure>'
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str, kind: str = "") -> str:
    """Return a table of ready markup; the first cell of a row names it. It scrolls where it must."""
    names = "".join(f'<th scope="col">{esc(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td>{cell}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{esc(caption)}">'
        f'<table class="{kind}"><caption class="hidden">{esc(caption)}</caption>'
        f"<thead><tr>{names}</tr></thead><tbody>{body}</tbody></table></div>"
    )
