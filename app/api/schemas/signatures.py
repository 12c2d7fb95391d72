"""How a webhook's requests are signed, and checking one."""

from __future__ import annotations

from pydantic import Field

from app.api.schemas.deliveries import ById
from app.api.schemas.inboxes import Verdict
from app.api.schemas.shapes import Body, MomentShown, Query, Shown

__all__ = ["ById", "Language", "SecretShown", "SignatureGiven", "SignatureSheet", "Verdict"]


class Language(Query):
    """In which language the sample is."""

    language: str = Field("python", max_length=20, description="One of `languages`; python for any other.")


class SecretShown(Shown):
    """A signing secret without itself. `expires_at` null: it is the current one."""

    made_by: str
    created_at: MomentShown
    expires_at: MomentShown | None


class SignatureSheet(Shown):
    """How a webhook's requests are signed, and code that checks it. `signs` names what stands in the signed text."""

    scheme: str
    algorithm: str
    header: str
    sent_beside: list[str]
    signs: str
    encoding: str
    public_key: str | None
    secrets: list[SecretShown]
    languages: list[str]
    language: str
    sample: str


class SignatureGiven(Body):
    """A request as its receiver got it."""

    headers: dict[str, str] = Field(max_length=100)
    body: str
