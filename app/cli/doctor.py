"""doctor: the effective options with secrets masked, and checks that need no network. It changes nothing."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import click

from app.services.doctor import Finding, Verdict, examine, shown_options

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def doctor(as_json: bool) -> None:
    """Show the effective options, and what is wrong. Exit code 1 when something is."""
    from app.config import read_settings

    settings, warnings = read_settings()
    options = shown_options(settings)
    findings = [Finding(Verdict.WRONG, "options", warning) for warning in warnings] + list(examine(settings))
    if as_json:
        found = [dataclasses.asdict(finding) for finding in findings]
        click.echo(json.dumps({"options": options, "findings": found}, ensure_ascii=False))
    else:
        _print(options, findings)
    sys.exit(1 if any(finding.verdict is Verdict.WRONG for finding in findings) else 0)


def _print(options: dict[str, str], findings: Sequence[Finding]) -> None:
    width = max(map(len, options))
    for name, text in options.items():
        click.echo(f"{name:<{width}}  {text or '-'}")
    click.echo()
    for finding in findings:
        click.echo(f"{finding.verdict:<5} {finding.about}: {finding.words}")
