"""The whole installation, for keys with the scope operator: how it is doing, its options, its mail."""

from __future__ import annotations

from dataclasses import asdict

from flask import Response

from app import clock
from app.api import bodies, serialize
from app.api.auth import Calls, actor
from app.api.schemas import system as schemas
from app.core.access import Scope
from app.core.passwords import email_problem
from app.delivery.installed import installed
from app.errors import Invalid, Problem
from app.services import backup, doctor, growth, kept, mails, own_files, stats, system
from app.services.doctor import Verdict
from app.version import __version__

calls = Calls("system", "System")
OPERATOR = Scope.OPERATOR


@calls.call("GET", "/system", OPERATOR, name="getSystem", answers={200: schemas.System})
def show() -> Response:
    """Return how the installation is doing, with what the doctor found."""
    settings, ready, pace, rate = installed().settings, system.readiness(), stats.pace(clock.now()), growth.rate()
    return bodies.answer(
        {
            "ready": ready.is_ready,
            "problems": list(ready.problems),
            "queue": serialize.queue(system.queue_state()),
            "workers": [serialize.worker(each) for each in system.list_workers()],
            "sizes": asdict(system.sizes()),
            "growth": asdict(rate) if rate else None,
            "delivered_per_minute": round(pace.per_minute, 2),
            "lag_p95_ms": pace.lag_p95,
            "last_backup_at": serialize.moment_or_null(backup.last(settings)),
            "clock_off_ms": system.clock_off_ms(),
            "findings": [asdict(each) for each in doctor.examine(settings) if each.verdict is not Verdict.OK],
            "own_files": [asdict(each) for each in own_files.check()],
            "version": __version__,
        }
    )


@calls.call("GET", "/system/options", OPERATOR, name="getOptions", answers={200: schemas.Options})
def options() -> Response:
    """Return every option as it is in force. Options are changed where the server is started."""
    return bodies.answer({"options": doctor.shown_options(installed().settings)})


@calls.call("GET", "/system/retention", OPERATOR, name="getRetention", answers={200: schemas.Kept})
def retention() -> Response:
    """Return what the log holds, by state, and for how many days."""
    settings = installed().settings
    days = {"retention_days": settings.retention_days, "retention_failed_days": settings.retention_failed_days}
    return bodies.answer(serialize.kept(kept.estimate()) | days)


@calls.call("GET", "/system/mail", OPERATOR, name="getMail", answers={200: schemas.Mail})
def mail() -> Response:
    """Return how mails fare, and which weren't taken."""
    return bodies.answer(serialize.mail(mails.state()))


@calls.call("POST", "/system/mail/test", OPERATOR, name="testMail", answers={200: schemas.MailTested}, clashes=True)
def test_mail(body: schemas.MailTest) -> Response:
    """Send a test mail. 503 has the mail server's own words; 409: mail isn't set up."""
    if words := email_problem(body.to):
        raise Invalid([Problem("to", words)])
    mails.send_test([body.to], actor().public_id or "")
    return bodies.answer({"to": [body.to]})
