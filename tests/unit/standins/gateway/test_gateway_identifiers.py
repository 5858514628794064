import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfy_last9.standins.gateway import identifiers


@given(st.integers(0, 2**48 * 1_000_000 - 1))
def test_a_trace_id_is_a_version_7_uuid_of_its_instant(wall_ns):
    minted = uuid.UUID(int=identifiers.trace_id(wall_ns))
    assert minted.version == 7
    assert minted.variant == uuid.RFC_4122
    assert minted.int >> 80 == wall_ns // 1_000_000


def test_the_instant_of_a_published_trace_id_is_read_the_same_way():
    """A trace id from a live gateway: its first 12 digits are 2026-06-02 14:54:04 UTC."""
    minted = identifiers.trace_id(1780412044683_000_000)
    assert f"{minted:032x}".startswith("019e88d3d58b7")


def test_trace_ids_of_one_instant_differ():
    assert len({identifiers.trace_id(1) for _ in range(1000)}) == 1000


def test_a_valid_traceparent_gives_trace_and_parent():
    text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    assert identifiers.read_traceparent(text) == (
        0x4BF92F3577B34DA6A3CE929D0E0E4736,
        0x00F067AA0BA902B7,
    )


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "00-xyz",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    ],
)
def test_an_invalid_traceparent_is_ignored(text):
    assert identifiers.read_traceparent(text) is None
