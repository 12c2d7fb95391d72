"""What attackers and accidents put into a webhook's URL: refused when saved, with the field named, or kept as said.

One parametrised id a row of the catalogue of hostile inputs, 1 to 62. The settings allow 127.0.0.0/8 for the tests'
receivers, so what concerns addresses is asked of an installation that allows nothing, or as little as the row says.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from app.core.addresses import Allowed
from app.delivery import installed
from app.services import api_keys
from tests.api.conftest import Api

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from app.services.scope import Actor

Make = Callable[..., Any] if TYPE_CHECKING else Any


@pytest.fixture
def database(request: pytest.FixtureRequest, settings: Any, sqlite_template: Any) -> Any:
    """SQLite alone: what is refused never reaches a database, and the URL is text to either."""
    import shutil

    settings.data_dir.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, settings.data_dir / "postroom.db")
    return settings


@pytest.fixture
def post(app: Flask, owner: Actor) -> Make:
    """Try to make a webhook with this URL; `allow` networks, `ports` and `https_only` are the operator's."""
    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)
    before = installed.installed()

    def run(url: Any, *allow: str, ports: tuple[int, ...] = (), https_only: bool = False) -> Any:
        allowed = Allowed(tuple(ip_network(one) for one in allow), frozenset(ports))
        settings = replace(before.settings, https_only=https_only, allow_networks=allowed.networks)
        installed.use(replace(before, allowed=allowed, settings=settings))
        return api.post("/webhooks", {"name": "Hook", "url": url})

    return run


def is_refused(answer: Any) -> bool:
    """Whether the answer names the field and says something; what was typed leads nowhere."""
    if answer.status_code != 422 or answer.content_type != "application/problem+json":
        return False
    fields = {problem["field"] for problem in answer.json["errors"]}
    # U+0000 is refused for the body as a whole, before a field is looked at.
    return fields in ({"url"}, {""}) and all(problem["message"] for problem in answer.json["errors"])


REFUSED: dict[int, tuple[str, ...]] = {
    1: ("file:///etc/passwd", "FILE:///etc/passwd", "file://localhost/etc/passwd"),
    2: ("gopher://127.0.0.1:6379/_FLUSHALL", "dict://a.com/x", "ftp://a.com/", "ws://a.com/", "wss://a.com/"),
    3: ("javascript:alert(1)", "JaVaScRiPt://a.com/%0aalert(1)", "vbscript:x"),
    4: ("data:text/html,x", "data:text/html;base64,PHNjcmlwdD4="),
    5: ("http+unix://%2Frun%2Fdocker.sock/", "unix:/x", "http://unix:/run/docker.sock:/x"),
    6: ("//host/x", "host/x", "ftp.example.com", "example.com/x", "example.com:8080/x"),
    7: ("http:/host", "http:///host", "http:host", "http:////h", "https:example.com", "http://?x"),
    8: ("", "   ", "\t", "https://a.com/" + "x" * 2048, "https://a.com/" + "é" * 500),
    10: ("http://a.com\\@127.0.0.1/", "http://a.com\\.evil.com/"),
    11: ("http://127.0.0.1\\@a.com/",),
    12: ("http://a.com#@127.0.0.1/", "https://a.com/x#y", "https://a.com/#"),
    13: ("http://1.1.1.1 &@2.2.2.2# @127.0.0.1/",),
    14: ("http://user:pass@a.com/", "http://a@b@c.com/", "http://@a.com/", "http://:@a.com/", "https://a.com:x@b.com/"),
    15: tuple(
        f"http://a.com{port}/" for port in (":0", ":65536", ":-1", ":８０", ": 80", ":80:443", ":", ":0443", ":8o")
    ),
    16: tuple(f"http://a.com:{port}/" for port in (22, 25, 53, 110, 6379, 11211, 2375, 3306, 5432, 9200, 27017)),
    17: tuple(
        f"https://a.com/{c}x" for c in ("\r", "\n", "\r\nX: y", "\0", "\t", "\x7f", "\x1b[31m", "\u202e", "\u200b")
    ),
    19: ("http://a.com%00.b.com/", "http://%31%32%37.0.0.1/", "http://a%2ecom/"),
    20: ("http://[::1]evil/", "http://[v1.x]/", "http://[::1/", "http://::1]/", "http://[fe80::1%25lo]/", "http://[]/"),
    21: (f"http://{'a' * 64}.com/", f"http://{'.'.join(['a' * 60] * 5)}.com/"),
    22: ("http://a..com/", "http://.a.com/", "http://xn--/", "http://-a.com/", "http://a-.com/", "http://xn--a.com/"),
    24: ("http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/"),
    27: ("http://db/", "http://kubernetes/", "http://db:8080/x"),
    28: ("http://x.onion/", "http://127.0.0.1../"),
    33: ("http://127.0.0.1/", "http://127.255.255.254/"),
    34: ("http://127.1/", "http://127.0.1/"),
    35: ("http://2130706433/",),
    36: ("http://0x7f000001/", "http://0x7f.1/", "http://0X7F.0x0.0x0.0x1/"),
    37: ("http://0177.0.0.1/", "http://017700000001/"),
    38: ("http://0/", "http://0.0.0.0/", "http://0.1.2.3/"),
    39: ("http://localhost/", "http://LOCALHOST/", "http://localhost./", "http://foo.localhost/"),
    40: ("http://[::1]/", "http://[::]/", "http://[0:0:0:0:0:0:0:1]/"),
    41: ("http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/"),
    42: ("http://[::7f00:1]/", "http://[::127.0.0.1]/"),
    43: ("http://[::ffff:0:7f00:1]/",),
    44: ("http://[::5efe:7f00:1]/",),
    45: ("http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/"),
    46: ("http://[64:ff9b:1::a00:1]/",),
    47: ("http://[2002:7f00:1::]/", "http://[2002:a9fe:a9fe::1]/"),
    48: ("http://[2001:0:7f00:1::]/",),
    49: ("http://[fe80::1]/",),
    50: ("http://[fc00::1]/", "http://[fd00:ec2::254]/", "http://[fd20:ce::254]/"),
    51: ("http://[fec0::1]/",),
    52: ("http://[ff02::1]/", "http://224.0.0.1/", "http://239.255.255.250/"),
    53: ("http://[100::1]/", "http://[2001:db8::1]/", "http://[3fff::1]/", "http://[5f00::1]/"),
    54: ("http://169.254.169.254/latest/meta-data/", "http://2852039166/", "http://[::ffff:169.254.169.254]/"),
    55: ("http://169.254.170.2/",),
    56: ("http://100.100.100.200/", "http://100.64.0.1/"),
    57: ("http://168.63.129.16/",),
    58: ("http://10.0.0.1/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.168.0.1/"),
    59: tuple(
        f"http://{address}/"
        for address in (
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
        )
    ),
    60: ("http://240.0.0.1/", "http://255.255.255.255/"),
    62: ("http://127.0.0.1./",),
}

# Kept as the second column says: byte for byte, or in the one canonical spelling.
KEPT: dict[int, tuple[tuple[str, str], ...]] = {
    9: ((" https://a.com/x\t", "https://a.com/x"), ("\thttps://a.com/ ", "https://a.com/")),
    18: (("https://a.com/a%0d%0aX:1", "https://a.com/a%0D%0AX:1"),),
    23: (("http://faß.de/", "http://xn--fa-hia.de/"),),
    25: (
        ("https://a.com/?q={{7*7}}", "https://a.com/?q={{7*7}}"),
        ("https://a.com/?q=${jndi:x}", "https://a.com/?q=${jndi:x}"),
        ("https://a.com/?q='%20OR%201=1", "https://a.com/?q='%20OR%201=1"),
    ),
    26: (("https://a.com/?token=SECRET", "https://a.com/?token=SECRET"),),
    31: (
        ("https://a.com/a/../b", "https://a.com/a/../b"),
        ("https://a.com//", "https://a.com//"),
        ("https://a.com/?q={a,b}&z=[1-3]", "https://a.com/?q={a,b}&z=[1-3]"),
    ),
    32: (("https://a.com/é", "https://a.com/%C3%A9"),),
}

# Rows that depend on what the operator allows have a test of their own below.
ELSEWHERE = {29, 30, 61}


def test_every_row_from_1_to_62_is_here() -> None:
    assert REFUSED.keys() | KEPT.keys() | ELSEWHERE == set(range(1, 63))


@pytest.mark.parametrize("row", sorted(REFUSED), ids=lambda row: f"{row:03d}")
def test_hostile(row: int, post: Make) -> None:
    kept = [
        (url[:80], answer.status_code, answer.text[:200]) for url in REFUSED[row] if not is_refused(answer := post(url))
    ]

    assert kept == []


@pytest.mark.parametrize("row", sorted(KEPT), ids=lambda row: f"{row:03d}")
def test_odd_but_kept(row: int, post: Make) -> None:
    answers = [(post(url), wanted) for url, wanted in KEPT[row]]

    assert [(answer.status_code, answer.json.get("url")) for answer, _ in answers] == [
        (201, wanted) for _, wanted in answers
    ]


@pytest.mark.parametrize("row", [38, 52, 54, 60], ids=lambda row: f"{row:03d}")
def test_refused_even_if_allowed(row: int, post: Make) -> None:
    allow = ("0.0.0.0/0", "::/0")

    assert [url for url in REFUSED[row] if not is_refused(post(url, *allow))] == []


def test_029_plain_http_while_https_only(post: Make) -> None:
    assert is_refused(post("http://a.com/", https_only=True))
    assert post("https://a.com/", https_only=True).status_code == 201


def test_030_own_address_but_for_the_inbox(post: Make) -> None:
    port = installed.installed().settings.port
    for host in ("127.0.0.1", "127.1", "0x7f.1", "2130706433"):  # a name is looked up and refused when it is sent to
        assert is_refused(post(f"http://{host}:{port}/api/v1/events", "127.0.0.0/8")), host
    assert is_refused(post(f"http://127.0.0.1:{port}/in/../api/v1/events", "127.0.0.0/8"))
    assert is_refused(post(f"http://127.0.0.1:{port}/in/", "127.0.0.0/8"))


def test_061_own_web_port_in_an_allowed_network(post: Make) -> None:
    port = installed.installed().settings.port

    assert is_refused(post(f"http://127.0.0.1:{port}/", "127.0.0.0/8"))
    assert post(f"http://127.0.0.1:{port - 1 or 4999}/", "127.0.0.0/8").status_code == 201


def test_008_a_url_of_three_megabytes(post: Make) -> None:
    assert post("https://a.com/" + "x" * 3_000_000).status_code == 413


def test_016_a_port_that_the_operator_allows(post: Make) -> None:
    assert post("http://a.com:6379/", ports=(6379,)).status_code == 201


def test_027_a_single_label_where_networks_are_allowed(post: Make) -> None:
    assert post("http://db:8080/", "10.0.0.0/8").status_code == 201


def test_054_metadata_inside_an_allowed_network_unless_listed_by_itself(post: Make) -> None:
    assert is_refused(post("http://169.254.169.254/", "169.254.0.0/16"))
    assert post("http://169.254.169.254/", "169.254.169.254/32").status_code == 201


def test_058_the_neighbours_of_private_networks_pass(post: Make) -> None:
    for address in ("172.32.0.1", "172.15.255.255", "11.0.0.1", "192.167.0.1", "192.169.0.1", "100.128.0.1", "1.1.1.1"):
        assert post(f"http://{address}/").status_code == 201, address


@pytest.mark.parametrize("url", [None, 5, ["https://a.com"], {"href": "https://a.com"}, True])
def test_what_is_no_text_is_named(url: Any, post: Make) -> None:
    assert is_refused(post(url))


def test_a_url_with_half_a_character_is_refused(app: Flask, owner: Actor) -> None:
    api = Api(app.test_client(), api_keys.create(owner, "k", ["admin"]).key)
    for field in ("name", "url", "owner", "filter", "ca"):
        body = {"name": "N", "url": "https://a.com/"} | {field: "https://a.com/LONE"}
        import json

        text = json.dumps(body).replace("LONE", "\\ud800").encode()
        assert api.post("/webhooks", text).status_code in (400, 422), field


def test_the_message_names_no_address_that_does_not_stand_in_the_url(post: Make) -> None:
    """Or saving would tell where a name points to. What stands for this machine in every network is no secret."""
    told = post("http://foo.localhost/").text.replace("POSTROOM_ALLOW_NETWORKS=127.0.0.1,::1", "")

    assert "127.0.0.1" not in told
    assert "::1" not in told
