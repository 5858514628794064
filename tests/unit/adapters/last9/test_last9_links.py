"""Addresses of Last9's pages."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from tfy_last9.adapters.last9.links import explorer_link, link_base, trace_link
from tfy_last9.model.run import Window
from tfy_last9.wire.last9_queries import spans_of_run

WINDOW = Window(1795417200_500000000, 1795420800_000000001)
BASE = "https://app.last9.io/v2/organizations/acme/"


def test_a_link_base_names_host_and_organisation():
    assert link_base("https://app.last9.io", "acme") == BASE


@pytest.mark.parametrize("url", ["http://127.0.0.1:9080", "https://localhost:1", "http://[::1]:9"])
def test_a_stand_in_has_no_pages(url):
    base = link_base(url, "acme")
    assert base is None
    assert trace_link(base, "a" * 32, WINDOW) is None
    assert explorer_link(base, spans_of_run("gw", "r"), WINDOW) is None


def test_a_trace_link_encloses_the_window():
    assert trace_link(BASE, "a" * 32, WINDOW) == (
        f"{BASE}traces?from=1795417200&to=1795420801&trace={'a' * 32}&queryMode=Trace"
    )


def test_a_trace_link_may_name_span_and_cluster():
    link = trace_link(BASE, "a" * 32, WINDOW, span_id="b" * 16, cluster="cl-1")
    assert link is not None
    values = parse_qs(urlsplit(link).query)
    assert (values["span"], values["cluster"]) == (["b" * 16], ["cl-1"])


def test_an_explorer_link_carries_the_bare_list_of_stages():
    pipeline = spans_of_run("tfy-llm-gateway", "r-42")
    link = explorer_link(BASE, pipeline, WINDOW)
    assert link is not None
    values = parse_qs(urlsplit(link).query)
    assert json.loads(values["pipeline"][0]) == list(pipeline.stages)
    assert " " not in link
