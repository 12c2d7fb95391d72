"""Every blueprint of pages, in the order of the navigation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.web import (
    account,
    api_keys,
    audit,
    business_units,
    companies,
    deliveries,
    event_types,
    events,
    inboxes,
    members,
    notifications,
    saved_views,
    search,
    settings,
    setup,
    sign_in,
    start,
    system,
    webhook_why,
)

if TYPE_CHECKING:
    from flask import Blueprint

PAGES: tuple[Blueprint, ...] = (
    account.bp,
    setup.bp,
    sign_in.bp,
    start.bp,
    search.bp,
    webhook_why.bp,  # of webhooks, as webhook_editor.bp
    deliveries.bp,
    saved_views.bp,
    events.bp,
    event_types.bp,
    inboxes.bp,
    business_units.bp,
    companies.bp,
    members.bp,
    api_keys.bp,
    audit.bp,
    notifications.bp,
    settings.bp,
    system.bp,
)
