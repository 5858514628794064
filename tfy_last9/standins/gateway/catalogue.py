"""The models this gateway serves: account/model, provider, upstream address and prices.

Names follow TrueFoundry's `<provider account>/<model>`; the fqn follows
`<tenant>:<provider type>:<account>:model:<model>`. To add a model, add one `Card`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TOKENS_PER_PRICE = 1_000_000


@dataclass(frozen=True, slots=True)
class Card:
    """One model of one provider account."""

    account: str
    model: str
    provider: str
    """Name in faults, in the journal and in error envelopes."""
    provider_type: str
    """TrueFoundry's type of the provider account, the second field of the fqn."""
    vendor_url: str
    """Where the real gateway would send the request; reported in spans."""
    upstream_path: str
    """Where it goes in the sandbox, for streams and for whole answers alike."""
    usd_per_million_input: float
    usd_per_million_output: float

    @property
    def name(self) -> str:
        """`account/model`, as clients ask for it."""
        return f"{self.account}/{self.model}"

    def fqn(self, tenant: str) -> str:
        """Give the fully qualified name in a tenant."""
        return f"{tenant}:{self.provider_type}:{self.account}:model:{self.model}"

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Price one answer; list prices, no caching discount."""
        micro_usd = (
            input_tokens * self.usd_per_million_input + output_tokens * self.usd_per_million_output
        )
        return round(micro_usd / TOKENS_PER_PRICE, 12)


CARDS: tuple[Card, ...] = (
    Card(
        account="openai-main",
        model="gpt-4o-mini",
        provider="openai",
        provider_type="openai",
        vendor_url="https://api.openai.com/v1/chat/completions",
        upstream_path="/openai/v1/chat/completions",
        usd_per_million_input=0.15,
        usd_per_million_output=0.60,
    ),
    Card(
        account="anthropic-main",
        model="claude-sonnet-4-6",
        provider="anthropic",
        provider_type="anthropic",
        vendor_url="https://api.anthropic.com/v1/messages",
        upstream_path="/anthropic/v1/messages",
        usd_per_million_input=3.0,
        usd_per_million_output=15.0,
    ),
    Card(
        account="gemini-main",
        model="gemini-2.5-flash",
        provider="gemini",
        provider_type="google-gemini",
        vendor_url=(
            "https://generativelanguage.googleapis.com/v1beta/models/"
            "gemini-2.5-flash:streamGenerateContent"
        ),
        upstream_path="/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        usd_per_million_input=0.30,
        usd_per_million_output=2.50,
    ),
)
CANARY_CARDS = tuple(
    replace(
        card,
        account=card.account.replace("-main", "-canary"),
        upstream_path=card.upstream_path.replace(card.provider, f"{card.provider}-canary", 1),
    )
    for card in CARDS
)
"""The same models under a second account per provider: the other arm of a canary comparison."""
CARDS += CANARY_CARDS
BY_NAME = {card.name: card for card in CARDS}
VIRTUAL = {"sandbox/chat-default": CARDS[:3]}
"""Virtual models, by priority: the first target serves, the others step in when it fails."""


def targets(model: str) -> tuple[Card, ...]:
    """Return the targets of a model by priority; empty for a model that is not served."""
    if model in BY_NAME:
        return (BY_NAME[model],)
    return VIRTUAL.get(model, ())
