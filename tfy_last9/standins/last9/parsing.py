"""The parse stage -> SQL: texts taken apart as JSON, as logfmt, or by a pattern with named groups.

The public sources show two forms. With `field` (logs) `labels` are `{key inside the text: alias}`, and none
means everything. Without it (traces) `labels` are `{field to read: alias}`; what is inside is then read as
`alias.key`, which is inferred: nothing says how. Both are taken.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tfy_last9.standins.last9.derived import Derivation, Made, Members, Whole, checked_name
from tfy_last9.standins.last9.fields import BadPipeline, Resolve
from tfy_last9.standins.last9.sql import Sql, fill

PAIR = re.compile(r'([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')
LOGFMT_VALUE = r'=(?:"((?:[^"\\]|\\.)*)"|([^\s"]\S*))'
LOGFMT_BEFORE = r'^(?:(?:="(?:[^"\\]|\\.)*"|=[^"]|[^=])*?=?\s)?'
"""What comes before a key: quoted values are stepped over, so that nothing inside them is taken for one."""
GROUPS = re.compile(
    r"\\.|\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]|\((?:\?P?<(?P<name>[A-Za-z_]\w*)>|(?!\?))"
)
"""Escapes and classes are stepped over; what is left are groups that count."""


@dataclass(frozen=True, slots=True)
class Parser:
    """How one kind of text is taken apart: a member by name in SQL, all members in Python."""

    member: Callable[[Sql, str], Sql]
    members: Members


def parsed(stage: Mapping[str, Any], resolve: Resolve) -> list[Derivation]:
    """Return the fields that a parse stage makes; raises BadPipeline."""
    kind, labels = stage["parser"], _labels(stage.get("labels"))
    if kind == "regexp":
        return _by_pattern(stage, labels, resolve)
    parser = PARSERS.get(kind) if isinstance(kind, str) else None
    if parser is None:
        raise BadPipeline(f"parser is json, regexp or logfmt, saw {kind!r}")
    if "pattern" in stage:
        raise BadPipeline("only parser regexp takes a pattern")
    if "field" in stage:
        return _inside(parser, _source(stage["field"], resolve), labels)
    if not labels:
        raise BadPipeline("parse needs a field, or labels that name fields")
    made: list[Derivation] = []
    for name, alias in labels.items():
        made += _spread(parser, _source(name, resolve), checked_name(alias))
    return made


def _inside(parser: Parser, source: Sql, labels: Mapping[str, str]) -> list[Derivation]:
    if not labels:
        return [Whole(source, lambda key: parser.member(source, key), parser.members)]
    return [Made(checked_name(alias), parser.member(source, key)) for key, alias in labels.items()]


def _spread(parser: Parser, source: Sql, alias: str) -> list[Derivation]:
    """Make a text and everything in it readable, as `alias` and `alias.key`."""
    prefix = f"{alias}."

    def member(key: str) -> Sql:
        if not key.startswith(prefix):
            return Sql("CAST(NULL AS VARCHAR)")
        return parser.member(source, key.removeprefix(prefix))

    def members(text: str) -> dict[str, str]:
        return {prefix + key: value for key, value in parser.members(text).items()}

    return [Made(alias, source), Whole(source, member, members)]


def _by_pattern(
    stage: Mapping[str, Any], labels: Mapping[str, str], resolve: Resolve
) -> list[Derivation]:
    """Make the named groups of a pattern fields; `labels` rename them where there is a `field`."""
    pattern = stage.get("pattern")
    if not isinstance(pattern, str):
        raise BadPipeline("parser regexp needs a pattern")
    groups = named_groups(pattern)
    if not groups:
        raise BadPipeline("the pattern names no group: write (?P<name>...)")
    if "field" in stage:
        if unknown := sorted(labels.keys() - groups.keys()):
            raise BadPipeline(f"the pattern has no group {unknown[0]}")
        source = _source(stage["field"], resolve)
        names = labels or {name: name for name in groups}
        return [
            Made(checked_name(alias), _group(source, pattern, groups[name]))
            for name, alias in names.items()
        ]
    if len(labels) != 1:
        raise BadPipeline("parser regexp needs a field, or labels that name one field")
    ((name, alias),) = labels.items()
    source = _source(name, resolve)
    made = [Made(group, _group(source, pattern, at)) for group, at in groups.items()]
    return [Made(checked_name(alias), source), *made]


def _group(source: Sql, pattern: str, number: int) -> Sql:
    return fill(f"nullif(regexp_extract({{}}, {{}}, {number}), '')", source, Sql("?", (pattern,)))


def named_groups(pattern: str) -> dict[str, int]:
    """Return the named groups of an RE2 pattern with their numbers."""
    counted = [match for match in GROUPS.finditer(pattern) if match[0].startswith("(")]
    return {match["name"]: at for at, match in enumerate(counted, 1) if match["name"]}


def _source(name: object, resolve: Resolve) -> Sql:
    if not isinstance(name, str):
        raise BadPipeline(f"field is a name, saw {name!r}")
    return resolve(name).text


def _labels(value: object) -> Mapping[str, str]:
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(alias, str) for alias in value.values()):
        return value
    raise BadPipeline("labels is an object of field: alias")


def _json_member(source: Sql, key: str) -> Sql:
    """Read a member by its whole name, else by its dots as a path."""
    whole, path = _pointer([key]), _pointer(key.split("."))
    document = fill("CASE WHEN json_valid({}) THEN {} END", source, source)
    found = fill("json_extract_string({}, {})", document, Sql("?", (whole,)))
    if whole == path:
        return found
    deeper = fill("json_extract_string({}, {})", document, Sql("?", (path,)))
    return fill("coalesce({}, {})", found, deeper)


def _pointer(steps: list[str]) -> str:
    return "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)


def _json_members(text: str) -> dict[str, str]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {key: _written(value) for key, value in document.items() if value is not None}


def _written(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _logfmt_member(source: Sql, key: str) -> Sql:
    pattern = Sql("?", (f"{LOGFMT_BEFORE}{re.escape(key)}{LOGFMT_VALUE}",))
    quoted = fill("regexp_extract({}, {}, 1)", source, pattern)
    bare = fill("regexp_extract({}, {}, 2)", source, pattern)
    unescaped = fill("regexp_replace({}, '\\\\(.)', '\\1', 'g')", quoted)
    return fill("coalesce(nullif({}, ''), nullif({}, ''))", unescaped, bare)


def _logfmt_members(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, quoted, bare in PAIR.findall(text):
        value = re.sub(r"\\(.)", r"\1", quoted) or bare
        if value:
            found.setdefault(key, value)
    return found


PARSERS = {
    "json": Parser(_json_member, _json_members),
    "logfmt": Parser(_logfmt_member, _logfmt_members),
}
