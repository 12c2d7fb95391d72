"""A person at the pages: signs in, looks, and presses buttons as a browser without script would."""

from __future__ import annotations

import re
from contextvars import Context
from html import unescape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Person:
    """Somebody with a browser of their own."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self._seen: str | None = ""

    def sign_in(self, email: str, password: str) -> TestResponse:
        """Sign in by the form."""
        self.look("/login")
        answer = self.press("/login", email=email, password=password)
        if answer.status_code == 303:
            self._seen = None  # it was the session's before
        return answer

    @property
    def _token(self) -> str:
        """The token of this session, from the page seen last; looked for where none was seen since signing in."""
        if self._seen is None:
            self._seen = ""
            self.look("/account")
        return self._seen

    def look(self, path: str, **headers: str) -> TestResponse:
        """Open a page; keep its token for the next form."""
        answer = self._send(self._client.get, path, headers=headers)
        found = _TOKEN.search(answer.text)
        self._seen = found[1] if found else self._seen
        return answer

    def press(self, path: str, **fields: Any) -> TestResponse:
        """Send a form; a name with __ for a dot; a list sends its name several times."""
        return self._send(self._client.post, path, data=self._filled(fields))

    def press_in_place(self, path: str, **fields: Any) -> TestResponse:
        """Send a form as htmx does, for a part of the page."""
        return self._send(self._client.post, path, data=self._filled(fields), headers={"HX-Request": "true"})

    def _filled(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"csrf_token": self._token, **{name.replace("__", "."): value for name, value in fields.items()}}

    def _send(self, how: Any, path: str, **more: Any) -> TestResponse:
        """Outside the test's application context, whose `g` all requests would share."""
        answer: TestResponse = Context().run(how, path, buffered=True, **more)
        return answer


def words(answer: TestResponse) -> str:
    """The text of a page, without tags, each run of blanks one blank."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())
