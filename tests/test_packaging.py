"""What is built and installed: the wheel in an empty environment, the image's recipe, the units, the locks, make."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
LOCKS = ("requirements.lock", "requirements-dev.lock")
DRAIN_SECONDS = 30

OPEN_A_PAGE = """
import json, re, sys
import app
client = app.create_app().test_client()
page = client.get("/login", follow_redirects=True)
sheets = re.findall(r'<link[^>]*rel="stylesheet"[^>]*>', page.text)
sheet = client.get(re.search(r'href="([^"]+)"', sheets[0])[1])
print(json.dumps({"from": app.__file__, "statuses": [page.status_code, sheet.status_code],
                  "types": [page.mimetype, sheet.mimetype], "sheet": sheet.text}))
"""


def run(*command: str | Path, cwd: Path = ROOT, **more: str) -> str:
    """Run a command with a clean environment and return what it printed; a failure shows its errors."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel in it, and its dependencies borrowed from the one that runs the tests."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    run(
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "-q",
        "--no-index",
        "--no-deps",
        "--no-compile",
        wheel,
    )
    # A folder that a .pth names is searched last, and its own .pth files (our editable install) are not followed.
    (site,) = home.glob("lib/python*/site-packages")
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return home


class TestTheWheel:
    """What is in it, and that it works away from the checkout."""

    def test_it_holds_every_file_of_the_application_and_nothing_else(self, wheel):
        places = {"app": "app", "templates": "app/templates", "static": "app/static"}
        wanted = {
            f"{place}/{file.relative_to(ROOT / folder).as_posix()}"
            for folder, place in places.items()
            for file in (ROOT / folder).rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }

        held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

        assert held == wanted | {"postroom_client.py"}

    def test_it_carries_the_licence(self, wheel):
        names = zipfile.ZipFile(wheel).namelist()

        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)

    def test_an_installed_one_migrates_and_serves_a_page_with_its_stylesheet(self, installed, tmp_path):
        here = {"POSTROOM_DATA_DIR": str(tmp_path / "data"), "POSTROOM_BASE_URL": "http://localhost"}

        run(installed / "bin" / "postroom", "migrate", cwd=Path("/"), **here)
        seen = json.loads(run(installed / "bin" / "python", "-c", OPEN_A_PAGE, cwd=Path("/"), **here))

        assert Path(seen["from"]).is_relative_to(installed), "the checkout answered, not the wheel"
        assert seen["statuses"] == [200, 200]
        assert seen["types"] == ["text/html", "text/css"]
        assert seen["sheet"].encode() == (ROOT / "static" / "app.css").read_bytes()
        assert (tmp_path / "data" / "postroom.db").is_file()

    def test_an_installed_one_knows_its_version(self, installed, tmp_path):
        version = re.search(r'__version__ = "(.+)"', (ROOT / "app" / "version.py").read_text(encoding="utf-8"))[1]

        told = run(installed / "bin" / "postroom", "version", cwd=tmp_path)

        assert version in told

    def test_the_producers_client_is_a_module_of_its_own(self, installed, tmp_path):
        loaded = "import sys, postroom_client; print([name for name in sys.modules if name.partition('.')[0] == 'app'])"

        assert run(installed / "bin" / "python", "-c", loaded, cwd=tmp_path) == "[]\n"


def instructions(text: str) -> list[tuple[str, str]]:
    """Return a Dockerfile's instructions: name and arguments, continued lines joined."""
    lines = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.M)).splitlines()
    return [(name, arguments) for name, _, arguments in (line.partition(" ") for line in lines if line)]


@pytest.fixture
def stages():
    """The two stages of the image's recipe."""
    steps = instructions((DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    starts = [number for number, (name, _) in enumerate(steps) if name == "FROM"]
    assert len(starts) == 2
    return steps[: starts[1]], steps[starts[1] :]


def test_the_image_stands_on_debian_because_there_is_no_pycurl_for_musl(stages):
    assert [stage[0] for stage in stages] == [
        ("FROM", "python:3.13-slim-bookworm AS build"),
        ("FROM", "python:3.13-slim-bookworm"),
    ]


def test_the_image_is_built_from_the_lock_with_hashes_before_the_code_is_copied(stages):
    build = [" ".join(step) for step in stages[0]]
    locked = build.index("RUN /opt/postroom/bin/pip install --require-hashes -r requirements.lock")

    assert "RUN python -m venv /opt/postroom" in build[:locked]
    assert build.index("COPY app app") > locked, "a change of code would install every dependency again"
    assert build[-1] == "RUN /opt/postroom/bin/pip install --no-deps --no-build-isolation ."


def test_the_image_is_given_all_that_the_wheel_is_made_of(stages):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    sources = [*wheel["packages"], *wheel["force-include"], *project["project"]["license-files"]]
    needed = {source.partition("/")[0] for source in sources} | {project["project"]["readme"], "pyproject.toml"}
    copied = {name for step, arguments in stages[0] if step == "COPY" for name in arguments.split()[:-1]}
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"}

    assert needed <= copied
    assert copied == let_in, "what .dockerignore lets in and what is copied differ"
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_runs_as_nobody_special_and_writes_only_to_its_volume(stages):
    run_stage = [" ".join(step) for step in stages[1]]
    settings = {item for name, arguments in stages[1] if name == "ENV" for item in arguments.split()}

    assert "COPY --from=build /opt/postroom /opt/postroom" in run_stage
    assert {"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "POSTROOM_DATA_DIR=/data"} <= settings
    assert any("install -d -o 10001 -m 700 /data" in step for step in run_stage)
    assert run_stage.index("USER 10001") < run_stage.index("VOLUME /data")
    assert not [step for step in run_stage[run_stage.index("USER 10001") :] if step.startswith(("RUN", "USER root"))]


def test_the_image_says_how_it_is_started_stopped_and_asked_for_its_health(stages):
    told = dict(stages[1])

    assert told["EXPOSE"] == "8300"
    assert told["STOPSIGNAL"] == "SIGTERM"
    assert json.loads(told["ENTRYPOINT"]) == ["postroom"]
    assert json.loads(told["CMD"]) == ["serve", "--host", "0.0.0.0"]
    program, flag, code = json.loads(told["HEALTHCHECK"].removeprefix("CMD "))
    assert (program, flag) == ("python", "-c"), "the slim image has no curl"
    assert "http://127.0.0.1:8300/healthz" in code
    compile(code, "HEALTHCHECK", "exec")


@pytest.mark.parametrize(("unit", "command"), [("postroom", "serve"), ("postroom-worker", "worker")])
def test_a_unit_is_confined_and_waits_for_the_drain(unit, command):
    lines = (DEPLOY / f"{unit}.service").read_text(encoding="utf-8").splitlines()
    values = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))

    assert values["ExecStart"] == f"/opt/postroom/bin/postroom {command}"
    assert values["Environment"] == f"POSTROOM_DATA_DIR=%S/{values['StateDirectory']}"
    assert values["EnvironmentFile"] == "-/etc/postroom.env"
    assert values["Type"] == "exec"
    assert values["KillMode"] == "mixed"
    assert int(values["TimeoutStopSec"]) > DRAIN_SECONDS
    assert values["StateDirectoryMode"] == "0700"
    assert values["UMask"] == "0077"
    assert values["CapabilityBoundingSet"] == ""
    assert values["ProtectSystem"] == "strict"
    assert values["SystemCallFilter"] == "@system-service"
    assert {values[name] for name in ("DynamicUser", "NoNewPrivileges", "ProtectHome", "PrivateTmp")} == {"yes"}


def test_two_units_never_share_a_data_directory():
    texts = [(DEPLOY / f"{unit}.service").read_text(encoding="utf-8") for unit in ("postroom", "postroom-worker")]

    assert len({re.search(r"^StateDirectory=(.+)$", text, re.M)[1] for text in texts}) == 2


def pins(lock: str) -> dict[str, str]:
    """Return name and version of all that a lock pins."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)(?:\[[^\]]*\])?==(\S+)", text, re.M))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_names_no_index(lock):
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-z])", text.partition("\n#    make lock\n")[2])

    assert len(entries) > 40
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text
    assert "--index" not in text


def test_the_locks_agree_and_pin_every_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    direct = [*project["project"]["dependencies"], *groups["build"]]
    for_tests = [*groups["test"], *groups["check"]]
    served, developed = (pins(lock) for lock in LOCKS)

    assert named(direct) <= set(served)
    assert named(for_tests) <= set(developed)
    assert served.items() <= developed.items()


def named(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower() for requirement in requirements}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, what its stamps depend on, and an environment that is up to date."""
    for name in ("Makefile", "pyproject.toml", *LOCKS):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for age, name in enumerate(["pyproject.toml", *LOCKS, ".venv/bin/python", ".venv/.run", ".venv/.dev"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1_000_000 + age, 1_000_000 + age))
    return tmp_path


def test_a_second_make_run_starts_at_once(checkout):
    assert run("make", "-n", "run", cwd=checkout).split() == [".venv/bin/postroom", "serve"]


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_make_run_installs_again_when_what_is_needed_changed(checkout, changed):
    os.utime(checkout / changed)

    planned = run("make", "-n", "run", cwd=checkout)

    assert "install --require-hashes -r requirements.lock" in planned
    assert "install --no-deps --no-build-isolation -e ." in planned
    assert "requirements-dev.lock" not in planned


def test_make_test_passes_its_arguments_on(checkout):
    planned = run("make", "-n", "test", "ARGS=tests/core -k retry", cwd=checkout)

    command, _, arguments = planned.strip().partition(" --no-loadscope-reorder ")
    assert command == ".venv/bin/python -m pytest -n 2 --dist loadfile"
    assert arguments == "tests/core -k retry"


@pytest.mark.parametrize(
    ("refuses", "sentence"), [("version_info", "Postroom needs Python 3.11 or newer"), ("ensurepip", "venv module")]
)
def test_make_says_in_one_sentence_what_python_lacks(checkout, refuses, sentence):
    shutil.rmtree(checkout / ".venv")
    python = checkout / "python"
    python.write_text(f'#!/bin/sh\ncase "$2" in *{refuses}*) exit 1;; esac\n', encoding="utf-8")
    python.chmod(0o755)

    done = subprocess.run(
        ["make", "run", f"PYTHON={python}"],
        cwd=checkout,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert sentence in done.stderr
    assert (done.stderr.count("\n"), done.stdout) == (1, "")
    assert not (checkout / ".venv").exists()


def test_every_module_that_make_starts_is_there():
    modules = set(re.findall(r"\$\(BIN\)/python -m (\w[\w.]*)", (ROOT / "Makefile").read_text(encoding="utf-8")))
    ours = {module.replace(".", "/") for module in modules} - {"pip", "pytest"}

    missing = [path for path in ours if not any((ROOT / f"{path}{end}").is_file() for end in (".py", "/__main__.py"))]

    assert missing == []
