"""The one complaint about configuration files that every sandbox process ends with in the same way."""

from __future__ import annotations


class ConfigError(ValueError):
    """A configuration that cannot be understood; the message is one line that names the place."""
