"""YAML read strictly: every complaint names file and line, what was seen and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from tfy_last9.standins.configuration import ConfigError

INTEGER = "tag:yaml.org,2002:int"
NUMBERS = frozenset({INTEGER, "tag:yaml.org,2002:float"})
BOOLEAN = "tag:yaml.org,2002:bool"
NULL = "tag:yaml.org,2002:null"
TRUE = frozenset({"true", "yes", "on"})
SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a document and where it stands."""

    raw: yaml.Node
    file: str
    name: str
    """Path of fields that leads to it, for messages."""

    def fail(self, expected: str) -> NoReturn:
        """Refuse this value."""
        mark = self.raw.start_mark
        raise ConfigError(
            f"{self.file}:{mark.line + 1}: {self.name}: expected {expected}, saw {self._shown()}"
        )

    def _shown(self) -> str:
        if isinstance(self.raw, yaml.ScalarNode):
            return repr(self.raw.value[:SHOWN_CHARACTERS])
        return "a list" if isinstance(self.raw, yaml.SequenceNode) else "a mapping"

    def fields(self, required: Collection[str], optional: Collection[str]) -> dict[str, Node]:
        """Read a mapping with these keys; others, doubled and missing ones are refused."""
        found: dict[str, Node] = {}
        for key, value in self._pairs():
            if key.value in found:
                self._refuse(key, f"{key.value!r} is given twice")
            if key.value not in required and key.value not in optional:
                self._refuse(key, _unknown(key.value, [*required, *optional]))
            if value.tag != NULL:
                found[key.value] = self._under(value, key.value)
        missing = [key for key in required if key not in found]
        if missing:
            self._refuse(self.raw, f"{missing[0]!r} is missing")
        return found

    def mapping(self) -> dict[str, Node]:
        """Read a mapping with any keys."""
        return {key.value: self._under(value, key.value) for key, value in self._pairs()}

    def _pairs(self) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        if not isinstance(self.raw, yaml.MappingNode):
            self.fail("a mapping")
        for key, _ in self.raw.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a key has to be a text")
        return list(self.raw.value)

    def _under(self, value: yaml.Node, name: str) -> Node:
        return Node(value, self.file, f"{self.name}.{name}" if self.name else name)

    def _refuse(self, at: yaml.Node, text: str) -> NoReturn:
        where = f"{self.name}: " if self.name else ""
        raise ConfigError(f"{self.file}:{at.start_mark.line + 1}: {where}{text}")

    def items(self) -> list[Node]:
        """Read a list."""
        if not isinstance(self.raw, yaml.SequenceNode):
            self.fail("a list")
        return [
            Node(value, self.file, f"{self.name}[{place}]")
            for place, value in enumerate(self.raw.value)
        ]

    def text(self, choices: Collection[str] = ()) -> str:
        """Read a text, one of the choices if there are any."""
        if not isinstance(self.raw, yaml.ScalarNode) or self.raw.tag == NULL or not self.raw.value:
            self.fail("a text")
        if choices and self.raw.value not in choices:
            self.fail(f"one of {', '.join(choices)}{_close(self.raw.value, choices)}")
        return str(self.raw.value)

    def integer(self, low: int, high: int = 10**12) -> int:
        """Read a whole number within bounds."""
        if self.raw.tag != INTEGER or not low <= (found := int(self.raw.value)) <= high:
            self.fail(f"a whole number from {low}" + (f" to {high}" if high < 10**12 else ""))
        return found

    def number(self, low: float = 0.0) -> float:
        """Read a number from a lower bound on."""
        if self.raw.tag not in NUMBERS or not low <= (found := float(self.raw.value)) < float(
            "inf"
        ):
            self.fail(f"a number from {low:g}")
        return found

    def boolean(self) -> bool:
        """Read true or false."""
        if self.raw.tag != BOOLEAN:
            self.fail("true or false")
        return self.raw.value.lower() in TRUE

    def texts(self) -> tuple[str, ...]:
        """Read a list of texts."""
        return tuple(item.text() for item in self.items())

    def plain(self) -> object:
        """Read anything at all as plain Python values."""
        return yaml.SafeLoader("").construct_document(self.raw)


def _unknown(seen: str, valid: Collection[str]) -> str:
    return f"unknown field {seen!r}{_close(seen, valid)}; known are {', '.join(valid)}"


def _close(seen: str, valid: Collection[str]) -> str:
    close = difflib.get_close_matches(seen, list(valid), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def documents(text: str, file: str) -> Iterator[Node]:
    """Give the documents of a YAML text; raises ConfigError."""
    try:
        for raw in yaml.compose_all(text, Loader=yaml.SafeLoader):
            if raw.tag != NULL:
                yield Node(raw, file, "")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{file}:{line}: not YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not YAML: {error}") from None


def read_text(path: Path) -> str:
    """Read a file; raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}") from None
