"""The address table: every forbidden prefix at its edges, every spelling of one address alike."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.addresses import BAD_PORTS, METADATA, NEVER, Allowed, may_be_allowed, port_refusal, refusal

NOTHING = Allowed()
EVERYTHING = Allowed((ip_network("0.0.0.0/0"), ip_network("::/0")))

BLOCKED = {
    "033": "127.0.0.1 127.255.255.254",
    "038": "0.0.0.0 0.1.2.3",
    "040": "::1 ::",
    "041": "::ffff:127.0.0.1 ::ffff:7f00:1",
    "042": "::7f00:1",
    "043": "::ffff:0:7f00:1",
    "044": "::5efe:7f00:1",
    "045": "64:ff9b::7f00:1 64:ff9b::a9fe:a9fe",
    "046": "64:ff9b:1::a00:1",
    "047": "2002:7f00:1:: 2002:a9fe:a9fe::1",
    "048": "2001:0:7f00:1::",
    "049": "fe80::1",
    "050": "fc00::1 fd00:ec2::254 fd20:ce::254",
    "051": "fec0::1",
    "052": "ff02::1 224.0.0.1 239.255.255.250",
    "053": "100::1 2001:db8::1 3fff::1 5f00::1",
    "054": "169.254.169.254",
    "055": "169.254.170.2",
    "056": "100.100.100.200 100.64.0.1",
    "057": "168.63.129.16",
    "058": "10.0.0.1 172.16.0.1 192.168.0.1",
    "059": "192.0.0.1 192.0.2.1 192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1",
    "060": "240.0.0.1 255.255.255.255",
}
PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "172.32.0.1",
    "172.15.255.255",
    "192.167.255.255",
    "2606:4700::1111",
    "2001:200::1",
    "2a00:1450::1",
]

FORBIDDEN = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/3",
    "::/3",
    "4000::/2",
    "8000::/1",
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
]


def rows(table: dict[str, str]) -> list[pytest.ParameterSet]:
    return [pytest.param(address, id=f"{row}-{address}") for row, text in table.items() for address in text.split()]


@pytest.mark.parametrize("address", rows(BLOCKED))
def test_an_address_of_the_table_is_refused_with_its_rule(address: str) -> None:
    assert refusal(address, NOTHING)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_dialled(address: str) -> None:
    assert refusal(address, NOTHING) is None


@pytest.mark.parametrize("prefix", FORBIDDEN)
def test_a_forbidden_prefix_is_refused_from_its_first_address_to_its_last(prefix: str) -> None:
    network = ip_network(prefix)
    first, last = network.network_address, network.broadcast_address
    middle = type(first)((int(first) + int(last)) // 2)

    assert all(refusal(str(address), NOTHING) for address in (first, middle, last))


@pytest.mark.parametrize("prefix", FORBIDDEN)
def test_one_past_each_edge_of_a_forbidden_prefix_is_judged_by_its_neighbour(prefix: str) -> None:
    network = ip_network(prefix)
    lowest, highest = int(network.network_address) - 1, int(network.broadcast_address) + 1
    same_family = [ip_network(other) for other in FORBIDDEN if ip_network(other).version == network.version]

    for number in (lowest, highest):
        if 0 <= number < 1 << network.max_prefixlen:
            neighbour = type(network.network_address)(number)
            is_forbidden = any(neighbour in other for other in same_family)
            assert bool(refusal(str(neighbour), NOTHING)) == is_forbidden, neighbour


@pytest.mark.parametrize("network", [network for network, _ in NEVER], ids=str)
def test_some_networks_stay_shut_whatever_is_allowed(network: IPv6Network) -> None:
    assert refusal(str(network.network_address), EVERYTHING)
    assert not may_be_allowed(str(network.network_address))


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fc00::1", "fe80::1", "100.64.0.1", "5f00::1"])
def test_the_operator_opens_a_private_network(address: str) -> None:
    assert may_be_allowed(address)
    assert refusal(address, EVERYTHING) is None


@pytest.mark.parametrize("address", ["2002:808:808::1", "2001:0:808::1", "::808:808"])
def test_an_address_with_another_inside_stays_refused(address: str) -> None:
    assert refusal(address, EVERYTHING) == "an address with another one inside"


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_metadata_is_reached_only_when_listed_alone(address: str) -> None:
    own_wide = ip_network(f"{address}/16", strict=False)

    assert refusal(address, Allowed((own_wide,))) == "a cloud metadata address"
    assert refusal(address, EVERYTHING) == "a cloud metadata address"
    assert refusal(address, Allowed((ip_network(address),))) is None


def test_nat64_has_the_verdict_of_the_address_inside_once_its_prefix_is_allowed() -> None:
    nat64 = ip_network("64:ff9b::/96")

    assert refusal("64:ff9b::808:808", Allowed((nat64,))) is None
    assert refusal("64:ff9b::a00:1", Allowed((nat64,))) == "a private address"
    assert refusal("64:ff9b::a00:1", Allowed((nat64, ip_network("10.0.0.0/8")))) is None
    assert refusal("64:ff9b::a9fe:a9fe", EVERYTHING) == "a cloud metadata address"


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "1.2.3.4.5", "[::1]", "10.0.0.1/8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    assert refusal(text, EVERYTHING) == "not an IP address"
    assert not may_be_allowed(text)


def test_a_zone_changes_nothing() -> None:
    assert refusal("fe80::1%eth0", NOTHING) == refusal("fe80::1", NOTHING) == "a link-local address"
    assert refusal("::ffff:127.0.0.1%1", NOTHING) == "a loopback address"


networks = st.sampled_from(["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0"]).map(ip_network)


@settings(deadline=None)
@given(st.ip_addresses(v=4), st.lists(networks, max_size=2))
def test_a_mapped_address_has_the_verdict_of_the_plain_one(address: IPv4Address, opened: list[object]) -> None:
    allowed = Allowed(tuple(opened))  # type: ignore[arg-type]
    mapped = IPv6Address(0xFFFF << 32 | int(address))

    assert refusal(str(mapped), allowed) == refusal(str(address), allowed)
    assert refusal(f"::ffff:{address}", allowed) == refusal(str(address), allowed)


@settings(deadline=None)
@given(st.ip_addresses())
def test_allowing_more_never_refuses_more(address: IPv4Address | IPv6Address) -> None:
    if refusal(str(address), NOTHING) is None:
        assert refusal(str(address), Allowed((ip_network("10.0.0.0/8"), ip_network("fc00::/7")))) is None


@settings(deadline=None)
@given(st.ip_addresses(v=6))
def test_outside_2000_3_nothing_is_dialled_unasked(address: IPv6Address) -> None:
    if address not in ip_network("2000::/3") and address.ipv4_mapped is None:
        assert refusal(str(address), NOTHING)


@pytest.mark.parametrize("port", [22, 25, 53, 110, 6379, 11211, 5432, 27017, 10080, 0])
def test_a_port_of_another_service_is_refused_unless_allowed(port: int) -> None:
    assert port_refusal(port, NOTHING) == "a port of another service"
    assert port_refusal(port, Allowed(ports=frozenset({port}))) is None


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 3000, 65535])
def test_other_ports_are_open(port: int) -> None:
    assert port_refusal(port, NOTHING) is None


def test_the_table_of_ports_is_whole() -> None:
    assert len(BAD_PORTS) == 91


def test_the_metadata_addresses_are_addresses() -> None:
    assert ip_address("169.254.169.254") in METADATA
    assert len(METADATA) == 9
