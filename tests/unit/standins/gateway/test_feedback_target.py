import base64
import json
from urllib.parse import unquote

import pytest
from gateway_settings import settings_with

from tfy_last9.standins.gateway.feedback import feedback_target, target_header

TRACE, SPAN = 0x19AB2A96D50707FA3090C1B7201D5BD, 0xA2D6B882AA15BE55
IDS = {
    "spanId": "a2d6b882aa15be55",
    "traceId": "019ab2a96d50707fa3090c1b7201d5bd",
    "dataRoutingDestination": "default",
}


def test_the_feedback_target_decodes_to_both_ids():
    assert json.loads(base64.b64decode(feedback_target(TRACE, SPAN))) == IDS


@pytest.mark.parametrize("encoding", ["base64", "base64url", "unpadded", "quoted"])
@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_each_encoding_and_shape_carries_the_same_ids(encoding, shape):
    chosen = settings_with(f"--target-encoding={encoding}", f"--target-shape={shape}")
    name, value = target_header(TRACE, SPAN, chosen)
    assert name == b"x-tfy-feedback-target-id"
    text = unquote(value.decode())
    found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert found == (IDS if shape == "flat" else {"target": IDS})
    if encoding in {"unpadded", "quoted"}:
        assert b"=" not in value
