"""The organization's settings."""

from __future__ import annotations

from tests.support.pages import words


def test_an_organization_is_renamed(ada):
    assert "Developer" in words(ada.look("/settings"))

    assert "Give the organization a name" in words(ada.press("/settings", name=" "))
    ada.press("/settings", name="Acme Iberia")

    assert "Acme Iberia" in words(ada.look("/settings"))


def test_settings_are_not_for_everybody(max_):
    assert max_.look("/settings").status_code == 403
    assert max_.press("/settings", name="Mine").status_code == 403
