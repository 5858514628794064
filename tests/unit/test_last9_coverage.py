"""docs/last9-coverage.md names tests that exist, every route of the stand-in, and every switch."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from named_tests import names_by_file

from tfy_last9.standins.last9 import openapi
from tfy_last9.standins.last9.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "last9-coverage.md").read_text()
NAMED = sorted(set(re.findall(r"`(\w+)::(\w+)`", TEXT)))
BASE = "/api/v4/organizations/{organization}"
IDENTITY = {"organization", "region", "token-scopes", "retention-s", "drop-rules"}


@pytest.fixture(scope="module")
def tests_there_are():
    return names_by_file()


def test_many_tests_are_named():
    assert len(NAMED) > 80


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_named_test_exists(tests_there_are, module, name):
    assert name in tests_there_are.get(module, ())


def routes():
    for path, methods in openapi.document()["paths"].items():
        for method in methods:
            short = path.replace(f"{BASE}/cat/api/traces/v2", "{v2}").replace(BASE, "{base}")
            yield method.upper(), short


@pytest.mark.parametrize(("method", "path"), list(routes()))
def test_every_route_is_in_the_tables(method, path):
    rows = [line for line in TEXT.splitlines() if line.startswith(f"| {method} `")]
    assert [row for row in rows if f"`{path}`" in row.split("|")[1]]


def test_every_endpoint_has_a_test_or_is_said_to_be_left_out():
    rows = [line for line in TEXT.splitlines() if re.match(r"\| (GET|POST|PUT|<|…|`<)", line)]
    assert len(rows) > 20
    bare = [row for row in rows if "::" not in row and "left out" not in row]
    assert bare == []


def test_every_switch_answers_a_question():
    questions = TEXT.partition("## Open questions")[2]
    names = {field.name.replace("_", "-") for field in fields(Settings)} - IDENTITY
    assert {name for name in names if f"`{name}`" not in questions} == set()
