"""What is done with mails at the pages: what is set up, test mails, invitations, lost passwords."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.database import write
from app.delivery import installed
from app.models import User
from app.services import mails, password_resets
from tests.conftest import PASSWORD
from tests.support.mailbox import Mailbox
from tests.support.pages import Person, words

LINK = re.compile(r"http://\S+(/(?:reset|invite)/\S+)")


@pytest.fixture
def mailbox(app):
    """A mail server that the application uses, with an account on it."""
    mails._last_at.clear()
    with Mailbox(account=("postroom", "canary-secret")) as found:
        kept = installed.installed()
        url = found.url.replace("smtp://", "smtp://postroom:canary-secret@")
        installed.use(replace(kept, settings=replace(kept.settings, smtp_url=url)))
        yield found


@pytest.fixture
def operator(app, ada):
    """Ada, who runs the server too."""
    with write() as session:
        session.query(User).filter(User.email == "ada@acme.test").update({"is_operator": True})
    return ada


class TestSystemMail:
    def test_it_shows_what_is_set_up_but_never_the_password_and_sends_a_test(self, operator, mailbox, caplog):
        page = operator.look("/system/mail")
        assert "postroom" in words(page)
        operator.press("/system/mail/test")

        (taken,) = mailbox.mails
        assert (taken.to, taken.subject) == (["ada@acme.test"], "Test mail of Postroom")
        shown = page.text + operator.look("/system/mail").text + operator.look("/system").text + caplog.text
        assert "canary-secret" not in shown
        assert "canary-secret" not in taken.mail.as_string()

    def test_a_refusal_is_told_in_the_servers_words_without_the_password(self, operator, mailbox, caplog):
        mailbox.account = ["postroom", "another"]
        operator.press("/system/mail/test")  # this server repeats the password it was given

        page = operator.look("/system/mail")
        assert "refused user or password: 535 no, … is wrong" in words(page)
        assert "canary-secret" not in page.text + caplog.text

    def test_without_a_mail_server_operators_are_told_until_they_put_it_away(self, operator, max_, make_webhook):
        make_webhook(url="https://hooks.example.com/")

        assert "Nobody is told when a webhook fails" in words(operator.look("/webhooks"))
        assert "Nobody is told" not in words(max_.look("/webhooks"))
        operator.press("/system/mail/unwanted", at="/webhooks")
        assert "Nobody is told" not in words(operator.look("/webhooks"))
        assert "POSTROOM_SMTP_URL=smtp://" in operator.look("/system/mail").text


class TestNotificationSettings:
    def test_addresses_and_the_switch_are_kept_and_a_bad_address_is_named(self, ada, mailbox, member):
        refused = ada.press("/settings/notifications", addresses="ops@acme.test, nonsense", events="1")
        assert refused.status_code == 422
        assert "nonsense isn't an e-mail address" in words(refused)
        assert "ops@acme.test, nonsense" in refused.text

        ada.press("/settings/notifications", addresses="ops@acme.test; on-call@acme.test", events="1")

        page = ada.look("/settings/notifications").text
        assert "ops@acme.test, on-call@acme.test" in page
        assert re.search(r'name="events" value="1" checked', page)
        assert "postroom.webhook_failing" in ada.look("/catalogue").text
        ada.press("/settings/notifications/test")
        assert mailbox.mails[0].to == ["ops@acme.test", "on-call@acme.test", "ada@acme.test"]

    def test_a_name_can_write_no_header(self, ada, mailbox):
        ada.press("/settings", name="Acme")
        ada.look("/members/new")
        ada.press("/members/new", name="Ben", email="ben@acme.test\r\nBcc: eve@evil.test", role="Member")
        ada.press("/settings/notifications", addresses="a@b.test\r\nBcc:eve@evil.test")

        assert all("eve@evil.test" not in taken.to and taken.mail["Bcc"] is None for taken in mailbox.mails)


class TestInvitations:
    def test_a_new_member_gets_the_link_by_mail(self, app, ada, mailbox):
        ada.look("/members/new")
        ada.press("/members/new", name="Ben Roe", email="ben@acme.test", role="Support")

        (taken,) = mailbox.mails
        assert (taken.to, taken.subject) == (["ben@acme.test"], "Join Acme at Postroom")
        assert "Ada invites you to Acme" in taken.text
        place = LINK.search(taken.text)[1]
        ben = Person(app.test_client())
        ben.look(place)
        assert ben.press(place, password="nine green bottles").status_code == 303


class TestALostPassword:
    @pytest.fixture
    def ask(self, app, mailbox, clock):
        """Ask for a link, let the clockwork send it, and return the answer's words."""

        def run(email="ada@acme.test"):
            person = Person(app.test_client())
            person.look("/forgot")
            answer = person.press("/forgot", email=email)
            password_resets.send_asked(clock.now)
            return answer

        return run

    def test_the_link_sets_a_password_once_and_ends_every_session(self, app, ada, ask, mailbox):
        assert ask().status_code == 200
        place = LINK.search(mailbox.mails[0].text)[1]
        person = Person(app.test_client())
        person.look(place)
        assert "At least 12 characters" in words(person.press(place, password="short"))
        answer = person.press(place, password="nine green bottles")

        assert answer.headers["Location"].endswith("/login")
        assert ada.look("/account").status_code == 302, "an old session went on"
        assert person.sign_in("ada@acme.test", PASSWORD).status_code == 422
        assert Person(app.test_client()).sign_in("ada@acme.test", "nine green bottles").status_code == 303
        assert Person(app.test_client()).look(place).status_code == 409

    def test_whoever_has_no_account_gets_the_same_answer_and_no_mail(self, owner, ask, mailbox):
        known, unknown = ask(), ask("nobody@acme.test")

        assert unknown.status_code == known.status_code == 200
        assert unknown.text.replace("nobody@", "ada@").split("<main")[1] == known.text.split("<main")[1]
        assert [taken.to for taken in mailbox.mails] == [["ada@acme.test"]]

    def test_a_link_is_over_after_an_hour_and_when_a_newer_one_was_sent(self, app, owner, ask, mailbox, clock):
        ask()
        clock.advance(seconds=121)
        ask()
        first, second = (LINK.search(taken.text)[1] for taken in mailbox.mails)
        person = Person(app.test_client())
        assert person.look(first).status_code == 409
        assert person.look(second).status_code == 200

        clock.advance(seconds=3600)
        assert person.look(second).status_code == 409

    def test_too_many_are_refused_and_a_mailbox_is_not_flooded(self, owner, ask, mailbox):
        codes = [ask().status_code for _ in range(5)]

        assert codes == [200, 200, 200, 429, 429]
        assert len(mailbox.mails) == 1
