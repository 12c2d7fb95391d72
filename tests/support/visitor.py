"""Somebody with a browser in front of a running server: opens pages, fills forms in as they stand, presses buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser

import requests

PATIENCE_S = 20.0
Filled = str | list[str] | None


@dataclass(slots=True)
class Form:
    """A form of a page: where it goes, and what its controls hold."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)

    def filled(self, **values: Filled) -> list[tuple[str, str]]:
        """Return the fields with these in place of their own; __ stands for a dot, None leaves a control empty."""
        given = {name.replace("__", "."): value for name, value in values.items()}
        pairs = [pair for pair in self.fields if pair[0] not in given]
        for name, value in given.items():
            pairs += [(name, each) for each in ([value] if isinstance(value, str) else value or [])]
        return pairs


class Page(HTMLParser):
    """What came back: `code`, `text` without tags, `html`, and its forms by id or action, a button's own action too."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__(convert_charrefs=True)
        self.code = answer.status_code
        self.url = answer.url
        self.html = answer.text
        self.text = " ".join(unescape(re.sub(r"<[^>]+>", " ", self.html)).split())
        self.forms: dict[str, Form] = {}
        self._by_id: dict[str, Form] = {}
        self._loose: list[tuple[str, str, str]] = []
        self._buttons: list[tuple[str, str]] = []
        self._open: Form | None = None
        self._select: tuple[str, str | None] | None = None
        self._area: tuple[str, str | None, list[str]] | None = None
        self.feed(self.html)
        for owner, name, value in self._loose:
            if owner in self._by_id:
                self._by_id[owner].fields.append((name, value))
        for owner, action in self._buttons:
            self.forms.setdefault(action, Form(action, self._by_id[owner].method, self._by_id[owner].fields))

    def part(self, begin: str, end: str) -> str:
        """Return the text between two marks of the HTML, without tags."""
        inner = self.html.split(begin, 1)[1].split(end, 1)[0]
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", inner)).split())

    def row(self, name: str) -> str:
        """Return the text of the table's row with this id."""
        return self.part(f'id="{name}"', "</tr>")

    def options(self, name: str) -> dict[str, str]:
        """Return the values of a select by the words they are shown as."""
        select = self.html.split(f'name="{name}"', 1)[1].split("</select>", 1)[0]
        return {unescape(words): value for value, words in re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)', select)}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of forms and controls."""
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(told.get("action", ""), told.get("method", "get"))
            self.forms.setdefault(self._open.action, self._open)
            if "id" in told:
                self._by_id[told["id"]] = self.forms[told["id"]] = self._open
        elif tag == "input" and "name" in told:
            kind = told.get("type", "text")
            if kind not in ("radio", "checkbox") or "checked" in told:
                self._keep(told["name"], told.get("value", "on" if kind == "checkbox" else ""), told.get("form"))
        elif tag == "button" and "formaction" in told and "form" in told:
            self._buttons.append((told["form"], told["formaction"]))
        elif tag == "select" and "name" in told:
            self._select = (told["name"], told.get("form"))
        elif tag == "option" and self._select is not None and "selected" in told:
            self._keep(self._select[0], told.get("value", ""), self._select[1])
        elif tag == "textarea" and "name" in told:
            self._area = (told["name"], told.get("form"), [])

    def handle_data(self, data: str) -> None:
        """Take note of what stands in a text area."""
        if self._area is not None:
            self._area[2].append(data)

    def handle_endtag(self, tag: str) -> None:
        """Close forms, selects and text areas."""
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._area is not None:
            name, owner, text = self._area
            self._area = None
            self._keep(name, "".join(text), owner)

    def _keep(self, name: str, value: str, owner: str | None) -> None:
        if owner is not None:
            self._loose.append((owner, name, value))
        elif self._open is not None:
            self._open.fields.append((name, value))


class Visitor:
    """A browser without script, with cookies of its own."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._session = requests.Session()
        self._session.trust_env = False
        self.page: Page

    def look(self, path: str) -> Page:
        """Open a page."""
        return self._show(self._session.get(self._at(path), timeout=PATIENCE_S))

    def send(self, form: Form, **values: Filled) -> Page:
        """Send a form of the page with some of its controls filled in, and follow where that leads."""
        url, pairs = self._at(form.action or self.page.url), form.filled(**values)
        if form.method == "post":
            return self._show(self._session.post(url, data=pairs, timeout=PATIENCE_S))
        return self._show(self._session.get(url, params=pairs, timeout=PATIENCE_S))

    def post(self, path: str, **values: str) -> Page:
        """Send a form that the page doesn't show, with the page's token."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.page.html)
        data = {"csrf_token": token[1] if token else "", **values}
        return self._show(self._session.post(self._at(path), data=data, timeout=PATIENCE_S))

    def sign_in(self, email: str, password: str) -> Page:
        """Sign in by the form."""
        return self.send(self.look("/login").forms["/login"], email=email, password=password)

    def close(self) -> None:
        """Close the browser."""
        self._session.close()

    def _at(self, path: str) -> str:
        return path if "://" in path else self.address + path

    def _show(self, answer: requests.Response) -> Page:
        self.page = Page(answer)
        return self.page
