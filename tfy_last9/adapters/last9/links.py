"""Links into Last9's pages (paths as in last9/last9-mcp-server, internal/deeplink).

A stand-in on this machine has no pages, so that loopback hosts have no links.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

import orjson

from tfy_last9.model.run import Window
from tfy_last9.wire.last9_pipeline import Pipeline
from tfy_last9.wire.last9_token import is_loopback


def link_base(api_url: str, organisation: str) -> str | None:
    """Return the start of every page address, or None where there are no pages."""
    if is_loopback(api_url):
        return None
    return f"{api_url}/v2/organizations/{quote(organisation, safe='')}/"


def trace_link(
    base: str | None,
    trace_id: str,
    window: Window,
    *,
    span_id: str | None = None,
    cluster: str | None = None,
) -> str | None:
    """Return the page of one trace, with a span opened if one is named."""
    if base is None:
        return None
    named = {"trace": trace_id, "span": span_id, "queryMode": "Trace"}
    return f"{base}traces?{_query(window, cluster, named)}"


def explorer_link(
    base: str | None, pipeline: Pipeline, window: Window, *, cluster: str | None = None
) -> str | None:
    """Return the traces explorer with a query filled in."""
    if base is None:
        return None
    stages = orjson.dumps(pipeline.stages).decode()
    return f"{base}traces?{_query(window, cluster, {'pipeline': stages})}"


def _query(window: Window, cluster: str | None, more: dict[str, str | None]) -> str:
    """Return the query part; `from` and `to` are Unix seconds and enclose the window."""
    values = {
        "from": str(window.start_ns // 10**9),
        "to": str(-(-window.end_ns // 10**9)),
        "cluster": cluster,
        **more,
    }
    given = {name: value for name, value in values.items() if value is not None}
    return urlencode(given, quote_via=quote, safe="")
