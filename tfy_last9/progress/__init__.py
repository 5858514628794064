"""A run that still goes on, as far as the client knows it: for people who watch, never for a verdict."""
