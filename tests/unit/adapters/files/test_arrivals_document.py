"""`arrivals:` of a scenario file: every kind, and what is refused."""

import pytest

from tfy_last9.adapters.files.scenario import load_scenario, scenario_from_json, scenario_to_json
from tfy_last9.arrivals.schedule import planned
from tfy_last9.errors import FileProblems

TEXT = """
name: shaped
targets: [{name: a, model: acc/m, provider: openai}]
arrivals: {ARRIVALS}
phases: [{name: warm-up, duration: 2s, judged: false}, {name: steady, duration: 8s}]
prompts: [Hello]
"""


def load(folder, arrivals, text=TEXT):
    path = folder / "scenario.yaml"
    path.write_text(text.replace("{ARRIVALS}", "{" + arrivals + "}"))
    return load_scenario(path)


def refusal(folder, arrivals, text=TEXT):
    with pytest.raises(FileProblems) as caught:
        load(folder, arrivals, text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("arrivals", "count"),
    [
        ("kind: ramp, rate: 10/s, to: 30/s, gaps: even", 200),
        ("kind: steps, rate: 10/s, steps: [{at: 5s, rate: 40/s}], gaps: even", 250),
        ("kind: spike, rate: 5/s, to: 100/s, at: 4s, for: 500ms, gaps: even", 98),
        ("kind: sine, rate: 20/s, swing: 20/s, period: 5s, gaps: even", 200),
        ("kind: constant, rate: 20/s", 200),
    ],
)
def test_each_kind_sends_what_its_rates_say(tmp_path, arrivals, count):
    assert planned(load(tmp_path, arrivals)).total() == pytest.approx(count, abs=1)


def test_a_replay_reads_offsets_beside_the_scenario(tmp_path):
    (tmp_path / "offsets.txt").write_text("# from the access log\n0.5\n\n9.75  # late\n3\n")
    scenario = load(tmp_path, "kind: replay, file: offsets.txt")
    assert scenario.offsets_s == (0.5, 3.0, 9.75)
    assert planned(scenario) == {("warm-up", "a"): 1, ("steady", "a"): 2}


@pytest.mark.parametrize(
    "kind", ["ramp, rate: 1/s, to: 9/s", "sine, rate: 9/s, swing: 1/s, period: 3s"]
)
def test_a_shaped_scenario_survives_json_exactly(tmp_path, kind):
    scenario = load(tmp_path, f"kind: {kind}")
    assert scenario_from_json(scenario_to_json(scenario)) == scenario


@pytest.mark.parametrize(
    ("arrivals", "message"),
    [
        ("kind: ramp, rate: 10/s", 'arrivals of kind "ramp" need to'),
        ("kind: spike, rate: 10/s, to: 20/s", 'kind "spike" need at, for'),
        ("kind: poisson, rate: 10/s, to: 20/s", 'kind "poisson" have no to'),
        ("kind: constant, rate: 10/s, gaps: even", 'kind "constant" have no gaps'),
        ("kind: poisson", 'kind "poisson" need rate'),
        ("kind: sine, rate: 5/s, swing: 9/s, period: 3s", "swing is above rate"),
        (
            "kind: steps, rate: 5/s, steps: [{at: 5s, rate: 1/s}, {at: 3s, rate: 1/s}]",
            "steps are written in order of time",
        ),
        ("kind: spike, rate: 1/s, to: 2/s, at: 9s, for: 1s", "the phases end after 10 s"),
        ("kind: replay, file: nowhere.txt", "nowhere.txt"),
        ("kind: replay, rate: 1/s, file: x", 'kind "replay" have no rate'),
        ("kind: ramp, rate: 1/s, too: 9/s", 'unknown key "too" (did you mean "to"?)'),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, arrivals, message):
    assert message in refusal(tmp_path, arrivals)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1\nx\n", "line 2: expected seconds, got 'x'"),
        ("-1\n", "line 1: -1 s is outside the phases"),
        ("10\n", "line 1: 10 s is outside the phases (0 to 10 s)"),
        ("nan\n", "outside the phases"),
        ("# nothing\n", "holds no offset"),
    ],
)
def test_a_bad_replay_file_is_refused_with_its_line(tmp_path, content, message):
    (tmp_path / "offsets.txt").write_text(content)
    assert message in refusal(tmp_path, "kind: replay, file: offsets.txt")


def test_a_phase_has_no_rate_of_its_own_under_a_curve(tmp_path):
    text = TEXT.replace("duration: 8s", "duration: 8s, rate: 5/s")
    assert "set the rate of the whole schedule" in refusal(
        tmp_path, "kind: ramp, rate: 1/s, to: 2/s", text
    )
