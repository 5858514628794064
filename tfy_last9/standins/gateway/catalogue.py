"""The models this gateway serves: account/model, provider, vendor's address and prices.

Names follow TrueFoundry's `<provider account>/<model>`; the fqn follows
`<tenant>:<provider type>:<account>:model:<model>`. To add a model, add one `Card`; the simulated model
behind it is in `standins/providers/vendors.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TOKENS_PER_PRICE = 1_000_000
CHAT_PATHS = frozenset({"/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1beta/models"})
"""What a vendor with a text interface of its own answers there, whichever the client spoke."""


@dataclass(frozen=True, slots=True)
class Account:
    """One provider account."""

    name: str
    provider: str
    """Name in faults, in the journal and in error envelopes."""
    provider_type: str
    """TrueFoundry's type of the provider account, the second field of the fqn."""
    base_url: str
    """Where the real gateway would send requests; reported in spans."""
    native: str | None = None
    """Path of the vendor's own text interface, `{model}` in it; None for a vendor that speaks OpenAI's."""
    upstream: str = ""
    """The vendor in the sandbox; empty when it is named like the provider."""


@dataclass(frozen=True, slots=True)
class Card:
    """One model of one provider account."""

    of: Account
    model: str
    usd_per_million_input: float
    usd_per_million_output: float

    @property
    def account(self) -> str:
        """Name of the provider account."""
        return self.of.name

    @property
    def provider(self) -> str:
        """Name of the provider."""
        return self.of.provider

    @property
    def provider_type(self) -> str:
        """TrueFoundry's type of the provider."""
        return self.of.provider_type

    @property
    def name(self) -> str:
        """`account/model`, as clients ask for it."""
        return f"{self.of.name}/{self.model}"

    def fqn(self, tenant: str) -> str:
        """Give the fully qualified name in a tenant."""
        return f"{tenant}:{self.of.provider_type}:{self.of.name}:model:{self.model}"

    def vendor_url(self, path: str) -> str:
        """Give the address at the vendor for a path of the sandbox."""
        if self.of.native is not None and path.startswith(tuple(CHAT_PATHS)):
            return self.of.base_url + self.of.native.format(model=self.model)
        return self.of.base_url + path

    def upstream_path(self, path: str) -> str:
        """Give the address in the sandbox."""
        return f"/{self.of.upstream or self.of.provider}{path}"

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Price one answer; list prices, no caching discount."""
        micro_usd = (
            input_tokens * self.usd_per_million_input + output_tokens * self.usd_per_million_output
        )
        return round(micro_usd / TOKENS_PER_PRICE, 12)


OPENAI = Account("openai-main", "openai", "openai", "https://api.openai.com")
ANTHROPIC = Account(
    "anthropic-main", "anthropic", "anthropic", "https://api.anthropic.com", "/v1/messages"
)
GEMINI = Account(
    "gemini-main",
    "gemini",
    "google-gemini",
    "https://generativelanguage.googleapis.com",
    "/v1beta/models/{model}:streamGenerateContent",
)
BEDROCK = Account(
    "bedrock-main",
    "bedrock",
    "aws-bedrock",
    "https://bedrock-runtime.us-east-1.amazonaws.com",
    "/model/{model}/converse-stream",
)
MISTRAL = Account("mistral-main", "mistral", "mistral-ai", "https://api.mistral.ai")
DEEPSEEK = Account("deepseek-main", "deepseek", "deepseek", "https://api.deepseek.com")
COHERE = Account("cohere-main", "cohere", "cohere", "https://api.cohere.com")

CARDS: tuple[Card, ...] = (
    Card(OPENAI, "gpt-4o-mini", 0.15, 0.60),
    Card(ANTHROPIC, "claude-sonnet-4-6", 3.0, 15.0),
    Card(GEMINI, "gemini-2.5-flash", 0.30, 2.50),
    Card(BEDROCK, "us.anthropic.claude-haiku-4-5", 1.0, 5.0),
    Card(MISTRAL, "mistral-small-latest", 0.10, 0.30),
    Card(DEEPSEEK, "deepseek-reasoner", 0.28, 0.42),
    Card(OPENAI, "gpt-5-mini", 0.25, 2.0),
    Card(OPENAI, "gpt-3.5-turbo-instruct", 1.5, 2.0),
    Card(OPENAI, "text-embedding-3-small", 0.02, 0.0),
    Card(MISTRAL, "mistral-embed", 0.10, 0.0),
    Card(COHERE, "rerank-v3.5", 0.0, 0.0),
    Card(OPENAI, "omni-moderation-latest", 0.0, 0.0),
    Card(OPENAI, "gpt-image-1", 5.0, 40.0),
    Card(OPENAI, "gpt-4o-mini-tts", 0.60, 12.0),
    Card(OPENAI, "whisper-1", 0.0, 0.0),
)
CANARY_CARDS = tuple(
    replace(
        card,
        of=replace(
            card.of,
            name=card.account.replace("-main", "-canary"),
            upstream=f"{card.provider}-canary",
        ),
    )
    for card in CARDS[:3]
)
"""The same models under a second account per provider: the other arm of a canary comparison."""
CARDS += CANARY_CARDS
BY_NAME = {card.name: card for card in CARDS}
TOOL_SERVERS = {
    name: f"https://{name}.mcp.example.com/mcp" for name in ("sandbox-tools", "sandbox-search")
}
"""MCP servers that are registered with the gateway, and where the real ones would be."""
