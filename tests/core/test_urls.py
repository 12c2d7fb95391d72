"""The URL grammar: the hostile inputs of the table by their numbers, and what is accepted comes back unchanged."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network

import pycurl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.core.addresses import Allowed
from app.core.urls import LONGEST_URL, Url, UrlError, parse, problems

NOTHING = Allowed()

REFUSED = {
    "001": ["file:///etc/passwd"],
    "002": ["gopher://127.0.0.1:6379/_FLUSHALL", "dict://h/", "ftp://h/", "ws://h/", "wss://example.com/"],
    "003": ["javascript:alert(1)"],
    "004": ["data:text/html,x"],
    "005": ["http+unix://%2Frun%2Fdocker.sock/", "unix:/x"],
    "006": ["//host/x", "host/x", "ftp.example.com", "example.com:80/x"],
    "007": ["http:/host", "http:///host", "http:host", "http:////h", "http://", "http://?x", "https://#"],
    "008": ["", "   ", "\t", "http://a.com/" + "x" * 2048, "http://a.com/" + "x" * 3_000_000],
    "009": [" http://a.com/", "http://a.com/ ", "\thttp://a.com/", "http://a.com/\n"],
    "010": ["http://a.com\\@127.0.0.1/"],
    "011": ["http://127.0.0.1\\@a.com/", "http://a.com/x\\y", "http://a.com/?x\\y"],
    "012": ["http://a.com#@127.0.0.1/", "http://a.com/#", "http://a.com/x#y", "http://a.com?x#y"],
    "013": ["http://1.1.1.1 &@2.2.2.2# @127.0.0.1/"],
    "014": ["http://user:pass@host/", "http://a@b@c/", "http://@a.com/", "http://a.com:80@b.com/"],
    "015": [
        f"http://a.com:{port}/" for port in ["0", "65536", "-1", "８０", " 80", "80:443", "", "0443", "8e1", "+80"]
    ],
    "017": [f"http://a.com/x{c}y" for c in "\r\n\0\t\x7f\x1b\x85\u200b\u2028\ufeff\u202e\ud800"],
    "017 in the host": ["http://a.com\r\nX: 1/", "http://a\0.com/"],
    "019": ["http://a.com%00.b.com/", "http://%31%32%37.0.0.1/", "http://％61.com/"],
    "020": [
        "http://[::1]evil/",
        "http://[v1.x]/",
        "http://[::1/",
        "http://::1]/",
        "http://[fe80::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[]/",
        "http://[127.0.0.1]/",
        "http://[::1]:/",
        "http://a[::1]/",
    ],
    "021": [f"http://{'a' * 64}.com/", "http://" + "a." * 126 + "com/", "http://" + "é" * 63 + ".com/"],
    "022": [
        "http://a..com/",
        "http://.a.com/",
        "http://xn--/",
        "http://-a.com/",
        "http://a-.com/",
        "http://xn--a/",
        "http://./",
        "http://xn---.la/",
    ],
    "028": ["http://x.onion/", "http://x.ONION./", "http://127.0.0.1../"],
    "037": [
        "http://0x/",
        "http://09.0.0.1/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://1.256.1/",
        "http://4294967296/",
        "http://0x100000000/",
        "http://a.com.1/",
        "http://a.0x7f/",
        "http://999999999999999999/",
    ],
    "path": [f"http://a.com/{c}" for c in '"<>`'],
    "percent": ["http://a.com/%", "http://a.com/%g0", "http://a.com/?%4", "http://a.com<b>/"],
    "host": [
        "http://a!b.com/",
        "http://a{b}.com/",
        "http://a,b.com/",
        "http://a;b/",
        "http://$x/",
        "http://{{7*7}}/",
        "http://℀.com/",
        "http://a\u0301\u200c.com/",
    ],
}

ACCEPTED = {
    "018": ("http://a.com/a%0d%0aX:1", "http://a.com/a%0D%0AX:1"),
    "023": ("http://faß.de/", "http://xn--fa-hia.de/"),
    "025a": ("http://a.com/?x={{7*7}}", "http://a.com/?x={{7*7}}"),
    "025b": ("http://a.com/?x=${jndi:x}", "http://a.com/?x=${jndi:x}"),
    "025c": ("http://a.com/?x='%20OR%201=1", "http://a.com/?x='%20OR%201=1"),
    "026": ("http://a.com/?token=SECRET", "http://a.com/?token=SECRET"),
    "031a": ("http://a.com/a/../b", "http://a.com/a/../b"),
    "031b": ("http://a.com//", "http://a.com//"),
    "031c": ("http://a.com/?q={a,b}&z=[1-3]", "http://a.com/?q={a,b}&z=[1-3]"),
    "032": ("http://a.com/é?é=ü", "http://a.com/%C3%A9?%C3%A9=%C3%BC"),
    "074": ("https://my_host.example.com/", "https://my_host.example.com/"),
    "case": ("HTTPS://EXAMPLE.com/Path", "https://example.com/Path"),
    "no path": ("https://example.com", "https://example.com/"),
    "no path, a query": ("https://example.com?x=1", "https://example.com/?x=1"),
    "default port": ("https://example.com:443/", "https://example.com/"),
    "other port": ("http://example.com:443/", "http://example.com:443/"),
    "trailing dot": ("https://example.com./", "https://example.com/"),
    "query keeps its case": ("http://a.com/%c3?%c3", "http://a.com/%C3?%c3"),
    "two question marks": ("http://a.com/a?b?c/d", "http://a.com/a?b?c/d"),
    "v6": ("http://[2606:4700:0:0::1111]:8080/x", "http://[2606:4700::1111]:8080/x"),
    "v6, mapped": ("http://[::FFFF:8.8.8.8]/", "http://[::ffff:808:808]/"),
    "v4, octal": ("http://010.8.8.8/", "http://8.8.8.8/"),
    "v4, a number": ("http://134744072/", "http://8.8.8.8/"),
    "v4, trailing dot": ("http://8.8.8.8./", "http://8.8.8.8/"),
    "hyphens": ("https://r3---sn-h0.example.com/", "https://r3---sn-h0.example.com/"),
    "digits first": ("https://1a.example.com/", "https://1a.example.com/"),
    "a-label": ("https://xn--fa-hia.de/", "https://xn--fa-hia.de/"),
    "longest": ("http://a.com/" + "x" * 2035, "http://a.com/" + "x" * 2035),
}

# Refused at save because the host is an address, or a name of this machine.
LITERALS = {
    "024": ["ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "①②⑦.⓪.⓪.①", "127。0。0。1"],
    "033": ["127.0.0.1", "127.255.255.254"],
    "034": ["127.1", "127.0.1"],
    "035": ["2130706433"],
    "036": ["0x7f000001", "0x7f.1", "0X7F.1"],
    "037": ["0177.0.0.1", "017700000001"],
    "038": ["0", "0.0.0.0"],
    "039": ["localhost", "LOCALHOST", "localhost.", "foo.localhost"],
    "040": ["[::1]", "[::]"],
    "041": ["[::ffff:127.0.0.1]", "[::ffff:7f00:1]"],
    "042": ["[::7f00:1]"],
    "045": ["[64:ff9b::7f00:1]"],
    "047": ["[2002:7f00:1::]"],
    "050": ["[fc00::1]"],
    "054": ["169.254.169.254"],
    "058": ["10.0.0.1", "172.16.0.1", "192.168.0.1"],
    "062": ["127.0.0.1."],
}


def rows(table: dict[str, list[str]]) -> list[pytest.ParameterSet]:
    return [pytest.param(text, id=f"{row}-{n}") for row, texts in table.items() for n, text in enumerate(texts)]


@pytest.mark.parametrize("text", rows(REFUSED))
def test_a_doubtful_url_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UrlError) as refused:
        parse(text)

    assert re.fullmatch(r"[A-Z0-9].*\.", str(refused.value), re.DOTALL)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(("text", "canonical"), ACCEPTED.values(), ids=ACCEPTED)
def test_an_accepted_url_is_stored_canonically(text: str, canonical: str) -> None:
    url = parse(text)

    assert url.text == canonical
    assert parse(url.text) == url


@pytest.mark.parametrize("host", rows(LITERALS))
def test_a_literal_or_local_host_gets_the_verdict_of_its_address_at_save(host: str) -> None:
    (problem,) = problems(parse(f"http://{host}/"), NOTHING, https_only=False)

    assert " and blocked." in problem


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter a URL, for example https://example.com/webhook."),
        ("example.com/x", "Enter a URL, for example https://example.com/webhook."),
        ("https://a.com/#x", "Remove the part after #."),
        (
            "https://u:p@a.com/",
            "Take the user and password out of the URL and enter them under Authentication.",
        ),
        ("ftp://a.com/", "The URL must begin with https:// or http://."),
        ("https://a.com:99999/", "The port must be a number from 1 to 65535, without leading zeros."),
        ("https://a.com/<", "The URL can't contain <. Write it as %3C."),
    ],
)
def test_the_sentences_say_what_to_do(text: str, sentence: str) -> None:
    with pytest.raises(UrlError, match=re.escape(sentence)):
        parse(text)


def test_a_private_literal_is_named_with_its_rule_and_the_setting() -> None:
    (problem,) = problems(parse("http://10.0.0.5/"), NOTHING, https_only=False)

    assert problem == (
        "10.0.0.5 is a private address and blocked. "
        "The operator can allow it: start the server with POSTROOM_ALLOW_NETWORKS=10.0.0.5."
    )


def test_what_no_operator_can_allow_is_not_offered() -> None:
    (problem,) = problems(parse("http://224.0.0.1/"), NOTHING, https_only=False)

    assert problem == "224.0.0.1 is a multicast address and blocked."


@pytest.mark.parametrize("port", [22, 25, 53, 110, 6379, 11211])
def test_016_a_port_of_another_service_is_refused_unless_allowed(port: int) -> None:
    url = parse(f"https://a.com:{port}/")

    assert problems(url, NOTHING, https_only=True) == [
        f"{port} is a port of another service and blocked. "
        f"The operator can allow it: start the server with POSTROOM_ALLOW_PORTS={port}."
    ]
    assert problems(url, Allowed(ports=frozenset({port})), https_only=True) == []


@pytest.mark.parametrize("host", ["db", "kubernetes", "a_b"])
def test_027_a_single_label_is_refused_unless_networks_are_allowed(host: str) -> None:
    url = parse(f"https://{host}/")

    assert len(problems(url, NOTHING, https_only=True)) == 1
    assert problems(url, Allowed((ip_network("10.0.0.0/8"),)), https_only=True) == []


def test_029_http_is_refused_while_https_is_demanded() -> None:
    url = parse("http://example.com/")

    (problem,) = problems(url, NOTHING, https_only=True)
    assert "can be read on the way" in problem, "it doesn't say why"
    assert "POSTROOM_HTTPS_ONLY" in problem, "it doesn't name the setting"
    assert problems(url, NOTHING, https_only=False) == []
    assert problems(parse("https://example.com/"), NOTHING, https_only=True) == []


def test_localhost_follows_the_verdict_of_loopback() -> None:
    loopback = Allowed((ip_network("127.0.0.0/8"),))

    assert problems(parse("http://localhost:8300/"), loopback, https_only=False) == []
    assert problems(parse("http://localhost/"), Allowed((ip_network("10.0.0.0/8"),)), https_only=False)


def test_a_url_knows_its_parts() -> None:
    url = parse("https://[2606:4700::1111]:8443/in?x=1")

    assert (url.scheme, url.host, url.port, url.path) == ("https", "2606:4700::1111", 8443, "/in?x=1")
    assert url.host_is_literal
    assert url.is_https
    assert url.origin == ("https", "2606:4700::1111", 8443)
    assert parse("http://8.8.8.8/").host_is_literal
    assert not parse("http://8.8.8.8.example/").host_is_literal
    assert not parse("http://a.com/").is_https


def test_both_spellings_of_an_international_name_can_be_shown() -> None:
    assert parse("https://FAß.de/").host_in_unicode == "faß.de"
    assert parse("https://example.com/").host_in_unicode == "example.com"


hosts = st.one_of(
    st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?(\.[a-z]([a-z0-9-]{0,5}[a-z0-9])?){0,3}\.?", fullmatch=True),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.integers(0, 2**32 - 1).flatmap(
        lambda n: st.sampled_from([str(n), hex(n), f"0{n:o}", f"{n >> 24}.{n & 0xFFFFFF}"])
    ),
    st.text(st.characters(categories=["Ll", "Lu", "Nd", "Mn"]), min_size=1, max_size=10).map(lambda t: t + ".example"),
)
ports = st.one_of(st.just(""), st.integers(1, 65535).map(lambda port: f":{port}"))
paths = st.one_of(st.just(""), st.text(st.characters(min_codepoint=0x21), max_size=20).map(lambda text: "/" + text))
likely = st.builds("{}://{}{}{}".format, st.sampled_from(["http", "https", "HTTP"]), hosts, ports, paths)


def parsed(text: str) -> Url:
    try:
        return parse(text)
    except UrlError:
        assume(False)
        raise


@settings(deadline=None, max_examples=300)
@given(likely)
def test_an_accepted_url_comes_back_in_the_same_parts(text: str) -> None:
    url = parsed(text)

    assert parse(url.text) == url
    assert url.text.isascii()
    assert url.text.isprintable()
    assert " " not in url.text
    assert len(url.text) <= LONGEST_URL
    assert url.scheme in {"http", "https"}
    assert 1 <= url.port <= 65535
    assert url.path.startswith("/")
    if url.host_is_literal:
        assert ip_address(url.host)


@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map("http://".__add__)))
def test_whatever_is_given_there_is_a_url_or_a_sentence(text: str) -> None:
    try:
        url = parse(text)
    except UrlError:
        return
    assert parse(url.text) == url


@settings(deadline=None, max_examples=150)
@given(likely)
def test_libcurl_dials_the_host_and_port_that_the_grammar_names(text: str) -> None:
    url = parsed(text)
    assume(url.host not in {"::", "0.0.0.0"})  # the same to a kernel as loopback
    named: list[tuple[str, int]] = []
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url.text)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, 200)
    dialled = url.host
    if not url.host_is_literal:
        dialled = "192.0.2.77"
        curl.setopt(pycurl.RESOLVE, [f"{url.host}:{url.port}:{dialled}"])

    def refuse(_purpose: int, address: tuple[int, int, int, tuple[str, int]]) -> int:
        named.append(address[3][:2])
        return pycurl.SOCKET_BAD

    curl.setopt(pycurl.OPENSOCKETFUNCTION, refuse)
    with pytest.raises(pycurl.error):
        curl.perform()
    curl.close()

    assert [(str(ip_address(host)), port) for host, port in named] == [(str(ip_address(dialled)), url.port)]
