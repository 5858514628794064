"""The report as one HTML file: pure functions from records to text, no network, no library."""
