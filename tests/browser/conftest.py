"""One Chromium for the browser tests; without one they are skipped here and fail on CI."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

for place in (("unit", "adapters", "runfolder"), ("contract",)):
    sys.path.append(str(Path(__file__).parents[1].joinpath(*place)))

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
SHOTS = Path(os.environ.get("TFY_SCREENSHOTS", "")) if os.environ.get("TFY_SCREENSHOTS") else None


@pytest.fixture(scope="module")
def chromium():
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        why = "no Chromium found: `scripts/install-chromium` installs one"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """Where screenshots go; TFY_SCREENSHOTS names a folder to look at them afterwards."""
    if SHOTS is None:
        return tmp_path_factory.mktemp("shots")
    SHOTS.mkdir(parents=True, exist_ok=True)
    return SHOTS
