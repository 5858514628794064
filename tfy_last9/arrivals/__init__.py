"""When to send what: a pure function of scenario and seed.

Every worker walks the whole schedule and keeps its share (`seq % workers == index`), so that the split
over workers is exact, needs no messages, and can be recomputed by whoever holds the scenario.
"""
