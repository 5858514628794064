"""What stops a gate before it sends any load: one clear message each, and the documented exit code."""

import socket

import gating
import pytest

pytestmark = [pytest.mark.contract]
GATE = ("gate", gating.SCENARIO, "--slo", gating.SLO)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A sandbox in the foreground and the settings that it writes."""
    place = tmp_path_factory.mktemp("sandbox")
    file = place / "settings.env"
    process = gating.start("sandbox", "--port", 0, "--env-file", file, "--dir", place, cwd=place)
    try:
        gating.wait_for(file.is_file, what="the sandbox")
        gating.wait_for(lambda: b"LAST9_REFRESH_TOKEN" in file.read_bytes(), what="the settings")
        pairs = (line.split("=", 1) for line in file.read_text().splitlines())
        yield {name: value.strip('"') for name, value in pairs}
    finally:
        process.terminate()
        process.communicate(timeout=20)


def check_refused(tmp_path, code, *words, arguments=GATE, **environment):
    answer = gating.run(*arguments, cwd=tmp_path, **environment)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    for word in words:
        assert word in answer.stderr
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_without_settings_both_remedies_are_named(tmp_path):
    check_refused(tmp_path, 24, "TFY_GATEWAY_URL", "--sandbox")


def test_without_a_last9_token_the_remedies_are_named(tmp_path):
    settings = {"TFY_GATEWAY_URL": "http://127.0.0.1:1", "TFY_API_KEY": "k"}
    check_refused(tmp_path, 24, "LAST9_REFRESH_TOKEN", "--client-only", **settings)


def test_a_wrong_gateway_key_is_refused_before_load(tmp_path, sandbox):
    check_refused(tmp_path, 24, "TFY_API_KEY", "401", **(sandbox | {"TFY_API_KEY": "wrong"}))


def test_a_wrong_last9_token_is_refused_before_load(tmp_path, sandbox):
    check_refused(
        tmp_path, 24, "LAST9_REFRESH_TOKEN", **(sandbox | {"LAST9_REFRESH_TOKEN": "a.b.c"})
    )


def test_a_gateway_that_is_down_is_an_error(tmp_path, sandbox):
    settings = sandbox | {"TFY_GATEWAY_URL": "http://127.0.0.1:1"}
    check_refused(tmp_path, 23, "Connection refused", "TFY_GATEWAY_URL", **settings)


def test_a_key_is_never_sent_in_the_clear(tmp_path, sandbox):
    settings = sandbox | {"TFY_GATEWAY_URL": "http://gateway.example"}
    check_refused(tmp_path, 24, "unencrypted", **settings)


def test_a_model_that_does_not_exist_is_refused_before_load(tmp_path, sandbox):
    text = gating.SCENARIO.read_text().replace("openai-main/gpt-4o-mini", "openai-main/gpt-9")
    (tmp_path / "typo.yaml").write_text(text)
    arguments = ("gate", tmp_path / "typo.yaml", "--slo", gating.SLO)
    check_refused(tmp_path, 24, "openai-main/gpt-9", "'openai'", arguments=arguments, **sandbox)


def test_a_port_in_use_is_an_error_and_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        check_refused(
            tmp_path,
            23,
            str(port),
            "in use",
            arguments=(*GATE, "--sandbox", "--sandbox-port", port),
        )


def test_a_plan_that_can_decide_nothing_sends_nothing(tmp_path):
    arguments = (*GATE, "--sandbox", "--duration", "500ms")
    check_refused(tmp_path, 24, "needed", "--duration", arguments=arguments)


def test_an_unknown_fault_is_answered_with_the_nearest(tmp_path):
    check_refused(
        tmp_path, 24, "trace_loss", arguments=(*GATE, "--sandbox", "--fault", "trace_los=1")
    )


def test_a_fault_without_the_sandbox_is_refused(tmp_path):
    check_refused(tmp_path, 24, "--sandbox", arguments=(*GATE, "--fault", "trace_loss=0.1"))


@pytest.mark.parametrize("arguments", [("gate",), ("gat",), ("gate", "x.yaml", "--rate", "fast")])
def test_bad_usage_is_a_configuration_error(tmp_path, arguments):
    check_refused(tmp_path, 24, "rror", arguments=arguments)


def test_a_scenario_with_mistakes_names_all_of_them_with_their_lines(tmp_path):
    text = gating.SCENARIO.read_text().replace("rate: 90/s", "rate: 90/fortnight")
    (tmp_path / "bad.yaml").write_text(text.replace("phases:", "fases:"))
    arguments = ("gate", tmp_path / "bad.yaml", "--slo", gating.SLO, "--sandbox")
    check_refused(tmp_path, 24, "bad.yaml:9", "bad.yaml:10", "phases", arguments=arguments)


def test_lint_checks_the_files_that_ship():
    answer = gating.run("lint", cwd=gating.ROOT)
    assert answer.returncode == 0, answer.stderr
    assert "no problem found" in answer.stdout


def test_plan_says_what_the_smoke_scenario_decides():
    answer = gating.run("plan", "scenarios/smoke.yaml", cwd=gating.ROOT)
    assert answer.returncode == 0, answer.stderr
    assert "trace-completeness" in answer.stdout
