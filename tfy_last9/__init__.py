"""Load-test an LLM gateway and prove its SLOs from the traces that reached Last9."""
