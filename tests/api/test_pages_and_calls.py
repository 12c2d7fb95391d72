"""What the pages do, the API does too: each page's action has its call here, or the reason why there is none."""

from __future__ import annotations

import re

import pytest

BROWSER = "belongs to a browser's sign-in: a key has no password, no codes, no cookie"
ACCOUNT = "a person's own account, which no key is: name, looks, mails"
COMMAND = "`postroom init`, before there is a key"
FORM = "redraws a form that is not yet saved"

# Endpoint of a page that changes something: the calls that do the same, or one of the reasons above.
ACTIONS: dict[str, str | tuple[str, ...]] = {
    "account.change_password": BROWSER,
    "account.prefer": ACCOUNT,
    "account.rename": ACCOUNT,
    "account.save_preferences": ACCOUNT,
    "account.sign_out": BROWSER,
    "account.sign_out_everywhere": BROWSER,
    "api_keys.create": ("createApiKey",),
    "api_keys.revoke": ("revokeApiKey",),
    "business_units.create": ("putBusinessUnit",),
    "business_units.delete": ("deleteBusinessUnit",),
    "business_units.read_file": ("importCompanies",),
    "business_units.rename": ("putBusinessUnit",),
    "companies.create": ("putCompany",),
    "companies.delete": ("deleteCompany",),
    "companies.save": ("putCompany",),
    "deliveries.cancel": ("cancelDelivery",),
    "deliveries.edit_test": ("testWebhook",),
    "deliveries.replay": ("replayDelivery",),
    "deliveries.retry": ("retryDelivery",),
    "event_types.create": ("createEventType",),
    "event_types.enforce": ("editEventType",),
    "event_types.install": ("installEventPack",),
    "event_types.save": ("editEventType",),
    "events.new": ("publishEvent",),
    "events.send": ("sendEvent",),
    "inboxes.clear": ("clearInbox",),
    "inboxes.create": ("createInbox",),
    "inboxes.respond": ("setInboxAnswers",),
    "inboxes.take": "the receiver itself, for whoever has its address",
    "installation.add_organization": ("addOrganization",),
    "installation.rename": ("renameAnyOrganization",),
    "mail.put_away": "hides a banner in one browser, by a cookie",
    "mail.send_test": ("testMail",),
    "members.accept": BROWSER,
    "members.activate": ("activateMember",),
    "members.create": ("addMember", "inviteMember"),
    "members.deactivate": ("deactivateMember",),
    "members.invite": ("inviteMember",),
    "members.remove": ("removeMember",),
    "members.save": ("editMember",),
    "missed.send": ("sendMissed",),
    "notifications.close": ("closeNotice",),
    "notifications.save": ("editAlerts",),
    "notifications.send_test": ("testAlerts",),
    "password_resets.ask": BROWSER,
    "password_resets.save": BROWSER,
    "replays.create": ("startReplay",),
    "replays.recount": ("startReplay",),  # dry_run
    "replays.stop": ("stopReplay",),
    "roles.create": ("addRole",),
    "roles.delete": ("deleteRole",),
    "roles.save": ("editRole",),
    "saved_views.create": ("saveView",),
    "saved_views.delete": ("deleteSavedView",),
    "saved_views.rename": ("renameSavedView",),
    "settings.save": ("editOrganization",),
    "settings.save_webhooks": ("editOrganization",),
    "setup.create": COMMAND,
    "sign_in.enter": BROWSER,
    "sign_in.enter_code": BROWSER,
    "sign_in.sign_out": BROWSER,
    "start.begin": ("installEventPack", "createInbox", "createWebhook", "publishEvent"),
    "start.send_again": ("publishEvent",),
    "start.set_answer": ("setInboxAnswers",),
    "two_factor.renew": BROWSER,
    "two_factor.turn_off": BROWSER,
    "two_factor.turn_on": BROWSER,
    "webhooks.check_delivery": FORM,
    "webhooks.check_filter": ("checkFilter",),
    "webhooks.check_signature": ("checkSignature",),
    "webhooks.check_url": ("checkUrl",),
    "webhooks.create": ("createWebhook",),
    "webhooks.delete": ("deleteWebhook",),
    "webhooks.duplicate": ("getWebhook", "createWebhook"),
    "webhooks.pause": ("pauseWebhook",),
    "webhooks.reshape": FORM,
    "webhooks.resume": ("resumeWebhook",),
    "webhooks.retry": ("retryWebhook",),
    "webhooks.rotate": ("rotateSecret",),
    "webhooks.save": ("editWebhook",),
    "webhooks.send_test": ("testWebhook",),
    "webhooks.show_preview": ("previewWebhook",),
    "webhooks.turn_off": ("disableWebhook",),
    "webhooks.turn_on": ("enableWebhook",),
}

# Endpoint of a page that shows something: the calls that tell the same.
SHOWN: dict[str, str | tuple[str, ...]] = {
    "account.index": ACCOUNT,
    "api_keys.index": ("listApiKeys",),
    "audit.export": ("exportAuditLog",),
    "audit.index": ("listAuditEntries",),
    "business_units.index": ("listBusinessUnits", "getBusinessUnitUsage"),
    "business_units.show": ("getBusinessUnit", "listCompanies", "getBusinessUnitUsage"),
    "companies.show": ("getCompany",),
    "deliveries.attempt": ("listAttempts",),
    "deliveries.body": ("listAttempts",),
    "deliveries.compare": ("listAttempts",),
    "deliveries.counts": ("countDeliveries",),
    "deliveries.curl": ("getCurl",),
    "deliveries.export": ("exportDeliveries",),
    "deliveries.choices": ("listWebhooks", "listEventTypes", "listBusinessUnits"),
    "deliveries.index": ("listDeliveries",),
    "deliveries.show": ("getDelivery", "listAttempts"),
    "event_types.index": ("listEventTypes",),
    "event_types.packs": ("listEventPacks",),
    "event_types.show": ("getEventType", "getEventTypeUsage"),
    "events.index": ("listEvents",),
    "events.show": ("getEvent",),
    "events.where": ("explainEvent",),
    "inboxes.index": ("listInboxes",),
    "inboxes.received": ("listInboxRequests",),
    "inboxes.show": ("getInbox", "listInboxRequests", "getInboxRequest"),
    "installation.delivery": ("getOptions", "listPresets"),
    "installation.network": ("getOptions",),
    "installation.organizations": ("listOrganizations",),
    "installation.presets": ("listPresets", "listEventPacks", "getSystem"),
    "installation.retained": ("getRetention",),
    "mail.index": ("getMail",),
    "members.index": ("listMembers",),
    "members.show": ("getMember",),
    "notifications.settings": ("getAlerts",),
    "replays.index": ("listReplays",),
    "replays.show": ("getReplay",),
    "roles.index": ("listRoles",),
    "roles.show": ("getRole",),
    "search.index": ("listWebhooks", "listEventTypes", "listEvents"),
    "settings.index": ("getOrganization",),
    "settings.webhooks": ("getOrganization",),
    "system.index": ("getSystem", "getOptions"),
    "webhooks.attention": ("listWebhooks",),
    "webhooks.index": ("listWebhooks", "listNotices"),
    "webhooks.log": ("listDeliveries",),
    "webhooks.menu": ("getWebhook",),
    "webhooks.overview": ("getWebhook", "getWebhookStats", "getStats"),
    "webhooks.show": ("getWebhook", "getWebhookStats"),
    "webhooks.show_changes": ("listWebhookChanges",),
    "webhooks.signature": ("getSignature",),
    "webhooks.types": ("listEventTypes",),
    "webhooks.why": ("explainAtWebhook",),
}
# They tell what another page tells (fragments), ask before one of the actions above, or are about signing in.
TELL_NOTHING = re.compile(
    r"""
    \w+\.(ask|ask_\w+|new|new_\w+|edit|rows|running|now)
    | (start|setup|sign_in|password_resets|health|two_factor)\.\w+
    | members\.invited | saved_views\.edit | static
    """,
    re.VERBOSE,
)


@pytest.fixture
def pages(app):
    """Every rule of the pages."""
    return [rule for rule in app.url_map.iter_rules() if not rule.rule.startswith("/api/")]


def test_every_action_of_a_page_has_its_call_or_a_reason(pages):
    acting = {rule.endpoint for rule in pages if (rule.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}}

    assert acting == ACTIONS.keys(), "an action came or went: name its call here, or why it has none"


def test_everything_that_a_page_shows_the_api_tells(pages):
    shown = {rule.endpoint for rule in pages if rule.methods and "GET" in rule.methods}
    shown = {name for name in shown - ACTIONS.keys() if not TELL_NOTHING.fullmatch(name)}

    assert shown == SHOWN.keys(), "a page came: name the call that tells the same"


def test_the_calls_that_are_named_exist(client):
    document = client.get("/api/v1/openapi.json").json
    known = {call["operationId"] for path in document["paths"].values() for call in path.values()}
    named = {call for calls in (*ACTIONS.values(), *SHOWN.values()) if isinstance(calls, tuple) for call in calls}

    assert named - known == set()
