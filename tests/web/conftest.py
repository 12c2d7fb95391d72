"""People at the pages, each with a browser of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from app.services import system
from tests.conftest import PASSWORD
from tests.support.pages import Person

if TYPE_CHECKING:
    from flask import Flask

    from app.services.scope import Actor


def signed_in(app: Flask, email: str) -> Person:
    """Somebody who has signed in."""
    system.tick()  # or every page said that nothing is being sent
    person = Person(app.test_client())
    assert person.sign_in(email, PASSWORD).status_code == 303
    return person


@pytest.fixture
def ada(app: Flask, owner: Actor) -> Person:
    """Ada, an admin."""
    return signed_in(app, "ada@acme.test")


@pytest.fixture
def max_(app: Flask, member: Actor) -> Person:
    """Max, a developer of the same organization."""
    return signed_in(app, "max@acme.test")


@pytest.fixture
def sam(app: Flask, stranger: Actor) -> Person:
    """Sam, an admin of another organization."""
    return signed_in(app, "sam@acme.test")
