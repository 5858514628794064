"""Verdicts and traces as text: pure functions, no IO."""
