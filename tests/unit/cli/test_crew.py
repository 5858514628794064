"""Who sends the load: what Locust is told, and combinations that cannot work."""

import socket

import pytest

from tfy_last9.cli.crew import LOCUSTFILE, Crew, checked_locustfile
from tfy_last9.cli.load import _last_error
from tfy_last9.errors import ConfigurationError, PortInUse


class Told:
    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def test_one_process_needs_no_master():
    assert Crew().arguments() == []
    assert Crew().workers == 1
    assert Crew().waiting_line(LOCUSTFILE) is None


def test_processes_of_one_machine_meet_on_loopback_at_a_port_of_their_own():
    arguments = Crew(processes=3).arguments()
    value = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert value["--master-bind-host"] == "127.0.0.1"
    assert value["--master-bind-port"] == value["--master-port"] != "5557"
    assert (value["--processes"], Crew(processes=3).workers) == ("3", 3)


def test_workers_from_elsewhere_are_waited_for_where_they_were_told():
    crew = Crew(expected=2, bind_host="0.0.0.0", bind_port=5600)
    assert crew.workers == 2
    assert crew.arguments()[:3] == ["--master", "--expect-workers", "2"]
    told = Told()
    crew.announce(told)
    (line,) = told.lines
    assert "tfy-last9 worker --master-host <this machine> --master-port 5600" in line


def test_a_port_that_only_this_machine_reaches_is_pointed_out():
    told = Told()
    Crew(expected=1).announce(told)
    assert "--master-bind-host 0.0.0.0" in told.lines[1]


def test_who_has_joined_is_told(tmp_path):
    crew = Crew(expected=2)
    assert crew.waiting_line(tmp_path) == "waiting for workers: 0 of 2 joined"
    (tmp_path / "joined.json").write_text('{"joined": 1}')
    assert crew.waiting_line(tmp_path) == "waiting for workers: 1 of 2 joined"


@pytest.mark.parametrize(
    ("crew", "sandbox", "said"),
    [
        (Crew(processes=2, expected=2), False, "exclude each other"),
        (Crew(expected=2), True, "does not work with --sandbox"),
    ],
)
def test_what_cannot_work_is_refused(crew, sandbox, said):
    with pytest.raises(ConfigurationError, match=said):
        crew.check(sandbox=sandbox)


def test_a_port_that_is_taken_is_refused_before_anything_is_sent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortInUse, match=str(port)):
            Crew(expected=1, bind_port=port).check(sandbox=False)
    Crew(expected=1, bind_port=free_port()).check(sandbox=False)


def test_a_locustfile_that_is_not_there_is_refused(tmp_path):
    assert checked_locustfile(None) == LOCUSTFILE
    with pytest.raises(ConfigurationError, match="is no file"):
        checked_locustfile(tmp_path / "users.py")


def test_the_last_error_of_locust_is_quoted(tmp_path):
    log = tmp_path / "load.log"
    log.write_text("[t] vm/INFO/locust.main: Starting\n")
    assert _last_error(log) == ""
    log.write_text("[t] vm/ERROR/locust.main: one: two\n[t] vm/INFO/locust.main: three\n")
    assert _last_error(log) == " (one: two)"
