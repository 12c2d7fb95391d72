"""Another organization's things: every page and call that takes an id answers as if there were nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text

from app import clock as app_clock
from app import ids
from app.database import read, write
from app.extensions import db
from app.models import Notification, Replay, ReplayState, Webhook
from app.services import api_keys, browser_sessions, companies, inboxes, log, roles, saved_views
from app.services.log import LogQuery
from tests.api.conftest import Api
from tests.support.pages import Person
from tests.web.test_access import address_of

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.routing import Rule

SECRETS = "Zebra"  # stands in every name, payload and URL of the other organization
# Parts of an address that are nobody's: files, formats, packs that are there for all, tokens that are secrets; and
# those that are the operator's.
NOBODYS = {
    "static",
    "audit.export",
    "deliveries.export",
    "installation.ask_name",
    "installation.rename",
    "inboxes.take",
    "members.invited",
    "members.accept",
    "password_resets.show",
    "password_resets.save",
    "event_types.ask_install",
    "event_types.install",
    "api_event_types.install",
    "api_document.asset",
    "api_organizations.rename",
}
# What calls need to get as far as looking for the thing.
BODIES: dict[str, Any] = {
    "api_companies.read_file": {"csv": "id,name\nc1,Roofs\n"},
    "api_events.send": {"webhook": "whk_0"},
    "api_inboxes.respond": {"answers": ["500"]},
    "api_saved_views.create": {"name": "X", "query": "slow=1"},
    "api_saved_views.rename": {"name": "X"},
    "api_signatures.check": {"headers": {}, "body": ""},
}
QUERIES = {"api_webhooks.why": "?event={0.event}"}
# A unit or type with the same name may be made anew by everybody: these make one's own.
UPSERTS = {("PUT", "api_business_units.put")}


@dataclass(frozen=True, slots=True)
class Things:
    """The ids of what an organization has."""

    webhook: str
    delivery: str
    event: str
    inbox: str
    request: str
    notice: str
    replay: str
    member: str
    key: str
    email: str
    unit: str
    unit_id: str
    company: str
    event_type: str
    view: str
    role: str
    session: str

    def of(self, endpoint: str, argument: str) -> str:
        """What stands for an argument of an address."""
        noun = endpoint.partition(".")[0].removeprefix("api_")
        if argument == "number":
            return "1"  # the first attempt
        if argument in ("unit", "company"):
            return self.unit if argument == "unit" else self.company
        if endpoint == "api_replays.send_missed":
            return self.webhook
        if argument in ("member", "request"):
            return self.member if argument == "member" else self.request
        if argument == "external_id":
            return self.company
        return {
            "webhooks": self.webhook,
            "stats": self.webhook,
            "deliveries": self.delivery,
            "events": self.event,
            "inboxes": self.inbox,
            "notifications": self.notice,
            "replays": self.replay,
            "missed": self.webhook,
            "members": self.member,
            "keys": self.key,
            "api_keys": self.key,
            "notices": self.notice,
            "signatures": self.webhook,
            "event_types": self.event_type,
            "saved_views": self.view,
            "roles": self.role,
            "account": self.session,
        }[noun]


@pytest.fixture
def make_things(app: Flask, make_member: Any, make_unit: Any, publish: Any, make_webhook: Any, deliver: Any) -> Any:
    def make(admin: Any, organization: Any, mark: str) -> Things:
        unit = make_unit(f"{mark}-unit", of=organization)
        companies.put(admin, unit.external_id, f"{mark}-company", f"{mark} Ltd", {"region": mark})
        webhook = make_webhook(url=f"http://127.0.0.1:4999/{mark}", name=f"{mark} hook", by=admin)
        event = publish(f"{mark.lower()}.created", json.dumps({"said": mark}).encode(), of=organization)
        deliver()  # nothing listens there: one attempt that failed
        inbox = inboxes.create(admin, f"{mark} inbox")
        app.test_client().post(f"/in/{inbox.token}", json={"type": mark})
        with write() as session:
            row = session.scalars(select(Webhook).where(Webhook.public_id == webhook.id)).one()
            notice = Notification(
                public_id=ids.new_id("ntf"),
                organization_id=row.organization_id,
                webhook_id=row.id,
                subject=f"{mark} fails",
                body=mark,
                created_at=app_clock.now(),
            )
            session.add(notice)
            session.flush()
            notice_id = notice.public_id
            replay_id = ids.new_id("rpl")
            kept = {"filter": {}, "rate": 1.0, "state": ReplayState.RUNNING, "total": 1, "position": 0}
            moments = {"next_at": 1 << 50, "created_at": app_clock.now()}
            session.add(
                Replay(
                    public_id=replay_id,
                    organization_id=row.organization_id,
                    made_by=mark,
                    why=mark,
                    **kept,
                    **moments,
                )
            )
        other = make_member(f"{mark}-mate", role="Developer", of=organization)
        return Things(
            webhook=webhook.id,
            delivery=log.page(admin, LogQuery()).rows[0].id,
            event=event.id,
            inbox=inbox.id,
            request=inboxes.requests(admin, inbox.id).items[0].id,
            notice=notice_id,
            replay=replay_id,
            member=other.id,
            key=api_keys.create(admin, f"{mark} key", ["events:read"]).view.id,
            email=other.user.email,
            unit=unit.external_id,
            unit_id=unit.public_id,
            company=f"{mark}-company",
            event_type=f"{mark.lower()}.created",
            view=saved_views.create(admin, f"{mark} view", "state=failed").id,
            role=roles.create(admin, f"{mark} role", []).name,
            session=browser_sessions.begin(other.user.id, "", None),
        )

    return make


@pytest.fixture
def theirs(organization: Any, owner: Any, make_things: Any) -> Things:
    """What Acme has: Sam must find nothing of it."""
    return make_things(owner, organization, SECRETS)


@pytest.fixture
def own(stranger: Any, make_things: Any) -> Things:
    """What Sam's own organization has."""

    class Other:
        id = stranger.organization_id

    return make_things(stranger, Other, "Yak")


@pytest.fixture
def call(app: Flask, stranger: Any) -> Api:
    """The API with Sam's key, which may do everything in his organization."""
    return Api(app.test_client(), api_keys.create(stranger, "all", ["admin"]).key)


def rules_with_ids(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if rule.arguments and rule.endpoint not in NOBODYS]


def methods_of(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def address(app: Flask, rule: Rule, things: Things) -> str:
    values = {name: things.of(rule.endpoint, name) for name in rule.arguments}
    return app.url_map.bind("localhost").build(rule.endpoint, values) + QUERIES.get(rule.endpoint, "").format(things)


def send(
    method: str, path: str, sam: Person, call: Api, *, is_fragment: bool = False, endpoint: str | None = None
) -> Any:
    """Ask, and follow where a page leads on to."""
    if path.startswith("/api/v1"):
        body = None if method in ("GET", "DELETE") else {"name": "X"} if method == "PUT" else {}
        body = BODIES.get(endpoint or "", body)
        return call.call(method, path.removeprefix("/api/v1"), body)
    if method == "GET":
        answer = sam.look(path, **{"HX-Request": "true"} if is_fragment else {})
    else:
        answer = sam.press_in_place(path) if is_fragment else sam.press(path)
    return sam.look(answer.location) if answer.status_code in (302, 303) else answer


def rows_of(organization_id: int) -> dict[str, list[str]]:
    """Everything an organization has, but its audit log."""
    found = {}
    for table in db.metadata.sorted_tables:
        if "organization_id" in table.c and table.name != "audit_entry":
            query = select(table).where(table.c.organization_id == organization_id)
            with read() as session:
                found[table.name] = sorted(map(repr, session.execute(query)))
    return found


def test_no_address_with_an_id_of_another_organization_answers_anything_but_404(
    app: Flask, owner: Any, sam: Person, call: Api, theirs: Things
) -> None:
    before = rows_of(owner.organization_id)
    answered, told = [], []
    for rule in rules_with_ids(app):
        for method in methods_of(rule):
            if (method, rule.endpoint) in UPSERTS:
                continue
            path = address(app, rule, theirs)
            for is_fragment in (False, True):
                answer = send(method, path, sam, call, is_fragment=is_fragment, endpoint=rule.endpoint)
                if answer.status_code != 404:
                    answered.append((method, rule.rule, answer.status_code))
                if SECRETS in without_what_was_asked(answer.text, path, theirs):
                    told.append((method, rule.rule))

    assert answered == []
    assert told == []
    assert rows_of(owner.organization_id) == before


def test_the_same_addresses_are_there_for_those_whose_things_they_are(
    app: Flask, ada: Person, owner: Any, theirs: Things
) -> None:
    """Or else the test above would be passed by ids that nobody has."""
    mine = Api(app.test_client(), api_keys.create(owner, "all", ["admin"]).key)
    missing = []
    for rule in rules_with_ids(app):
        if "GET" in methods_of(rule):
            path = address(app, rule, theirs)
            if rule.endpoint == "events.ask_send":
                path += f"?webhook={theirs.webhook}"
            answer = send("GET", path, ada, mine)
            if answer.status_code not in (200, 409):  # 409: nothing was sent yet, so there is no cURL
                missing.append((rule.rule, answer.status_code))

    assert missing == []


def test_an_upsert_with_the_name_of_a_foreign_unit_makes_ones_own(
    app: Flask, owner: Any, call: Api, theirs: Things
) -> None:
    before = rows_of(owner.organization_id)

    assert call.put(f"/business-units/{theirs.unit}", {"name": "Mine"}).status_code == 201

    assert rows_of(owner.organization_id) == before


def nested_looks(own: Things, theirs: Things) -> list[str]:
    """Pages of Sam's own, asked for things of others by query."""
    whose = {"webhook": theirs.webhook, "event": theirs.event, "event_type": theirs.event_type, "unit": theirs.unit}
    filters = [f"{name}={value}" for name, value in whose.items()]
    filters += [f"q={theirs.delivery}", f"q={theirs.event}", f"open={theirs.delivery}&raw={theirs.delivery}"]
    log = [f"{page}?{query}" for page in ("/log", "/log.csv", "/log.ndjson", "/log/counts") for query in filters]
    return [
        *log,
        f"/deliveries/{own.delivery}?webhook={theirs.webhook}&event={theirs.event}",
        f"/deliveries/{own.delivery}/compare?a={theirs.delivery}&b=1",
        f"/webhooks?tested={own.webhook}:{theirs.delivery}",
        f"/webhooks?created={theirs.webhook}",
        f"/webhooks/{own.webhook}?tested={theirs.delivery}",
        f"/webhooks/new?copy={theirs.webhook}",
        f"/webhooks/new?from={theirs.webhook}",
        f"/events/{own.event}/send?webhook={theirs.webhook}",
        f"/replays/new?delivery={theirs.delivery}",
        f"/replays/new?delivery={own.delivery}&delivery={theirs.delivery}",
        f"/events?unit={theirs.unit}",
        f"/events?event_type={theirs.event_type}",
        f"/events?q={theirs.event}",
        "/events?q=said",
        "/log?q=said&inside=1",
        f"/webhooks/{own.webhook}/why?event={theirs.event}",
        f"/webhooks/{own.webhook}/why?event={theirs.event_type}",
        f"/inbox/{own.inbox}?request={theirs.request}",
        f"/start?sent={theirs.delivery}",
        f"/start/exchange?sent={theirs.delivery}",
        f"/api-keys?created={theirs.key}",
        f"/units/{own.unit}?open={theirs.company}",
        f"/events/new?type={theirs.event_type}",
        *[f"/search?q={value}" for value in (theirs.webhook, theirs.delivery, theirs.event, "hook", "created")],
        *[f"/audit?{name}={theirs.webhook}" for name in ("object", "q", "who", "what")],
    ]


def fragments(own: Things, theirs: Things) -> list[str]:
    return [
        f"/log/rows?open={theirs.delivery}",
        f"/log/rows?webhook={theirs.webhook}",
        f"/webhooks/list?tested={own.webhook}:{theirs.delivery}",
        f"/webhooks/{own.webhook}/overview?tested={theirs.delivery}",
        f"/events/rows?q={theirs.event}",
        f"/inbox/{own.inbox}/received?request={theirs.request}",
        f"/start/exchange?sent={theirs.delivery}",
    ]


def without_what_was_asked(page: str, path: str, theirs: Things) -> str:
    """A page may repeat what stands in its own address, such as the name of a filter that finds nothing."""
    for echoed in (theirs.unit, theirs.company):
        if echoed in path:
            page = page.replace(echoed, "")
    return page


def test_no_page_shows_a_foreign_thing_that_its_query_names(sam: Person, own: Things, theirs: Things) -> None:
    told = []
    for path in nested_looks(own, theirs):
        answer = sam.look(path)
        if SECRETS in without_what_was_asked(answer.text, path, theirs) or answer.status_code >= 500:
            told.append((path, answer.status_code))
        elif answer.status_code == 302 and answer.location.startswith(("/webhooks/", "/deliveries/", "/events/")):
            told.append((path, answer.location))
    for path in fragments(own, theirs):
        answer = sam.look(path, **{"HX-Request": "true"})
        if SECRETS in without_what_was_asked(answer.text, path, theirs) or answer.status_code >= 500:
            told.append((path, answer.status_code))

    assert told == []


def test_no_form_of_ones_own_takes_a_foreign_thing(
    app: Flask, owner: Any, sam: Person, own: Things, theirs: Things
) -> None:
    before = rows_of(owner.organization_id)
    presses: list[tuple[str, dict[str, Any]]] = [
        ("/webhooks/form", {"webhook": theirs.webhook}),
        ("/webhooks/preview", {"webhook": theirs.webhook}),
        ("/webhooks/preview", {"sample": "event", "sample_event": theirs.event}),
        ("/webhooks/preview", {"sample": theirs.event_type}),
        (f"/webhooks/{own.webhook}/test", {"what": "event", "event": theirs.event}),
        (f"/webhooks/{own.webhook}/test", {"what": "type", "event_type": theirs.event_type}),
        (f"/events/{own.event}/send", {"webhook": theirs.webhook}),
        (f"/events/{theirs.event}/send", {"webhook": own.webhook}),
        ("/replays/new", {"delivery": theirs.delivery, "boxes": "1"}),
        ("/replays/new", {"webhook": theirs.webhook, "boxes": "1"}),
        ("/start/answer", {"inbox": theirs.inbox, "answer": "500", "sent": own.delivery}),
        (f"/members/{own.member}/remove", {"heir": theirs.member}),
        (f"/members/{own.member}", {"role": "Support", "units": theirs.unit_id, "sure": "1"}),
        ("/members/new", {"name": "B", "email": "b@x.test", "role": "Support", "units": theirs.unit_id}),
        (f"/companies/{own.company}", {"name": "X", "unit": theirs.unit}),
        (f"/units/{theirs.unit}/companies/new", {"name": "X", "external_id": "x"}),
        (
            "/webhooks/new",
            {
                "name": "N",
                "url": "http://127.0.0.1:4998/",
                "which_units": "only",
                "units": theirs.unit,
                "preset": "standard",
            },
        ),
        (
            "/webhooks/new",
            {"name": "N", "url": "http://127.0.0.1:4998/", "owner": theirs.email, "preset": "standard"},
        ),
    ]
    told = []
    for path, fields in presses:
        answer = sam.press(path, **fields)
        shown = without_what_was_asked(answer.text, f"{path} {fields}", theirs).replace(theirs.email, "")
        if SECRETS in shown or answer.status_code >= 500:
            told.append((path, fields, answer.status_code))

    assert told == []
    assert rows_of(owner.organization_id) == before
    with read() as session:
        crossed = session.execute(
            text(
                "SELECT d.public_id FROM delivery d JOIN event e ON e.id = d.event_id"
                " JOIN webhook w ON w.id = d.webhook_id"
                " WHERE e.organization_id <> w.organization_id OR d.organization_id <> w.organization_id"
            )
        ).all()
        foreign_units = session.execute(
            text(
                "SELECT 1 FROM membership_unit mu JOIN membership m ON m.id = mu.membership_id"
                " JOIN business_unit b ON b.id = mu.business_unit_id WHERE b.organization_id <> m.organization_id"
            )
        ).all()
    assert (crossed, foreign_units) == ([], [])


def test_a_request_that_claims_a_foreign_delivery_learns_nothing_of_it(
    app: Flask, sam: Person, own: Things, theirs: Things, stranger: Any
) -> None:
    inbox = inboxes.find(stranger, own.inbox)
    app.test_client().post(f"/in/{inbox.token}", data=b"{}", headers={"Postroom-Delivery": theirs.delivery})

    page = sam.look(f"/inbox/{own.inbox}").text

    assert theirs.event_type not in page
    assert f"/deliveries/{theirs.delivery}" not in page


def test_no_call_takes_a_foreign_thing_in_its_body_or_query(owner: Any, call: Api, own: Things, theirs: Things) -> None:
    before = rows_of(owner.organization_id)
    made = {"name": "N", "url": "http://127.0.0.1:4998/"}
    event = {"type": own.event_type, "data": {}}
    answers = {
        "preview by id": call.post("/webhooks/preview", {"webhook": theirs.webhook}),
        "preview with an id": call.post("/webhooks/preview", {"webhook": {**made, "id": theirs.webhook}}),
        "preview of an event": call.post("/webhooks/preview", {"webhook": own.webhook, "event": theirs.event}),
        "preview of a type": call.post("/webhooks/preview", {"webhook": own.webhook, "event_type": theirs.event_type}),
        "test with an event": call.post(f"/webhooks/{own.webhook}/test", {"event": theirs.event}),
        "test with a type": call.post(f"/webhooks/{own.webhook}/test", {"event_type": theirs.event_type}),
        "replay elsewhere": call.post(f"/deliveries/{own.delivery}/replay", {"webhook": theirs.webhook}),
        "units": call.post("/webhooks", {**made, "business_units": [theirs.unit]}),
        "owner": call.post("/webhooks", {**made, "owner": theirs.email}),
        "owner later": call.patch(f"/webhooks/{own.webhook}", {"owner": theirs.email}),
        "event in a unit": call.post("/events", {**event, "business_unit": theirs.unit}),
        "event of a type": call.post("/events", {"type": theirs.event_type, "data": {}}),
        "unit of others": call.put(f"/business-units/{theirs.unit}/companies/x", {"name": "X"}),
        "organization": call.post("/webhooks", {**made, "organization_id": owner.organization_id}),
    }

    assert {name: answer.status_code for name, answer in answers.items() if answer.status_code not in (404, 422)} == {}
    assert rows_of(owner.organization_id) == before


def test_no_list_of_the_api_is_filtered_into_another_organization(call: Api, own: Things, theirs: Things) -> None:
    found = {
        path: answer.text
        for path in (
            f"/deliveries?webhook={theirs.webhook}",
            f"/deliveries?event={theirs.event}",
            f"/deliveries?event_type={theirs.event_type}",
            "/deliveries",
            "/events",
            "/webhooks",
            "/event-types",
            "/business-units",
            f"/events/{own.event}/explain",
        )
        if SECRETS in (answer := call.get(path)).text or theirs.webhook in answer.text or answer.status_code != 200
    }

    assert found == {}


def test_naming_another_organization_does_not_lead_there(sam: Person, theirs: Things, organization: Any) -> None:
    page = sam.look(f"/webhooks?org={organization.public_id}").text

    assert SECRETS not in page
    assert sam.look(f"/webhooks/{theirs.webhook}?org={organization.public_id}").status_code == 404


def test_the_address_builder_knows_every_rule(app: Flask) -> None:
    assert all(address_of(app, rule) for rule in rules_with_ids(app))
