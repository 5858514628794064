import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.standins.faults import (
    PROVIDERS,
    RULES,
    Fault,
    FaultError,
    FaultSet,
    Value,
    lot,
    parse,
)

SHARES = st.floats(0, 1, allow_nan=False)
DURATIONS_S = st.floats(0, 1e6, allow_nan=False)


@st.composite
def faults(draw) -> Fault:
    name = draw(st.sampled_from(sorted(RULES)))
    rule = RULES[name]
    provider = draw(st.sampled_from(PROVIDERS)) if rule.per_provider else None
    delay_s = draw(DURATIONS_S) if rule.value is Value.DURATION else None
    count = draw(st.integers(1, 10**6)) if rule.value is Value.COUNT else None
    return Fault(name, provider, delay_s, draw(SHARES), count)


@given(faults())
def test_a_fault_reads_back_as_it_was_written(fault):
    assert parse(str(fault)) == fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("trace_loss=0.05", Fault("trace_loss", None, None, 0.05)),
        ("trace_loss=5%", Fault("trace_loss", None, None, 0.05)),
        ("trace_delay=40s@0.05", Fault("trace_delay", None, 40.0, 0.05)),
        ("trace_delay=500ms", Fault("trace_delay", None, 0.5, 1.0)),
        ("trace_delay=2m", Fault("trace_delay", None, 120.0, 1.0)),
        ("provider_latency:anthropic=2s", Fault("provider_latency", "anthropic", 2.0, 1.0)),
        ("provider_errors:openai=0.05", Fault("provider_errors", "openai", None, 0.05)),
        ("provider_silent:gemini", Fault("provider_silent", "gemini", None, 1.0)),
        ("provider_silent:gemini@10%", Fault("provider_silent", "gemini", None, 0.1)),
        ("last9_page_cap=100", Fault("last9_page_cap", None, None, 1.0, 100)),
        ("last9_page_cap=7@0.5", Fault("last9_page_cap", None, None, 0.5, 7)),
        ("token_expiry=10s", Fault("token_expiry", None, 10.0, 1.0)),
    ],
)
def test_the_documented_spellings_are_understood(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("trace_los=0.05", "did you mean 'trace_loss'"),
        ("provider_silent:gemni", "did you mean 'gemini'"),
        ("provider_silent", "needs a provider"),
        ("provider_silent:gemini=3", "takes no value"),
        ("trace_loss:openai=0.1", "takes no provider"),
        ("trace_loss=1.5", "bad share '1.5'"),
        ("trace_loss", "bad share ''"),
        ("trace_loss=0.1@0.2", "share twice"),
        ("trace_delay=5", "bad duration '5'"),
        ("trace_delay=nans", "bad duration"),
        ("trace_delay=-1s", "bad duration"),
        ("trace_delay=1e999s", "bad duration"),
        ("trace_delay=1s@nan", "bad share 'nan'"),
        ("last9_page_cap=0", "bad count '0'"),
        ("last9_page_cap=1.5", "bad count '1.5'"),
        ("last9_429=often", "bad share 'often'"),
        ("", "unknown fault"),
    ],
)
def test_a_mistake_is_named_in_one_line_with_what_to_write(text, hint):
    with pytest.raises(FaultError) as caught:
        parse(text)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser_in_another_way(text):
    try:
        fault = parse(text)
    except FaultError:
        return
    assert parse(str(fault)) == fault


@given(st.integers(0, 2**32), st.sampled_from([None, *PROVIDERS]), st.integers(0, 10**6))
def test_a_lot_depends_on_nothing_but_its_arguments(seed, provider, k):
    drawn = lot(seed, "trace_loss", provider, k)
    assert 0 <= drawn < 1
    lot(seed + 1, "trace_delay", provider, k + 7)
    assert lot(seed, "trace_loss", provider, k) == drawn


@given(st.integers(0, 2**32), st.integers(1, 20))
def test_every_block_of_twenty_holds_exactly_its_share(seed, twentieths):
    """What makes counts comparable: 5 % of 2,400 requests is 120, not 120 give or take 11."""
    for block in range(5):
        drawn = [lot(seed, "trace_loss", None, block * 20 + place) for place in range(20)]
        assert sum(value < twentieths / 20 for value in drawn) == twentieths


def test_small_shares_are_exact_over_a_thousand_events():
    drawn = [lot(7, "trace_loss", None, k) for k in range(1000)]
    assert sum(value < 0.001 for value in drawn) == 1
    assert sum(value < 0.013 for value in drawn) == 13


def test_struck_places_are_not_periodic():
    """Every twentieth request at a fixed place would always hit the same provider of a round robin."""
    places = {k % 20 for k in range(400) if lot(3, "trace_loss", None, k) < 0.05}
    assert len(places) > 5


def test_providers_and_seeds_draw_independent_lots():
    def struck(seed, provider):
        return [k for k in range(200) if lot(seed, "provider_errors", provider, k) < 0.1]

    assert len({tuple(struck(s, p)) for s in (1, 2) for p in PROVIDERS}) == 2 * len(PROVIDERS)


def test_a_set_counts_eligible_events_per_provider():
    """Interleaving of providers must not change which of a provider's requests fail."""
    texts = ["provider_errors:openai=0.2", "provider_errors:gemini=0.2"]
    alone, mixed = (FaultSet(map(parse, texts), seed=5) for _ in range(2))
    expected = [alone.strike("provider_errors", "openai") is not None for _ in range(60)]
    seen = []
    for _ in range(60):
        mixed.strike("provider_errors", "gemini")
        seen.append(mixed.strike("provider_errors", "openai") is not None)
    assert seen == expected
    assert sum(expected) == 12


def test_the_rarer_of_two_faults_of_one_name_wins():
    """`trace_delay=5s` with `trace_delay=40s@0.05`: 5 % wait 40 s, all the others 5 s."""
    both = FaultSet(map(parse, ["trace_delay=5s", "trace_delay=40s@0.05"]), seed=1)
    delays = [both.strike("trace_delay").delay_s for _ in range(100)]
    assert delays.count(40.0) == 5
    assert delays.count(5.0) == 95


def test_faults_that_are_not_in_force_never_strike():
    assert FaultSet([], seed=1).strike("trace_loss") is None
    assert FaultSet([parse("trace_loss=0")], seed=1).strike("trace_loss") is None
