"""Text -> expression tree."""

from __future__ import annotations

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""\s*(?:(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
    r"""|(?P<duration>\d+(?:ms|[smhdwy]))|(?P<symbol>=~|!~|!=|=|[(){}\[\],]))"""
)
UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
OPERATORS = ("=", "!=", "=~", "!~")
RANGE_FUNCTIONS = ("rate", "sum_over_time")
LONGEST = 10_000
DEEPEST = 50


class Unsupported(ValueError):
    """A query outside the subset, or no PromQL at all; the text says what was met."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label."""

    label: str
    operator: str
    value: str

    def holds(self, labels: dict[str, str]) -> bool:
        """Tell whether labels fulfil it; a missing label reads as the empty string."""
        seen = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (seen == self.value) == (self.operator == "=")
        return (re.fullmatch(self.value, seen) is not None) == (self.operator == "=~")


@dataclass(frozen=True, slots=True)
class Selector:
    """A metric with matchers, over a range if it stands inside a range function."""

    metric: str
    matchers: tuple[Matcher, ...]
    range_s: float | None = None


@dataclass(frozen=True, slots=True)
class OverRange:
    """`rate` or `sum_over_time`."""

    function: str
    selector: Selector


@dataclass(frozen=True, slots=True)
class Sum:
    """`sum`, by labels or over all."""

    by: tuple[str, ...]
    inner: Expression


Expression = Selector | OverRange | Sum


def parse(text: str) -> Expression:
    """Read a query; raises Unsupported."""
    reader = _Reader(_tokens(text))
    found = reader.expression()
    reader.expect("end", "")
    return found


Token = tuple[str, str]


def _tokens(text: str) -> list[Token]:
    if len(text) > LONGEST:
        raise Unsupported(f"the query is longer than {LONGEST} characters")
    found, at = [], 0
    stripped = text.rstrip()
    while at < len(stripped):
        match = TOKEN.match(stripped, at)
        if match is None:
            raise Unsupported(f"cannot read {stripped[at : at + 20]!r}: {__doc__}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
    return [*found, ("end", "")]


class _Reader:
    """Recursive descent over tokens."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    def expression(self) -> Expression:
        self._depth += 1
        if self._depth > DEEPEST:
            raise Unsupported(f"the query is nested deeper than {DEEPEST} levels")
        name = self.expect("name")
        if name == "sum":
            return self._sum()
        if self._peek() != ("symbol", "("):
            return self._selector(name)
        if name not in RANGE_FUNCTIONS:
            raise Unsupported(f"{name}() is not in the sandbox's subset: rate, sum_over_time, sum")
        self.expect("symbol", "(")
        selector = self._selector(self.expect("name"))
        self.expect("symbol", ")")
        if selector.range_s is None:
            raise Unsupported(f"{name}() takes a range such as {selector.metric}[5m]")
        return OverRange(name, selector)

    def _sum(self) -> Sum:
        by: tuple[str, ...] = ()
        if self._peek() == ("name", "by"):
            by = self._by()
        self.expect("symbol", "(")
        inner = self.expression()
        self.expect("symbol", ")")
        if not by and self._peek() == ("name", "by"):
            by = self._by()
        if isinstance(inner, Selector) and inner.range_s is not None:
            raise Unsupported("sum() takes an instant vector, saw a range")
        return Sum(by, inner)

    def _by(self) -> tuple[str, ...]:
        self.expect("name", "by")
        self.expect("symbol", "(")
        labels = [self.expect("name")]
        while self._peek() == ("symbol", ","):
            self.expect("symbol", ",")
            labels.append(self.expect("name"))
        self.expect("symbol", ")")
        return tuple(labels)

    def _selector(self, metric: str) -> Selector:
        matchers = []
        if self._peek() == ("symbol", "{"):
            self.expect("symbol", "{")
            while self._peek() != ("symbol", "}"):
                matchers.append(self._matcher())
                if self._peek() == ("symbol", ","):
                    self.expect("symbol", ",")
            self.expect("symbol", "}")
        range_s = None
        if self._peek() == ("symbol", "["):
            self.expect("symbol", "[")
            range_s = _seconds(self.expect("duration"))
            self.expect("symbol", "]")
        return Selector(metric, tuple(matchers), range_s)

    def _matcher(self) -> Matcher:
        label, operator = self.expect("name"), self.expect("symbol")
        if operator not in OPERATORS:
            raise Unsupported(f"expected one of {' '.join(OPERATORS)} after {label}")
        value = re.sub(r"\\(.)", r"\1", self.expect("string")[1:-1])
        if operator in ("=~", "!~"):
            try:
                re.compile(value)
            except re.error as error:
                raise Unsupported(f"bad regular expression {value!r}: {error}") from error
        return Matcher(label, operator, value)

    def _peek(self) -> Token:
        return self._tokens[self._at]

    def expect(self, kind: str, text: str | None = None) -> str:
        seen_kind, seen = self._peek()
        if seen_kind != kind or (text is not None and seen != text):
            raise Unsupported(f"expected {text or kind}, saw {seen or 'the end'!r}")
        self._at += 1
        return seen


def _seconds(duration: str) -> float:
    number = re.match(r"\d+", duration)
    assert number is not None
    unit = duration[number.end() :]
    if unit not in UNIT_S:
        raise Unsupported(f"unknown unit in {duration}")
    return int(number[0]) * UNIT_S[unit]
