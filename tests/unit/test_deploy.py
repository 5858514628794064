"""The manifests: well-formed, consistent with each other and with the command line, safe by default."""

import http.client
import importlib.util
import json
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import typer.main
import yaml

from tfy_last9.adapters.files.openslo import load_objectives
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.cli.main import app
from tfy_last9.cli.planning import describe
from tfy_last9.errors import ExitCode

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
DOCUMENTS = [
    pytest.param(document, id=f"{file.stem}-{document.get('kind')}-{index}")
    for file in FILES
    for index, document in enumerate(yaml.safe_load_all(file.read_text()))
]
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def documents(path):
    found = yaml.safe_load_all((DEPLOY / path).read_text())
    return {(document["kind"], document["metadata"]["name"]): document for document in found}


def pod_specs():
    for file in FILES:
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] in {"Job", "Deployment"}:
                yield pytest.param(document["spec"]["template"], id=document["metadata"]["name"])


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_document_names_its_kind_version_and_itself(document):
    assert {"apiVersion", "kind", "metadata"} <= set(document)
    assert NAME.fullmatch(document["metadata"]["name"])


@pytest.mark.parametrize("template", list(pod_specs()))
def test_pods_run_without_root_and_without_what_they_do_not_need(template):
    spec = template["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    for container in spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("template", list(pod_specs()))
def test_every_mount_has_its_volume_and_runs_are_kept(template):
    spec = template["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    for container in spec["containers"]:
        mounts = {mount["name"] for mount in container["volumeMounts"]}
        assert mounts == volumes
        asks_for_runs = "/runs" in json.dumps([container.get("args"), container.get("env")])
        assert asks_for_runs == ("runs" in mounts)


def test_no_manifest_holds_a_secret():
    for file in FILES:
        for line in file.read_text().splitlines():
            if re.search(r"name: (TFY_API_KEY|LAST9_REFRESH_TOKEN), value", line):
                assert re.search(r'"\$\{[A-Z0-9_]+\}"', line), line


def test_workers_do_not_get_the_token_that_only_the_master_needs():
    jobs = documents("kubernetes/distributed.yaml")
    worker = jobs["Job", "tfy-last9-workers"]["spec"]["template"]["spec"]["containers"][0]
    assert "envFrom" not in worker
    assert "LAST9" not in json.dumps(worker)


def test_master_and_workers_agree_on_number_port_and_locustfile():
    found = documents("kubernetes/distributed.yaml")
    workers = found["Job", "tfy-last9-workers"]["spec"]
    master = found["Job", "tfy-last9-master"]["spec"]["template"]
    args = master["spec"]["containers"][0]["args"]
    count = workers["parallelism"]
    assert workers["completions"] == count
    assert f"--expect-workers={count}" in args
    worker_args = workers["template"]["spec"]["containers"][0]["args"]
    assert "--master-host=tfy-last9-master" in worker_args
    assert args[0] == worker_args[0]
    assert (ROOT / args[0].partition("=")[2]).is_file()
    selector = found["Service", "tfy-last9-master"]["spec"]["selector"]
    assert selector.items() <= master["metadata"]["labels"].items()


def test_nothing_that_pays_is_retried_without_a_run_id():
    for file in FILES:
        for document in yaml.safe_load_all(file.read_text()):
            if document["kind"] == "Job":
                container = document["spec"]["template"]["spec"]["containers"][0]
                named = any(arg.startswith("--run-id=") for arg in container["args"])
                assert named or document["spec"]["backoffLimit"] == 0


def test_the_job_fails_at_once_on_a_verdict_and_retries_only_errors():
    job = documents("kubernetes/gate-job.yaml")["Job", "tfy-last9-gate"]["spec"]
    (rule,) = [rule for rule in job["podFailurePolicy"]["rules"] if "onExitCodes" in rule]
    codes = rule["onExitCodes"]["values"]
    assert codes == sorted(
        {ExitCode.FAIL, ExitCode.INCONCLUSIVE, ExitCode.NO_DATA, ExitCode.CONFIGURATION}
    )
    assert job["template"]["spec"]["restartPolicy"] == "Never"  # the policy needs it


def test_the_job_calls_the_command_line_as_it_is():
    job = documents("kubernetes/gate-job.yaml")["Job", "tfy-last9-gate"]
    args = job["spec"]["template"]["spec"]["containers"][0]["args"]
    command = typer.main.get_command(app).commands[args[0]]
    context = command.make_context(args[0], args[1:])
    assert context.params["run_id"] == "release-2026-11-23-1"


def test_the_scenario_of_the_manifests_can_be_decided(tmp_path):
    text = documents("kubernetes/gate-job.yaml")["ConfigMap", "tfy-last9-scenario"]["data"]
    (tmp_path / "smoke.yaml").write_text(text["smoke.yaml"])
    scenario = load_scenario(tmp_path / "smoke.yaml")
    told, code = describe(scenario, load_objectives(ROOT / "slo"))
    assert code == 0, told


def test_the_operators_resource_has_only_what_its_crd_knows():
    """After charts/locust-operator/crds/locusttest.yaml of github.com/locustio/k8s-operator."""
    (found,) = documents("locust-operator/locusttest.yaml").values()
    assert (found["apiVersion"], found["kind"]) == ("locust.io/v1", "LocustTest")
    spec = found["spec"]
    known = {"annotations", "labels", "image", "imagePullPolicy", "imagePullSecrets", "workers"}
    known |= {"args", "env", "master", "worker", "locustfile", "metrics"}
    assert set(spec) <= known
    assert all(set(item) == {"name", "value"} for item in spec["env"])
    assert f"--expect-workers {spec['workers']} " in spec["args"]
    compile(spec["locustfile"]["content"], "locustfile.py", "exec")


def test_only_a_proven_failure_rolls_back_in_argo_rollouts():
    template = documents("argo-rollouts/analysis-template.yaml")
    (metric,) = template["AnalysisTemplate", "tfy-last9-gate"]["spec"]["metrics"]
    conditions = metric["successCondition"], metric["failureCondition"]
    assert conditions == ("result.exit_code == 0", f"result.exit_code == {ExitCode.FAIL:d}")
    assert metric["count"] == 1
    assert metric["failureLimit"] == metric["inconclusiveLimit"] == 0
    assert metric["consecutiveErrorLimit"] * 30 >= 1800
    assert metric["provider"]["web"]["method"] == "POST"


def test_the_image_is_not_root_and_copies_what_exists():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert lines.index("USER 10001:10001") < lines.index("FROM base AS gate")
    allowed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for line in lines:
        if line.startswith("COPY") and "--from" not in line:
            *sources, _ = [word for word in line.split()[1:] if not word.startswith("--")]
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in allowed
    assert any("--require-hashes" in line for line in lines)
    assert not [line for line in lines if re.match(r"(ARG|ENV) .*(KEY|TOKEN|SECRET)", line)]


TOOLS = Path(sys.executable).parent


def passes(*command):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_kubernetes_own_schemas_accept_every_manifest_strictly():
    """Unknown fields are errors; Argo's, Flagger's and the operator's kinds are not Kubernetes' own."""
    files = [*(DEPLOY / "kubernetes").glob("*.yaml"), *(DEPLOY / "hook").glob("*.yaml")]
    assert len(files) >= 3
    passes(TOOLS / "kubernetes-validate", "--strict", *files)


def test_hadolint_finds_nothing_in_the_dockerfile(tmp_path):
    passes(TOOLS / "hadolint", "--failure-threshold", "info", DEPLOY / "Dockerfile")
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp && pip install x\n")
    with pytest.raises(AssertionError, match="DL3006"):  # it would notice
        passes(TOOLS / "hadolint", tmp_path / "Dockerfile")


@pytest.fixture
def hook(tmp_path):
    """The hook in front of a fake gate, which runs until its file `<id>.code` names an exit code."""
    spec = importlib.util.spec_from_file_location("serve", DEPLOY / "hook" / "serve.py")
    serve = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(serve)
    script = tmp_path / "fake_gate.py"
    script.write_text(
        "import pathlib, sys, time\n"
        "name = sys.argv[-1].removeprefix('--run-id=')\n"
        "here = pathlib.Path(sys.argv[0]).parent\n"
        "(here / 'started').open('a').write(name + '\\n')\n"
        "code = here / (name + '.code')\n"
        "while not code.exists(): time.sleep(0.01)\n"
        "sys.exit(int(code.read_text()))\n"
    )
    gates = serve.Gates([sys.executable, str(script), "gate"], most=4)
    server = serve.make_server(gates, "127.0.0.1", 0)
    server.RequestHandlerClass.log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Caller(server.server_port, tmp_path)
    server.shutdown()
    thread.join()
    server.server_close()
    gates.stop()


class Caller:
    """A rollout controller."""

    def __init__(self, port, folder):
        self.port, self.folder = port, folder

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        data = json.loads(answer.read())
        connection.close()
        return answer.status, data

    def end(self, name, code):
        temporary = self.folder / "code.tmp"
        temporary.write_text(str(code))
        temporary.rename(self.folder / f"{name}.code")

    def settled(self, method, path, body=None):
        for _ in range(500):
            status, data = self.call(method, path, body)
            if data.get("state") != "RUNNING":
                return status, data
            time.sleep(0.02)
        raise AssertionError("the gate did not end")

    @property
    def started(self):
        return (self.folder / "started").read_text().split()


def test_a_run_is_started_once_and_polled_to_its_end(hook):
    assert hook.call("GET", "/runs/abc")[0] == 404
    for _ in range(3):
        assert hook.call("POST", "/runs/abc") == (503, {"run_id": "abc", "state": "RUNNING"})
    hook.end("abc", 21)
    status, said = hook.settled("POST", "/runs/abc", {})
    assert (status, said["exit_code"], said["state"]) == (200, 21, "INCONCLUSIVE")
    assert hook.started == ["abc"]


def test_two_gates_never_run_at_once(hook):
    hook.call("POST", "/runs/first")
    status, said = hook.call("POST", "/runs/second")
    assert (status, said["state"]) == (503, "WAITING")
    hook.end("first", 0)
    hook.settled("POST", "/runs/first")
    assert hook.call("POST", "/runs/second")[1]["state"] == "RUNNING"
    hook.end("second", 0)


@pytest.mark.parametrize("path", ["/runs/", "/runs/../x", "/runs/a%20b", "/runs/--out", "/"])
def test_an_id_that_is_none_starts_nothing(hook, path):
    assert hook.call("POST", path)[0] == 404
    assert not (hook.folder / "started").exists()


REVISION = {"namespace": "prod", "name": "ai-gateway", "checksum": "7c9", "phase": "Progressing"}


@pytest.mark.parametrize(
    ("code", "promote", "rollback"),
    [(0, 200, 503), (20, 503, 200), (21, 503, 503), (22, 503, 503), (23, 503, 503)],
)
def test_flagger_promotes_on_pass_rolls_back_on_fail_and_holds_otherwise(
    hook, code, promote, rollback
):
    assert hook.call("POST", "/flagger/rollback", REVISION)[0] == 503
    assert not (hook.folder / "started").exists()
    assert hook.call("POST", "/flagger/promote", REVISION)[0] == 503
    hook.end("prod-ai-gateway-7c9", code)
    assert hook.settled("POST", "/flagger/promote", REVISION)[0] == promote
    assert hook.call("POST", "/flagger/rollback", REVISION)[0] == rollback
    assert hook.started == ["prod-ai-gateway-7c9"]


def test_a_flagger_call_without_a_revision_is_refused(hook):
    assert hook.call("POST", "/flagger/promote", {"name": "x"})[0] == 400
    assert hook.call("POST", "/flagger/promote", [])[0] == 400
