"""Every blueprint of pages, in the order of the navigation."""

from __future__ import annotations

from flask import Blueprint

from app.web import deliveries, events, inboxes

PAGES: tuple[Blueprint, ...] = (
    deliveries.bp,
    events.bp,
    inboxes.bp,
)
