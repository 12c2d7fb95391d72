"""How the installation is doing, for its operators."""

from __future__ import annotations

import dataclasses
import platform
import resource
import sqlite3
from typing import TYPE_CHECKING, Any

from flask import Blueprint, redirect, render_template, url_for

from app import clock
from app.core.redaction import MASK, redacted
from app.database import is_sqlite
from app.delivery.installed import installed
from app.delivery.transfer import CURL_VERSION
from app.services import backup, doctor, growth, stats, system
from app.services.doctor import Verdict
from app.version import __version__
from app.web import is_fragment, live, operator
from app.web.filters import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.wrappers import Response

    from app.config import Settings

bp = Blueprint("system", __name__)


@bp.get("/system")
@operator
def index() -> str:
    """Queue, workers, sizes, versions, and the options that are in effect."""
    return render_template("system/index.html", section="system", **_facts(), **_fixed())


@bp.get("/system/now")
@operator
def now() -> Response:
    """What changes by itself, for the poll."""
    if not is_fragment():
        return redirect(url_for("system.index"))
    facts = _facts()
    stamp = {name: value for name, value in facts.items() if name != "sizes"}  # other programs move the free space
    return live.region("system/_now.html", stamp, lambda: facts, seconds=2)


def _facts() -> dict[str, Any]:
    return {
        "ready": system.readiness(),
        "queue": system.queue_state(),
        "workers": system.list_workers(),
        "sizes": system.sizes(),
        "counted_up_to": system.COUNTED_UP_TO,
        "pace": stats.pace(clock.now()),
        "growth": growth.rate(),
    }


def _fixed() -> dict[str, Any]:
    """What stays as long as the process runs."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = "any number" if soft == resource.RLIM_INFINITY else number(soft)
    libraries = dict(part.partition("/")[::2] for part in CURL_VERSION.split(" "))
    versions = [("Postroom", __version__), ("Python", platform.python_version()), ("SQLite", sqlite3.sqlite_version)]
    versions += [(name, libraries[name]) for name in ("libcurl", "OpenSSL") if name in libraries]
    return {
        "versions": versions,
        "files": files,
        "options": list(_options(installed().settings)),
        "settings": installed().settings,
        "backup": backup.last(installed().settings),
        "is_sqlite": is_sqlite(),
        "skew": system.clock_skew_ms(),
        "clock_off": system.clock_off_ms(),
        "findings": [one for one in doctor.examine(installed().settings) if one.verdict is not Verdict.OK],
    }


def _options(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Give each option: its name, what is in effect (secrets never), and what it does."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if isinstance(value, tuple):
            value = ", ".join(map(str, value))
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if field.metadata["secret"] and text:
            text = redacted(text) if "://" in text else MASK
        yield field.metadata["name"], text, field.metadata["help"]
