"""What an operator does without a browser: the first organization, admins, API keys, passwords, the schema."""

from __future__ import annotations

import json
import sys
from typing import IO, TYPE_CHECKING, Any

import click

from app.cli.application import application, migrated, settings_told

if TYPE_CHECKING:
    from collections.abc import Callable

DAY_MS = 86_400_000

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
of_organization = click.option("--organization", help="Its id (org_…) or name; needed only when there are several.")


def _password_file(name: str) -> Callable[[Any], Any]:
    words = "File that holds the password, - for standard input; left out: it is asked for."
    return click.option(name, "password_file", type=click.File("r", encoding="utf-8"), help=words)


@click.command()
@click.option("--organization", required=True, help="Its name.")
@click.option("--admin-email", required=True, help="The first admin, who also runs this server.")
@_password_file("--admin-password-file")
@as_json
def init(organization: str, admin_email: str, password_file: IO[str] | None, as_json: bool) -> None:
    """Make the first organization, its admin and an API key that may all."""
    password = _password(password_file)
    with application():
        from app.services import organizations

        made = organizations.first_admin(organization, admin_email, password, with_key=True)
    answer = {"organization": made.organization, "admin": made.user.public_id, "api_key": made.api_key}
    _tell(
        answer,
        f"Organization {organization} ({made.organization}) and its admin {made.user.email} are made.\n"
        f"API key, shown this once: {made.api_key}",
        as_json=as_json,
    )


@click.command("create-admin")
@click.option("--email", required=True, help="Their e-mail.")
@_password_file("--password-file")
@of_organization
@as_json
def create_admin(email: str, password_file: IO[str] | None, organization: str | None, as_json: bool) -> None:
    """Make another admin, who also runs this server."""
    password = _password(password_file)
    with application():
        from app.services import organizations

        made = organizations.add_admin(organization, email, password)
    answer = {"organization": made.organization, "admin": made.user.public_id}
    _tell(answer, f"{made.user.email} is an admin and can sign in.", as_json=as_json)


@click.command("create-api-key")
@click.option("--name", required=True, help="What will use it.")
@click.option("--scope", "scopes", multiple=True, required=True, help="As events:write; again for more.")
@click.option("--expires-days", type=click.IntRange(1, 3650), help="Days until it expires; left out: never.")
@of_organization
@as_json
def create_api_key(
    name: str, scopes: tuple[str, ...], expires_days: int | None, organization: str | None, as_json: bool
) -> None:
    """Make an API key. It is shown this once."""
    with application():
        from app import clock
        from app.services import api_keys, organizations

        expires_at = clock.now() + expires_days * DAY_MS if expires_days else None
        made = api_keys.create(organizations.system_of(organization), name, scopes, expires_at)
    answer = {"id": made.view.id, "scopes": list(made.view.scopes), "api_key": made.key}
    _tell(answer, f"API key {name}, shown this once: {made.key}", as_json=as_json)


@click.command("install-pack")
@click.argument("name")
@of_organization
@as_json
def install_pack(name: str, organization: str | None, as_json: bool) -> None:
    """Install the event pack NAME, or bring an installed one up to date; also while the server runs."""
    with application():
        from app.services import event_types, organizations

        added = event_types.install(organizations.system_of(organization), name)
    types = "1 event type was" if added == 1 else f"{added} event types were"
    _tell({"name": name, "added": added}, f"The event pack {name} is installed: {types} added.", as_json=as_json)


@click.command("reset-password")
@click.option("--email", required=True, help="Whose password.")
@_password_file("--password-file")
@click.option("--without-codes", is_flag=True, help="Also ask for no codes at sign-in, for who has lost the app.")
def reset_password(email: str, password_file: IO[str] | None, *, without_codes: bool) -> None:
    """Set somebody's password. It ends all their sessions."""
    password = _password(password_file)
    with application():
        from app.services import sign_in, two_factor

        sign_in.reset_password(email, password, without_codes=without_codes)
        still = two_factor.asks_for_codes(email)
    click.echo(f"{email} has a new password and was signed out everywhere.")
    if still:
        click.echo("Signing in still asks for a code. --without-codes turns that off.")


@click.command()
def migrate() -> None:
    """Bring the database's schema to this version. `serve` does it by itself."""
    before, newest = migrated(settings_told())
    click.echo(f"The schema is {newest} already." if before == newest else f"The schema is {newest} now.")


def _password(file: IO[str] | None) -> str:
    """Read the password: it never stands in the arguments, which everybody on the machine can see."""
    if file is not None:
        return file.read().removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise click.UsageError("Give the password in a file, or - for standard input.")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _tell(answer: dict[str, Any], words: str, *, as_json: bool) -> None:
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else words)
