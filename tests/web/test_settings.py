"""The organization's settings."""

from __future__ import annotations

from tests.support.pages import words


def test_an_organization_is_renamed(ada):
    assert "Give the organization a name" in words(ada.press("/settings", name=" "))
    ada.press("/settings", name="Acme Iberia")

    assert "Acme Iberia" in words(ada.look("/settings"))


def test_new_webhooks_begin_with_the_preset_that_was_chosen(ada):
    assert ada.press("/settings/webhooks", preset="jobs").status_code == 303

    page = ada.look("/webhooks/new").text
    assert 'name="preset" value="jobs" form="webhook-form" checked' in page
    assert 'name="preset" value="vomo" form="webhook-form" checked' in ada.look("/webhooks/new?preset=vomo").text
    assert "default preset: – → jobs" in words(ada.look("/audit")) or "default preset: jobs" in words(
        ada.look("/audit")
    )


def test_the_log_is_kept_no_longer_than_the_server_does(ada):
    for wrong in ("31", "0", "x", "-1", "١"):
        answer = ada.press("/settings/webhooks", preset="", retention_days=wrong)
        assert answer.status_code == 422, wrong
        assert f'value="{wrong}"' in answer.text, "what was typed stays"

    ada.press("/settings/webhooks", preset="", retention_days="7", retention_failed_days="14")

    assert 'value="14"' in ada.look("/settings/webhooks").text


def test_settings_are_not_for_everybody(max_):
    for path in ("/settings", "/settings/webhooks"):
        assert max_.look(path).status_code == 403
        assert max_.press(path, name="Mine").status_code == 403
