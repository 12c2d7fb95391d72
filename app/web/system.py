"""How the installation is doing, for its operators."""

from __future__ import annotations

import resource
import sqlite3
from typing import TYPE_CHECKING, Any

from flask import Blueprint, render_template

from app import __version__, clock
from app.services import system
from app.web import live, operator

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

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
    facts = _facts()
    return live.region("system/_now.html", facts, lambda: facts, seconds=2)


def _facts() -> dict[str, Any]:
    return {
        "ready": system.readiness(),
        "queue": system.queue_state(),
        "workers": system.list_workers(),
        "sizes": system.sizes(),
        "counted_up_to": system.COUNTED_UP_TO,
    }


def _fixed() -> dict[str, Any]:
    """What stays as long as the process runs."""
    return {"about": system.about(), "options": system.options()}
