"""Provider names, from hosts."""

import pytest

from tfy_last9.model.provider import from_host


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("us-central1-aiplatform.googleapis.com", "vertex"),
        ("aiplatform.googleapis.com", "vertex"),
        ("EU.aiplatform.googleapis.com", "vertex"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "bedrock"),
        ("my-resource.openai.azure.com", "azure-openai"),
        ("evil-api.openai.com", None),
        ("api.openai.com.example.com", None),
        ("aiplatform.googleapis.com.example.com", None),
    ],
)
def test_a_host_names_its_provider_regional_or_not(host, provider):
    """Only Vertex puts the region before a dash; elsewhere a dash is another registration."""
    assert from_host(host) == provider
