"""The protocols that the operator's wallet may speak, and what the hub has to know to call it."""

from __future__ import annotations

import base64
import importlib
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from croupier.contract import WalletPeer
from demo_plan import NATIVE, Plan


@frozen(kw_only=True)
class Spoken:
    """A protocol.

    Attributes:
        title: For people.
        secrets: Makes new secrets of the hub's calls.
        peer: Where the simulated wallet is found: package, class, and the class of its settings. The hub's own
            protocol has none: the example operator speaks it.
    """

    title: str
    secrets: Callable[[], Mapping[str, str]]
    peer: tuple[str, str, str] = ("", "", "")


def rsa_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


DIALECTS: Final[Mapping[str, Spoken]] = {
    NATIVE: Spoken(
        title="the hub's own",
        secrets=lambda: {"signing_secret": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()},
    ),
    "softswiss": Spoken(
        title="SOFTSWISS-style",
        secrets=lambda: {"auth_token": secrets.token_hex(24)},
        peer=("croupier_wallet_softswiss", "SoftswissWalletPeer", "SoftswissWalletSettings"),
    ),
    "hub88": Spoken(
        title="Hub88-style",
        secrets=lambda: {"private_key": rsa_key()},
        peer=("croupier_wallet_hub88", "Hub88WalletPeer", "Hub88WalletSettings"),
    ),
}


def wallet_peer(plan: Plan) -> WalletPeer:
    """The simulated wallet of a plan that names one."""
    package, peer, settings = DIALECTS[plan.dialect].peer
    make: Any = getattr(importlib.import_module(f"{package}.peer"), peer)
    kind: Any = getattr(importlib.import_module(f"{package}.settings"), settings)
    made: WalletPeer = make(kind(url=plan.url("hop")))
    return made
