"""The border: whom a transfer may dial, and whether a connection that was used before is fit to be used again."""

from __future__ import annotations

import select
import socket
import struct
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from app.core.addresses import refusal

if TYPE_CHECKING:
    from app.delivery.transfer import Egress, Request

VERDICTS_KEPT = 4096
TCP_INFO_SIZE = 136
BYTES_RECEIVED_AT = 128  # struct tcp_info: tcpi_bytes_received, since Linux 4.1

Ends = tuple[str, int, str, int]
"""Local address and port, remote address and port: what names a connection."""


class Connection:
    """One that passed the gate, and may be used again."""

    __slots__ = ("_poll", "descriptor", "ends", "peer", "tls_records", "tls_version")

    def __init__(self, descriptor: int, ends: Ends, tls_version: str | None) -> None:
        self.descriptor = descriptor
        self.ends = ends
        self.peer = f"[{ends[2]}]:{ends[3]}" if ":" in ends[2] else f"{ends[2]}:{ends[3]}"
        self.tls_version = tls_version
        self.tls_records = 0
        """Bytes of the TLS records that OpenSSL has opened so far."""
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLRDHUP)

    def is_silent(self) -> bool:
        """Whether nothing waits to be read: neither bytes nobody asked for, nor the end of the connection.

        libcurl looks at idle connections at most once a second, and takes what it finds later for the answer.
        OpenSSL reads ahead, so on an encrypted connection something may wait where no look at the socket finds
        it: then the kernel has received more than was opened.
        """
        if self._poll.poll(0):
            return False
        return self.tls_version is None or bytes_received(self.descriptor) == self.tls_records


class Gate:
    """Vets addresses by the rules in force, and knows the descriptor of every connection that passed it."""

    def __init__(self, egress: Egress) -> None:
        self._by_ends: dict[Ends, Connection] = {}
        self._by_descriptor: dict[int, Connection] = {}
        self.follow(egress)

    def follow(self, egress: Egress) -> None:
        """Put other rules in force. They hold at once, for pooled connections too."""
        self.egress = egress
        self._own_ports = egress.listening | ({egress.own[1]} if egress.own is not None else set())
        self._verdicts: dict[str, tuple[str | None, bool]] = {}

    def refusal(self, request: Request, address: str, port: int, local: str | None = None) -> str | None:
        """Return the rule that forbids `request` to reach this address, in words; None: it may be dialled.

        `local` is our own end, once there is a connection: an address that is its own other end is this machine.
        """
        rule, loopback = self._verdicts.get(address) or self._vet(address)
        if request.own_inbox:
            return None if self._is_own_inbox(request, address, port, loopback) else "not the test inbox"
        this_machine = loopback or address == local
        if this_machine and port in self._own_ports:
            return "this server itself"
        if rule is None and this_machine and not loopback and not self._is_listed(address):
            return "an address of this machine"
        return rule

    def learn(self, descriptor: int, ends: Ends, tls_version: str | None) -> Connection:
        """Remember a fresh connection. A descriptor's older connection is gone: the number was free again."""
        before = self._by_descriptor.get(descriptor)
        if before is not None and self._by_ends.get(before.ends) is before:
            del self._by_ends[before.ends]
        connection = Connection(descriptor, ends, tls_version)
        self._by_descriptor[descriptor] = self._by_ends[ends] = connection
        return connection

    def known(self, ends: Ends) -> Connection | None:
        """Return the connection with these ends, if it passed before."""
        return self._by_ends.get(ends)

    def _vet(self, address: str) -> tuple[str | None, bool]:
        if len(self._verdicts) >= VERDICTS_KEPT:
            self._verdicts.clear()
        verdict = refusal(address, self.egress.allowed), _is_loopback(address)
        self._verdicts[address] = verdict
        return verdict

    def _is_own_inbox(self, request: Request, address: str, port: int, loopback: bool) -> bool:
        own = self.egress.own
        if own is None or port != own[1]:
            return False
        host = own[0]
        return host in (address, request.url.host) or (host in ("0.0.0.0", "::") and loopback)  # noqa: S104

    def _is_listed(self, address: str) -> bool:
        parsed = ip_address(address)
        return any(parsed in network for network in self.egress.allowed.networks)


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback


def local_end(descriptor: int, family: int) -> tuple[str, int]:
    """Return our own address and port of a connected socket."""
    with_methods = socket.socket(family, socket.SOCK_STREAM, 0, descriptor)
    try:
        name = with_methods.getsockname()
    finally:
        with_methods.detach()  # the descriptor is libcurl's
    return name[0], name[1]


def bytes_received(descriptor: int) -> int:
    """Return how many bytes the kernel has received for this connection since it was opened."""
    with_methods = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
    try:
        info = with_methods.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
    except OSError:
        return 0
    finally:
        with_methods.detach()
    return int(struct.unpack_from("Q", info, BYTES_RECEIVED_AT)[0]) if len(info) == TCP_INFO_SIZE else 0
