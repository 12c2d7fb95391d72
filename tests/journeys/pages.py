"""Every page there is, by the endpoint that answers it, each in the states that look different.

`{name}` stands for an id of the house. `support:` before an address is who looks; left out, an admin and operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.house import House

PAGES: dict[str, tuple[str, ...]] = {
    "account.index": ("/account", "careful:/account"),
    "api_keys.ask_revoke": ("/api-keys/{key}/revoke",),
    "api_keys.index": ("/api-keys",),
    "api_keys.new": ("/api-keys/new",),
    "audit.index": ("/audit", "/audit?q=nothing"),
    "business_units.ask_delete": ("/units/{unit}/delete", "/units/south/delete"),
    "business_units.ask_file": ("/units/{unit}/import",),
    "business_units.ask_name": ("/units/{unit}/rename",),
    "business_units.index": ("/units",),
    "business_units.new": ("/units/new",),
    "business_units.show": ("/units/{unit}", "/units/provider"),
    "companies.ask_delete": ("/companies/{company}/delete",),
    "companies.new": ("/units/{unit}/companies/new",),
    "companies.show": ("/companies/{company}",),
    "deliveries.ask_cancel": ("/deliveries/{retrying}/cancel",),
    "deliveries.ask_replay": ("/deliveries/{delivered}/replay",),
    "deliveries.attempt": ("/deliveries/{tried_twice}/attempts/1",),
    "deliveries.compare": ("/deliveries/{tried_twice}/compare?a=1&b=2",),
    "deliveries.edit_test": ("/deliveries/{failed}/edit-test",),
    "deliveries.index": (
        "/log",
        "/log?open={tried_twice}&open={canceled}",
        "/log?state=failed&state=retrying",
        "/log?q=nothing&inside=1",
        "/log?state=skipped&skipped=1",
        "support:/log?open={failed}",
    ),
    "deliveries.show": (
        "/deliveries/{delivered}",
        "/deliveries/{failed}",
        "/deliveries/{retrying}",
        "/deliveries/{held}",
        "/deliveries/{queued}",
        "/deliveries/{canceled}",
        "/deliveries/{skipped}",
        "/deliveries/{test}",
        "/deliveries/{tried_twice}",
        "support:/deliveries/{failed}",
    ),
    "event_types.ask_install": ("/catalogue/packs/jobs/install",),
    "event_types.edit": ("/catalogue/{type}/edit",),
    "event_types.index": ("/catalogue",),
    "event_types.new": ("/catalogue/new",),
    "event_types.packs": ("/catalogue/packs",),
    "event_types.show": ("/catalogue/{type}",),
    "events.ask_send": ("/events/{event}/send?webhook={on}",),
    "events.index": ("/events", "/events?q=nothing"),
    "events.new": ("/events/new", "/events/new?type={type}"),
    "events.show": ("/events/{event}", "/events/{event_of_failed}"),
    "inboxes.ask_clear": ("/inbox/{inbox}/clear",),
    "inboxes.new": ("/inbox/new",),
    "inboxes.show": ("/inbox/{inbox}", "/inbox/{empty_inbox}"),
    "installation.ask_name": ("/system/organizations/{tenant}",),
    "installation.delivery": ("/system/delivery",),
    "installation.network": ("/system/network",),
    "installation.new_organization": ("/system/organizations/new",),
    "installation.organizations": ("/system/organizations",),
    "installation.presets": ("/system/presets",),
    "installation.retained": ("/system/retention",),
    "mail.index": ("/system/mail",),
    "members.ask_deactivate": ("/members/{member}/deactivate",),
    "members.ask_remove": ("/members/{member}/remove",),
    "members.index": ("/members", "/members?q=nobody"),
    "members.invited": ("nobody:/invite/{invitation}", "nobody:/invite/over"),
    "members.new": ("/members/new",),
    "members.show": ("/members/{member}", "/members/{admin}", "/members/{invited}", "/members/{kept_out}"),
    "missed.ask": ("/webhooks/{off}/missed",),
    "notifications.settings": ("/settings/notifications",),
    "password_resets.forgot": ("nobody:/forgot",),
    "password_resets.show": ("nobody:/reset/{reset}", "nobody:/reset/over"),
    "replays.ask_stop": ("/replays/{replay_running}/stop",),
    "replays.index": ("/replays",),
    "replays.new": ("/replays/new?webhook={on}", "/replays/new?q=nothing"),
    "replays.show": ("/replays/{replay_running}", "/replays/{replay_stopped}"),
    "roles.ask_delete": ("/roles/{role}/delete",),
    "roles.index": ("/roles",),
    "roles.new": ("/roles/new",),
    "roles.show": ("/roles/{role}", "/roles/Admin"),
    "saved_views.edit": ("/log/views/{view}",),
    "saved_views.new": ("/log/views/new?state=failed",),
    "search.index": ("/search?q=job", "/search?q=nothing"),
    "settings.index": ("/settings",),
    "settings.webhooks": ("/settings/webhooks",),
    "setup.show": ("nobody:/setup?token=over",),
    "sign_in.show": ("nobody:/login",),
    "start.help": ("/help",),
    "start.index": ("/start",),
    "system.index": ("/system",),
    "two_factor.ask_off": ("careful:/account/two-factor/off",),
    "two_factor.show": ("/account/two-factor", "careful:/account/two-factor"),
    "webhooks.ask_delete": ("/webhooks/{on}/delete",),
    "webhooks.ask_off": ("/webhooks/{failing}/off",),
    "webhooks.ask_retry": ("/webhooks/{failing}/retry",),
    "webhooks.ask_rotate": ("/webhooks/{on}/secret/rotate",),
    "webhooks.ask_test": ("/webhooks/{on}/test",),
    "webhooks.edit": ("/webhooks/{mapped}/edit", "/webhooks/{insecure}/edit", "/webhooks/{filtered}/edit"),
    "webhooks.index": ("/webhooks", "/webhooks?q=nothing"),
    "webhooks.new": ("/webhooks/new", "/webhooks/new?preset=reporting", "/webhooks/new?copy={mapped}"),
    "webhooks.show": (
        "/webhooks/{on}",
        "/webhooks/{failing}",
        "/webhooks/{paused}",
        "/webhooks/{off}",
        "/webhooks/{off_by_itself}",
        "/webhooks/{gone}",
        "/webhooks/{new}",
        "/webhooks/{insecure}",
        "/webhooks/{long}",
    ),
    "webhooks.show_changes": ("/webhooks/{on}/changes",),
    "webhooks.signature": ("/webhooks/{on}/signature", "/webhooks/{mapped}/signature"),
    "webhooks.why": (
        "/webhooks/{mapped}/why",
        "/webhooks/{mapped}/why?event={event}",
        "/webhooks/{mapped}/why?event=no.type",
    ),
}

FRAGMENT = "a part of a page, which the page shows"
FILE = "a file"
LEADS_ON = "leads on to another page"
NOT_LISTED = {
    "audit.export": FILE,
    "deliveries.export": FILE,
    "deliveries.body": FILE,
    "deliveries.curl": FILE,
    "static": FILE,
    "health.healthz": "for machines",
    "health.readyz": "for machines",
    "health.metrics": "for machines",
    "inboxes.take": "for senders",
    "deliveries.choices": FRAGMENT,
    "deliveries.counts": FRAGMENT,
    "deliveries.rows": FRAGMENT,
    "deliveries.running": FRAGMENT,
    "events.rows": FRAGMENT,
    "events.where": FRAGMENT,
    "inboxes.received": FRAGMENT,
    "replays.running": FRAGMENT,
    "start.exchange": FRAGMENT,
    "system.now": FRAGMENT,
    "webhooks.attention": FRAGMENT,
    "webhooks.menu": FRAGMENT,
    "webhooks.overview": FRAGMENT,
    "webhooks.rows": FRAGMENT,
    "webhooks.types": FRAGMENT,
    "start.home": LEADS_ON,
    "inboxes.index": LEADS_ON,
    "webhooks.log": LEADS_ON,
    "sign_in.code": "shown between password and code, in test_without_script",
    "two_factor.codes": "shown once, in test_without_script",
}
ANSWERED = {"/invite/over": 409, "/reset/over": 409, "/webhooks/{mapped}/why?event=no.type": 422}
"""Pages that say why something is over, with the status that says so too."""

ERRORS = (
    ("support:/webhooks", 403),
    ("/deliveries/dlv_0", 404),
    ("nobody:/nothing/here", 404),
    ("/log?from=never", 422),
)


@dataclass(frozen=True, slots=True)
class Page:
    """An address, who looks at it, and the status it is answered with."""

    address: str
    who: str
    code: int = 200

    def __str__(self) -> str:
        return f"{self.who} {self.address}"


def every_page(house: House, *, states: bool = True) -> Iterator[Page]:
    """Each page of the list and the pages of errors, those of one person together.

    Without `states` each page is there once for everybody who looks at it.
    """
    found = [_page(text, house) for texts in PAGES.values() for text in (texts if states else _once(texts))]
    found += [Page(one.address, one.who, code) for text, code in ERRORS for one in (_page(text, house),)]
    yield from sorted(found, key=lambda page: page.who)


def _once(texts: tuple[str, ...]) -> list[str]:
    return list({split(text)[0]: text for text in reversed(texts)}.values())


def _page(text: str, house: House) -> Page:
    who, address = split(text)
    return Page(address.format(**house.ids), who, ANSWERED.get(address, 200))


def split(text: str) -> tuple[str, str]:
    """Return who looks, and the address as it is written here."""
    who, colon, address = text.partition(":/")
    return (who, f"/{address}") if colon and who.isalpha() else ("admin", text)
