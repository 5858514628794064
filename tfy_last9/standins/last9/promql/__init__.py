"""The stated subset of PromQL over metrics derived from the stored spans.

Selectors with `=`, `!=`, `=~`, `!~`; `rate(m[d])`, `sum_over_time(m[d])`; `sum(e)`, `sum by (l) (e)`.
Anything else is refused with 422 and the reason, never answered with something near it.
"""
