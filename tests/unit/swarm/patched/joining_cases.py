"""How a worker ends, and whom the master does not trust."""

from types import SimpleNamespace

import pytest

from tfy_last9.swarm import join
from tfy_last9.swarm import master as master_module
from tfy_last9.swarm.peers import Peer


@pytest.mark.parametrize(
    ("ended", "code"), [(None, 0), (0, 0), (130, 130), (24, 24), (1, 23), (-1, 23), ("text", 23)]
)
def test_every_way_out_of_locust_is_a_documented_exit_code(monkeypatch, capsys, ended, code):
    def run():
        raise SystemExit(ended)

    monkeypatch.setattr(join, "run_locust", run)
    with pytest.raises(SystemExit) as out:
        join.main()
    assert (out.value.code or 0) == code
    assert ("start the master first" in capsys.readouterr().err) == (code == 23)


def test_a_worker_of_another_version_is_named():
    master = object.__new__(master_module.Master)
    mine = Peer.myself()
    other = Peer("0.0.1", mine.machine, mine.pid, mine.born_s)
    master._peers = {"host-a_1": mine, "host-b_2": other}
    (problem,) = master._strangers(["host-a_1", "host-b_2", "host-c_3"])
    assert problem.startswith("the worker on host-b runs tfy-last9 0.0.1")


def test_a_worker_is_alive_until_it_was_silent_too_long_or_its_process_is_gone(monkeypatch):
    monkeypatch.setattr(master_module, "MasterRunner", SimpleNamespace)
    nodes = {
        "well": SimpleNamespace(state="running"),
        "silent": SimpleNamespace(state="missing"),
        "dead": SimpleNamespace(state="running"),
    }
    master = object.__new__(master_module.Master)
    master._environment = SimpleNamespace(runner=SimpleNamespace(clients=nodes))
    me = Peer.myself()
    master._peers = {"well": me, "dead": Peer(me.version, me.machine, me.pid, me.born_s - 100)}
    alive = [name for name in (*nodes, "never seen") if master._is_alive(name)]
    assert alive == ["well"]
