"""Settings for all tests."""

import os

from hypothesis import settings

# No test may fail because a shared machine was slow; examples are bounded so that the suite stays short.
settings.register_profile("suite", deadline=None, max_examples=50, derandomize="CI" in os.environ)
settings.load_profile("suite")
