"""Settings for all tests."""

import os

import pytest
from hypothesis import settings

# No test may fail because a shared machine was slow; examples are bounded so that the suite stays short.
settings.register_profile("suite", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("suite")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Refuse to run where xdist does not keep groups together: each worker would start their worlds anew."""
    if not config.getoption("loadgroup", False):
        return
    for item in items:
        if item.get_closest_marker("xdist_group") and "@" not in item.nodeid:
            raise pytest.UsageError(f"xdist does not see the group of {item.nodeid}: pin pytest")
