"""The create page, once for each preset: choose the card, fill in what is mandatory, save, switch, see it arrive."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.support.receiver import Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.journeys.conftest import Complaints, Server

pytestmark = pytest.mark.timeout(180)

EMAIL, PASSWORD = "ada@acme.test", "seven brown horses"
# what each card says of itself, and the members of the test that arrives
PRESETS = {
    "Standard": ("Standard Webhooks", ["id", "type", "timestamp", "data"]),
    "Contracts": ("3 attempts 5 minutes apart", ["event", "data"]),
    "VOMO": ("Hex HMAC of the body in vomo-signature", ["type", "organization_id", "data"]),
    "Integrations": ("the customer and the state", ["workspace_id", "customer_id", "event", "state", "payload"]),
    "Reporting": ("chosen business units", ["trigger", "status", "transaction"]),
    "GitHub": ("X-Hub-Signature-256", ["zen"]),
    "Stripe": ("the way Stripe does it", ["id", "object", "type", "created", "data"]),
    "CloudEvents": ("CloudEvents 1.0", ["specversion", "id", "source", "type", "time", "datacontenttype", "data"]),
}


@pytest.fixture
def secure_receiver() -> Iterator[Receiver]:
    """A receiver on https whose certificate nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Receiver(tls=context) as found:
        yield found


def test_somebody_signs_up_and_adds_a_business_unit(server: Server, page: Any) -> None:
    page.goto(server.setup_link)
    page.fill("[name=email]", EMAIL)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Create webhook and send event").click()
    page.get_by_text("Signature valid").first.wait_for()

    page.goto(server.address + "/units/new")
    page.fill("[name=name]", "North")
    page.fill("[name=external_id]", "north")
    page.locator("main form .btn[data-kind=primary]").click()

    page.get_by_text("North").first.wait_for()


def choose(server: Server, page: Any, card: str) -> None:
    """Open the create page and choose a card."""
    page.goto(server.address + "/webhooks/new")
    page.locator(f".like label:has(b:text-is('{card}'))").click()
    page.locator(f".like label:has(input:checked):has(b:text-is('{card}'))").wait_for()


@pytest.mark.parametrize("card", PRESETS)
def test_a_card_explains_itself_fills_the_form_and_its_test_arrives(server: Server, page: Any, card: str) -> None:
    summary, members = PRESETS[card]
    name = f"Like {card}"

    choose(server, page, card)
    page.locator(".like label:has(input:checked) .help", has_text=summary).wait_for()
    page.fill("[name=name]", name)
    page.get_by_role("button", name="Use my test inbox").click()
    page.locator("#url[value*='/in/']").wait_for()
    if card == "Reporting":
        page.locator("[name=which_units][value=only]").check()
        page.get_by_label("North").check()
        page.locator("[name=content_type][value='application/json']").check()
    page.locator("#preview-body", has_text="valid").first.wait_for()
    page.get_by_role("button", name="Create webhook", exact=True).click()

    page.get_by_role("switch", name=f"Off: {name}").click()

    page.locator("tr", has_text=name).get_by_text("On. Test payload: 200 OK").wait_for()
    page.goto(server.address + "/inbox")
    shown = page.locator("pre").last.inner_text()
    assert list(json.loads(shown)) == members


def test_jobs_refuses_http_at_the_field_keeps_what_was_typed_and_takes_https(
    server: Server, page: Any, secure_receiver: Receiver
) -> None:
    choose(server, page, "Jobs")
    page.fill("[name=name]", "Like Jobs")
    page.fill("[name=url]", "http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Create webhook", exact=True).click()

    error = page.locator("#url-error")
    error.wait_for()
    assert "the URL must begin with https://" in error.inner_text()
    assert page.input_value("[name=name]") == "Like Jobs"
    assert page.locator(".like summary b").inner_text() == "Jobs"

    page.fill("[name=url]", secure_receiver.url)
    page.locator("[name=verify_ssl][value=off]").check()
    page.get_by_label("Disable, I accept the risk").check()
    page.get_by_role("button", name="Create webhook", exact=True).click()
    page.get_by_role("switch", name="Off: Like Jobs").click()

    page.locator("tr", has_text="Like Jobs").get_by_text("On. Test payload: 200 OK").wait_for()
    (request,) = secure_receiver.requests
    assert list(json.loads(request.body)) == ["id", "event", "created_at", "data"]


def test_reporting_asks_for_a_unit_and_a_content_type_where_they_are_chosen(server: Server, page: Any) -> None:
    choose(server, page, "Reporting")
    page.fill("[name=name]", "No unit")
    page.fill("[name=url]", "https://example.com/hook")
    page.get_by_role("button", name="Create webhook", exact=True).click()

    page.locator("#which_units-error").wait_for()
    assert "choose at least one" in page.locator("#which_units-error").inner_text()
    assert "Choose what the receiving system reads" in page.locator("#content_type-error").inner_text()
    assert page.input_value("[name=name]") == "No unit"


def test_two_mappings_to_one_property_are_refused_at_their_row(server: Server, page: Any) -> None:
    page.goto(server.address + "/webhooks/new")
    page.fill("[name=name]", "Mapped")
    page.fill("[name=url]", "https://example.com/hook")
    for row in (0, 1):
        page.get_by_role("button", name="Add a row").click()
        page.locator("[name=mapping_field]").nth(row).wait_for()
        page.locator("[name=mapping_field]").nth(row).fill(("reference", "id")[row])
        page.locator("[name=mapping_property]").nth(row).fill("number")
    page.get_by_role("button", name="Create webhook", exact=True).click()

    error = page.locator(".mapping-error")
    error.wait_for()
    assert "Two rows send" in error.inner_text()
    assert [page.locator("[name=mapping_field]").nth(row).input_value() for row in (0, 1)] == ["reference", "id"]


def test_an_extra_field_that_no_company_has_is_said_to_be_null(server: Server, page: Any) -> None:
    page.goto(server.address + "/webhooks/new")
    page.fill("[name=new_field]", "shoe_size")
    page.locator("[name=do][value='field.add']").click()

    page.locator("#extra-help", has_text="No company has shoe_size yet").wait_for()


def test_the_browser_had_nothing_to_complain_about(complaints: Complaints, page: Any) -> None:
    assert complaints == []
