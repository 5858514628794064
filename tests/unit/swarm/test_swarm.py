"""Runs the tests of the load side, `patched/*_cases.py`, in one child process.

Importing Locust patches the standard library for gevent; no other test may live in such a process.
Each file of cases is one test here; its failures are shown as the child reported them.
"""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

CASES = sorted((Path(__file__).parent / "patched").glob("*_cases.py"))
# One worker of the test run has the child; spread out, each would run all the cases.
pytestmark = pytest.mark.xdist_group("swarm")
CHILD = """
import sys
import locust  # first: it patches what pytest would import otherwise
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Run all cases once; return the reports by module name, and what the child printed."""
    report = tmp_path_factory.mktemp("swarm") / "junit.xml"
    ended = subprocess.run(
        [
            *(sys.executable, "-c", CHILD, "-q", "-p", "no:cacheprovider"),
            *(f"--junitxml={report}", *(str(path) for path in CASES)),
        ],
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert report.is_file(), ended.stdout + ended.stderr
    cases = {}
    for case in ET.parse(report).iter("testcase"):
        cases.setdefault(case.get("classname").rsplit(".", 1)[-1], []).append(case)
    return cases, ended.stdout


@pytest.mark.parametrize("name", [path.stem for path in CASES])
def test_the_cases_pass_in_a_patched_process(reports, name):
    cases, printed = reports
    assert cases.get(name), printed
    failures = [
        f"{case.get('name')}: {child.get('message')}\n{child.text}"
        for case in cases[name]
        for child in case
        if child.tag in ("failure", "error", "skipped")
    ]
    assert not failures, "\n\n".join(failures)
