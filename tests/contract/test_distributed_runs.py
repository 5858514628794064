"""A gate with `tfy-last9 worker` on other machines: cut off, torn, killed, with clocks that are wrong.

The first worker's connection goes through a cable that is torn in the middle (what is under way is lost) and
its wall clock is 7.5 s ahead. The second lives in a network namespace whose link goes down (packets vanish,
nobody is told); where namespaces are not permitted it has a cable too. Both are cut for longer than Locust's
own patience of three seconds. A third and a fourth work on another run, in which one is killed.
"""

import json
import signal
import subprocess
import time
from dataclasses import dataclass, field

import gating
import locusts
import networks
import pytest

pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("distributed_runs")]

SHIFT_S = 7.5
SHIFTED = f"""
import time
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + {SHIFT_S}
time.time_ns = lambda: real_ns() + {round(SHIFT_S * 1e9)}
"""
CUT_S = 4.5
SLO = """
apiVersion: openslo/v1
kind: SLO
metadata:
  name: client-total
  displayName: Total time
  annotations: {tfy-last9/critical: "true"}
spec:
  service: ai-gateway
  description: 90 % of requests are answered within 12 s; few requests decide it.
  indicator:
    metadata: {name: client-total}
    spec:
      thresholdMetric:
        metricSource:
          metricSourceRef: client-ledger
          type: client-ledger
          spec: {field: total_ms}
  timeWindow: [{duration: 1h, isRolling: true}]
  budgetingMethod: Occurrences
  objectives: [{displayName: p90 within 12 s, op: lte, value: 12000, target: 0.9}]
"""


@dataclass
class Crew:
    """A gate and its two workers."""

    gate: subprocess.Popen
    port: int
    folder: object
    workers: list = field(default_factory=list)

    def join(self, settings, name, port=None, prefix=(), host="127.0.0.1", **environment):
        command = gating.command(
            "worker", "--master-host", host, "--master-port", port or self.port
        )
        environment = gating.clean_environment(**{**settings, **environment})
        with (self.folder / f"{name}.log").open("wb") as log:
            self.workers.append(
                subprocess.Popen(
                    [*prefix, *command],
                    cwd=self.folder,
                    env=environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def until_loaded(self):
        def finished():
            assert self.gate.poll() is None, self.gate.communicate()
            found = list((self.folder / "runs").glob("*/.work/progress.json"))
            return found and json.loads(found[0].read_bytes())["finished"] >= 20

        gating.wait_for(finished, timeout_s=60, what="traffic")

    def outcome(self):
        out, err = self.gate.communicate(timeout=90)
        return gating.Outcome(self.gate.returncode, out, err, self.folder / "runs")

    def close(self):
        for process in (self.gate, *self.workers):
            if process.poll() is None:
                process.kill()
        self.gate.communicate()
        for process in self.workers:
            process.wait()


def crew(folder, settings, duration, host="127.0.0.1"):
    folder.mkdir()
    scenario = locusts.scenario_file(folder, rate="40/s", users=100, duration=duration)
    slo = folder / "slo.yaml"
    slo.write_text(SLO)
    port = locusts.free_port()
    gate = gating.start(
        *("gate", scenario, "--slo", slo, "--client-only", "--expect-workers", 2),
        *("--master-bind-host", host, "--master-bind-port", port),
        cwd=folder,
        **settings,
    )
    return Crew(gate, port, folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    running = locusts.start_world(tmp_path_factory.mktemp("world"))
    yield running
    locusts.end(running.process)


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """Start both runs, disturb them in the middle, and return what became of them and of their workers."""
    folder, settings = tmp_path_factory.mktemp("crews"), world.settings
    (folder / "sitecustomize.py").write_text(SHIFTED)
    gateway_port = int(settings["TFY_GATEWAY_URL"].rpartition(":")[2])
    cut = crew(folder / "cut", settings, "6s", host="0.0.0.0")
    killed = crew(folder / "killed", settings, "5s")
    links = [networks.Cable(cut.port)]
    try:
        cut.join(settings, "shifted", links[0].port, PYTHONPATH=str(folder))
        if networks.namespaces_are_permitted():
            space = networks.Namespace(1, gateway_port)
            links.append(space)
            url = f"http://127.0.0.1:{space.gateway_port}"
            more = {"host": space.host, "prefix": space.prefix, "TFY_GATEWAY_URL": url}
            cut.join(settings, "apart", **more)
        else:
            links.append(networks.Cable(cut.port))
            cut.join(settings, "apart", links[1].port)
        killed.join(settings, "survivor")
        killed.join(settings, "victim")
        cut.until_loaded()
        for link in links:
            link.tear()
        killed.until_loaded()
        killed.workers[1].send_signal(signal.SIGKILL)
        time.sleep(CUT_S)  # must be longer than Locust's three heartbeats
        for link in links:
            link.mend()
        yield cut.outcome(), killed.outcome(), cut, killed
    finally:
        cut.close()
        killed.close()
        for link in links:
            link.close()


def test_workers_that_were_cut_off_for_a_while_lose_nothing(runs, world):
    run, _, crew, _ = runs
    rows = run.ledger("request_id, worker, written")
    counters, workers = run.manifest["counters"], run.manifest["workers"]
    assert len(rows) == counters["offered"] > 200, run.err
    assert (counters["unreported"], run.manifest["ended"]) == (0, "schedule")
    assert sorted(name for name, _, written in rows if written) == sorted(
        world.served(run.manifest["run_id"])
    )
    assert [(worker["drained"], worker["gaps"]) for worker in workers] == [(True, 0)] * 2
    assert all(worker["resent"] > 0 for worker in workers), "nothing was lost on the way"
    assert run.verdict["state"] in {"PASS", "INCONCLUSIVE"}, run.err
    assert run.code == {"PASS": 0, "INCONCLUSIVE": 21}[run.verdict["state"]]
    assert [process.wait(timeout=30) for process in crew.workers] == [0, 0]


def test_each_second_of_the_time_apart_is_in_the_health_record(runs):
    run, *_ = runs
    sql = f"SELECT worker, max(gap) FROM (SELECT worker, t_ns - lag(t_ns) OVER (PARTITION BY worker ORDER BY t_ns) AS gap FROM '{run.folder}/health.parquet') GROUP BY 1"
    assert all(gap < CUT_S * 0.9e9 for _, gap in gating.query(sql))


def test_a_clock_that_is_wrong_is_measured_and_corrected(runs, world):
    run, *_ = runs
    offsets = [
        (facts["clock_offset_ns"], facts["clock_uncertainty_ns"])
        for facts in run.manifest["workers"]
    ]
    (straight, low), (ahead, high) = sorted(offsets)
    assert abs(straight) <= low + 1e8
    assert abs(ahead - SHIFT_S * 1e9) <= high + 1e8
    lines = map(json.loads, world.journal.read_text().splitlines())
    served = {
        line["request_id"]: line["t_ns"]
        for line in lines
        if line["event"] == "request" and line["run_id"] == run.manifest["run_id"]
    }
    for request_id, utc_ns in run.ledger("request_id, epoch_ns + started_ns", "written"):
        assert abs(served[request_id] - utc_ns) < SHIFT_S / 2 * 1e9


def test_a_worker_that_was_killed_is_named_and_what_it_left_out_is_rebuilt(runs, world):
    _, run, _, crew = runs
    counters = run.manifest["counters"]
    lost = [worker for worker in run.manifest["workers"] if not worker["drained"]]
    assert (run.code, run.verdict["state"]) == (23, "ERROR")
    assert run.verdict["reason_code"] == "incomplete"
    assert len(lost) == 1
    assert f"worker {lost[0]['worker']} on {lost[0]['host']} was lost" in run.verdict["reason"]
    known = {request_id for (request_id,) in run.ledger("request_id")}
    found = gating.query(
        f"SELECT request_id, worker, outcome FROM '{run.folder}/unreported.parquet'"
    )
    rebuilt = {request_id for request_id, *_ in found}
    assert len(rebuilt) == len(found) == counters["unreported"] > 0
    assert {(worker, outcome) for _, worker, outcome in found} == {(lost[0]["worker"], None)}
    every = {f"{run.manifest['run_id']}.{seq}" for seq in range(counters["offered"])}
    assert known | rebuilt == every
    assert not known & rebuilt
    assert set(world.served(run.manifest["run_id"])) <= every
    assert crew.workers[0].wait(timeout=30) == 0
