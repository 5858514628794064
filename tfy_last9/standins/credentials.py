"""Secrets that a sandbox process gets in its environment, because arguments are visible to everybody."""

from __future__ import annotations

import os


class MissingCredential(Exception):
    """A secret that the process cannot work without is not set."""


def required(name: str) -> str:
    """Return the value of an environment variable; raises MissingCredential."""
    value = os.environ.get(name, "")
    if not value:
        raise MissingCredential(
            f"{name} is not set: start the whole sandbox with `python -m tfy_last9.standins up`,"
            " which makes a fresh one, or set it yourself"
        )
    return value


def optional(name: str, default: str) -> str:
    """Return the value of an environment variable that may be missing."""
    return os.environ.get(name) or default
