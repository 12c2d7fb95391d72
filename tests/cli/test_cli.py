"""The command line as a whole: help, speed, exit codes."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from app import __version__
from app.cli import COMMANDS, main
from app.database import StorageBroken
from tests.cli.conftest import ROOT


def test_the_version_is_told(run_process):
    done = run_process("version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"postroom {__version__}\n", "")


def test_the_version_and_the_help_load_next_to_nothing():
    heavy = {"sqlalchemy", "flask", "pycurl", "cryptography", "argon2", "alembic", "apscheduler"}
    code = (
        "import sys\nfrom app.cli import main\nmain([sys.argv[1]], standalone_mode=False)\n"
        f"print(sorted({heavy!r} & set(sys.modules)))"
    )

    for argument in ("version", "-h"):
        done = subprocess.run(
            [sys.executable, "-c", code, argument], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]", f"postroom {argument} loads them"


def test_the_help_names_every_command(run):
    for flag in ("-h", "--help"):
        told = run(flag)

        assert told.exit_code == 0
        assert all(name in told.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_says_what_it_does(run, name):
    told = run(name, "-h")

    assert told.exit_code == 0
    with click.Context(main) as context:
        assert main.get_command(context, name).name == name


@pytest.mark.parametrize("arguments", [["nonsense"], ["init"], ["init", "--nonsense"], ["serve", "--port", "x"]])
def test_wrong_usage_exits_with_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_nonsense_in_an_option_is_refused_in_words(run):
    refused = run("migrate", POSTROOM_PORT="many")

    assert refused.exit_code == 1
    assert refused.stderr == "POSTROOM_PORT=many: use a whole number from 1 to 65535.\n"


def test_an_unknown_option_is_warned_about(run):
    warned = run("migrate", POSTROOM_DATADIR="/tmp")

    assert warned.exit_code == 0
    assert "Did you mean POSTROOM_DATA_DIR?" in warned.stderr


def test_a_broken_data_file_is_refused_in_words(run, settings, password_file):
    (settings.data_dir / "presets").mkdir(parents=True)
    (settings.data_dir / "presets" / "own.toml").write_text("titel = 'Own'", encoding="utf-8")

    refused = run("init", "--organization", "A", "--admin-email", "a@b", "--admin-password-file", password_file)

    assert refused.exit_code == 1
    assert "own" in refused.stderr
    assert "Traceback" not in refused.output


def test_storage_that_cannot_be_used_exits_with_70(run, settings):
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "postroom.db").mkdir()

    broken = run("migrate")

    assert broken.exit_code == 70
    assert broken.stderr.startswith("The database can't be used: ")


def test_a_newer_schema_is_refused_in_words(run, monkeypatch):
    from app import schema

    def refuse(settings):
        raise StorageBroken("The database was made by a newer Postroom (schema 9999).")

    monkeypatch.setattr(schema, "migrate", refuse)

    assert run("migrate").exit_code == 70
