"""What a request to a wallet looks like on the wire, and what never gets there."""

from __future__ import annotations

import pytest

from croupier import __version__
from croupier.contract import Headers, HttpRequest, TransportError, TransportProblem
from croupier.net import Guard
from croupier.net.wallet_request import Origin, Requests

URL = "https://wallet.example/seamless/bet?a=%2F&b"


def written(request: HttpRequest) -> tuple[list[bytes], bytes]:
    requests = Requests(Guard(plain_http=True))
    head, _, body = requests.render(request, requests.target(request.url)).partition(b"\r\n\r\n")
    return head.split(b"\r\n"), body


def refusal(request: HttpRequest) -> TransportError:
    with pytest.raises(TransportError) as caught:
        written(request)
    assert caught.value.problem is TransportProblem.NOT_SENT
    return caught.value


def test_a_request_is_written_whole() -> None:
    lines, body = written(HttpRequest("POST", URL, Headers.of({"X-Sign": "ab=="}), b'{"a":1}'))
    assert lines == [
        b"POST /seamless/bet?a=%2F&b HTTP/1.1",
        b"Host: wallet.example",
        b"User-Agent: croupier/" + __version__.encode(),
        b"Accept: */*",
        b"Accept-Encoding: identity",
        b"X-Sign: ab==",
        b"Content-Length: 7",
    ]
    assert body == b'{"a":1}'


def test_what_the_request_gives_itself_is_not_written_twice() -> None:
    given = {"HOST": "other.example", "user-agent": "x", "accept": "application/json", "accept-encoding": "br"}
    lines, _ = written(HttpRequest("POST", URL, Headers.of({**given, "content-length": "2"}), b"{}"))
    assert sorted(lines[1:]) == [
        b"HOST: other.example",
        b"accept-encoding: br",
        b"accept: application/json",
        b"content-length: 2",
        b"user-agent: x",
    ]


def test_one_url_with_different_headers_and_methods_is_written_as_each_asks() -> None:
    requests = Requests(Guard())
    target = requests.target(URL)
    first = requests.render(HttpRequest("POST", URL, body=b"{}"), target)
    for other in (HttpRequest("GET", URL), HttpRequest("POST", URL, Headers.of({"Host": "a"}), b"{}")):
        assert requests.render(other, target) != first
    assert requests.render(HttpRequest("POST", URL, body=b"{}"), target) == first


@pytest.mark.parametrize(("method", "length"), [("POST", True), ("PUT", True), ("GET", False), ("DELETE", False)])
def test_an_empty_body_is_announced_where_one_is_expected(method: str, length: bool) -> None:
    lines, body = written(HttpRequest(method, URL))
    assert (b"Content-Length: 0" in lines) is length
    assert body == b""


def test_the_length_counts_bytes() -> None:
    lines, _ = written(HttpRequest("POST", URL, body="\u20ac".encode()))
    assert lines[-1] == b"Content-Length: 3"


def test_a_value_beyond_ascii_is_written_as_utf_8() -> None:
    lines, _ = written(HttpRequest("POST", URL, Headers.of({"X-Name": "\u00e4\tb \u00a0"}), b"{}"))
    assert "X-Name: \u00e4\tb \u00a0".encode() in lines


@pytest.mark.parametrize(
    ("url", "origin", "host", "path"),
    [
        ("https://Wallet.Example", Origin("https", "wallet.example", 443), "wallet.example", "/"),
        ("https://wallet.example:443/a", Origin("https", "wallet.example", 443), "wallet.example", "/a"),
        ("https://wallet.example.:8443/a?", Origin("https", "wallet.example", 8443), "wallet.example:8443", "/a?"),
        ("http://wallet.example?x=1#part", Origin("http", "wallet.example", 80), "wallet.example", "/?x=1"),
        ("http://wallet.example:443/", Origin("http", "wallet.example", 443), "wallet.example:443", "/"),
        ("https://[2606:4700::1111]:9/x", Origin("https", "2606:4700::1111", 9), "[2606:4700::1111]:9", "/x"),
        ("https://a_b.example/%2e%2e//x;y", Origin("https", "a_b.example", 443), "a_b.example", "/%2e%2e//x;y"),
    ],
)
def test_a_url_is_taken_apart_and_its_path_left_as_it_is(url: str, origin: Origin, host: str, path: str) -> None:
    target = Requests(Guard(plain_http=True)).target(url)
    assert (target.origin, target.host, target.path) == (origin, host, path)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://wallet.example/",
        "https:///bet",
        "https://wallet.example/a b",
        "https://wallet.example/\r\nX: 1",
        "https://wallet.example\\@127.0.0.1/",
        "https://wallet.example\\.other/",
        "https://user@wallet.example/",
        "https://wallet.example:99999/",
        "https://wal%6cet.example/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://127.1/",
        "https://wallet.0x7f/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[2606:4700::1111%25eth0]/",
    ],
)
def test_an_address_that_is_none_or_leads_inside_is_not_sent_to(url: str) -> None:
    refusal(HttpRequest("POST", url, body=b"{}"))


def test_an_address_stays_refused_when_it_is_asked_for_again() -> None:
    requests = Requests(Guard())
    for _ in range(3):
        with pytest.raises(TransportError):
            requests.target("https://127.0.0.1/")


@pytest.mark.parametrize("control", [*map(chr, range(9)), *map(chr, range(10, 32)), "\x7f", "\u20ac", "\u2028"])
def test_no_control_character_gets_into_a_header(control: str) -> None:
    refusal(HttpRequest("POST", URL, Headers.of({"X-A": f"1{control}X-Evil: 1"}), b"{}"))
    refusal(HttpRequest("POST", URL, Headers.of({f"X-A{control}": "1"}), b"{}"))
    refusal(HttpRequest("POST", URL + control, body=b"{}"))


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X\t", "\u00e4", "(", "X,"])
def test_a_name_that_is_no_token_is_not_sent_even_the_second_time(name: str) -> None:
    requests = Requests(Guard())
    for _ in range(2):
        with pytest.raises(TransportError):
            requests.render(HttpRequest("POST", URL, Headers.of({name: "1"})), requests.target(URL))


@pytest.mark.parametrize(
    "headers",
    [
        (("Transfer-Encoding", "chunked"),),
        (("connection", "close"),),
        (("Expect", "100-continue"),),
        (("Upgrade", "h2c"),),
        (("Content-Length", "3"),),
        (("Content-Length", "2"), ("content-length", "2")),
        (("Content-Length", "02"),),
        (("Content-Length", "+2"),),
        (("Content-Length", ""),),
        (("Host", "a"), ("host", "b")),
    ],
)
def test_a_request_that_could_be_read_in_two_ways_is_not_sent(headers: tuple[tuple[str, str], ...]) -> None:
    refusal(HttpRequest("POST", URL, Headers(headers), b"{}"))


@pytest.mark.parametrize("method", ["HEAD", "CONNECT", "post", "", "POST ", "GET /x HTTP/1.1\r\nX:"])
def test_a_method_that_no_wallet_is_called_with_is_not_sent(method: str) -> None:
    refusal(HttpRequest(method, URL, body=b"{}"))


def test_what_is_remembered_is_bounded() -> None:
    requests = Requests(Guard())
    for number in range(1000):
        url = f"https://wallet{number}.example/bet"
        requests.render(HttpRequest("POST", url, Headers.of({f"X-{number}": "1"})), requests.target(url))
    assert len(requests._bits) <= 256
