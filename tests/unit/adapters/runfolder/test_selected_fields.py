"""What is selected at Last9 covers what is read here: a forgotten attribute would look absent."""

import re
from dataclasses import fields as record_fields

from runfolder_builders import conditions, spans_ask

from tfy_last9.adapters.runfolder import soundness, values
from tfy_last9.adapters.runfolder.asked import attribute_names
from tfy_last9.wire.last9_selection import ATTRIBUTES


def test_every_attribute_that_a_value_is_read_from_is_selected():
    texts = [
        getattr(value, field.name)
        for value in values.SPAN_VALUES.values()
        for field in record_fields(value)
        if isinstance(getattr(value, field.name), str)
    ]
    read = {name for text in texts for name in re.findall(r"s\.attributes, '/([^']+)'", text)}
    assert "tfy.model.metric.input_tokens" in read
    assert read <= set(ATTRIBUTES)


def test_every_metric_that_soundness_looks_at_is_selected():
    read = set(re.findall(r"'(tfy\.model\.metric\.[a-z_]+)'", soundness.BROKEN_METRICS))
    assert read
    assert read <= set(ATTRIBUTES)


def test_names_in_groups_and_conditions_are_asked_for_wherever_they_stand():
    grouped = spans_ask(group_by=("team", "provider")).threshold("duration_ms", 1.0)
    filtered = spans_ask(where=conditions(cost__center="7", status="ok")).ratio(tier="gold")
    assert attribute_names([grouped, filtered]) == ("cost.center", "team", "tier")


def test_a_name_that_cannot_be_quoted_is_left_to_the_judge():
    assert attribute_names([spans_ask(group_by=("it's",)).ratio(status="error")]) == ()
