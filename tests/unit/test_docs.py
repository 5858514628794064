"""Every command in README and docs is read by the real command line; cheap ones are run; links lead somewhere."""

import re
import shlex
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import typer.main

from tfy_last9.cli.main import app
from tfy_last9.errors import ExitCode, TfyError

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "deploy" / "README.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:tfy-last9|locust -f|make) [^`]+)`")
UsageError = typer.BadParameter.__mro__[1]  # Typer brings a Click of its own and does not export it
CHEAP = ("tfy-last9 lint", "tfy-last9 plan")
MADE = {"scenarios/production.yaml"}
"""What another command of the same page writes."""


def commands_of(page):
    """Yield the commands of a page: lines of shell blocks, and code spans that begin with one of ours."""
    text = page.read_text()
    for language, block in FENCE.findall(text):
        if language in {"sh", "bash", "console"}:
            for line in block.replace("\\\n", " ").splitlines():
                yield line.removeprefix("$ ").strip()
    yield from INLINE.findall(FENCE.sub("", text))


def ours(program):
    found = []
    for page in PAGES:
        for line in commands_of(page):
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", words[0]):
                words = words[1:]
            if words and words[0] == program:
                found.append(pytest.param(words[1:], id=f"{page.name}: {shlex.join(words)}"))
    return list({param.id: param for param in found}.values())


def parsed(words):
    """Read a command line as the program would, without running it."""
    command = typer.main.get_command(app)
    if words[0] not in command.commands:
        raise UsageError(f"no command {words[0]}")
    chosen = command.commands[words[0]]
    context = chosen.make_context(words[0], list(words[1:]))
    if hasattr(chosen, "commands"):
        name, sub, rest = chosen.resolve_command(context, context._protected_args + context.args)
        return sub.make_context(name, rest)
    return context


@pytest.mark.parametrize("words", ours("tfy-last9"))
def test_the_command_line_accepts_what_the_docs_say(words):
    if words[0].startswith("-"):
        assert words[0] in {"--help", "--install-completion", "--show-completion"}
        return
    if len(words) == 1:  # a bare name in prose: only the name is claimed
        assert words[0] in typer.main.get_command(app).commands
        return
    with suppress(typer.Exit):  # --help
        parsed(words)


def test_the_check_would_notice_a_wrong_option():
    with pytest.raises(UsageError):
        parsed(["gate", "scenarios/smoke.yaml", "--sandboxx"])
    with pytest.raises(UsageError):
        parsed(["gates", "scenarios/smoke.yaml"])


@pytest.mark.parametrize("words", ours("tfy-last9"))
def test_files_that_commands_name_exist(words):
    for word in words:
        if re.match(r"(scenarios|slo|locustfiles|deploy|tests)(/|$)", word):
            assert (ROOT / word).exists() or word in MADE, word


@pytest.mark.parametrize(
    "words",
    [
        param
        for param in ours("tfy-last9")
        if param.id.partition(": ")[2].startswith(CHEAP) and not MADE & set(param.values[0])
        if "runs/" not in param.id  # needs a run of one's own
    ],
)
def test_the_cheap_ones_work(words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    try:
        app(words, standalone_mode=False)
        code = 0
    except SystemExit as ended:
        code = ended.code
    except (typer.Exit, TfyError) as ended:
        code = ended.exit_code
    said = capsys.readouterr()
    assert code in {0, None}, said.out + said.err


@cache
def locust_options():
    """Return Locust's options; asked in a process of its own, since importing it patches this one."""
    shown = subprocess.run(
        [sys.executable, "-m", "locust", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    plugin = (ROOT / "tfy_last9" / "swarm" / "plugin.py").read_text()
    own = re.findall(r'^ +"(--[a-z]+)",$', plugin, re.MULTILINE)  # `--help` leaves them out
    return {*own, *re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", shown.stdout)}


@pytest.mark.parametrize("words", ours("locust"))
def test_locust_knows_the_options_and_the_locustfile_exists(words):
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in locust_options()
    assert (ROOT / words[words.index("-f") + 1]).is_file()


@pytest.mark.parametrize("words", ours("make"))
def test_make_knows_the_target(words):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert not [word for word in words if "=" not in word and word not in targets]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page):
    text = FENCE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
            assert anchor in slugs, target


def test_every_exit_code_and_every_class_of_message_is_explained():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    for code in ExitCode:
        assert f"| {int(code)} |" in text
    pending, classes = [TfyError], set()
    while pending:
        found = pending.pop().__subclasses__()
        pending += found
        classes |= {kind.__name__ for kind in found if kind.__module__ == TfyError.__module__}
    quiet = {"HarnessError", "Stopped", "Interrupted"}  # a root, one nobody sees, and exit 130
    assert not [name for name in classes - quiet if f"`{name}`" not in text]


def test_every_reason_code_is_explained():
    sources = [ROOT / "tfy_last9" / "judge" / name for name in ("soundness.py", "gate.py")]
    codes = set()
    for source in sources:
        codes |= set(re.findall(r"Obstacle\(\s*\"([a-z_]+)\"", source.read_text()))
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    assert codes
    assert not [code for code in codes if f"`{code}`" not in text]


def commands(group, *names):
    for name, command in group.commands.items():
        yield (*names, name), command
        if hasattr(command, "commands"):
            yield from commands(command, *names, name)


def test_every_command_has_an_example_and_each_is_a_real_command():
    """`--help` is where people look first."""
    for names, command in commands(typer.main.get_command(app)):
        text = " ".join((command.help or "").split())
        _, found, example = text.partition(f"Example: tfy-last9 {names[0]}")
        assert found, names
        parsed(shlex.split(names[0] + example))
