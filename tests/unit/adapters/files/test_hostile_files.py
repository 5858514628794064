"""Whatever a file holds, the answer is a model or a list of placed problems, never another exception."""

import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.errors import FileProblems

ROOT = Path(__file__).parents[4]
SAMPLES = [
    (load_scenario, ROOT / "scenarios/smoke.yaml"),
    (load_objectives, ROOT / "slo/client.yaml"),
    (load_objectives, ROOT / "slo/traces.yaml"),
]
JUNK = [
    *(None, True, 0, -1, 1.5, float("nan"), float("inf"), 10**30, "", " ", "x", "a/b", "1s"),
    *([], {}, [[]], [None], {"a": None}, {"": 1}, ["x", "x"], "2026-01-01", "\x85", "é" * 200),
]


def places(node, trail=()):
    yield trail
    if isinstance(node, dict | list):
        keys = node if isinstance(node, dict) else range(len(node))
        for key in keys:
            yield from places(node[key], (*trail, key))


def replaced(node, trail, junk):
    if not trail:
        return junk
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[trail[0]] = replaced(node[trail[0]], trail[1:], junk)
    return copy


def problems(load, file):
    try:
        load(file)
    except FileProblems as found:
        return found.problems
    return ()


@pytest.mark.parametrize(("load", "path"), SAMPLES, ids=lambda value: getattr(value, "name", ""))
def test_junk_anywhere_in_a_file_is_a_problem_or_harmless(tmp_path, load, path):
    """Some kind of junk, seeded, at every place of the file."""
    chance = random.Random(7)
    documents = list(yaml.safe_load_all(path.read_text()))
    file = tmp_path / "file.yaml"
    spots = [(i, trail) for i, document in enumerate(documents) for trail in places(document)]
    for i, trail in spots:
        for junk in chance.sample(JUNK, 1):
            changed = [*documents[:i], replaced(documents[i], trail, junk), *documents[i + 1 :]]
            file.write_text(yaml.safe_dump_all(changed, allow_unicode=True))
            assert all(str(problem).startswith(str(file)) for problem in problems(load, file))


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
@pytest.mark.parametrize("load", [load_scenario, load_objectives])
def test_arbitrary_content_is_refused_with_a_place(tmp_path_factory, load, content):
    file = tmp_path_factory.getbasetemp() / f"{load.__name__}.yaml"
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    file.write_bytes(content)
    with pytest.raises(FileProblems):
        load(file)


@pytest.mark.parametrize("load", [load_scenario, load_objectives])
@pytest.mark.parametrize(
    "content",
    [
        "a: !!python/object:os.system {}",
        "a: !unknown x",
        "a: 0x",
        "a: !!bool maybe",
        "a: !!int x",
        "a: 2026-13-45",
        "? [1, 2]\n: x",
        "? {a: b}\n: x",
        "&a [*a]",
        "a: &x [1]\nb: [*x, *y]",
        "\t- x",
        "[" * 3000,
        "{a: " * 3000,
        "- " * 3000,
    ],
)
def test_yaml_traps_are_problems(tmp_path, load, content):
    file = tmp_path / "file.yaml"
    file.write_text(content)
    with pytest.raises(FileProblems):
        load(file)


def test_aliases_of_aliases_do_not_grow_without_limit(tmp_path):
    """Nine lines that would unfold to a thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    file = tmp_path / "file.yaml"
    file.write_text("\n".join(lines))
    with pytest.raises(FileProblems, match="grow without limit"):
        load_scenario(file)
