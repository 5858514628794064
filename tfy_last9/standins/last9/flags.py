"""The settings as command-line flags: one flag per field, named and typed like it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from enum import Enum
from typing import Any

from tfy_last9.standins.last9.settings import Settings


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for each setting; a tuple is given by repeating its flag."""
    defaults = Settings()
    for field in fields(Settings):
        _add(parser, f"--{field.name.replace('_', '-')}", getattr(defaults, field.name))


def _add(parser: argparse.ArgumentParser, flag: str, default: Any) -> None:
    if isinstance(default, Enum):
        states = type(default)
        spelled = "|".join(str(state.value) for state in states)
        parser.add_argument(flag, type=states, default=default, metavar=spelled)
    elif isinstance(default, tuple):
        parser.add_argument(flag, action="append", default=None)
    else:
        parser.add_argument(flag, type=type(default), default=default)


def settings_from(options: argparse.Namespace) -> Settings:
    """Build the settings from parsed flags."""
    given: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(options, field.name)
        if value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return Settings(**given)
