"""Simulated model providers: upstream paths, latency and errors as a gateway meets them."""
