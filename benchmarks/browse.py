"""A signed-in browser without a screen: pages of a running server, and how long each took."""

from __future__ import annotations

import http.client
import re
import time
import urllib.parse
from dataclasses import dataclass, field

_TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"|value="([^"]+)"[^>]*name="csrf_token"')


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and after how many milliseconds."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    took_ms: float


@dataclass(slots=True)
class Browser:
    """One keep-alive connection with its cookies."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    _line: http.client.HTTPConnection | None = None

    def sign_in(self, email: str, password: str) -> None:
        """Sign in, or fail."""
        found = _TOKEN.search(self.get("/login").body.decode())
        assert found, "the sign-in page has no token"
        form = {"csrf_token": found[1] or found[2], "email": email, "password": password}
        answer = self._send("POST", "/login", urllib.parse.urlencode(form), {})
        assert answer.status in (302, 303), f"not signed in: {answer.status}"

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a page; `if_none_match=` and the like are header names."""
        return self._send("GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()})

    def _send(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        if self._line is None:
            self._line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.perf_counter()
        self._line.request(method, path, body, headers)
        response = self._line.getresponse()
        told = response.read()
        took = (time.perf_counter() - began) * 1000
        for cookie in response.headers.get_all("Set-Cookie") or ():
            name, _, rest = cookie.partition("=")
            self.cookies[name] = rest.partition(";")[0]
        return Answer(response.status, response.headers, told, took)
