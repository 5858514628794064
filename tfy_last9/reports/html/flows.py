"""Loss accounting as flows: intended requests, how they ended, what became of their traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfy_last9.model.pictures import Flow
from tfy_last9.reports.html.markup import Figure, Table, esc, num, svg

WIDTH = 640.0
NODE = 12.0
SCALE = 150.0
"""Height of all requests together."""
LEAST = 2.0
SLOT = 24.0
"""Height that a label needs."""
FIRST, MIDDLE, LAST = 10.0, 270.0, 480.0

ENDED = {
    "answered": ("answered", "good"),
    "refused": ("refused by the gateway", "warn"),
    "unanswered": ("sent, never answered", "bad"),
    "unsent": ("could not be sent", "bad"),
    "missed": ("missed by the generator", "bad"),
    "unreported": ("unreported by a worker", "bad"),
}
FATES = {
    "on time": ("trace on time", "good"),
    "incomplete": ("trace without a required span", "bad"),
    "late": ("trace late", "warn"),
    "lost": ("trace lost", "bad"),
    "conflict": ("trace of another request", "bad"),
    "found, optional": ("trace found, not required", "calm"),
    "none expected": ("no trace expected", "calm"),
    "not asked": ("Last9 not asked", "calm"),
}


@dataclass(slots=True)
class _Node:
    x: float
    y: float
    height: float
    n: int
    label: str
    kind: str
    left_used: float = 0.0
    right_used: float = 0.0

    def take(self, n: int, side: str) -> tuple[float, float]:
        """Return the stretch of one edge that a flow of `n` leaves or enters by."""
        used = self.left_used if side == "left" else self.right_used
        height = self.height * n / self.n
        if side == "left":
            self.left_used += height
        else:
            self.right_used += height
        return self.y + used, self.y + used + height


def accounting(flows: Sequence[Flow]) -> Figure:
    """Return the picture; the widths of every column add up to all intended requests."""
    title = "Where every request and its trace went"
    total = sum(flow.n for flow in flows)
    if not total:
        return Figure(
            "flows", title, "", "", empty="No request was planned or recorded.", wide=True
        )
    ended = _column(flows, ENDED, MIDDLE, lambda flow: flow.ended, total)
    fates = _column(flows, FATES, LAST, lambda flow: flow.fate, total)
    source = _Node(FIRST, 8.0, SCALE, total, "intended", "calm")
    nodes = [source, *ended.values(), *fates.values()]
    ribbons = "".join(_ribbon(source, node, node.n, node.kind) for node in ended.values())
    order = list(FATES)
    for name, node in ended.items():
        own = sorted((f for f in flows if f.ended == name), key=lambda f: order.index(f.fate))
        ribbons += "".join(_ribbon(node, fates[f.fate], f.n, fates[f.fate].kind) for f in own)
    height = max(node.y + max(node.height, SLOT) for node in nodes) + 8.0
    body = ribbons + "".join(_drawn(node) for node in nodes)
    parts = [f"{node.n:,} {node.label}" for node in nodes[1:]]
    lead = (
        f"{total:,} intended requests, every one accounted for: each column adds up to {total:,}."
    )
    picture = svg(WIDTH, height, body, f"{lead} {', '.join(parts)}.")
    rows = tuple((flow.ended, flow.fate, flow.n) for flow in flows)
    label = esc(f"{title}: scrolls sideways")
    plots = (
        f'<div class="scroll roomy" tabindex="0" role="region" aria-label="{label}">{picture}</div>'
    )
    return Figure(
        "flows", title, lead, plots, Table(("ended", "trace", "requests"), rows), wide=True
    )


def _column(
    flows: Sequence[Flow],
    names: dict[str, tuple[str, str]],
    x: float,
    key: Callable[[Flow], str],
    total: int,
) -> dict[str, _Node]:
    y = 8.0
    column: dict[str, _Node] = {}
    for name, (label, kind) in names.items():
        n = sum(flow.n for flow in flows if key(flow) == name)
        if n:
            height = max(LEAST, SCALE * n / total)
            column[name] = _Node(x, y, height, n, label, kind)
            y += max(height, SLOT) + 6.0
    return column


def _ribbon(source: _Node, target: _Node, n: int, kind: str) -> str:
    top, bottom = source.take(n, "right")
    upper, lower = target.take(n, "left")
    left, right = source.x + NODE, target.x
    bend = (left + right) / 2
    return (
        f'<path class="ribbon {kind}" d="M{num(left)} {num(top)}'
        f"C{num(bend)} {num(top)} {num(bend)} {num(upper)} {num(right)} {num(upper)}"
        f"L{num(right)} {num(lower)}"
        f"C{num(bend)} {num(lower)} {num(bend)} {num(bottom)} {num(left)} {num(bottom)}Z"
        f'"><title>{esc(source.label)} to {esc(target.label)}: {n:,}</title></path>'
    )


def _drawn(node: _Node) -> str:
    middle = node.y + max(node.height, LEAST) / 2
    middle = max(middle, node.y + 6.0)
    x = num(node.x + NODE + 6)
    return (
        f'<rect class="node {node.kind}" x="{num(node.x)}" y="{num(node.y)}" width="{num(NODE)}" '
        f'height="{num(node.height)}" rx="1"/>'
        f'<text class="name" x="{x}" y="{num(middle - 1)}">{node.n:,}</text>'
        f'<text class="note" x="{x}" y="{num(middle + 11)}">{esc(node.label)}</text>'
    )
