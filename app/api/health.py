"""For whoever watches the process: is it up, is it ready, how is it doing. Not in the document, and without a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app import clock
from app.api import bodies
from app.api.auth import key_holder
from app.core.access import Scope
from app.errors import Refused
from app.services import system
from app.version import __version__

bp = Blueprint("health", __name__)
View = TypeVar("View", bound=Callable[..., Any])


def anyone(view: View) -> View:
    """Let whoever asks reach this view; the pages' default is to refuse."""
    view.__access__ = "public"  # type: ignore[attr-defined]
    return view


@bp.get("/healthz")
@anyone
def healthz() -> Response:
    """The process answers. The database is not asked."""
    return bodies.answer({"status": "up"})


@bp.get("/readyz")
@anyone
def readyz() -> Response:
    """Events can be taken and are being sent; if not, why."""
    found = system.readiness()
    shape = {"status": "ready" if found.is_ready else "not ready", "problems": list(found.problems)}
    if found.is_ready:
        return bodies.answer(shape)
    return bodies.answer(shape, 503, **{"retry-after": "5"})


@bp.get("/metrics")
@anyone
def metrics() -> Response:
    """Prometheus' text format: for this machine, or with a key that has the scope `admin`."""
    if not _is_this_machine() and not key_holder().may(Scope.ADMIN):
        raise Refused("This needs an API key with the scope admin.")
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _is_this_machine() -> bool:
    """Whether it comes from here and is for here: what a proxy beside us passes on comes from here too."""
    return _is_loopback(request.remote_addr) and _is_loopback(urlsplit(f"//{request.host}").hostname)


def _is_loopback(address: str | None) -> bool:
    try:
        return address is not None and (address == "localhost" or ip_address(address).is_loopback)
    except ValueError:  # a socket in the file system has no address
        return False


class _Gauges(Collector):
    """Read when they are scraped, so that they are true for every process at the database."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give every gauge."""
        queue, sizes, now = system.queue_state(), system.sizes(), clock.now()
        oldest_ms = max(now - queue.oldest_due_at, 0) if queue.oldest_due_at is not None else 0
        yield GaugeMetricFamily("postroom_deliveries_waiting", "Deliveries that wait, up to 100,000", queue.waiting)
        yield GaugeMetricFamily("postroom_deliveries_in_flight", "Deliveries being sent", queue.in_flight)
        yield GaugeMetricFamily("postroom_oldest_due_seconds", "How late the delivery due first is", oldest_ms / 1000)
        yield GaugeMetricFamily("postroom_database_bytes", "Size of the database", sizes.database)
        if sizes.log is not None:
            yield GaugeMetricFamily("postroom_wal_bytes", "Size of the write-ahead log", sizes.log)
        yield GaugeMetricFamily("postroom_disk_free_bytes", "Free space where the data lies", sizes.free)
        workers = [worker for worker in system.list_workers() if not worker.is_silent]
        yield GaugeMetricFamily("postroom_workers", "Delivery processes seen lately", len(workers))
        version = GaugeMetricFamily("postroom_info", "The running version", labels=["version"])
        version.add_metric([__version__], 1)
        yield version

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing is promised before the first scrape: registering must not ask the database."""
        return iter(())


registry = CollectorRegistry(auto_describe=False)
registry.register(_Gauges())
