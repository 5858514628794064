"""Which tests there are, for pages that name them."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def names_by_file():
    """Return names without `test_`, by the name of their file without it."""
    found = {}
    for path in TESTS.rglob("*.py"):
        names = re.findall(r"^(?:async )?def test_(\w+)", path.read_text(), re.MULTILINE)
        found.setdefault(path.stem.removeprefix("test_"), set()).update(names)
    return found
