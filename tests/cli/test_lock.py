"""The lock on the data directory."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from app.cli.lock import hold
from app.errors import Refused
from tests.cli.conftest import ROOT

HOLD = """
import sys, pathlib
from app.cli.lock import hold
held = hold(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path):
    """Another process that holds the lock; it is ended with SIGKILL."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    with process:
        yield process
        process.kill()


def test_a_second_process_is_told_which_one_has_it(other_process, tmp_path):
    with pytest.raises(Refused) as refused:
        hold(tmp_path)

    assert refused.value.message == f"Another Postroom (pid {other_process.pid}) uses this data directory."


def test_a_killed_process_lets_go(other_process, tmp_path):
    other_process.kill()
    other_process.wait()

    with hold(tmp_path):
        assert (tmp_path / "postroom.lock").read_text() == f"{os.getpid()}\n"


def test_it_can_be_held_again_after_it_was_let_go(tmp_path):
    hold(tmp_path).close()

    with hold(tmp_path), pytest.raises(Refused):
        hold(tmp_path)


def test_only_the_owner_can_read_it_and_the_folder_is_made(tmp_path):
    folder = tmp_path / "new" / "data"

    with hold(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "postroom.lock").stat().st_mode) == 0o600


def test_a_schema_is_not_changed_under_a_running_server(run, other_process, tmp_path):
    refused = run("migrate", POSTROOM_DATA_DIR=str(tmp_path))

    assert refused.exit_code == 1
    assert f"pid {other_process.pid}" in refused.stderr
    assert not (tmp_path / "postroom.db").exists()


def test_a_server_does_not_start_beside_another(run_process, other_process, tmp_path):
    refused = run_process("serve", POSTROOM_DATA_DIR=str(tmp_path))

    assert refused.returncode == 1
    assert refused.stderr == f"Another Postroom (pid {other_process.pid}) uses this data directory.\n"


def test_keys_can_be_made_while_a_server_runs(run, run_process, migrated, settings, password_file, tmp_path):
    init = ("init", "--organization", "Acme", "--admin-email", "ada@acme.test", "--admin-password-file", password_file)

    with hold(settings.data_dir):
        done = run_process(*init, **migrated)

    assert done.returncode == 0, done.stderr
