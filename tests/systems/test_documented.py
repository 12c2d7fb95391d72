"""The requests that docs/systems.md shows: whole, and signed with the secrets it names."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "systems.md").read_text(encoding="utf-8")
SECTIONS = {title.lower(): text for title, text in re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)}


def request_of(system):
    """The headers by name in lower case, the body, and the secret if one is named."""
    head, body = re.search(r"```http\n(.*?)\n\n(.*?)\n```", SECTIONS[system], re.S).groups()
    secret = re.search(r"whsec_[\w+/=]{44}", SECTIONS[system])
    pairs = (line.split(": ", 1) for line in head.splitlines()[1:])
    return {name.lower(): value for name, value in pairs}, body.encode(), secret and secret[0]


@pytest.mark.parametrize("system", ["contracts", "jobs", "vomo", "integrations", "reporting"])
def test_each_shown_body_is_as_long_as_its_header_says(system):
    headers, body, _ = request_of(system)

    assert int(headers["content-length"]) == len(body)


def test_the_shown_hex_signature_is_right():
    headers, body, secret = request_of("vomo")

    assert headers["vomo-signature"] == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_the_shown_standard_signature_is_right():
    headers, body, secret = request_of("integrations")
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))

    assert (
        headers["webhook-signature"]
        == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    )
