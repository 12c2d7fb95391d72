"""The page for operators."""

from __future__ import annotations

from sqlalchemy import update

from app.database import write
from app.models import User
from tests.conftest import PASSWORD
from tests.support.pages import words


def test_an_operator_sees_the_system_without_a_secret_and_nobody_else_finds_it(app, ada, settings):
    assert ada.look("/system").status_code == 404
    with write() as session:
        session.execute(update(User).values(is_operator=True))

    ada.sign_in("ada@acme.test", PASSWORD)
    page = ada.look("/system")

    text = words(page)
    assert "Nothing is being sent: no delivery process has reported for 2 min." in text
    assert "libcurl 8" in text
    assert "POSTROOM_HTTPS_ONLY" in text
    assert app.config["SECRET_KEY"] not in page.text
    poll = ada.look("/system/now", **{"HX-Request": "true"})
    same = ada.look("/system/now", **{"HX-Request": "true", "If-None-Match": poll.headers["ETag"]})
    assert (poll.status_code, same.status_code) == (200, 304)
