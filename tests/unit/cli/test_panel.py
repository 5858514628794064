"""What a waiting terminal, a log and a parent process are shown."""

import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console as Terminal

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.cli.budgeting import used_up
from tfy_last9.cli.console import Console
from tfy_last9.cli.panel import LoadView, SettleView
from tfy_last9.model.run import SettlePoint
from tfy_last9.progress.live_run import LiveRun

DATA = Path(__file__).parents[2] / "data"
SHORT = load_scenario(DATA / "short.yaml")
S = 10**9


class Stream(io.StringIO):
    encoding = "utf-8"

    def __init__(self, *, terminal):
        super().__init__()
        self._terminal = terminal

    def isatty(self):
        return self._terminal


def drawn(view):
    terminal = Terminal(file=io.StringIO(), width=140, color_system=None)
    terminal.print(view)
    return terminal.file.getvalue()


def row(seq, provider="openai", outcome="ok"):
    due_ns = S + seq * S // 100
    made = {
        "seq": seq,
        "provider": provider,
        "phase": "steady",
        "api": "chat",
        "stream": True,
        "epoch_ns": 0,
    }
    made |= {"outcome": outcome, "due_ns": due_ns, "started_ns": due_ns}
    made |= {"input_tokens": 10, "output_tokens": 20, "cost_usd": 0.001}
    return made | {"finished_ns": due_ns + S, "first_token_ns": due_ns + S // 2}


@pytest.fixture
def view():
    live = LiveRun(SHORT, load_objectives(DATA / "slo"))
    live.take(row(seq) for seq in range(80))
    live.take(row(seq, "gemini", "timeout") for seq in range(20))
    live.sample(
        {"t_ns": 2 * S, "start_ns": 0, "offered": 110, "started": 108, "missed": 2}
        | {"finished": 100, "in_flight": 8, "errors": 20}
    )
    return LoadView("short", live, now_ns=lambda: 2 * S)


def test_the_panel_names_rate_spend_time_left_and_every_provider(view):
    text = drawn(view)
    assert "steady" in text
    assert "4 s left" in text
    assert "55/s offered · 50/s finished · 8 in flight · 1,000 + 2,000 tokens, 0.1 USD" in text
    assert "20 errors · 2 missed" in text
    assert re.search(r"openai +80 +500 ms +500 ms +500 ms +1 s +0 +0 % +decided: good", text)
    assert re.search(
        r"gemini +20 .* 20 +2500 % +decided: bad \(client-total-p99, client-errors\)", text
    )
    assert re.search("anthropic +0 +\N{EN DASH} .*needs 74 more", text)
    assert "3 more are decided after the load" in text


def test_rates_are_those_of_the_last_seconds(view):
    drawn(view)
    sample = {"start_ns": 0, "started": 0, "missed": 0, "in_flight": 0, "errors": 0}
    for second, offered in ((3, 210), (4, 310), (8, 1110), (9, 1310)):
        view.now_ns = lambda second=second: second * S
        view.live.sample(sample | {"t_ns": second * S, "offered": offered, "finished": offered})
        text = drawn(view)
    assert "200/s offered" in text


def test_a_run_that_has_not_begun_says_so():
    view = LoadView("short", LiveRun(SHORT, ()), now_ns=lambda: 0)
    assert "users are being started" in drawn(view)
    assert view.line() == "load: starting"


def test_a_log_gets_one_line(view):
    assert view.line() == (
        "load: 100 finished, 8 in flight, 20 errors, 2 missed, 4 s left"
        " | p95 to first token: gemini 500 ms, openai 500 ms"
    )


def under_a_budget(view, **limits):
    scenario = view.live.scenario
    view.live.scenario = replace(scenario, limits=replace(scenario.limits, **limits))
    view.live.spending = {"usd": 0.1, "tokens": 3000, "reserved_usd": 0.02}
    view.live.spending |= {"reserved_tokens": 500, "is_spent": False}
    return view


def test_a_run_under_a_budget_shows_spent_reserved_and_the_limit(view):
    text = "spent 0.1000 of 0.2 USD and 3,000 tokens (reserved 0.0200 USD, 500 tokens)"
    found = under_a_budget(view, usd=0.2)
    assert re.search("budget +━+.*" + re.escape(text), drawn(found))
    assert text in found.line()


def test_of_two_limits_the_bar_shows_the_tighter_one(view):
    found = under_a_budget(view, usd=100.0, tokens=4000)
    assert used_up(found.live.spending, found.live.scenario.limits) == (0.75, 0.875)
    assert "3,000 of 4,000 tokens" in drawn(found)


def test_a_run_without_a_budget_draws_none(view):
    assert "budget  " not in drawn(view).partition("provider")[0]
    assert "reserved" not in drawn(view)


def settling(point=None):
    return SettleView(0, 60.0, lambda: (7, 1234), point, now_ns=lambda: 4 * S)


def test_settling_counts_traces_queries_and_rows():
    text = "40 of 90 complete in Last9, deadline in 56 s, 7 queries, 1,234 rows read"
    view = settling(SettlePoint(3 * S, 90, 40))
    assert text in drawn(view)
    assert view.line() == f"traces: {text}"
    assert settling().line() == "traces: asking Last9, 7 queries, 1,234 rows read"
    assert "asking Last9" in drawn(settling())


def test_events_carry_the_numbers(monkeypatch):
    monkeypatch.setattr("sys.stderr", stream := Stream(terminal=False))
    console = Console(events=True)
    console.say("hello")
    console.show(settling(SettlePoint(3 * S, 90, 40)))
    console.show(settling())
    said, told, first = map(json.loads, stream.getvalue().splitlines())
    assert said == {"kind": "say", "text": "hello"}
    assert (told["complete"], told["expected"], told["elapsed_s"]) == (40, 90, 3.0)
    assert "complete" not in first


def test_a_terminal_is_drawn_on_and_left_clean(monkeypatch, view):
    monkeypatch.setattr("sys.stderr", stream := Stream(terminal=True))
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console()
    console.show(view)
    console.say("a line above")
    console.result("PASS")
    text = stream.getvalue()
    assert "gemini" in text
    assert "a line above" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor must come back"


@pytest.mark.parametrize(("terminal", "term"), [(False, "xterm"), (True, "dumb")])
def test_where_nothing_can_be_drawn_there_are_lines(monkeypatch, view, terminal, term):
    monkeypatch.setattr("sys.stderr", stream := Stream(terminal=terminal))
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_, **__: os.terminal_size((200, 40)))
    console = Console()
    console._told_s = -100.0
    console.show(view)
    assert "load: 100 finished" in stream.getvalue()
    assert "━" not in stream.getvalue()


def test_quiet_shows_nothing(monkeypatch, view):
    monkeypatch.setattr("sys.stderr", stream := Stream(terminal=True))
    console = Console(quiet=True)
    console.show(view)
    console.say("x")
    with console.following(view):
        pass
    assert stream.getvalue() == ""
