"""Settings of the gateway stand-in for tests."""

import os
from unittest.mock import patch

from tfy_last9.standins.gateway import settings

SECRETS = {"SANDBOX_OTLP_AUTH": "Basic x", "SANDBOX_API_KEY": "k"}
NEEDED = ("--journal=j", "--providers-port=1", "--otlp-endpoint=http://x")


def settings_with(*flags):
    """Read flags as the process would."""
    with patch.dict(os.environ, SECRETS):
        return settings.read([*NEEDED, *flags])
