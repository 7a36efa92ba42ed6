"""Where the hub may connect to: the guard against requests to its own network.

Addresses of wallets and providers are configuration that operators can change, so each is a way to make the hub talk
to machines that only it can reach. The guard looks at the URL before a name is resolved, and at every address that
the name resolved to; the connection then goes to those very addresses (OWASP API7; Standard Webhooks, server side
request forgery). Redirects are never followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from attrs import field, frozen

from croupier.contract import TransportError, TransportProblem

_NAT64: Final = IPv6Network("64:ff9b::/96")
_Network = IPv4Network | IPv6Network


def _networks(values: Iterable[str]) -> tuple[_Network, ...]:
    return tuple(ip_network(value) for value in values)


def _lower(values: Iterable[str] | None) -> frozenset[str] | None:
    return None if values is None else frozenset(value.lower() for value in values)


@frozen(kw_only=True)
class Guard:
    """Rules for outgoing connections. The defaults are those of production.

    Attributes:
        networks: CIDR blocks that may be reached although they are not public (a provider behind a private link).
        hosts: Host names that may be reached; `None` allows every one.
        ports: Ports that may be reached; `None` allows every one.
        plain_http: Whether `http:` is allowed, too.
        loopback: Whether this machine itself may be reached: for development alone.

    Example:
        >>> Guard().refuses_url("https://169.254.169.254/latest")
        '169.254.169.254 is not a public address'
        >>> Guard.development().refuses_url("http://127.0.0.1:9000/wallet") is None
        True
    """

    networks: tuple[_Network, ...] = field(default=(), converter=_networks)
    hosts: frozenset[str] | None = field(default=None, converter=_lower)
    ports: frozenset[int] | None = None
    plain_http: bool = False
    loopback: bool = False

    @classmethod
    def development(cls) -> Guard:
        """The rules of a developer's machine: `http:` and loopback are allowed."""
        return cls(plain_http=True, loopback=True)

    def refuses_url(self, url: str) -> str | None:
        """Why a URL may not be called, or `None` if it may, as far as can be told before its name is resolved."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "it is no URL"
        if parts.scheme not in (("https", "http") if self.plain_http else ("https",)):
            return "only https is allowed" if not self.plain_http else "only http and https are allowed"
        if not parts.hostname:
            return "it names no host"
        if parts.username is not None or parts.password is not None:
            return "a user name in it is not allowed"
        if self.ports is not None and (port or {"https": 443, "http": 80}[parts.scheme]) not in self.ports:
            return "its port is not allowed"
        host = parts.hostname.lower()
        if self.hosts is not None and host not in self.hosts:
            return "its host is not on the allow-list"
        try:
            address = ip_address(host)
        except ValueError:
            return None
        return self.refuses_address(address)

    def refuses_address(self, address: str | IPv4Address | IPv6Address) -> str | None:
        """Why an address may not be connected to, or `None` if it may."""
        plain = _embedded(ip_address(address) if isinstance(address, str) else address)
        if any(plain in network for network in self.networks if network.version == plain.version):
            return None
        if self.loopback and plain.is_loopback:
            return None
        if not plain.is_global or plain.is_multicast or plain.is_reserved:
            return f"{plain} is not a public address"
        return None

    def check_url(self, url: str) -> None:
        """Raise where `refuses_url` gives a reason.

        Raises:
            TransportError: Nothing was sent (`NOT_SENT`).
        """
        reason = self.refuses_url(url)
        if reason is not None:
            raise TransportError(f"the address may not be called: {reason}", problem=TransportProblem.NOT_SENT)


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address leads to, where it leads to one."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address
