"""Baselines wherever they are kept: a folder, CI artifacts, memory, and a bucket that speaks S3."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tfy_last9.adapters.baselines import NoBaseline, Wanted, latest_pass
from tfy_last9.adapters.files.scenario import load_scenario
from tfy_last9.adapters.opening import RunRequest, open_run
from tfy_last9.adapters.shelves import LEDGER, keep, open_shelf
from tfy_last9.errors import BackendUnavailable, ConfigurationError

DATA = Path(__file__).parents[2] / "data"
DAY_NS = 86_400_000_000_000


@pytest.fixture
def run(tmp_path):
    """Make a judged run folder with a ledger."""
    scenario = load_scenario(DATA / "short.yaml")

    def make(name, day, state="PASS", seed=1):
        request = RunRequest(
            *(replace(scenario, seed=seed), DATA / "slo", tmp_path / "here", "http://h", 1),
            run_id=name,
        )
        folder, _ = open_run(request, day * DAY_NS)
        folder.verdict_path.write_text(json.dumps({"state": state}))
        folder.ledger_path.write_bytes(f"ledger of {name}".encode())
        (folder.path / "sandbox").mkdir()
        (folder.path / "sandbox" / "journal.ndjson").write_text("{}")
        return folder

    return make


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3, on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3, monkeypatch, tmp_path):
    settings = {
        "AWS_ENDPOINT_URL": s3,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    name = f"gate-{uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["folder", "memory", "s3"])
def place(request, tmp_path):
    if request.param == "folder":
        (tmp_path / "kept").mkdir()
        return str(tmp_path / "kept")
    if request.param == "memory":
        return f"memory://{uuid4().hex}/smoke"
    return f"s3://{request.getfixturevalue('bucket')}/gates/smoke"


def wanted(folder):
    return Wanted.by(folder.read_manifest())


def test_the_newest_passing_run_is_found_where_it_was_kept(run, place):
    for folder in (run("z-old", 1), run("a-new", 2), run("failed", 3, "FAIL"), run("x", 4, seed=2)):
        keep(folder, place)
    canary = run("canary", 5)
    with open_shelf(place) as shelf:
        found = latest_pass(shelf.path, wanted(canary), place=place)
        shelf.fetch(found, LEDGER)
        assert found.read_manifest().run_id == "a-new"
        assert found.require_ledger().read_bytes() == b"ledger of a-new"


def test_the_whole_run_can_be_fetched_but_not_the_sandbox_of_it(run, place):
    folder = run("old", 1)
    keep(folder, place)
    with open_shelf(place) as shelf:
        found = latest_pass(shelf.path, wanted(run("canary", 2)), place=place)
        shelf.fetch(found)
        names = {p.relative_to(found.path).as_posix() for p in found.path.rglob("*") if p.is_file()}
    assert {"run.json", "verdict.json", "requests.parquet", "slo/client.yaml"} <= names
    assert not [name for name in names if name.startswith(("sandbox", ".work"))]


def test_keeping_twice_changes_nothing(run, place):
    folder = run("old", 1)
    where = keep(folder, place)
    folder.ledger_path.write_bytes(b"other")
    assert keep(folder, place) == where
    with open_shelf(place) as shelf:
        found = latest_pass(shelf.path, wanted(run("canary", 2)), place=place)
        shelf.fetch(found, LEDGER)
        assert found.ledger_path.read_bytes() == b"ledger of old"


def test_an_empty_place_has_no_baseline_and_says_what_it_holds(run, place):
    keep(run("other", 1, seed=2), place)
    with (
        open_shelf(place) as shelf,
        pytest.raises(NoBaseline, match="of 1 other run") as caught,
    ):
        latest_pass(shelf.path, wanted(run("canary", 2)), place=place)
    assert place in caught.value.message


def test_artifacts_of_a_ci_system_are_read_as_they_were_downloaded(run, tmp_path):
    """`actions/download-artifact` unpacks one folder per artifact; the API gives archives."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    shutil.copytree(run("old", 1).path, artifacts / "tfy-last9-baseline-smoke")
    archive = shutil.make_archive(str(artifacts / "newer"), "zip", run("newer", 2).path)
    (artifacts / "notes.txt").write_text("x")
    canary = run("canary", 3)
    with open_shelf(str(artifacts)) as shelf:
        found = latest_pass(shelf.path, wanted(canary))
        shelf.fetch(found, LEDGER)
        assert found.ledger_path.read_bytes() == b"ledger of newer"
    Path(archive).unlink()
    with open_shelf(str(artifacts)) as shelf:
        assert latest_pass(shelf.path, wanted(canary)).read_manifest().run_id == "old"


def test_an_archive_cannot_write_elsewhere(run, tmp_path):
    import zipfile

    folder = run("old", 1)
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        for name in LEDGER:
            archive.write(folder.path / name, name)
        archive.writestr("../../escaped.txt", "x")
    with open_shelf(str(tmp_path)) as shelf:
        found = latest_pass(shelf.path, wanted(run("canary", 2)))
        shelf.fetch(found)
        assert not list(shelf.path.parent.glob("escaped.txt"))


def test_a_bucket_that_is_not_there_is_an_error_and_no_missing_baseline(bucket):
    """Else a typing error would silently compare with nothing."""
    with (
        pytest.raises(
            BackendUnavailable, match=r"cannot be reached: .*NoSuchBucket|does not exist"
        ),
        open_shelf(f"s3://{bucket}-none/x"),
    ):
        pass


def test_a_bucket_where_nothing_was_kept_yet_has_no_baseline(bucket, run):
    with (
        open_shelf(f"s3://{bucket}/gates/smoke") as shelf,
        pytest.raises(NoBaseline, match="of 0 other run"),
    ):
        latest_pass(shelf.path, wanted(run("canary", 2)))


def test_a_server_that_is_down_names_the_error_of_the_network(monkeypatch, bucket):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with (
        pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9") as caught,
        open_shelf(f"s3://{bucket}/x"),
    ):
        pass
    assert "AWS_ENDPOINT_URL" in caught.value.hint


def test_a_kind_of_place_that_nobody_knows_is_refused():
    with (
        pytest.raises(ConfigurationError, match="s4"),
        open_shelf("s4://bucket/x"),
    ):
        pass


def test_a_missing_library_names_the_extra(monkeypatch):
    import sys

    from fsspec.registry import _registry

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(_registry, "s3", raising=False)
    with (
        pytest.raises(ConfigurationError) as caught,
        open_shelf("s3://bucket/x"),
    ):
        pass
    assert "tfy-last9[s3]" in caught.value.hint


def test_a_place_with_a_key_inside_is_refused_unrepeated():
    with (
        pytest.raises(ConfigurationError) as caught,
        open_shelf("s3://key:secret@bucket/x"),
    ):
        pass
    assert "secret" not in caught.value.message
