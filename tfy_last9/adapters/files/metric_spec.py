"""The vocabulary of `metricSource.spec`: plain YAML to conditions, populations and group labels.

OpenSLO leaves this map free, so every key and value in it is checked here against `model.fields`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tfy_last9.adapters.files.complaints import shown
from tfy_last9.adapters.files.places import Document, Trail, nearest
from tfy_last9.errors import FileProblem
from tfy_last9.model.fields import (
    LEDGER_LABELS,
    ROOT_FIELDS,
    RUN_FIELDS,
    SPAN_LABELS,
    VALUE_FIELDS,
)
from tfy_last9.model.objective import Book, Condition, Limit, Operator, Population, Quality
from tfy_last9.model.provider import canonical
from tfy_last9.model.request import CHECK_FAILED, Outcome
from tfy_last9.model.trace import Role, SpanStatus

_TYPO = 0.8
"""Likeness above which an unknown label of a span is taken for a slip, and not for an attribute."""
_STARTED = {*(outcome.value for outcome in Outcome), CHECK_FAILED} - {Outcome.MISSED.value}


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One `metricSource.spec` with its place; complaints are collected in `problems`."""

    book: Book
    data: Mapping[str, Any]
    document: Document
    trail: Trail
    problems: list[FileProblem]

    def complain(self, *key: str | int, message: str, hint: str | None = None) -> None:
        """Add a problem at the value of a key (or at the whole spec)."""
        self.problems.append(self.document.problem((*self.trail, *key), message, hint))

    def only(self, *known: str) -> None:
        """Complain about keys that are not `known`."""
        for key in self.data.keys() - set(known):
            hint = nearest(key, known) or f"known: {', '.join(known)}"
            trail = (*self.trail, key)
            self.problems.append(
                self.document.problem(trail, f'unknown key "{key}"', hint, at_key=True)
            )

    def word(self, key: str, known: Collection[str]) -> str | None:
        """Return the word at `key`; None, with a complaint, unless it is one of `known`."""
        if key not in self.data:
            self.complain(message=f'key "{key}" is missing', hint=f"one of: {_listed(known)}")
            return None
        return self._known(self.data[key], known, key)

    def words(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """Return the list of words at `key`, all of them `known`."""
        items = self.data.get(key)
        if not isinstance(items, list) or not items:
            self.complain(key, message=f'"{key}" must be a list of: {_listed(known)}')
            return ()
        words = [self._known(item, known, key, i) for i, item in enumerate(items)]
        return self._distinct(key, [word for word in words if word is not None])

    def role(self) -> Role | None:
        """Return the role of the counted spans; None for the ledger, which has none."""
        if self.book is Book.LEDGER:
            return None
        word = self.word("span", [role.value for role in Role])
        return None if word is None else Role(word)

    def field(self) -> str:
        """Return the value field, known to the book."""
        names = [name for book, name in VALUE_FIELDS if book is self.book]
        name = self.word("field", names) or ""
        if self.book is Book.LAST9:
            self._ask_the_root(name, "field")
        return name

    def scalar(self) -> str:
        """Return the number of the run, known to the book."""
        names = [name for book, name in RUN_FIELDS if book is self.book]
        return self.word("scalar", names) or ""

    def quality(self) -> Quality:
        """Return what makes an event good: conditions, `within` limits, and what it `has`."""
        conditions = {k: v for k, v in self.data.items() if k not in ("span", "within", "has")}
        return Quality(self._conditions(conditions), tuple(self._limits()), tuple(self._has()))

    def _limits(self) -> Iterator[Limit]:
        within = self.data.get("within", {})
        if not isinstance(within, dict):
            self.complain("within", message=f"expected fields with limits, got {shown(within)}")
            return
        names = [name for book, name in VALUE_FIELDS if book is self.book]
        for name, bounds in within.items():
            known = self._known(name, names, "within", name)
            if not isinstance(bounds, dict) or not bounds:
                message = f"expected limits such as {{lte: 1500}}, got {shown(bounds)}"
                self.complain("within", name, message=message)
                continue
            for word, value in bounds.items():
                operator = self._known(word, [op.value for op in Operator], "within", name, word)
                if isinstance(value, bool) or not isinstance(value, int | float):
                    message = f"expected a number, got {shown(value)}"
                    self.complain("within", name, word, message=message)
                elif operator is not None and known is not None:
                    self._ask_the_root(name, "within", name)
                    yield Limit(name, Operator(operator), float(value))

    def _has(self) -> Iterator[str]:
        names = self.data.get("has", [])
        if not isinstance(names, list):
            self.complain("has", message=f"expected a list of fields or labels, got {shown(names)}")
            return
        for i, name in enumerate(names):
            if (self.book, name) in VALUE_FIELDS or self._is_label(name, "has", i):
                yield name

    def _ask_the_root(self, field: str, *key: str | int) -> None:
        if field in ROOT_FIELDS and self.data.get("span") != Role.ROOT.value:
            message = f'"{field}" is a fact of the whole trace: ask it of span: root'
            self.complain(*key, message=message)

    def population(self) -> Population:
        """Return what is counted: the book, the role and the `where` conditions."""
        return Population(self.book, self.role(), self.where())

    def group_by(self) -> tuple[str, ...]:
        """Return the labels of `groupBy`."""
        labels = self.data.get("groupBy", [])
        if not isinstance(labels, list):
            self.complain("groupBy", message=f"expected a list of labels, got {shown(labels)}")
            return ()
        good = [label for i, label in enumerate(labels) if self._is_label(label, "groupBy", i)]
        return self._distinct("groupBy", good)

    def where(self) -> tuple[Condition, ...]:
        """Return the conditions of the map under `where`."""
        conditions = self.data.get("where", {})
        if not isinstance(conditions, dict):
            self.complain("where", message=f"expected a mapping, got {shown(conditions)}")
            return ()
        return self._conditions(conditions, "where")

    def conditions(self) -> tuple[Condition, ...]:
        """Return the conditions written as keys of the spec itself, `span` aside."""
        return self._conditions({k: v for k, v in self.data.items() if k != "span"})

    def _conditions(self, data: Mapping[str, Any], *under: str) -> tuple[Condition, ...]:
        result = []
        for label, value in data.items():
            items = value if isinstance(value, list) else [value]
            if not self._is_label(label, *under, label):
                continue
            if not items or not all(isinstance(item, str) for item in items):
                self.complain(*under, label, message=f"expected text, got {shown(value)}")
                continue
            steps = [(i,) if isinstance(value, list) else () for i in range(len(items))]
            seen = [
                self._value(label, item, *under, label, *step)
                for item, step in zip(items, steps, strict=True)
            ]
            result.append(Condition(label, tuple(dict.fromkeys(seen))))
        return tuple(sorted(result, key=lambda condition: condition.field))

    def _value(self, label: str, value: str, *key: str | int) -> str:
        if label == "provider":
            return str(canonical(value))
        if label == "outcome" and self.book is Book.LEDGER:
            if value == Outcome.MISSED.value:
                message = (
                    "a missed arrival was never sent: it makes the run invalid and is not judged"
                )
                self.complain(*key, message=message)
                return value
            return self._known(value, _STARTED, *key) or value
        if label == "status" and self.book is Book.LAST9:
            return self._known(value, [status.value for status in SpanStatus], *key) or value
        return value

    def _is_label(self, label: object, *key: str | int) -> bool:
        """Any attribute of a span may be a label, unless it looks like a slip of the pen."""
        known = LEDGER_LABELS if self.book is Book.LEDGER else SPAN_LABELS
        if isinstance(label, str) and label in known:
            return True
        slip = isinstance(label, str) and nearest(
            label, {*known, "groupBy", "where", "field", "count"}, cutoff=_TYPO
        )
        if isinstance(label, str) and label and self.book is Book.LAST9 and not slip:
            return True
        hint = (isinstance(label, str) and nearest(label, known)) or f"known: {_listed(known)}"
        self.complain(*key, message=f"unknown label {shown(label)}", hint=hint)
        return False

    def _known(self, value: object, known: Collection[str], *key: str | int) -> str | None:
        if isinstance(value, str) and value in known:
            return value
        hint = nearest(value, known) if isinstance(value, str) else None
        self.complain(
            *key, message=f"expected one of {_listed(known)}, got {shown(value)}", hint=hint
        )
        return None

    def _distinct(self, key: str, words: list[str]) -> tuple[str, ...]:
        if len(set(words)) < len(words):
            self.complain(key, message=f'"{key}" names something twice')
        return tuple(dict.fromkeys(words))


def _listed(words: Collection[str]) -> str:
    return ", ".join(words if isinstance(words, list | tuple) else sorted(words))
