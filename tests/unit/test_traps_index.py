"""docs/traps.md names a test for every trap; here is whether those tests exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "traps.md").read_text()
NAMED = re.findall(r"`(tests/[^`]+)`", PAGE)
ROWS = [
    line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| trap")
]


def test_every_trap_names_a_test():
    assert len(ROWS) >= 40
    assert all("`tests/" in row for row in ROWS)


@pytest.mark.parametrize("named", sorted(set(NAMED) - {"tests/unit/test_traps_index.py"}))
def test_the_named_test_exists(named):
    path, _, name = named.partition("::")
    assert re.search(rf"^(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
