"""The run itself as OpenTelemetry: spans and metrics of the generator, sent to Last9 when asked to.

Everything is made from the sealed ledger by the process that judges, after the load: the process that
sends load never exports, so that being observed costs it nothing.
"""
