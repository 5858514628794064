"""Change events: opt-in, and never a reason to fail."""

from types import SimpleNamespace

import pytest

from tfy_last9.adapters.last9.settings import Last9Settings
from tfy_last9.cli import markers
from tfy_last9.cli.console import Console
from tfy_last9.errors import CredentialRefused

MANIFEST = SimpleNamespace(run_id="r-42", scenario=SimpleNamespace(name="smoke"))


class Folder:
    """A run folder without a verdict."""

    def __init__(self, path):
        self.verdict_path = path / "verdict.json"

    def read_manifest(self):
        return MANIFEST


@pytest.fixture
def written(monkeypatch):
    events = []

    def announce(_, name, state, __, attributes):
        events.append((name, state, dict(attributes)))

    monkeypatch.setattr(markers, "announce", announce)
    return events


def both(tmp_path, **settings):
    chosen = Last9Settings(refresh_token="a.b.c", region="r", org="o", **settings)
    made = markers.Markers(Folder(tmp_path), chosen, Console())
    made.started()
    made.ended()


def test_nothing_is_written_unless_asked_for(written, tmp_path):
    both(tmp_path)
    markers.Markers(Folder(tmp_path), None, Console()).started()
    assert written == []


def test_start_and_stop_name_run_scenario_and_service(written, tmp_path):
    both(tmp_path, change_events=True)
    named = {"run_id": "r-42", "scenario": "smoke"}
    services = {"service": "tfy-llm-gateway", "service_name": "tfy-llm-gateway"}
    assert written == [
        ("load_test", "start", {**services, **named}),
        ("load_test", "stop", {**services, **named, "verdict": "none"}),
    ]


def test_a_refused_event_is_a_warning(monkeypatch, tmp_path, capsys):
    def refuse(*_):
        raise CredentialRefused("403", hint="the refresh token needs write scope")

    monkeypatch.setattr(markers, "announce", refuse)
    both(tmp_path, change_events=True)
    told = capsys.readouterr().err
    assert told.count("warning: no change event") == 2
    assert "write scope" in told
    assert "a.b.c" not in told
