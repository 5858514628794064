"""The wheel as a new user gets it: built offline, installed into an environment of its own, used there."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.contract, pytest.mark.xdist_group("wheel")]


def done(*command, cwd, **environment):
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    done(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Return the bin folder of an environment with the wheel; dependencies come from this one's."""
    home = tmp_path_factory.mktemp("home")
    done(sys.executable, "-m", "venv", "--without-pip", home / "env", cwd=home)
    python = home / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    done(*pip, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=home)
    (site,) = (home / "env" / "lib").glob("python*/site-packages")
    # A folder named in a .pth file joins the path, but its own .pth files (our editable install) do not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_the_wheel_holds_samples_and_schemas_and_nothing_else_of_the_checkout(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "tfy_last9/samples/scenarios/smoke.yaml" in names
    assert "tfy_last9/samples/slo/client.yaml" in names
    assert "tfy_last9/samples/locustfiles/chat.py" in names
    assert "tfy_last9/schemas/scenario.schema.json" in names
    assert "tfy_last9/py.typed" in names
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_command_runs_from_the_wheel_and_not_from_the_checkout(installed, tmp_path):
    ended = done(installed / "tfy-last9", "--help", cwd=tmp_path)
    assert "gate" in ended.stdout
    where = "import tfy_last9; print(tfy_last9.__file__)"
    shown = done(installed / "python", "-c", where, cwd=tmp_path).stdout
    assert Path(shown.strip()).is_relative_to(installed.parent)


def test_init_gives_files_that_lint_and_plan_accept(installed, tmp_path):
    command = installed / "tfy-last9"
    assert "edit `targets:`" in done(command, "init", cwd=tmp_path).stdout
    done(command, "lint", cwd=tmp_path)
    done(command, "plan", "scenarios/smoke.yaml", cwd=tmp_path)


def test_shell_completion_offers_commands_and_options(installed, tmp_path):
    asked = {
        "_TFY_LAST9_COMPLETE": "complete_bash",
        "COMP_WORDS": "tfy-last9 ga",
        "COMP_CWORD": "1",
    }
    assert "gate" in done(installed / "tfy-last9", cwd=tmp_path, **asked).stdout.split()
    asked |= {"COMP_WORDS": "tfy-last9 gate --run", "COMP_CWORD": "2"}
    assert "--run-id" in done(installed / "tfy-last9", cwd=tmp_path, **asked).stdout.split()
