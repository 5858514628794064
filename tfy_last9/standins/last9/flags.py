"""The settings as command-line flags: one flag per field, named and typed like it."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable
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
        parser.add_argument(flag, type=_state_of(type(default)), default=default)
    elif isinstance(default, tuple):
        parser.add_argument(flag, action="append", default=None)
    else:
        parser.add_argument(flag, type=type(default), default=default)


def _state_of(states: type[Enum]) -> Callable[[str], Enum]:
    def state(text: str) -> Enum:
        try:
            return states(text)
        except ValueError:
            valid = ", ".join(str(one.value) for one in states)
            raise argparse.ArgumentTypeError(f"expected one of {valid}, saw {text}") from None

    return state


def parsed(parser: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse strictly; an unknown flag ends the process with the nearest setting's name."""
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        name = unknown[0].removeprefix("--").partition("=")[0]
        names = [field.name.replace("_", "-") for field in fields(Settings)]
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}? Valid are" if close else "valid are"
        parser.error(f"unknown switch {name!r}; {hint} {', '.join(names)}")
    return options


def settings_from(options: argparse.Namespace) -> Settings:
    """Build the settings from parsed flags."""
    given: dict[str, Any] = {}
    for field in fields(Settings):
        value = getattr(options, field.name)
        if value is not None:
            given[field.name] = tuple(value) if isinstance(value, list) else value
    return Settings(**given)
