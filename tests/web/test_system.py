"""The pages for operators."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from app.database import write
from app.models import User
from app.services import growth, system
from tests.conftest import PASSWORD
from tests.support.pages import Person, words

PAGES = ("delivery", "network", "retention", "presets", "organizations", "organizations/new")


@pytest.fixture
def operator(ada):
    """Ada, who runs the server too."""
    with write() as session:
        session.execute(update(User).where(User.email == "ada@acme.test").values(is_operator=True))
    ada.sign_in("ada@acme.test", PASSWORD)
    return ada


def test_an_operator_sees_the_system_without_a_secret_and_nobody_else_finds_it(app, operator, sam):
    assert sam.look("/system").status_code == 404
    system.forget_all()

    page = operator.look("/system")

    text = words(page)
    assert "Nothing is being sent: no delivery process has reported for 2 min." in text
    assert "libcurl 8" in text
    assert "POSTROOM_HTTPS_ONLY" in text
    assert "Last backup none that is known of" in text or "Last backup by your database's own means" in text
    assert app.config["SECRET_KEY"] not in page.text
    poll = operator.look("/system/now", **{"HX-Request": "true"})
    same = operator.look("/system/now", **{"HX-Request": "true", "If-None-Match": poll.headers["ETag"]})
    assert (poll.status_code, same.status_code) == (200, 304)


def test_what_is_in_force_is_told_page_by_page_and_to_nobody_else(
    operator, sam, make_webhook, publish, deliver, receiver
):
    make_webhook(url=receiver.url)
    publish()
    deliver()

    told = {name: words(operator.look(f"/system/{name}")) for name in PAGES}

    assert "10: at once, 5.0 s, 5 min" in told["delivery"]
    assert "POSTROOM_CONCURRENCY 256 256" in told["delivery"]
    assert "never by opening private networks" in told["network"]
    assert "Delivered 30 days 1 about" in told["retention"]
    assert "Standard" in told["presets"]
    assert "Acme" in told["organizations"]
    for name in PAGES:
        assert sam.look(f"/system/{name}").status_code == 404


def test_own_presets_are_held_against_the_files_as_they_lie_there_now(operator, settings):
    folder = settings.data_dir / "presets"
    folder.mkdir()
    (folder / "mine.toml").write_text('titel = "Mine"')
    (folder / "jobs.toml").write_text("title = 1")

    text = words(operator.look("/system/presets"))

    assert "presets/mine.toml Not in use mine.toml: titel: there is no such key here" in text
    assert "The server won't start again until this is mended." in text


def test_an_organization_is_added_with_its_first_admin_and_renamed(app, operator, sam):
    page = operator.press("/system/organizations/new", organization=" ", name="Bea", email="x")
    assert (page.status_code, "things need a change" in words(page)) == (422, True)

    answer = operator.press("/system/organizations/new", organization="Beta", name="Bea", email="bea@beta.test")
    shown = operator.look(answer.location)
    link = re.search(r'id="link">[^<]*(/invite/[^<]+)<', shown.text)[1]
    assert link not in operator.look(answer.location).text, "it is shown once"
    bea = Person(app.test_client())
    bea.look(link)
    bea.press(link, password="violet-harbor-lantern-7")
    assert "Bea" in words(bea.look("/members"))
    assert "Ada" not in words(bea.look("/members"))
    assert "Ada 127.0.0.1 Created organization Beta" in words(bea.look("/audit"))

    tenant = re.search(r'href="(/system/organizations/org_\w+)"[^>]*aria-label="Rename Beta"', shown.text)[1]
    assert operator.press(tenant, name="").status_code == 422
    assert operator.press(tenant, name="Gamma").status_code == 303
    assert "Gamma" in words(bea.look("/settings"))
    assert sam.press(tenant, name="Mine").status_code == 404
    assert operator.look("/system/organizations/org_none").status_code == 404


def test_who_has_an_account_becomes_admin_of_the_new_organization_without_a_link(operator, sam):
    operator.press("/system/organizations/new", organization="Beta", name="X", email="sam@acme.test")

    assert "Beta" in words(sam.look(sam.look("/account").location))


def test_everybody_who_may_act_is_told_when_nothing_is_sent(ada, max_, app, make_member):
    from tests.web.conftest import signed_in

    make_member("pat", role="Support")
    pat = signed_in(app, "pat@acme.test")
    assert "Nothing is being sent" not in words(max_.look("/webhooks"))

    system.forget_all()

    assert "Nothing is being sent" in words(max_.look("/webhooks"))
    assert "Nothing is being sent" not in words(pat.look("/log"))


def test_growth_is_told_after_a_day(app, clock, monkeypatch):
    bytes_now = 0
    monkeypatch.setattr(system, "sizes", lambda: system.Sizes(bytes_now, 0, 11 << 20))
    growth.note(clock.now)
    assert growth.rate() is None

    bytes_now = 2 << 20
    clock.advance(seconds=2 * 86_400)
    growth.note(clock.now)

    assert growth.rate() == growth.Growth(bytes_a_day=1 << 20, days_left=11)
    bytes_now = 0
    clock.advance(seconds=86_400)
    assert growth.rate() == growth.Growth(0, None)
