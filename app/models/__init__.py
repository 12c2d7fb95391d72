"""The tables, and what can be said of one row. No query over many rows is here."""

from app.models.api_keys import ApiKey
from app.models.audit import AuditEntry
from app.models.business_units import BusinessUnit
from app.models.companies import Company
from app.models.deliveries import Attempt, Delivery
from app.models.event_types import EventType, SchemaMode
from app.models.events import Event, Resource, SentBody
from app.models.inboxes import Inbox, InboxRequest
from app.models.members import BrowserSession, Membership, MembershipUnit, Role, SignInFailure, User
from app.models.notifications import Cause, Notification
from app.models.organizations import Installation, Organization
from app.models.replays import Replay, ReplayItem, ReplayState
from app.models.saved_views import SavedView
from app.models.stats import Stat
from app.models.webhooks import Lane, SigningSecret, Webhook, WebhookPattern, WebhookUnit
from app.models.workers import Worker

__all__ = [
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "BrowserSession",
    "BusinessUnit",
    "Cause",
    "Company",
    "Delivery",
    "Event",
    "EventType",
    "Inbox",
    "InboxRequest",
    "Installation",
    "Lane",
    "Membership",
    "MembershipUnit",
    "Notification",
    "Organization",
    "Replay",
    "ReplayItem",
    "ReplayState",
    "Resource",
    "Role",
    "SavedView",
    "SchemaMode",
    "SentBody",
    "SignInFailure",
    "SigningSecret",
    "Stat",
    "User",
    "Webhook",
    "WebhookPattern",
    "WebhookUnit",
    "Worker",
]
