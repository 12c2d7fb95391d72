"""Publish an event from the command line, through the producers' client."""

from __future__ import annotations

import io
import json
import sys
from typing import IO, Any

import click

DEFAULT_ADDRESS = "http://127.0.0.1:8300"


class _KeyOption(click.Option):
    """A file that holds the key, or an environment variable that is the key itself: never an argument."""

    def value_from_envvar(self, ctx: click.Context) -> Any:
        """Return what the variable holds, as a file."""
        text = super().value_from_envvar(ctx)
        return io.StringIO(text) if text else None


@click.command()
@click.argument("event_type", metavar="TYPE")
@click.argument("data", metavar="DATA|-")
@click.option("--address", envvar="POSTROOM_BASE_URL", default=DEFAULT_ADDRESS, show_default=True, help="The server.")
@click.option(
    "--key-file",
    cls=_KeyOption,
    type=click.File("r", encoding="utf-8"),
    envvar="POSTROOM_API_KEY",
    help="File that holds the API key, - for standard input; left out: POSTROOM_API_KEY.",
)
@click.option("--id", "event_id", help="Your own id of the event: publishing it again changes nothing.")
@click.option("--business-unit", help="External id of the business unit it belongs to.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def publish(
    event_type: str,
    data: str,
    address: str,
    key_file: IO[str] | None,
    event_id: str | None,
    business_unit: str | None,
    as_json: bool,
) -> None:
    """Publish one event of TYPE with DATA, a JSON object; - reads it from standard input.

    The API key needs the scope events:write.
    """
    from app.client import Postroom, PublishError

    key = key_file.read().strip() if key_file else ""
    if not key:
        raise click.UsageError("Give the API key in a file (--key-file) or in POSTROOM_API_KEY.")
    more = {"id": event_id, "business_unit": business_unit}
    event: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    try:
        with Postroom(address, key) as postroom:
            answer = postroom.publish(event_type, _object(data), **event)
    except PublishError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:  # the client's connection errors are ones
        raise click.ClickException(f"{address} doesn't answer: {error}") from error
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else _words(answer))


def _object(text: str) -> dict[str, Any]:
    if text == "-":
        text = sys.stdin.read()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"DATA is not JSON: {error}.") from error
    if not isinstance(found, dict):
        raise click.UsageError('DATA must be a JSON object, as {"id": 42}.')
    return found


def _words(answer: dict[str, Any]) -> str:
    deliveries = answer.get("deliveries", [])
    pending = sum(delivery.get("state") == "pending" for delivery in deliveries)
    told = f"{answer['id']} {'was published before' if answer.get('duplicate') else 'published'}"
    return f"{told}: {pending} of {len(deliveries)} matching webhooks will get it."
