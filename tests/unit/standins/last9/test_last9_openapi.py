"""The OpenAPI document is true, and no request made from it breaks the stand-in."""

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from last9_sandbox import T0_S, make_span

from tfy_last9.standins.last9.app import Last9
from tfy_last9.standins.last9.openapi import document

OPERATIONS = sorted(
    (method.upper(), path) for path, methods in document()["paths"].items() for method in methods
)
EXPECTED_5XX = "ERR_S3_CONFIG_MISSING"
"""What Last9 answers to a foreign region, which a generator is free to send."""

BOUNDED = {
    "max_examples": 7,
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def schema():
    return schemathesis.openapi.from_dict(document())


def test_it_is_served(last9):
    assert last9.client.get("/openapi.json").json() == document()


@pytest.mark.usefixtures("last9")
def test_every_query_route_is_in_the_document(last9_stage):
    app: Last9 = last9_stage.app
    routes = [route for route in app._routes if route.pattern.pattern.startswith("/api/")]
    assert len(routes) == len(OPERATIONS)
    for method, path in OPERATIONS:
        assert any(route.method == method and route.pattern.fullmatch(path) for route in routes)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_made_from_the_document_breaks_it(last9, schema, method, path):
    last9.ingest(make_span(1, start_ns=T0_S * 10**9, attributes={"x": "1"}))
    headers = last9.access("read", "write")

    @settings(**BOUNDED)
    @given(schema[path][method].as_strategy())
    def check(case):
        response = case.call(base_url=last9.url, headers=headers)
        assert response.status_code < 500 or EXPECTED_5XX in response.text, response.text
        if response.status_code != 405:
            assert response.json() is not None

    check()
    assert last9.query().status_code == 200
