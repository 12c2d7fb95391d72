"""Test inboxes: what they answer, keep and check."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import func, select

from app import ids
from app.core import signing
from app.core.encoding import ContentType
from app.core.redaction import MASK
from app.core.retry import Exhausted
from app.core.shaping import DataMode
from app.database import read, write
from app.delivery import queue
from app.delivery.installed import installed
from app.errors import Invalid, NotFound, Refused
from app.models import Event, InboxRequest, Lane, SigningSecret, Webhook
from app.services import inboxes

BODY = b'{"id":"evt_1","type":"job.created","data":{"id":42}}'
SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OLDER = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
DAY_MS = 86_400_000


@pytest.fixture(autouse=True)
def nobody_waits(monkeypatch):
    """Replies that a test doesn't wait for keep no seat of the next one."""
    monkeypatch.setattr(inboxes, "_waiting", threading.BoundedSemaphore(inboxes.MOST_WAITING))


@pytest.fixture
def inbox(owner):
    """An inbox."""
    return inboxes.create(owner, "First inbox")


def post(inbox, body=BODY, headers=(), method="POST"):
    return inboxes.receive(inbox.token, method, [("Content-Type", "application/json"), *headers], body)


@pytest.fixture
def sign(organization, clock):
    """Make a webhook with a delivery, and return the headers that a request of it would carry."""

    def make(scheme="standard", secrets=((SECRET, None),), body=BODY, signs_with=SECRET, of=None, header=None):
        with write() as session:
            webhook = Webhook(
                public_id=ids.new_id("whk"),
                organization_id=of or organization.id,
                name="Warehouse",
                url="https://hooks.example.com/",
                preset="standard",
                scheme=scheme,
                signature_header=header,
                enabled=True,
                content_type=ContentType.JSON,
                data_mode=DataMode.EVERYTHING,
                delays_ms=[1000],
                timeout_ms=15_000,
                jitter=0.0,
                on_exhausted=Exhausted.KEEP,
                success_codes=["2xx"],
                created_at=clock.now,
                updated_at=clock.now,
                secrets=[
                    SigningSecret(secret=text, made_by="Ada", created_at=clock.now, expires_at=ends)
                    for text, ends in reversed(secrets)
                ],
                lane=Lane(),
            )
            event = Event(
                public_id=ids.new_id("evt"),
                organization_id=of or organization.id,
                type="job.created",
                digest=b"",
                data=b"{}",
                occurred_at=clock.now,
                created_at=clock.now,
            )
            session.add_all([webhook, event])
            session.flush()
            delivery = ids.new_id("dlv")
            row = queue.new_row(
                public_id=delivery,
                organization_id=of or organization.id,
                event_id=event.id,
                webhook_id=webhook.id,
                event_type="job.created",
                url=webhook.url,
                attempts_allowed=2,
                now=clock.now,
            )
            queue.enqueue(session, [row])
            named = installed().schemes.get(scheme or "")
            lines = signing.sign(named, [signs_with], event.public_id, clock.now // 1000, body, header)
        return [("Postroom-Delivery", delivery), *lines]

    return make


class TestAnswering:
    @pytest.mark.parametrize(
        ("answer", "reply"),
        [
            ("200", inboxes.Reply(200)),
            ("204", inboxes.Reply(204)),
            ("400", inboxes.Reply(400)),
            ("401", inboxes.Reply(401)),
            ("410", inboxes.Reply(410)),
            ("429", inboxes.Reply(429, retry_after_s=10)),
            ("500", inboxes.Reply(500)),
            ("after 20 s", inboxes.Reply(200, wait_ms=20_000)),
            ("close", inboxes.Reply(closes=True)),
        ],
    )
    def test_it_answers_as_told(self, owner, inbox, answer, reply):
        inboxes.set_answers(owner, inbox.id, [answer])

        assert post(inbox) == reply

    def test_few_answers_wait_at_once_and_the_others_are_refused_with_a_note(self, owner, inbox, monkeypatch):
        monkeypatch.setattr(inboxes, "SECOND_MS", 0)
        inboxes.set_answers(owner, inbox.id, ["after 20 s"])
        waiting = [post(inbox) for _ in range(inboxes.MOST_WAITING)]

        refused = post(inbox)
        refused.wait()  # takes no seat, so gives none back
        noted = inboxes.requests(owner, inbox.id).items[0].answered
        waiting[0].wait()

        assert (refused.status, refused.wait_ms, noted) == (503, 0, "503: 4 others were waiting")
        assert [post(inbox).status, post(inbox).status] == [200, 503]

    def test_every_answer_there_is_can_be_given(self, owner, inbox):
        for answer in inboxes.ANSWERS:
            inboxes.set_answers(owner, inbox.id, [answer])
            post(inbox)

        assert [request.answered for request in inboxes.requests(owner, inbox.id).items] == list(
            reversed(inboxes.ANSWERS)
        )

    def test_a_list_is_used_up_and_its_last_stays(self, owner, inbox):
        inboxes.set_answers(owner, inbox.id, ["500", "500", "204"])

        assert [post(inbox).status for _ in range(5)] == [500, 500, 204, 204, 204]
        assert inboxes.find(owner, inbox.id).answers == ("204",)

    @pytest.mark.parametrize("answers", [[], ["200", "302"], ["after 60 s"], ["200"] * 51])
    def test_other_answers_are_refused(self, owner, inbox, answers):
        with pytest.raises(Invalid):
            inboxes.set_answers(owner, inbox.id, answers)

        assert post(inbox).status == 200

    @pytest.mark.parametrize("token", ["", "nobody", "a\x00b", "x" * 500, "é"])
    def test_another_token_is_not_there(self, inbox, token):
        with pytest.raises(NotFound):
            inboxes.receive(token, "POST", [], b"")


class TestKeeping:
    def test_what_came_is_shown_newest_first(self, owner, inbox, clock):
        post(inbox, b"first", method="PUT")
        clock.advance(seconds=1)
        post(inbox, b"\xff\x00second", [("X-Twice", "1"), ("X-Twice", "2")])

        newest, oldest = inboxes.requests(owner, inbox.id).items

        assert (oldest.method, oldest.body, oldest.size) == ("PUT", b"first", 5)
        assert newest.body == b"\xff\x00second"
        assert newest.headers == (("Content-Type", "application/json"), ("X-Twice", "1"), ("X-Twice", "2"))
        assert newest.received_at == clock.now
        assert inboxes.find_request(owner, inbox.id, newest.id) == newest

    def test_credentials_are_seen_to_have_come_but_not_kept(self, owner, inbox):
        post(
            inbox,
            headers=[("authorization", "Basic YWRhOnNlY3JldA=="), ("X-Api-Key", "canary-1"), ("Cookie", "a=canary-2")],
        )

        shown = dict(inboxes.requests(owner, inbox.id).items[0].headers)

        assert shown["authorization"] == f"Basic {MASK}"
        assert shown["X-Api-Key"] == MASK
        with read() as session:
            assert "canary" not in str(session.scalars(select(InboxRequest.headers)).all())

    def test_only_the_last_two_hundred_are_kept(self, owner, inbox):
        other = inboxes.create(owner, "Second inbox")
        post(other, b"not of this inbox")
        for number in range(205):
            post(inbox, str(number).encode())

        page = inboxes.requests(owner, inbox.id, limit=250)

        assert [request.body for request in page.items] == [str(number).encode() for number in range(204, 4, -1)]
        assert page.next is None
        assert len(inboxes.requests(owner, other.id).items) == 1

    def test_a_day_later_it_is_gone(self, owner, inbox, clock):
        post(inbox, b"old")

        clock.advance(ms=DAY_MS)
        assert [request.body for request in inboxes.requests(owner, inbox.id).items] == [b"old"]
        clock.advance(ms=1)
        assert inboxes.requests(owner, inbox.id).items == ()

        post(inbox, b"new")
        with read() as session:
            assert session.scalar(select(func.count(InboxRequest.id))) == 1

    def test_of_a_large_body_the_beginning_is_kept(self, owner, inbox):
        post(inbox, b"x" * (256 * 1024 + 1))

        (request,) = inboxes.requests(owner, inbox.id).items

        assert (len(request.body), request.size, request.is_cut) == (256 * 1024, 256 * 1024 + 1, True)

    def test_pages_follow_one_another_without_gap_or_overlap(self, owner, inbox, clock):
        for number in range(7):
            post(inbox, str(number).encode())
            clock.advance(ms=number % 2)  # some came in the same millisecond

        bodies, cursor = [], None
        while cursor is not None or not bodies:
            page = inboxes.requests(owner, inbox.id, cursor=cursor, limit=3)
            bodies += [request.body for request in page.items]
            cursor = page.next

        assert bodies == [str(number).encode() for number in range(6, -1, -1)]

    def test_an_unreadable_cursor_is_told(self, owner, inbox):
        with pytest.raises(Invalid):
            inboxes.requests(owner, inbox.id, cursor="nonsense")

    def test_clearing_empties_it(self, owner, inbox):
        post(inbox)

        inboxes.clear(owner, inbox.id)

        assert inboxes.requests(owner, inbox.id).items == ()

    def test_a_request_without_delivery_tells_its_type_if_it_can(self, owner, inbox):
        for body in (BODY, b"a=b", b"[1]", b'{"type": 5}', b"\xff"):
            post(inbox, body)

        types = [request.event_type for request in inboxes.requests(owner, inbox.id).items]

        assert types == [None, None, None, None, "job.created"]


class TestWhoMay:
    def test_a_stranger_finds_nothing(self, stranger, inbox):
        post(inbox)

        assert inboxes.list_all(stranger) == []
        for ask in (
            lambda: inboxes.find(stranger, inbox.id),
            lambda: inboxes.requests(stranger, inbox.id),
            lambda: inboxes.find_request(stranger, inbox.id, "req_1"),
            lambda: inboxes.clear(stranger, inbox.id),
            lambda: inboxes.set_answers(stranger, inbox.id, ["500"]),
        ):
            with pytest.raises(NotFound):
                ask()

    def test_who_has_no_webhooks_has_no_inbox(self, make_member, inbox):
        tim = make_member("tim", role="Support").actor

        for ask in (
            lambda: inboxes.create(tim, "Mine"),
            lambda: inboxes.list_all(tim),
            lambda: inboxes.find(tim, inbox.id),
            lambda: inboxes.requests(tim, inbox.id),
            lambda: inboxes.clear(tim, inbox.id),
            lambda: inboxes.set_answers(tim, inbox.id, ["500"]),
        ):
            with pytest.raises(Refused):
                ask()

    def test_a_developer_has(self, member):
        made = inboxes.create(member, " My inbox ")

        assert made.name == "My inbox"
        assert made.url == f"{installed().settings.address}/in/{made.token}"
        assert inboxes.list_all(member) == [made]

    @pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\nb"])
    def test_a_name_is_needed(self, owner, name):
        with pytest.raises(Invalid):
            inboxes.create(owner, name)


def verdict_of(owner, inbox):
    return inboxes.requests(owner, inbox.id).items[0].verdict


class TestTheSignature:
    @pytest.mark.parametrize("scheme", ["standard", "stripe", "github"])
    def test_a_right_one_is_seen_step_by_step(self, owner, inbox, sign, scheme):
        post(inbox, headers=sign(scheme))

        request = inboxes.requests(owner, inbox.id).items[0]

        assert request.verdict.valid
        assert all(step.ok for step in request.verdict.steps)
        assert request.event_type == "job.created"
        assert request.delivery.startswith("dlv_")

    def test_one_in_a_header_of_the_webhooks_own_is_found(self, owner, inbox, sign):
        post(inbox, headers=sign("hex", header="X-Own-Signature"))

        assert verdict_of(owner, inbox).valid

    def test_a_changed_body_is_seen(self, owner, inbox, sign):
        post(inbox, BODY.replace(b"42", b"43"), sign())

        found = verdict_of(owner, inbox)

        assert not found.valid
        assert found.reason

    def test_a_wrong_secret_is_seen(self, owner, inbox, sign):
        post(inbox, headers=sign(signs_with=OLDER))

        assert not verdict_of(owner, inbox).valid

    def test_the_older_secret_counts_until_it_expires(self, owner, inbox, sign, clock):
        both = ((SECRET, None), (OLDER, clock.now + 1))
        post(inbox, headers=sign(secrets=both, signs_with=OLDER))
        assert verdict_of(owner, inbox).valid

        gone = ((SECRET, None), (OLDER, clock.now))
        post(inbox, headers=sign(secrets=gone, signs_with=OLDER))
        assert verdict_of(owner, inbox).reason == "It was made with the secret that expired on 21 Nov."

    def test_it_is_judged_as_of_when_it_came(self, owner, inbox, sign, clock):
        post(inbox, headers=sign())

        clock.advance(seconds=3600)

        assert verdict_of(owner, inbox).valid, "an hour later it was not yet old when it came"

    def test_one_that_came_late_is_old(self, owner, inbox, sign, clock):
        headers = sign()
        clock.advance(seconds=301)

        post(inbox, headers=headers)

        assert "old" in verdict_of(owner, inbox).reason

    def test_an_unsigned_webhook_has_nothing_to_check(self, owner, inbox, sign):
        post(inbox, headers=sign(scheme=None))

        request = inboxes.requests(owner, inbox.id).items[0]

        assert request.verdict is None
        assert request.delivery is not None

    def test_a_body_that_was_cut_cannot_be_checked(self, owner, inbox, sign):
        large = b"x" * (256 * 1024 + 1)
        post(inbox, large, sign(body=large))

        found = verdict_of(owner, inbox)

        assert not found.valid
        assert "256 KiB" in found.reason

    def test_a_delivery_of_another_organization_lends_no_secret(self, owner, inbox, sign, stranger):
        post(inbox, headers=sign(of=stranger.organization_id))

        request = inboxes.requests(owner, inbox.id).items[0]

        assert (request.verdict, request.delivery) == (None, None)

    @pytest.mark.parametrize("claim", ["dlv_none", "a\x00b", "dlv_" + "0" * 26])
    def test_a_delivery_that_does_not_exist_is_not_believed(self, owner, inbox, claim):
        post(inbox, headers=[("Postroom-Delivery", claim)])

        assert inboxes.requests(owner, inbox.id).items[0].delivery is None
