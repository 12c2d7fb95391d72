"""A sender that may reach this machine, and certificates for its receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from app.delivery.sender import Sender
from app.delivery.transfer import Egress
from tests.sender.flights import LOOPBACK, Certificates

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """An authority that the tests' senders trust, and one that they do not."""
    folder = tmp_path_factory.mktemp("certificates")
    trusted, unknown = trustme.CA(), trustme.CA(organization_name="Nobody knows them")
    trusted.cert_pem.write_to_path(str(folder / "trusted.pem"))
    return Certificates(trusted, unknown, folder / "trusted.pem")


@pytest.fixture(scope="session")
def egress(certificates: Certificates) -> Egress:
    """Rules under which loopback may be reached."""
    return Egress(LOOPBACK, str(certificates.trusted_file))


@pytest.fixture
def sender(egress: Egress) -> Iterator[Sender]:
    """A sender of its own, without connections yet."""
    sender = Sender(egress)
    yield sender
    sender.abort()
    sender.close()
