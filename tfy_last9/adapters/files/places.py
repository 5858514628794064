"""YAML text to plain data, with the line and column of every key and value.

Reads PyYAML's node tree instead of its objects, so that every later complaint can name its place, and
so that a repeated key is an error and not a silent choice of the last one. Merge keys and recursive
anchors are refused: neither is needed in our files, and both hide where a value comes from.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tfy_last9.adapters.files.nearest import nearest_path
from tfy_last9.errors import FileProblem

Trail = tuple[str | int, ...]
"""Keys and list positions from the top of a document to a value."""

_MERGE = "tag:yaml.org,2002:merge"
_MAX_NODES = 100_000
"""Bound on the values of one file: aliases of aliases multiply without limit."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written; both counts start at 1."""

    line: int
    column: int


@dataclass(slots=True)
class Document:
    """One YAML document as plain data, and the places of its parts."""

    path: str
    data: Any
    values: dict[Trail, Place] = field(default_factory=dict)
    keys: dict[Trail, Place] = field(default_factory=dict)

    def place(self, trail: Trail) -> Place:
        """Return the place of the value at `trail`, or of the nearest value around it that exists."""
        while trail and trail not in self.values:
            trail = trail[:-1]
        return self.values.get(trail, Place(1, 1))

    def problem(
        self, trail: Trail, message: str, suggestion: str | None = None, *, at_key: bool = False
    ) -> FileProblem:
        """Return a problem placed at a value, or at its key when the key itself is wrong."""
        place = self.keys[trail] if at_key and trail in self.keys else self.place(trail)
        return FileProblem(self.path, place.line, place.column, message, suggestion)


@dataclass(slots=True)
class _Reader:
    """Builds one document from its node tree."""

    loader: yaml.SafeLoader
    document: Document
    problems: list[FileProblem]
    open_nodes: set[int] = field(default_factory=set)
    seen: int = 0

    def value(self, node: yaml.Node, trail: Trail) -> Any:
        self.document.values[trail] = _place(node)
        self.seen += 1
        if id(node) in self.open_nodes or self.seen > _MAX_NODES:
            self._complain(
                node, "anchors that contain themselves or grow without limit are refused"
            )
            return None
        self.open_nodes.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, trail)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*trail, i)) for i, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self.open_nodes.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, trail: Trail) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            here = (*trail, key)
            if key in result:
                first = self.document.keys[here]
                self._complain(
                    key_node, f'key "{key}" is repeated; it first stands on line {first.line}'
                )
                continue
            self.document.keys[here] = _place(key_node)
            result[key] = self.value(value_node, here)
        return result

    def _key(self, node: yaml.Node) -> str | None:
        if node.tag == _MERGE:
            self._complain(node, "merge keys (<<) are not supported; write the keys out")
            return None
        key = self._scalar(node) if isinstance(node, yaml.ScalarNode) else None
        if not isinstance(key, str):
            shown = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
            self._complain(node, f"a key must be text, got {shown}; put it in quotes")
            return None
        return key

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self.loader.construct_object(node)
        except (yaml.YAMLError, ValueError, KeyError) as error:
            reason = getattr(error, "problem", None) or str(error)
            self._complain(node, f"unreadable value: {reason}")
            return None

    def _complain(self, node: yaml.Node, message: str) -> None:
        place = _place(node)
        self.problems.append(FileProblem(self.document.path, place.line, place.column, message))


def read_documents(path: Path) -> tuple[list[Document], list[FileProblem]]:
    """Return the documents of a file that are not empty, and what is wrong with its YAML."""
    shown = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        meant = nearest_path(path)
        suggestion = f"did you mean {meant}?" if meant is not None else None
        return [], [FileProblem(shown, 0, 0, "there is no such file", suggestion)]
    except (OSError, UnicodeDecodeError) as error:
        return [], [FileProblem(shown, 0, 0, f"cannot be read as UTF-8 text: {error}")]
    documents: list[Document] = []
    problems: list[FileProblem] = []
    try:
        loader = yaml.SafeLoader(text)
        while (node := loader.get_node() if loader.check_node() else None) is not None:
            reader = _Reader(loader, Document(shown, None), problems)
            reader.document.data = reader.value(node, ())
            documents.append(reader.document)
    except yaml.YAMLError as error:
        problems.append(_syntax_problem(shown, error))
    except RecursionError:
        problems.append(FileProblem(shown, 0, 0, "nested too deeply to be read"))
    filled = [document for document in documents if document.data is not None]
    if not filled and not problems:
        problems.append(FileProblem(shown, 0, 0, "the file is empty"))
    return filled, problems


def nearest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return `did you mean "..."?` for the known name most like `name`, or None."""
    spelled = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.lower(), spelled, n=1, cutoff=cutoff)
    return f'did you mean "{spelled[close[0]]}"?' if close else None


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _syntax_problem(shown: str, error: yaml.YAMLError) -> FileProblem:
    mark = getattr(error, "problem_mark", None)
    reason = getattr(error, "problem", None) or str(error).splitlines()[0]
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return FileProblem(shown, line, column, f"not valid YAML: {reason}")
