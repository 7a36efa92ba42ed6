"""Whose address a request comes from, and whether it is on a list.

`X-Forwarded-For` is believed only as far as it was written by proxies that the connection trusts: read from the right,
the first address that is not one of them is the caller's. What a caller writes itself stands left of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from attrs import frozen

from croupier.contract import Headers

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@frozen(kw_only=True)
class PresentedCertificate:
    """A client certificate, after TLS has checked that it is valid and its holder has the key.

    Attributes:
        fingerprint: SHA-256 of the certificate (DER), 64 small hex digits.
        subject: The subject's common name, if it has one.
    """

    fingerprint: str
    subject: str | None = None


def read_address(text: str) -> Address | None:
    """An address as proxies write it: bare, in brackets, or with a port; an IPv4-mapped one is its IPv4 address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_in(address: Address, where: Sequence[Network]) -> bool:
    """Whether an address lies in any of the networks."""
    return any(address in network for network in where)


def client_address(source: str, forwarded: Headers, trusted: Sequence[Network]) -> Address | None:
    """The caller's address.

    Args:
        source: The address of the socket's other end.
        forwarded: The request's header fields.
        trusted: The proxies whose word is taken.

    Returns:
        The address, or `None` where it cannot be known: an unreadable entry stands where the caller's should.
    """
    address = read_address(source)
    hops = [hop for value in forwarded.all("X-Forwarded-For") for hop in value.split(",")]
    while address is not None and hops and is_in(address, trusted):
        address = read_address(hops.pop())
    return address
