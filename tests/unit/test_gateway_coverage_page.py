"""docs/gateway-coverage.md names tests that exist, in every row that does not say what it leaves out."""

import re
from pathlib import Path

import pytest
from named_tests import names_by_file

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "gateway-coverage.md").read_text().partition("## Five traces")[0]
NAMED = sorted(set(re.findall(r"`(\w+)::(\w+)`", TEXT)))
FILES = sorted(set(re.findall(r"`(test_\w+\.py)`", TEXT)))
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ") and not line.startswith("| feature ")
]
NOTHING_TO_HOLD = ("left out", "not used", "not read", "as above", "whichever", "verbatim")


@pytest.fixture(scope="module")
def tests_there_are():
    return names_by_file()


def test_many_tests_are_named():
    assert len(NAMED) > 80
    assert len(FILES) > 15


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_named_test_exists(tests_there_are, module, name):
    assert name in tests_there_are.get(module, ())


@pytest.mark.parametrize("name", FILES)
def test_a_named_file_exists(name):
    assert [path for path in (ROOT / "tests").rglob(name) if "def test_" in path.read_text()]


def test_no_cell_is_empty():
    assert len(ROWS) > 50
    assert [row for row in ROWS if len(row) != 5 or not all(row)] == []


def test_what_the_client_does_has_a_test_of_the_client():
    bare = [
        row for row in ROWS if "::" not in row[4] and not any(w in row[3] for w in NOTHING_TO_HOLD)
    ]
    assert [row for row in bare if row[0] != "endpoint"] == []
