"""The verdict on an IP address and a port: the same table at save, after a name lookup, and at the socket."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

# A table of its own: the standard library's `is_private` and `is_global` differ between Python versions and call
# 192.88.99.0/24, NAT64 and 6to4 public.

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the operator lets webhooks reach although the tables below refuse it."""

    networks: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()


def _table(rows: dict[str, str]) -> tuple[tuple[Network, str], ...]:
    return tuple((ip_network(network), rule) for rule, networks in rows.items() for network in networks.split())


NEVER = _table(
    {
        "an unspecified address": "0.0.0.0/8 ::/128",
        "a multicast address": "224.0.0.0/4 ff00::/8",
        "a reserved address": "240.0.0.0/4",
    }
)

# An IPv4 address hides in these: 6to4 (RFC 3056), Teredo (RFC 4380), v4-compatible (RFC 4291).
_TUNNELS = tuple(ip_network(network) for network in ("2002::/16", "2001::/32", "::/96"))
_LOOPBACK = IPv6Address("::1")  # the one address of ::/96 that hides nothing
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052

_METADATA = """
169.254.169.254 169.254.170.2 169.254.170.23 168.63.129.16 100.100.100.200 192.0.0.192
fd00:ec2::254 fd00:ec2::23 fd20:ce::254
"""
METADATA = frozenset(ip_address(address) for address in _METADATA.split())

PRIVATE = _table(
    {
        "a private address": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7",
        "a loopback address": "127.0.0.0/8 ::1/128",
        "a link-local address": "169.254.0.0/16 fe80::/10",
        "a provider's shared address": "100.64.0.0/10",
        "a documentation address": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "a benchmarking address": "198.18.0.0/15",
        "a special-purpose address": "192.0.0.0/24 192.88.99.0/24 2001::/23",
    }
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")

# https://fetch.spec.whatwg.org/#port-blocking, and in the last line daemons that obey whoever reaches them.
_BAD_PORTS = """
0 1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104 109 110 111 113 115 117 119 123 135 137
139 143 161 179 389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720
1723 2049 3659 4045 4190 5060 5061 6000 6566 6665 6666 6667 6668 6669 6679 6697 10080
2375 2376 3306 5432 6379 9200 11211 27017
"""
BAD_PORTS = frozenset(map(int, _BAD_PORTS.split()))


def refusal(address: str, allowed: Allowed) -> str | None:
    """Return why nothing may be sent to this IP address, as words that fit "10.0.0.5 is …"; None: it may be dialled.

    A zone ("%eth0") is passed over; what is no address at all is refused.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an IP address"
    return _verdict(parsed, allowed)


def may_be_allowed(address: str) -> bool:
    """Tell whether the operator can open this address by allowing it, so that a message may say so."""
    try:
        only = Allowed((ip_network(address.partition("%")[0]),))
    except ValueError:
        return False
    return refusal(address, only) is None


def port_refusal(port: int, allowed: Allowed) -> str | None:
    """Return why nothing may be sent to this port; None: it may be dialled."""
    return "a port of another service" if port in BAD_PORTS and port not in allowed.ports else None


def _verdict(address: Address, allowed: Allowed) -> str | None:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _verdict(address.ipv4_mapped, allowed)
        if address in _NAT64 and _is_allowed(address, allowed):
            return _verdict(IPv4Address(int(address) & 0xFFFFFFFF), allowed)
    never = _rule_of(address, NEVER) or _tunnel(address)
    if never is not None:
        return never
    if address in METADATA:
        listed = ip_network(address) in allowed.networks
        return None if listed else "a cloud metadata address"
    if _is_allowed(address, allowed):
        return None
    refused = _rule_of(address, PRIVATE)
    if refused is None and isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return "a special-purpose address"
    return refused


def _tunnel(address: Address) -> str | None:
    hides = address != _LOOPBACK and any(address in network for network in _TUNNELS)
    return "an address with another one inside" if hides else None


def _is_allowed(address: Address, allowed: Allowed) -> bool:
    return any(address in network for network in allowed.networks)


def _rule_of(address: Address, table: tuple[tuple[Network, str], ...]) -> str | None:
    return next((rule for network, rule in table if address in network), None)
