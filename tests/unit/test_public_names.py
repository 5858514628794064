"""What `tfy_last9` exports: sorted, importable, and free of Locust until a locustfile asks for it."""

import subprocess
import sys
from pathlib import Path

import pytest

import tfy_last9

LOAD_SIDE = {"GatewayUser", "Reply", "ScenarioUser", "install"}
ROOT = Path(__file__).parents[2]


def test_names_are_sorted_and_few():
    assert tfy_last9.__all__ == sorted(tfy_last9.__all__)
    assert len(set(tfy_last9.__all__)) == len(tfy_last9.__all__) < 20
    assert dir(tfy_last9) == tfy_last9.__all__


@pytest.mark.parametrize("name", sorted(set(tfy_last9.__all__) - LOAD_SIDE))
def test_each_name_leads_to_what_is_called_so(name):
    assert getattr(tfy_last9, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = tfy_last9.Nothing


def test_names_of_the_load_side_import_locust_and_the_others_do_not():
    code = f"""
import sys, tfy_last9
for name in tfy_last9.__all__:
    if name not in {LOAD_SIDE}:
        getattr(tfy_last9, name)
assert "gevent" not in sys.modules, "a name of the judging side imports gevent"
for name in {LOAD_SIDE}:
    assert getattr(tfy_last9, name).__name__ == name
assert "locust" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=ROOT)


def test_the_sample_user_is_short():
    text = (ROOT / "locustfiles" / "users.py").read_text()
    code = text.partition('"""\n\n')[2]
    assert len([line for line in code.splitlines() if line.strip()]) < 40
