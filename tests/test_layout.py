"""The test tree itself: pytest's default import mode needs file names that occur once."""

from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent


def test_every_test_file_has_a_name_of_its_own():
    ours = (path for path in ROOT.rglob("*.py") if "node_modules" not in path.parts)
    names = Counter(path.name for path in ours if path.name != "conftest.py")
    assert [name for name, n in names.items() if n > 1] == []
