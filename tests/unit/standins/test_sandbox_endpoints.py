import json
import stat

from tfy_last9.standins.endpoints import Endpoints, write_env_file, write_json

ENDPOINTS = Endpoints(
    gateway_url="http://127.0.0.1:1",
    api_key="k",
    last9_url="http://127.0.0.1:2",
    refresh_token="t",
    otlp_endpoint="http://127.0.0.1:2/v1/traces",
    otlp_auth="Basic eDp5",
)


def test_the_env_file_is_private_and_survives_a_shell(tmp_path):
    path = tmp_path / "sandbox.env"
    write_env_file(path, ENDPOINTS.env())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = path.read_text().splitlines()
    assert "TFY_API_KEY=k" in lines
    assert 'LAST9_OTLP_AUTH="Basic eDp5"' in lines
    assert {line.partition("=")[0] for line in lines} == ENDPOINTS.env().keys()


def test_replacing_a_file_leaves_no_draft_behind(tmp_path):
    path = tmp_path / "endpoints.json"
    write_json(path, {"event": "old"})
    write_json(path, {"event": "ready"})
    assert json.loads(path.read_text()) == {"event": "ready"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["endpoints.json"]
