"""A signed-in person with a browser: follows links and presses buttons by what stands on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING

from flask import g
from sqlalchemy import select

from app.database import read
from app.models import User
from app.services import browser_sessions

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

    from app.services.scope import Actor

HTMX = {"HX-Request": "true"}


@dataclass(slots=True)
class Browser:
    """A test client with a session of its own, and who uses it."""

    actor: Actor
    client: FlaskClient

    def get(self, url: str, **headers: str) -> TestResponse:
        """Open a page."""
        _forget()
        return self.client.get(url, headers=headers)

    def fragment(self, url: str, **headers: str) -> TestResponse:
        """Ask for a part of a page as htmx does."""
        return self.get(url, **HTMX, **headers)

    def post(self, url: str, **fields: object) -> TestResponse:
        """Send a form with the token that the site gives."""
        token = re.search(r'name="csrf-token" content="([^"]+)"', self.get("/events").text)
        assert token is not None
        _forget()
        return self.client.post(url, data={"csrf_token": token[1], **fields})

    def send(self, url: str, token: str) -> TestResponse:
        """Send an empty form with a token that a page gave before."""
        _forget()
        return self.client.post(url, data={"csrf_token": token})


def _forget() -> None:
    """Drop what the request before left in the test's application context, which all requests of a test share."""
    for name in list(g):
        g.pop(name)


def sign_in(app: Flask, actor: Actor) -> Browser:
    """A browser in which a new member is signed in."""
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = f"{actor.public_id}:1"  # the version of their sessions: none was ended yet
        session["browser"] = browser_sessions.begin(_row_id(actor), "", None)
    return Browser(actor, client)


def _row_id(actor: Actor) -> int:
    with read() as session:
        return session.scalars(select(User.id).where(User.public_id == actor.public_id)).one()


def words_of(html: str) -> str:
    """The text of a page or a part of it, with single blanks."""
    inline = re.sub(r"</?(time|b|i)\b[^>]*>", "", html)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", inline)).split())


def rows_of(html: str) -> list[str]:
    """The ids of a list's rows, in order."""
    return re.findall(r'<tr role="row" id="((?:dlv|evt)_\w+)"', html)


def links_of(html: str, text: str) -> list[str]:
    """The addresses of links whose text begins so."""
    found = re.findall(r'<a[^>]*? href="([^"]*)"[^>]*>(.*?)</a>', html, re.S)
    return [unescape(href) for href, inner in found if words_of(inner).startswith(text)]
