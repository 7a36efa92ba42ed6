"""Addresses of the hub's own network are refused in every spelling."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from croupier.contract import HttpRequest, TransportError, TransportProblem
from croupier.net import Guard, HttpClient, WalletClient
from croupier.net.resolver import guarded_resolver

INTERNAL = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",  # noqa: S104  # an address to refuse, not to bind
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::7f00:1",
    "fd00:ec2::254",
]


@pytest.mark.parametrize("address", INTERNAL)
def test_an_internal_address_is_refused(address: str) -> None:
    assert Guard().refuses_address(address) is not None
    host = f"[{address}]" if ":" in address else address
    assert Guard().refuses_url(f"https://{host}/wallet") is not None


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101"])
def test_a_public_address_is_allowed(address: str) -> None:
    assert Guard().refuses_address(address) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://wallet.example/",
        "ftp://wallet.example/",
        "file:///etc/passwd",
        "https://",
        "https://user@wallet.example/",
        "https://user:word@wallet.example/",
        "https://@wallet.example/",
        "https://wallet.example:99999/",
        "https://[::1/",
        "wallet.example",
        "",
    ],
)
def test_an_url_that_is_no_plain_https_is_refused(url: str) -> None:
    assert Guard().refuses_url(url) is not None


def test_development_may_call_itself_and_no_other_private_address() -> None:
    guard = Guard.development()
    assert guard.refuses_url("http://127.0.0.1:8000/") is None
    assert guard.refuses_url("http://[::1]:8000/") is None
    assert guard.refuses_url("http://10.0.0.1/") is not None
    assert guard.refuses_url("http://169.254.169.254/") is not None


def test_a_network_on_the_list_is_allowed() -> None:
    guard = Guard(networks=["10.20.0.0/16", "fd12::/32"])
    assert guard.refuses_address("10.20.3.4") is None
    assert guard.refuses_address("::ffff:10.20.3.4") is None
    assert guard.refuses_address("fd12::5") is None
    assert guard.refuses_address("10.21.0.1") is not None


def test_hosts_and_ports_are_allowed_by_name() -> None:
    guard = Guard(hosts=["Wallet.Example"], ports=frozenset({443}))
    assert guard.refuses_url("https://wallet.example/x") is None
    assert guard.refuses_url("https://wallet.example:8443/x") is not None
    assert guard.refuses_url("https://other.example/x") is not None


class Names:
    """A resolver with the answers of a test; a rebinding server gives another one each time."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[Any]:
        return [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0}
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        self.answers.clear()


async def test_a_name_that_leads_inside_is_refused_as_a_whole() -> None:
    names: Any = Names(["93.184.216.34", "127.0.0.1"])
    with pytest.raises(OSError, match=r"127\.0\.0\.1 is not a public address"):
        await guarded_resolver(Guard(), names).resolve("wallet.example", 443)


async def test_the_connection_goes_to_the_addresses_that_were_checked() -> None:
    names: Any = Names(["93.184.216.34"], ["127.0.0.1"])
    resolver = guarded_resolver(Guard(), names)
    assert [found["host"] for found in await resolver.resolve("wallet.example", 443)] == ["93.184.216.34"]
    with pytest.raises(OSError, match="not a public address"):
        await resolver.resolve("wallet.example", 443)


@pytest.mark.parametrize("client", [HttpClient, WalletClient])
@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1", "127.0.0.1"])
async def test_no_spelling_of_loopback_reaches_a_server(host: str, client: type[HttpClient | WalletClient]) -> None:
    reached: list[int] = []

    async def accept(_reader: Any, writer: Any) -> None:
        reached.append(1)
        writer.close()

    import asyncio

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, client(guard=Guard(plain_http=True)) as send:
        with pytest.raises(TransportError) as caught:
            await send(HttpRequest("GET", f"http://{host}:{port}/"), 2.0)
    assert caught.value.problem is TransportProblem.NOT_SENT
    assert reached == []
