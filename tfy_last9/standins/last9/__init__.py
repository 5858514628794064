"""The Last9 stand-in: takes OTLP exports, keeps spans in DuckDB, answers Last9's traces API.

Written from Last9's public documentation and the source of its own clients, quirks included. To add
an endpoint, add a line to the table in `app.py` and an endpoint beside `traces.py`; to add a stage,
an operator or a function, add a line to the table in `pipeline.py`, `conditions.py` or
`aggregates.py`; what is publicly unknown is a switch in `settings.py`.
"""
