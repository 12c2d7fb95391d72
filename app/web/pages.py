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
    installation,
    mail,
    members,
    notifications,
    password_resets,
    roles,
    search,
    settings,
    setup,
    sign_in,
    start,
    system,
    two_factor,
    webhook_editor,
)

if TYPE_CHECKING:
    from flask import Blueprint

PAGES: tuple[Blueprint, ...] = (
    account.bp,
    two_factor.bp,
    setup.bp,
    sign_in.bp,
    password_resets.bp,
    start.bp,
    search.bp,
    webhook_editor.bp,
    deliveries.bp,
    events.bp,
    event_types.bp,
    inboxes.bp,
    business_units.bp,
    companies.bp,
    members.bp,
    roles.bp,
    api_keys.bp,
    audit.bp,
    notifications.bp,
    settings.bp,
    system.bp,
    mail.bp,
    installation.bp,
)
