import pytest

from tfy_last9.standins.faults import PROVIDERS
from tfy_last9.standins.gateway.catalogue import BY_NAME, CARDS
from tfy_last9.standins.providers.route import route


def test_cost_is_tokens_times_the_list_price():
    card = BY_NAME["anthropic-main/claude-sonnet-4-6"]
    assert card.cost_usd(1000, 200) == pytest.approx(1000 * 3e-6 + 200 * 15e-6)
    assert card.cost_usd(0, 0) == 0


def test_the_fqn_names_tenant_provider_type_account_and_model():
    card = BY_NAME["gemini-main/gemini-2.5-flash"]
    assert card.fqn("acme") == "acme:google-gemini:gemini-main:model:gemini-2.5-flash"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_model_has_an_upstream_that_knows_it(card):
    """A new card without a simulated model behind it would answer 404 to every request."""
    found = route(card.upstream_path("/v1/chat/completions"))
    assert found is not None
    assert found.vendor.name.removesuffix("-canary") == card.provider
    assert found.vendor.name.endswith("-canary") == card.account.endswith("-canary")
    assert card.model in found.vendor.served
    assert card.provider in PROVIDERS


def test_five_providers_at_least_answer_chats():
    """A rehearsal of verdicts per provider needs several of them."""
    assert len({card.provider for card in CARDS if "/v1/" not in card.model}) >= 5


def test_a_vendor_with_an_interface_of_its_own_is_reported_under_its_address():
    claude = BY_NAME["anthropic-main/claude-sonnet-4-6"]
    assert claude.vendor_url("/v1/chat/completions") == "https://api.anthropic.com/v1/messages"
    gpt = BY_NAME["openai-main/gpt-4o-mini"]
    assert gpt.vendor_url("/v1/responses") == "https://api.openai.com/v1/responses"


def test_names_are_unique():
    assert len(BY_NAME) == len(CARDS)
