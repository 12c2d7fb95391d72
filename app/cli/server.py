"""The HTTP server: waitress, with a short way for publishes and a drain that cuts no answer short."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from app import logs
from app.api import express
from app.errors import Unavailable
from app.services.intake import Order, intake

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flask import Flask

    from app.config import Settings
    from app.services.intake import Answer, Prepared


class Server:
    """Answers requests in the caller's thread, `turn` by `turn`, until it is drained."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._tasks = _Tasks(f"{_prefix(settings)}{express.PATH}", _names(app))
        self._tasks.set_thread_count(settings.threads)
        listening: Any = TcpWSGIServer  # its types don't foresee what is done to it here
        self._waitress = listening(app, map={}, dispatcher=self._tasks, **_options(settings))
        self._waitress.channel_class = _Channel
        self._pull: Callable[[], None] = self._waitress.pull_trigger
        self._waitress.pull_trigger = self.wake
        self._is_woken = False

    def wake(self) -> None:
        """End the wait of `turn`, from any thread. Once is enough for all who call before the next turn."""
        if not self._is_woken:
            self._is_woken = True
            self._pull()

    def turn(self, seconds: float) -> None:
        """Wait at most `seconds` for something to read or write, and do it."""
        self._is_woken = False  # before what is to be written is looked for: whoever wrote earlier is found there
        loop: Any = wasyncore.loop
        loop(timeout=seconds, map=self._waitress._map, use_poll=True, count=1)
        self._is_woken = True  # this is the loop: what is answered now is found in the next turn
        self._tasks.publish()

    def refuse(self) -> None:
        """Take no more connections."""
        wasyncore.dispatcher.close(self._waitress)

    @property
    def is_answering(self) -> bool:
        """Whether a request is being answered, or an answer is not yet sent whole."""
        unsent = any(getattr(channel, "total_outbufs_len", 0) for channel in list(self._waitress._map.values()))
        return bool(self._tasks.active_count or self._tasks.queue or self._tasks.publishing or unsent)

    def close(self) -> None:
        """End the threads that answer, and every connection."""
        self._tasks.shutdown(timeout=1)
        wasyncore.close_all(self._waitress._map)


class _Tasks(ThreadedTaskDispatcher):
    """Gathers plain publishes of a turn, to be stored and answered together; hands everything else to a thread.

    Without the short way each publish would wake two threads and hold one while the database writes. The
    interpreter runs one thread at a time, so handing over costs more than the work.
    """

    def __init__(self, path: str, names: frozenset[str] | None) -> None:
        super().__init__()
        self._path = path
        self._names = names
        self._gathered: list[tuple[Any, Prepared]] = []
        self.publishing: set[Any] = set()

    def add_task(self, task: Any) -> None:
        """Take a channel whose first request has arrived whole."""
        request = task.requests[0]
        event = self._read(request) if request.path == self._path else None
        if event is None:
            super().add_task(task)
        else:
            self.publishing.add(task)
            self._gathered.append((task, event))

    def publish(self) -> None:
        """Pass on what was gathered."""
        gathered, self._gathered = self._gathered, []
        if not gathered:
            return
        try:
            intake.submit_and_go([Order([event], partial(self._answer, channel)) for channel, event in gathered])
        except Unavailable as error:
            for channel, _ in gathered:
                self._answer(channel, [error])

    def _read(self, request: Any) -> Prepared | None:
        if request.command != "POST" or not self._is_plain(request):
            return None
        body = request.get_body_stream()
        event = express.read(request.headers, body.read())
        if event is None:
            body.seek(0)
        return event

    def _answer(self, channel: Any, answers: Sequence[Answer]) -> None:
        channel.requests[0].answer = express.answer(answers[0] if answers else None)
        try:
            channel.service()
        except Exception as error:  # noqa: BLE001  the thread that stores events must go on
            logs.trouble("an answer to a publisher could not be sent", error)
            channel.cancel()
        finally:
            self.publishing.discard(channel)

    def _is_plain(self, request: Any) -> bool:
        """Whether there is nothing about it that Flask or waitress would have to look at."""
        if request.error or request.query or request.content_length > express.LARGEST or request.chunked:
            return False
        return self._names is None or request.headers.get("HOST", "").partition(":")[0] in self._names


class _Task(WSGITask):
    """Writes the answer that is there already, or has the application make one."""

    def execute(self) -> None:
        """Answer the request."""
        answer: express.Response | None = getattr(self.request, "answer", None)
        if answer is None:
            super().execute()
            return
        self.status, self.complete = answer.status, True
        self.content_length = len(answer.body)
        self.response_headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        self.write(answer.body)


class _Channel(HTTPChannel):
    task_class = _Task


def _prefix(settings: Settings) -> str:
    return urlsplit(settings.address).path


def _names(app: Flask) -> frozenset[str] | None:
    """The hosts this server answers for; None: all."""
    trusted = app.config.get("TRUSTED_HOSTS")
    return None if trusted is None else frozenset(name.partition(":")[0] for name in trusted)


def _options(settings: Settings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "threads": settings.threads,
        "asyncore_use_poll": True,  # select() ends the loop once a descriptor passes 1,023
        "ident": "Postroom",
        "url_prefix": _prefix(settings),
        "max_request_body_size": 9 * 2**20,
        "clear_untrusted_proxy_headers": True,
        "connection_limit": 1000,
    }
    if settings.trusted_proxy:
        options |= {
            "trusted_proxy": settings.trusted_proxy,
            "trusted_proxy_count": settings.trusted_proxy_count,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"},
        }
    return options
