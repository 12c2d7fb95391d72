"""Commands, run in this process or in one of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.conftest import PASSWORD
from tests.support.application import forget_everything

if TYPE_CHECKING:
    from app.config import Settings

ROOT = Path(__file__).resolve().parents[2]
Run = Callable[..., Result]


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    """The options of an installation that doesn't exist yet."""
    return {"POSTROOM_DATA_DIR": str(settings.data_dir)}


@pytest.fixture
def migrated(database: Settings, environment: dict[str, str]) -> dict[str, str]:
    """The options of an installation with a database, on SQLite and on PostgreSQL."""
    if database.database_url:
        environment["POSTROOM_DATABASE_URL"] = database.database_url
    return environment


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run a command here: `run("init", "--json", input="…")`; other names are options of the environment."""

    def command(*arguments: str, input: str | None = None, **more: str) -> Result:  # noqa: A002
        forget_everything()
        others: dict[str, Any] = {name: None for name in os.environ if name.startswith("POSTROOM_")}
        result = CliRunner().invoke(main, arguments, input=input, env={**others, **environment, **more})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return command


@pytest.fixture
def run_process(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in a process of its own, away from the checkout."""

    def command(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment, **more}
        command = [sys.executable, "-W", "error", "-m", "app", *arguments]
        return subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True, check=False, timeout=60)

    return command


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    """A file with a good password and a line end."""
    file = tmp_path / "password.txt"
    file.write_text(PASSWORD + "\n", encoding="utf-8")
    return str(file)
