"""Which objectives can say something about which targets: not applicable is not the same as no data."""

from __future__ import annotations

from tfy_last9.model.fields import VALUE_FIELDS, Needs
from tfy_last9.model.objective import Objective, Ratio, Scalar, Simple, Threshold, parts
from tfy_last9.model.scenario import CONVERSATIONAL, Api, Target
from tfy_last9.model.trace import Role

MODEL_APIS = frozenset(Api) - {Api.MCP, Api.HTTP}
"""Protocols whose traces have Model spans; those of `http` are not documented."""


def can_have(needs: Needs, target: Target) -> bool:
    """Tell whether requests to a target can have a value that needs this."""
    is_text = target.api in CONVERSATIONAL
    known = {
        Needs.NOTHING: True,
        Needs.TEXT: is_text,
        Needs.STREAM: is_text and target.stream,
        Needs.INPUT_TOKENS: is_text or target.api is Api.EMBEDDINGS,
        Needs.PRICE: target.api is not Api.MCP,
        Needs.TOOL: target.api is Api.MCP,
        Needs.ITEMS: not is_text,
        Needs.WHOLE: not target.stream,
    }
    return known[needs]


def can_show(role: Role | None, target: Target) -> bool:
    """Tell whether traces of a target can show a span of this role."""
    if role is Role.MODEL:
        return target.api in MODEL_APIS
    return target.api is Api.MCP if role is Role.MCP else True


def applies(objective: Objective, target: Target) -> bool:
    """Tell whether an objective can say something about requests to a target."""
    return any(_part_applies(part, target) for part in parts(objective.indicator))


def _part_applies(part: Simple | Scalar, target: Target) -> bool:
    if not isinstance(part, Threshold | Ratio):
        return True
    if not can_show(part.population.span, target):
        return False
    if isinstance(part, Ratio):
        return True
    return can_have(VALUE_FIELDS[part.population.book, part.field].needs, target)
