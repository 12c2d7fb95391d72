"""The command line. A command's module is imported when the command is used, so that `postroom version` is fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from app.version import __version__

COMMANDS = {
    "serve": ("app.cli.serve", "Start the server: pages, API and delivery."),
    "worker": ("app.cli.serve", "Start a process that only delivers."),
    "init": ("app.cli.admin", "Make the first organization, its admin and an API key."),
    "create-admin": ("app.cli.admin", "Make another admin."),
    "create-api-key": ("app.cli.admin", "Make an API key."),
    "install-pack": ("app.cli.admin", "Install an event pack, or bring an installed one up to date."),
    "reset-password": ("app.cli.admin", "Set somebody's password."),
    "migrate": ("app.cli.admin", "Bring the database's schema to this version."),
    "backup": ("app.cli.backup", "Copy the database and its key into one file, while the server runs."),
    "restore": ("app.cli.backup", "Put a backup into the data directory; the server must be stopped."),
    "demo": ("app.cli.demo", "Fill a fresh organization with demo data and serve it, with live traffic."),
    "publish": ("app.cli.publish", "Publish an event to a running server."),
    "doctor": ("app.cli.doctor", "Show the effective options, and what is wrong."),
    "version": ("app.cli", "Say which version this is."),
}


class Commands(click.Group):
    """The commands above; expected failures end in one sentence and an exit code, never in a trace."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except _expected() as error:  # evaluated only when something failed
            raise _told(error) from error


def _expected() -> tuple[type[BaseException], ...]:
    from sqlalchemy.exc import OperationalError

    from app.config import BadSetting
    from app.core.vocabulary import DataFileError
    from app.crypto import WrongKey
    from app.database import StorageBroken
    from app.errors import AppError

    return (AppError, BadSetting, DataFileError, WrongKey, StorageBroken, OperationalError)


class _Refused(click.ClickException):
    """A refusal in words."""

    exit_code = 1

    def show(self, file: Any = None) -> None:
        """Write the words to standard error."""
        click.echo(self.message, err=True, file=file)


class _StorageBroken(_Refused):
    """The storage can't be used."""

    exit_code = 70


def _told(error: BaseException) -> _Refused:
    from sqlalchemy.exc import OperationalError

    from app.database import StorageBroken
    from app.errors import Invalid

    if isinstance(error, StorageBroken):
        return _StorageBroken(str(error))
    if isinstance(error, OperationalError):
        return _StorageBroken(f"The database can't be used: {error.orig}".rstrip())
    if isinstance(error, Invalid):
        return _Refused("\n".join(problem.message for problem in error.problems))
    return _Refused(str(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """Postroom: self-hosted outgoing webhooks.

    Options are read from the environment (POSTROOM_…); `postroom doctor` shows them.
    """


@click.command()
def version() -> None:
    """Say which version this is."""
    click.echo(f"postroom {__version__}")
