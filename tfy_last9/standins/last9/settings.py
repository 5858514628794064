"""What this Last9 is: its organisation and region, and the behaviours that are public unknowns.

Last9 does not document every behaviour of its traces API. Where it does not, there is a switch here,
its default is the reading that is hardest on a client, and a client has to work under each setting.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

ORGANIZATION = "acme"
REGION = "ap-south-1"


class NumericAttributes(Enum):
    """How numbers among span attributes come back; ClickHouse string maps suggest `string`."""

    STRING = "string"
    NUMBER = "number"


class GroupLimit(Enum):
    """Whether `limit` also cuts the rows of an aggregate."""

    APPLY = "apply"
    IGNORE = "ignore"


class WindowEnd(Enum):
    """Whether a span that starts exactly at `end` is inside the window."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


class DottedFields(Enum):
    """Whether `attributes.x`, `resource.x` and their like are understood.

    The documentation shows `resource.`; the changelog of Last9's own client (last9-mcp-server 0.15.0)
    says that the API answers 400.
    """

    REJECT = "reject"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True)
class Settings:
    """The identity of the stand-in and the state of its switches."""

    organization: str = ORGANIZATION
    region: str = REGION
    default_limit: int = 20
    """Rows when a query names no limit; Last9's own client falls back to 20."""
    max_limit: int = 5000
    """A larger limit is cut to this without a word; Last9's own client never asks for more."""
    token_lifetime_s: int = 86_400
    numeric_attributes: NumericAttributes = NumericAttributes.STRING
    group_limit: GroupLimit = GroupLimit.APPLY
    window_end: WindowEnd = WindowEnd.EXCLUSIVE
    dotted_fields: DottedFields = DottedFields.REJECT
