"""Canonical provider names, and the alias table that leads to them.

A trace may name a provider in four ways (TrueFoundry's model fqn, the upstream host,
`gen_ai.provider.name`, the account a customer chose); a scenario names it a fifth way. All of them
go through `canonical`, so that the two books speak of the same provider.
"""

from __future__ import annotations

from tfy_last9.model.ids import ProviderName

ALIASES: dict[str, str] = {
    "openai": "openai",
    "azure-openai": "azure-openai",
    "azure.ai.openai": "azure-openai",
    "azure_openai": "azure-openai",
    "anthropic": "anthropic",
    "claude": "anthropic",
    "gemini": "gemini",
    "google-gemini": "gemini",
    "google": "gemini",
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "vertex": "vertex",
    "google-vertex": "vertex",
    "gcp.vertex_ai": "vertex",
    "vertex_ai": "vertex",
    "aws-bedrock": "bedrock",
    "aws.bedrock": "bedrock",
    "bedrock": "bedrock",
    "mistral-ai": "mistral",
    "mistral_ai": "mistral",
    "mistral": "mistral",
    "groq": "groq",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "xai": "xai",
    "x_ai": "xai",
    "together-ai": "together",
    "together": "together",
    "perplexity": "perplexity",
    "ollama": "ollama",
    "self-hosted-model": "self-hosted",
}
"""Left: what traces, hosts and people write (TrueFoundry provider types, `gen_ai.provider.name`
values of the OpenTelemetry GenAI conventions). Right: the canonical name."""

HOSTS: dict[str, str] = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure-openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "aiplatform.googleapis.com": "vertex",
    "amazonaws.com": "bedrock",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.x.ai": "xai",
    "api.together.xyz": "together",
    "api.perplexity.ai": "perplexity",
}
"""Upstream host (or a suffix of it) to canonical name."""

REGIONAL = ("aiplatform.googleapis.com",)
"""Hosts that carry a region before a dash: `us-central1-aiplatform.googleapis.com`."""


def canonical(name: str) -> ProviderName:
    """Return the canonical provider; a name that is not in the table stands for itself."""
    folded = name.strip().lower()
    return ProviderName(ALIASES.get(folded, folded))


def from_host(host: str) -> ProviderName | None:
    """Return the provider that serves `host`, or None for a host that says nothing about it."""
    folded = host.lower()
    for suffix, name in HOSTS.items():
        if folded == suffix or folded.endswith("." + suffix):
            return ProviderName(name)
        if suffix in REGIONAL and folded.endswith("-" + suffix):
            return ProviderName(name)
    return None
