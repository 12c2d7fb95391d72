"""What strangers wrote (names, payloads, answers of receivers) stays text on every page, in files and in log lines."""

from __future__ import annotations

import csv
import html.parser
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from app import logs
from app.services import companies, event_types, inboxes, webhooks
from tests.support import rows
from tests.support.pages import Person

if TYPE_CHECKING:
    from flask import Flask

    from app.services.scope import Actor

EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><b hx-get="/logout" hx-trigger="load">x</b>',
    "<hx-partial hx-target=body>x</hx-partial>",
    "{{7*7}}{% raw %}",
    "</pre></textarea></title><svg onload=alert(1)>",
    "=cmd|' /C calc'!A1",
    "javascript:alert(1)",
)
NAME = '<script>alert(1)</script>{{7*7}}"><img src=x onerror=alert(1)>'
FORMULA = '=HYPERLINK("http://evil","x")'
UNSEEN = "\x1b[31mred\u202ecod.exe\u200b"
URL_PATH = "/{{7*7}}?q='onmouseover=alert(1)//&x=javascript:alert(1)"
ANSWER = b"</pre><script>alert(1)</script>{{7*7}}\x1b[2J\xe2\x80\xaegnp\x00\xff<img src=x onerror=alert(1)>"
HEADERS = (
    b"X-Odd: </pre><script>alert(1)</script>\r\nX-Template: {{7*7}}\r\nX-Eight: \xff\xe2\x80\xae\r\n"
    b"Location: javascript:alert(1)"
)


class Tags(html.parser.HTMLParser):
    """What a browser would make of a page: its elements' names, attributes, and where links and forms lead."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self.seen = ""
        self._is_typing = False
        self.feed(page)

    def handle_data(self, data: str) -> None:
        """Take note of what one reads; what is typed in a text area has to be what was there."""
        self.seen += "" if self._is_typing else data

    def handle_endtag(self, tag: str) -> None:
        """Leave a text area."""
        self._is_typing = self._is_typing and tag != "textarea"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of what no page of ours has."""
        given = {name: value or "" for name, value in attrs}
        self._is_typing = tag == "textarea"
        if tag == "script" and "nonce" not in given:
            self.found.append("script without nonce")
        is_ours = tag == "hx-partial" and given.get("hx-target") == "#verdict"
        strange = {"img", "iframe", "object", "embed", "hx-partial"}
        if (tag in strange and not is_ours) or (tag == "svg" and "onload" in given):
            self.found.append(tag)
        self.found += [name for name in given if name.startswith("on")]
        self.found += [name for name in given if name.startswith("hx-") and given[name] == "/logout"]
        for name in ("href", "src", "action", "formaction"):
            value = given.get(name, "").strip().lower()
            if value.startswith(("javascript:", "data:", "vbscript:", "//", "/\\")):
                self.found.append(f"{name}={value[:40]}")


def dangers_in(page: str) -> list[str]:
    """What of the foreign text became more than text."""
    tags = Tags(page)
    found = tags.found
    if "<script>alert(1)" in page:
        found.append("raw script")
    found += [f"U+{ord(mark):04X}" for mark in "\x1b\u202e\u200b\x00" if mark in tags.seen]
    return found


@pytest.fixture
def place(
    app: Flask,
    owner: Actor,
    ada: Person,
    receiver: Any,
    make_type: Any,
    make_unit: Any,
    make_webhook: Any,
    publish: Any,
    deliver: Any,
) -> dict[str, str]:
    """An organization in which everything has a hostile name, and receivers answer hostile bytes."""
    make_unit("north")
    companies.put(owner, "north", "co-1", NAME, {NAME[:60]: NAME, "formula": FORMULA})
    make_type(
        "job.created", example=json.dumps({"said": NAME}).encode(), title=NAME[:50], description=NAME, kind=NAME[:50]
    )
    base = receiver.url.rstrip("/")
    hook = make_webhook(url=base.rpartition("/")[0] + URL_PATH if base.count("/") > 2 else base + URL_PATH, name=NAME)
    formula = make_webhook(url=base + "/", name=FORMULA, headers={"X-Odd": "<script>alert(1)</script>"})
    answer = b"HTTP/1.1 500 <script>alert(1)</script>{{7*7}}\r\n%b\r\nContent-Length: %d\r\n\r\n%b" % (
        HEADERS,
        len(ANSWER),
        ANSWER,
    )
    receiver.answers(*[answer] * 4)
    data = {"said": list(EVIL), UNSEEN: UNSEEN, NAME: NAME}
    event = publish(
        "job.created",
        json.dumps(data, ensure_ascii=False).replace("\x1b", "\\u001b").encode(),
        status=NAME[:60],
        resource_type="job",
        resource_id=NAME[:60],
        context=json.dumps({NAME: NAME, "unseen": UNSEEN}).encode(),
    )
    deliver()
    inbox = inboxes.create(owner, NAME[:90])
    app.test_client().post(
        f"/in/{inbox.token}",
        data=ANSWER,
        headers={"X-Odd": "</pre><script>alert(1)</script>", "Content-Type": "text/html", "X-Template": "{{7*7}}"},
    )
    app.test_client().post(f"/in/{inbox.token}", data=json.dumps({"type": NAME + UNSEEN}).encode())
    deliveries = rows.deliveries()
    return {
        "hook": hook.id,
        "formula": formula.id,
        "event": event.id,
        "inbox": inbox.id,
        "delivery": deliveries[0].public_id,
        "opened": "&".join(f"open={row.public_id}" for row in deliveries),
    }


def paths(place: dict[str, str]) -> list[str]:
    hook, delivery, inbox, event = place["hook"], place["delivery"], place["inbox"], place["event"]
    return [
        "/webhooks",
        f"/log?{place['opened']}",
        f"/log?q={NAME.replace('<', '%3C')}&webhook={hook}",
        "/log?state=failed",
        *[f"/webhooks/{hook}{part}" for part in ("", "/edit", "/signature", "/changes", "/test", "/delete", "/off")],
        f"/webhooks/new?copy={hook}",
        f"/webhooks/new?url=javascript:alert(1)&preset={NAME}",
        *[f"/deliveries/{delivery}{part}" for part in ("", "?as=raw", "/edit-test", "/compare?a=1&b=1", "/replay")],
        f"/deliveries/{delivery}/replay?back=javascript:alert(1)",
        f"/deliveries/{delivery}/cancel?back=/%09/evil.example",
        f"/replays/new?delivery={delivery}&back=//evil.example",
        f"/replays/new?webhook={hook}&q={NAME}",
        "/replays",
        f"/webhooks/{hook}/missed",
        f"/events/{event}",
        "/events",
        f"/events/{event}/send?webhook={hook}",
        f"/events/new?type={NAME}",
        f"/inbox/{inbox}",
        f"/inbox/{inbox}?view=raw",
        "/units/north",
        "/companies/co-1",
        "/companies/co-1/delete",
        "/catalogue",
        "/catalogue/job.created",
        "/catalogue/job.created/edit",
        "/audit",
        "/search?q=%3Cscript%3E",
        f"/search?q={NAME}",
        f"/audit?object={NAME}",
        f"/{NAME}",
        "/login?next=javascript:alert(1)",
    ]


def test_on_every_page_it_is_text(ada: Person, place: dict[str, str]) -> None:
    run, shown = {}, 0
    for path in paths(place):
        page = ada.look(path)
        assert page.status_code < 500, path
        shown += "&lt;script&gt;alert(1)" in page.text
        if found := dangers_in(page.text):
            run[path] = found

    assert run == {}
    assert shown > 12  # or else nothing hostile was on the pages


def test_in_every_fragment_it_is_text(ada: Person, place: dict[str, str]) -> None:
    asked = [
        f"/log/rows?{place['opened']}",
        "/webhooks/list",
        f"/webhooks/{place['hook']}/overview",
        f"/deliveries/{place['delivery']}/live",
        f"/events/{place['event']}/where",
        "/events/rows",
        f"/inbox/{place['inbox']}/received",
    ]

    found = {path: dangers_in(ada.look(path, **{"HX-Request": "true"}).text) for path in asked}

    assert {path: dangers for path, dangers in found.items() if dangers} == {}


def test_in_the_form_and_its_preview_it_is_text(ada: Person, place: dict[str, str]) -> None:
    fields = {"webhook": place["hook"], "name": NAME, "url": "https://a.com/</textarea>", "headers": f"X-A: {NAME}"}
    fields |= {
        "preset": "standard",
        "filter": NAME,
        "event": place["event"],
        "sample": "event",
        "sample_event": place["event"],
    }

    for path in ("/webhooks/preview", "/webhooks/form", "/webhooks/check-url", f"/webhooks/{place['hook']}/edit"):
        for answer in (ada.press(path, **fields), ada.press_in_place(path, **fields)):
            assert answer.status_code < 500
            assert dangers_in(answer.text) == [], path


def test_in_the_file_no_cell_is_a_formula(ada: Person, place: dict[str, str]) -> None:
    file = ada.look("/log.csv").text

    cells = [cell for line in csv.reader(io.StringIO(file)) for cell in line]

    assert "'" + FORMULA in cells
    assert NAME in cells
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "\0")] == []


def test_in_the_lines_for_programs_it_is_one_value(ada: Person, place: dict[str, str]) -> None:
    lines = ada.look("/log.ndjson").text.splitlines()

    assert {json.loads(line)["webhook_name"] for line in lines} == {NAME, FORMULA}


def test_downloads_are_no_pages(ada: Person, place: dict[str, str]) -> None:
    for path in (f"/deliveries/{place['delivery']}/body", "/log.csv", "/log.ndjson"):
        answer = ada.look(path)
        assert answer.headers["Content-Disposition"].startswith("attachment"), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.mimetype != "text/html"
    assert ada.look(f"/deliveries/{place['delivery']}/curl").mimetype == "text/plain"


def test_a_log_line_stays_one_line_whatever_is_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    before = logs.logger.handlers, logs.logger.propagate
    try:
        for kind in ("json", "text"):
            logs.set_up(kind)
            logs.log("attempt", webhook="a\nb\x1b[2J\r\x00", host="x forged=1")
            (line,) = capfd.readouterr().err.splitlines()
            assert "\x1b" not in line
            assert " forged=1" not in line.replace('"x forged=1"', "")
    finally:
        logs.logger.handlers, logs.logger.propagate = before


def test_an_error_of_the_api_is_json_whatever_it_repeats(app: Flask, owner: Actor) -> None:
    from app.services import api_keys
    from tests.api.conftest import Api

    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)

    answers = [
        api.post("/webhooks", {"name": NAME, "url": "https://a.com/", "preset": NAME}),
        api.post("/events", {"type": NAME, "data": {}}),
        api.get(f"/deliveries?state={NAME}"),
        api.get(f"/{NAME}"),
    ]

    for answer in answers:
        assert answer.content_type == "application/problem+json"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_names_are_never_compiled_as_templates(owner: Actor, ada: Person, place: dict[str, str]) -> None:
    page = ada.look(f"/webhooks/{place['hook']}").text

    assert "{{7*7}}" in page
    assert webhooks.find(owner, place["hook"]).settings["name"] == NAME
    assert event_types.find(owner, "job.created").title == NAME[:50]
