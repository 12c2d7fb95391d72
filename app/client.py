"""The producers' client: publish events to a Postroom. Needs only `requests`."""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_TRY_AGAIN = frozenset({429, 502, 503, 504})


class PublishError(Exception):
    """The event was not accepted. `status` is the HTTP status, `problem` the server's problem document."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = problem
        errors = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in problem.get("errors") or ())
        super().__init__(
            f"{status} {problem.get('detail') or problem.get('title') or 'refused'}"
            + (f" ({errors})" if errors else "")
        )


class Postroom:
    """A connection to a Postroom, kept alive between calls. Not to be shared by threads.

    >>> with Postroom("http://127.0.0.1:8300", "prk_…") as postroom:
    ...     postroom.publish("job.created", {"id": 42})
    """

    def __init__(self, address: str, api_key: str, *, timeout: float = 10.0, tries: int = 5) -> None:
        self._base = address.rstrip("/") + "/api/v1"
        self._timeout = timeout
        self._tries = tries
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {api_key}"

    def publish(
        self,
        type: str,  # noqa: A002  the word of the wire
        data: Mapping[str, Any],
        **more: Any,
    ) -> dict[str, Any]:
        """Publish one event and return the server's answer; `more` are the other members of an event.

        Without an `id` one is made here, so that trying again after a lost answer can't publish twice.
        Raises `PublishError` when the event is refused, `requests.RequestException` when nobody answers.
        """
        return self._post("/events", {"type": type, "data": data, "id": uuid.uuid4().hex, **more})

    def publish_batch(self, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Publish up to 1,000 events and return one result an event, in order."""
        named = [{"id": uuid.uuid4().hex, **event} for event in events]
        results: list[dict[str, Any]] = self._post("/events/batch", {"events": named})["results"]
        return results

    def _post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        for attempt in range(1, self._tries + 1):
            try:
                answer = self._session.post(self._base + path, json=body, timeout=self._timeout)
            except requests.ConnectionError:
                if attempt == self._tries:
                    raise
                time.sleep(0.2 * 2**attempt)
                continue
            if answer.status_code in _TRY_AGAIN and attempt < self._tries:
                time.sleep(_seconds(answer.headers.get("Retry-After")) or 0.2 * 2**attempt)
                continue
            return _read(answer)
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def __enter__(self) -> Postroom:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _seconds(text: str | None) -> float:
    return min(float(text), 30.0) if text and text.isdigit() else 0.0


def _read(answer: requests.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = {"title": answer.reason}
    if not answer.ok or not isinstance(body, dict):
        raise PublishError(answer.status_code, body if isinstance(body, dict) else {})
    return body
